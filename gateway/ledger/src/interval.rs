//! Sets of bytes as half-open intervals: what was granted, sent and billed.
//!
//! Union is idempotent and commutative, which is the whole exactly-once argument of the meter (INV-4): retries,
//! overlapping ranges and late reports cannot change what a set holds.

use std::ops::Range;

use serde::{Deserialize, Serialize};

mod bytes;

pub use bytes::IntervalError;
pub(crate) use bytes::{put, take};

/// A set of `u64`, kept as sorted half-open intervals.
///
/// JSON is `[[start, end], …]`; [`IntervalSet::to_bytes`] is the compact form for the store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct IntervalSet {
    // INVARIANT (intervals): none is empty, they ascend, and a gap lies between each two.
    intervals: Vec<Range<u64>>,
}

impl IntervalSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { intervals: Vec::new() }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// How many numbers it holds. The largest possible set, `0..u64::MAX`, holds `u64::MAX`.
    pub fn len(&self) -> u64 {
        self.intervals.iter().map(|range| range.end - range.start).sum()
    }

    /// The intervals in ascending order, none touching the next.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + ExactSizeIterator + '_ {
        self.intervals.iter().cloned()
    }

    /// Whether `at` is in the set.
    pub fn contains(&self, at: u64) -> bool {
        self.covers(&(at..at.saturating_add(1))) && at != u64::MAX
    }

    /// Whether every number of `range` is in the set; an empty range always is.
    pub fn covers(&self, range: &Range<u64>) -> bool {
        if range.is_empty() {
            return true;
        }
        let next = self.intervals.partition_point(|held| held.end <= range.start);
        self.intervals.get(next).is_some_and(|held| held.start <= range.start && range.end <= held.end)
    }

    /// Adds every number of `range`; an empty or reversed range adds nothing.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        // Intervals that touch the new one merge with it, so that sequential reports stay one interval.
        let first = self.intervals.partition_point(|held| held.end < range.start);
        let last = self.intervals.partition_point(|held| held.start <= range.end);
        let touched = self.intervals.get(first..last).unwrap_or_default();
        let start = touched.first().map_or(range.start, |held| held.start.min(range.start));
        let end = touched.last().map_or(range.end, |held| held.end.max(range.end));
        self.intervals.splice(first..last, std::iter::once(start..end));
    }

    /// Adds every number of `other`.
    pub fn union_with(&mut self, other: &Self) {
        for range in other.iter() {
            self.insert(range);
        }
    }

    /// The numbers of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (mut union, smaller) =
            if self.intervals.len() < other.intervals.len() { (other.clone(), self) } else { (self.clone(), other) };
        union.union_with(smaller);
        union
    }

    /// The numbers of this set that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut taken = other.intervals.iter().peekable();
        for range in &self.intervals {
            let mut at = range.start;
            while taken.next_if(|held| held.end <= at).is_some() {}
            // An interval of `other` may reach over several of ours: it is only passed once it ends before them.
            let mut reach = taken.clone();
            while let Some(held) = reach.next_if(|held| held.start < range.end) {
                if at < held.start {
                    left.push(at..held.start);
                }
                at = at.max(held.end);
            }
            if at < range.end {
                left.push(at..range.end);
            }
        }
        Self { intervals: left }
    }

    /// The numbers in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        let (mut ours, mut theirs) = (self.intervals.iter().peekable(), other.intervals.iter().peekable());
        while let (Some(a), Some(b)) = (ours.peek(), theirs.peek()) {
            let (start, end) = (a.start.max(b.start), a.end.min(b.end));
            if start < end {
                both.push(start..end);
            }
            if a.end <= b.end {
                ours.next();
            } else {
                theirs.next();
            }
        }
        Self { intervals: both }
    }

    /// How many numbers of `range` are in the set.
    pub fn len_within(&self, range: &Range<u64>) -> u64 {
        let first = self.intervals.partition_point(|held| held.end <= range.start);
        self.intervals
            .iter()
            .skip(first)
            .take_while(|held| held.start < range.end)
            .map(|held| held.end.min(range.end).saturating_sub(held.start.max(range.start)))
            .sum()
    }
}

impl FromIterator<Range<u64>> for IntervalSet {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut set = Self::new();
        set.extend(ranges);
        set
    }
}

impl Extend<Range<u64>> for IntervalSet {
    fn extend<I: IntoIterator<Item = Range<u64>>>(&mut self, ranges: I) {
        for range in ranges {
            self.insert(range);
        }
    }
}

impl From<Range<u64>> for IntervalSet {
    fn from(range: Range<u64>) -> Self {
        std::iter::once(range).collect()
    }
}

impl From<IntervalSet> for Vec<(u64, u64)> {
    fn from(set: IntervalSet) -> Self {
        set.iter().map(|range| (range.start, range.end)).collect()
    }
}

impl TryFrom<Vec<(u64, u64)>> for IntervalSet {
    type Error = IntervalError;

    fn try_from(pairs: Vec<(u64, u64)>) -> Result<Self, IntervalError> {
        let mut set = Self::new();
        for (start, end) in pairs {
            set.push_after(start, end)?;
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests;
