//! The dictionaries of a row group, read before its rows: an entry that no row uses is in the file all the same, and would
//! cross with it (INV-11).

use std::collections::HashSet;

use bytes::Bytes;
use parquet::basic::Type;
use parquet::column::page::Page;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::distinct::hash;
use super::identify::Identifiers;
use crate::scan::Scanner;

/// The dictionaries of one file.
pub(super) struct Dictionaries {
    reader: SerializedFileReader<Bytes>,
    scanner: Scanner,
}

impl Dictionaries {
    pub(super) fn open(bytes: Bytes, scanner: Scanner) -> Result<Self, ParquetError> {
        Ok(Self { reader: SerializedFileReader::new(bytes)?, scanner })
    }

    pub(super) fn row_groups(&self) -> usize {
        self.reader.num_row_groups()
    }

    /// For each leaf column, the hashes of the entries of its dictionary in which an identifier stands.
    pub(super) fn suspicious(
        &mut self,
        row_group: usize,
        columns: &[Identifiers],
    ) -> Result<Vec<HashSet<u64>>, ParquetError> {
        let mut all = Vec::with_capacity(columns.len());
        for (number, column) in columns.iter().enumerate() {
            let mut found = HashSet::new();
            let scanner = &mut self.scanner;
            entries(&self.reader, row_group, number, |entry| {
                if column.holds_any(scanner, entry) {
                    found.insert(hash(entry));
                }
            })?;
            all.push(found);
        }
        Ok(all)
    }

    /// Adds the entries of a column's dictionary whose hashes are left in `unused`.
    pub(super) fn add_unused(
        &mut self,
        row_group: usize,
        number: usize,
        column: &mut Identifiers,
        unused: &mut HashSet<u64>,
    ) -> Result<(), ParquetError> {
        if unused.is_empty() || !column.is_looked_into() {
            return Ok(());
        }
        let scanner = &mut self.scanner;
        entries(&self.reader, row_group, number, |entry| {
            if unused.remove(&hash(entry)) {
                column.value(scanner, entry, None);
            }
        })
    }
}

/// Calls `each` with every entry of the dictionary of a column chunk, as text.
fn entries(
    reader: &SerializedFileReader<Bytes>,
    row_group: usize,
    column: usize,
    mut each: impl FnMut(&[u8]),
) -> Result<(), ParquetError> {
    let group = reader.get_row_group(row_group)?;
    let descriptor = group.metadata().column(column).column_descr_ptr();
    let kind = descriptor.physical_type();
    let width = usize::try_from(descriptor.type_length()).unwrap_or(0);
    if !matches!(kind, Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY | Type::INT32 | Type::INT64) {
        return Ok(());
    }
    if group.metadata().column(column).dictionary_page_offset().is_none() {
        return Ok(());
    }
    let mut pages = group.get_column_page_reader(column)?;
    let Some(Page::DictionaryPage { buf, num_values, .. }) = pages.get_next_page()? else {
        return Ok(());
    };
    let mut rest = buf.as_ref();
    for _ in 0..num_values {
        let taken = match kind {
            Type::INT32 => rest.split_first_chunk::<4>().map(|(number, rest)| {
                each(i32::from_le_bytes(*number).to_string().as_bytes());
                rest
            }),
            Type::INT64 => rest.split_first_chunk::<8>().map(|(number, rest)| {
                each(i64::from_le_bytes(*number).to_string().as_bytes());
                rest
            }),
            Type::FIXED_LEN_BYTE_ARRAY => rest.split_at_checked(width).map(|(value, rest)| {
                each(value);
                rest
            }),
            _ => rest.split_first_chunk::<4>().and_then(|(length, rest)| {
                let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                let (value, rest) = rest.split_at_checked(length)?;
                each(value);
                Some(rest)
            }),
        };
        // The layout was checked: a dictionary that ends early does not come this far.
        let Some(taken) = taken else { return Err(ParquetError::EOF("a dictionary ends in its values".to_owned())) };
        rest = taken;
    }
    Ok(())
}
