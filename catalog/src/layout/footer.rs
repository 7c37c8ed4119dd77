//! Finds the footer and reads it, after its shape, depth and list lengths were checked.

use std::collections::BTreeMap;

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::thrift::{Cursor, ThriftError};
use super::{LayoutError, Limits, shape, usize_of};
use crate::guard::guarded;

/// Deepest nesting of a schema.
const SCHEMA_DEPTH_MAX: usize = 32;
/// Length of the metadata length and the closing magic.
pub(super) const TAIL_BYTES: usize = 8;
const MAGIC: &[u8] = b"PAR1";

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
    let (length, magic) = file
        .get(tail_at..)
        .and_then(|tail| tail.split_first_chunk::<4>())
        .unwrap_or((&[0; 4], &[]));
    if magic == b"PARE" {
        return Err(LayoutError::Encrypted {
            offset: (end - 4) as u64,
        });
    }
    if magic != MAGIC {
        return Err(damaged(
            end - 4,
            "the file does not end with `PAR1`: it is cut off or not Parquet",
        ));
    }
    let length = usize_of(u32::from_le_bytes(*length));
    if length as u64 > limits.footer_bytes {
        let what = format!("a footer of {length} bytes");
        return Err(LayoutError::TooLarge {
            offset: tail_at as u64,
            what,
            limit: limits.footer_bytes,
        });
    }
    let start = tail_at
        .checked_sub(length)
        .filter(|start| *start >= MAGIC.len());
    let start = start.ok_or_else(|| {
        LayoutError::untrue(
            tail_at as u64,
            format!("the footer says it has {length} bytes, more than stand before it"),
        )
    })?;
    let bytes = file.get(start..tail_at).unwrap_or_default();
    let (unread, encrypted) = examine(bytes).map_err(|error| at(start, error))?;
    if encrypted {
        return Err(LayoutError::Encrypted {
            offset: start as u64,
        });
    }
    let unreadable = |error: String| {
        LayoutError::damaged(start as u64, format!("the footer cannot be read: {error}"))
    };
    let metadata = guarded(|| ParquetMetaDataReader::decode_metadata(bytes))
        .map_err(|error| unreadable(error.to_string()))?
        .map_err(|error| unreadable(error.to_string()))?;
    let mut key_values = BTreeMap::new();
    for pair in metadata
        .file_metadata()
        .key_value_metadata()
        .into_iter()
        .flatten()
    {
        let length = pair.value.as_ref().map_or(0, String::len) as u64;
        if key_values.insert(pair.key.clone(), length).is_some() {
            let what = format!(
                "the key-value metadata name `{}` twice",
                pair.key.chars().take(80).collect::<String>()
            );
            return Err(LayoutError::damaged(start as u64, what));
        }
    }
    let unread = unread
        .into_iter()
        .map(|(offset, bytes)| ((start + offset) as u64, bytes as u64))
        .collect();
    Ok(Footer {
        metadata,
        offset: start as u64,
        unread,
        key_values,
    })
}

fn at(start: usize, error: ThriftError) -> LayoutError {
    LayoutError::damaged(
        (start + error.at) as u64,
        format!("the footer {}", error.what),
    )
}

/// Walks the footer by its shape. Answers the stretches that no reader looks at, and whether it speaks of encryption.
fn examine(bytes: &[u8]) -> Result<(Vec<(usize, usize)>, bool), ThriftError> {
    let mut strict = Cursor::new(bytes);
    // How long an unknown field is does not matter: the footer is made anew if there is one.
    let mut unread: Vec<_> = strict
        .structure_of(&shape::FILE_METADATA)?
        .into_iter()
        .map(|offset| (offset, 1))
        .collect();
    if strict.at() < bytes.len() {
        unread.push((strict.at(), bytes.len() - strict.at()));
    }
    let mut cursor = Cursor::new(bytes);
    let (mut last, mut encrypted) = (0, false);
    while let Some(field) = cursor.field(last)? {
        last = field.id;
        if field.id == 2 {
            let elements = cursor.structures(field)?;
            schema_depth(&mut cursor, elements)?;
        } else {
            encrypted |= matches!(field.id, 8 | 9);
            cursor.skip(field)?;
        }
    }
    Ok((unread, encrypted))
}

/// Refuses a schema so deep that the recursion which reads it would run out of stack.
fn schema_depth(cursor: &mut Cursor<'_>, elements: usize) -> Result<(), ThriftError> {
    let mut open: Vec<i64> = Vec::new();
    for _ in 0..elements {
        let (mut last, mut children) = (0, 0);
        while let Some(field) = cursor.field(last)? {
            last = field.id;
            if field.id == 5 {
                children = cursor.integer(field)?;
            } else {
                cursor.skip(field)?;
            }
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            open.push(children);
        }
        while open.last().is_some_and(|left| *left <= 0) {
            open.pop();
        }
        if open.len() > SCHEMA_DEPTH_MAX {
            return Err(cursor.error("has a schema that is nested too deeply"));
        }
    }
    Ok(())
}
