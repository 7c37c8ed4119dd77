//! `ARROW:schema`: the Arrow types that a Parquet file had before it was written.
//!
//! Without it dictionaries, large strings and time zones come back as other types. It also names every column and
//! carries free metadata, so it is made anew for what is kept: field by field, with no metadata but extension types'.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use arrow::ipc::convert::try_schema_from_flatbuffer_bytes;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema};
use parquet::file::metadata::ParquetMetaData;

use crate::guard::guarded;

/// Key of the file's key-value metadata.
pub(crate) const KEY: &str = ARROW_SCHEMA_META_KEY;

const DEPTH_MAX: usize = 64;

/// What else to change on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adapt {
    /// Nothing: the file keeps its types.
    Nothing,
    /// For streams: string and binary views become plain (their slices would drag whole buffers along, and older
    /// readers do not know them), dictionaries stay at the top level only.
    Streams,
}

/// The file's Arrow schema; `None` if it has none or one that does not decode.
pub(crate) fn of(metadata: &ParquetMetaData) -> Option<Schema> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    let value = pairs.iter().find(|pair| pair.key == KEY)?.value.as_deref()?;
    let bytes = BASE64_STANDARD.decode(value).ok()?;
    // Older writers omit the continuation marker and length.
    let message = match bytes.split_first_chunk::<8>() {
        Some(([0xff, 0xff, 0xff, 0xff, ..], message)) => message,
        _ => bytes.as_slice(),
    };
    guarded(|| try_schema_from_flatbuffer_bytes(message)).ok()?.ok()
}

/// Encodes a schema as the value of [`KEY`].
pub(crate) fn encode(schema: &Schema) -> String {
    encode_arrow_schema(schema)
}

/// The schema of the leaves `kept` (sorted) of a file with `leaves` leaves; `None` if it does not describe that file.
pub(crate) fn project(schema: &Schema, kept: &[usize], leaves: usize, adapt: Adapt) -> Option<Schema> {
    let mut walk = Walk { kept, leaf: 0, adapt };
    let mut fields: Vec<FieldRef> = Vec::new();
    for field in schema.fields() {
        fields.extend(walk.field(field, 0).ok()?);
    }
    (walk.leaf == leaves).then(|| Schema::new(fields))
}

/// A type that Parquet has no leaves for, or too deep a nesting.
struct Untold;

struct Walk<'a> {
    kept: &'a [usize],
    leaf: usize,
    adapt: Adapt,
}

impl Walk<'_> {
    /// The field as far as it is kept, `None` if nothing of it is.
    fn field(&mut self, field: &Field, depth: usize) -> Result<Option<FieldRef>, Untold> {
        if depth > DEPTH_MAX {
            return Err(Untold);
        }
        let first = self.leaf;
        let Some(data_type) = self.data_type(field.data_type(), depth)? else {
            return Ok(None);
        };
        let whole = (first..self.leaf).all(|leaf| self.kept.binary_search(&leaf).is_ok());
        let metadata: HashMap<String, String> = field
            .metadata()
            .iter()
            .filter(|(key, _)| whole && key.starts_with("ARROW:extension:"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        Ok(Some(Arc::new(
            // A clone, for the order of a dictionary has no public setter.
            field.clone().with_data_type(data_type).with_metadata(metadata),
        )))
    }

    fn data_type(&mut self, data_type: &DataType, depth: usize) -> Result<Option<DataType>, Untold> {
        let depth = depth + 1;
        Ok(match data_type {
            DataType::List(item) => self.field(item, depth)?.map(DataType::List),
            DataType::LargeList(item) => self.field(item, depth)?.map(DataType::LargeList),
            DataType::ListView(item) => self.field(item, depth)?.map(DataType::ListView),
            DataType::LargeListView(item) => self.field(item, depth)?.map(DataType::LargeListView),
            DataType::FixedSizeList(item, size) => {
                self.field(item, depth)?.map(|item| DataType::FixedSizeList(item, *size))
            }
            DataType::Map(entries, sorted) => {
                self.field(entries, depth)?.map(|entries| DataType::Map(entries, *sorted))
            }
            DataType::Struct(fields) => {
                let mut left: Vec<FieldRef> = Vec::new();
                for field in fields {
                    left.extend(self.field(field, depth)?);
                }
                (!left.is_empty()).then(|| DataType::Struct(Fields::from(left)))
            }
            DataType::Union(..) => return Err(Untold),
            DataType::Dictionary(_, values) if values.is_nested() => return Err(Untold),
            leaf => {
                let kept = self.kept.binary_search(&self.leaf).is_ok();
                self.leaf += 1;
                kept.then(|| self.adapted(leaf, depth))
            }
        })
    }

    fn adapted(&self, leaf: &DataType, depth: usize) -> DataType {
        match leaf {
            DataType::Utf8View if self.adapt == Adapt::Streams => DataType::Utf8,
            DataType::BinaryView if self.adapt == Adapt::Streams => DataType::Binary,
            DataType::Dictionary(_, values) if self.adapt == Adapt::Streams && depth > 1 => values.as_ref().clone(),
            leaf => leaf.clone(),
        }
    }
}
