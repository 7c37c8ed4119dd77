//! What is past its time, and how much is stored.

use gateway_audit::leaf::LeafHead;
use jiff::Timestamp;
use rusqlite::params;

use super::{Reader, number, parsed};
use crate::records::ReadError;
use crate::transaction::SubjectHandle;
use crate::writer::stored;
use catalog::{AgreementId, DatasetId, LeaseId, ParticipantId};

/// A leaf that has openings, and the persons whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedLeaf {
    /// Its index.
    pub index: u64,
    /// Its bytes.
    pub body: Vec<u8>,
    /// Under whose key its openings are sealed.
    pub subject: Option<SubjectHandle>,
}

/// An acknowledgement whose evidence is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceRow {
    /// Its number in the store.
    pub receipt: u64,
    /// Under which lease.
    pub lease: LeaseId,
    /// Of what.
    pub dataset: DatasetId,
    /// The consumer.
    pub participant: ParticipantId,
    /// The provider.
    pub provider: ParticipantId,
    /// Under whose key it is sealed.
    pub subject: Option<SubjectHandle>,
}

/// Rows of one kind, and about how many bytes they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Which class of data.
    pub class: &'static str,
    /// Rows.
    pub rows: u64,
    /// Bytes of their values.
    pub bytes: u64,
}

/// Class, table, and what of a row has no fixed size.
const TABLES: [(&str, &str, &str); 14] = [
    ("log", "entry", "length(body)"),
    ("log", "facts", "length(body)"),
    ("documents", "doc", "length(body) + length(id)"),
    ("records", "lease", "length(columns) + 400"),
    ("records", "egress_grant", "length(representation) + 32"),
    ("accounts", "delivered", "length(units) + length(receipted) + 160"),
    ("accounts", "posting", "length(reference) + 120"),
    ("accounts", "entitlement", "length(usage) + 120"),
    ("accounts", "receipt", "length(body) + 120"),
    ("evidence", "receipt", "length(evidence)"),
    ("openings", "opening", "length(sealed) + length(field) + 24"),
    ("answers", "idempotency", "length(response) + length(key) + 110"),
    ("operational", "denial", "72"),
    ("persons", "person", "28"),
];

impl Reader<'_> {
    /// The first leaf that is not older than `at`: leaves never go back in time.
    pub fn first_leaf_since(&self, at: Timestamp) -> Result<u64, ReadError> {
        let (mut low, mut high) = (0, self.log_size()?);
        while low < high {
            let middle = low + (high - low) / 2;
            let body = self.leaf(middle)?.unwrap_or_default();
            let head = LeafHead::read(&body)
                .map_err(|error| ReadError::Damaged { what: format!("log entry {middle}: {error}") })?;
            if head.at < at { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// At most `limit` leaves from index `from` and below `before` that have openings, in order.
    pub fn opened_leaves(&self, from: u64, before: u64, limit: usize) -> Result<Vec<OpenedLeaf>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT o.leaf, e.body, max(o.subject) FROM opening o JOIN entry e ON e.idx = o.leaf
             WHERE o.leaf >= ?1 AND o.leaf < ?2 GROUP BY o.leaf ORDER BY o.leaf LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(params![stored(from), stored(before), limit], |row| {
            Ok(OpenedLeaf { index: number(row, 0)?, body: row.get(1)?, subject: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// At most `limit` acknowledgements after number `after` and older than `at` whose evidence is there.
    pub fn evidence_before(&self, at: Timestamp, after: u64, limit: usize) -> Result<Vec<EvidenceRow>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT r.seq, l.id, l.dataset, l.participant, l.provider, r.subject
             FROM receipt r JOIN lease l ON l.seq = r.lease
             WHERE r.seq > ?1 AND r.at < ?2 AND length(r.evidence) > 0 ORDER BY r.seq LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(params![stored(after), at.as_millisecond(), limit], |row| {
            Ok(EvidenceRow {
                receipt: number(row, 0)?,
                lease: parsed(row, 1)?,
                dataset: parsed(row, 2)?,
                participant: parsed(row, 3)?,
                provider: parsed(row, 4)?,
                subject: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Windows of refusals that could be deleted if those before `at` are.
    pub fn denials_before(&self, at: Timestamp) -> Result<u64, ReadError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT count(*) FROM denial WHERE latest < ?1 AND (repeats = 0 OR closed = 1)")?;
        Ok(query.query_row([at.as_millisecond()], |row| number(row, 0))?)
    }

    /// Hashed persons of years before `year`.
    pub fn persons_before(&self, year: i16) -> Result<u64, ReadError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT count(*) FROM person WHERE tally IN (SELECT id FROM tally WHERE year < ?1)")?;
        Ok(query.query_row([year], |row| number(row, 0))?)
    }

    /// When the last lease under an agreement ended or ends.
    pub fn last_lease(&self, agreement: &AgreementId) -> Result<Option<Timestamp>, ReadError> {
        let mut query = self.connection.prepare_cached("SELECT max(expires) FROM lease WHERE agreement = ?1")?;
        let at: Option<i64> = query.query_row([agreement.as_str()], |row| row.get(0))?;
        Ok(at.and_then(|at| Timestamp::from_millisecond(at).ok()))
    }

    /// Rows and bytes of every class. Walks every table.
    pub fn stored(&self) -> Result<Vec<Stored>, ReadError> {
        let mut found: Vec<Stored> = Vec::new();
        for (class, table, bytes) in TABLES {
            let sql = format!("SELECT count(*), coalesce(sum({bytes}), 0) FROM {table}");
            let (rows, bytes) =
                self.connection.prepare_cached(&sql)?.query_row([], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
            match found.iter_mut().find(|stored| stored.class == class) {
                Some(stored) => (stored.rows, stored.bytes) = (stored.rows + rows, stored.bytes + bytes),
                None => found.push(Stored { class, rows, bytes }),
            }
        }
        Ok(found)
    }
}
