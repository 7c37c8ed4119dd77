//! Turns CSV, JSON Lines and Arrow IPC into Parquet on the way in: one stored format, one inspection.
//!
//! The input is a slice (the gateway maps the spooled upload), the output streams into a writer, memory is bounded by
//! one batch and one row group. The same input always gives the same bytes. A value never changes silently: a column
//! becomes a number only if every value of it can be written back as it was.

mod csv;
mod ipc;
mod json;
mod records;
mod sink;

#[cfg(test)]
mod tests;

use std::io::Write;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use crate::layout::Limits;

/// What a file that is not Parquet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TextFormat {
    /// Comma, semicolon or tab separated values with a header line.
    Csv,
    /// One JSON object a line.
    JsonLines,
    /// Arrow IPC, file or stream.
    Arrow,
}

/// Why a file was not converted. Lines count from 1, offsets from 0.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A byte that is not UTF-8.
    #[error("line {line}: byte {offset} is not UTF-8: save the file as UTF-8 (GB18030, Big5 and UTF-16 are not read)")]
    NotUtf8 {
        /// The line it stands in.
        line: u64,
        /// Its offset in the file.
        offset: u64,
    },
    /// Text that is not CSV or JSON Lines.
    #[error("line {line}: {what}")]
    Text {
        /// The line at fault.
        line: u64,
        /// What is wrong and what would be right.
        what: String,
    },
    /// Bytes that are not Arrow IPC.
    #[error("at byte {offset}: {what}")]
    Arrow {
        /// Offset of the message at fault.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A type that Parquet does not have.
    #[error("the columns cannot be stored as Parquet: {0}")]
    Columns(String),
    /// No row and no column.
    #[error("the file is empty: it needs a header line or a row, or nobody knows its columns")]
    Empty,
    /// Writing failed: ours, not the file's.
    #[error("the converted file cannot be written: {0}")]
    Write(#[from] ParquetError),
}

impl ConvertError {
    fn text(line: u64, what: impl Into<String>) -> Self {
        Self::Text { line, what: what.into() }
    }
}

/// Arrays that we built ourselves do not fit together: only a type that Arrow lacks can cause it.
impl From<ArrowError> for ConvertError {
    fn from(error: ArrowError) -> Self {
        Self::Columns(error.to_string())
    }
}

/// Converts `bytes` and writes the Parquet to `out`; answers the number of rows.
pub fn convert<W: Write + Send>(
    format: TextFormat,
    bytes: &[u8],
    limits: &Limits,
    out: W,
) -> Result<u64, ConvertError> {
    match format {
        TextFormat::Csv => csv::convert(bytes, limits, out),
        TextFormat::JsonLines => json::convert(bytes, limits, out),
        TextFormat::Arrow => ipc::convert(bytes, limits, out),
    }
}

/// `bytes` as text; the error counts from where they stand in the file.
fn utf8(bytes: &[u8], offset: usize, line: u64) -> Result<&str, ConvertError> {
    std::str::from_utf8(bytes)
        .map_err(|error| ConvertError::NotUtf8 { line, offset: (offset + error.valid_up_to()) as u64 })
}

/// A UTF-8 byte order mark.
const BOM: &[u8] = b"\xef\xbb\xbf";
