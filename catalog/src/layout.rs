//! The layout of a Parquet file, byte by byte (INV-11): magic, column chunks, page indexes, bloom filters and footer
//! tile it, every page header is walked, every page expands to what it declares, and the footer's sizes and counts are
//! true. What does not belong to any of them is a gap, and [`pack`] leaves it out; overlaps and untrue footers are
//! refused with the offset.

mod claims;
mod counts;
mod deltas;
mod error;
mod expand;
mod footer;
mod format;
mod hash;
mod header;
mod hint;
mod indexes;
mod levels;
mod limits;
mod pack;
mod page;
mod pages;
mod schema;
mod shape;
mod thrift;
mod values;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use parquet::file::metadata::ParquetMetaData;
use serde::Serialize;

pub use error::LayoutError;
pub use hash::index;
pub use limits::Limits;
pub use pack::{PackError, pack};

use crate::RegionKind;
use indexes::Rows;
use pages::PagePlace;

/// Bytes that no reader looks at, left out when the file was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Offset in the file as uploaded.
    pub offset: u64,
    /// How many; for an unknown field of the footer, 1.
    pub bytes: u64,
}

/// How far a file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Footer and every page header: enough to lay the file out.
    Headers,
    /// Every page expanded too, its checksum, levels and plain values checked.
    Pages,
}

/// A file that holds together.
#[derive(Debug)]
pub struct Layout {
    metadata: ParquetMetaData,
    /// Regions in file order.
    spans: Vec<(RegionKind, Range<u64>)>,
    gaps: Vec<Gap>,
    key_values: BTreeMap<String, u64>,
    row_bytes_max: u64,
}

impl Layout {
    /// Lays `file` out.
    ///
    /// # Errors
    /// [`LayoutError`] names the offset. Gaps are no error: see [`Self::gaps`].
    pub fn read(file: &[u8], limits: &Limits, depth: Depth) -> Result<Self, LayoutError> {
        let footer = footer::read(file, limits)?;
        let end = file.len() as u64;
        let mut layout = Self {
            spans: vec![(RegionKind::Magic, 0..4), (RegionKind::Footer, footer.offset..end)],
            gaps: footer.unread.iter().map(|(offset, bytes)| Gap { offset: *offset, bytes: *bytes }).collect(),
            key_values: footer.key_values,
            metadata: footer.metadata,
            row_bytes_max: 0,
        };
        layout.counts(footer.offset, limits)?;
        let mut row_bytes: BTreeMap<usize, u64> = BTreeMap::new();
        let mut scratch = Vec::new();
        // All chunks are placed before any is walked: overlapping ones could make us walk the same bytes for ever.
        let chunks = layout.chunks(footer.offset)?;
        layout.spans.extend(chunks.iter().map(|(kind, range)| (*kind, range.clone())));
        layout.spans.retain(|(_, range)| !range.is_empty());
        layout.overlaps()?;
        let mut pages = Vec::with_capacity(chunks.len());
        for (row_group, group) in layout.metadata.row_groups().iter().enumerate() {
            let rows = group.num_rows().cast_unsigned();
            for (column, meta) in group.columns().iter().enumerate() {
                let range = layout.chunk_range(row_group, column)?;
                let chunk = pages::Chunk { offset: range.start, bytes: slice(file, &range)?, meta, rows };
                let walked = chunk.walk(limits, (depth == Depth::Pages).then_some(&mut scratch))?;
                if walked.row_values_max > limits.row_values {
                    let what = format!(
                        "a row of {} values in column `{}`",
                        walked.row_values_max,
                        meta.column_path().string()
                    );
                    return Err(LayoutError::TooLarge { offset: range.start, what, limit: limits.row_values });
                }
                let bytes = walked.row_values_max.saturating_mul(walked.value_bytes_max);
                let most = row_bytes.entry(column).or_default();
                *most = bytes.max(*most);
                pages.push((row_group, column, walked.data_pages));
            }
        }
        layout.row_bytes_max = row_bytes.values().fold(0, |sum, bytes| sum.saturating_add(*bytes));
        for (row_group, column, pages) in pages {
            layout.chunk_indexes(file, footer.offset, (row_group, column), &pages)?;
        }
        layout.spans.sort_by_key(|(_, range)| range.start);
        layout.overlaps()?;
        layout.find_gaps();
        Ok(layout)
    }

