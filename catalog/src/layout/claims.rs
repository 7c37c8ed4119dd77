//! What a footer says a second time of its columns: types, paths, levels, lengths of statistics. Readers differ in
//! which of the two they believe, so that both must be the same.

use parquet::basic::Type;
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::ColumnDescriptor;

use super::LayoutError;
use super::thrift::{Cursor, ThriftError};

/// Writers keep at least so many bytes of a minimum or maximum.
const EXTREME_BYTES: usize = 64;

/// Something said that is not so; `at` counts from the start of the slice.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) at: usize,
    pub(super) what: String,
}

impl From<ThriftError> for Claim {
    fn from(error: ThriftError) -> Self {
        Self { at: error.at, what: error.to_string() }
    }
}

/// Checks the footer `bytes`, which begin at `start` of the file and were read as `metadata`.
pub(super) fn check(bytes: &[u8], start: u64, metadata: &ParquetMetaData) -> Result<(), LayoutError> {
    let columns = metadata.file_metadata().schema_descr().columns();
    Cursor::new(bytes)
        .each_field(|cursor, field| {
            if field.id != 4 {
                return Ok(cursor.skip(field)?);
            }
            for _ in 0..cursor.structures(field)? {
                cursor.each_field(|cursor, field| match field.id {
                    1 => {
                        let chunks = cursor.structures(field)?;
                        // The reader has refused any other number of chunks than columns.
                        for (_, descriptor) in (0..chunks).zip(columns) {
                            chunk(cursor, descriptor)?;
                        }
                        Ok(())
                    }
                    4 => sorting(cursor, field, columns.len()),
                    _ => Ok(cursor.skip(field)?),
                })?;
            }
            Ok(())
        })
        .map_err(|claim: Claim| LayoutError::untrue(start + claim.at as u64, format!("the footer {}", claim.what)))
}

fn sorting(cursor: &mut Cursor<'_>, field: super::thrift::Field, columns: usize) -> Result<(), Claim> {
    for _ in 0..cursor.structures(field)? {
        cursor.each_field(|cursor, field| {
            if field.id != 1 {
                return Ok(cursor.skip(field)?);
            }
            let at = cursor.at();
            let column = cursor.integer(field)?;
            if usize::try_from(column).is_ok_and(|column| column < columns) {
                return Ok(());
            }
            let what = format!("says that its rows are sorted by column {column} of {columns}");
            Err(Claim { at, what })
        })?;
    }
    Ok(())
}

fn chunk(cursor: &mut Cursor<'_>, descriptor: &ColumnDescriptor) -> Result<(), Claim> {
    cursor.each_field(|cursor, field| {
        if field.id != 3 {
            return Ok(cursor.skip(field)?);
        }
        cursor.structure(field)?;
        cursor.each_field(|cursor, field| {
            let at = cursor.at();
            let untrue = |what: &str| {
                let column: String = descriptor.path().string().chars().take(80).collect();
                Err(Claim { at, what: format!("says of column `{column}` {what}") })
            };
            match field.id {
                1 => {
                    let said = cursor.integer(field)?;
                    if said != descriptor.physical_type() as i64 {
                        return untrue("that it has another type than the schema says");
                    }
                    Ok(())
                }
                3 => {
                    let mut parts = descriptor.path().parts().iter();
                    let (_, length) = cursor.list()?;
                    for _ in 0..length {
                        let said = cursor.binary()?;
                        if parts.next().map(String::as_bytes) != Some(said) {
                            return untrue("that it is at another place than the schema says");
                        }
                    }
                    if parts.next().is_some() {
                        return untrue("that it is at another place than the schema says");
                    }
                    Ok(())
                }
                12 => statistics(cursor, descriptor),
                16 => size_statistics(cursor, descriptor),
                _ => Ok(cursor.skip(field)?),
            }
        })
    })
}

/// Checks the lengths of minimum and maximum, in the structure that begins at `cursor`: what is longer than a value of
/// the column is read by nobody, what is shorter stops some readers.
pub(super) fn statistics(cursor: &mut Cursor<'_>, descriptor: &ColumnDescriptor) -> Result<(), Claim> {
    cursor.each_field(|cursor, field| {
        let at = cursor.at();
        if !matches!(field.id, 1 | 2 | 5 | 6) {
            return Ok(cursor.skip(field)?);
        }
        let length = cursor.binary()?.len();
        if extreme(length, descriptor) {
            return Ok(());
        }
        let what = format!("has a minimum or maximum of {length} bytes, which is no value of its column");
        Err(Claim { at, what })
    })
}

/// Whether a minimum or maximum of the column may have `length` bytes.
pub(super) fn extreme(length: usize, descriptor: &ColumnDescriptor) -> bool {
    match descriptor.physical_type() {
        Type::BOOLEAN => length == 1,
        Type::INT32 | Type::FLOAT => length == 4,
        Type::INT64 | Type::DOUBLE => length == 8,
        Type::INT96 => length == 12,
        Type::BYTE_ARRAY => true,
        // Long ones may have been cut short.
        Type::FIXED_LEN_BYTE_ARRAY => {
            let fixed = usize::try_from(descriptor.type_length()).unwrap_or_default();
            length == fixed || (fixed > EXTREME_BYTES && length < fixed)
        }
    }
}

fn size_statistics(cursor: &mut Cursor<'_>, descriptor: &ColumnDescriptor) -> Result<(), Claim> {
    cursor.each_field(|cursor, field| {
        let at = cursor.at();
        let levels = match field.id {
            2 => descriptor.max_rep_level(),
            3 => descriptor.max_def_level(),
            id => {
                if id == 1 && descriptor.physical_type() != Type::BYTE_ARRAY {
                    let what = "counts text bytes of a column that has no text".to_owned();
                    return Err(Claim { at, what });
                }
                return Ok(cursor.skip(field)?);
            }
        };
        let expected = usize::from(levels.unsigned_abs()) + 1;
        let (_, found) = cursor.list()?;
        for _ in 0..found {
            cursor.signed()?;
        }
        if found == 0 || found == expected {
            return Ok(());
        }
        let what = format!("has a level histogram of {found} entries instead of {expected}");
        Err(Claim { at, what })
    })
}
