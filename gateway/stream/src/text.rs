//! CSV (RFC 4180) and JSON Lines of record batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::csv::WriterBuilder as CsvBuilder;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use arrow::error::ArrowError;
use arrow::json::writer::{LineDelimited, WriterBuilder as JsonBuilder};
use bytes::Bytes;

/// A batch that cannot be written as text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// CSV has no lists, structs or maps.
    #[error(
        "column `{column}` is nested, which csv cannot hold: ask for json lines, arrow or parquet, or leave it out"
    )]
    Nested {
        /// Name of the column.
        column: String,
    },
    /// A type without a text form.
    #[error("the batch cannot be written as text: {0}")]
    Encode(String),
}

impl From<ArrowError> for TextError {
    fn from(error: ArrowError) -> Self {
        Self::Encode(error.to_string())
    }
}

/// Writes batches of one schema as CSV.
#[derive(Debug, Clone)]
pub struct CsvEncoder {
    header: Bytes,
}

impl CsvEncoder {
    /// For batches of `schema`.
    pub fn new(schema: &Schema) -> Result<Self, TextError> {
        if let Some(field) = schema.fields().iter().find(|field| is_nested(field.data_type())) {
            return Err(TextError::Nested { column: field.name().clone() });
        }
        let schema = Arc::new(Schema::new(texts(schema.fields())));
        let header = csv(&RecordBatch::new_empty(schema), true)?;
        Ok(Self { header })
    }

    /// The header line, which comes first.
    pub fn header(&self) -> Bytes {
        self.header.clone()
    }

    /// The lines of a batch.
    pub fn encode(&self, records: &RecordBatch) -> Result<Bytes, TextError> {
        csv(&textual(records)?, false)
    }
}

fn csv(records: &RecordBatch, header: bool) -> Result<Bytes, TextError> {
    let mut lines = Vec::new();
    let mut writer = CsvBuilder::new().with_header(header).build(&mut lines);
    writer.write(records)?;
    drop(writer);
    Ok(Bytes::from(lines))
}

/// The lines of a batch as JSON Lines: one object a row, nulls written out.
pub fn json_lines(records: &RecordBatch) -> Result<Bytes, TextError> {
    let mut lines = Vec::new();
    let mut writer = JsonBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut lines);
    writer.write(&textual(records)?)?;
    writer.finish()?;
    drop(writer);
    Ok(Bytes::from(lines))
}

fn is_nested(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_nested(values),
        other => other.is_nested(),
    }
}

/// The batch with every time zone as an offset. Instants stay the same; names would need a time zone database, which
/// the text writers do not have.
fn textual(records: &RecordBatch) -> Result<RecordBatch, TextError> {
    let schema = records.schema();
    let fields = texts(schema.fields());
    if fields == *schema.fields() {
        return Ok(records.clone());
    }
    let columns: Result<Vec<ArrayRef>, ArrowError> =
        records.columns().iter().zip(&fields).map(|(column, field)| cast(column, field.data_type())).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns?)?)
}

fn texts(fields: &Fields) -> Fields {
    fields.iter().map(text).collect()
}

fn text(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
        DataType::List(item) => DataType::List(text(item)),
        DataType::LargeList(item) => DataType::LargeList(text(item)),
        DataType::Struct(fields) => DataType::Struct(texts(fields)),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(field.metadata().clone()))
}

#[cfg(test)]
mod tests;
