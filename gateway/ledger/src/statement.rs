//! Metered statements: one line per entitlement (agreement × version) and month (INTERFACE.md, "Statement").
//!
//! What was delivered gives units, rows and bytes; what was posted gives the amounts. Postings of an entitlement add up to
//! exactly what it owes, however they were cut up (see [`crate::charge`]); a credit note is a line of its own.

use std::collections::{BTreeMap, BTreeSet};

use catalog::offer::{Currency, Minor};
use catalog::{Agreement, AgreementId, DatasetId, Digest, FileIndex, ParticipantId, VersionName};
use serde::{Deserialize, Serialize};

use crate::charge::Split;
use crate::month::Month;
use crate::price::{AmountError, Usage};
use crate::units::UnitSet;

/// What one version's file was first delivered of, in one month.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Which version.
    pub version: VersionName,
    /// SHA-256 of the stored file.
    pub file: Digest,
    /// Which month.
    pub period: Month,
    /// What no earlier month had covered.
    pub units: UnitSet,
    /// How many bytes of it the consumer has signed for.
    pub receipt_bytes: u64,
    /// Bytes on the wire, retries included.
    pub wire_bytes: u64,
}

/// What was posted for one version.
#[derive(Debug, Clone)]
pub struct PostedLine {
    /// Of which version.
    pub version: VersionName,
    /// To which month.
    pub period: Month,
    /// For which month.
    pub service_period: Month,
    /// The amounts; negative for a credit note.
    pub split: Split,
    /// The credit note, if it is one.
    pub credit_note: Option<String>,
}

/// Everything delivered and posted under one agreement, of all months up to the one asked for.
#[derive(Debug, Clone)]
pub struct AgreementUse<'a> {
    /// The agreement.
    pub agreement: &'a Agreement,
    /// What was delivered.
    pub deliveries: Vec<Delivery>,
    /// What was posted.
    pub postings: Vec<PostedLine>,
    /// Whether it is known how much tax its prices hold (see [`crate::tax`]).
    pub tax: TaxKnown,
}

/// Whether it is known how much tax amounts hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaxKnown {
    /// `tax` is within the amount.
    Included,
    /// Neither the offer nor the node's configuration says: `tax` is zero because nobody knows better.
    Unknown,
}

/// What shows that bytes were delivered, in unit bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Handed to the consumer's connection and acknowledged by its kernel.
    pub sent: u64,
    /// Those of them that the consumer has signed for.
    pub receipt: u64,
}

/// One entitlement in one month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Agreement.
    pub agreement: AgreementId,
    /// Dataset.
    pub dataset: DatasetId,
    /// Version.
    pub version: VersionName,
    /// Whose data.
    pub provider: ParticipantId,
    /// Who received them.
    pub consumer: ParticipantId,
    /// Who registered them.
    pub broker: ParticipantId,
    /// Units of which a byte was delivered for the first time.
    pub units: u64,
    /// Rows delivered for the first time, by the largest delivered fraction of each row group.
    pub rows: u64,
    /// Stored bytes of units delivered for the first time.
    pub unit_bytes: u64,
    /// Bytes on the wire, retries included.
    pub wire_bytes: u64,
    /// What the month costs.
    pub amount: Minor,
    /// The broker's part of it.
    pub fee: Minor,
    /// The tax within it.
    pub tax: Minor,
    /// Whether that is known.
    pub vat: TaxKnown,
    /// What shows the delivery.
    pub evidence: Evidence,
    /// The credit note that this line is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit_note: Option<String>,
    /// The month that is corrected by a credit note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_period: Option<Month>,
}

/// The lines in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// Their currency.
    pub currency: Currency,
    /// By agreement and version.
    pub lines: Vec<Line>,
    /// Sum of the lines' amounts.
    pub total: Minor,
}

/// Why a statement cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The caller did not give the index of a delivered file.
    #[error("the index of file {file}, delivered under `{agreement}`, is missing")]
    IndexMissing {
        /// Under which agreement.
        agreement: AgreementId,
        /// Which file.
        file: Digest,
    },
    /// An amount does not fit.
    #[error("under `{agreement}`: {source}")]
    Amount {
        /// Under which agreement.
        agreement: AgreementId,
        /// Why.
        source: AmountError,
    },
}

