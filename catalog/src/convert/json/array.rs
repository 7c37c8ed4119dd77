//! JSON values of one column to an Arrow array.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, StructArray,
};
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
                .map(|row| {
                    row.and_then(|row| row.member(name, number))
                        .filter(|node| **node != Node::Null)
                })
                .collect();
            array(kind, field, &values)
        })
        .collect()
}

fn array(kind: &Kind, field: &Field, values: &[Option<&Node>]) -> Result<ArrayRef, ConvertError> {
    // The first pass saw every value fit; one that does not is refused below, never nulled.
    let expected = values.iter().filter(|value| value.is_some()).count();
    let array: ArrayRef = match (kind, field.data_type()) {
        (Kind::Boolean, _) => Arc::new(BooleanArray::from_iter(values.iter().map(
            |value| match value {
                Some(Node::Boolean(value)) => Some(*value),
                _ => None,
            },
        ))),
        (Kind::Integer { .. }, _) => {
            Arc::new(Int64Array::from_iter(values.iter().map(
                |value| match value {
                    Some(Node::Integer(value)) => Some(*value),
                    _ => None,
                },
            )))
        }
        (Kind::Float, _) => Arc::new(Float64Array::from_iter(values.iter().map(
            |value| match value {
                Some(Node::Float(value)) => Some(*value),
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "the first pass let whole numbers up to 2^53 through"
                )]
                Some(Node::Integer(value)) => Some(*value as f64),
                _ => None,
            },
        ))),
        (Kind::Large, _) => Arc::new(StringArray::from_iter(values.iter().map(
            |value| match value {
                Some(Node::Integer(value)) => Some(value.to_string()),
                Some(Node::Large(value)) => Some(value.to_string()),
                _ => None,
            },
        ))),
        (Kind::List(inner), DataType::List(item)) => Arc::new(list(inner, item, values)?),
        (Kind::Object(kinds), DataType::Struct(fields)) => {
            let nulls = NullBuffer::from_iter(values.iter().map(Option::is_some));
            Arc::new(StructArray::try_new(
                fields.clone(),
                members(kinds, fields, values)?,
                Some(nulls),
            )?)
        }
        _ => Arc::new(StringArray::from_iter(values.iter().map(
            |value| match value {
                Some(Node::Text(value)) => Some(value.as_str()),
                _ => None,
            },
        ))),
    };
    if array.len() - array.null_count() == expected {
        Ok(array)
    } else {
        Err(ConvertError::Columns(format!(
            "the values of `{}` changed while they were read",
            field.name()
        )))
    }
}

fn list(
    inner: &Kind,
    item: &Arc<Field>,
    values: &[Option<&Node>],
) -> Result<ListArray, ConvertError> {
    let items = |value: &Option<&Node>| match value {
        Some(Node::List(items)) => items.len(),
        _ => 0,
    };
    let offsets = OffsetBuffer::from_lengths(values.iter().map(items));
    let mut flat: Vec<Option<&Node>> = Vec::with_capacity(values.iter().map(items).sum());
    for value in values {
        if let Some(Node::List(items)) = value {
            flat.extend(
                items
                    .iter()
                    .map(|item| (*item != Node::Null).then_some(item)),
            );
        }
    }
    let nulls = NullBuffer::from_iter(
        values
            .iter()
            .map(|value| matches!(value, Some(Node::List(_)))),
    );
    Ok(ListArray::try_new(
        Arc::clone(item),
        offsets,
        array(inner, item, &flat)?,
        Some(nulls),
    )?)
}
