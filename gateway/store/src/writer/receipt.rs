//! Acknowledgements: what a consumer has signed for, and what falls due by it.

use std::collections::BTreeMap;

use catalog::{EvidenceKind, Minor};
use gateway_ledger::{IntervalSet, Month};
use rusqlite::params;

use super::Refusal;
use super::apply::{invalid, stored};
use super::entitlement::{self, Entitlement, LeaseMoney};
use super::scope::Scope;
use crate::transaction::{CommitError, Expect, Receipt};

/// What of one file was receipted for the first time, by the month in which it was sent.
struct Growth<'a> {
    file: &'a Receipt,
    number: usize,
    before: IntervalSet,
    by_month: BTreeMap<Month, IntervalSet>,
}

pub(super) fn put(scope: &Scope<'_>, receipt: &Receipt) -> Result<(), Refusal> {
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
        (0..receipt.units.len()).map(|number| grow(scope, &lease, receipt, number)).collect::<Result<Vec<_>, _>>()?;
    let months: Vec<Month> = growths.iter().flat_map(|growth| growth.by_month.keys().copied()).collect();
    let new_bytes: u64 = growths.iter().flat_map(|growth| growth.by_month.values()).map(IntervalSet::len).sum();
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
                let Some((index, _)) = growth.file.units.get(growth.number) else { continue };
                let after = growth.before.union(&part);
                entitled.usage.grow_file(index, &growth.before, &after);
                growth.before = after;
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

/// INV-4: acknowledged ⊆ sent; and what was acknowledged before is not counted again.
fn grow<'a>(scope: &Scope<'_>, lease: &LeaseMoney, receipt: &'a Receipt, number: usize) -> Result<Growth<'a>, Refusal> {
    let connection = scope.connection;
    let Some((index, units)) = receipt.units.get(number) else {
        return Err(invalid("an acknowledgement without units".to_owned()));
    };
    let file = index.sha256;
    let mut query = connection.prepare_cached(
        "SELECT seq, period, intervals, receipted FROM delivered
         WHERE agreement = ?1 AND dataset = ?2 AND version = ?3 AND file = ?4 ORDER BY period",
    )?;
    let mut rows = query.query(params![lease.agreement, lease.dataset, lease.version, file.as_bytes()])?;
    let set = |bytes: Vec<u8>| {
        IntervalSet::from_bytes(&bytes)
            .map_err(|error| invalid(format!("what {} was delivered is damaged: {error}", lease.agreement)))
    };
    let (mut sent, mut before, mut found) = (IntervalSet::new(), IntervalSet::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (seq, period): (i64, String) = (row.get(0)?, row.get(1)?);
        let (intervals, receipted) = (set(row.get(2)?)?, set(row.get(3)?)?);
        sent.union_with(&intervals);
        before.union_with(&receipted);
        let period = Month::parse(&period).map_err(|error| invalid(error.to_string()))?;
        found.push((seq, period, intervals, receipted));
    }
    if !units.difference(&sent).is_empty() {
        let lease = receipt.lease.clone();
        return Err(CommitError::Conflict(Expect::Delivered { lease, file }).into());
    }
    let new = units.difference(&before);
    let mut by_month = BTreeMap::new();
    for (seq, period, intervals, mut receipted) in found {
        let part = intervals.intersection(&new);
        if part.is_empty() {
            continue;
        }
        receipted.union_with(&part);
        connection
            .prepare_cached("UPDATE delivered SET receipted = ?2, receipt_bytes = ?3 WHERE seq = ?1")?
            .execute(params![seq, receipted.to_bytes(), stored(receipted.len())])?;
        by_month.insert(period, part);
    }
    Ok(Growth { file: receipt, number, before, by_month })
}
