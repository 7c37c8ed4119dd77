//! What is measured of one leaf column while its values stream by.

use arrow::array::{Array, ArrayRef, AsArray, make_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, ToByteSlice};
use arrow::downcast_primitive_array;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Value, json};

use super::distinct::{Distinct, hash};
use super::leaves::LeafArray;
use super::script::Scripts;
use crate::quality::Counts;

/// Characters of a value that are shown to its provider.
const SHOWN_CHARS: usize = 120;
/// Examples that are kept.
const EXAMPLES: usize = 3;
/// Distinct values of a column that are counted exactly.
const EXACT_MAX: usize = 1024;

/// Orders values for min and max.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Key {
    Integer(i64),
    Float(f64),
    Text(String),
}

#[derive(Debug, Clone)]
pub(super) struct Measure {
    pub(super) nulls: u64,
    pub(super) values: u64,
    pub(super) empty: u64,
    pub(super) distinct: Distinct,
    pub(super) scripts: Scripts,
    pub(super) is_text: bool,
    min: Option<(Key, String)>,
    max: Option<(Key, String)>,
    examples: Vec<String>,
}

impl Measure {
    /// `is_key`: the column that identifies persons, counted as exactly as memory allows.
    pub(super) fn new(is_key: bool) -> Self {
        Self {
            nulls: 0,
            values: 0,
            empty: 0,
            distinct: Distinct::new(if is_key { 1 << 20 } else { EXACT_MAX }),
            scripts: Scripts::default(),
            is_text: false,
            min: None,
            max: None,
            examples: Vec::new(),
        }
    }

    /// Adds the values of a leaf array; the error is a type that we cannot look into.
    pub(super) fn add(&mut self, leaf: &LeafArray) -> Result<(), arrow::error::ArrowError> {
        let array = match leaf.array.data_type() {
            DataType::Dictionary(_, values) => cast(&leaf.array, values)?,
            DataType::RunEndEncoded(_, values) => cast(&leaf.array, values.data_type())?,
            // Shown in UTC: the zone's rules are not needed to know what is in the column.
            DataType::Timestamp(unit, Some(_)) => {
                let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
                make_array(leaf.array.to_data().into_builder().data_type(utc).build()?)
            }
            _ => ArrayRef::clone(&leaf.array),
        };
        let nulls = leaf.nulls.as_ref();
        let present = |row: &usize| nulls.is_none_or(|nulls| nulls.is_valid(*row));
        let null_count = nulls.map_or(0, arrow::buffer::NullBuffer::null_count);
        self.nulls += null_count as u64;
        self.values += (array.len() - null_count) as u64;
        let rows = (0..array.len()).filter(present);
        match array.data_type() {
            DataType::Utf8 => rows.for_each(|row| self.text(array.as_string::<i32>().value(row))),
            DataType::LargeUtf8 => {
                rows.for_each(|row| self.text(array.as_string::<i64>().value(row)));
            }
            DataType::Utf8View => rows.for_each(|row| self.text(array.as_string_view().value(row))),
            DataType::Binary => {
                rows.for_each(|row| self.distinct.add(hash(array.as_binary::<i32>().value(row))));
            }
            DataType::LargeBinary => {
                rows.for_each(|row| self.distinct.add(hash(array.as_binary::<i64>().value(row))));
            }
            DataType::BinaryView => {
                rows.for_each(|row| self.distinct.add(hash(array.as_binary_view().value(row))));
            }
            DataType::FixedSizeBinary(_) => {
                rows.for_each(|row| {
                    self.distinct.add(hash(array.as_fixed_size_binary().value(row)));
                });
            }
            DataType::Boolean => {
                rows.for_each(|row| self.distinct.add(u64::from(array.as_boolean().value(row))));
            }
            DataType::Null => {}
            _ => {
                let values = array.as_ref();
                downcast_primitive_array!(
                    values => rows.for_each(|row| self.distinct.add(hash(values.value(row).to_byte_slice()))),
                    other => return Err(arrow::error::ArrowError::NotYetImplemented(other.to_string()))
                );
                self.numbers(&array, leaf)?;
            }
        }
        self.sample(&array, leaf)
    }

    fn text(&mut self, text: &str) {
        self.is_text = true;
        self.distinct.add(hash(text.as_bytes()));
        self.scripts.add(text);
        self.empty += u64::from(text.is_empty());
        let below = |bound: &Option<(Key, String)>| {
            bound.as_ref().is_none_or(|(key, _)| matches!(key, Key::Text(least) if text < least.as_str()))
        };
        let above = |bound: &Option<(Key, String)>| {
            bound.as_ref().is_none_or(|(key, _)| matches!(key, Key::Text(most) if text > most.as_str()))
        };
        // The whole value decides, but no more of it is kept than is shown.
        if below(&self.min) {
            self.min = Some((Key::Text(shown(text)), shown(text)));
        }
        if above(&self.max) {
            self.max = Some((Key::Text(shown(text)), shown(text)));
        }
    }

    /// Smallest and largest of numbers, dates and times.
    fn numbers(&mut self, array: &ArrayRef, leaf: &LeafArray) -> Result<(), arrow::error::ArrowError> {
        let float = array.data_type().is_floating()
            || matches!(
                array.data_type(),
                DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
            );
        if matches!(array.data_type(), DataType::Interval(_)) {
            return Ok(());
        }
        let wide = cast(array, &if float { DataType::Float64 } else { DataType::Int64 })?;
        let mut bounds: Option<((Key, usize), (Key, usize))> = None;
        for row in (0..wide.len())
            .filter(|row| wide.is_valid(*row) && leaf.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row)))
        {
            let key = if float {
                Key::Float(wide.as_primitive::<arrow::datatypes::Float64Type>().value(row))
            } else {
                Key::Integer(wide.as_primitive::<arrow::datatypes::Int64Type>().value(row))
            };
            match &mut bounds {
                None => bounds = Some(((key.clone(), row), (key, row))),
                Some((min, _)) if key < min.0 => *min = (key, row),
                Some((_, max)) if key > max.0 => *max = (key, row),
                Some(_) => {}
            }
        }
        if let Some(((low, low_row), (high, high_row))) = bounds {
            let formatter = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::new())?;
            if self.min.as_ref().is_none_or(|(key, _)| low < *key) {
                self.min = Some((low, shown(&formatter.value(low_row).to_string())));
            }
            if self.max.as_ref().is_none_or(|(key, _)| high > *key) {
                self.max = Some((high, shown(&formatter.value(high_row).to_string())));
            }
        }
        Ok(())
    }

    fn sample(&mut self, array: &ArrayRef, leaf: &LeafArray) -> Result<(), arrow::error::ArrowError> {
        if self.examples.len() >= EXAMPLES || array.data_type().is_null() {
            return Ok(());
        }
        let formatter = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::new())?;
        for row in
            (0..array.len()).filter(|row| leaf.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row))).take(1000)
        {
            let example = shown(&formatter.value(row).try_to_string()?);
            if !self.examples.contains(&example) {
                self.examples.push(example);
                if self.examples.len() == EXAMPLES {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The counts that the quality report takes up.
    pub(super) fn counts(&self) -> Counts {
        Counts { values: self.values, nulls: self.nulls, distinct: self.distinct.estimate() }
    }

    /// Cell values: for the provider and an authority only.
    pub(super) fn cells(&self) -> Value {
        json!({
            "min": self.min.as_ref().map(|(_, text)| text),
            "max": self.max.as_ref().map(|(_, text)| text),
            "examples": self.examples,
        })
    }
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
