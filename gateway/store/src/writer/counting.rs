//! Whom a year's exports concern: numbers for persons, and reservations that are given back when nothing left.
//!
//! INVARIANT (reservations): an exporter's totals are those of the shares that some lease holds, and of what was counted
//! before reservations were kept. A lease lets go of its shares only when it has ended and no stream under it is open or
//! was used.

use catalog::{DatasetId, Digest, LeaseId, ParticipantId, VersionName};
use gateway_ledger::{Contribution, Keyset, PersonSet};
use rusqlite::{OptionalExtension as _, params};

use super::Refusal;
use super::apply::{bounded, invalid};
use super::database::Database;
use super::remembered::Remembered;
use super::scope::Scope;
use crate::transaction::PersonKey;

/// Rows of shares that leases hold, by what they are: nearly every lease reserves what others have reserved.
pub(super) type Shares = Remembered<HeldShare, i64>;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HeldShare {
    exporter: ParticipantId,
    year: i16,
    dataset: DatasetId,
    version: VersionName,
    persons: u64,
    sensitive: u64,
    keys: Option<Digest>,
    keyed_sensitive: bool,
}

/// What a lease reserves.
pub(super) struct Share<'a> {
    pub(super) dataset: &'a DatasetId,
    pub(super) version: &'a VersionName,
    pub(super) contribution: &'a Contribution,
    pub(super) keys: Option<Digest>,
}

fn tally(connection: &Database<'_>, exporter: &ParticipantId, year: i16) -> Result<i64, Refusal> {
    let found = connection
        .prepare_cached("SELECT id FROM tally WHERE exporter = ?1 AND year = ?2")?
        .query_row(params![exporter.as_str(), year], |row| row.get(0))
        .optional()?;
    match found {
        Some(id) => Ok(id),
        None => Ok(connection
            .prepare_cached("INSERT INTO tally (exporter, year) VALUES (?1, ?2)")?
            .insert(params![exporter.as_str(), year])?),
    }
}

pub(super) fn put_persons(
    connection: &Database<'_>,
    exporter: &ParticipantId,
    year: i16,
    keys: &[PersonKey],
) -> Result<(), Refusal> {
    let tally = tally(connection, exporter, year)?;
    let mut next: i64 = connection
        .prepare_cached("SELECT next_person FROM tally WHERE id = ?1")?
        .query_row([tally], |row| row.get(0))?;
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO person (tally, mac, person) VALUES (?1, ?2, ?3)")?;
    for key in keys {
        if next > i64::from(u32::MAX) {
            return Err(invalid(format!("`{exporter}` has more than 2^32 persons in {year}")));
        }
        next += i64::try_from(insert.execute(params![tally, key, next])?).unwrap_or(0);
    }
    connection.prepare_cached("UPDATE tally SET next_person = ?2 WHERE id = ?1")?.execute(params![tally, next])?;
    Ok(())
}

pub(super) fn put_keyset(
    connection: &Database<'_>,
    exporter: &ParticipantId,
    year: i16,
    scope: Digest,
    keys: &Keyset,
) -> Result<(), Refusal> {
    let tally = tally(connection, exporter, year)?;
    let blank_rows = bounded("a count of rows", keys.blank_rows)?;
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO keyset (tally, scope, persons, sensitive, blank_rows) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![tally, scope.as_bytes(), keys.persons.to_bytes(), keys.sensitive.to_bytes(), blank_rows])?;
    Ok(())
}

