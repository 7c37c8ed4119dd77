//! The publisher's own thread: woken by commits, never more often than its interval.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::log::Log;
use super::{Published, witnessed};

/// Wait after the first new leaf, so that those recorded with it come along.
const GATHER: Duration = Duration::from_millis(20);

/// Wait before the next try when there was no room.
const RETRY: Duration = Duration::from_secs(1);

/// Longest sleep; a commit wakes us before.
const IDLE: Duration = Duration::from_mins(1);

pub(super) struct Thread {
    pub(super) log: Log,
    pub(super) published: watch::Sender<Published>,
    pub(super) witnessed: watch::Sender<Option<Published>>,
    /// A cosigned checkpoint that is not durable yet.
    pub(super) cosigned: witnessed::Slot,
    pub(super) problem: watch::Sender<Option<String>>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Thread {
    pub(super) fn run(mut self, interval: Duration) {
        let mut last = Instant::now();
        let mut failed = false;
        loop {
            let stopping = self.stop.load(Ordering::Acquire);
            self.adopt();
            if self.log.recorded_size() == self.published.borrow().size {
                if stopping {
                    return;
                }
                std::thread::park_timeout(IDLE);
                continue;
            }
            if !stopping {
                let wait = if failed { RETRY } else { GATHER.max(interval.saturating_sub(last.elapsed())) };
                self.sleep(wait);
            }
            last = Instant::now();
            match self.log.publish() {
                Ok(published) => {
                    failed = false;
                    self.problem.send_if_modified(|problem| problem.take().is_some());
                    self.published.send_replace(published);
                }
                Err(error) => {
                    failed = true;
                    tracing::error!(%error, size = self.log.size(), "the log was not published");
                    self.problem.send_replace(Some(error.to_string()));
                    // What a person must look at is not tried again; dropping `published` tells those who wait.
                    if stopping || !error.is_transient() {
                        return;
                    }
                }
            }
        }
    }

    /// Takes over what the witnesses have cosigned. If there is no room, the next cosignatures are as good.
    fn adopt(&mut self) {
        let Some(signed) = witnessed::take(&self.cosigned) else { return };
        match self.log.adopt(&signed) {
            Ok(witnessed) => {
                self.witnessed.send_replace(Some(witnessed));
            }
            Err(error) => tracing::error!(%error, "a cosigned checkpoint was not kept"),
        }
    }

    /// Sleeps in spite of commits that come meanwhile, but not of a stop.
    fn sleep(&mut self, wait: Duration) {
        let begun = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            self.adopt();
            match wait.checked_sub(begun.elapsed()) {
                Some(left) if !left.is_zero() => std::thread::park_timeout(left),
                _ => return,
            }
        }
    }
}
