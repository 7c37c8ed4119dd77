//! Evidence of delivery for consumers that do not sign: an interval counts when the peer's kernel has acknowledged it
//! (LEDGER.md, "Two kinds of delivery evidence", `sent`).
//!
//! TLS and HTTP stand between the data and the socket, so a frame's place in the ciphertext is known between two bounds:
//! not before the plaintext itself would end, not after that and everything that framing may add. A frame counts when the
//! acknowledged ciphertext has passed its upper bound; or its lower one, if nothing that was written is unacknowledged.

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
const LOST_AFTER: Duration = Duration::from_secs(60);

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
        let data = self.connection.hand(handed.bytes).saturating_sub(self.handed);
        let (least, most) = bounds(self.written, data);
        // HTTP/2 interleaves streams: what others have in its buffers may be written before this frame.
        let others = u64::try_from(self.connection.requests_in_flight().saturating_sub(1)).unwrap_or(u64::MAX);
        let most = most.saturating_add(others.saturating_mul(STREAM_BUFFER_BYTES));
        self.frames.push_back(Frame { handed, least, most });
    }

    /// Moves what has been acknowledged to `settlement`.
    pub fn acknowledge(&mut self, settlement: &mut Settlement) {
        let (acknowledged, written) = (self.connection.acknowledged(), self.connection.written());
        while let Some(frame) = self.frames.front() {
            // With other streams about, everything written being acknowledged says nothing of what is still buffered.
            let alone = self.connection.requests_in_flight() <= 1;
            if !arrived(frame.least, frame.most, acknowledged, written, alone) {
                break;
            }
            if let Some(frame) = self.frames.pop_front() {
                settlement.add(frame.handed);
            }
        }
    }

    /// Whether nothing is left to wait for.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Forgets what is under way.
    pub fn clear(&mut self) {
        self.frames.clear();
    }

    /// Waits until everything is acknowledged, the connection is gone, or nothing has moved for [`LOST_AFTER`]. What is
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
        settlement.add_wire(self.frames.iter().map(|frame| frame.handed.bytes).sum());
    }
}

/// Between which ciphertext bytes `data` bytes end that were handed over after `written` bytes of ciphertext.
const fn bounds(written: u64, data: u64) -> (u64, u64) {
    let least = written.saturating_add(data).saturating_add(data.div_ceil(RECORD_BYTES) * RECORD_OVERHEAD);
    (least, least.saturating_add(data / 100).saturating_add(SLACK_BYTES))
}

const fn arrived(least: u64, most: u64, acknowledged: u64, written: u64, alone: bool) -> bool {
    acknowledged >= most || (alone && acknowledged >= least && acknowledged >= written)
}

#[cfg(test)]
mod tests {
    use super::{arrived, bounds};

    #[test]
    fn a_frame_counts_between_its_bounds_only_when_nothing_is_under_way() {
        let (least, most) = bounds(10_000, 1 << 20);
        assert_eq!(least, 10_000 + (1 << 20) + 64 * 22);
        assert!(most > least);
        assert!(!arrived(least, most, least - 1, least - 1, true), "not all of it has been written");
        assert!(!arrived(least, most, least, least + 1, true), "some of it may be under way");
        assert!(arrived(least, most, least + 300, least + 300, true), "everything has arrived");
        assert!(!arrived(least, most, least + 300, least + 300, false), "another stream's bytes may have");
        assert!(arrived(least, most, most, u64::MAX, false), "more than it can take has arrived");
    }
}
