//! Arrow IPC messages: the header and body of each for Flight, and the encapsulated stream for HTTPS.
//!
//! Bodies are made of the arrays' own buffers; only short pieces and padding are copied.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::root_as_message;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, StreamEncoder};
use bytes::{Bytes, BytesMut};

/// Marks the end of a stream (Arrow columnar format, "IPC Streaming Format").
pub const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Before each message: continuation marker and header length.
const PREFIX_BYTES: usize = 8;

/// Pieces of a body shorter than this are copied together.
const SMALL_BYTES: usize = 8 * 1024;

/// A batch that cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IpcError {
    /// The encoder refused it.
    #[error("the batch cannot be encoded as arrow ipc: {0}")]
    Encode(String),
    /// The encoder's output is not a sequence of messages.
    #[error("the arrow ipc encoder gave bytes that are not messages")]
    Framing,
}

impl From<ArrowError> for IpcError {
    fn from(error: ArrowError) -> Self {
        Self::Encode(error.to_string())
    }
}

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// The schema, once and first.
    Schema,
    /// Values of a dictionary column, before the batch that refers to them.
    Dictionary,
    /// Rows.
    RecordBatch,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// What it carries.
    pub kind: MessageKind,
    /// The flatbuffer `Message`, padded to eight bytes, without prefix: `FlightData.data_header`.
    pub header: Bytes,
    /// Its body in order: `FlightData.data_body`. Empty for a schema.
    pub body: Vec<Bytes>,
}

impl Message {
    /// Length of the body.
    pub fn body_bytes(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }

    /// The body in one piece, for a protobuf field: copied unless it is in one piece already.
    pub fn body_joined(&self) -> Bytes {
        match self.body.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            pieces => {
                let mut joined = BytesMut::with_capacity(self.body_bytes());
                for piece in pieces {
                    joined.extend_from_slice(piece);
                }
                joined.freeze()
            }
        }
    }

    /// The message as it stands in a stream: prefix and header, then the body's pieces.
    pub fn stream_parts(self) -> Vec<Bytes> {
        let mut head = BytesMut::with_capacity(PREFIX_BYTES + self.header.len());
        head.extend_from_slice(&[0xff; 4]);
        head.extend_from_slice(&u32::try_from(self.header.len()).unwrap_or(u32::MAX).to_le_bytes());
        head.extend_from_slice(&self.header);
        let mut parts = Vec::with_capacity(self.body.len() + 1);
        parts.push(head.freeze());
        parts.extend(self.body);
        parts
    }
}

/// The schema message; `stream_parts` of it, joined, are what `FlightInfo.schema` and `SchemaResult` carry.
pub fn schema_message(schema: &Schema) -> Message {
    let mut tracker = DictionaryTracker::new(false);
    let options = IpcWriteOptions::default();
    let data = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(schema, &mut tracker, &options);
    let mut header = data.ipc_message;
    header.resize(header.len().next_multiple_of(8), 0);
    Message { kind: MessageKind::Schema, header: Bytes::from(header), body: Vec::new() }
}

/// Encodes the batches of one stream. Dictionaries are sent before the first batch that needs them, and again when
/// their values change.
pub struct IpcEncoder {
    encoder: StreamEncoder,
    /// The encoder says the schema again before its first batch.
    skip_schema: bool,
}

impl std::fmt::Debug for IpcEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IpcEncoder")
    }
}

impl IpcEncoder {
    /// Starts a stream: its first message, and the encoder of the rest. A Flight stream per endpoint and an HTTPS body
    /// each need one of their own.
    pub fn start(schema: &Schema) -> Result<(Message, Self), IpcError> {
        let encoder = StreamEncoder::try_new(schema)?;
        Ok((schema_message(schema), Self { encoder, skip_schema: true }))
    }

    /// The messages of a batch: dictionaries, then the rows.
    pub fn encode(&mut self, records: &RecordBatch) -> Result<Vec<Message>, IpcError> {
        let mut output = Output(self.encoder.encode(records)?.into_iter().map(Owned).map(Bytes::from_owner).collect());
        let mut messages = Vec::new();
        while let Some(message) = output.message()? {
            if message.kind == MessageKind::Schema && std::mem::take(&mut self.skip_schema) {
                continue;
            }
            messages.push(message);
        }
        Ok(messages)
    }
}

/// An Arrow buffer as the owner of [`Bytes`].
struct Owned(Buffer);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// The encoder's output: messages back to back, cut anywhere.
struct Output(VecDeque<Bytes>);

impl Output {
    fn message(&mut self) -> Result<Option<Message>, IpcError> {
        let Some(prefix) = self.copied(PREFIX_BYTES)? else {
            return Ok(None);
        };
        let (Some(&[0xff, 0xff, 0xff, 0xff]), Some(length)) = (prefix.first_chunk::<4>(), prefix.last_chunk::<4>())
        else {
            return Err(IpcError::Framing);
        };
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| IpcError::Framing)?;
        if length == 0 {
            return Ok(None);
        }
        let header = self.copied(length)?.ok_or(IpcError::Framing)?;
        let (kind, body) = {
            let message = root_as_message(&header).map_err(|_| IpcError::Framing)?;
            let kind = if message.header_as_schema().is_some() {
                MessageKind::Schema
            } else if message.header_as_dictionary_batch().is_some() {
                MessageKind::Dictionary
            } else {
                MessageKind::RecordBatch
            };
            (kind, usize::try_from(message.bodyLength()).map_err(|_| IpcError::Framing)?)
        };
        Ok(Some(Message { kind, header, body: self.taken(body)? }))
    }

    /// The next `length` bytes in one piece, or `None` at the end.
    fn copied(&mut self, length: usize) -> Result<Option<Bytes>, IpcError> {
        if self.0.iter().all(Bytes::is_empty) {
            return Ok(None);
        }
        let mut joined = BytesMut::with_capacity(length);
        while joined.len() < length {
            joined.extend_from_slice(&self.pop(length - joined.len())?);
        }
        Ok(Some(joined.freeze()))
    }

    /// The next `length` bytes, long pieces as they are and short ones copied together.
    fn taken(&mut self, length: usize) -> Result<Vec<Bytes>, IpcError> {
        let mut parts = Vec::new();
        let mut small = BytesMut::new();
        let mut left = length;
        while left > 0 {
            let piece = self.pop(left)?;
            left -= piece.len();
            if piece.len() < SMALL_BYTES {
                small.extend_from_slice(&piece);
                continue;
            }
            if !small.is_empty() {
                parts.push(small.split().freeze());
            }
            parts.push(piece);
        }
        if !small.is_empty() {
            parts.push(small.freeze());
        }
        Ok(parts)
    }

    /// At most `most` bytes from the front.
    fn pop(&mut self, most: usize) -> Result<Bytes, IpcError> {
        let mut front = self.0.pop_front().ok_or(IpcError::Framing)?;
        if front.len() > most {
            let rest = front.split_off(most);
            self.0.push_front(rest);
        }
        Ok(front)
    }
}

#[cfg(test)]
mod tests;
