//! What was delivered.

use catalog::{AgreementId, DatasetId, Digest, FileIndex, ParticipantId, VersionName};
use gateway_ledger::{Month, UnitSet, UnitSetError};
use rusqlite::params_from_iter;

use super::conditions::Conditions;
use super::{Reader, digest, number, optional_number, parsed};
use crate::records::ReadError;

/// What one entitlement was first delivered of one file in one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredRow {
    /// Its place in the order of first deliveries.
    pub seq: u64,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// Of which dataset.
    pub dataset: DatasetId,
    /// Which version.
    pub version: VersionName,
    /// SHA-256 of the stored file.
    pub file: Digest,
    /// Month in Asia/Shanghai.
    pub period: Month,
    /// Who received it.
    pub consumer: ParticipantId,
    /// Whose data.
    pub provider: ParticipantId,
    units: Vec<u8>,
    receipted: Vec<u8>,
    /// How many bytes of units no earlier period had covered.
    pub unit_bytes: u64,
    /// How many of them the consumer has signed for.
    pub receipt_bytes: u64,
    /// Unit bytes sent in the period, repeats included.
    pub data_bytes: u64,
    /// Rows that streams counted.
    pub rows: Option<u64>,
    /// Bytes on the wire, retries included.
    pub wire_bytes: u64,
}

impl DeliveredRow {
    /// What of the file, whose index this is, no earlier period had covered.
    ///
    /// # Errors
    /// The row is damaged, or of another file.
    pub fn units(&self, index: &FileIndex) -> Result<UnitSet, UnitSetError> {
        UnitSet::from_bytes(&self.units, index)
    }

    /// What of it the consumer has signed for.
    ///
    /// # Errors
    /// As [`Self::units`].
    pub fn receipted(&self, index: &FileIndex) -> Result<UnitSet, UnitSetError> {
        UnitSet::from_bytes(&self.receipted, index)
    }
}

/// Which deliveries; every condition that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct DeliveredFilter {
    /// Under which agreement.
    pub agreement: Option<AgreementId>,
    /// As consumer or provider. (Brokers: by the agreements they are the broker of.)
    pub party: Option<ParticipantId>,
    /// Up to and including this month.
    pub through: Option<Month>,
}

impl Reader<'_> {
    /// Deliveries in the order in which each entitlement, file and period first had one.
    pub fn delivered(&self, filter: &DeliveredFilter) -> Result<Vec<DeliveredRow>, ReadError> {
        let text = |id: Option<&str>| id.map(str::to_owned);
        let (conditions, values) = Conditions::default()
            .add("agreement = ?", text(filter.agreement.as_ref().map(AsRef::as_ref)))
            .add("(consumer = ? OR provider = ?)", text(filter.party.as_ref().map(AsRef::as_ref)))
            .add("period <= ?", filter.through.map(|month| month.to_string()))
            .into_sql();
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT seq, agreement, dataset, version, file, period, consumer, provider, units, unit_bytes,
                 data_bytes, rows, wire_bytes, receipted, receipt_bytes
             FROM delivered {conditions} ORDER BY seq"
        ))?;
        let rows = query.query_map(params_from_iter(values), |row| {
            Ok(DeliveredRow {
                seq: number(row, 0)?,
                agreement: parsed(row, 1)?,
                dataset: parsed(row, 2)?,
                version: parsed(row, 3)?,
                file: digest(row, 4)?,
                period: parsed(row, 5)?,
                consumer: parsed(row, 6)?,
                provider: parsed(row, 7)?,
                units: row.get(8)?,
                receipted: row.get(13)?,
                unit_bytes: number(row, 9)?,
                receipt_bytes: number(row, 14)?,
                data_bytes: number(row, 10)?,
                rows: optional_number(row, 11)?,
                wire_bytes: number(row, 12)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
