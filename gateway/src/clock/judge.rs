//! Whether the wall clock can be believed. Compares it with elapsed time, which no setting of the clock moves, with the
//! latest moment in the log, and with what independent witnesses wrote beside their cosignatures. Pure: readings come in.
//!
//! A clock that goes forward is believed, because nothing says that it was right before; one that goes back would make
//! valid again what has expired, so nothing is granted until it stands where it would have come by itself, or most of the
//! witnesses agree with it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A step of the wall clock that is longer than this is told to the log.
pub const JUMP: SignedDuration = SignedDuration::from_secs(2);
/// How far the wall clock may be behind.
pub const BEHIND_MAX: SignedDuration = SignedDuration::from_secs(5);
/// How long what a witness said counts: clocks that count elapsed time drift apart.
const EVIDENCE_LIFE: Duration = Duration::from_mins(10);

/// The clocks, read at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The wall clock.
    pub wall: Timestamp,
    /// Elapsed time, since a moment that is the same for all readings.
    pub elapsed: Duration,
    /// The latest moment that is recorded.
    pub recorded: Timestamp,
}

/// Something about the clock that the log is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anomaly {
    /// What happened.
    pub event: Event,
    /// How far the clock went, or how far it is behind (positive) or ahead (negative).
    pub by: SignedDuration,
    /// What the wall clock said then.
    pub wall: Timestamp,
    /// Whether anything is granted from here on.
    pub granting: bool,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The wall clock was set.
    Jumped,
    /// It is behind the log or the witnesses, and was not seen to jump.
    Behind,
    /// It is ahead of most witnesses; what it says is believed all the same.
    Ahead,
    /// It can be believed again.
    InStep,
}

impl Event {
    /// As a word of the leaf.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jumped => "jumped",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::InStep => "in_step",
        }
    }
}

/// Where the true time lies above elapsed time, as one witness bounds it.
#[derive(Debug, Clone, Copy)]
struct Evidence {
    at_least: i128,
    at_most: i128,
    heard: Duration,
}

/// What is known of the wall clock. All offsets are wall time less elapsed time, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Judge {
    last: i128,
    /// The furthest that the clock was seen: where it should be.
    believed: i128,
    /// Moments up to this one were recorded by a clock that has been found wrong since.
    disowned: Timestamp,
    witnesses: BTreeMap<String, Evidence>,
    behind: SignedDuration,
    ahead: bool,
}

impl Judge {
    /// Begins with the first reading.
    pub fn new(first: Reading) -> Self {
        let offset = offset(first.wall, first.elapsed);
        let (behind, ahead) = (SignedDuration::ZERO, false);
        Self { last: offset, believed: offset, disowned: Timestamp::MIN, witnesses: BTreeMap::new(), behind, ahead }
    }

    /// How far the wall clock was behind at the last reading; nothing if it can be believed.
    pub fn behind(&self) -> Option<SignedDuration> {
        (self.behind > BEHIND_MAX).then_some(self.behind)
    }

    /// A witness wrote the second `time`, between the readings `asked` and `answered`.
    pub fn heard(&mut self, name: &str, time: Timestamp, asked: &Reading, answered: &Reading) {
        let evidence = Evidence {
            // It was written no later than it arrived, and no earlier than it was asked for; seconds are cut off.
            at_least: offset(time, answered.elapsed),
            at_most: offset(time, asked.elapsed).saturating_add(1_000_000_000),
            heard: answered.elapsed,
        };
        self.witnesses.insert(name.to_owned(), evidence);
    }

    /// Takes a reading; gives what the log has to be told.
    pub fn read(&mut self, reading: &Reading) -> Option<Anomaly> {
        let offset = offset(reading.wall, reading.elapsed);
        let (jump, granted) = (duration(offset - self.last), self.behind().is_none());
        self.last = offset;
        self.believed = self.believed.max(offset);
        self.witnesses.retain(|_, evidence| reading.elapsed.saturating_sub(evidence.heard) <= EVIDENCE_LIFE);
        let most = |holds: &dyn Fn(&Evidence) -> bool| {
            self.witnesses.values().filter(|evidence| holds(evidence)).count() * 2 > self.witnesses.len()
        };
        let limit = BEHIND_MAX.as_nanos();
        let (in_step, lags) = (most(&|e| e.at_most - offset <= limit), most(&|e| e.at_least - offset > limit));
        let is_ahead = most(&|e| offset - e.at_most > limit);
        if in_step {
            // What was believed before was wrong: so an independent clock says.
            (self.believed, self.disowned) = (offset, self.disowned.max(reading.recorded));
        }
        let of_log = reading.wall.duration_until(reading.recorded);
        let of_log = if reading.recorded > self.disowned { of_log } else { SignedDuration::ZERO };
        let of_witnesses = self.witnesses.values().map(|e| e.at_least - offset).filter(|by| lags && *by > limit).min();
        let by = self.believed - offset;
        self.behind = duration(by.max(of_witnesses.unwrap_or(0))).max(of_log);
        let was_ahead = std::mem::replace(&mut self.ahead, is_ahead);

        let granting = self.behind().is_none();
        let event = if jump.abs() > JUMP {
            Some((Event::Jumped, jump))
        } else if granted != granting {
            Some((if granting { Event::InStep } else { Event::Behind }, self.behind))
        } else if is_ahead && !was_ahead {
            let ahead = self.witnesses.values().map(|e| e.at_most - offset).filter(|by| -by > limit).max();
            Some((Event::Ahead, duration(ahead.unwrap_or(0))))
        } else {
            None
        };
        event.map(|(event, by)| Anomaly { event, by, wall: reading.wall, granting })
    }
}

fn offset(wall: Timestamp, elapsed: Duration) -> i128 {
    wall.as_nanosecond().saturating_sub(i128::try_from(elapsed.as_nanos()).unwrap_or(i128::MAX))
}

fn duration(nanos: i128) -> SignedDuration {
    // The span of all timestamps is far below what 64 bits of milliseconds hold.
    SignedDuration::from_millis(i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
