//! What of one stored file was delivered: whole units as a bitmap of their numbers, and the bytes of those that are not whole.
//!
//! A range request delivers parts of units, and a part costs its part: so bytes are kept exactly, and a set of units and one
//! of bytes say the same ([`UnitSet::of`], [`UnitSet::intervals`]). But readers take whole units in the end, and a whole unit
//! takes a bit or less, wherever it lies.

use std::ops::Range;

use catalog::FileIndex;
use catalog::file_index::Unit;
use roaring::RoaringBitmap;

use crate::interval::IntervalSet;

mod bytes;

pub use bytes::UnitSetError;

/// A set of bytes of one stored file, by its units.
///
/// Every function takes the file's index, always the same one: a unit's number is its place among [`FileIndex::units`], which
/// stand in file order and do not overlap. (A footer has no room for 2^32 of them.) Union is idempotent and commutative, which
/// is the whole exactly-once argument of the meter (INV-4).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UnitSet {
    // INVARIANT (units): a unit is here if every byte of it is in the set and it has one. So equal sets of bytes are equal values.
    whole: RoaringBitmap,
    // INVARIANT (units): the other bytes, those of no unit included.
    parts: IntervalSet,
}

impl UnitSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The set of these bytes.
    pub fn of(index: &FileIndex, bytes: &IntervalSet) -> Self {
        Self::normal(RoaringBitmap::new(), bytes, index)
    }

    /// Its bytes.
    pub fn intervals(&self, index: &FileIndex) -> IntervalSet {
        // In file order, so that each unit touches the one before it or comes last.
        let units: IntervalSet = self.whole.iter().filter_map(|number| unit(index, number)).map(range).collect();
        units.union(&self.parts)
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.parts.is_empty()
    }

    /// How many bytes it holds.
    pub fn len(&self, index: &FileIndex) -> u64 {
        let units = self.whole.iter().filter_map(|number| unit(index, number));
        units.map(|unit| unit.bytes).sum::<u64>() + self.parts.len()
    }

    /// The units of which it holds a byte, and their numbers.
    pub fn units<'i>(&self, index: &'i FileIndex) -> impl Iterator<Item = (u32, &'i Unit)> {
        let mut numbers = self.whole.clone();
        numbers.extend(self.parts.iter().flat_map(|bytes| touched(index, bytes)).map(|(number, _)| number));
        numbers.into_iter().filter_map(|number| Some((number, unit(index, number)?)))
    }

    /// How many bytes of the unit of that number it holds.
    pub fn bytes_of(&self, number: u32, unit: &Unit) -> u64 {
        if self.whole.contains(number) { unit.bytes } else { self.parts.len_within(&range(unit)) }
    }

    /// The bytes of either set.
    #[must_use]
    pub fn union(&self, other: &Self, index: &FileIndex) -> Self {
        Self::normal(&self.whole | &other.whole, &self.parts.union(&other.parts), index)
    }

    /// The bytes of this set that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self, index: &FileIndex) -> Self {
        let mut whole = &self.whole - &other.whole;
        let parts = self.parts.difference(&other.parts);
        let mut parts = split(&parts, &other.whole, index).1;
        // Of a unit that is whole here and there in part, a part is left.
        let mut broken = IntervalSet::new();
        for (number, unit) in other.parts.iter().flat_map(|bytes| touched(index, bytes)) {
            if whole.remove(number) {
                broken.insert(range(unit));
            }
        }
        parts.union_with(&broken.difference(&other.parts));
        Self { whole, parts }
    }

    /// The bytes in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self, index: &FileIndex) -> Self {
        let mut parts = self.parts.intersection(&other.parts);
        parts.union_with(&split(&self.parts, &other.whole, index).0);
        parts.union_with(&split(&other.parts, &self.whole, index).0);
        Self { whole: &self.whole & &other.whole, parts }
    }

    /// The bytes of `whole` units and `bytes`.
    fn normal(mut whole: RoaringBitmap, bytes: &IntervalSet, index: &FileIndex) -> Self {
        // Intervals do not touch: a unit that two of them share has a gap.
        for within in bytes.iter() {
            for (number, unit) in touched(index, within.clone()) {
                let unit = range(unit);
                if within.start <= unit.start && unit.end <= within.end {
                    whole.insert(number);
                }
            }
        }
        let parts = split(bytes, &whole, index).1;
        Self { whole, parts }
    }
}

/// What of `bytes` lies in `units`, and what does not.
fn split(bytes: &IntervalSet, units: &RoaringBitmap, index: &FileIndex) -> (IntervalSet, IntervalSet) {
    let (mut inside, mut outside) = (IntervalSet::new(), IntervalSet::new());
    for within in bytes.iter() {
        let mut at = within.start;
        for (_, unit) in touched(index, within.clone()).filter(|(number, _)| units.contains(*number)) {
            let unit = range(unit);
            let (start, end) = (unit.start.max(at), unit.end.min(within.end));
            outside.insert(at..start);
            inside.insert(start..end);
            at = end;
        }
        outside.insert(at..within.end);
    }
    (inside, outside)
}

/// The units of which a byte lies in `bytes`, and their numbers.
fn touched(index: &FileIndex, bytes: Range<u64>) -> impl Iterator<Item = (u32, &Unit)> {
    let first = index.units.partition_point(|unit| range(unit).end <= bytes.start);
    let past = index.units.partition_point(|unit| unit.offset < bytes.end);
    let units = index.units.get(first..past).unwrap_or_default();
    // A chunk without bytes stands nowhere.
    let units = (first..).zip(units).filter(|(_, unit)| unit.bytes > 0);
    units.filter_map(|(number, unit)| Some((u32::try_from(number).ok()?, unit)))
}

fn unit(index: &FileIndex, number: u32) -> Option<&Unit> {
    index.units.get(usize::try_from(number).ok()?)
}

const fn range(unit: &Unit) -> Range<u64> {
    unit.offset..unit.offset.saturating_add(unit.bytes)
}

#[cfg(test)]
mod tests;
