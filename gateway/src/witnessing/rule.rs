//! Whether anything may leave, from what the witnesses have said. No new lease and no further grant is issued while the
//! quorum is lost, the backlog is too long, or a witness has seen another history; what is granted runs to its edge.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_api::{Code, Problem};
use gateway_audit::{SignedCheckpoint, WitnessPolicy, Witnessed};
use gateway_store::Published;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::WitnessSection;

/// What clients are told to wait, in seconds.
const RETRY_AFTER: u64 = 15;

/// Why nothing new leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A witness has seen another history of this log, or a longer one.
    Halted {
        /// `log_forked` or `log_behind_witness`.
        code: &'static str,
        /// In plain words.
        why: Arc<str>,
    },
    /// No quorum has cosigned for too long.
    Lost {
        /// When the last one did; never if nothing.
        since: Option<Timestamp>,
    },
    /// Too many entries wait for their witnesses.
    Backlog {
        /// How many.
        entries: u64,
    },
}

impl Stop {
    /// The reason as a word.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Halted { code, .. } => code,
            Self::Lost { .. } => "quorum_lost",
            Self::Backlog { .. } => "witness_backlog",
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Halted { why, .. } => write!(f, "{why}; nothing new leaves before a person has looked into it"),
            Self::Lost { since: None } => {
                f.write_str("no quorum of its witnesses has cosigned this log yet; nothing new leaves until one has")
            }
            Self::Lost { since: Some(since) } => write!(
                f,
                "the quorum of this log's witnesses is lost since {}; nothing new leaves until it is back",
                crate::clock::text(*since)
            ),
            Self::Backlog { entries } => {
                write!(f, "{entries} entries of the log wait for its witnesses; nothing new leaves until they are seen")
            }
        }
    }
}

impl From<Stop> for Problem {
    fn from(stop: Stop) -> Self {
        Self::new(Code::Unavailable, stop.to_string()).with("retry_after", RETRY_AFTER).with("reason", stop.code())
    }
}

/// What is known of this log's witnesses. Without a policy everything may leave, and nothing is called witnessed.
#[derive(Debug, Clone, Default)]
pub struct Witnessing(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    policy: WitnessPolicy,
    policy_text: String,
    lost_after: Duration,
    backlog_max: u64,
    published: watch::Receiver<Published>,
    witnessed: watch::Receiver<Option<Published>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    quorum: Option<Quorum>,
    halted: Option<Stop>,
    /// What keeps each witness from cosigning.
    problems: BTreeMap<String, String>,
}

/// A quorum that has cosigned. How long ago is counted in elapsed time: a wall clock that is set loses no quorum.
#[derive(Debug, Clone, Copy)]
struct Quorum {
    at: Timestamp,
    known: Instant,
    /// How old it was then: of an earlier run only the wall clock tells.
    age: Duration,
}

impl Quorum {
    fn age(&self, now: Instant) -> Duration {
        self.age.saturating_add(now.saturating_duration_since(self.known))
    }
}

impl Witnessing {
    /// What is known at a start: a quorum counts from when it cosigned, also across starts.
    pub fn new(
        section: &WitnessSection,
        (policy, policy_text): (WitnessPolicy, String),
        published: watch::Receiver<Published>,
        witnessed: watch::Receiver<Option<Published>>,
        (wall, now): (Timestamp, Instant),
    ) -> Self {
        let kept = witnessed.borrow().clone();
        let since = kept.and_then(|kept| judge(&policy, &kept.checkpoint)).and_then(|judged| judged.since);
        let at = since.and_then(|since| Timestamp::from_second(i64::try_from(since).ok()?).ok());
        let quorum = at.map(|at| {
            let age = Duration::try_from(wall.duration_since(at)).unwrap_or_default();
            Quorum { at, known: now, age }
        });
        let state = Mutex::new(State { quorum, ..State::default() });
        let lost_after = section.lost_after();
        let backlog_max = section.backlog_max;
        Self(Some(Arc::new(Inner { policy, policy_text, lost_after, backlog_max, published, witnessed, state })))
    }

    /// The policy and its text.
    pub fn policy(&self) -> Option<(&WitnessPolicy, &str)> {
        self.0.as_ref().map(|inner| (&inner.policy, inner.policy_text.as_str()))
    }

