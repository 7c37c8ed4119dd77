//! Page indexes and bloom filters: whether they are what they say, byte for byte.

use parquet::schema::types::ColumnDescriptor;

use super::claims::extreme;
use super::format;
use super::pages::PagePlace;
use super::shape::Structure;
use super::thrift::{Cursor, Field, ThriftError};

/// Largest bloom filter that readers take.
const BLOOM_BYTES_MAX: u32 = 128 << 20;

/// Whether `bytes` are one `structure` with no unknown field, and nothing more.
fn exactly(bytes: &[u8], structure: &'static Structure) -> bool {
    let mut cursor = Cursor::new(bytes);
    cursor.structure_of(structure).is_ok_and(|unknown| unknown.is_empty()) && cursor.at() == bytes.len()
}

/// Whether `bytes` are one column index of `pages` pages of the column and nothing more.
pub(super) fn column_index(bytes: &[u8], pages: usize, descriptor: &ColumnDescriptor) -> bool {
    exactly(bytes, &format::COLUMN_INDEX) && column_index_fits(bytes, pages, descriptor).is_ok_and(|fits| fits)
}

fn column_index_fits(bytes: &[u8], pages: usize, descriptor: &ColumnDescriptor) -> Result<bool, ThriftError> {
    let levels = |max: i16| pages.saturating_mul(usize::from(max.unsigned_abs()) + 1);
    let (mut null_pages, mut fits) = (Vec::new(), true);
    Cursor::new(bytes).each_field(|cursor, field| {
        if field.id == 4 {
            return cursor.skip(field);
        }
        let mut list = cursor.clone();
        cursor.skip(field)?;
        let (_, length) = list.list()?;
        fits &= match field.id {
            6 => length == 0 || length == levels(descriptor.max_rep_level()),
            7 => length == 0 || length == levels(descriptor.max_def_level()),
            _ => length == pages,
        };
        for number in 0..length {
            match field.id {
                1 => null_pages.push(list.byte()? == 1),
                2 | 3 => {
                    // Nobody looks at the value of a page of nulls; the format wants it empty.
                    let value = list.binary()?.len();
                    fits &= match null_pages.get(number) {
                        Some(false) => extreme(value, descriptor),
                        _ => value == 0,
                    };
                }
                _ => break,
            }
        }
        Ok(())
    })?;
    Ok(fits)
}

/// What an offset index says of its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// They begin with the rows it says, as far as that is known.
    True,
    /// They begin with other rows: a reader that skips by it would answer other data.
    Untrue,
}

/// Whether `bytes` are one offset index that names exactly `pages` and nothing more; `None` if not.
pub(super) fn offset_index(bytes: &[u8], pages: &[PagePlace]) -> Option<Rows> {
    if !exactly(bytes, &format::OFFSET_INDEX) {
        return None;
    }
    let mut found = Vec::new();
    let mut sizes = None;
    Cursor::new(bytes)
        .each_field(|cursor, field: Field| {
            if field.id != 1 {
                sizes = Some(cursor.clone().list()?.1);
                return cursor.skip(field);
            }
            for _ in 0..cursor.structures(field)? {
                found.push(location(cursor)?);
            }
            Ok::<_, ThriftError>(())
        })
        .ok()?;
    let same = found.len() == pages.len()
        && found.iter().zip(pages).all(|(said, page)| (said.0, said.1) == (page.offset, page.bytes));
    if !same || sizes.is_some_and(|sizes| sizes != 0 && sizes != pages.len()) {
        return None;
    }
    let rows = found.iter().zip(pages).all(|(said, page)| page.first_row.is_none_or(|row| row == said.2));
    Some(if rows { Rows::True } else { Rows::Untrue })
}

fn location(cursor: &mut Cursor<'_>) -> Result<(u64, u64, u64), ThriftError> {
    let mut said = (0, 0, 0);
    cursor.each_field(|cursor, field| {
        let value = u64::try_from(cursor.integer(field)?).map_err(|_| cursor.error("has a negative size"))?;
        match field.id {
            1 => said.0 = value,
            2 => said.1 = value,
            _ => said.2 = value,
        }
        Ok::<_, ThriftError>(())
    })?;
    Ok(said)
}

/// Length of the bloom filter at the start of `bytes`, header included.
pub(super) fn bloom_filter(bytes: &[u8]) -> Option<u64> {
    let mut strict = Cursor::new(bytes);
    if !strict.structure_of(&format::BLOOM_FILTER_HEADER).ok()?.is_empty() {
        return None;
    }
    let mut cursor = Cursor::new(bytes);
    let field = cursor.field(0).ok()??;
    let length = cursor.size(field).ok().filter(|_| field.id == 1)?;
    // Blocks of 32 bytes.
    (length > 0 && length % 32 == 0 && length <= BLOOM_BYTES_MAX).then(|| strict.at() as u64 + u64::from(length))
}
