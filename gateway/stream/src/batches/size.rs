//! How long a batch is once encoded, and cutting it to length.
//!
//! `get_array_memory_size` counts shared buffers whole; a slice of a large array would look as large as the array.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::{BATCH_BYTES, BATCH_BYTES_MAX};

/// Dictionary values up to this size are sent as they are; longer ones are cut to those a batch uses.
const DICTIONARY_BYTES: usize = 1024 * 1024;

/// Arrow pads each buffer to 64 bytes.
const PADDING: usize = 64;

/// Cuts `records` to pieces of about [`BATCH_BYTES`], none above [`BATCH_BYTES_MAX`] but single rows.
pub(super) fn cut(records: &RecordBatch, ready: &mut VecDeque<RecordBatch>) -> Result<(), ArrowError> {
    let rows = records.num_rows();
    if rows == 0 {
        return Ok(());
    }
    let bytes = encoded_bytes(records)?;
    let pieces = bytes.div_ceil(BATCH_BYTES).clamp(1, rows);
    let mut open: VecDeque<RecordBatch> = VecDeque::new();
    let step = rows.div_ceil(pieces);
    for first in (0..rows).step_by(step) {
        open.push_back(records.slice(first, step.min(rows - first)));
    }
    // Rows of uneven length: halve what is still too long.
    while let Some(piece) = open.pop_front() {
        let rows = piece.num_rows();
        if rows > 1 && encoded_bytes(&piece)? > BATCH_BYTES_MAX {
            open.push_front(piece.slice(rows / 2, rows - rows / 2));
            open.push_front(piece.slice(0, rows / 2));
        } else {
            ready.push_back(compact(&piece)?);
        }
    }
    Ok(())
}

/// Bytes of the batch's message and of the dictionaries it needs.
fn encoded_bytes(records: &RecordBatch) -> Result<usize, ArrowError> {
    records.columns().iter().try_fold(0_usize, |sum, column| Ok(sum.saturating_add(array_bytes(column)?)))
}

fn array_bytes(array: &dyn Array) -> Result<usize, ArrowError> {
    let rows = array.len();
    let validity = if array.null_count() > 0 { rows / 8 + PADDING } else { 0 };
    let values = match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => rows / 8 + PADDING,
        DataType::Utf8 => array.as_string::<i32>().offsets().span() + (rows + 1) * 4 + 2 * PADDING,
        DataType::LargeUtf8 => array.as_string::<i64>().offsets().span() + (rows + 1) * 8 + 2 * PADDING,
        DataType::Binary => array.as_binary::<i32>().offsets().span() + (rows + 1) * 4 + 2 * PADDING,
        DataType::LargeBinary => array.as_binary::<i64>().offsets().span() + (rows + 1) * 8 + 2 * PADDING,
        DataType::FixedSizeBinary(width) => rows.saturating_mul(usize::try_from(*width).unwrap_or_default()) + PADDING,
        DataType::List(_) => list_bytes(array.as_list::<i32>())?,
        DataType::LargeList(_) => list_bytes(array.as_list::<i64>())?,
        DataType::Map(..) => map_bytes(array.as_map())?,
        DataType::FixedSizeList(..) => fixed_list_bytes(array.as_fixed_size_list())?,
        DataType::Struct(_) => struct_bytes(array.as_struct())?,
        DataType::Dictionary(_, values) => {
            let dictionary = array.as_any_dictionary();
            let keys = dictionary.keys().data_type().primitive_width().unwrap_or(8) * rows + PADDING;
            if is_large(dictionary.values()) { keys + array_bytes(&cast(array, values)?)? } else { keys }
        }
        other => match other.primitive_width() {
            Some(width) => width * rows + PADDING,
            None => array.to_data().get_slice_memory_size()?,
        },
    };
    Ok(values.saturating_add(validity))
}

trait Span {
    /// Bytes or items between the first offset and the last.
    fn span(&self) -> usize;
}

impl<O: OffsetSizeTrait> Span for arrow::buffer::OffsetBuffer<O> {
    fn span(&self) -> usize {
        match (self.first(), self.last()) {
            (Some(first), Some(last)) => last.as_usize().saturating_sub(first.as_usize()),
            _ => 0,
        }
    }
}

fn list_bytes<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> Result<usize, ArrowError> {
    let first = list.offsets().first().map_or(0, |offset| offset.as_usize());
    let items = list.values().slice(first, list.offsets().span());
    Ok(array_bytes(&items)? + list.offsets().len() * size_of::<O>() + PADDING)
}

fn map_bytes(map: &MapArray) -> Result<usize, ArrowError> {
    let first = map.offsets().first().map_or(0, |offset| usize::try_from(*offset).unwrap_or_default());
    let entries = map.entries().slice(first, map.offsets().span());
    Ok(struct_bytes(&entries)? + map.offsets().len() * 4 + PADDING)
}

fn fixed_list_bytes(list: &FixedSizeListArray) -> Result<usize, ArrowError> {
    array_bytes(list.values())
}

fn struct_bytes(fields: &StructArray) -> Result<usize, ArrowError> {
    fields.columns().iter().try_fold(0_usize, |sum, field| Ok(sum.saturating_add(array_bytes(field)?)))
}

/// Whether dictionary values are too long to be sent with every batch that refers to them.
fn is_large(values: &dyn Array) -> bool {
    values.to_data().get_slice_memory_size().is_ok_and(|bytes| bytes > DICTIONARY_BYTES)
}

/// The batch with large dictionaries cut to the values it uses.
fn compact(records: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns: Result<Vec<ArrayRef>, ArrowError> = records
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Dictionary(_, values) if is_large(column.as_any_dictionary().values()) => {
                cast(&cast(column, values)?, column.data_type())
            }
            _ => Ok(Arc::clone(column)),
        })
        .collect();
    RecordBatch::try_new(records.schema(), columns?)
}
