//! The few figures of a report that stand in a list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Languages that are told in a list.
const LANGUAGES_MAX: usize = 3;

/// The figures of a quality report that help to choose a dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headline {
    /// Cells that are not null, in parts per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_ppm: Option<u64>,
    /// Rows that are the same as an earlier one, in parts per million; absent when they cannot be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_ppm: Option<u64>,
    /// Rows that say nearly the same as an earlier one, in parts per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_ppm: Option<u64>,
    /// The languages with the most text, in parts per million of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub languages_ppm: BTreeMap<String, u64>,
    /// How evenly the labels are spread: a million is perfectly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_ppm: Option<u64>,
    /// Age of the data on the day of registration: by the newest value, else by the declared end of collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_days: Option<i64>,
}

/// The headline of an inspection result; `None` before the first file. From what a consumer may see, it is itself what a
/// consumer may see.
pub fn headline(inspection: &Value) -> Option<Headline> {
    headline_of(inspection, &|_| true)
}

/// The same, with the age by the newest value of a column that is `visible`.
pub(crate) fn headline_of(inspection: &Value, visible: &dyn Fn(&str) -> bool) -> Option<Headline> {
    let quality = inspection.get("quality")?;
    let number = |pointer: &str| quality.pointer(pointer).and_then(Value::as_u64);
    let rows = inspection.get("rows").and_then(Value::as_u64).unwrap_or(0);
    let mut languages: Vec<(String, u64)> = quality
        .get("languages_ppm")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(tag, share)| Some((tag.clone(), share.as_u64()?)))
        .collect();
    languages.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    languages.truncate(LANGUAGES_MAX);
    let newest = quality.pointer("/freshness/newest").and_then(Value::as_array).into_iter().flatten();
    let newest = newest
        .filter(|column| column.get("column").and_then(Value::as_str).is_some_and(visible))
        .find_map(|column| column.get("age_days").and_then(Value::as_i64));
    let declared = || quality.pointer("/freshness/collected_age_days").and_then(Value::as_i64);
    Some(Headline {
        complete_ppm: number("/complete_ppm"),
        duplicate_ppm: number("/duplicate_rows_estimate")
            .map(|duplicates| if rows == 0 { 0 } else { crate::inspect::ppm(duplicates.min(rows), rows) }),
        near_ppm: number("/near_duplicates/near_ppm"),
        languages_ppm: languages.into_iter().collect(),
        balance_ppm: number("/labels/balance_ppm"),
        age_days: newest.or_else(declared),
    })
}
