//! Acknowledgements: what a consumer has signed for, and what falls due by it.

use std::collections::BTreeMap;

use catalog::{EvidenceKind, FileIndex, Minor};
use gateway_ledger::{IntervalSet, Month, UnitSet};
use rusqlite::params;

use super::Refusal;
use super::apply::{invalid, stored};
use super::entitlement::{self, Entitlement, LeaseMoney};
use super::meter::units;
use super::scope::Scope;
use crate::transaction::{CommitError, Expect, Receipt};

/// What of one file was receipted for the first time, by the month in which it was sent.
struct Growth<'a> {
    index: &'a FileIndex,
    before: UnitSet,
    by_month: BTreeMap<Month, UnitSet>,
}

pub(super) fn put(scope: &Scope<'_, '_>, receipt: &Receipt) -> Result<(), Refusal> {
    let connection = scope.connection;
    let mut lease = entitlement::lease(connection, &receipt.lease)?;
    let last: i64 = connection
        .prepare_cached("SELECT coalesce(max(number), 0) FROM receipt WHERE lease = ?1")?
        .query_row([lease.seq], |row| row.get(0))?;
    if stored(receipt.number) != last + 1 {
        let (lease, number) = (receipt.lease.clone(), receipt.number);
        return Err(CommitError::Conflict(Expect::NextAck { lease, number }).into());
    }
    let agreement = scope.docs.agreement(connection, &lease.agreement)?;
    let mut entitled = Entitlement::of(connection, &lease.agreement, &lease.dataset, &lease.version)?;
    let growths =
        receipt.units.iter().map(|(index, units)| grow(scope, &lease, index, units)).collect::<Result<Vec<_>, _>>()?;
    let months: Vec<Month> = growths.iter().flat_map(|growth| growth.by_month.keys().copied()).collect();
    let new_bytes: u64 = growths.iter().map(Growth::new_bytes).sum();
    entitled.receipt_bytes += stored(new_bytes);

    let mut amount = 0_i64;
    if agreement.terms.evidence == EvidenceKind::Receipt {
        let mut growths = growths;
        let mut months = months;
        months.sort_unstable();
        months.dedup();
        let now = Month::of(entitlement::at(scope));
        entitled.begin(scope, &mut lease, &agreement, now)?;
        // A repeat brings no new units, and may still be a lease's first.
        let months = if months.is_empty() { vec![now] } else { months };
        for month in months {
            let bytes = entitled.usage.unit_bytes;
            for growth in &mut growths {
                let Some(part) = growth.by_month.remove(&month) else { continue };
                entitled.usage.grow_file(growth.index, &growth.before, &part);
                growth.before = growth.before.union(&part, growth.index);
            }
            let unit_bytes = entitled.usage.unit_bytes - bytes;
            let made = entitled.bill(scope, &mut lease, &agreement, month, unit_bytes)?;
            amount = amount.checked_add(made.amount.0).ok_or_else(|| invalid("an amount beyond 2^63".to_owned()))?;
        }
        lease.keep(connection)?;
    }
    entitled.keep(connection)?;
    let unit_bytes: u64 = receipt.units.iter().map(|(_, units)| units.len()).sum();
    connection
        .prepare_cached(
            "INSERT INTO receipt (lease, number, ack, body, evidence, unit_bytes, new_bytes, currency, amount, leaf, at,
                 subject)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            lease.seq,
            stored(receipt.number),
            receipt.ack.as_bytes(),
            receipt.body,
            receipt.evidence,
            stored(unit_bytes),
            stored(new_bytes),
            agreement.terms.price.currency.as_str(),
            Minor(amount).0,
            scope.index(receipt.leaf)?,
            scope.at_ms,
            receipt.subject,
        ])?;
    Ok(())
}

impl Growth<'_> {
    fn new_bytes(&self) -> u64 {
        self.by_month.values().map(|units| units.len(self.index)).sum()
    }
}

/// INV-4: acknowledged ⊆ sent; and what was acknowledged before is not counted again.
fn grow<'a>(
    scope: &Scope<'_, '_>,
    lease: &LeaseMoney,
    index: &'a FileIndex,
    named: &IntervalSet,
) -> Result<Growth<'a>, Refusal> {
    let connection = scope.connection;
    let (file, agreement) = (index.sha256, lease.agreement.as_str());
    let mut query = connection.prepare_cached(
        "SELECT seq, period, units, receipted FROM delivered
         WHERE agreement = ?1 AND dataset = ?2 AND version = ?3 AND file = ?4 ORDER BY period",
    )?;
    let mut rows = query.query(params![agreement, lease.dataset, lease.version, file.as_bytes()])?;
    let (mut sent, mut before, mut found) = (UnitSet::new(), UnitSet::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (seq, period): (i64, String) = (row.get(0)?, row.get(1)?);
        let (delivered, receipted) = (units(row, 2, agreement, index)?, units(row, 3, agreement, index)?);
        sent = sent.union(&delivered, index);
        before = before.union(&receipted, index);
        let period = Month::parse(&period).map_err(|error| invalid(error.to_string()))?;
        found.push((seq, period, delivered, receipted));
    }
    let named = UnitSet::of(index, named);
    if !named.difference(&sent, index).is_empty() {
        let lease = lease.id.clone();
        return Err(CommitError::Conflict(Expect::Delivered { lease, file }).into());
    }
    let new = named.difference(&before, index);
    let mut by_month = BTreeMap::new();
    for (seq, period, delivered, receipted) in found {
        let part = delivered.intersection(&new, index);
        if part.is_empty() {
            continue;
        }
        let receipted = receipted.union(&part, index);
        connection
            .prepare_cached("UPDATE delivered SET receipted = ?2, receipt_bytes = ?3 WHERE seq = ?1")?
            .execute(params![seq, receipted.to_bytes(), stored(receipted.len(index))])?;
        by_month.insert(period, part);
    }
    Ok(Growth { index, before, by_month })
}
