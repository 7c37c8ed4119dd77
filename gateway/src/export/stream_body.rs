//! The body of a decoded stream (Arrow IPC, CSV, JSON Lines) through the gate.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use catalog::FileIndex;
use gateway_ledger::IntervalSet;
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use tokio::sync::mpsc;
use tonic::Status;

use super::body::{BodyError, IntegrityHook};
use super::produce::{Encoded, ProduceError, joined};
use super::{Gate, GateError, Handed};

type Produced = Result<Encoded<Bytes>, ProduceError>;

/// How a stream says that it has ended, and that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The end of the body; a break breaks the transport.
    Transport,
    /// Trailers with a gRPC status, also for a break.
    Grpc,
}

/// Sends `head`, what is produced, then `tail`.
#[derive(Debug)]
pub struct StreamBody {
    gate: Gate,
    produced: Option<mpsc::Receiver<Produced>>,
    frames: VecDeque<Bytes>,
    tail: Option<Bytes>,
    /// Units that the queued frames stand for: handed over with the last of them, so that a batch that breaks off counts
    /// for nothing.
    units: Vec<(Arc<FileIndex>, IntervalSet)>,
    on_integrity: Option<IntegrityHook>,
    ending: Ending,
    done: bool,
}

impl StreamBody {
    /// A body that is not yet begun.
    pub fn new(gate: Gate, head: Bytes, produced: mpsc::Receiver<Produced>, tail: Bytes, hook: IntegrityHook) -> Self {
        let frames = VecDeque::from_iter((!head.is_empty()).then_some(head));
        let tail = Some(tail).filter(|tail| !tail.is_empty());
        Self {
            gate,
            produced: Some(produced),
            frames,
            tail,
            units: Vec::new(),
            on_integrity: Some(hook),
            ending: Ending::Transport,
            done: false,
        }
    }

    /// Ends it in another way.
    #[must_use]
    pub const fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// What the consumer is told at the end: `Ok` if everything was sent.
    fn end(&mut self, result: Result<(), BodyError>) -> Option<Result<http_body::Frame<Bytes>, BodyError>> {
        self.done = true;
        match (self.ending, result) {
            (Ending::Transport, Ok(())) => None,
            (Ending::Transport, Err(error)) => Some(Err(error)),
            (Ending::Grpc, Ok(())) => Some(Ok(http_body::Frame::trailers(trailers(&Status::ok(""))))),
            (Ending::Grpc, Err(error)) => Some(Ok(http_body::Frame::trailers(trailers(&status(&error))))),
        }
    }

    fn fail(&mut self, error: ProduceError) -> BodyError {
        self.gate.spoil();
        match error {
            ProduceError::Integrity(error) => {
                if let Some(hook) = self.on_integrity.take() {
                    (hook.0)(&error);
                }
                error.into()
            }
            ProduceError::Broken(detail) => {
                tracing::error!(detail, "a stream broke off");
                BodyError::Gate(GateError::Records)
            }
        }
    }
}

fn status(error: &BodyError) -> Status {
    let message = error.to_string();
    match error {
        BodyError::Gate(GateError::Cut(_)) => Status::permission_denied(message),
        BodyError::Gate(GateError::LeaseEnded | GateError::Unreceipted) => Status::failed_precondition(message),
        BodyError::Gate(
            GateError::Draining
            | GateError::Records
            | GateError::Unwitnessed(_)
            | GateError::Clock(_)
            | GateError::Damaged,
        ) => Status::unavailable(message),
        BodyError::Integrity(_) => Status::data_loss("the stored bytes are not what was inspected"),
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // A message that fits into no header is left out: the code alone still says that the stream did not end well.
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from(status.code() as i32));
    }
    trailers
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        let body = &mut *self;
        if body.done {
            return Poll::Ready(None);
        }
        while body.frames.is_empty() {
            // Registers for a cut even while nothing is produced.
            if let Err(error) = ready!(body.gate.poll(context, 0)) {
                return Poll::Ready(body.end(Err(error.into())));
            }
            match body.produced.as_mut() {
                Some(produced) => match ready!(produced.poll_recv(context)) {
                    Some(Ok(encoded)) => {
                        body.frames = joined(encoded.messages);
                        body.units = encoded.units;
                    }
                    Some(Err(error)) => {
                        let error = body.fail(error);
                        return Poll::Ready(body.end(Err(error)));
                    }
                    None => {
                        body.produced = None;
                        body.frames.extend(body.tail.take());
                    }
                },
                None => {
                    return Poll::Ready(body.end(Ok(())));
                }
            }
        }
        let bytes = body.frames.front().map_or(0, |frame| frame.len() as u64);
        if let Err(error) = ready!(body.gate.poll(context, bytes)) {
            return Poll::Ready(body.end(Err(error.into())));
        }
        let Some(frame) = body.frames.pop_front() else { return Poll::Ready(None) };
        let units = if body.frames.is_empty() { std::mem::take(&mut body.units) } else { Vec::new() };
        body.gate.pass(Handed { units, bytes, sliced: false });
        Poll::Ready(Some(Ok(http_body::Frame::data(frame))))
    }
}
