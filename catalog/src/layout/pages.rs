//! Walks every page of a column chunk: headers and bodies tile it, expand to what they declare and hold the values and
//! rows that the footer says.

use parquet::basic::{Compression, Type};
use parquet::file::metadata::ColumnChunkMetaData;

use super::expand::{self, ExpandError};
use super::header::{PLAIN, PLAIN_DICTIONARY, PageHeader, PageKind, RLE, RLE_DICTIONARY};
use super::levels;
use super::{LayoutError, Limits, usize_of};

/// Longest page header, statistics included.
const HEADER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What the walk of a chunk found.
#[derive(Debug, Clone, Default)]
pub(super) struct Walked {
    /// Offset in the file and length, header included, of each data page.
    pub(super) data_pages: Vec<(u64, u64)>,
    /// Longest value of the dictionary.
    pub(super) dictionary_value_max: u64,
    /// Most values of this column in one row.
    pub(super) row_values_max: u64,
}

/// One column chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'a> {
    /// Where it starts in the file.
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
    pub(super) meta: &'a ColumnChunkMetaData,
    /// Rows of its row group.
    pub(super) rows: u64,
}

/// Totals over the pages so far.
#[derive(Debug, Default)]
struct Totals {
    values: u64,
    rows: u64,
    uncompressed: u64,
    stretch: u64,
    dictionary: Option<u32>,
}

impl Chunk<'_> {
    /// Walks the headers, and with `scratch` expands every page into it and checks its body too.
    pub(super) fn walk(
        &self,
        limits: &Limits,
        mut scratch: Option<&mut Vec<u8>>,
    ) -> Result<Walked, LayoutError> {
        let mut walked = Walked {
            row_values_max: 1,
            ..Walked::default()
        };
        let mut totals = Totals::default();
        let mut at = 0;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let offset = self.offset + at as u64;
            let head = rest.get(..HEADER_BYTES_MAX).unwrap_or(rest);
            let header = PageHeader::read(head).map_err(|error| {
                LayoutError::damaged(
                    offset + error.at as u64,
                    format!("a page header {}", error.what),
                )
            })?;
            if u64::from(header.uncompressed) > limits.page_bytes {
                let what = format!("a page of {} uncompressed bytes", header.uncompressed);
                return Err(LayoutError::TooLarge {
                    offset,
                    what,
                    limit: limits.page_bytes,
                });
            }
            let end = header
                .header_bytes
                .saturating_add(usize_of(header.compressed));
            let body = rest.get(header.header_bytes..end).ok_or_else(|| {
                LayoutError::untrue(
                    offset,
                    format!(
                        "a page of {end} bytes runs past its column chunk of {}",
                        self.bytes.len()
                    ),
                )
            })?;
            self.place(&header, offset, &mut totals)?;
            if !matches!(header.kind, PageKind::Dictionary) {
                walked.data_pages.push((offset, end as u64));
            }
            if let Some(scratch) = scratch.as_deref_mut() {
                let page = Page {
                    chunk: self,
                    header: &header,
                    offset,
                    body,
                };
                page.check(scratch, &mut totals, &mut walked)?;
            }
            totals.uncompressed += header.header_bytes as u64 + u64::from(header.uncompressed);
            at += end;
        }
        self.compare(&totals, scratch.is_some())?;
        Ok(walked)
    }

    /// A dictionary stands first and once, and the first data page where the footer says.
    fn place(
        &self,
        header: &PageHeader,
        offset: u64,
        totals: &mut Totals,
    ) -> Result<(), LayoutError> {
        let first_data =
            totals.uncompressed == 0 || (totals.values == 0 && totals.dictionary.is_some());
        match header.kind {
            PageKind::Dictionary => {
                if totals.uncompressed > 0 {
                    return Err(LayoutError::damaged(
                        offset,
                        "a dictionary page stands after another page",
                    ));
                }
                if !matches!(header.encoding, PLAIN | PLAIN_DICTIONARY) {
                    return Err(LayoutError::damaged(
                        offset,
                        "a dictionary page has an encoding that none may have",
                    ));
                }
                totals.dictionary = Some(header.values);
            }
            PageKind::DataV1 { .. } | PageKind::DataV2 { .. } => {
                let said = self.meta.data_page_offset();
                let dictionary_said = self.meta.dictionary_page_offset().is_some_and(|at| at > 0);
                if first_data
                    && u64::try_from(said) != Ok(offset)
                    && (dictionary_said || totals.dictionary.is_none())
                {
                    let what = format!("the first data page is here, but the footer says {said}");
                    return Err(LayoutError::untrue(offset, what));
                }
                totals.values += u64::from(header.values);
                if let PageKind::DataV2 { rows, .. } = header.kind {
                    totals.rows += u64::from(rows);
                } else if self.meta.column_descr().max_rep_level() == 0 {
                    totals.rows += u64::from(header.values);
                }
            }
        }
        Ok(())
    }

    fn compare(&self, totals: &Totals, whole: bool) -> Result<(), LayoutError> {
        let path = self.meta.column_path().string();
        let untrue = |what: &str, found: u64, said: i64| {
            if u64::try_from(said) == Ok(found) {
                Ok(())
            } else {
                let text =
                    format!("column `{path}` has {found} {what}, but the footer says {said}");
                Err(LayoutError::untrue(self.offset, text))
            }
        };
        untrue("values", totals.values, self.meta.num_values())?;
        untrue(
            "uncompressed bytes",
            totals.uncompressed,
            self.meta.uncompressed_size(),
        )?;
        // Rows of nested version 1 pages are known only after their levels were read.
        if whole || self.meta.column_descr().max_rep_level() == 0 {
            untrue(
                "rows",
                totals.rows,
                i64::try_from(self.rows).unwrap_or(i64::MAX),
            )?;
        }
        if totals.dictionary.is_none()
            && self.meta.dictionary_page_offset().is_some_and(|at| at > 0)
        {
            return Err(LayoutError::untrue(
                self.offset,
                format!("column `{path}` has no dictionary page, but the footer says so"),
            ));
        }
        Ok(())
    }
}

