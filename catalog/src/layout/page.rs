//! One page: its checksum, its expansion, its levels.

use parquet::basic::Compression;

use super::expand::{self, ExpandError};
use super::header::{PageHeader, PageKind, RLE};
use super::pages::{Chunk, Totals, Walked};
use super::{LayoutError, levels, usize_of, values};

/// One page.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) chunk: &'a Chunk<'a>,
    pub(super) header: &'a PageHeader,
    /// Where it starts in the file.
    pub(super) offset: u64,
    /// What follows its header.
    pub(super) body: &'a [u8],
}

impl Page<'_> {
    pub(super) fn damaged(&self, what: &str) -> LayoutError {
        let column = self.chunk.meta.column_path().string();
        LayoutError::damaged(self.offset, format!("a page of column `{column}` {what}"))
    }

    /// Expands the body into `scratch` and checks what it holds.
    pub(super) fn check(
        &self,
        scratch: &mut Vec<u8>,
        totals: &mut Totals,
        walked: &mut Walked,
    ) -> Result<(), LayoutError> {
        if let Some(crc) = self.header.crc {
            let mut found = flate2::Crc::new();
            found.update(self.body);
            if found.sum() != crc {
                return Err(self.damaged("does not match its checksum"));
            }
        }
        let size = usize_of(self.header.uncompressed);
        let codec = self.chunk.meta.compression();
        match self.header.kind {
            PageKind::Dictionary => {
                self.expand(codec, self.body, size, scratch)?;
                let longest = values::plain(self, scratch, u64::from(self.header.values))?;
                walked.value_bytes_max = walked.value_bytes_max.max(longest);
            }
            PageKind::DataV1 { repetition_encoding, definition_encoding } => {
                self.expand(codec, self.body, size, scratch)?;
                let nested = self.chunk.meta.column_descr().max_rep_level() > 0;
                let (repetition, rest) = self.prefixed(scratch, nested, repetition_encoding)?;
                let optional = self.chunk.meta.column_descr().max_def_level() > 0;
                let (definition, values) = self.prefixed(rest, optional, definition_encoding)?;
                let rows = self.repetition(repetition, totals, walked)?;
                if nested {
                    totals.rows += rows;
                }
                let present = self.present(definition)?;
                let longest = values::check(self, values, present, totals.dictionary)?;
                walked.value_bytes_max = walked.value_bytes_max.max(longest);
            }
            PageKind::DataV2 { rows, nulls, definition_bytes, repetition_bytes, compressed } => {
                let (repetition, rest) = self
                    .body
                    .split_at_checked(usize_of(repetition_bytes))
                    .ok_or_else(|| self.damaged("ends in its levels"))?;
                let (definition, rest) = rest
                    .split_at_checked(usize_of(definition_bytes))
                    .ok_or_else(|| self.damaged("ends in its levels"))?;
                let size = size
                    .checked_sub(repetition.len() + definition.len())
                    .ok_or_else(|| self.damaged("is declared shorter than its levels"))?;
                let codec = if compressed { codec } else { Compression::UNCOMPRESSED };
                self.expand(codec, rest, size, scratch)?;
                if self.repetition(Some(repetition), totals, walked)? != u64::from(rows) {
                    return Err(self.damaged("has another number of rows than it says"));
                }
                let present = self.present(Some(definition))?;
                if present.checked_add(u64::from(nulls)) != Some(u64::from(self.header.values)) {
                    return Err(self.damaged("has another number of nulls than it says"));
                }
                let longest = values::check(self, scratch, present, totals.dictionary)?;
                walked.value_bytes_max = walked.value_bytes_max.max(longest);
            }
        }
        Ok(())
    }

    fn expand(&self, codec: Compression, body: &[u8], size: usize, scratch: &mut Vec<u8>) -> Result<(), LayoutError> {
        expand::expand(codec, body, size, scratch).map_err(|error| match error {
            ExpandError::Damaged => self.damaged("does not decompress"),
            ExpandError::Unread => self.damaged("has compressed bytes that no reader looks at"),
            ExpandError::Size => self.damaged(&format!("does not decompress to the {size} bytes it declares")),
            ExpandError::Codec => LayoutError::Unsupported {
                offset: self.offset,
                what: format!("compression {codec}: write it with zstd, snappy, gzip, brotli or LZ4_RAW"),
            },
        })
    }

    /// Takes length-prefixed levels off a version 1 page, if the column has any.
    fn prefixed<'b>(
        &self,
        bytes: &'b [u8],
        has: bool,
        encoding: u32,
    ) -> Result<(Option<&'b [u8]>, &'b [u8]), LayoutError> {
        if !has {
            return Ok((None, bytes));
        }
        if encoding != RLE {
            let what = "levels that are not RLE (deprecated since 2013): write the file anew".to_owned();
            return Err(LayoutError::Unsupported { offset: self.offset, what });
        }
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| self.damaged("ends in its levels"))?;
        let (levels, rest) = rest
            .split_at_checked(usize_of(u32::from_le_bytes(*length)))
            .ok_or_else(|| self.damaged("ends in its levels"))?;
        Ok((Some(levels), rest))
    }

    /// Rows that start in this page.
    fn repetition(&self, levels: Option<&[u8]>, totals: &mut Totals, walked: &mut Walked) -> Result<u64, LayoutError> {
        let max = self.chunk.meta.column_descr().max_rep_level();
        let Some(counted) = self.levels(levels, max, 0, totals.stretch)? else {
            return Ok(u64::from(self.header.values));
        };
        if walked.data_pages.len() == 1 && counted.first.is_some_and(|first| first != 0) {
            return Err(self.damaged("goes on with a row that never began"));
        }
        totals.stretch = counted.stretch;
        walked.row_values_max = walked.row_values_max.max(counted.stretch_max.saturating_add(1));
        Ok(counted.equal)
    }

    /// Values of this page that are not null.
    fn present(&self, levels: Option<&[u8]>) -> Result<u64, LayoutError> {
        let max = self.chunk.meta.column_descr().max_def_level();
        let counted = self.levels(levels, max, max, 0)?;
        Ok(counted.map_or(u64::from(self.header.values), |counted| counted.equal))
    }

    /// Counts levels up to `max`; `None` if the schema has none.
    fn levels(
        &self,
        levels: Option<&[u8]>,
        max: i16,
        target: i16,
        stretch: u64,
    ) -> Result<Option<levels::Counted>, LayoutError> {
        if max == 0 {
            return if levels.is_none_or(<[u8]>::is_empty) {
                Ok(None)
            } else {
                Err(self.damaged("has levels that its schema does not allow"))
            };
        }
        let expected = levels::Expected {
            width: levels::width(max),
            values: u64::from(self.header.values),
            max: u64::from(max.unsigned_abs()),
            target: u64::from(target.unsigned_abs()),
        };
        levels::count(levels.unwrap_or_default(), expected, stretch).map(Some).ok_or_else(|| {
            self.damaged("has levels that are not as many, or not as low, as its schema and its values ask for")
        })
    }
}
