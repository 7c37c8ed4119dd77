//! What releases sealed that had no keys for persons: with one key for everything, or not at all. See [`crate::Write::Resealed`].

use catalog::{Digest, LeaseId, ParticipantId};
use rusqlite::params;

use super::{Reader, digest, number, optional_number, parsed};
use crate::records::ReadError;
use crate::writer::stored;

/// An opening without a person's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierOpening {
    /// Of which leaf.
    pub leaf: u64,
    /// The leaf's bytes.
    pub body: Vec<u8>,
    /// The member of the leaf.
    pub field: String,
    /// Salt and value, encrypted.
    pub sealed: Vec<u8>,
}

/// Evidence of an acknowledgement without a person's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierEvidence {
    /// Its row.
    pub row: u64,
    /// Under which lease.
    pub lease: LeaseId,
    /// Digest of what was acknowledged.
    pub ack: Digest,
    /// Whose lease: the keyed hash, or what stands for it since an erasure.
    pub principal: String,
    /// The person's participant.
    pub participant: ParticipantId,
    /// Signature and certificate, encrypted.
    pub sealed: Vec<u8>,
}

/// A kept answer in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierAnswer {
    /// Its row.
    pub row: u64,
    /// Whose request: the keyed hash.
    pub scope: String,
    /// The request's key.
    pub key: String,
    /// Its leaf, if it has one.
    pub leaf: Option<u64>,
    /// The answer, JSON.
    pub response: Vec<u8>,
}

impl Reader<'_> {
    /// The openings without a person's key of the first leaves from index `from` on that have any, all of each leaf: at most
    /// `limit` leaves.
    pub fn earlier_openings(&self, from: u64, limit: usize) -> Result<Vec<EarlierOpening>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT o.leaf, e.body, o.field, o.sealed FROM opening o JOIN entry e ON e.idx = o.leaf
             WHERE o.subject IS NULL AND o.leaf IN (
                 SELECT DISTINCT leaf FROM opening WHERE subject IS NULL AND leaf >= ?1 ORDER BY leaf LIMIT ?2)
             ORDER BY o.leaf, o.field",
        )?;
        let rows = query.query_map(params![stored(from), limited(limit)], |row| {
            Ok(EarlierOpening { leaf: number(row, 0)?, body: row.get(1)?, field: row.get(2)?, sealed: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// At most `limit` acknowledgements after row `after` whose evidence is under no person's key.
    pub fn earlier_evidence(&self, after: u64, limit: usize) -> Result<Vec<EarlierEvidence>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT r.seq, l.id, r.ack, l.principal, l.participant, r.evidence FROM receipt r JOIN lease l ON l.seq = r.lease
             WHERE r.seq > ?1 AND r.subject IS NULL AND length(r.evidence) > 0 ORDER BY r.seq LIMIT ?2",
        )?;
        let rows = query.query_map(params![stored(after), limited(limit)], |row| {
            Ok(EarlierEvidence {
                row: number(row, 0)?,
                lease: parsed(row, 1)?,
                ack: digest(row, 2)?,
                principal: row.get(3)?,
                participant: parsed(row, 4)?,
                sealed: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// At most `limit` kept answers after row `after` that begin as JSON does.
    pub fn earlier_answers(&self, after: u64, limit: usize) -> Result<Vec<EarlierAnswer>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT seq, scope, key, leaf, response FROM idempotency
             WHERE seq > ?1 AND substr(response, 1, 1) = x'7b' ORDER BY seq LIMIT ?2",
        )?;
        let rows = query.query_map(params![stored(after), limited(limit)], |row| {
            Ok(EarlierAnswer {
                row: number(row, 0)?,
                scope: row.get(1)?,
                key: row.get(2)?,
                leaf: optional_number(row, 3)?,
                response: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The participant of whom a keyed hash stands for, if it has a key or a lease.
    pub fn participant_behind(&self, subject: &str) -> Result<Option<ParticipantId>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT participant FROM subject_key WHERE subject = ?1
             UNION ALL SELECT participant FROM lease WHERE principal = ?1 LIMIT 1",
        )?;
        let mut rows = query.query([subject])?;
        Ok(rows.next()?.map(|row| parsed(row, 0)).transpose()?)
    }
}

fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
