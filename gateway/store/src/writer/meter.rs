//! Metering: what was delivered for the first time.

use catalog::{AgreementId, DatasetId, Digest, EvidenceKind, FileIndex, LeaseId, VersionName};
use gateway_ledger::{IntervalSet, Month, UnitSet};
use rusqlite::{Row, params};

use super::Refusal;
use super::apply::{bounded, invalid, stored};
use super::database::Database;
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
    scope: &Scope<'_, '_>,
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
    let data_bytes = stored(delivery.intervals.len());
    let counted = if data_bytes > 0 { Some(count(connection, &lease, delivery)?) } else { None };
    let new_bytes = counted.as_ref().map_or(0, |counted| stored(counted.new_bytes));
    // What brings nothing new leaves the units as they stand.
    let units = counted.as_ref().filter(|_| new_bytes > 0).map(|counted| counted.this_period.to_bytes());
    let period = delivery.period.to_string();
    let wire_bytes = bounded("a count of wire bytes", delivery.wire_bytes)?;
    let counted_rows = delivery.rows.map(|rows| bounded("a count of rows", rows)).transpose()?;
    connection
        .prepare_cached(
            "INSERT INTO delivered (agreement, dataset, version, file, period, consumer, provider, units,
                 unit_bytes, data_bytes, rows, wire_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce(?8, x''), ?9, ?10, ?11, ?12)
             ON CONFLICT (agreement, dataset, version, file, period) DO UPDATE SET
                 units = coalesce(?8, units),
                 unit_bytes = unit_bytes + excluded.unit_bytes,
                 data_bytes = data_bytes + excluded.data_bytes,
                 rows = CASE WHEN excluded.rows IS NULL THEN rows ELSE coalesce(rows, 0) + excluded.rows END,
                 wire_bytes = wire_bytes + excluded.wire_bytes",
        )?
        .execute(params![
            agreement,
            dataset,
            version,
            delivery.file.as_bytes(),
            period,
            consumer,
            provider,
            units,
            new_bytes,
            data_bytes,
            counted_rows,
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
    counted.map_or(Ok(()), |counted| bill(scope, &mut lease, delivery, &counted))
}

/// A delivery beside what the entitlement had of the file.
struct Counted<'a> {
    index: &'a FileIndex,
    /// In any period.
    earlier: UnitSet,
    /// What was not in `earlier`.
    new: UnitSet,
    new_bytes: u64,
    /// What the delivery's period then holds.
    this_period: UnitSet,
}

fn count<'a>(connection: &Database<'_>, lease: &LeaseMoney, delivery: &Delivery<'a>) -> Result<Counted<'a>, Refusal> {
    let file = delivery.file;
    let index = delivery.index.filter(|index| index.sha256 == file);
    let index = index.ok_or_else(|| invalid(format!("a delivery of file {file} comes without its index")))?;
    let end = delivery.intervals.iter().next_back().map_or(0, |range| range.end);
    if end > index.bytes {
        return Err(invalid(format!("a delivery reaches to byte {end} of file {file}, which has {}", index.bytes)));
    }
    let period = delivery.period.to_string();
    let (mut this_period, mut earlier) = (UnitSet::new(), UnitSet::new());
    let LeaseMoney { agreement, dataset, version, .. } = lease;
    let mut held = connection.prepare_cached(
        "SELECT period, units FROM delivered WHERE agreement = ?1 AND dataset = ?2 AND version = ?3 AND file = ?4",
    )?;
    let mut rows = held.query(params![agreement, dataset, version, file.as_bytes()])?;
    while let Some(row) = rows.next()? {
        let before = units(row, 1, agreement, index)?;
        earlier = earlier.union(&before, index);
        if row.get_ref(0)?.as_str().is_ok_and(|held| held == period) {
            this_period = before;
        }
    }
    let new = UnitSet::of(index, delivery.intervals).difference(&earlier, index);
    let this_period = this_period.union(&new, index);
    Ok(Counted { index, earlier, new_bytes: new.len(index), new, this_period })
}

/// Reads a set of units under `agreement`.
pub(super) fn units(row: &Row<'_>, column: usize, agreement: &str, index: &FileIndex) -> Result<UnitSet, Refusal> {
    let bytes = row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?;
    UnitSet::from_bytes(bytes, index)
        .map_err(|error| invalid(format!("what {agreement} was delivered is damaged: {error}")))
}

/// Posts what a delivery makes due, unless the offer waits for receipts.
fn bill(
    scope: &Scope<'_, '_>,
    lease: &mut LeaseMoney,
    delivery: &Delivery<'_>,
    counted: &Counted<'_>,
) -> Result<(), Refusal> {
    let connection = scope.connection;
    let Counted { index, earlier, new, new_bytes, .. } = counted;
    let agreement = scope.docs.agreement(connection, &lease.agreement)?;
    let mut entitled = Entitled::of(connection, &lease.agreement, &lease.dataset, &lease.version)?;
    entitled.sent_bytes += stored(*new_bytes);
    if agreement.terms.evidence == EvidenceKind::Sent {
        entitled.begin(scope, lease, &agreement, delivery.period)?;
        entitled.usage.grow_file(index, earlier, new);
        entitled.bill(scope, lease, &agreement, delivery.period, *new_bytes)?;
        lease.keep(connection)?;
    }
    entitled.keep(connection)
}
