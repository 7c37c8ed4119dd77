//! The newest checkpoint that a quorum of witnesses has cosigned, and the last one of each half of a month that is over: what
//! shows years later that entries were witnessed in time. They lie outside the published log's folder: there every byte is
//! checked with the log's key alone, and cosignatures need the witnesses' keys.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_audit::SignedCheckpoint;
use gateway_ledger::Month;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::log::Log;
use super::{PublishError, Published};
use crate::durable;

/// Its name in the data directory.
pub const WITNESSED_FILE: &str = "witnessed/checkpoint";

/// Begins the names of those that were the newest until a day began, beside [`WITNESSED_FILE`]: `before-2027-01-16`.
const KEPT_PREFIX: &str = "before-";

/// Days after a month's begin at which the month before closes: a claim's year is over then, and not at its last midnight.
const CLOSES_AFTER: SignedDuration = SignedDuration::from_hours(15 * 24);

/// Takes cosigned checkpoints; the publisher's thread makes them durable and publishes them.
#[derive(Debug, Clone)]
pub struct WitnessedSink {
    slot: Slot,
    worker: std::thread::Thread,
}

/// A cosigned checkpoint, and the moment at which it was put together.
pub(super) type Cosigned = (SignedCheckpoint, Timestamp);

pub(super) type Slot = Arc<Mutex<Option<Cosigned>>>;

impl WitnessedSink {
    pub(super) fn new(slot: Slot, worker: std::thread::Thread) -> Self {
        Self { slot, worker }
    }

    /// Hands over a checkpoint of this log that a quorum has cosigned by `now`. It is witnessed when
    /// [`super::Publisher::witnessed`] says so; a newer one in between takes its place.
    pub fn put(&self, checkpoint: SignedCheckpoint, now: Timestamp) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some((checkpoint, now));
        self.worker.unpark();
    }
}

pub(super) fn take(slot: &Slot) -> Option<Cosigned> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What is kept in `data` of earlier halves of months, the latest first. Whose they are must still be checked.
///
/// # Errors
/// The folder cannot be read; a file that cannot, or is no checkpoint, is left out and named in the log.
pub fn kept(data: &Path) -> io::Result<Vec<SignedCheckpoint>> {
    let folder = durable::folder_of(&data.join(WITNESSED_FILE));
    let listed = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut names = Vec::new();
    for entry in listed {
        let name = entry?.file_name();
        let day = name.to_str().and_then(|name| name.strip_prefix(KEPT_PREFIX)?.parse::<Date>().ok());
        names.extend(day.map(|day| (day, name)));
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    let read = |(_, name)| {
        let path = folder.join(name);
        let parsed = fs::read(&path).map_err(|error| error.to_string());
        let parsed = parsed.and_then(|bytes| SignedCheckpoint::parse(&bytes).map_err(|error| error.to_string()));
        parsed.inspect_err(|error| tracing::error!(path = %path.display(), error, "a kept checkpoint is damaged")).ok()
    };
    Ok(names.into_iter().filter_map(read).collect())
}

/// The day with whose beginning in Asia/Shanghai the half of a month ends in which `at` lies.
fn half_ends(at: Timestamp) -> Date {
    let month = Month::of(at);
    let closes = month.begins().saturating_add(CLOSES_AFTER).unwrap_or(Timestamp::MAX);
    let end = if at < closes { closes } else { month.next().begins() };
    end.to_zoned(TimeZone::fixed(Offset::constant(8))).date()
}

/// When `signed` was cosigned: the last time that its witnesses state and that has come by `now`. A witness whose clock is
/// ahead must not have it kept for a month that is still to come.
fn cosigned_at(signed: &SignedCheckpoint, now: Timestamp) -> Timestamp {
    let origin = &signed.checkpoint().origin;
    let cosigned = signed.note().signatures().iter().filter(|line| line.name != *origin);
    // C2SP tlog-cosignature: the time in seconds comes before the signature.
    let times = cosigned.filter_map(|line| Some(i64::from_be_bytes(*line.signature.first_chunk::<8>()?)));
    times.filter_map(|time| Timestamp::from_second(time).ok()).filter(|time| *time <= now).max().unwrap_or(now)
}

/// The file, if it is there; whose it is must still be checked.
pub(super) fn read(data: &Path) -> Result<Option<SignedCheckpoint>, PublishError> {
    let path = data.join(WITNESSED_FILE);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => Ok(Some(SignedCheckpoint::parse(&bytes.map_err(PublishError::at(&path))?)?)),
    }
}

/// The newest witnessed checkpoint, and the half of a month in which it was cosigned.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) published: Published,
    half: Date,
}

impl Newest {
    /// `signed`, whose log is checked, as it is known at `now`.
    pub(super) fn of(signed: &SignedCheckpoint, now: Timestamp) -> Self {
        let own = signed.checkpoint();
        let published = Published { size: own.size, root: own.root, checkpoint: Arc::from(signed.to_text()) };
        Self { published, half: half_ends(cosigned_at(signed, now)) }
    }

    /// Keeps it for good, unless a larger one of the same half is kept already.
    fn keep(&self, data: &Path) -> Result<(), PublishError> {
        let path = durable::folder_of(&data.join(WITNESSED_FILE)).join(format!("{KEPT_PREFIX}{}", self.half));
        let larger = |bytes: Vec<u8>| {
            SignedCheckpoint::parse(&bytes).is_ok_and(|kept| kept.checkpoint().size > self.published.size)
        };
        if fs::read(&path).is_ok_and(larger) {
            return Ok(());
        }
        durable::replace(&path, self.published.checkpoint.as_bytes(), 0o600).map_err(PublishError::at(&path))
    }
}

impl Log {
    /// Makes a checkpoint durable that was cosigned by `now`, and gives the newest witnessed one. Before the first of another
    /// half of a month takes the newest one's place, that is kept: a crash in between repeats it.
    pub(super) fn adopt(&mut self, (signed, now): &Cosigned) -> Result<Published, PublishError> {
        self.open(signed)?;
        let new = Newest::of(signed, *now);
        if let Some(known) = &self.witnessed {
            if known.published.size > new.published.size {
                return Ok(known.published.clone());
            }
            if known.half != new.half {
                known.keep(self.data())?;
            }
        }
        let path = self.data().join(WITNESSED_FILE);
        let write = || {
            durable::create_dir(&durable::folder_of(&path))?;
            durable::replace(&path, new.published.checkpoint.as_bytes(), 0o600)
        };
        write().map_err(PublishError::at(&path))?;
        let published = new.published.clone();
        self.witnessed = Some(new);
        Ok(published)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_half_ends_when_the_month_before_closes_and_with_the_month_in_shanghai() {
        for (at, end) in [
            ("2026-12-31T15:59:59Z", "2027-01-01"),
            ("2026-12-31T16:00:00Z", "2027-01-16"),
            ("2027-01-15T15:59:59Z", "2027-01-16"),
            ("2027-01-15T16:00:00Z", "2027-02-01"),
            ("2027-02-20T00:00:00Z", "2027-03-01"),
        ] {
            assert_eq!(half_ends(at.parse().unwrap()).to_string(), end, "{at}");
        }
        assert_eq!(Month::parse("2026-12").unwrap().closes(), Month::parse("2027-01").unwrap().begins() + CLOSES_AFTER);
    }
}
