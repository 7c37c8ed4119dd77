//! CSV with a header line: one pass to learn the types, one to write.
//!
//! A column is boolean, integer, float or date only if every value of it can be written back exactly; identifiers
//! (leading zeros, 16 digits and more, a plus sign) stay text. An unquoted empty field is null, a quoted one is text.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field as ArrowField, Schema};
use jiff::civil::Date;

use super::records::{Field, Records};
use super::sink::{BATCH_BYTES, BATCH_ROWS, Sink};
use super::{BOM, ConvertError, utf8};
use crate::layout::Limits;

/// Digits that an f64 keeps, and more than an amount or a count has; longer ones are identifiers.
const DIGITS_MAX: usize = 15;

/// What the values of a column have been so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Empty,
    Boolean,
    Integer,
    Float,
    Date,
    Text,
}

impl Kind {
    fn of(text: &str) -> Self {
        if text == "true" || text == "false" {
            Self::Boolean
        } else if is_number(text) {
            if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') { Self::Integer } else { Self::Float }
        } else if date(text).is_some() {
            Self::Date
        } else {
            Self::Text
        }
    }

    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Empty, kind) | (kind, Self::Empty) => kind,
            (a, b) if a == b => a,
            (Self::Integer, Self::Float) | (Self::Float, Self::Integer) => Self::Float,
            _ => Self::Text,
        }
    }

    const fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Empty | Self::Text => DataType::Utf8,
        }
    }
}

/// Whether `text` is a decimal number that means the same when it is written back.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        fraction.is_some() && digits(exponent) && exponent.len() <= 2
    });
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && text != "-0"
        && fraction.is_none_or(digits)
        && whole.len() + fraction.map_or(0, str::len) <= DIGITS_MAX
        && exponent_fits
}

fn date(text: &str) -> Option<i32> {
    if text.len() != 10 {
        return None;
    }
    let date: Date = text.parse().ok()?;
    (date.to_string() == text).then_some(())?;
    let days = jiff::civil::date(1970, 1, 1).until((jiff::Unit::Day, date)).ok()?.get_days();
    Some(days)
}

struct Table<'a> {
    names: Vec<String>,
    kinds: Vec<Kind>,
    /// Stands after the header.
    records: Records<'a>,
}

