//! The values of a page: as many as its levels say, and no byte after the last one.

use parquet::basic::Type;

use super::deltas::Deltas;
use super::header::{
    BYTE_STREAM_SPLIT, DELTA_BINARY_PACKED, DELTA_BYTE_ARRAY, DELTA_LENGTH_BYTE_ARRAY, PLAIN, PLAIN_DICTIONARY, RLE,
    RLE_DICTIONARY,
};
use super::levels::{self, Expected};
use super::page::Page;
use super::{LayoutError, usize_of};

/// Checks that `bytes` hold exactly `present` values; `dictionary` is how many the dictionary has. Answers the longest
/// value that may take more bytes in memory than here.
pub(super) fn check(page: &Page<'_>, bytes: &[u8], present: u64, dictionary: Option<u32>) -> Result<u64, LayoutError> {
    let encoding = page.header.encoding;
    let kind = page.chunk.meta.column_descr().physical_type();
    let short = || page.damaged("has values that are not as many as its levels say");
    match (encoding, kind) {
        (PLAIN, _) => return plain(page, bytes, present).map(|_| 0),
        (PLAIN_DICTIONARY | RLE_DICTIONARY, _) => {
            return indices(page, bytes, present, dictionary).map(|()| 0);
        }
        (BYTE_STREAM_SPLIT, _) => {
            let width = width(page).ok_or_else(|| misplaced(page))?;
            return filled(page, bytes, present.saturating_mul(width)).map(|()| 0);
        }
        // Some writers leave a page of nulls empty.
        _ if bytes.is_empty() && present == 0 => return Ok(0),
        (RLE, Type::BOOLEAN) => {
            let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
            filled(page, rest, u64::from(u32::from_le_bytes(*length)))?;
            let expected = Expected { width: 1, values: present, max: 1, target: 0 };
            levels::count(rest, expected, 0).ok_or_else(short)?;
            return Ok(0);
        }
        (DELTA_BINARY_PACKED, Type::INT32 | Type::INT64)
        | (DELTA_LENGTH_BYTE_ARRAY, Type::BYTE_ARRAY)
        | (DELTA_BYTE_ARRAY, Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY) => {}
        _ => return Err(misplaced(page)),
    }
    let (first, rest) = Deltas::split(bytes).filter(|(first, _)| first.values() == present).ok_or_else(short)?;
    match encoding {
        DELTA_BINARY_PACKED => filled(page, rest, 0).map(|()| 0),
        DELTA_LENGTH_BYTE_ARRAY => {
            let mut total = 0;
            for length in first {
                total += u64::from(length.ok_or_else(short)?);
            }
            filled(page, rest, total).map(|()| 0)
        }
        _ => {
            let (suffixes, rest) =
                Deltas::split(rest).filter(|(suffixes, _)| suffixes.values() == present).ok_or_else(short)?;
            let fixed = width(page);
            let (mut total, mut longest, mut last) = (0, 0, 0);
            for (prefix, suffix) in first.zip(suffixes) {
                let prefix = u64::from(prefix.ok_or_else(short)?);
                let suffix = u64::from(suffix.ok_or_else(short)?);
                if prefix > last {
                    return Err(page.damaged("has a value whose prefix is longer than the value before"));
                }
                last = prefix + suffix;
                if fixed.is_some_and(|fixed| fixed != last) {
                    return Err(page.damaged("has a value that is not as long as its column's"));
                }
                total += suffix;
                longest = last.max(longest);
            }
            filled(page, rest, total).map(|()| longest)
        }
    }
}

fn misplaced(page: &Page<'_>) -> LayoutError {
    page.damaged("has an encoding that its type may not have")
}

/// Checks dictionary indices: their width, then themselves; without any, both may be missing.
fn indices(page: &Page<'_>, bytes: &[u8], present: u64, dictionary: Option<u32>) -> Result<(), LayoutError> {
    let Some(size) = dictionary else {
        return Err(page.damaged("speaks of a dictionary that its chunk does not have"));
    };
    let (width, indices) = bytes.split_first().unwrap_or((&0, &[]));
    let expected =
        Expected { width: u32::from(*width), values: present, max: u64::from(size).saturating_sub(1), target: 0 };
    let good = *width <= 32 && (present == 0 || size > 0);
    let counted = good.then(|| levels::count(indices, expected, 0)).flatten();
    counted.map(drop).ok_or_else(|| {
        page.damaged("has dictionary indices that are not as many as its values, or beyond the dictionary")
    })
}

/// Bytes of a value, if all have the same.
fn width(page: &Page<'_>) -> Option<u64> {
    let descriptor = page.chunk.meta.column_descr();
    match descriptor.physical_type() {
        Type::INT32 | Type::FLOAT => Some(4),
        Type::INT64 | Type::DOUBLE => Some(8),
        Type::INT96 => Some(12),
        Type::FIXED_LEN_BYTE_ARRAY => Some(u64::from(descriptor.type_length().unsigned_abs())),
        Type::BOOLEAN | Type::BYTE_ARRAY => None,
    }
}

/// Whether `bytes` are exactly `values` plain values; answers the longest one.
pub(super) fn plain(page: &Page<'_>, bytes: &[u8], values: u64) -> Result<u64, LayoutError> {
    if let Some(width) = width(page) {
        return filled(page, bytes, values.saturating_mul(width)).map(|()| width);
    }
    if page.chunk.meta.column_descr().physical_type() == Type::BOOLEAN {
        return filled(page, bytes, values.div_ceil(8)).map(|()| 1);
    }
    let (mut rest, mut longest) = (bytes, 0);
    for _ in 0..values {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(|| page.damaged("ends in its values"))?;
        let length = u32::from_le_bytes(*length);
        rest = after.get(usize_of(length)..).ok_or_else(|| page.damaged("ends in its values"))?;
        longest = longest.max(u64::from(length));
    }
    filled(page, rest, 0).map(|()| longest)
}

fn filled(page: &Page<'_>, bytes: &[u8], expected: u64) -> Result<(), LayoutError> {
    match (bytes.len() as u64).cmp(&expected) {
        std::cmp::Ordering::Less => Err(page.damaged("ends in its values")),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(page.damaged("has bytes after its last value")),
    }
}
