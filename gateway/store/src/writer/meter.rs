//! Metering: what was delivered for the first time.

use catalog::{AgreementId, DatasetId, Digest, LeaseId, VersionName};
use gateway_ledger::{IntervalSet, Month};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Refusal;
use super::apply::{bounded, invalid, stored};

/// What a consumer pays for once.
pub(super) struct Entitlement {
    pub(super) agreement: AgreementId,
    pub(super) dataset: DatasetId,
    pub(super) version: VersionName,
}

/// What one report says was delivered.
pub(super) struct Delivery {
    pub(super) file: Digest,
    pub(super) period: Month,
    pub(super) intervals: IntervalSet,
    pub(super) rows: Option<u64>,
    pub(super) wire_bytes: u64,
}

/// INV-4: what any period of the entitlement holds already is not counted again.
pub(super) fn deliver(
    connection: &Connection,
    lease: &LeaseId,
    entitlement: &Entitlement,
    delivery: &Delivery,
) -> Result<(), Refusal> {
    let of_lease: Option<(String, String, String, String, String)> = connection
        .prepare_cached("SELECT agreement, dataset, version, participant, provider FROM lease WHERE id = ?1")?
        .query_row([lease.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((agreement, dataset, version, consumer, provider)) = of_lease else {
        return Err(invalid(format!("there is no lease `{lease}` to deliver under")));
    };
    let Entitlement { agreement: ours, dataset: of, version: at } = entitlement;
    if (agreement.as_str(), dataset.as_str(), version.as_str()) != (ours.as_str(), of.as_str(), at.as_str()) {
        return Err(invalid(format!("lease `{lease}` is of {agreement}, {dataset}@{version}, not {ours}, {of}@{at}")));
    }
    let end = delivery.intervals.iter().next_back().map_or(0, |range| range.end);
    bounded("a delivered offset", end)?;

    let period = delivery.period.to_string();
    let file = delivery.file.as_bytes();
    let mut new = delivery.intervals.clone();
    let mut this_period = IntervalSet::new();
    let mut held = connection.prepare_cached(
        "SELECT period, intervals FROM delivered WHERE agreement = ?1 AND dataset = ?2 AND version = ?3 AND file = ?4",
    )?;
    let mut rows = held.query(params![agreement, dataset, version, file])?;
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(1)?;
        let before = IntervalSet::from_bytes(&bytes)
            .map_err(|error| invalid(format!("what {agreement} was delivered is damaged: {error}")))?;
        new = new.difference(&before);
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
        .execute(params![lease.as_str(), wire_bytes, new_bytes, first])?;
    Ok(())
}
