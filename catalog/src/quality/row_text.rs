//! The text of a row: of all its columns, and of what is nested in them.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::downcast_dictionary_array;
use arrow::error::ArrowError;

/// The columns of a batch that hold text at some depth.
pub(super) fn columns(batch: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
    let columns = batch.columns().iter().filter(|column| holds_text(column.data_type()));
    columns
        .map(|column| match column.data_type() {
            // Its runs stand for rows only at the top.
            DataType::RunEndEncoded(_, values) => cast(column, values.data_type()),
            _ => Ok(ArrayRef::clone(column)),
        })
        .collect()
}

fn holds_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => holds_text(values),
        DataType::RunEndEncoded(_, field)
        | DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => holds_text(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_text(field.data_type())),
        _ => false,
    }
}

/// Calls `each` with every text at `row` of `array`.
pub(super) fn visit(array: &dyn Array, row: usize, each: &mut dyn FnMut(&str)) {
    if array.is_null(row) {
        return;
    }
    match array.data_type() {
        DataType::Utf8 => each(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => each(array.as_string::<i64>().value(row)),
        DataType::Utf8View => each(array.as_string_view().value(row)),
        DataType::Dictionary(..) => {
            downcast_dictionary_array!(
                array => if let Some(key) = array.key(row) {
                    visit(array.values().as_ref(), key, each);
                },
                _ => {}
            );
        }
        DataType::Struct(_) => {
            array.as_struct().columns().iter().for_each(|column| visit(column.as_ref(), row, each));
        }
        DataType::List(_) => list::<i32>(array, row, each),
        DataType::LargeList(_) => list::<i64>(array, row, each),
        DataType::FixedSizeList(..) => {
            let items = array.as_fixed_size_list().value(row);
            (0..items.len()).for_each(|item| visit(items.as_ref(), item, each));
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            (0..entries.len()).for_each(|entry| visit(&entries, entry, each));
        }
        _ => {}
    }
}

fn list<O: OffsetSizeTrait>(array: &dyn Array, row: usize, each: &mut dyn FnMut(&str)) {
    let list = array.as_list::<O>();
    let bounds = list.value_offsets().get(row..row + 2).unwrap_or_default();
    if let [first, last] = bounds {
        (first.as_usize()..last.as_usize()).for_each(|item| visit(list.values().as_ref(), item, each));
    }
}
