//! Reads of the log, recorded: one principal's reads of one kind are one window of an hour, of a day where files of the log
//! are copied (LEDGER.md, "Read first").
//!
//! The first read of a window waits for its `access` leaf. Those that follow are counted in memory, written every second
//! without anybody waiting for it, and stand in a second leaf when the window ends. So no read goes without a trace, a
//! crash costs at most a second of a count (and its leaf says so), and a mirror that fetches what its own fetching wrote
//! comes to rest: within its day it writes no second leaf.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use catalog::{Digest, ParticipantId};
use gateway_api::Problem;
use gateway_store::{AccessRow, CommitError, Transaction, Write};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::admission::unavailable;
use crate::gateway::{Gateway, Shared};
use crate::identity::Principal;
use crate::{clock, leaf};

#[cfg(test)]
mod tests;

/// Between two writes of what was counted.
const EVERY: Duration = Duration::from_secs(1);

/// How long after its end a window is closed: a read that took its time just before must still find it.
const GRACE: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);

/// Windows closed at a time.
const AT_ONCE: usize = 256;

/// Times that a first read tries to open its window against others that do the same.
const ATTEMPTS_MAX: usize = 8;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// Days of a mirror begin at midnight in Asia/Shanghai; the zone has had no other offset since there were gateways.
const DAY_BEGINS: i64 = 8 * HOUR;

/// First and last entry of what was read.
pub type Range = Option<(u64, u64)>;

/// What of the log was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// A search.
    Search,
    /// One entry.
    Entry,
    /// The explanation of a decision.
    Explain,
    /// The proof of an entry.
    Proof,
    /// Files of the published log: checkpoint, tiles, entries, facts.
    Files,
    /// Another participant's statement, by an authority.
    Statement(ParticipantId),
}

impl Read {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Entry => "entry",
            Self::Explain => "explain",
            Self::Proof => "proof",
            Self::Files => "files",
            Self::Statement(_) => "statement",
        }
    }

    /// The window of such reads at `now`: its number, and when it ends.
    fn window(&self, now: Timestamp) -> (i64, Timestamp) {
        let (length, offset) = if *self == Self::Files { (DAY, DAY_BEGINS) } else { (HOUR, 0) };
        let number = now.as_second().saturating_add(offset).div_euclid(length);
        let ends = number.saturating_add(1).saturating_mul(length).saturating_sub(offset);
        (number, Timestamp::from_second(ends).unwrap_or(Timestamp::MAX))
    }
}

/// Reads that are counted and not yet written, by window. A window is here only if its first leaf is recorded.
#[derive(Debug, Default)]
pub struct Accesses(Mutex<HashMap<Digest, Counted>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    reads: u64,
    range: Range,
    ends: Timestamp,
}

impl Counted {
    fn add(&mut self, reads: u64, range: Range) {
        self.reads = self.reads.saturating_add(reads);
        self.range = widest(self.range, range);
    }
}

