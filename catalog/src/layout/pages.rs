//! Walks every page of a column chunk: headers and bodies tile it, expand to what they declare and hold the values and
//! rows that the footer says.

use parquet::basic::Type;
use parquet::file::metadata::ColumnChunkMetaData;

use super::claims;
use super::header::{PLAIN, PLAIN_DICTIONARY, PageHeader, PageKind};
use super::page::Page;
use super::thrift::Cursor;
use super::{LayoutError, Limits, usize_of};

/// Longest page header, statistics included.
const HEADER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What the walk of a chunk found.
#[derive(Debug, Clone, Default)]
pub(super) struct Walked {
    /// Each data page.
    pub(super) data_pages: Vec<PagePlace>,
    /// Longest value that may take more bytes in memory than in the file: of a dictionary, with a shared prefix, or of
    /// fixed length, where also a null takes it.
    pub(super) value_bytes_max: u64,
    /// Most values of this column in one row.
    pub(super) row_values_max: u64,
}

/// Where a data page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PagePlace {
    /// Offset in the file.
    pub(super) offset: u64,
    /// Length, header included.
    pub(super) bytes: u64,
    /// Rows of the row group before it, if that is known.
    pub(super) first_row: Option<u64>,
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
pub(super) struct Totals {
    values: u64,
    pub(super) rows: u64,
    uncompressed: u64,
    /// Values since the last row began.
    pub(super) stretch: u64,
    /// Values of the dictionary.
    pub(super) dictionary: Option<u32>,
}

impl Chunk<'_> {
    /// Walks the headers, and with `scratch` expands every page into it and checks its body too.
    pub(super) fn walk(&self, limits: &Limits, mut scratch: Option<&mut Vec<u8>>) -> Result<Walked, LayoutError> {
        let mut walked = Walked { row_values_max: 1, ..Walked::default() };
        let descriptor = self.meta.column_descr();
        if descriptor.physical_type() == Type::FIXED_LEN_BYTE_ARRAY {
            walked.value_bytes_max = u64::from(descriptor.type_length().unsigned_abs());
        }
        let rows_known = scratch.is_some() || descriptor.max_rep_level() == 0;
        let mut totals = Totals::default();
        let mut at = 0;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let offset = self.offset + at as u64;
            let head = rest.get(..HEADER_BYTES_MAX).unwrap_or(rest);
            let header = PageHeader::read(head)
                .map_err(|error| LayoutError::damaged(offset + error.at as u64, format!("a page header {error}")))?;
            if u64::from(header.uncompressed) > limits.page_bytes {
                let what = format!("a page of {} uncompressed bytes", header.uncompressed);
                return Err(LayoutError::TooLarge { offset, what, limit: limits.page_bytes });
            }
            let end = header.header_bytes.saturating_add(usize_of(header.compressed));
            let body = rest.get(header.header_bytes..end).ok_or_else(|| {
                LayoutError::untrue(
                    offset,
                    format!("a page of {end} bytes runs past its column chunk of {}", self.bytes.len()),
                )
            })?;
            if let Some(at) = header.statistics {
                let statistics = head.get(at..).unwrap_or_default();
                claims::statistics(&mut Cursor::new(statistics), descriptor).map_err(|claim| {
                    let what = format!("a page header {}", claim.what);
                    LayoutError::untrue(offset + (at + claim.at) as u64, what)
                })?;
            }
            if !matches!(header.kind, PageKind::Dictionary) {
                walked.data_pages.push(PagePlace {
                    offset,
                    bytes: end as u64,
                    first_row: rows_known.then_some(totals.rows),
                });
            }
            self.place(&header, offset, &mut totals)?;
            if let Some(scratch) = scratch.as_deref_mut() {
                let page = Page { chunk: self, header: &header, offset, body };
                page.check(scratch, &mut totals, &mut walked)?;
            }
            totals.uncompressed += header.header_bytes as u64 + u64::from(header.uncompressed);
            at += end;
        }
        self.compare(&totals, scratch.is_some())?;
        Ok(walked)
    }

    /// A dictionary stands first and once, and the first data page where the footer says.
    fn place(&self, header: &PageHeader, offset: u64, totals: &mut Totals) -> Result<(), LayoutError> {
        let first_data = totals.uncompressed == 0 || (totals.values == 0 && totals.dictionary.is_some());
        match header.kind {
            PageKind::Dictionary => {
                if totals.uncompressed > 0 {
                    return Err(LayoutError::damaged(offset, "a dictionary page stands after another page"));
                }
                if !matches!(header.encoding, PLAIN | PLAIN_DICTIONARY) {
                    return Err(LayoutError::damaged(offset, "a dictionary page has an encoding that none may have"));
                }
                totals.dictionary = Some(header.values);
            }
            PageKind::DataV1 { .. } | PageKind::DataV2 { .. } => {
                let said = self.meta.data_page_offset();
                let dictionary_said = self.meta.dictionary_page_offset().is_some_and(|at| at > 0);
                if first_data && u64::try_from(said) != Ok(offset) && (dictionary_said || totals.dictionary.is_none()) {
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
                let text = format!("column `{path}` has {found} {what}, but the footer says {said}");
                Err(LayoutError::untrue(self.offset, text))
            }
        };
        untrue("values", totals.values, self.meta.num_values())?;
        untrue("uncompressed bytes", totals.uncompressed, self.meta.uncompressed_size())?;
        // Rows of nested version 1 pages are known only after their levels were read.
        if whole || self.meta.column_descr().max_rep_level() == 0 {
            untrue("rows", totals.rows, i64::try_from(self.rows).unwrap_or(i64::MAX))?;
        }
        if totals.dictionary.is_none() && self.meta.dictionary_page_offset().is_some_and(|at| at > 0) {
            return Err(LayoutError::untrue(
                self.offset,
                format!("column `{path}` has no dictionary page, but the footer says so"),
            ));
        }
        Ok(())
    }
}
