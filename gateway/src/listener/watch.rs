//! The times that only a look from outside can enforce: idle, stalled, half a header section.
//!
//! hyper's own header timeout starts while the response before it is still being flushed, and
//! would cut a slow consumer off its last mebibyte; so the head is timed here.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use super::options::ListenerOptions;

/// Bytes that count as progress. HTTP/2 pings to an idle peer stay below it.
const PROGRESS_BYTES: u64 = 1024;

/// What a look at a connection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Carry on.
    Fine,
    /// Close in order: nothing has happened for the idle timeout.
    Retire,
    /// The head of an HTTP/1 request does not come to its end.
    HeaderTimeout,
    /// Closing in order does not come to its end either.
    Unresponsive,
    /// The peer takes nothing of a response in flight.
    Stalled,
}

/// The memory between looks at one connection.
#[derive(Debug)]
pub(super) struct Watch {
    http1: bool,
    progress_at: Instant,
    progress_bytes: u64,
    begun: u64,
    read_mark: u64,
    head_since: Option<Instant>,
    retired_at: Option<Instant>,
}

impl Watch {
    pub(super) fn new(connection: &Connection, http1: bool) -> Self {
        Self {
            http1,
            progress_at: Instant::now(),
            progress_bytes: connection.written(),
            begun: 0,
            read_mark: connection.read(),
            head_since: None,
            retired_at: None,
        }
    }

    /// How often to look, so that no timeout is overrun by more than a quarter.
    pub(super) fn interval(options: &ListenerOptions) -> Duration {
        let shortest =
            options.idle_timeout.min(options.stall_timeout).min(options.header_read_timeout).min(options.retire_grace);
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(5))
    }

    /// The connection has begun to close in order.
    pub(super) fn retired(&mut self, now: Instant) {
        self.retired_at.get_or_insert(now);
    }

    pub(super) fn look(&mut self, connection: &Connection, options: &ListenerOptions, now: Instant) -> Verdict {
        let written = connection.written();
        if written.saturating_sub(self.progress_bytes) >= PROGRESS_BYTES {
            self.progress_bytes = written;
            self.progress_at = now;
        }
        let still = now.saturating_duration_since(self.progress_at);
        let activity = connection.activity();
        let Some(idle_since) = activity.idle_since() else {
            self.mark(connection);
            // Both: bursts to a slow reader may lie far apart, and pings to one that is parked
            // for ever would count as life.
            let waited = activity.longest_wait(now);
            return if waited.min(still) >= options.stall_timeout { Verdict::Stalled } else { Verdict::Fine };
        };
        if activity.begun() != self.begun {
            self.mark(connection);
        }
        if self.http1 && connection.read() > self.read_mark {
            let since = *self.head_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= options.header_read_timeout {
                return Verdict::HeaderTimeout;
            }
        }
        let idle = now.saturating_duration_since(idle_since).min(still);
        match self.retired_at {
            Some(at) => {
                let closing = now.saturating_duration_since(at).min(idle);
                if closing >= options.retire_grace {
                    return Verdict::Unresponsive;
                }
            }
            None if idle >= options.idle_timeout => return Verdict::Retire,
            None => {}
        }
        Verdict::Fine
    }

    /// What has been read up to here belongs to requests that have begun.
    fn mark(&mut self, connection: &Connection) {
        self.begun = connection.activity().begun();
        self.read_mark = connection.read();
        self.head_since = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::activity::InFlight;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A connection, its watch, and the looks at it at made-up times. What the connection notes
    /// itself happens within the first half second, so seconds are told apart safely.
    struct Scene {
        connection: Connection,
        options: ListenerOptions,
        watch: Watch,
        begun: Instant,
    }

    impl Scene {
        fn new(http1: bool) -> Self {
            let connection = Connection::new(1, "127.0.0.1:1".parse().unwrap());
            Self {
                options: ListenerOptions {
                    header_read_timeout: 2 * SECOND,
                    idle_timeout: 5 * SECOND,
                    stall_timeout: 10 * SECOND,
                    retire_grace: SECOND,
                    ..ListenerOptions::default()
                },
                watch: Watch::new(&connection, http1),
                connection,
                begun: Instant::now() + SECOND / 2,
            }
        }

        fn look(&mut self, seconds: u32) -> Verdict {
            let now = self.begun + seconds * SECOND;
            self.watch.look(&self.connection, &self.options, now)
        }
    }

    #[test]
    fn idle_then_unresponsive() {
        let mut scene = Scene::new(false);
        assert_eq!(scene.look(4), Verdict::Fine);
        scene.connection.count_written(39);
        scene.connection.count_read(39);
        assert_eq!(scene.look(5), Verdict::Retire, "a ping is no progress");
        scene.watch.retired(scene.begun + 5 * SECOND);
        scene.connection.count_written(4096);
        assert_eq!(scene.look(6), Verdict::Fine, "still flushing");
        assert_eq!(scene.look(7), Verdict::Unresponsive);
    }

    #[test]
    fn a_tail_in_flight_is_neither_idle_nor_a_slow_head() {
        let mut scene = Scene::new(true);
        scene.connection.count_read(200);
        drop(InFlight::begin(&scene.connection));
        for second in 0..20 {
            scene.connection.count_written(1024);
            assert_eq!(scene.look(second), Verdict::Fine);
        }
    }

    #[test]
    fn half_a_head() {
        let mut scene = Scene::new(true);
        let mut http2 = Scene::new(false);
        for (second, want) in
            [(0, Verdict::Fine), (1, Verdict::Fine), (2, Verdict::HeaderTimeout), (3, Verdict::HeaderTimeout)]
        {
            scene.connection.count_read(1);
            assert_eq!(scene.look(second), want);
            http2.connection.count_read(1);
            assert_eq!(http2.look(second), Verdict::Fine, "those peers may ping");
        }
        // A request that has begun takes the bytes read so far with it.
        drop(InFlight::begin(&scene.connection));
        assert_eq!(scene.look(4), Verdict::Fine);
    }

    #[test]
    fn stalled_only_while_the_peer_owes() {
        let mut scene = Scene::new(true);
        let request = InFlight::begin(&scene.connection);
        assert_eq!(scene.look(100), Verdict::Fine, "the handler is slow, not the peer");
        let mut scene = Scene::new(true);
        let owed = InFlight::begin(&scene.connection);
        owed.offered();
        assert_eq!(scene.look(9), Verdict::Fine);
        scene.connection.count_written(2048);
        assert_eq!(scene.look(9), Verdict::Fine);
        assert_eq!(scene.look(18), Verdict::Fine, "it took something 9 s ago");
        assert_eq!(scene.look(19), Verdict::Stalled);
        drop((request, owed));
    }
}