pub(super) fn convert<W: Write + Send>(bytes: &[u8], limits: &Limits, out: W) -> Result<u64, ConvertError> {
    let table = learn(bytes, limits)?;
    let fields: Vec<_> = table
        .names
        .iter()
        .zip(&table.kinds)
        .map(|(name, kind)| ArrowField::new(name, kind.data_type(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let mut sink = Sink::new(Arc::clone(&schema), out)?;
    let mut columns: Vec<Column> = table.kinds.iter().map(|kind| Column::new(*kind)).collect();
    let mut records = table.records;
    let mut fields = Vec::new();
    let (mut rows, mut held) = (0, 0);
    while let Some(line) = records.next(&mut fields)? {
        if is_blank(&fields, columns.len()) {
            continue;
        }
        for (column, field) in columns.iter_mut().zip(&fields) {
            column.push(field, line)?;
            held += field.bytes.len();
        }
        rows += 1;
        if rows == BATCH_ROWS || held >= BATCH_BYTES {
            flush(&mut sink, &schema, &mut columns)?;
            (rows, held) = (0, 0);
        }
    }
    if rows > 0 {
        flush(&mut sink, &schema, &mut columns)?;
    }
    sink.finish()
}

fn flush<W: Write + Send>(
    sink: &mut Sink<W>,
    schema: &Arc<Schema>,
    columns: &mut [Column],
) -> Result<(), ConvertError> {
    let arrays = columns.iter_mut().map(Column::finish).collect();
    sink.write(&RecordBatch::try_new(Arc::clone(schema), arrays)?)
}

/// An empty line is no row, unless there is one column only, whose value may be missing.
fn is_blank(fields: &[Field<'_>], columns: usize) -> bool {
    matches!(fields, [field] if field.bytes.is_empty() && !field.quoted && columns > 1)
}

/// The delimiter that the header line holds most of outside quotes.
fn sniff(bytes: &[u8]) -> u8 {
    let (mut counts, mut quoted) = ([(0, b','), (0, b'\t'), (0, b';')], false);
    for byte in bytes {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            byte if !quoted => {
                if let Some((count, _)) = counts.iter_mut().find(|(_, delimiter)| delimiter == byte) {
                    *count += 1;
                }
            }
            _ => {}
        }
    }
    counts.into_iter().rev().max_by_key(|(count, _)| *count).map_or(b',', |(_, delimiter)| delimiter)
}

fn learn<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Table<'a>, ConvertError> {
    let start = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
    let head = bytes.get(start..).unwrap_or_default();
    let delimiter = sniff(head.get(..limits.line_bytes).unwrap_or(head));
    let mut records = Records::new(bytes, start, delimiter, limits.line_bytes);
    let mut fields = Vec::new();
    let line = records.next(&mut fields)?.ok_or(ConvertError::Empty)?;
    let names = header(&fields, line, limits)?;
    let after_header = records.clone();
    let mut kinds = vec![Kind::Empty; names.len()];
    while let Some(line) = records.next(&mut fields)? {
        if is_blank(&fields, names.len()) {
            continue;
        }
        if fields.len() != names.len() {
            let what = format!("{} fields, but the header has {}", fields.len(), names.len());
            return Err(ConvertError::text(line, what));
        }
        for (kind, field) in kinds.iter_mut().zip(&fields) {
            let text = utf8(&field.bytes, field.offset, line)?;
            let empty = text.is_empty();
            if empty && field.quoted {
                *kind = Kind::Text;
            } else if !empty && *kind != Kind::Text {
                *kind = kind.join(Kind::of(text));
            }
        }
    }
    Ok(Table { names, kinds, records: after_header })
}

fn header(fields: &[Field<'_>], line: u64, limits: &Limits) -> Result<Vec<String>, ConvertError> {
    if fields.len() > limits.columns {
        let what = format!("{} columns, more than the limit of {}", fields.len(), limits.columns);
        return Err(ConvertError::text(line, what));
    }
    let mut names: Vec<String> = Vec::with_capacity(fields.len());
    let mut seen = std::collections::BTreeSet::new();
    for field in fields {
        let name = utf8(&field.bytes, field.offset, line)?.trim();
        if name.is_empty() || name.len() > 1024 {
            let what =
                format!("column {} has no usable name: write a header line with a name for each", names.len() + 1);
            return Err(ConvertError::text(line, what));
        }
        if !seen.insert(name.to_owned()) {
            return Err(ConvertError::text(line, format!("two columns are called `{name}`: give each its own name")));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

enum Column {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Date(Date32Builder),
    Text(StringBuilder),
}

impl Column {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::Integer => Self::Integer(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Date => Self::Date(Date32Builder::new()),
            Kind::Empty | Kind::Text => Self::Text(StringBuilder::new()),
        }
    }

    fn push(&mut self, field: &Field<'_>, line: u64) -> Result<(), ConvertError> {
        let text = utf8(&field.bytes, field.offset, line)?;
        let value = (!text.is_empty() || field.quoted).then_some(text);
        // The first pass saw every value fit; a value that does not must never become null.
        let changed = || ConvertError::text(line, "the file changed while it was read");
        match self {
            Self::Boolean(builder) => {
                builder.append_option(parsed(value, |text| text.parse().ok(), changed)?);
            }
            Self::Integer(builder) => {
                builder.append_option(parsed(value, |text| text.parse().ok(), changed)?);
            }
            Self::Float(builder) => {
                builder.append_option(parsed(value, |text| text.parse().ok(), changed)?);
            }
            Self::Date(builder) => builder.append_option(parsed(value, date, changed)?),
            Self::Text(builder) => builder.append_option(value),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

fn parsed<T>(
    value: Option<&str>,
    parse: impl FnOnce(&str) -> Option<T>,
    changed: impl FnOnce() -> ConvertError,
) -> Result<Option<T>, ConvertError> {
    value.map(|text| parse(text).ok_or_else(changed)).transpose()
}
