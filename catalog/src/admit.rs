//! How a file comes into the store: decided by name and first bytes, packed or converted where needed, then laid out
//! and hashed.
//!
//! The gateway spools the upload and maps it, calls [`prepare`] with a writer for the stored file, maps that (or the
//! upload itself, when it is stored as it is), calls [`admit`], and gives the result to [`crate::inspect::Inspector`].

use std::collections::BTreeMap;
use std::io::Write;

use crate::FileIndex;
use crate::convert::{ConvertError, TextFormat, convert};
use crate::id::is_file_name;
use crate::layout::{Depth, Gap, Layout, LayoutError, Limits, PackError, pack};

/// Rows of a batch, unless a row may unpack to much.
const BATCH_ROWS: u64 = 8192;
/// Bytes that the dictionary values of a batch may unpack to.
const BATCH_BYTES: u64 = 64 << 20;

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The name is not one that a file of a version may have.
    #[error("`{0}` is not a file name: write 1 to 200 of A-Z, a-z, 0-9, `.`, `_` and `-`, no leading dot")]
    Name(String),
    /// No byte at all.
    #[error("at byte 0: the file is empty")]
    Empty,
    /// Neither name nor bytes say what it is.
    #[error(
        "`{name}` is {what}: send Parquet (.parquet), Arrow IPC (.arrow, .arrows, .feather), CSV (.csv, .tsv) or JSON Lines (.jsonl, .ndjson)"
    )]
    Format {
        /// The name.
        name: String,
        /// What it seems to be.
        what: &'static str,
    },
    /// The Parquet file does not hold together.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// It could not be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// It could not be converted.
    #[error(transparent)]
    Convert(#[from] ConvertError),
}

/// What the stored file is to the uploaded one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The upload itself; nothing was written.
    AsIs,
    /// The upload without these bytes that no reader looks at.
    Packed(Vec<Gap>),
    /// Parquet made of another format.
    Converted(TextFormat),
}

/// A file that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Its name in the version: `x.csv` becomes `x.parquet`.
    pub name: String,
    /// What it is to the upload.
    pub kept: Kept,
}

/// A stored file that was laid out down to every page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Its index.
    pub index: FileIndex,
    /// Rows that may be decoded at once: a dictionary of long values unpacks to more than it takes.
    pub batch_rows: usize,
    /// Names of its key-value metadata, and the length of each value.
    pub key_values: BTreeMap<String, u64>,
}

enum Format {
    Parquet,
    Other(TextFormat),
}

/// Checks the file `bytes`, uploaded as `name`, and writes what is to be stored to `out`, unless it is stored as it is.
///
/// # Errors
/// [`PrepareError`]; whatever was written to `out` is then to be thrown away.
pub fn prepare<W: Write + Send>(name: &str, bytes: &[u8], limits: &Limits, out: W) -> Result<Prepared, PrepareError> {
    if !is_file_name(name) {
        return Err(PrepareError::Name(name.chars().take(200).collect()));
    }
    let stored = stored_name(name)?;
    match detect(name, bytes)? {
        Format::Parquet => {
            let layout = Layout::read(bytes, limits, Depth::Headers)?;
            if layout.gaps().is_empty() {
                return Ok(Prepared { name: stored, kept: Kept::AsIs });
            }
            pack(bytes, &layout, out)?;
            Ok(Prepared { name: stored, kept: Kept::Packed(layout.gaps().to_vec()) })
        }
        Format::Other(format) => {
            convert(format, bytes, limits, out)?;
            Ok(Prepared { name: stored, kept: Kept::Converted(format) })
        }
    }
}

/// Lays out and hashes a file as it is stored: its regions tile it, every page expands, every count is true.
pub fn admit(file: &[u8], limits: &Limits) -> Result<Admitted, LayoutError> {
    let layout = Layout::read(file, limits, Depth::Pages)?;
    let rows = BATCH_BYTES.checked_div(layout.row_bytes_max()).unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS);
    let index = layout.index(file)?;
    Ok(Admitted { index, batch_rows: usize::try_from(rows).unwrap_or(1), key_values: layout.key_values().clone() })
}

fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// The name under which `name` is stored.
fn stored_name(name: &str) -> Result<String, PrepareError> {
    let known = matches!(
        extension(name).as_str(),
        "parquet" | "pq" | "parq" | "arrow" | "arrows" | "ipc" | "feather" | "csv" | "tsv" | "jsonl" | "ndjson"
    );
    let stem = if known { name.rsplit_once('.').map_or(name, |(stem, _)| stem) } else { name };
    let stored = if name.ends_with(".parquet") { name.to_owned() } else { format!("{stem}.parquet") };
    if is_file_name(&stored) { Ok(stored) } else { Err(PrepareError::Name(stored)) }
}

fn detect(name: &str, bytes: &[u8]) -> Result<Format, PrepareError> {
    let unknown = |what| PrepareError::Format { name: name.to_owned(), what };
    if bytes.is_empty() {
        return Err(PrepareError::Empty);
    }
    // What the first bytes say is stronger than the name.
    if bytes.starts_with(b"PAR1") || bytes.starts_with(b"PARE") {
        return Ok(Format::Parquet);
    }
    if bytes.starts_with(b"ARROW1\0\0") {
        return Ok(Format::Other(TextFormat::Arrow));
    }
    for (magic, what) in [
        (&b"\x1f\x8b"[..], "compressed with gzip, which is to be unpacked first"),
        (b"PK\x03\x04", "a zip archive or an Excel workbook"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd, which is to be unpacked first"),
        (b"BZh", "compressed with bzip2, which is to be unpacked first"),
        (b"FEA1", "Feather version 1"),
    ] {
        if bytes.starts_with(magic) {
            return Err(unknown(what));
        }
    }
    match extension(name).as_str() {
        "parquet" | "pq" | "parq" => Ok(Format::Parquet),
        "arrow" | "arrows" | "ipc" | "feather" => Ok(Format::Other(TextFormat::Arrow)),
        "csv" | "tsv" => Ok(Format::Other(TextFormat::Csv)),
        "jsonl" | "ndjson" => Ok(Format::Other(TextFormat::JsonLines)),
        _ if bytes.starts_with(&[0xff; 4]) => Ok(Format::Other(TextFormat::Arrow)),
        _ => Err(unknown("of no known kind")),
    }
}
