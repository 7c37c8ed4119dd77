//! Receipts: after units are verified, the puller signs for them, by itself.
//!
//! The data are good whether or not a receipt is taken, so nothing here fails a pull; but where the offer asks for
//! receipts, the gateway stops sending when too much is out without one, so they are also given on the way.

use std::time::Duration;

use catalog::{Digest, LeaseId};
use gateway_api::exchange::{LeaseView, ReceiptView, SignedAck};
use gateway_ledger::{Ack, AckedUnits, IntervalSet};
use gateway_stream::chunks::ChunkEntry;
use serde::Serialize;

use crate::client::{Call, Client, path};
use crate::error::CommandError;
use crate::session::Session;

/// Verified bytes after which a receipt is given on the way.
pub const EVERY_BYTES: u64 = 8 << 20;
/// How often that is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often the last receipt of a file is tried: what has just arrived may not be on record yet.
const ATTEMPTS: u32 = 6;
const RETRY: Duration = Duration::from_millis(200);

/// What a receipt said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptReport {
    /// Its number under the lease.
    pub seq: u64,
    /// Its log index.
    pub leaf: u64,
    /// Stored bytes of the units signed for, by this pull.
    pub unit_bytes: u64,
}

/// Signs for units of one version.
#[derive(Debug)]
pub struct Receipts {
    client: Client,
    manifest: Digest,
    /// The lease, and the number of its next acknowledgement.
    next: Option<(LeaseId, u64)>,
    report: Option<ReceiptReport>,
}

impl Receipts {
    /// For what is pulled of the version with this manifest.
    pub fn new(client: &Client, manifest: Digest) -> Self {
        Self { client: client.clone(), manifest, next: None, report: None }
    }

    /// What was signed for so far, and begins anew: one file's receipts.
    pub fn take_report(&mut self) -> Option<ReceiptReport> {
        self.report.take()
    }

    /// Signs for `units` that came under `lease`, once.
    pub async fn give(&mut self, lease: &str, units: Vec<AckedUnits>) -> Result<(), CommandError> {
        if units.is_empty() {
            return Ok(());
        }
        let lease = LeaseId::parse(lease).map_err(|error| CommandError::Unavailable(error.to_string()))?;
        let seq = match self.next.take_if(|(known, _)| *known == lease) {
            Some((_, seq)) => seq,
            None => self.next_number(&lease).await?,
        };
        let ack = Ack { lease: lease.clone(), manifest: self.manifest, seq, units };
        let signature = self.client.sign(&ack.signed_bytes())?;
        let call = Call::post_json(path(["v1", "leases", lease.as_str(), "acks"]), &SignedAck { ack, signature })?;
        let receipt: ReceiptView = self.client.typed(&call).await?;
        let before = self.report.as_ref().map_or(0, |report| report.unit_bytes);
        self.report =
            Some(ReceiptReport { seq, leaf: receipt.leaf, unit_bytes: before.saturating_add(receipt.unit_bytes) });
        self.next = Some((lease, seq + 1));
        Ok(())
    }

    /// The same, again if what has just arrived is not on record yet. That none is taken is said, and is no fault of the
    /// data.
    pub async fn give_at_last(&mut self, session: &mut Session<'_>, lease: &str, units: &[AckedUnits]) {
        for attempt in 1..=ATTEMPTS {
            match self.give(lease, units.to_vec()).await {
                Ok(()) => return,
                Err(error) if attempt < ATTEMPTS && error.is(gateway_api::Code::Conflict) => {
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return session.note(&format!("no receipt was taken: {error}")),
            }
        }
    }

    async fn next_number(&self, lease: &LeaseId) -> Result<u64, CommandError> {
        let view: LeaseView = self.client.typed(&Call::get(path(["v1", "leases", lease.as_str()]))).await?;
        Ok(view.receipts.iter().flatten().map(|receipt| receipt.seq + 1).max().unwrap_or(1))
    }
}

/// The units that `chunks` of a representation of `file` are: row groups by column.
pub fn units<'a>(file: Digest, chunks: impl IntoIterator<Item = &'a ChunkEntry>) -> Vec<AckedUnits> {
    let mut units: Vec<AckedUnits> = Vec::new();
    for chunk in chunks {
        // Footers and indexes are no units.
        let (Some(row_group), Some(column)) = (chunk.row_group, &chunk.column) else { continue };
        let row_group = u64::from(row_group);
        match units.iter_mut().find(|units| units.column == *column) {
            Some(units) => units.row_groups.insert(row_group..row_group + 1),
            None => units.push(AckedUnits {
                file,
                column: column.clone(),
                row_groups: IntervalSet::from(row_group..row_group + 1),
            }),
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_row_groups_by_column() {
        let chunk = |row_group, column: Option<&str>| ChunkEntry {
            row_group,
            column: column.map(str::to_owned),
            offset: 0,
            bytes: 1,
            digest: Digest::of(b""),
        };
        let list = [
            chunk(None, None),
            chunk(Some(0), Some("a")),
            chunk(Some(0), Some("b")),
            chunk(Some(1), Some("a")),
            chunk(Some(3), Some("a")),
            chunk(None, None),
        ];
        let found = units(Digest::of(b"file"), &list);
        let said: Vec<_> = found.iter().map(|units| (units.column.as_str(), units.row_groups.clone().into())).collect();
        let want: [(&str, Vec<(u64, u64)>); 2] = [("a", vec![(0, 2), (3, 4)]), ("b", vec![(0, 1)])];
        assert_eq!(said, want);
        assert!(units(Digest::of(b"file"), &[]).is_empty());
    }
}