/// POLICY.md, "Counting". The revision moves only when a total does.
pub(super) fn reserve(
    scope: &Scope<'_, '_>,
    lease: &LeaseId,
    exporter: &ParticipantId,
    year: i16,
    share: &Share<'_>,
) -> Result<(), Refusal> {
    let connection = scope.connection;
    let Share { dataset, version, contribution, keys } = share;
    let lease_seq =
        scope.row_of(lease)?.ok_or_else(|| invalid(format!("there is no lease `{lease}` to reserve for")))?;
    if contribution.keyed != keys.is_some() || (contribution.keyed_sensitive && !contribution.keyed) {
        return Err(invalid("a keyed contribution names its keyset, and no other does".to_owned()));
    }
    let what = HeldShare {
        exporter: exporter.clone(),
        year,
        dataset: (*dataset).clone(),
        version: (*version).clone(),
        persons: contribution.persons,
        sensitive: contribution.sensitive,
        keys: *keys,
        keyed_sensitive: contribution.keyed_sensitive,
    };
    // Then no total moves.
    if let Some(row) = scope.shares.get(&what) {
        return hold(connection, lease_seq, row);
    }
    let tally = tally(connection, exporter, year)?;
    let keyset = match keys {
        Some(scope) => find_keyset(connection, tally, *scope)?
            .ok_or_else(|| invalid(format!("`{exporter}` has no keyset {scope} in {year}")))?,
        None => 0,
    };
    let persons = bounded("a count of persons", contribution.persons)?;
    let sensitive = bounded("a count of persons", contribution.sensitive)?;
    let row =
        params![tally, dataset.as_str(), version.as_str(), persons, sensitive, keyset, contribution.keyed_sensitive];
    let held: Option<i64> = connection
        .prepare_cached(
            "SELECT seq FROM share WHERE tally = ?1 AND dataset = ?2 AND version = ?3 AND persons = ?4
                 AND sensitive = ?5 AND keyset = ?6 AND keyed_sensitive = ?7",
        )?
        .query_row(row, |row| row.get(0))
        .optional()?;
    if let Some(share) = held {
        scope.shares.put(what, share);
        return hold(connection, lease_seq, share);
    }
    let before = numbers(connection, tally, dataset.as_str())?;
    let share = connection
        .prepare_cached(
            "INSERT INTO share (tally, dataset, version, persons, sensitive, keyset, keyed_sensitive)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .insert(row)?;
    scope.shares.put(what, share);
    hold(connection, lease_seq, share)?;
    let mut union = Unions::read(connection, tally)?;
    let grown = union.add(connection, keyset, contribution.keyed_sensitive)?;
    if grown {
        union.write(connection, tally)?;
    }
    if grown || numbers(connection, tally, dataset.as_str())? != before {
        bump(connection, tally)?;
    }
    Ok(())
}

fn hold(connection: &Database<'_>, lease: i64, share: i64) -> Result<(), Refusal> {
    connection
        .prepare_cached("INSERT INTO reservation (lease, share) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute([lease, share])?;
    Ok(())
}

/// The largest numbers of a dataset that no key tells apart.
fn numbers(connection: &Database<'_>, tally: i64, dataset: &str) -> Result<(i64, i64), Refusal> {
    let mut query = connection.prepare_cached(
        "SELECT coalesce(max(persons), 0), coalesce(max(sensitive), 0) FROM share WHERE tally = ?1 AND dataset = ?2",
    )?;
    Ok(query.query_row(params![tally, dataset], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

fn find_keyset(connection: &Database<'_>, tally: i64, scope: Digest) -> Result<Option<i64>, Refusal> {
    let mut query = connection.prepare_cached("SELECT seq FROM keyset WHERE tally = ?1 AND scope = ?2")?;
    Ok(query.query_row(params![tally, scope.as_bytes()], |row| row.get(0)).optional()?)
}

fn bump(connection: &Database<'_>, tally: i64) -> Result<(), Refusal> {
    connection.prepare_cached("UPDATE tally SET revision = revision + 1 WHERE id = ?1")?.execute([tally])?;
    Ok(())
}

pub(super) fn open_stream(connection: &Database<'_>, lease: &LeaseId) -> Result<(), Refusal> {
    let opened =
        connection.prepare_cached("UPDATE lease SET streams = streams + 1 WHERE id = ?1")?.execute([lease.as_str()])?;
    if opened == 0 { Err(invalid(format!("there is no lease `{lease}` to stream under"))) } else { Ok(()) }
}

pub(super) fn close_untouched(scope: &Scope<'_, '_>, lease: &LeaseId) -> Result<(), Refusal> {
    let closed: Option<i64> = scope
        .connection
        .prepare_cached("UPDATE lease SET streams = streams - 1 WHERE id = ?1 AND streams > 0 RETURNING seq")?
        .query_row([lease.as_str()], |row| row.get(0))
        .optional()?;
    closed.map_or(Ok(()), |lease| release(scope, lease))
}

/// Gives back what an ended lease reserved, if nothing of it can have left: called when a lease ends, and when a stream
/// that was still open then turns out unused.
pub(super) fn release(scope: &Scope<'_, '_>, lease: i64) -> Result<(), Refusal> {
    let connection = scope.connection;
    let idle: bool = connection
        .prepare_cached("SELECT state <> 'active' AND streams = 0 FROM lease WHERE seq = ?1")?
        .query_row([lease], |row| row.get(0))?;
    if !idle {
        return Ok(());
    }
    let mut held = connection.prepare_cached(
        "SELECT share.seq, share.tally FROM reservation JOIN share ON share.seq = reservation.share WHERE lease = ?1",
    )?;
    let shares: Vec<(i64, i64)> =
        held.query_map([lease], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    connection.prepare_cached("DELETE FROM reservation WHERE lease = ?1")?.execute([lease])?;
    for (share, tally) in shares {
        let gone = connection
            .prepare_cached(
                "DELETE FROM share WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM reservation WHERE share = ?1)",
            )?
            .execute([share])?;
        if gone > 0 {
            scope.shares.forget();
            recount(connection, tally)?;
        }
    }
    Ok(())
}

/// The unions of what is still reserved.
fn recount(connection: &Database<'_>, tally: i64) -> Result<(), Refusal> {
    let mut query = connection.prepare_cached(
        "SELECT keyset, max(keyed_sensitive) FROM share WHERE tally = ?1 AND keyset > 0 GROUP BY keyset",
    )?;
    let held: Vec<(i64, bool)> =
        query.query_map([tally], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut union = Unions::default();
    for (keyset, keyed_sensitive) in held {
        union.add(connection, keyset, keyed_sensitive)?;
    }
    union.write(connection, tally)?;
    bump(connection, tally)
}

/// Everybody who is reserved in a year.
#[derive(Default)]
struct Unions {
    persons: PersonSet,
    sensitive: PersonSet,
}

impl Unions {
    fn read(connection: &Database<'_>, tally: i64) -> Result<Self, Refusal> {
        let mut query = connection.prepare_cached("SELECT persons, sensitive FROM tally WHERE id = ?1")?;
        let (persons, sensitive): (Vec<u8>, Vec<u8>) =
            query.query_row([tally], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self { persons: set(&persons)?, sensitive: set(&sensitive)? })
    }

    /// Adds a keyset; whether anybody was new.
    fn add(&mut self, connection: &Database<'_>, keyset: i64, keyed_sensitive: bool) -> Result<bool, Refusal> {
        if keyset == 0 {
            return Ok(false);
        }
        let mut query = connection.prepare_cached("SELECT persons, sensitive FROM keyset WHERE seq = ?1")?;
        let (persons, sensitive): (Vec<u8>, Vec<u8>) =
            query.query_row([keyset], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let before = (self.persons.len(), self.sensitive.len());
        self.persons.union_with(&set(&persons)?);
        if keyed_sensitive {
            self.sensitive.union_with(&set(&sensitive)?);
        }
        Ok(before != (self.persons.len(), self.sensitive.len()))
    }

    fn write(&self, connection: &Database<'_>, tally: i64) -> Result<(), Refusal> {
        connection.prepare_cached("UPDATE tally SET persons = ?2, sensitive = ?3 WHERE id = ?1")?.execute(params![
            tally,
            self.persons.to_bytes(),
            self.sensitive.to_bytes()
        ])?;
        Ok(())
    }
}

fn set(bytes: &[u8]) -> Result<PersonSet, Refusal> {
    PersonSet::from_bytes(bytes).map_err(|error| invalid(format!("a stored set of persons is damaged: {error}")))
}
