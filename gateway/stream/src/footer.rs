//! The footer of a stored file, verified before it is parsed.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use catalog::file_index::Unit;
use catalog::{FileIndex, RegionKind};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader};

use crate::frame::{IntegrityError, verify};
use crate::guard::guarded;

/// Bytes after the metadata: its length and the magic.
pub(crate) const TAIL_BYTES: usize = 8;

/// Metadata of a stored file together with its index.
#[derive(Debug, Clone)]
pub struct Footer {
    index: Arc<FileIndex>,
    metadata: Arc<ParquetMetaData>,
    /// By row group, then leaf.
    units: Vec<Unit>,
}

/// A footer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FooterError {
    /// The stored bytes changed after inspection.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// The footer is encrypted (`PARE`).
    #[error("the parquet footer is encrypted: register the file without parquet encryption")]
    Encrypted,
    /// The metadata do not parse.
    #[error("the parquet footer does not parse: {0}")]
    Malformed(String),
    /// The metadata and the index describe different files.
    #[error("the parquet footer does not agree with the file's index: {0}")]
    Disagrees(&'static str),
}

impl Footer {
    /// Verifies and parses the footer of `file`, the whole stored file that `index` describes.
    pub fn read(index: Arc<FileIndex>, file: &Bytes) -> Result<Self, FooterError> {
        let region = index.regions.iter().rfind(|region| region.kind == RegionKind::Footer);
        let range = region.ok_or(FooterError::Disagrees("the index has no footer region"))?.range();
        verify(&index, file, &range)?;
        let bytes = within(file, &range).ok_or(FooterError::Disagrees("the footer lies outside the file"))?;
        let metadata = Arc::new(parse(bytes)?);
        let units = units(&index, &metadata)?;
        Ok(Self { index, metadata, units })
    }

    /// The file's index.
    pub fn index(&self) -> &Arc<FileIndex> {
        &self.index
    }

    /// The parsed metadata.
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        &self.metadata
    }

    /// Number of leaf columns.
    pub fn leaves(&self) -> usize {
        self.metadata.file_metadata().schema_descr().num_columns()
    }

    /// The unit of a row group and leaf column.
    pub fn unit(&self, row_group: usize, leaf: usize) -> Option<&Unit> {
        if leaf >= self.leaves() {
            return None;
        }
        self.units.get(row_group.checked_mul(self.leaves())?.checked_add(leaf)?)
    }
}

/// `file[range]`, if it is inside and fits the address space.
pub(crate) fn within<'a>(file: &'a [u8], range: &Range<u64>) -> Option<&'a [u8]> {
    file.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

fn parse(footer: &[u8]) -> Result<ParquetMetaData, FooterError> {
    let (thrift, tail) = footer
        .len()
        .checked_sub(TAIL_BYTES)
        .and_then(|at| footer.split_at_checked(at))
        .ok_or(FooterError::Disagrees("the footer is shorter than eight bytes"))?;
    match tail.split_first_chunk::<4>() {
        Some((_, b"PARE")) => return Err(FooterError::Encrypted),
        Some((length, b"PAR1")) if u32::from_le_bytes(*length) as usize == thrift.len() => {}
        _ => {
            return Err(FooterError::Disagrees("the footer's length is not the one it states"));
        }
    }
    let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
    guarded(|| ParquetMetaDataReader::decode_metadata_with_options(thrift, Some(&options)))
        .map_err(|_| FooterError::Malformed("the decoder gave up".to_owned()))?
        .map_err(|error| FooterError::Malformed(error.to_string()))
}

/// The index's units in row group and leaf order, each the byte range that the metadata give the same chunk.
fn units(index: &FileIndex, metadata: &ParquetMetaData) -> Result<Vec<Unit>, FooterError> {
    let leaves = metadata.file_metadata().schema_descr().num_columns();
    if leaves != index.leaves.len() {
        return Err(FooterError::Disagrees("the number of leaf columns differs"));
    }
    let rows = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).ok());
    if !rows.eq(index.row_groups.iter().copied().map(Some)) {
        return Err(FooterError::Disagrees("the rows of the row groups differ"));
    }
    let mut units = index.units.clone();
    units.sort_by_key(|unit| (unit.row_group, unit.column));
    let chunks =
        metadata.row_groups().iter().enumerate().flat_map(|(number, group)| {
            group.columns().iter().enumerate().map(move |(leaf, chunk)| (number, leaf, chunk))
        });
    let mut matched = units.iter();
    for (number, leaf, chunk) in chunks {
        let unit = matched.next().ok_or(FooterError::Disagrees("the index lacks a unit"))?;
        let start = u64::try_from(chunk.data_page_offset()).ok();
        let same = unit.row_group as usize == number
            && unit.column as usize == leaf
            && u64::try_from(chunk.compressed_size()).ok() == Some(unit.bytes)
            && u64::try_from(chunk.uncompressed_size()).ok() == Some(unit.uncompressed_bytes)
            && start.is_some_and(|at| {
                // A chunk of no values has no data page, and writers put any number there (pyarrow: 0).
                unit.bytes == 0
                    || chunk.num_values() == 0
                    || (unit.offset..unit.offset.saturating_add(unit.bytes)).contains(&at)
            });
        if !same {
            return Err(FooterError::Disagrees("a column chunk lies elsewhere or has another size"));
        }
        if chunk.file_path().is_some() {
            return Err(FooterError::Disagrees("a column chunk lies in another file"));
        }
    }
    if matched.next().is_some() {
        return Err(FooterError::Disagrees("the index has more units than the footer has column chunks"));
    }
    Ok(units)
}
