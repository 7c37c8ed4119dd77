//! Page indexes and bloom filters: whether they are what they say, byte for byte.

use super::shape;
use super::thrift::{Cursor, ThriftError};

/// Whether `bytes` are one column index and nothing more.
pub(super) fn column_index(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    cursor
        .structure_of(&shape::COLUMN_INDEX)
        .is_ok_and(|unknown| unknown.is_empty())
        && cursor.at() == bytes.len()
}

/// Whether `bytes` are one offset index that names exactly `pages` (offset, length with header) and nothing more.
pub(super) fn offset_index(bytes: &[u8], pages: &[(u64, u64)]) -> bool {
    let mut cursor = Cursor::new(bytes);
    locations(&mut cursor).is_ok_and(|found| found == pages) && cursor.at() == bytes.len()
}

fn locations(cursor: &mut Cursor<'_>) -> Result<Vec<(u64, u64)>, ThriftError> {
    let mut found = Vec::new();
    let mut last = 0;
    while let Some(field) = cursor.field(last)? {
        last = field.id;
        match field.id {
            1 => {
                for _ in 0..cursor.structures(field)? {
                    found.push(location(cursor)?);
                }
            }
            // unencoded_byte_array_data_bytes
            2 => cursor.skip(field)?,
            _ => return Err(cursor.error("has a field that no reader looks at")),
        }
    }
    Ok(found)
}

fn location(cursor: &mut Cursor<'_>) -> Result<(u64, u64), ThriftError> {
    let (mut last, mut offset, mut bytes) = (0, 0, 0);
    while let Some(field) = cursor.field(last)? {
        last = field.id;
        let value = cursor.integer(field)?;
        let value = u64::try_from(value).map_err(|_| cursor.error("has a negative size"))?;
        match field.id {
            1 => offset = value,
            2 => bytes = value,
            3 => {}
            _ => return Err(cursor.error("has a field that no reader looks at")),
        }
    }
    Ok((offset, bytes))
}

/// Length of the bloom filter at the start of `bytes`, header included.
pub(super) fn bloom_filter(bytes: &[u8]) -> Option<u64> {
    let mut strict = Cursor::new(bytes);
    if !strict
        .structure_of(&shape::BLOOM_FILTER_HEADER)
        .ok()?
        .is_empty()
    {
        return None;
    }
    let mut cursor = Cursor::new(bytes);
    let field = cursor.field(0).ok()??;
    let length = cursor.size(field).ok().filter(|_| field.id == 1)?;
    Some(strict.at() as u64 + u64::from(length))
}
