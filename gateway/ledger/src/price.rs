//! What deliveries cost (INTERFACE.md, "Prices").
//!
//! A unit's price is spread over its stored bytes: a whole unit costs exactly its price, a part its part. Everything is
//! added up exactly and floored once, over all that an entitlement was ever delivered; a period costs what that total
//! grew by. So amounts neither drift nor depend on how deliveries were cut up.

use std::collections::BTreeMap;

use catalog::file_index::Unit;
use catalog::offer::Minor;
use catalog::{Fee, FileIndex, Price, PriceModel};
use serde::{Deserialize, Serialize};

use crate::units::UnitSet;

mod exact;

pub use exact::ExactSum;

/// Bytes of the unit of `per_gib`.
const GIB: u128 = 1 << 30;

/// Rows of the unit of `per_million_rows`.
const MILLION: u128 = 1_000_000;

/// An amount that 63 bits cannot hold: the offer's price is absurd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amount is beyond 2^63 minor units")]
pub struct AmountError;

/// Everything an entitlement was delivered up to some moment, in what prices count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Units of which at least a byte was delivered.
    pub units: u64,
    /// Delivered stored bytes of units.
    pub unit_bytes: u64,
    /// Uncompressed bytes: each unit's, times its delivered fraction.
    pub uncompressed_bytes: ExactSum,
    /// Rows: each row group's, times the largest delivered fraction among its columns.
    pub rows: ExactSum,
    /// Leases that sent a data byte.
    pub pulls: u64,
    /// Subscription periods with a data byte.
    pub periods: u64,
}

impl Usage {
    /// Adds what was delivered of one file. Bytes that belong to no unit (footers, indexes) are free. Give each file
    /// once, with the union of its deliveries, or as it grows with [`Usage::grow_file`].
    pub fn add_file(&mut self, index: &FileIndex, delivered: &UnitSet) {
        self.grow_file(index, &UnitSet::new(), delivered);
    }

    /// To what was delivered of a file `before`, which was added earlier, came `more`. Takes as long as there are units in
    /// `more`, and others in their row groups.
    pub fn grow_file(&mut self, index: &FileIndex, before: &UnitSet, more: &UnitSet) {
        let new = more.difference(before, index);
        let mut row_groups: BTreeMap<u32, usize> = BTreeMap::new();
        for (number, unit) in new.units(index) {
            let had = before.bytes_of(number, unit);
            let came = new.bytes_of(number, unit);
            self.units += u64::from(had == 0);
            self.unit_bytes += came;
            self.uncompressed_bytes.add(unit.uncompressed_bytes, came, unit.bytes);
            if let Ok(place) = usize::try_from(number) {
                row_groups.entry(unit.row_group).or_insert(place);
            }
        }
        for (row_group, place) in row_groups {
            let rows = usize::try_from(row_group).ok().and_then(|number| index.row_groups.get(number));
            let [had, now] = largest(index, place, before, &new);
            if let Some(rows) = rows.filter(|_| had != now) {
                self.rows.add(*rows, now.0, now.1);
                self.rows.take(*rows, had.0, had.1);
            }
        }
    }
}

/// The largest fraction delivered of a unit in the row group of the unit at `place`: before, and with what is `new`.
fn largest(index: &FileIndex, place: usize, before: &UnitSet, new: &UnitSet) -> [(u64, u64); 2] {
    let mut largest = [(0, 1); 2];
    for (place, unit) in index.row_group_of(place) {
        let Ok(number) = u32::try_from(place) else { continue };
        let had = before.bytes_of(number, unit);
        for (fraction, bytes) in largest.iter_mut().zip([had, had + new.bytes_of(number, unit)]) {
            if u128::from(bytes) * u128::from(fraction.1) > u128::from(fraction.0) * u128::from(unit.bytes) {
                *fraction = (bytes, unit.bytes);
            }
        }
    }
    largest
}

/// What `usage` costs in all, floored.
pub fn due(price: &Price, usage: &Usage) -> Result<Minor, AmountError> {
    let each = u64::try_from(price.amount.0).unwrap_or(0);
    let amount = match price.model {
        PriceModel::Free => 0,
        PriceModel::PerGib => usage.uncompressed_bytes.times_floor(each) / GIB,
        PriceModel::PerMillionRows => usage.rows.times_floor(each) / MILLION,
        PriceModel::PerPull => u128::from(each) * u128::from(usage.pulls),
        PriceModel::Subscription => u128::from(each) * u128::from(usage.periods),
    };
    i64::try_from(amount).map(Minor).map_err(|_| AmountError)
}

/// What a pull of whole `units` with `rows` rows would cost somebody who has had nothing of it yet.
pub fn quote<'a>(price: &Price, units: impl IntoIterator<Item = &'a Unit>, rows: u64) -> Result<Minor, AmountError> {
    let mut usage = Usage { pulls: 1, periods: 1, ..Usage::default() };
    for unit in units {
        usage.units += 1;
        usage.unit_bytes += unit.bytes;
        usage.uncompressed_bytes.add(unit.uncompressed_bytes, 1, 1);
    }
    usage.rows.add(rows, 1, 1);
    due(price, &usage)
}

/// The broker's part of an amount.
pub fn fee(fee: Option<&Fee>, amount: Minor) -> Minor {
    match fee {
        None => Minor(0),
        Some(Fee::Fixed { amount: fixed }) => Minor(fixed.0.min(amount.0)),
        Some(Fee::Rate { rate_ppm }) => {
            let part = i128::from(amount.0) * i128::from((*rate_ppm).min(1_000_000)) / 1_000_000;
            // At most the amount itself.
            Minor(i64::try_from(part).unwrap_or(amount.0))
        }
    }
}

#[cfg(test)]
mod tests;
