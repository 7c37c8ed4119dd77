//! How many rows may be decoded at once.
//!
//! Decoding costs memory for what the rows become, not for what is stored: a dictionary of one long value and a run of
//! keys is a few bytes in the file. The number of rows is chosen from the footer's sizes and from the longest entry of
//! each dictionary, so that one stretch stays near [`DECODE_BYTES`] (INV-9).

use bytes::Bytes;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageReader as _};
use parquet::file::serialized_reader::SerializedPageReader;
use std::sync::Arc;

use super::{BATCH_ROWS, Projection};
use crate::guard::guarded;

/// Decoded bytes that a stretch of rows aims for.
const DECODE_BYTES: u64 = 16 * 1024 * 1024;

/// Decoded bytes that the values of one dictionary may reach at worst.
const DICTIONARY_BYTES: u64 = 64 * 1024 * 1024;

/// Rows at once where values are stored as changes to the value before: no footer tells their length.
const DELTA_ROWS: u64 = 4096;

/// Rows to decode at once of a row group.
pub(super) fn rows_at_once(projection: &Projection, file: &Bytes, row_group: usize) -> Result<usize, String> {
    let Some(group) = projection.footer.metadata().row_groups().get(row_group) else {
        return Ok(BATCH_ROWS);
    };
    let rows = u64::try_from(group.num_rows()).unwrap_or_default().max(1);
    let mut most = BATCH_ROWS as u64;
    let mut stored = 0_u64;
    for leaf in &projection.leaves {
        let Some(chunk) = group.columns().get(*leaf) else {
            continue;
        };
        let uncompressed = u64::try_from(chunk.uncompressed_size()).unwrap_or_default();
        let values = u64::try_from(chunk.num_values()).unwrap_or_default();
        // A value becomes at least its fixed width, however short its keys and levels are.
        let width = match chunk.column_type() {
            Type::BOOLEAN => 1,
            Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
            Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(chunk.column_descr().type_length()).unwrap_or_default(),
        };
        stored = stored.saturating_add(uncompressed.max(values.saturating_mul(width)));
        if chunk.column_type() != Type::BYTE_ARRAY {
            continue;
        }
        if chunk.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY) {
            most = most.min(DELTA_ROWS);
        }
        let per_row = values.div_ceil(rows).max(1);
        if let Some(longest) = longest_entry(projection, file, row_group, *leaf)? {
            most = most.min(DICTIONARY_BYTES / longest.max(1).saturating_mul(per_row));
        }
    }
    let fitting = u128::from(DECODE_BYTES) * u128::from(rows) / u128::from(stored.max(1));
    let most = most.min(u64::try_from(fitting).unwrap_or(u64::MAX)).max(1);
    Ok(usize::try_from(most).unwrap_or(BATCH_ROWS))
}

/// Length of the longest entry of a byte array column's dictionary, if it has one.
fn longest_entry(projection: &Projection, file: &Bytes, row_group: usize, leaf: usize) -> Result<Option<u64>, String> {
    let metadata = projection.footer.metadata();
    let (Some(group), Some(unit)) = (metadata.row_groups().get(row_group), projection.footer.unit(row_group, leaf))
    else {
        return Ok(None);
    };
    let Some(chunk) = group.columns().get(leaf) else {
        return Ok(None);
    };
    if unit.bytes == 0 || chunk.dictionary_page_offset().is_none() {
        return Ok(None);
    }
    let rows = usize::try_from(group.num_rows()).unwrap_or_default();
    let page = guarded(|| {
        SerializedPageReader::new(Arc::new(file.clone()), chunk, rows, None).and_then(|mut pages| pages.get_next_page())
    });
    let page = page.map_err(|_| "a dictionary page does not decode".to_owned())?.map_err(|error| error.to_string())?;
    let Some(Page::DictionaryPage { buf, .. }) = page else {
        return Ok(None);
    };
    // Plain byte arrays: a length of four bytes, then the value.
    let mut rest: &[u8] = &buf;
    let mut longest = 0;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        longest = longest.max(u64::from(length));
        rest = after.get(length as usize..).unwrap_or_default();
    }
    Ok(Some(longest))
}