struct Page<'a> {
    chunk: &'a Chunk<'a>,
    header: &'a PageHeader,
    offset: u64,
    body: &'a [u8],
}

impl Page<'_> {
    fn damaged(&self, what: &str) -> LayoutError {
        let column = self.chunk.meta.column_path().string();
        LayoutError::damaged(self.offset, format!("a page of column `{column}` {what}"))
    }

    fn check(
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
                let longest = self.plain(scratch, u64::from(self.header.values))?;
                walked.dictionary_value_max = walked.dictionary_value_max.max(longest);
            }
            PageKind::DataV1 {
                repetition_encoding,
                definition_encoding,
            } => {
                self.expand(codec, self.body, size, scratch)?;
                let nested = self.chunk.meta.column_descr().max_rep_level() > 0;
                let (repetition, rest) = self.prefixed(scratch, nested, repetition_encoding)?;
                let optional = self.chunk.meta.column_descr().max_def_level() > 0;
                let (definition, values) = self.prefixed(rest, optional, definition_encoding)?;
                let rows = self.repetition(repetition, totals, walked)?;
                if nested {
                    totals.rows += rows;
                }
                self.values(definition, values)?;
            }
            PageKind::DataV2 {
                rows,
                definition_bytes,
                repetition_bytes,
                compressed,
            } => {
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
                let codec = if compressed {
                    codec
                } else {
                    Compression::UNCOMPRESSED
                };
                self.expand(codec, rest, size, scratch)?;
                if self.repetition(Some(repetition), totals, walked)? != u64::from(rows) {
                    return Err(self.damaged("has another number of rows than it says"));
                }
                let optional = self.chunk.meta.column_descr().max_def_level() > 0;
                self.values(optional.then_some(definition), scratch)?;
            }
        }
        Ok(())
    }

    fn expand(
        &self,
        codec: Compression,
        body: &[u8],
        size: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<(), LayoutError> {
        expand::expand(codec, body, size, scratch).map_err(|error| match error {
            ExpandError::Damaged => self.damaged("does not decompress"),
            ExpandError::Size => self.damaged(&format!(
                "does not decompress to the {size} bytes it declares"
            )),
            ExpandError::Codec => LayoutError::Unsupported {
                offset: self.offset,
                what: format!(
                    "compression {codec}: write it with zstd, snappy, gzip, brotli or LZ4_RAW"
                ),
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
            let what =
                "levels that are not RLE (deprecated since 2013): write the file anew".to_owned();
            return Err(LayoutError::Unsupported {
                offset: self.offset,
                what,
            });
        }
        let (length, rest) = bytes
            .split_first_chunk::<4>()
            .ok_or_else(|| self.damaged("ends in its levels"))?;
        let (levels, rest) = rest
            .split_at_checked(usize_of(u32::from_le_bytes(*length)))
            .ok_or_else(|| self.damaged("ends in its levels"))?;
        Ok((Some(levels), rest))
    }

    /// Rows that start in this page.
    fn repetition(
        &self,
        levels: Option<&[u8]>,
        totals: &mut Totals,
        walked: &mut Walked,
    ) -> Result<u64, LayoutError> {
        let values = u64::from(self.header.values);
        let max = self.chunk.meta.column_descr().max_rep_level();
        let Some(levels) = levels.filter(|_| max > 0) else {
            return if levels.is_none_or(<[u8]>::is_empty) {
                Ok(values)
            } else {
                Err(self.damaged("has levels that its schema does not allow"))
            };
        };
        let counted = levels::count(levels, levels::width(max), values, 0, totals.stretch)
            .ok_or_else(|| {
                self.damaged("has repetition levels that are not as many as its values")
            })?;
        if walked.data_pages.len() == 1 && counted.first.is_some_and(|first| first != 0) {
            return Err(self.damaged("goes on with a row that never began"));
        }
        totals.stretch = counted.stretch;
        walked.row_values_max = walked
            .row_values_max
            .max(counted.stretch_max.saturating_add(1));
        Ok(counted.equal)
    }

    /// The definition levels are as many as the values, and plain values fill their bytes.
    fn values(&self, definition: Option<&[u8]>, bytes: &[u8]) -> Result<(), LayoutError> {
        let values = u64::from(self.header.values);
        let present = match definition {
            None => values,
            Some(levels) => {
                let max = self.chunk.meta.column_descr().max_def_level();
                let target = u64::from(max.unsigned_abs());
                levels::count(levels, levels::width(max), values, target, 0)
                    .ok_or_else(|| {
                        self.damaged("has definition levels that are not as many as its values")
                    })?
                    .equal
            }
        };
        match self.header.encoding {
            PLAIN => self.plain(bytes, present).map(drop),
            PLAIN_DICTIONARY | RLE_DICTIONARY => {
                // The width of the indices, then the indices; without any, both may be missing.
                let (width, indices) = bytes.split_first().unwrap_or((&0, &[]));
                let counted = levels::count(indices, u32::from(*width), present, 0, 0)
                    .filter(|_| *width <= 32);
                counted.map(drop).ok_or_else(|| {
                    self.damaged("has dictionary indices that are not as many as its values")
                })
            }
            // Deltas and split streams are decoded, and found short, by the inspection.
            _ => Ok(()),
        }
    }

    /// Whether `bytes` are exactly `values` plain values; answers the longest one.
    fn plain(&self, bytes: &[u8], values: u64) -> Result<u64, LayoutError> {
        let descriptor = self.chunk.meta.column_descr();
        let width = match descriptor.physical_type() {
            Type::BOOLEAN => {
                return self.filled(bytes, values.div_ceil(8)).map(|()| 1);
            }
            Type::INT32 | Type::FLOAT => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
            Type::FIXED_LEN_BYTE_ARRAY => u64::from(descriptor.type_length().unsigned_abs()),
            Type::BYTE_ARRAY => {
                let (mut rest, mut longest) = (bytes, 0);
                for _ in 0..values {
                    let (length, after) = rest
                        .split_first_chunk::<4>()
                        .ok_or_else(|| self.damaged("ends in its values"))?;
                    let length = u32::from_le_bytes(*length);
                    rest = after
                        .get(usize_of(length)..)
                        .ok_or_else(|| self.damaged("ends in its values"))?;
                    longest = longest.max(u64::from(length));
                }
                return if rest.is_empty() {
                    Ok(longest)
                } else {
                    Err(self.damaged("has bytes after its last value"))
                };
            }
        };
        self.filled(bytes, values.saturating_mul(width))
            .map(|()| width)
    }

    fn filled(&self, bytes: &[u8], expected: u64) -> Result<(), LayoutError> {
        match (bytes.len() as u64).cmp(&expected) {
            std::cmp::Ordering::Less => Err(self.damaged("ends in its values")),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(self.damaged("has bytes after its last value")),
        }
    }
}
