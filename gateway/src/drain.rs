//! Leaving in order: two phases and a hard deadline (I22), and the signals that begin it.
//!
//! A drain is a schedule that starts when [`Drain::begin`] is called. Every party computes the
//! phase from that one schedule, so nobody has to drive it and nobody can miss it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// How long streams may run on after SIGTERM before they end at their next window edge.
pub const DEFAULT_DRAIN_SOFT: Duration = Duration::from_secs(20);
/// How long after SIGTERM whatever is left is reset.
pub const DEFAULT_DRAIN_HARD: Duration = Duration::from_secs(30);

/// Where the process is on its way out. Later phases are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Business as usual.
    Serving,
    /// Nothing new: no connection, no lease; not ready; keep-alive off, GOAWAY.
    Draining,
    /// Streams end themselves at their next window edge.
    Cutting,
    /// Whatever is left is reset.
    Ended,
}

#[derive(Debug, Clone, Copy)]
struct Schedule {
    draining: Instant,
    cutting: Instant,
    ended: Instant,
}

impl Schedule {
    fn begins(&self, phase: Phase) -> Instant {
        match phase {
            Phase::Serving | Phase::Draining => self.draining,
            Phase::Cutting => self.cutting,
            Phase::Ended => self.ended,
        }
    }

    fn phase(&self, now: Instant) -> Phase {
        if now >= self.ended {
            Phase::Ended
        } else if now >= self.cutting {
            Phase::Cutting
        } else {
            Phase::Draining
        }
    }
}

/// The drain of this process. Clones share one schedule.
#[derive(Debug, Clone)]
pub struct Drain {
    soft: Duration,
    hard: Duration,
    schedule: Arc<watch::Sender<Option<Schedule>>>,
}

impl Default for Drain {
    fn default() -> Self {
        Self::new(DEFAULT_DRAIN_SOFT, DEFAULT_DRAIN_HARD)
    }
}

impl Drain {
    /// A drain that has not begun. [`Phase::Cutting`] starts `soft` after the beginning and
    /// [`Phase::Ended`] `hard` after it, never before `soft`.
    pub fn new(soft: Duration, hard: Duration) -> Self {
        Self { soft, hard: hard.max(soft), schedule: Arc::new(watch::Sender::new(None)) }
    }

    /// Begins to drain. Does nothing when it has begun already.
    pub fn begin(&self) {
        let now = Instant::now();
        self.schedule.send_if_modified(|schedule| {
            let fresh = schedule.is_none();
            if fresh {
                *schedule = Some(Schedule { draining: now, cutting: now + self.soft, ended: now + self.hard });
            }
            fresh
        });
    }

    /// Skips what is left of [`Phase::Draining`]: streams cut now, and the hard deadline comes
    /// nearer by as much. Begins the drain if it had not begun.
    pub fn hasten(&self) {
        self.begin();
        let now = Instant::now();
        self.schedule.send_if_modified(|schedule| match schedule {
            Some(schedule) if now < schedule.cutting => {
                schedule.cutting = now;
                schedule.ended = now + self.hard.saturating_sub(self.soft);
                true
            }
            _ => false,
        });
    }

    /// The phase at this moment.
    pub fn phase(&self) -> Phase {
        let now = Instant::now();
        self.schedule.borrow().map_or(Phase::Serving, |schedule| schedule.phase(now))
    }

    /// Whether new leases may be given. False from [`Phase::Draining`] on.
    pub fn is_serving(&self) -> bool {
        self.phase() == Phase::Serving
    }

    /// Whether the drain has begun.
    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Whether streams should end at their next window edge.
    pub fn is_cutting(&self) -> bool {
        self.phase() >= Phase::Cutting
    }

    /// When [`Phase::Ended`] comes, once the drain has begun.
    pub fn deadline(&self) -> Option<Instant> {
        self.schedule.borrow().map(|schedule| schedule.ended)
    }

    /// Returns once `phase` or a later one is reached; at once for [`Phase::Serving`].
    ///
    /// Cancel safe: it can be dropped and called again.
    pub async fn reached(&self, phase: Phase) {
        if phase == Phase::Serving {
            return;
        }
        let mut changes = self.schedule.subscribe();
        loop {
            let at = changes.borrow_and_update().map(|schedule| schedule.begins(phase));
            // The sender lives in `self`, so `changed` cannot fail while we are borrowed.
            match at {
                None => drop(changes.changed().await),
                Some(at) => tokio::select! {
                    biased;
                    () = sleep_until(at) => return,
                    _ = changes.changed() => {}
                },
            }
        }
    }
}

/// The process's signal handlers, installed when it is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// Installs handlers for SIGTERM, SIGINT and SIGHUP. Must be called within a runtime, and before
/// the process says that it is ready: an earlier SIGTERM kills it as usual.
///
/// # Errors
///
/// The operating system's, if a handler cannot be installed.
pub fn signals() -> io::Result<Signals> {
    Ok(Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        hangup: signal(SignalKind::hangup())?,
    })
}

impl Signals {
    /// Acts on signals until the drain has ended: the first SIGTERM or SIGINT begins it, a second
    /// hastens it; SIGHUP notifies one waiter of `reload` and is kept if nobody waits yet.
    /// Returns whether SIGINT began the drain.
    ///
    /// Cancel safe: a signal is lost only if it arrives after the drop.
    pub async fn run(mut self, drain: Drain, reload: Arc<Notify>) -> bool {
        let mut interrupted = false;
        loop {
            let by_keyboard = tokio::select! {
                () = drain.reached(Phase::Ended) => return interrupted,
                Some(()) = self.hangup.recv() => {
                    tracing::info!("reload asked for");
                    reload.notify_one();
                    continue;
                }
                Some(()) = self.terminate.recv() => false,
                Some(()) = self.interrupt.recv() => true,
                else => return interrupted,
            };
            if drain.is_serving() {
                tracing::info!("draining");
                interrupted = by_keyboard;
                drain.begin();
            } else {
                tracing::info!("drain hastened");
                drain.hasten();
            }
        }
    }
}

#[cfg(test)]
mod tests;