    /// Every column chunk's place, each within the file.
    fn chunks(&self, footer: u64) -> Result<Vec<(RegionKind, Range<u64>)>, LayoutError> {
        let mut chunks = Vec::new();
        for row_group in 0..self.metadata.num_row_groups() {
            for column in 0..self.metadata.file_metadata().schema_descr().num_columns() {
                let range = self.chunk_range(row_group, column)?;
                if !range.is_empty() && (range.start < 4 || range.end > footer) {
                    let what = format!("{} would end at byte {}, outside the data", name(row_group, column), range.end);
                    return Err(LayoutError::untrue(range.start, what));
                }
                chunks.push((RegionKind::Chunk { row_group: number(row_group), column: number(column) }, range));
            }
        }
        Ok(chunks)
    }

    /// Where a column chunk stands.
    fn chunk_range(&self, row_group: usize, column: usize) -> Result<Range<u64>, LayoutError> {
        let meta = self.metadata.row_groups().get(row_group).and_then(|group| group.columns().get(column));
        let missing = || LayoutError::damaged(0, format!("{} is missing from the footer", name(row_group, column)));
        let meta = meta.ok_or_else(missing)?;
        if meta.data_page_offset() < 0 || meta.dictionary_page_offset().is_some_and(|offset| offset < 0) {
            return Err(LayoutError::untrue(0, format!("{} has a negative offset or size", name(row_group, column))));
        }
        let dictionary = meta.dictionary_page_offset().filter(|offset| *offset > 0);
        let start = dictionary.unwrap_or(meta.data_page_offset());
        if meta.compressed_size() == 0 && meta.num_values() == 0 {
            // Nothing stands anywhere, whatever the offset says.
            return Ok(0..0);
        }
        // Without values there may be a dictionary and no data page for the other offset to point at.
        if meta.num_values() > 0 && dictionary.is_some_and(|offset| offset >= meta.data_page_offset()) {
            let what = format!("{} says its dictionary comes after its data", name(row_group, column));
            return Err(LayoutError::untrue(start.unsigned_abs(), what));
        }
        let range = u64::try_from(start).ok().zip(u64::try_from(meta.compressed_size()).ok());
        range
            .and_then(|(start, bytes)| Some(start..start.checked_add(bytes)?))
            .ok_or_else(|| LayoutError::untrue(0, format!("{} has a negative offset or size", name(row_group, column))))
    }

