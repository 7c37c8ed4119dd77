//! Evidence of delivery for consumers that do not sign: an interval counts when the peer's kernel has acknowledged it
//! (LEDGER.md, "Two kinds of delivery evidence", `sent`).
//!
//! TLS and HTTP stand between the data and the socket. Over HTTP/1.1 a frame has been written at the first flush after it,
//! and counts when the ciphertext up to there is acknowledged. Over HTTP/2 a flush leaves behind what the peer's window does
//! not admit, so there the acknowledged ciphertext must also be as long as the data, and no other stream's bytes among it;
//! or so long that framing cannot explain it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::{Handed, Settlement};
use crate::listener::Connection;

/// A TLS 1.3 record adds 5 bytes of header, 1 of type and 16 of tag to at most 2^14 bytes (RFC 8446 §5).
const RECORD_BYTES: u64 = 1 << 14;
const RECORD_OVERHEAD: u64 = 22;
/// Response heads, chunk sizes, HTTP/2 frame headers and short records, beside one byte in a hundred.
const SLACK_BYTES: u64 = 16 << 10;
/// What HTTP/2 buffers of one stream, and a frame of it on its way through TLS.
const STREAM_BUFFER_BYTES: u64 = 192 << 10;
/// How often the kernel is asked.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long what is under way may take to be acknowledged before it counts as lost.
const LOST_AFTER: Duration = Duration::from_mins(1);

/// What a response handed to its connection and the peer has not yet acknowledged.
#[derive(Debug)]
pub struct Unacknowledged {
    connection: Connection,
    /// Ciphertext written and data handed over by the connection when the response began.
    written: u64,
    handed: u64,
    frames: VecDeque<Frame>,
}

#[derive(Debug)]
struct Frame {
    handed: Handed,
    /// Data handed over by the connection up to the frame's end.
    total: u64,
    /// Ciphertext bytes of the connection at whose end the frame ends, at least.
    least: u64,
    /// The same, at most.
    most: u64,
}

impl Unacknowledged {
    /// Nothing handed over yet.
    pub fn new(connection: Connection) -> Self {
        let (written, handed) = (connection.written(), connection.handed());
        Self { connection, written, handed, frames: VecDeque::new() }
    }

    /// A frame goes to the connection.
    pub fn hand(&mut self, handed: Handed) {
        let total = self.connection.hand(handed.bytes);
        let (least, most) = bounds(self.written, total.saturating_sub(self.handed));
        // HTTP/2 interleaves streams: what others have in its buffers may be written before this frame.
        let others = u64::try_from(self.connection.requests_in_flight().saturating_sub(1)).unwrap_or(u64::MAX);
        let most = most.saturating_add(others.saturating_mul(STREAM_BUFFER_BYTES));
        self.frames.push_back(Frame { handed, total, least, most });
    }

    /// Moves what has been acknowledged to `settlement`.
    pub fn acknowledge(&mut self, settlement: &mut Settlement) {
        let acknowledged = self.connection.acknowledged();
        while let Some(frame) = self.frames.front() {
            if acknowledged < frame.most && !self.flushed(frame, acknowledged) {
                break;
            }
            if let Some(frame) = self.frames.pop_front() {
                settlement.add(frame.handed);
            }
        }
    }

    /// Whether the ciphertext up to the first flush after `frame` is acknowledged, and holds it.
    fn flushed(&self, frame: &Frame, acknowledged: u64) -> bool {
        let written = self.connection.flushed_after(frame.total);
        let arrived = written.is_some_and(|written| acknowledged >= written);
        let alone = self.connection.requests_in_flight() <= 1;
        arrived && (!self.connection.is_http2() || (alone && acknowledged >= frame.least))
    }

    /// Whether nothing is left to wait for.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Forgets what is under way; gives how many bytes that were.
    pub fn clear(&mut self) -> u64 {
        self.frames.drain(..).map(|frame| frame.handed.bytes).sum()
    }

    /// Waits until everything is acknowledged, the connection is gone, or nothing has moved for `LOST_AFTER`. What is
    /// left then was sent, but counts for nothing.
    pub async fn settle(mut self, settlement: &mut Settlement) {
        let (mut moved, mut last) = (Instant::now(), self.connection.acknowledged());
        loop {
            // Before the last look, so that the final count is seen.
            let closed = self.connection.is_closed();
            self.acknowledge(settlement);
            if self.frames.is_empty() || closed {
                break;
            }
            let now = self.connection.acknowledged();
            if now > last {
                (moved, last) = (Instant::now(), now);
            } else if moved.elapsed() > LOST_AFTER {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // The frame that was under way when the connection went: what is acknowledged beyond all that framing can explain is
        // its beginning.
        if let Some(frame) = self.frames.front_mut() {
            let missing = frame.most.saturating_sub(self.connection.acknowledged());
            let arrived = frame.handed.take_first(frame.handed.bytes.saturating_sub(missing));
            settlement.add(arrived);
        }
        settlement.add_wire(self.frames.iter().map(|frame| frame.handed.bytes).sum());
    }
}

/// Between which ciphertext bytes `data` bytes end that were handed over after `written` bytes of ciphertext.
const fn bounds(written: u64, data: u64) -> (u64, u64) {
    let least = written.saturating_add(data).saturating_add(data.div_ceil(RECORD_BYTES) * RECORD_OVERHEAD);
    (least, least.saturating_add(data / 100).saturating_add(SLACK_BYTES))
}

#[cfg(test)]
mod tests {
    use super::bounds;

    #[test]
    fn bounds_hold_what_framing_adds() {
        let (least, most) = bounds(10_000, 1 << 20);
        assert_eq!(least, 10_000 + (1 << 20) + 64 * 22);
        // Every byte in a record of its own would be more; HTTP sends no such frames.
        assert_eq!(most, least + (1 << 20) / 100 + (16 << 10));
        assert_eq!(bounds(5, 0), (5, 5 + (16 << 10)));
    }
}
