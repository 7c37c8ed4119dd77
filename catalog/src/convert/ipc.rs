//! Arrow IPC, file and stream. The file form is the stream form between two magics and a footer, and is read as such.
//!
//! Every message is looked at before the reader sees it, because that one reserves what a message declares.

use std::io::{Cursor, Write};

use arrow::ipc::reader::StreamReader;
use arrow::ipc::{RecordBatch as BatchHeader, root_as_message};

use super::ConvertError;
use super::sink::Sink;
use crate::guard::guarded;
use crate::layout::Limits;

/// `ARROW1` and two bytes of padding.
const MAGIC: &[u8] = b"ARROW1\0\0";
/// Stands before the length of a message since Arrow 0.15.
const CONTINUATION: u32 = u32::MAX;
/// Longest metadata of a message.
const METADATA_BYTES_MAX: usize = 64 << 20;

pub(super) fn convert<W: Write + Send>(
    bytes: &[u8],
    limits: &Limits,
    out: W,
) -> Result<u64, ConvertError> {
    let start = first_message(bytes);
    let stream = bytes.get(start..).unwrap_or_default();
    let end = check(stream, start, limits)?;
    let stream = stream.get(..end).unwrap_or_default();
    let unreadable = |what: String| ConvertError::Arrow {
        offset: start as u64,
        what,
    };
    let mut reader = guarded(|| StreamReader::try_new(Cursor::new(stream), None))
        .map_err(|error| unreadable(error.to_string()))?
        .map_err(|error| unreadable(format!("the schema cannot be read: {error}")))?;
    if reader.schema().fields().is_empty() {
        return Err(ConvertError::Empty);
    }
    let mut sink = Sink::new(reader.schema(), out)?;
    let mut batches = 0u64;
    loop {
        let failed =
            |what: String| unreadable(format!("record batch {batches} cannot be read: {what}"));
        let batch = guarded(|| reader.next()).map_err(|error| failed(error.to_string()))?;
        match batch {
            Some(batch) => sink.write(&batch.map_err(|error| failed(error.to_string()))?)?,
            None => return sink.finish(),
        }
        batches += 1;
    }
}

/// Where the stream form begins: after the magic, which some writers pad to 64 bytes.
fn first_message(bytes: &[u8]) -> usize {
    if !bytes.starts_with(MAGIC) {
        return 0;
    }
    let mut start = MAGIC.len();
    while start < 64 && bytes.get(start..start + 8) == Some(&[0; 8]) {
        start += 8;
    }
    start
}

/// Walks the messages; answers where the stream ends.
fn check(stream: &[u8], start: usize, limits: &Limits) -> Result<usize, ConvertError> {
    let mut at = 0;
    loop {
        let wrong = |what: &str| ConvertError::Arrow {
            offset: (start + at) as u64,
            what: what.to_owned(),
        };
        let word = |at: usize| {
            let bytes = stream.get(at..).and_then(|rest| rest.first_chunk::<4>());
            bytes.map(|bytes| u32::from_le_bytes(*bytes))
        };
        let Some(first) = word(at) else {
            // The end marker may be missing, but nothing may be cut off.
            return if at == stream.len() && at > 0 {
                Ok(at)
            } else {
                Err(wrong("the stream is cut off"))
            };
        };
        let (length, metadata_at) = if first == CONTINUATION {
            (
                word(at + 4).ok_or_else(|| wrong("the stream is cut off"))?,
                at + 8,
            )
        } else {
            (first, at + 4)
        };
        if length == 0 {
            return Ok(metadata_at);
        }
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= METADATA_BYTES_MAX);
        let length = length.ok_or_else(|| {
            wrong("a message is longer than is allowed, or the file is not Arrow IPC")
        })?;
        let metadata = stream
            .get(metadata_at..metadata_at + length)
            .ok_or_else(|| wrong("a message is cut off"))?;
        let message = root_as_message(metadata)
            .map_err(|error| wrong(&format!("a message cannot be read: {error}")))?;
        let body = usize::try_from(message.bodyLength()).ok().and_then(|body| {
            let body_at = metadata_at + length;
            stream.get(body_at..body_at.checked_add(body)?)
        });
        let body = body.ok_or_else(|| wrong("a message's body is cut off"))?;
        let batch = message.header_as_record_batch();
        if let Some(batch) = batch.or_else(|| {
            message
                .header_as_dictionary_batch()
                .and_then(|batch| batch.data())
        }) {
            expansion(&batch, body, limits).map_err(|what| wrong(&what))?;
        }
        at = metadata_at + length + body.len();
    }
}

/// Whether the buffers of a batch are within its body, and what they declare to unpack to within bounds.
fn expansion(batch: &BatchHeader<'_>, body: &[u8], limits: &Limits) -> Result<(), String> {
    let compressed = batch.compression().is_some();
    let mut total = 0u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let bytes = usize::try_from(buffer.offset())
            .ok()
            .zip(usize::try_from(buffer.length()).ok());
        let bytes = bytes.and_then(|(at, length)| body.get(at..at.checked_add(length)?));
        let bytes = bytes.ok_or("a buffer lies outside its message")?;
        let declared = bytes
            .first_chunk::<8>()
            .map(|length| i64::from_le_bytes(*length))
            .filter(|_| compressed);
        // -1 says that the buffer is stored as it is.
        let declared = declared.map_or(bytes.len() as u64, |length| {
            u64::try_from(length).unwrap_or(bytes.len() as u64)
        });
        total = total.saturating_add(declared);
    }
    let limit = (body.len() as u64)
        .saturating_mul(limits.expansion)
        .min(limits.expansion_floor_bytes.saturating_mul(16));
    let limit = limit.max(limits.expansion_floor_bytes);
    if total > limit {
        return Err(format!(
            "a record batch would unpack to {total} bytes, more than the limit of {limit}"
        ));
    }
    Ok(())
}
