//! Finds the footer and reads it, after its shape, depth and list lengths were checked.

use std::collections::BTreeMap;

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::thrift::{Cursor, ThriftError};
use super::{LayoutError, Limits, claims, format, hint, schema, usize_of};
use crate::guard::guarded;

/// Length of the metadata length and the closing magic.
pub(super) const TAIL_BYTES: usize = 8;
const MAGIC: &[u8] = b"PAR1";
/// Where writers keep the Arrow types of the columns.
const ARROW_SCHEMA: &str = "ARROW:schema";

/// The footer of a file.
#[derive(Debug)]
pub(super) struct Footer {
    pub(super) metadata: ParquetMetaData,
    /// Where the metadata begins in the file.
    pub(super) offset: u64,
    /// Offsets and lengths of footer bytes that no reader looks at.
    pub(super) unread: Vec<(u64, u64)>,
    /// Names of the file's key-value metadata and the length of each value.
    pub(super) key_values: BTreeMap<String, u64>,
}

pub(super) fn read(file: &[u8], limits: &Limits) -> Result<Footer, LayoutError> {
    let damaged = |offset: usize, what: &str| LayoutError::damaged(offset as u64, what);
    if !file.starts_with(MAGIC) {
        return Err(if file.starts_with(b"PARE") {
            LayoutError::Encrypted { offset: 0 }
        } else {
            damaged(0, "the file does not begin with `PAR1`")
        });
    }
    let end = file.len();
    let tail_at = end.checked_sub(TAIL_BYTES).filter(|at| *at >= MAGIC.len());
    let tail_at = tail_at.ok_or_else(|| damaged(0, "the file is too short for a footer"))?;
    let (length, magic) = file.get(tail_at..).and_then(|tail| tail.split_first_chunk::<4>()).unwrap_or((&[0; 4], &[]));
    if magic == b"PARE" {
        return Err(LayoutError::Encrypted { offset: (end - 4) as u64 });
    }
    if magic != MAGIC {
        return Err(damaged(end - 4, "the file does not end with `PAR1`: it is cut off or not Parquet"));
    }
    let length = usize_of(u32::from_le_bytes(*length));
    if length as u64 > limits.footer_bytes {
        let what = format!("a footer of {length} bytes");
        return Err(LayoutError::TooLarge { offset: tail_at as u64, what, limit: limits.footer_bytes });
    }
    let start = tail_at.checked_sub(length).filter(|start| *start >= MAGIC.len());
    let start = start.ok_or_else(|| {
        LayoutError::untrue(tail_at as u64, format!("the footer says it has {length} bytes, more than stand before it"))
    })?;
    let bytes = file.get(start..tail_at).unwrap_or_default();
    let (unread, encrypted) = examine(bytes).map_err(|error| at(start, error))?;
    if encrypted {
        return Err(LayoutError::Encrypted { offset: start as u64 });
    }
    let unreadable = |error: String| LayoutError::damaged(start as u64, format!("the footer cannot be read: {error}"));
    let metadata = guarded(|| ParquetMetaDataReader::decode_metadata(bytes))
        .map_err(|error| unreadable(error.to_string()))?
        .map_err(|error| unreadable(error.to_string()))?;
    claims::check(bytes, start as u64, &metadata)?;
    if !hint::maps(metadata.file_metadata().schema_descr().root_schema()) {
        return Err(damaged(start, "the schema has a map that is not a list of required keys and their values"));
    }
    let mut key_values = BTreeMap::new();
    for pair in metadata.file_metadata().key_value_metadata().into_iter().flatten() {
        if pair.key == ARROW_SCHEMA && !pair.value.as_deref().is_some_and(hint::arrow_schema) {
            return Err(damaged(start, "the value of `ARROW:schema` is not an Arrow schema"));
        }
        let length = pair.value.as_ref().map_or(0, String::len) as u64;
        if key_values.insert(pair.key.clone(), length).is_some() {
            let what = format!("the key-value metadata name `{}` twice", pair.key.chars().take(80).collect::<String>());
            return Err(LayoutError::damaged(start as u64, what));
        }
    }
    let unread = unread.into_iter().map(|(offset, bytes)| ((start + offset) as u64, bytes as u64)).collect();
    Ok(Footer { metadata, offset: start as u64, unread, key_values })
}

fn at(start: usize, error: ThriftError) -> LayoutError {
    LayoutError::damaged((start + error.at) as u64, format!("the footer {error}"))
}

/// Walks the footer by its shape and checks the schema. Answers the stretches that no reader looks at, and whether it speaks of encryption.
fn examine(bytes: &[u8]) -> Result<(Vec<(usize, usize)>, bool), ThriftError> {
    let mut strict = Cursor::new(bytes);
    // How long an unknown field is does not matter: the footer is made anew if there is one.
    let mut unread: Vec<_> =
        strict.structure_of(&format::FILE_METADATA)?.into_iter().map(|offset| (offset, 1)).collect();
    if strict.at() < bytes.len() {
        unread.push((strict.at(), bytes.len() - strict.at()));
    }
    let mut encrypted = false;
    Cursor::new(bytes).each_field(|cursor, field| {
        if field.id == 2 {
            return schema::check(cursor, field);
        }
        encrypted |= matches!(field.id, 8 | 9);
        cursor.skip(field)
    })?;
    Ok((unread, encrypted))
}
