//! What a connection is doing: requests in flight, and for how long a response has been waiting
//! for its consumer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    born: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    begun: u64,
    idle_since: Instant,
    in_flight: BTreeMap<u64, Arc<Offered>>,
}

/// When a response last handed over a frame that nobody has asked to follow up since, in
/// milliseconds after the connection's birth, plus one; 0 while we owe the next frame.
type Offered = AtomicU64;

impl Activity {
    pub(super) fn new() -> Self {
        let born = Instant::now();
        Self { born, inner: Mutex::new(Inner { begun: 0, idle_since: born, in_flight: BTreeMap::new() }) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.inner().in_flight.len()
    }

    /// Since when no request is in flight; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let inner = self.inner();
        inner.in_flight.is_empty().then_some(inner.idle_since)
    }

    /// How many requests have begun.
    pub(super) fn begun(&self) -> u64 {
        self.inner().begun
    }

    /// The longest time that a response in flight has waited for its consumer.
    pub(super) fn longest_wait(&self, now: Instant) -> Duration {
        let now = now.saturating_duration_since(self.born);
        let inner = self.inner();
        let oldest = inner
            .in_flight
            .values()
            .map(|offered| offered.load(Ordering::Relaxed))
            .filter(|offered| *offered != 0)
            .min();
        oldest.map_or(Duration::ZERO, |oldest| now.saturating_sub(Duration::from_millis(oldest - 1)))
    }
}

/// One request, from its head until its response is finished or abandoned.
#[derive(Debug)]
pub(super) struct InFlight {
    connection: Connection,
    number: u64,
    offered: Arc<Offered>,
}

impl InFlight {
    pub(super) fn begin(connection: &Connection) -> Self {
        let offered = Arc::new(Offered::new(0));
        let mut inner = connection.activity().inner();
        inner.begun += 1;
        let number = inner.begun;
        inner.in_flight.insert(number, Arc::clone(&offered));
        drop(inner);
        Self { connection: connection.clone(), number, offered }
    }

    /// The next frame has been asked for: we owe it.
    pub(super) fn asked(&self) {
        self.offered.store(0, Ordering::Relaxed);
    }

    /// A frame was handed over: the consumer's turn.
    pub(super) fn offered(&self) {
        let since = self.connection.activity().born.elapsed().as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX - 1);
        self.offered.store(since.saturating_add(1), Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut inner = self.connection.activity().inner();
        inner.in_flight.remove(&self.number);
        inner.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn idle_and_waiting() {
        let second = Duration::from_secs(1);
        let connection = Connection::new(1, "127.0.0.1:1".parse().unwrap());
        let activity = connection.activity();
        let born = Instant::now();
        assert!(activity.idle_since().is_some_and(|since| since <= born));
        let first = InFlight::begin(&connection);
        let other = InFlight::begin(&connection);
        assert_eq!(activity.idle_since(), None);
        assert_eq!((activity.in_flight(), activity.begun()), (2, 2));
        let later = Instant::now() + 10 * second;
        let slow_handler = activity.longest_wait(later);
        assert_eq!(slow_handler, Duration::ZERO, "not the peer's fault");
        first.offered();
        let waited = activity.longest_wait(later);
        assert!(waited > 9 * second && waited <= 11 * second, "{waited:?}");
        other.offered();
        assert_eq!(activity.longest_wait(later), waited, "the longest counts");
        first.asked();
        assert!(activity.longest_wait(later) <= waited);
        drop(first);
        drop(other);
        assert!(activity.idle_since().is_some_and(|since| since >= born));
        assert_eq!(activity.longest_wait(later), Duration::ZERO);
    }
}
