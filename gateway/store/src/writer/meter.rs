//! Metering: what was delivered for the first time.

use catalog::{AgreementId, DatasetId, Digest, EvidenceKind, FileIndex, LeaseId, VersionName};
use gateway_ledger::{IntervalSet, Month};
use rusqlite::params;

use super::Refusal;
use super::apply::{bounded, invalid, stored};
use super::entitlement::{self, Entitlement as Entitled, LeaseMoney};
use super::scope::Scope;

/// What a consumer pays for once.
pub(super) struct Entitlement<'a> {
    pub(super) agreement: &'a AgreementId,
    pub(super) dataset: &'a DatasetId,
    pub(super) version: &'a VersionName,
}

/// What one report says was delivered.
pub(super) struct Delivery<'a> {
    pub(super) file: Digest,
    pub(super) index: Option<&'a FileIndex>,
    pub(super) period: Month,
    pub(super) intervals: &'a IntervalSet,
    pub(super) rows: Option<u64>,
    pub(super) wire_bytes: u64,
}

/// INV-4: what any period of the entitlement holds already is not counted again.
pub(super) fn deliver(
    scope: &Scope<'_>,
    id: &LeaseId,
    entitlement: &Entitlement<'_>,
    delivery: &Delivery<'_>,
) -> Result<(), Refusal> {
    let connection = scope.connection;
    let mut lease = entitlement::lease(connection, id)?;
    let LeaseMoney { agreement, dataset, version, participant: consumer, provider, .. } = &lease;
    let Entitlement { agreement: ours, dataset: of, version: at } = entitlement;
    if (agreement.as_str(), dataset.as_str(), version.as_str()) != (ours.as_str(), of.as_str(), at.as_str()) {
        return Err(invalid(format!("lease `{id}` is of {agreement}, {dataset}@{version}, not {ours}, {of}@{at}")));
    }
    let end = delivery.intervals.iter().next_back().map_or(0, |range| range.end);
    bounded("a delivered offset", end)?;

    let period = delivery.period.to_string();
    let file = delivery.file.as_bytes();
    let mut new = delivery.intervals.clone();
    let (mut this_period, mut earlier) = (IntervalSet::new(), IntervalSet::new());
    let mut held = connection.prepare_cached(
        "SELECT period, intervals FROM delivered WHERE agreement = ?1 AND dataset = ?2 AND version = ?3 AND file = ?4",
    )?;
    let mut rows = held.query(params![agreement, dataset, version, file])?;
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(1)?;
        let before = IntervalSet::from_bytes(&bytes)
            .map_err(|error| invalid(format!("what {agreement} was delivered is damaged: {error}")))?;
        new = new.difference(&before);
        earlier.union_with(&before);
        if row.get_ref(0)?.as_str().is_ok_and(|held| held == period) {
            this_period = before;
        }
    }
    drop(rows);
    this_period.union_with(&new);
    let (new_bytes, data_bytes) = (stored(new.len()), stored(delivery.intervals.len()));
    let wire_bytes = bounded("a count of wire bytes", delivery.wire_bytes)?;
    let counted = delivery.rows.map(|rows| bounded("a count of rows", rows)).transpose()?;
    connection
        .prepare_cached(
            "INSERT INTO delivered (agreement, dataset, version, file, period, consumer, provider, intervals,
                 unit_bytes, data_bytes, rows, wire_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (agreement, dataset, version, file, period) DO UPDATE SET
                 intervals = excluded.intervals,
                 unit_bytes = unit_bytes + excluded.unit_bytes,
                 data_bytes = data_bytes + excluded.data_bytes,
                 rows = CASE WHEN excluded.rows IS NULL THEN rows ELSE coalesce(rows, 0) + excluded.rows END,
                 wire_bytes = wire_bytes + excluded.wire_bytes",
        )?
        .execute(params![
            agreement,
            dataset,
            version,
            file,
            period,
            consumer,
            provider,
            this_period.to_bytes(),
            new_bytes,
            data_bytes,
            counted,
            wire_bytes,
        ])?;
    // A lease belongs to the period of its first data byte, even if those bytes were delivered before.
    let first = (data_bytes > 0).then_some(period);
    connection
        .prepare_cached(
            "UPDATE lease SET sent_bytes = sent_bytes + ?2, unit_bytes = unit_bytes + ?3,
                 first_period = coalesce(first_period, ?4)
             WHERE id = ?1",
        )?
        .execute(params![id.as_str(), wire_bytes, new_bytes, first])?;
    if data_bytes > 0 { bill(scope, &mut lease, delivery, &earlier, &new) } else { Ok(()) }
}

/// Posts what a delivery makes due, unless the offer waits for receipts.
fn bill(
    scope: &Scope<'_>,
    lease: &mut LeaseMoney,
    delivery: &Delivery<'_>,
    earlier: &IntervalSet,
    new: &IntervalSet,
) -> Result<(), Refusal> {
    let connection = scope.connection;
    let file = delivery.file;
    let index = delivery.index.as_ref().filter(|index| index.sha256 == file);
    let index = index.ok_or_else(|| invalid(format!("a delivery of file {file} comes without its index")))?;
    let agreement = scope.docs.agreement(connection, &lease.agreement)?;
    let mut entitled = Entitled::of(connection, &lease.agreement, &lease.dataset, &lease.version)?;
    entitled.sent_bytes += stored(new.len());
    if agreement.terms.evidence == EvidenceKind::Sent {
        entitled.begin(scope, lease, &agreement, delivery.period)?;
        entitled.usage.grow_file(index, earlier, &earlier.union(new));
        entitled.bill(scope, lease, &agreement, delivery.period, new.len())?;
        lease.keep(connection)?;
    }
    entitled.keep(connection)
}