    /// Whether a quorum is asked for.
    pub fn has_quorum_rule(&self) -> bool {
        self.policy().is_some_and(|(policy, _)| policy.has_quorum())
    }

    /// The newest checkpoint that a quorum has cosigned.
    pub fn witnessed(&self) -> Option<Published> {
        self.0.as_ref().and_then(|inner| inner.witnessed.borrow().clone())
    }

    /// Waits until a quorum has cosigned a checkpoint that covers the leaf with this index; for ever without witnesses.
    pub async fn covers(&self, index: u64) {
        if let Some(inner) = &self.0 {
            let covered = |seen: &Option<Published>| seen.as_ref().is_some_and(|seen| seen.size > index);
            if inner.witnessed.clone().wait_for(covered).await.is_ok() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Who cosigned `checkpoint`, if there is a policy.
    pub fn judge(&self, checkpoint: &SignedCheckpoint) -> Option<Witnessed> {
        self.policy().and_then(|(policy, _)| policy.judge(checkpoint).ok())
    }

    /// Whether a new lease or a further grant may be issued at `now`.
    ///
    /// # Errors
    ///
    /// [`Stop`]: why not.
    pub fn may_leave(&self, now: Instant) -> Result<(), Stop> {
        let Some(inner) = self.0.as_ref().filter(|inner| inner.policy.has_quorum()) else { return Ok(()) };
        let (halted, quorum) = {
            let state = inner.state();
            (state.halted.clone(), state.quorum)
        };
        if let Some(halted) = halted {
            return Err(halted);
        }
        if quorum.is_none_or(|quorum| quorum.age(now) > inner.lost_after) {
            return Err(Stop::Lost { since: quorum.map(|quorum| quorum.at) });
        }
        let entries = inner.backlog();
        if entries > inner.backlog_max { Err(Stop::Backlog { entries }) } else { Ok(()) }
    }

    /// For readiness: the same, with what each witness said last.
    ///
    /// # Errors
    ///
    /// In plain words.
    pub fn check(&self, now: Instant) -> Result<(), String> {
        let Err(stop) = self.may_leave(now) else { return Ok(()) };
        let problems: Vec<String> = self.0.as_ref().map_or_else(Vec::new, |inner| {
            inner.state().problems.iter().map(|(name, problem)| format!("{name}: {problem}")).collect()
        });
        let problems = if problems.is_empty() { String::new() } else { format!(" ({})", problems.join("; ")) };
        Err(format!("{}: {stop}{problems}", stop.code()))
    }

    /// Entries that are published and not witnessed.
    pub fn backlog(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.backlog())
    }

    /// How long ago a quorum last cosigned.
    pub fn quorum_age(&self, now: Instant) -> Option<Duration> {
        self.0.as_ref()?.state().quorum.map(|quorum| quorum.age(now))
    }

    /// A quorum has cosigned just now.
    pub(super) fn quorum(&self, wall: Timestamp, now: Instant) {
        if let Some(inner) = &self.0 {
            inner.state().quorum = Some(Quorum { at: wall, known: now, age: Duration::ZERO });
        }
    }

    /// What keeps the witness `name` from cosigning; nothing if it did. True if it is another than before.
    pub(super) fn problem(&self, name: &str, problem: Option<String>) -> bool {
        let Some(inner) = &self.0 else { return false };
        let mut state = inner.state();
        let known = state.problems.get(name).map(String::as_str) == problem.as_deref();
        match problem {
            Some(problem) => state.problems.insert(name.to_owned(), problem),
            None => state.problems.remove(name),
        };
        !known
    }

    /// Stops everything for good: only a start, which asks the witnesses again, takes it back. False if it was already.
    pub(super) fn halt(&self, code: &'static str, why: &str) -> bool {
        let Some(inner) = &self.0 else { return false };
        let mut state = inner.state();
        let first = state.halted.is_none();
        if first {
            state.halted = Some(Stop::Halted { code, why: Arc::from(why) });
        }
        first
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn backlog(&self) -> u64 {
        let seen = self.witnessed.borrow().as_ref().map_or(0, |seen| seen.size);
        self.published.borrow().size.saturating_sub(seen)
    }
}

fn judge(policy: &WitnessPolicy, text: &str) -> Option<Witnessed> {
    policy.judge(&SignedCheckpoint::parse(text.as_bytes()).ok()?).ok()
}

#[cfg(test)]
mod tests;