/// The statements of `month`, one per currency, of the agreements in `uses`. `index` gives the index of a stored file.
///
/// A line is there if anything was sent or falls due in the month.
pub fn statements<'i>(
    month: Month,
    uses: &[AgreementUse<'_>],
    index: impl Fn(&Digest) -> Option<&'i FileIndex>,
) -> Result<Vec<Statement>, StatementError> {
    let mut by_currency: BTreeMap<Currency, Vec<Line>> = BTreeMap::new();
    for used in uses {
        let lines = by_currency.entry(used.agreement.terms.price.currency).or_default();
        let delivered = used.deliveries.iter().map(|delivery| &delivery.version);
        let versions: BTreeSet<&VersionName> =
            delivered.chain(used.postings.iter().map(|posting| &posting.version)).collect();
        for version in versions {
            lines.extend(line(month, used, version, &index)?);
            lines.extend(credit_notes(month, used, version));
        }
    }
    by_currency.retain(|_, lines| !lines.is_empty());
    by_currency
        .into_iter()
        .map(|(currency, mut lines)| {
            lines.sort_by(|a, b| {
                (&a.agreement, &a.version, &a.credit_note).cmp(&(&b.agreement, &b.version, &b.credit_note))
            });
            let total = lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.amount.0));
            let agreement = || lines.first().map(|line| line.agreement.clone());
            match (total, agreement()) {
                (None, Some(agreement)) => Err(StatementError::Amount { agreement, source: AmountError }),
                (total, _) => Ok(Statement { currency, total: Minor(total.unwrap_or(0)), lines }),
            }
        })
        .collect()
}

fn line<'i>(
    month: Month,
    used: &AgreementUse<'_>,
    version: &VersionName,
    index: &impl Fn(&Digest) -> Option<&'i FileIndex>,
) -> Result<Option<Line>, StatementError> {
    let agreement = used.agreement;
    let before = usage(used, version, |period| period < month, index)?;
    let through = usage(used, version, |period| period <= month, index)?;
    let overflow = |source| StatementError::Amount { agreement: agreement.id.clone(), source };
    let posted = used
        .postings
        .iter()
        .filter(|posting| posting.version == *version && posting.period == month && posting.credit_note.is_none())
        .try_fold(Split::default(), |sum, posting| sum.plus(&posting.split))
        .map_err(overflow)?;
    let wire_bytes: u64 = used
        .deliveries
        .iter()
        .filter(|delivery| delivery.version == *version && delivery.period == month)
        .map(|delivery| delivery.wire_bytes)
        .sum();
    let unit_bytes = through.unit_bytes - before.unit_bytes;
    if wire_bytes == 0 && unit_bytes == 0 && posted.is_zero() {
        return Ok(None);
    }
    let rows = through.rows.floor() - before.rows.floor();
    let receipt = used
        .deliveries
        .iter()
        .filter(|delivery| delivery.version == *version && delivery.period == month)
        .map(|delivery| delivery.receipt_bytes)
        .sum();
    Ok(Some(Line {
        units: through.units - before.units,
        rows: u64::try_from(rows).unwrap_or(u64::MAX),
        unit_bytes,
        wire_bytes,
        evidence: Evidence { sent: unit_bytes, receipt },
        ..bare(used, version, &posted)
    }))
}

/// A line about money only.
fn bare(used: &AgreementUse<'_>, version: &VersionName, split: &Split) -> Line {
    let agreement = used.agreement;
    Line {
        agreement: agreement.id.clone(),
        dataset: agreement.dataset.clone(),
        version: version.clone(),
        provider: agreement.provider.clone(),
        consumer: agreement.participant.clone(),
        broker: agreement.broker.clone(),
        units: 0,
        rows: 0,
        unit_bytes: 0,
        wire_bytes: 0,
        amount: split.amount,
        fee: split.fee,
        tax: split.tax,
        vat: used.tax,
        evidence: Evidence { sent: 0, receipt: 0 },
        credit_note: None,
        service_period: None,
    }
}

fn credit_notes<'a>(month: Month, used: &'a AgreementUse<'_>, version: &'a VersionName) -> impl Iterator<Item = Line> {
    used.postings.iter().filter(move |posting| posting.version == *version && posting.period == month).filter_map(
        |posting| {
            let credit_note = Some(posting.credit_note.clone()?);
            let service_period = Some(posting.service_period);
            Some(Line { credit_note, service_period, ..bare(used, version, &posting.split) })
        },
    )
}

/// What `version` was delivered in the months that `counts`.
fn usage<'i>(
    used: &AgreementUse<'_>,
    version: &VersionName,
    counts: impl Fn(Month) -> bool,
    index: &impl Fn(&Digest) -> Option<&'i FileIndex>,
) -> Result<Usage, StatementError> {
    let mut files: BTreeMap<Digest, (&FileIndex, UnitSet)> = BTreeMap::new();
    for delivery in &used.deliveries {
        if delivery.version != *version || !counts(delivery.period) || delivery.units.is_empty() {
            continue;
        }
        let missing = || StatementError::IndexMissing { agreement: used.agreement.id.clone(), file: delivery.file };
        let index = index(&delivery.file).ok_or_else(missing)?;
        let (_, units) = files.entry(delivery.file).or_insert_with(|| (index, UnitSet::new()));
        *units = units.union(&delivery.units, index);
    }
    let mut usage = Usage::default();
    for (index, units) in files.values() {
        usage.add_file(index, units);
    }
    Ok(usage)
}

#[cfg(test)]
mod tests;