    /// Claims the page indexes and the bloom filter of one chunk; one that is not what it says stays a gap.
    fn chunk_indexes(
        &mut self,
        file: &[u8],
        footer: u64,
        (row_group, column): (usize, usize),
        pages: &[PagePlace],
    ) -> Result<(), LayoutError> {
        let Some(meta) = self.metadata.row_groups().get(row_group).and_then(|group| group.columns().get(column)) else {
            return Ok(());
        };
        let range = |offset: Option<i64>, bytes: Option<u64>| -> Result<Option<Range<u64>>, LayoutError> {
            let Some(offset) = offset else {
                return Ok(None);
            };
            let start = u64::try_from(offset).unwrap_or(u64::MAX);
            let end = start.checked_add(bytes.unwrap_or(0)).filter(|end| *end <= footer && start >= 4);
            let what = || format!("an index of {} lies outside the data", name(row_group, column));
            end.map(|end| Some(start..end)).ok_or_else(|| LayoutError::untrue(start, what()))
        };
        let length = |bytes: Option<i32>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let column_index = range(meta.column_index_offset(), length(meta.column_index_length()))?;
        let offset_index = range(meta.offset_index_offset(), length(meta.offset_index_length()))?;
        let mut bloom = range(meta.bloom_filter_offset(), length(meta.bloom_filter_length()))?;
        if let Some(range) = &mut bloom {
            let filter = slice(file, &(range.start..footer)).ok().and_then(indexes::bloom_filter);
            let end = filter.and_then(|bytes| range.start.checked_add(bytes)).filter(|end| *end <= footer);
            // Older writers give no length; one that is given must be the filter's own.
            match end {
                Some(end) if meta.bloom_filter_length().is_none() || end == range.end => {
                    range.end = end;
                }
                _ => bloom = None,
            }
        }
        let descriptor = meta.column_descr();
        let rows = offset_index.as_ref().and_then(|range| indexes::offset_index(slice(file, range).ok()?, pages));
        if let (Some(range), Some(Rows::Untrue)) = (&offset_index, rows) {
            let what = format!(
                "the offset index of row group {row_group}, column {column} says of a page that it begins with another row"
            );
            return Err(LayoutError::untrue(range.start, what));
        }
        let good = [
            column_index.filter(|range| {
                slice(file, range).is_ok_and(|bytes| indexes::column_index(bytes, pages.len(), descriptor))
            }),
            offset_index.filter(|_| rows.is_some()),
            bloom,
        ];
        let claimed = [meta.column_index_offset(), meta.offset_index_offset(), meta.bloom_filter_offset()];
        for (range, claimed) in good.into_iter().zip(claimed) {
            match range.filter(|range| !range.is_empty()) {
                Some(range) => {
                    let kind = RegionKind::ChunkIndex { row_group: number(row_group), column: number(column) };
                    self.spans.push((kind, range));
                }
                // The footer would go on pointing at it, so the file is packed even if the stretch is claimed twice.
                None if claimed.is_some() => {
                    self.gaps.push(Gap { offset: claimed.unwrap_or_default().unsigned_abs(), bytes: 1 });
                }
                None => {}
            }
        }
        Ok(())
    }

    fn overlaps(&self) -> Result<(), LayoutError> {
        let mut spans: Vec<_> = self.spans.iter().collect();
        spans.sort_by_key(|(_, range)| range.start);
        for pair in spans.windows(2) {
            if let [(first, before), (second, after)] = pair
                && after.start < before.end
            {
                return Err(LayoutError::Overlap {
                    offset: after.start,
                    first: describe(*first, before),
                    second: describe(*second, after),
                });
            }
        }
        Ok(())
    }

    fn find_gaps(&mut self) {
        let mut at = 0;
        for (_, range) in &self.spans {
            if range.start > at {
                self.gaps.retain(|gap| !(at..range.start).contains(&gap.offset));
                self.gaps.push(Gap { offset: at, bytes: range.start - at });
            }
            at = range.end;
        }
        self.gaps.sort_by_key(|gap| gap.offset);
        self.gaps.dedup();
    }

    /// Bytes that no reader looks at: if there are any, the file must be packed.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Names of the file's key-value metadata, and the length of each value.
    pub const fn key_values(&self) -> &BTreeMap<String, u64> {
        &self.key_values
    }

    /// How many bytes the values of one row may unpack to, beyond those in the file; only [`Depth::Pages`] knows.
    pub const fn row_bytes_max(&self) -> u64 {
        self.row_bytes_max
    }
}

fn slice<'a>(file: &'a [u8], range: &Range<u64>) -> Result<&'a [u8], LayoutError> {
    let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    bounds
        .and_then(|(start, end)| file.get(start..end))
        .ok_or_else(|| LayoutError::untrue(range.start, format!("bytes up to {} lie outside the file", range.end)))
}

/// A 32-bit size on a machine whose addresses are at least as wide.
const fn usize_of(size: u32) -> usize {
    size as usize
}

/// A row group or column number: both are limited far below 2^32.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn name(row_group: usize, column: usize) -> String {
    format!("the chunk of row group {row_group}, column {column}")
}

fn describe(kind: RegionKind, range: &Range<u64>) -> String {
    let what = match kind {
        RegionKind::Magic => "the magic".to_owned(),
        RegionKind::Chunk { row_group, column } => {
            format!("the chunk of row group {row_group}, column {column}")
        }
        RegionKind::ChunkIndex { row_group, column } => {
            format!("an index of row group {row_group}, column {column}")
        }
        RegionKind::Footer => "the footer".to_owned(),
    };
    format!("{what} (bytes {} to {})", range.start, range.end)
}
