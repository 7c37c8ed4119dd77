//! Whom an exporter's year concerns.

use std::collections::BTreeMap;

use catalog::{DatasetId, Digest, LeaseId, ParticipantId};
use gateway_ledger::{Keyset, PersonSet, Totals, Year};
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Reader, number, parsed, wrong};
use crate::records::ReadError;
use crate::transaction::PersonKey;

/// An exporter's counter of a year.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    /// For [`crate::Expect::Contributions`].
    pub revision: u64,
    /// What is reserved.
    pub year: Year,
}

/// What one dataset adds to a counter.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetCount {
    /// Which.
    pub dataset: DatasetId,
    /// Its persons by key, if any export of it was counted by keys.
    pub keys: Option<Keyset>,
    /// Persons that no key tells apart.
    pub numbers: Totals,
}

impl Reader<'_> {
    /// An exporter's counter of a year, and the revision to expect when adding to it.
    pub fn counted(&self, exporter: &ParticipantId, year: i16) -> Result<Counted, ReadError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT id, revision, persons, sensitive FROM tally WHERE exporter = ?1 AND year = ?2")?;
        let found = query
            .query_row(params![exporter.as_str(), year], |row| {
                Ok((row.get::<_, i64>(0)?, number(row, 1)?, persons(row, 2)?, persons(row, 3)?))
            })
            .optional()?;
        let Some((tally, revision, persons, sensitive)) = found else { return Ok(Counted::default()) };
        let mut query = self.connection.prepare_cached(
            "SELECT dataset, max(persons), max(sensitive) FROM share WHERE tally = ?1 GROUP BY dataset",
        )?;
        let numbers = query.query_map([tally], |row| {
            Ok((row.get(0)?, Totals { persons: number(row, 1)?, sensitive: number(row, 2)? }))
        })?;
        let numbers = numbers.collect::<Result<BTreeMap<String, Totals>, _>>()?;
        Ok(Counted { revision, year: Year { persons, sensitive, numbers } })
    }

    /// The same, dataset by dataset.
    pub fn counted_datasets(&self, exporter: &ParticipantId, year: i16) -> Result<Vec<DatasetCount>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT share.dataset, share.persons, share.sensitive, keyset.persons, keyset.sensitive,
                 keyset.blank_rows, share.keyed_sensitive
             FROM share JOIN tally ON tally.id = share.tally LEFT JOIN keyset ON keyset.seq = share.keyset
             WHERE exporter = ?1 AND year = ?2 ORDER BY share.dataset, share.seq",
        )?;
        let rows = query.query_map(params![exporter.as_str(), year], |row| {
            let counts_sensitive: bool = row.get(6)?;
            let keys = if row.get::<_, Option<Vec<u8>>>(3)?.is_some() {
                let sensitive = if counts_sensitive { persons(row, 4)? } else { PersonSet::new() };
                Some(Keyset { persons: persons(row, 3)?, sensitive, blank_rows: number(row, 5)? })
            } else {
                None
            };
            let numbers = Totals { persons: number(row, 1)?, sensitive: number(row, 2)? };
            Ok(DatasetCount { dataset: parsed(row, 0)?, keys, numbers })
        })?;
        let mut found: Vec<DatasetCount> = Vec::new();
        for row in rows {
            let row = row?;
            let Some(last) = found.last_mut().filter(|last| last.dataset == row.dataset) else {
                found.push(row);
                continue;
            };
            last.numbers.persons = last.numbers.persons.max(row.numbers.persons);
            last.numbers.sensitive = last.numbers.sensitive.max(row.numbers.sensitive);
            if let Some(keys) = row.keys {
                last.keys.get_or_insert_default().merge(&keys);
            }
        }
        Ok(found)
    }

    /// The numbers of those of `keys` that an exporter's year knows.
    pub fn persons(
        &self,
        exporter: &ParticipantId,
        year: i16,
        keys: &[PersonKey],
    ) -> Result<Vec<Option<u32>>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT person FROM person WHERE tally = (SELECT id FROM tally WHERE exporter = ?1 AND year = ?2) AND mac = ?3",
        )?;
        let found = keys.iter().map(|key| {
            query.query_row(params![exporter.as_str(), year, key], |row| row.get(0)).optional().map_err(Into::into)
        });
        found.collect()
    }

    /// Who is in what `scope` stands for.
    pub fn keyset(&self, exporter: &ParticipantId, year: i16, scope: &Digest) -> Result<Option<Keyset>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT keyset.persons, keyset.sensitive, blank_rows FROM keyset JOIN tally ON tally.id = keyset.tally
             WHERE exporter = ?1 AND year = ?2 AND scope = ?3",
        )?;
        let keyset = query.query_row(params![exporter.as_str(), year, scope.as_bytes()], |row| {
            Ok(Keyset { persons: persons(row, 0)?, sensitive: persons(row, 1)?, blank_rows: number(row, 2)? })
        });
        Ok(keyset.optional()?)
    }

    /// Whether anybody has looked who is in what `scope` stands for.
    pub fn has_keyset(&self, exporter: &ParticipantId, year: i16, scope: &Digest) -> Result<bool, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM keyset JOIN tally ON tally.id = keyset.tally
             WHERE exporter = ?1 AND year = ?2 AND scope = ?3)",
        )?;
        Ok(query.query_row(params![exporter.as_str(), year, scope.as_bytes()], |row| row.get(0))?)
    }

    /// The last year in which a lease's export is counted, if it is.
    pub fn counted_year(&self, lease: &LeaseId) -> Result<Option<i16>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT max(tally.year) FROM reservation JOIN share ON share.seq = reservation.share
             JOIN tally ON tally.id = share.tally WHERE lease = (SELECT seq FROM lease WHERE id = ?1)",
        )?;
        Ok(query.query_row([lease.as_str()], |row| row.get(0))?)
    }

    /// How many reservations leases hold, over all exporters and years.
    pub fn reservations(&self) -> Result<u64, ReadError> {
        let mut query = self.connection.prepare_cached("SELECT count(*) FROM reservation")?;
        Ok(query.query_row([], |row| number(row, 0))?)
    }
}

fn persons(row: &Row<'_>, column: usize) -> rusqlite::Result<PersonSet> {
    let bytes: Vec<u8> = row.get(column)?;
    PersonSet::from_bytes(&bytes).map_err(|error| wrong(column, error))
}
