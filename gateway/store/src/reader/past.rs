//! What is over for good and may go when its time has come: leases, accounts of agreements, kept answers; and when the
//! oldest of what is kept falls due.

use catalog::{AgreementId, DatasetId, LeaseId, ParticipantId};
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::{Reader, number, optional_number, parsed};
use crate::records::ReadError;
use crate::transaction::SubjectHandle;
use crate::writer::stored;

/// A lease that has ended, is closed in the log and holds nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastLease {
    /// Its row.
    pub row: u64,
    /// Which.
    pub lease: LeaseId,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// Of what.
    pub dataset: DatasetId,
    /// The consumer.
    pub participant: ParticipantId,
    /// The provider.
    pub provider: ParticipantId,
    /// The key of the person whose it is.
    pub subject: Option<SubjectHandle>,
    /// Whether something was acknowledged under it: then it belongs to the accounts.
    pub has_receipts: bool,
}

/// What is kept of an agreement's deliveries and postings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountsRow {
    /// Rows.
    pub rows: u64,
    /// When the last was posted.
    pub last: Option<Timestamp>,
    /// Whether a month with postings is not closed.
    pub is_open: bool,
    /// Leases under it that are still kept.
    pub leases: u64,
}

/// An answer that is kept for a repeated request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerRow {
    /// Its row.
    pub row: u64,
    /// Its leaf, if it has one.
    pub leaf: Option<u64>,
    /// Whose principal asked, and the key of that person, unless erased.
    pub author: Option<(ParticipantId, SubjectHandle)>,
}

/// The oldest of what is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oldest {
    /// A window of refusals, last used.
    pub denial: Option<Timestamp>,
    /// The year of hashed persons.
    pub persons: Option<i16>,
    /// An acknowledgement with evidence.
    pub evidence: Option<Timestamp>,
}

