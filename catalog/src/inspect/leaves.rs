//! The leaf arrays of a batch, in the order of Parquet's leaf columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

/// A leaf array and, when a structure above it may be null, the nulls of both.
#[derive(Debug, Clone)]
pub(crate) struct LeafArray {
    pub(crate) array: ArrayRef,
    pub(crate) nulls: Option<NullBuffer>,
    rows: Rows,
}

impl LeafArray {
    /// One value a row.
    #[cfg(test)]
    pub(crate) const fn flat(array: ArrayRef, nulls: Option<NullBuffer>) -> Self {
        Self { array, nulls, rows: None }
    }

    /// The row of the batch to which the value at `at` belongs.
    pub(super) fn row(&self, at: usize) -> usize {
        match &self.rows {
            None => at,
            Some(rows) => rows.get(at).map_or(0, |row| *row as usize),
        }
    }
}

/// The row of each value; `None` when value and row have one number.
type Rows = Option<Arc<[u32]>>;

/// Takes a column of a batch apart.
pub(super) fn collect(array: &ArrayRef, into: &mut Vec<LeafArray>) {
    take_apart(array, None, &None, into);
}

fn take_apart(array: &ArrayRef, above: Option<&NullBuffer>, rows: &Rows, into: &mut Vec<LeafArray>) {
    let nulls = NullBuffer::union(above, array.logical_nulls().as_ref());
    match array.data_type() {
        DataType::Struct(_) => {
            for column in array.as_struct().columns() {
                take_apart(column, nulls.as_ref(), rows, into);
            }
        }
        DataType::List(_) => items::<i32>(array, rows, into),
        DataType::LargeList(_) => items::<i64>(array, rows, into),
        DataType::FixedSizeList(_, length) => {
            let list = array.as_fixed_size_list();
            let length = usize::try_from(*length).unwrap_or(0);
            let rows = Some(spread((0..list.len()).map(|_| length), rows));
            take_apart(list.values(), None, &rows, into);
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (first, last) = bounds(map.value_offsets());
            let rows = Some(spread(lengths(map.value_offsets()), rows));
            for column in map.entries().columns() {
                take_apart(&column.slice(first, last - first), None, &rows, into);
            }
        }
        _ => into.push(LeafArray { array: ArrayRef::clone(array), nulls, rows: rows.clone() }),
    }
}

fn items<O: OffsetSizeTrait>(array: &ArrayRef, rows: &Rows, into: &mut Vec<LeafArray>) {
    let list = array.as_list::<O>();
    let (first, last) = bounds(list.value_offsets());
    let rows = Some(spread(lengths(list.value_offsets()), rows));
    take_apart(&list.values().slice(first, last - first), None, &rows, into);
}

fn lengths<O: OffsetSizeTrait>(offsets: &[O]) -> impl Iterator<Item = usize> {
    offsets.windows(2).map(|pair| match pair {
        [from, to] => to.as_usize().saturating_sub(from.as_usize()),
        _ => 0,
    })
}

/// The rows of the items of lists that have these lengths.
fn spread(lengths: impl Iterator<Item = usize>, above: &Rows) -> Arc<[u32]> {
    let row = |list: usize| match above {
        None => u32::try_from(list).unwrap_or(u32::MAX),
        Some(rows) => rows.get(list).copied().unwrap_or(u32::MAX),
    };
    lengths.enumerate().flat_map(|(list, length)| std::iter::repeat_n(row(list), length)).collect()
}

fn bounds<O: OffsetSizeTrait>(offsets: &[O]) -> (usize, usize) {
    let at = |offset: Option<&O>| offset.map_or(0, |offset| offset.as_usize());
    (at(offsets.first()), at(offsets.last()))
}
