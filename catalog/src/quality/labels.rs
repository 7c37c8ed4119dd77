//! How evenly the values of a label column are spread.

use std::collections::HashMap;

use arrow::array::{Array, make_array};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value, json};

use super::texts_of;
use crate::inspect::{LeafArray, ppm};

/// More different values than this are no labels.
const CLASSES_MAX: usize = 1024;
/// Labels that are told one by one.
const SHOWN_MAX: usize = 24;
/// Characters of a label that are told.
const LABEL_CHARS: usize = 80;

/// Rows by label.
#[derive(Debug, Default)]
pub(super) struct Labels {
    rows: HashMap<u64, (String, u64)>,
    missing: u64,
    too_many: bool,
}

impl Labels {
    /// Adds the values of a leaf array.
    pub(super) fn add(&mut self, leaf: &LeafArray) -> Result<(), ArrowError> {
        if self.too_many || leaf.array.data_type().is_null() {
            return Ok(());
        }
        let array = match leaf.array.data_type() {
            // Told in UTC: the zone's rules are not needed to tell values apart.
            DataType::Timestamp(unit, Some(_)) => {
                let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
                make_array(leaf.array.to_data().into_builder().data_type(utc).build()?)
            }
            _ => texts_of(&leaf.array)?.unwrap_or_else(|| leaf.array.clone()),
        };
        let formatter = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::new())?;
        let mut text = String::new();
        for row in 0..array.len() {
            if leaf.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                self.missing += 1;
                continue;
            }
            text.clear();
            formatter.value(row).write(&mut text)?;
            self.count(&text);
        }
        if self.rows.len() > CLASSES_MAX {
            self.too_many = true;
            self.rows = HashMap::new();
        }
        Ok(())
    }

    fn count(&mut self, text: &str) {
        // A batch may bring many values before the table is looked at again: past its limit nothing is added.
        let full = self.rows.len() > CLASSES_MAX;
        let hash = crate::inspect::hash(text.as_bytes());
        if let Some((_, rows)) = self.rows.get_mut(&hash) {
            *rows += 1;
        } else if !full {
            self.rows.insert(hash, (text.chars().take(LABEL_CHARS).collect(), 1));
        }
    }

    /// `classes`, the share of the largest and smallest, and `balance_ppm`: Shannon's evenness, a million when every label
    /// has as many rows as the others.
    pub(super) fn report(&self) -> Map<String, Value> {
        let mut report = Map::new();
        let mut put = |name: &str, value: Value| report.insert(name.to_owned(), value);
        put("missing", self.missing.into());
        if self.too_many {
            put("more_than", CLASSES_MAX.into());
            return report;
        }
        let mut labels: Vec<&(String, u64)> = self.rows.values().collect();
        labels.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let total: u64 = labels.iter().map(|(_, rows)| rows).sum();
        put("classes", labels.len().into());
        put("rows", total.into());
        if let (Some((_, largest)), Some((_, smallest))) = (labels.first(), labels.last()) {
            put("largest_ppm", ppm(*largest, total).into());
            put("smallest_ppm", ppm(*smallest, total).into());
            put("balance_ppm", evenness(labels.iter().map(|(_, rows)| *rows), total).into());
        }
        let (shown, others) = labels.split_at(labels.len().min(SHOWN_MAX));
        let values: Vec<Value> = shown.iter().map(|(label, rows)| json!({"label": label, "rows": rows})).collect();
        put("values", values.into());
        if !others.is_empty() {
            let rows: u64 = others.iter().map(|(_, rows)| rows).sum();
            put("others", json!({"classes": others.len(), "rows": rows}));
        }
        report
    }
}

/// Shannon entropy of the shares over that of equal shares, in parts per million.
fn evenness(rows: impl ExactSizeIterator<Item = u64>, total: u64) -> u64 {
    let classes = rows.len();
    if classes < 2 {
        return 1_000_000;
    }
    #[expect(clippy::cast_precision_loss, reason = "shares of counts: the last of 53 bits does not show")]
    let entropy = -rows
        .map(|rows| rows as f64 / total as f64)
        .filter(|share| *share > 0.0)
        .map(|share| share * share.ln())
        .sum::<f64>();
    #[expect(clippy::cast_precision_loss, reason = "at most 1024 classes")]
    let even = (classes as f64).ln();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
    let ppm = (entropy / even * 1_000_000.0).round().clamp(0.0, 1_000_000.0) as u64;
    ppm
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn leaf(array: ArrayRef) -> LeafArray {
        let nulls = array.logical_nulls();
        LeafArray::flat(array, nulls)
    }

    #[test]
    fn balance_of_known_labels() {
        let mut labels = Labels::default();
        let values = vec![Some("a"), Some("b"), None, Some("a"), Some("b")];
        labels.add(&leaf(Arc::new(StringArray::from(values)))).unwrap();
        let report = labels.report();
        assert_eq!(
            (&report["classes"], &report["missing"], &report["balance_ppm"]),
            (&json!(2), &json!(1), &json!(1_000_000))
        );
        labels.add(&leaf(Arc::new(StringArray::from(vec!["a"; 4])))).unwrap();
        let report = labels.report();
        // Shares 3/4 and 1/4: 0.811 of a bit.
        assert_eq!((&report["largest_ppm"], &report["balance_ppm"]), (&json!(750_000), &json!(811_278)));
        assert_eq!(report["values"][0], json!({"label": "a", "rows": 6}));
    }

    #[test]
    fn times_in_a_zone_can_be_labels() {
        let mut labels = Labels::default();
        let times = TimestampMicrosecondArray::from(vec![0, 0, 3_600_000_000]).with_timezone("Asia/Hong_Kong");
        labels.add(&leaf(Arc::new(times))).unwrap();
        assert_eq!(labels.report()["values"][0], json!({"label": "1970-01-01T00:00:00Z", "rows": 2}));
    }

    #[test]
    fn a_column_of_ids_is_no_label() {
        let mut labels = Labels::default();
        labels.add(&leaf(Arc::new(Int64Array::from_iter_values(0..5000)))).unwrap();
        let report = labels.report();
        assert_eq!(report["more_than"], 1024);
        assert!(!report.contains_key("values") && labels.rows.is_empty());
    }
}
