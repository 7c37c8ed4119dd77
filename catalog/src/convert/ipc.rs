//! Arrow IPC, file and stream.
//!
//! Every message is looked at before the reader sees it, because that one reserves what a message declares.

use std::io::{Cursor, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::ipc::{RecordBatch as BatchHeader, root_as_footer, root_as_message};

use super::ConvertError;
use super::sink::Sink;
use crate::guard::guarded;
use crate::layout::Limits;

/// Begins a file, then padding; ends it without.
const MAGIC: &[u8] = b"ARROW1";
/// Stands before the length of a message since Arrow 0.15.
const CONTINUATION: u32 = u32::MAX;
/// Longest metadata of a message, and longest footer.
const METADATA_BYTES_MAX: usize = 64 << 20;
/// Longest body of a message, which the reader copies whole.
const BODY_BYTES_MAX: usize = 1 << 30;

pub(super) fn convert<W: Write + Send>(bytes: &[u8], limits: &Limits, out: W) -> Result<u64, ConvertError> {
    let input = Input { bytes, limits };
    if bytes.starts_with(MAGIC) {
        input.check_file()?;
        let reader = opened(|| FileReader::try_new(Cursor::new(bytes), None))?;
        copy(reader.schema(), reader, out)
    } else {
        let end = input.check_stream()?;
        let stream = bytes.get(..end).unwrap_or_default();
        let reader = opened(|| StreamReader::try_new(Cursor::new(stream), None))?;
        copy(reader.schema(), reader, out)
    }
}

fn opened<T>(open: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, ConvertError> {
    let unreadable =
        |what: String| ConvertError::Arrow { offset: 0, what: format!("the schema cannot be read: {what}") };
    guarded(open).map_err(|error| unreadable(error.to_string()))?.map_err(|error| unreadable(error.to_string()))
}

fn copy<W: Write + Send>(
    schema: SchemaRef,
    mut batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    out: W,
) -> Result<u64, ConvertError> {
    if schema.fields().is_empty() {
        return Err(ConvertError::Empty);
    }
    let mut sink = Sink::new(schema, out)?;
    for number in 0u64.. {
        let failed = |what: String| ConvertError::Arrow {
            offset: 0,
            what: format!("record batch {number} cannot be read: {what}"),
        };
        match guarded(|| batches.next()).map_err(|error| failed(error.to_string()))? {
            Some(batch) => sink.write(&batch.map_err(|error| failed(error.to_string()))?)?,
            None => break,
        }
    }
    sink.finish()
}

fn wrong(offset: usize, what: impl Into<String>) -> ConvertError {
    ConvertError::Arrow { offset: offset as u64, what: what.into() }
}

#[derive(Debug, Clone, Copy)]
struct Input<'a> {
    bytes: &'a [u8],
    limits: &'a Limits,
}

impl<'a> Input<'a> {
    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
        bytes.map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// `length` bytes at `at`, of which there are at most `max`.
    fn slice(&self, at: usize, length: Option<usize>, max: usize) -> Option<&'a [u8]> {
        let length = length.filter(|length| *length <= max)?;
        self.bytes.get(at..at.checked_add(length)?)
    }

    /// Where the metadata of the message at `at` begins, and its length; zero is the end marker.
    fn prefix(&self, at: usize) -> Option<(usize, usize)> {
        match self.word(at)? {
            CONTINUATION => Some((at + 8, usize::try_from(self.word(at + 4)?).ok()?)),
            length => Some((at + 4, usize::try_from(length).ok()?)),
        }
    }

    /// Walks the messages of a stream; answers where it ends.
    fn check_stream(&self) -> Result<usize, ConvertError> {
        let mut at = 0;
        loop {
            // Without its end marker, a stream that was cut between two messages would look whole.
            let prefix = self.prefix(at).ok_or_else(|| wrong(at, "the stream has no end marker: it is cut off"))?;
            let (metadata_at, length) = prefix;
            if length == 0 {
                return Ok(metadata_at);
            }
            at = self.check_message(at, metadata_at, length, None)?;
        }
    }

    /// Walks the messages that the footer of a file names.
    fn check_file(&self) -> Result<(), ConvertError> {
        let end = self.bytes.len();
        let tail = end.checked_sub(MAGIC.len() + 4).filter(|tail| *tail > MAGIC.len() && self.bytes.ends_with(MAGIC));
        let tail = tail.ok_or_else(|| wrong(end, "the file does not end with `ARROW1`: it is cut off"))?;
        let length = self.word(tail).and_then(|length| usize::try_from(length).ok());
        let start = length.and_then(|length| tail.checked_sub(length));
        let footer = start.and_then(|start| self.slice(start, length, METADATA_BYTES_MAX));
        let footer = footer.ok_or_else(|| wrong(tail, "the footer is longer than the file or than is allowed"))?;
        let footer =
            root_as_footer(footer).map_err(|error| wrong(tail, format!("the footer cannot be read: {error}")))?;
        let mut total = 0usize;
        for block in footer.dictionaries().into_iter().flatten().chain(footer.recordBatches().into_iter().flatten()) {
            let at = usize::try_from(block.offset()).unwrap_or(usize::MAX);
            let body = usize::try_from(block.bodyLength()).unwrap_or(usize::MAX);
            let prefix = self.prefix(at).filter(|(_, length)| *length > 0);
            let (metadata_at, length) =
                prefix.ok_or_else(|| wrong(at, "the footer names a message that is not there"))?;
            self.check_message(at, metadata_at, length, Some(body))?;
            // Blocks that share their bytes would unpack the same ones for ever.
            total = total.saturating_add(length).saturating_add(body);
            if total > end {
                return Err(wrong(at, "the messages that the footer names overlap"));
            }
        }
        Ok(())
    }

    /// Checks one message, whose body the footer says is `said` long; answers where it ends.
    fn check_message(
        &self,
        at: usize,
        metadata_at: usize,
        length: usize,
        said: Option<usize>,
    ) -> Result<usize, ConvertError> {
        let metadata = self.slice(metadata_at, Some(length), METADATA_BYTES_MAX);
        let metadata = metadata.ok_or_else(|| wrong(at, "a message is cut off, or the file is not Arrow IPC"))?;
        let message =
            root_as_message(metadata).map_err(|error| wrong(at, format!("a message cannot be read: {error}")))?;
        let body_at = metadata_at + length;
        let declared = usize::try_from(message.bodyLength()).ok();
        if said.is_some() && said != declared {
            return Err(wrong(at, "a message has another length than the footer says"));
        }
        let body = self.slice(body_at, declared, BODY_BYTES_MAX);
        let body =
            body.ok_or_else(|| wrong(at, "a message is cut off, or longer than 1 GiB: write smaller batches"))?;
        let batch = message.header_as_record_batch();
        if let Some(batch) = batch.or_else(|| message.header_as_dictionary_batch().and_then(|batch| batch.data())) {
            expansion(&batch, body, self.limits).map_err(|what| wrong(at, what))?;
        }
        Ok(body_at + body.len())
    }
}

/// Whether the buffers of a batch are within its body, and what they declare to unpack to within bounds.
fn expansion(batch: &BatchHeader<'_>, body: &[u8], limits: &Limits) -> Result<(), String> {
    let compressed = batch.compression().is_some();
    let mut total = 0u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let bytes = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let bytes = bytes.and_then(|(at, length)| body.get(at..at.checked_add(length)?));
        let bytes = bytes.ok_or("a buffer lies outside its message")?;
        let declared = bytes.first_chunk::<8>().map(|length| i64::from_le_bytes(*length)).filter(|_| compressed);
        // -1 says that the buffer is stored as it is.
        let declared =
            declared.map_or(bytes.len() as u64, |length| u64::try_from(length).unwrap_or(bytes.len() as u64));
        total = total.saturating_add(declared);
    }
    let limit =
        (body.len() as u64).saturating_mul(limits.expansion).min(limits.expansion_floor_bytes.saturating_mul(16));
    let limit = limit.max(limits.expansion_floor_bytes);
    if total > limit {
        return Err(format!("a record batch would unpack to {total} bytes, more than the limit of {limit}"));
    }
    Ok(())
}
