//! Whom a row is about: the values of a dataset's subject key, made comparable ([`spelling`]), and whether the row says
//! something sensitive about that person.

use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

pub mod spelling;
#[cfg(test)]
mod tests;

pub use spelling::comparable;

/// One row as counting sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The comparable spelling of its key; `None` if it has none, or one without a letter or digit.
    pub key: Option<String>,
    /// Whether a sensitive column has a value here.
    pub sensitive: bool,
}

/// Whether the column `path` of `schema` has one value a row, as a subject key must: no list or map on the way.
pub fn is_countable(schema: &Schema, path: &str) -> bool {
    steps(schema.fields(), path).is_some_and(|(fields, _)| {
        fields.last().is_some_and(|last| {
            let mut kind = last.data_type();
            if let DataType::Dictionary(_, values) = kind {
                kind = values;
            }
            !kind.is_nested()
        })
    })
}

/// The rows of `batch` by its key column and its sensitive columns, dotted paths as everywhere.
///
/// # Errors
/// A column that is not there, or a key that is not countable.
pub fn rows(batch: &RecordBatch, key: &str, sensitive: &[String]) -> Result<Vec<Row>, ArrowError> {
    if !is_countable(batch.schema_ref(), key) {
        return Err(ArrowError::SchemaError(format!("`{key}` has no single value a row")));
    }
    let keys = column(batch, key)?.values;
    // A value that has no text (bytes that are not UTF-8) is no key: then the row is about somebody unknown.
    let keys = cast(&keys, &DataType::Utf8)?;
    let keys: &StringArray = keys.as_string();
    let present = sensitive.iter().map(|path| column(batch, path)).collect::<Result<Vec<_>, _>>()?;
    let key_is_sensitive = sensitive.iter().any(|path| path == key);
    let rows = (0..batch.num_rows()).map(|row| {
        let key = keys.is_valid(row).then(|| comparable(keys.value(row))).filter(|key| !key.is_empty());
        let sensitive = key_is_sensitive || present.iter().any(|column| column.has(row));
        Row { key, sensitive }
    });
    Ok(rows.collect())
}

/// A leaf, or the list or map that it lies in, with the rows in which it has a value.
struct Column {
    values: ArrayRef,
    present: BooleanArray,
}

impl Column {
    fn has(&self, row: usize) -> bool {
        row < self.present.len() && self.present.value(row)
    }
}

fn column(batch: &RecordBatch, path: &str) -> Result<Column, ArrowError> {
    let missing = || ArrowError::SchemaError(format!("there is no column `{path}`"));
    let (fields, indices) = steps(batch.schema_ref().fields(), path).ok_or_else(missing)?;
    let mut present = vec![true; batch.num_rows()];
    let mut values: Option<ArrayRef> = None;
    for (_, index) in fields.iter().zip(indices) {
        let next = match &values {
            None => batch.columns().get(index).cloned(),
            Some(group) => group.as_struct_opt().and_then(|group| group.columns().get(index).cloned()),
        };
        let next = next.ok_or_else(missing)?;
        if let Some(nulls) = next.logical_nulls() {
            for (row, present) in present.iter_mut().enumerate().take(nulls.len()) {
                *present = *present && nulls.is_valid(row);
            }
        }
        values = Some(next);
    }
    Ok(Column { values: values.ok_or_else(missing)?, present: present.into() })
}

/// The fields from the top to the leaf `path`, or to the list or map that holds it, each with its place among its
/// siblings. A name may hold dots itself.
fn steps<'a>(fields: &'a Fields, path: &str) -> Option<(Vec<&'a Field>, Vec<usize>)> {
    for (index, field) in fields.iter().enumerate() {
        let rest = path.strip_prefix(field.name().as_str());
        match (rest, field.data_type()) {
            (Some(""), _) => return Some((vec![field.as_ref()], vec![index])),
            (Some(rest), DataType::Struct(children)) if rest.starts_with('.') => {
                let below = steps(children, rest.strip_prefix('.')?);
                if let Some((mut fields, mut indices)) = below {
                    fields.insert(0, field.as_ref());
                    indices.insert(0, index);
                    return Some((fields, indices));
                }
            }
            (Some(rest), kind) if rest.starts_with('.') && kind.is_nested() => {
                return Some((vec![field.as_ref()], vec![index]));
            }
            _ => {}
        }
    }
    None
}
