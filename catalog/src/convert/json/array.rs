//! JSON values of one column to an Arrow array.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};

use super::super::ConvertError;
use super::node::{Kind, Node};

/// One array for each member of the objects `rows`; a missing member is null.
pub(super) fn members(
    kinds: &[(String, Kind)],
    fields: &Fields,
    rows: &[Option<&Node>],
) -> Result<Vec<ArrayRef>, ConvertError> {
    kinds
        .iter()
        .zip(fields)
        .enumerate()
        .map(|(number, ((name, kind), field))| {
            let values: Vec<Option<&Node>> = rows
                .iter()
                .map(|row| row.and_then(|row| row.member(name, number)).filter(|node| **node != Node::Null))
                .collect();
            array(kind, field, &values)
        })
        .collect()
}

fn array(kind: &Kind, field: &Field, values: &[Option<&Node>]) -> Result<ArrayRef, ConvertError> {
    // The first pass saw every value fit; one that does not is refused below, never nulled.
    let expected = values.iter().filter(|value| value.is_some()).count();
    let array: ArrayRef = match (kind, field.data_type()) {
        (Kind::Boolean, _) => {
            let boolean = |node: &Node| {
                if let Node::Boolean(value) = node { Some(*value) } else { None }
            };
            Arc::new(each(values, boolean).collect::<BooleanArray>())
        }
        (Kind::Integer { .. }, _) => {
            let integer = |node: &Node| {
                if let Node::Integer(value) = node { Some(*value) } else { None }
            };
            Arc::new(each(values, integer).collect::<Int64Array>())
        }
        (Kind::Float, _) => Arc::new(each(values, float).collect::<Float64Array>()),
        (Kind::Large, _) => Arc::new(each(values, digits).collect::<StringArray>()),
        (Kind::List(inner), DataType::List(item)) => Arc::new(list(inner, item, values)?),
        (Kind::Object(kinds), DataType::Struct(fields)) => {
            let nulls: NullBuffer = values.iter().map(Option::is_some).collect();
            Arc::new(StructArray::try_new(fields.clone(), members(kinds, fields, values)?, Some(nulls))?)
        }
        _ => {
            let texts = values.iter().map(|value| match value {
                Some(Node::Text(text)) => Some(text.as_str()),
                _ => None,
            });
            Arc::new(texts.collect::<StringArray>())
        }
    };
    if array.len() - array.null_count() == expected {
        Ok(array)
    } else {
        Err(ConvertError::Columns(format!("the values of `{}` changed while they were read", field.name())))
    }
}

fn each<T>(values: &[Option<&Node>], take: impl Fn(&Node) -> Option<T>) -> impl Iterator<Item = Option<T>> {
    values.iter().map(move |value| value.and_then(&take))
}

fn float(node: &Node) -> Option<f64> {
    match node {
        Node::Float(value) => Some(*value),
        #[expect(clippy::cast_precision_loss, reason = "the first pass let whole numbers up to 2^53 through")]
        Node::Integer(value) => Some(*value as f64),
        _ => None,
    }
}

fn digits(node: &Node) -> Option<String> {
    match node {
        Node::Integer(value) => Some(value.to_string()),
        Node::Large(value) => Some(value.to_string()),
        _ => None,
    }
}

fn list(inner: &Kind, item: &Arc<Field>, values: &[Option<&Node>]) -> Result<ListArray, ConvertError> {
    let items: Vec<Option<&[Node]>> = values
        .iter()
        .map(|value| if let Some(Node::List(items)) = value { Some(items.as_slice()) } else { None })
        .collect();
    let offsets = OffsetBuffer::from_lengths(items.iter().map(|items| items.map_or(0, <[Node]>::len)));
    let flat: Vec<Option<&Node>> =
        items.iter().copied().flatten().flatten().map(|item| (*item != Node::Null).then_some(item)).collect();
    let nulls: NullBuffer = items.iter().map(Option::is_some).collect();
    Ok(ListArray::try_new(Arc::clone(item), offsets, array(inner, item, &flat)?, Some(nulls))?)
}