impl Reader<'_> {
    /// At most `limit` leases after row `after` that expired before `at` and wait for nothing, in order. Those whose evidence
    /// is still there wait for it; the newest of all is never among them.
    pub fn past_leases(&self, at: Timestamp, after: u64, limit: usize) -> Result<Vec<PastLease>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT l.seq, l.id, l.agreement, l.dataset, l.participant, l.provider, s.handle,
                 EXISTS (SELECT 1 FROM receipt r WHERE r.lease = l.seq)
             FROM lease l LEFT JOIN subject_key s ON s.subject = l.principal
             WHERE l.seq > ?1 AND l.seq < (SELECT max(seq) FROM lease) AND l.expires < ?2 AND l.state <> 'active'
                 AND l.closed_leaf IS NOT NULL AND l.reserved <= l.posted
                 AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.lease = l.seq AND length(r.evidence) > 0)
             ORDER BY l.seq LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(params![stored(after), at.as_millisecond(), limit], |row| {
            Ok(PastLease {
                row: number(row, 0)?,
                lease: parsed(row, 1)?,
                agreement: parsed(row, 2)?,
                dataset: parsed(row, 3)?,
                participant: parsed(row, 4)?,
                provider: parsed(row, 5)?,
                subject: row.get(6)?,
                has_receipts: row.get(7)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What is kept of an agreement's deliveries and postings.
    pub fn accounts_of(&self, agreement: &AgreementId) -> Result<AccountsRow, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT
                 (SELECT count(*) FROM entitlement WHERE agreement = ?1) + (SELECT count(*) FROM delivered WHERE agreement = ?1)
                     + (SELECT count(*) FROM subscribed WHERE agreement = ?1) + count(p.seq),
                 max(p.at),
                 coalesce(sum(p.period NOT IN (SELECT period FROM closed_period)), 0) > 0,
                 (SELECT count(*) FROM lease WHERE agreement = ?1)
             FROM posting p JOIN entitlement e ON e.seq = p.entitlement WHERE e.agreement = ?1",
        )?;
        Ok(query.query_row([agreement.as_str()], |row| {
            let last: Option<i64> = row.get(1)?;
            Ok(AccountsRow {
                rows: number(row, 0)?,
                last: last.and_then(|last| Timestamp::from_millisecond(last).ok()),
                is_open: row.get(2)?,
                leases: number(row, 3)?,
            })
        })?)
    }

    /// Whether a person is behind an acknowledgement or a lease under an agreement.
    pub fn took_part(&self, agreement: &AgreementId, handle: &SubjectHandle) -> Result<bool, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM lease l LEFT JOIN subject_key s ON s.subject = l.principal
                 LEFT JOIN receipt r ON r.lease = l.seq
                 WHERE l.agreement = ?1 AND (s.handle = ?2 OR r.subject = ?2))",
        )?;
        Ok(query.query_row(params![agreement.as_str(), handle], |row| row.get(0))?)
    }

    /// At most `limit` kept answers after row `after` to requests that were recorded before leaf `before`, in order.
    pub fn answers_before(&self, before: u64, after: u64, limit: usize) -> Result<Vec<AnswerRow>, ReadError> {
        self.answers((after, self.answers_end(before)?), limit)
    }

    /// The first kept answer that [`Reader::answers_before`] does not give.
    pub fn answer_since(&self, leaf: u64) -> Result<Option<AnswerRow>, ReadError> {
        Ok(self.answers((self.answers_end(leaf)?, u64::MAX), 1)?.pop())
    }

    fn answers(&self, (after, through): (u64, u64), limit: usize) -> Result<Vec<AnswerRow>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT i.seq, i.leaf, s.participant, s.handle FROM idempotency i LEFT JOIN subject_key s ON s.subject = i.scope
             WHERE i.seq > ?1 AND i.seq <= ?2 AND length(i.response) > 0 ORDER BY i.seq LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(params![stored(after), stored(through), limit], |row| {
            let handle: Option<SubjectHandle> = row.get(3)?;
            let author = handle.map(|handle| Ok::<_, rusqlite::Error>((parsed(row, 2)?, handle))).transpose()?;
            Ok(AnswerRow { row: number(row, 0)?, leaf: optional_number(row, 1)?, author })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The last row of an answer to something that was recorded before leaf `before`: rows come in the order of leaves.
    fn answers_end(&self, before: u64) -> Result<u64, ReadError> {
        let mut newest = self.connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM idempotency")?;
        let mut next = self.connection.prepare_cached(
            "SELECT seq, leaf FROM idempotency WHERE seq > ?1 AND leaf IS NOT NULL ORDER BY seq LIMIT 1",
        )?;
        let (mut low, mut high) = (0, newest.query_row([], |row| number(row, 0))?);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = next.query_row([stored(middle)], |row| Ok((number(row, 0)?, number(row, 1)?))).optional()?;
            match found {
                Some((row, leaf)) if leaf < before => low = row,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The oldest of what is kept and not older than these.
    pub fn oldest_since(&self, denial: Timestamp, year: i16, evidence: Timestamp) -> Result<Oldest, ReadError> {
        let time = |sql: &str, at: Timestamp| -> Result<Option<Timestamp>, ReadError> {
            let found: Option<i64> =
                self.connection.prepare_cached(sql)?.query_row([at.as_millisecond()], |row| row.get(0))?;
            Ok(found.and_then(|found| Timestamp::from_millisecond(found).ok()))
        };
        let mut persons = self.connection.prepare_cached(
            "SELECT min(year) FROM tally WHERE year >= ?1 AND EXISTS (SELECT 1 FROM person WHERE tally = tally.id)",
        )?;
        Ok(Oldest {
            denial: time("SELECT min(latest) FROM denial WHERE latest >= ?1", denial)?,
            persons: persons.query_row([year], |row| row.get(0))?,
            evidence: time("SELECT min(at) FROM receipt WHERE at >= ?1 AND length(evidence) > 0", evidence)?,
        })
    }
}
