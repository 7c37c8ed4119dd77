//! What a footer says of its columns' Arrow types: the schema under `ARROW:schema`, and the shape of maps. Some readers
//! open no file where these are wrong, others shrug.

use arrow::datatypes::{DataType, Field};
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::{MetadataVersion, root_as_message};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parquet::basic::{ConvertedType, LogicalType, Repetition};
use parquet::schema::types::Type;

use crate::guard::guarded;

/// Largest value of fixed length.
const FIXED_BYTES_MAX: i32 = 1 << 20;
/// Deepest nesting; the schema of the file itself has no more.
const DEPTH_MAX: usize = 64;

/// Whether `value` is one encapsulated schema message, and every type in it one that may be.
pub(super) fn arrow_schema(value: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(value) else {
        return false;
    };
    // Before Arrow 0.15 there was no continuation marker in front of the length.
    let framed = bytes.strip_prefix(&[0xff; 4]).unwrap_or(&bytes);
    let Some((length, message)) = framed.split_first_chunk::<4>() else {
        return false;
    };
    if usize::try_from(i32::from_le_bytes(*length)) != Ok(message.len()) {
        return false;
    }
    guarded(|| {
        let Ok(message) = root_as_message(message) else {
            return false;
        };
        matches!(message.version(), MetadataVersion::V4 | MetadataVersion::V5)
            && message.bodyLength() == 0
            && message
                .header_as_schema()
                .is_some_and(|schema| fb_to_schema(schema).fields().iter().all(|field| sound(field, DEPTH_MAX)))
    })
    .unwrap_or(false)
}

fn sound(field: &Field, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    match field.data_type() {
        DataType::Decimal32(precision, _) => (1..=9).contains(precision),
        DataType::Decimal64(precision, _) => (1..=18).contains(precision),
        DataType::Decimal128(precision, _) => (1..=38).contains(precision),
        DataType::Decimal256(precision, _) => (1..=76).contains(precision),
        DataType::FixedSizeBinary(bytes) => (0..=FIXED_BYTES_MAX).contains(bytes),
        DataType::FixedSizeList(inner, length) => *length >= 0 && sound(inner, depth),
        DataType::List(inner)
        | DataType::LargeList(inner)
        | DataType::ListView(inner)
        | DataType::LargeListView(inner) => sound(inner, depth),
        DataType::Struct(fields) => fields.iter().all(|field| sound(field, depth)),
        DataType::Map(entries, _) => {
            let pair = match entries.data_type() {
                DataType::Struct(fields) => fields.len() == 2 && fields.first().is_some_and(|key| !key.is_nullable()),
                _ => false,
            };
            pair && !entries.is_nullable() && sound(entries, depth)
        }
        _ => true,
    }
}

/// Whether every map below `node` is a repeated group of a required key and at most one value.
pub(super) fn maps(node: &Type) -> bool {
    if !node.is_group() {
        return true;
    }
    let info = node.get_basic_info();
    let map = info.logical_type_ref() == Some(&LogicalType::Map)
        || (info.logical_type_ref().is_none()
            && matches!(info.converted_type(), ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE));
    // Where the pairs themselves are marked as a map (by old writers), they stand in one that is checked.
    let pairs = info.has_repetition() && info.repetition() == Repetition::REPEATED;
    let good = !map || pairs || pair(node.get_fields());
    good && node.get_fields().iter().all(|field| maps(field))
}

fn pair(fields: &[std::sync::Arc<Type>]) -> bool {
    let [entries] = fields else {
        return false;
    };
    entries.is_group()
        && entries.get_basic_info().repetition() == Repetition::REPEATED
        && (1..=2).contains(&entries.get_fields().len())
        && entries.get_fields().first().is_some_and(|key| key.get_basic_info().repetition() == Repetition::REQUIRED)
}
