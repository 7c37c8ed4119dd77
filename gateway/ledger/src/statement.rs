//! Metered statements: one line per entitlement (agreement × version) and month (INTERFACE.md, "Statement").
//!
//! A month's amount is the floor of the total through it less the floor of the total before it, so the months of an
//! entitlement add up to exactly what it owes.

use std::collections::{BTreeMap, BTreeSet};

use catalog::offer::{Currency, Minor, Period};
use catalog::{Agreement, AgreementId, DatasetId, Digest, FileIndex, ParticipantId, PriceModel, VersionName};
use serde::Serialize;

use crate::interval::IntervalSet;
use crate::month::Month;
use crate::price::{self, AmountError, Usage};

/// What one version's file was first delivered of, in one month.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Which version.
    pub version: VersionName,
    /// SHA-256 of the stored file.
    pub file: Digest,
    /// Which month.
    pub period: Month,
    /// Bytes that no earlier month had covered.
    pub intervals: IntervalSet,
    /// Unit bytes sent in the month, repeats included.
    pub data_bytes: u64,
    /// Bytes on the wire, retries included.
    pub wire_bytes: u64,
}

/// A lease that sent a data byte.
#[derive(Debug, Clone)]
pub struct Pull {
    /// Of which version.
    pub version: VersionName,
    /// The month of its first.
    pub period: Month,
}

/// Everything delivered under one agreement, of all months up to the one asked for.
#[derive(Debug, Clone)]
pub struct AgreementUse<'a> {
    /// The agreement.
    pub agreement: &'a Agreement,
    /// In the order of their first delivery: of the versions first used in a subscription period, the first bears it.
    pub deliveries: Vec<Delivery>,
    /// Its leases.
    pub pulls: Vec<Pull>,
}

/// What shows that bytes were delivered, in unit bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Handed to the consumer's connection.
    pub sent: u64,
    /// Acknowledged by the consumer's signature.
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
    /// What shows the delivery.
    pub evidence: Evidence,
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
        let versions: BTreeSet<&VersionName> = used.deliveries.iter().map(|delivery| &delivery.version).collect();
        for version in versions {
            if let Some(line) = line(month, used, version, &index)? {
                by_currency.entry(used.agreement.terms.price.currency).or_default().push(line);
            }
        }
    }
    by_currency
        .into_iter()
        .map(|(currency, mut lines)| {
            lines.sort_by(|a, b| (&a.agreement, &a.version).cmp(&(&b.agreement, &b.version)));
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
    let amounts = |usage: &Usage| {
        let source = |source| StatementError::Amount { agreement: agreement.id.clone(), source };
        let amount = price::due(&agreement.terms.price, usage).map_err(source)?;
        Ok((amount, price::fee(agreement.terms.fee.as_ref(), amount)))
    };
    let (amount_before, fee_before) = amounts(&before)?;
    let (amount_through, fee_through) = amounts(&through)?;
    let amount = Minor(amount_through.0 - amount_before.0);
    let fee = match agreement.terms.fee.as_ref() {
        // A fixed fee belongs to the line, a rate to the total.
        Some(fixed @ catalog::Fee::Fixed { .. }) => price::fee(Some(fixed), amount),
        _ => Minor(fee_through.0 - fee_before.0),
    };
    let wire_bytes: u64 = used
        .deliveries
        .iter()
        .filter(|delivery| delivery.version == *version && delivery.period == month)
        .map(|delivery| delivery.wire_bytes)
        .sum();
    let unit_bytes = through.unit_bytes - before.unit_bytes;
    if wire_bytes == 0 && unit_bytes == 0 && amount.0 == 0 {
        return Ok(None);
    }
    let rows = through.rows.floor() - before.rows.floor();
    Ok(Some(Line {
        agreement: agreement.id.clone(),
        dataset: agreement.dataset.clone(),
        version: version.clone(),
        provider: agreement.provider.clone(),
        consumer: agreement.participant.clone(),
        broker: agreement.broker.clone(),
        units: through.units - before.units,
        rows: u64::try_from(rows).unwrap_or(u64::MAX),
        unit_bytes,
        wire_bytes,
        amount,
        fee,
        evidence: Evidence { sent: unit_bytes, receipt: 0 },
    }))
}

/// What `version` was delivered in the months that `counts`.
fn usage<'i>(
    used: &AgreementUse<'_>,
    version: &VersionName,
    counts: impl Fn(Month) -> bool,
    index: &impl Fn(&Digest) -> Option<&'i FileIndex>,
) -> Result<Usage, StatementError> {
    let mut files: BTreeMap<Digest, IntervalSet> = BTreeMap::new();
    for delivery in &used.deliveries {
        if delivery.version == *version && counts(delivery.period) {
            files.entry(delivery.file).or_default().union_with(&delivery.intervals);
        }
    }
    let mut usage = Usage::default();
    for (file, intervals) in files.iter().filter(|(_, intervals)| !intervals.is_empty()) {
        let missing = || StatementError::IndexMissing { agreement: used.agreement.id.clone(), file: *file };
        usage.add_file(index(file).ok_or_else(missing)?, intervals);
    }
    let pulls = used.pulls.iter().filter(|pull| pull.version == *version && counts(pull.period)).count();
    usage.pulls = u64::try_from(pulls).unwrap_or(u64::MAX);
    usage.periods = subscribed(used, version, counts);
    Ok(usage)
}

/// How many subscription periods `version` bears: one is charged in its first month with a data byte, once per
/// agreement, to the version that was sent first in that month.
fn subscribed(used: &AgreementUse<'_>, version: &VersionName, counts: impl Fn(Month) -> bool) -> u64 {
    let price = &used.agreement.terms.price;
    if price.model != PriceModel::Subscription {
        return 0;
    }
    let mut bearers: BTreeMap<(i16, i8), (Month, &VersionName)> = BTreeMap::new();
    for delivery in used.deliveries.iter().filter(|delivery| delivery.data_bytes > 0) {
        let month = delivery.period;
        let period = match price.period.unwrap_or(Period::Month) {
            Period::Month => (month.year(), month.month()),
            Period::Year => (month.year(), 0),
        };
        let bearer = bearers.entry(period).or_insert((month, &delivery.version));
        if month < bearer.0 {
            *bearer = (month, &delivery.version);
        }
    }
    let borne = bearers.values().filter(|(month, bearer)| *bearer == version && counts(*month)).count();
    u64::try_from(borne).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
