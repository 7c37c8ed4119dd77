//! The body of a response that sends parts of a file: verified frames through the gate.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gateway_ledger::IntervalSet;
use gateway_store::crashpoint;
use gateway_stream::frame::{Frame, FrameReader, IntegrityError};
use gateway_stream::representation::Representation;
use http_body::{Body, SizeHint};

use super::{Gate, GateError, Handed};
use crate::files::StoredFile;

/// Measured: larger frames save polls, smaller ones leave hyper's buffer; slices of a mapping cost no memory.
const FRAME_BYTES: usize = 512 * 1024;
/// With its 9 bytes of frame header this fills one TLS record of 2^14 bytes; a full DATA frame would take two.
const HTTP2_PIECE_BYTES: usize = (1 << 14) - 9;

/// Why a body broke off. Its consumer sees a broken transport, never a short body that looks whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The gate closed.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The stored bytes are not what was inspected.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
}

/// Something to send: bytes around the parts of a multipart response, or a part itself.
#[derive(Debug)]
enum Item {
    Text(Bytes),
    Part(FrameReader),
}

/// Sends parts of one representation.
#[derive(Debug)]
pub struct FileBody {
    gate: Gate,
    file: Arc<StoredFile>,
    items: VecDeque<Item>,
    /// The rest of a verified frame, and what it hands over.
    frame: Option<(Bytes, Handed)>,
    /// How much of it goes at a time.
    piece_bytes_max: usize,
    length: u64,
    sent: u64,
    on_integrity: Option<IntegrityHook>,
}

/// Called once with the finding, on the way out.
pub struct IntegrityHook(pub Box<dyn FnOnce(&IntegrityError) + Send>);

impl std::fmt::Debug for IntegrityHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IntegrityHook")
    }
}

impl FileBody {
    /// Sends `parts` of `representation`; with several, `multipart` holds what stands before each and after the last.
    pub fn new(
        gate: Gate,
        file: Arc<StoredFile>,
        representation: &Arc<Representation>,
        parts: &[std::ops::Range<u64>],
        multipart: Option<(Vec<Bytes>, Bytes)>,
    ) -> Self {
        let part = |range: &std::ops::Range<u64>| {
            Item::Part(FrameReader::new(Arc::clone(representation), range.clone(), FRAME_BYTES))
        };
        let mut length: u64 = parts.iter().map(|range| range.end - range.start).sum();
        let mut items = VecDeque::new();
        if let Some((heads, tail)) = multipart {
            for (head, range) in heads.into_iter().zip(parts) {
                length += head.len() as u64;
                items.push_back(Item::Text(head));
                items.push_back(part(range));
            }
            length += tail.len() as u64;
            items.push_back(Item::Text(tail));
        } else {
            items.extend(parts.iter().map(part));
        }
        let piece_bytes_max = if gate.is_http2() { HTTP2_PIECE_BYTES } else { FRAME_BYTES };
        Self { gate, file, items, frame: None, piece_bytes_max, length, sent: 0, on_integrity: None }
    }

    /// Calls `hook` if the stored bytes turn out not to be what was inspected.
    #[must_use]
    pub fn on_integrity(mut self, hook: IntegrityHook) -> Self {
        self.on_integrity = Some(hook);
        self
    }

    fn next_frame(&mut self) -> Option<Result<Frame, BodyError>> {
        while let Some(Item::Part(reader)) = self.items.front_mut() {
            match reader.next(&self.file.bytes) {
                Some(Ok(frame)) => {
                    crashpoint!("s6.after_read");
                    return Some(Ok(frame));
                }
                Some(Err(error)) => {
                    self.gate.spoil();
                    if let Some(hook) = self.on_integrity.take() {
                        (hook.0)(&error);
                    }
                    return Some(Err(error.into()));
                }
                None => {
                    self.items.pop_front();
                }
            }
        }
        None
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        let body = &mut *self;
        if body.frame.is_none() {
            if let Some(Item::Text(_)) = body.items.front() {
                // Delimiters are ours, not the dataset's; still nothing is sent on a stream that was cut.
                ready!(body.gate.poll(context, 0))?;
                if let Some(Item::Text(text)) = body.items.pop_front() {
                    body.sent += text.len() as u64;
                    return Poll::Ready(Some(Ok(http_body::Frame::data(text))));
                }
            }
            body.frame = match body.next_frame() {
                Some(frame) => {
                    let frame = frame?;
                    let mut units = IntervalSet::default();
                    for part in frame.delivered {
                        units.insert(part.range);
                    }
                    let units = vec![(Arc::clone(&body.file.index), units)];
                    Some((frame.bytes.clone(), Handed { units, bytes: frame.bytes.len() as u64, sliced: true }))
                }
                // A multipart tail may follow the last part.
                None if body.items.is_empty() => {
                    return Poll::Ready(None);
                }
                None => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            };
        }
        let Some((frame, handed)) = body.frame.as_mut() else { return Poll::Ready(None) };
        let bytes = frame.len().min(body.piece_bytes_max);
        ready!(body.gate.poll(context, bytes as u64))?;
        let piece = frame.split_to(bytes);
        let handed = handed.take_first(bytes as u64);
        if frame.is_empty() {
            body.frame = None;
        }
        body.gate.pass(handed);
        body.sent += piece.len() as u64;
        Poll::Ready(Some(Ok(http_body::Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent >= self.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length.saturating_sub(self.sent))
    }
}
