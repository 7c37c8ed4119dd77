//! How old a version is on the day of its registration.

use std::cmp::Reverse;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use serde_json::{Value, json};

use crate::inspect::LeafArray;

/// Columns of days and times that are told.
const COLUMNS_MAX: usize = 16;

/// The newest value of a column, as days since 1970, and how many lie after the day of registration.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Newest {
    day: Option<i64>,
    future: u64,
}

/// Days since 1970-01-01.
pub(super) fn day_number(day: Date) -> i64 {
    date(1970, 1, 1).until(day).map_or(0, |span| span.get_days().into())
}

/// Adds the values of `leaf`, if they are days or times. What lies after `today` is counted, but is not the newest: a
/// placeholder such as 9999-12-31 says nothing about age.
pub(super) fn add(newest: &mut Option<Newest>, leaf: &LeafArray, today: i64) -> Result<(), ArrowError> {
    let kind = leaf.array.data_type();
    if !matches!(kind, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)) {
        return Ok(());
    }
    let per_day = per_day(kind);
    let newest = newest.get_or_insert_default();
    let values = match kind {
        // A day is 32 bits; everything else is 64 already, and its zone does not matter to which day it is in UTC.
        DataType::Date32 => cast(&cast(&leaf.array, &DataType::Int32)?, &DataType::Int64)?,
        _ => cast(&leaf.array, &DataType::Int64)?,
    };
    let values = values.as_primitive::<Int64Type>();
    for row in 0..values.len() {
        if values.is_null(row) || leaf.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            continue;
        }
        let day = values.value(row).div_euclid(per_day);
        if day > today {
            newest.future += 1;
        } else {
            newest.day = newest.day.max(Some(day));
        }
    }
    Ok(())
}

/// Units of a type in a day.
const fn per_day(kind: &DataType) -> i64 {
    const SECONDS: i64 = 86_400;
    match kind {
        DataType::Date32 => 1,
        DataType::Timestamp(TimeUnit::Second, _) => SECONDS,
        DataType::Timestamp(TimeUnit::Microsecond, _) => SECONDS * 1_000_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => SECONDS * 1_000_000_000,
        _ => SECONDS * 1000,
    }
}

/// Ages on the day `registered`: of the declared end of collection, and of the newest value of each column of days or
/// times, newest first.
pub(super) fn report<'a>(
    registered: Date,
    collected_to: Option<Date>,
    columns: impl Iterator<Item = (&'a str, &'a Option<Newest>)>,
) -> Value {
    let today = day_number(registered);
    let mut found: Vec<(&str, Newest)> =
        columns.filter_map(|(path, newest)| newest.map(|newest| (path, newest))).collect();
    found.sort_by_key(|(_, newest)| Reverse(newest.day));
    let newest: Vec<Value> = found
        .into_iter()
        .take(COLUMNS_MAX)
        .map(|(path, newest)| {
            let day = newest.day.and_then(|day| date(1970, 1, 1).checked_add(i32::try_from(day).ok()?.days()).ok());
            json!({
                "column": path, "day": day, "age_days": newest.day.map(|day| today - day), "future_values": newest.future,
            })
        })
        .collect();
    json!({
        "registered": registered,
        "collected_to": collected_to,
        "collected_age_days": collected_to.map(|day| today - day_number(day)),
        "newest": newest,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn ages_of_days_and_times() {
        let today = date(2026, 11, 28);
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), None, Some(20_000)]));
        let hour = 3_600_000_000i64;
        let late = day_number(date(2026, 11, 27)) * 24 * hour;
        let times: ArrayRef = Arc::new(
            TimestampMicrosecondArray::from(vec![late, late + 23 * hour, i64::MAX / 2]).with_timezone("Asia/Shanghai"),
        );
        let mut newest = [None, None, None];
        for (slot, array) in
            newest.iter_mut().zip([days, times, Arc::new(arrow::array::BooleanArray::from(vec![true]))])
        {
            let nulls = array.logical_nulls();
            add(slot, &LeafArray::flat(array, nulls), day_number(today)).unwrap();
        }
        let report = report(today, Some(date(2026, 6, 30)), ["d", "t", "b"].into_iter().zip(&newest));
        assert_eq!(report["collected_age_days"], 151);
        assert_eq!(
            report["newest"],
            json!([
                {"column": "t", "day": "2026-11-27", "age_days": 1, "future_values": 1},
                {"column": "d", "day": "2024-10-04", "age_days": 785, "future_values": 0},
            ])
        );
    }
}
