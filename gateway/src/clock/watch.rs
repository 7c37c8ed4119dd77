//! Reads the clocks: at each decision and grant, and twice a second. What is odd becomes a `clock_anomaly` leaf; while the
//! wall clock is behind, nothing new is decided or granted.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_api::{Code, Problem};
use gateway_store::Transaction;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::Instant;

use super::judge::{Anomaly, BEHIND_MAX, Judge, Reading};
use crate::gateway::Shared;
use crate::leaf;

const EVERY: Duration = Duration::from_millis(500);
/// Longest time between the two looks at elapsed time that a reading lies in: a process that was stopped in between would
/// take its own pause for a jump.
const READING_MAX: Duration = Duration::from_millis(50);
const READING_TRIES: u32 = 8;
/// Anomalies that wait for the log.
const TOLD_MAX: usize = 64;
/// What clients are told to wait, in seconds.
const RETRY_AFTER: u64 = 15;

/// The wall clock is behind: nothing new leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind(SignedDuration);

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the gateway's clock is {} s behind, more than the {} s it may be; nothing new leaves until it is set right",
            self.0.as_secs(),
            BEHIND_MAX.as_secs()
        )
    }
}

impl From<Behind> for Problem {
    fn from(behind: Behind) -> Self {
        Self::new(Code::Unavailable, behind.to_string()).with("retry_after", RETRY_AFTER).with("reason", "clock_behind")
    }
}

/// The watch over the wall clock. Clones share it.
#[derive(Debug, Clone)]
pub struct Watch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    judge: Judge,
    untold: Vec<Anomaly>,
}

impl Watch {
    /// Begins to watch.
    pub fn new() -> Self {
        let begun = Instant::now();
        let judge = Judge::new(read(begun).unwrap_or_else(|slow| slow));
        let watch = Self(Arc::new(Inner { begun, state: Mutex::new(State { judge, untold: Vec::new() }) }));
        watch.look();
        watch
    }

    /// Whether a decision may be made or a grant given now.
    ///
    /// # Errors
    ///
    /// [`Behind`]: the wall clock is.
    pub fn may_leave(&self) -> Result<(), Behind> {
        self.look().map_or(Ok(()), |by| Err(Behind(by)))
    }

    /// A moment of this process, to be given back with what a witness answers.
    pub fn reading(&self) -> Reading {
        read(self.0.begun).unwrap_or_else(|slow| slow)
    }

    /// The independent witness `name` wrote the second `time`, after it was asked at `asked`.
    pub fn heard(&self, name: &str, time: u64, asked: &Reading) {
        let time = i64::try_from(time).ok().and_then(|time| Timestamp::from_second(time).ok());
        if let Some(time) = time {
            let answered = self.reading();
            self.state().judge.heard(name, time, asked, &answered);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one step.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the clocks; how far the wall clock is behind.
    fn look(&self) -> Option<SignedDuration> {
        // Under the lock: two readings that overtake each other would look like a jump.
        let mut state = self.state();
        if let Ok(reading) = read(self.0.begun)
            && let Some(anomaly) = state.judge.read(&reading)
            && state.untold.len() < TOLD_MAX
        {
            state.untold.push(anomaly);
        }
        state.judge.behind()
    }

    /// Looks until the task is dropped, and has the log told.
    pub async fn run(self, gateway: Shared) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let behind = self.look().map_or(0.0, |by| by.as_secs_f64());
            metrics::gauge!("kouan_clock_behind_seconds").set(behind);
            let untold = std::mem::take(&mut self.state().untold);
            for anomaly in untold {
                tell(&gateway, &anomaly).await;
            }
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

/// The clocks at one moment; an error is a reading that took too long to be compared with another.
fn read(begun: Instant) -> Result<Reading, Reading> {
    let mut tries = 0;
    loop {
        let before = begun.elapsed();
        let (wall, recorded) = (super::wall(), super::recorded());
        let elapsed = begun.elapsed();
        let reading = Reading { wall, elapsed, recorded };
        tries += 1;
        if elapsed.saturating_sub(before) <= READING_MAX {
            return Ok(reading);
        }
        if tries == READING_TRIES {
            return Err(reading);
        }
    }
}

async fn tell(gateway: &Shared, anomaly: &Anomaly) {
    let Anomaly { event, by, wall, granting } = *anomaly;
    let (event, by_ms) = (event.as_str(), i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    metrics::counter!("kouan_clock_anomalies_total", "event" => event).increment(1);
    tracing::warn!(event, by_ms, granting, "the wall clock is not what it was expected to be");
    let mut members = leaf::of("clock_anomaly");
    members.insert("event".to_owned(), json!(event));
    members.insert("by_ms".to_owned(), json!(by_ms));
    // `at` never goes back: this is what the clock said.
    members.insert("wall".to_owned(), json!(format!("{wall:.3}")));
    members.insert("granting".to_owned(), json!(granting));
    let mut transaction = Transaction::new(super::now());
    transaction.leaf(members);
    if let Err(error) = gateway.records.commit(transaction).await {
        tracing::error!(%error, "an anomaly of the clock was not recorded");
    }
}
