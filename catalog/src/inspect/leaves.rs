//! The leaf arrays of a batch, in the order of Parquet's leaf columns.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

/// A leaf array and, when a structure above it may be null, the nulls of both.
#[derive(Debug, Clone)]
pub(crate) struct LeafArray {
    pub(crate) array: ArrayRef,
    pub(crate) nulls: Option<NullBuffer>,
}

/// Takes `array` apart.
pub(super) fn collect(array: &ArrayRef, above: Option<&NullBuffer>, into: &mut Vec<LeafArray>) {
    let nulls = NullBuffer::union(above, array.logical_nulls().as_ref());
    match array.data_type() {
        DataType::Struct(_) => {
            for column in array.as_struct().columns() {
                collect(column, nulls.as_ref(), into);
            }
        }
        DataType::List(_) => collect(&items::<i32>(array), None, into),
        DataType::LargeList(_) => collect(&items::<i64>(array), None, into),
        DataType::FixedSizeList(_, _) => {
            let list = array.as_fixed_size_list();
            collect(list.values(), None, into);
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let offsets = map.value_offsets();
            let (first, last) = bounds(offsets);
            for column in map.entries().columns() {
                collect(&column.slice(first, last - first), None, into);
            }
        }
        _ => into.push(LeafArray { array: ArrayRef::clone(array), nulls }),
    }
}

fn items<O: OffsetSizeTrait>(array: &ArrayRef) -> ArrayRef {
    let list = array.as_list::<O>();
    let (first, last) = bounds(list.value_offsets());
    list.values().slice(first, last - first)
}

fn bounds<O: OffsetSizeTrait>(offsets: &[O]) -> (usize, usize) {
    let at = |offset: Option<&O>| offset.map_or(0, |offset| offset.as_usize());
    (at(offsets.first()), at(offsets.last()))
}