fn widest(one: Range, other: Range) -> Range {
    match (one, other) {
        (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
        (one, other) => one.or(other),
    }
}

impl Accesses {
    fn with<T>(&self, change: impl FnOnce(&mut HashMap<Digest, Counted>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a read in its window, if that is known to be open.
    fn add(&self, key: &Digest, range: Range) -> bool {
        self.with(|open| open.get_mut(key).map(|window| window.add(1, range)).is_some())
    }

    /// From here on the window is open, and has so many reads that are not written.
    fn join(&self, key: Digest, ends: Timestamp, reads: u64, range: Range) {
        self.with(|open| open.entry(key).or_insert(Counted { reads: 0, range: None, ends }).add(reads, range));
    }

    /// The windows that have reads which are not written.
    fn waiting(&self) -> Vec<Digest> {
        self.with(|open| open.iter().filter(|(_, window)| window.reads > 0).map(|(key, _)| *key).collect())
    }

    /// Takes out what is not written of one window; if that ended by `closing`, it is forgotten.
    fn take(&self, key: &Digest, closing: Timestamp) -> Option<Counted> {
        self.with(|open| {
            let window = open.get_mut(key)?;
            let taken = *window;
            (window.reads, window.range) = (0, None);
            if taken.ends <= closing {
                open.remove(key);
            }
            Some(taken)
        })
    }

    /// Forgets windows that ended by `closing` and have nothing to be written.
    fn forget(&self, closing: Timestamp) {
        self.with(|open| open.retain(|_, window| window.ends > closing || window.reads > 0));
    }
}

/// Records that `principal` reads: to be awaited before what was read is handed out.
///
/// # Errors
///
/// 503 if the first read of a window cannot be recorded: then nothing may be handed out.
pub async fn record(gateway: &Gateway, principal: &Principal, read: &Read, range: Range) -> Result<(), Problem> {
    let now = clock::now();
    let (number, ends) = read.window(now);
    let mut members = Map::from_iter([("read".to_owned(), json!(read.as_str()))]);
    if let Read::Statement(of) = read {
        members.insert("of".to_owned(), json!(of));
    }
    let window = json!([principal.keyed(&gateway.secrets), members, number]);
    let key = Digest::of(window.to_string().as_bytes());
    if gateway.accesses.add(&key, range) {
        return Ok(());
    }
    members.insert("participant".to_owned(), json!(principal.participant));
    members.insert("role".to_owned(), json!(principal.role));
    for _ in 0..ATTEMPTS_MAX {
        // Opened before a restart, or by another request a moment ago.
        if gateway.look(|reader| reader.access(&key))?.is_some() {
            gateway.accesses.join(key, ends, 1, range);
            return Ok(());
        }
        let mut transaction = Transaction::new(now);
        let mut first = leaf::of("access");
        first.extend(members.clone());
        entries(&mut first, range);
        let openings = leaf::by(&mut first, principal, &gateway.secrets).map_err(unavailable)?;
        let leaf = transaction.leaf(first);
        transaction.writes.extend(openings.of_leaf(leaf));
        let members = Value::Object(members.clone()).to_string();
        transaction.writes.push(Write::Access { key, leaf, ends, members, range });
        match gateway.records.commit(transaction).await {
            Ok(_) => {
                gateway.accesses.join(key, ends, 0, None);
                return Ok(());
            }
            Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(unavailable(error)),
        }
    }
    Err(unavailable("the read could not be recorded"))
}

/// Writes what was counted, and closes windows, until the task is dropped.
pub async fn run(gateway: Shared) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(problem) = write(&gateway, clock::now()).await {
            tracing::error!(error = problem.detail, "reads of the log were not written; it is tried again");
        }
    }
}

/// Writes what was counted by now and closes the windows that have ended. Not to be called twice at once.
///
/// # Errors
///
/// 503 as the store says; what was not written is written by the next call.
pub async fn write(gateway: &Gateway, now: Timestamp) -> Result<(), Problem> {
    let closing = now.checked_sub(GRACE).unwrap_or(Timestamp::MIN);
    let mut failed = None;
    for key in gateway.accesses.waiting() {
        // One at a time: a commit is on its way as soon as it is awaited, so being dropped here loses no count.
        let Some(Counted { reads, range, ends }) = gateway.accesses.take(&key, closing) else { continue };
        let mut transaction = Transaction::new(now);
        transaction.writes.push(Write::AccessMore { key, reads, range });
        if let Err(error) = gateway.records.commit(transaction).await {
            if !matches!(error, CommitError::Conflict(_)) {
                gateway.accesses.join(key, ends, reads, range);
            }
            failed = Some(error);
        }
    }
    if let Some(error) = failed {
        return Err(unavailable(error));
    }
    gateway.accesses.forget(closing);
    let due = gateway.scan(move |reader| reader.accesses_due(closing, AT_ONCE)).await?;
    for row in due {
        let mut transaction = Transaction::new(now);
        // A single read has its leaf already, unless more may have followed.
        if row.reads > 1 || row.interrupted {
            transaction.leaf(closed(&row)?);
        }
        transaction.writes.push(Write::AccessClosed { key: row.key, reads: row.reads });
        gateway.records.commit(transaction).await.map_err(unavailable)?;
    }
    Ok(())
}

/// The leaf that closes a window.
fn closed(row: &AccessRow) -> Result<Map<String, Value>, Problem> {
    let mut members = leaf::of("access");
    let kept: Map<String, Value> = serde_json::from_str(&row.members).map_err(unavailable)?;
    members.extend(kept);
    members.insert("first".to_owned(), json!(row.leaf));
    members.insert("reads".to_owned(), json!(row.reads));
    entries(&mut members, row.range);
    if row.interrupted {
        members.insert("interrupted".to_owned(), json!(true));
    }
    Ok(members)
}

/// First and last entry, where entries were read.
fn entries(members: &mut Map<String, Value>, range: Range) {
    if let Some((first, last)) = range {
        members.insert("entries".to_owned(), json!([first, last]));
    }
}
