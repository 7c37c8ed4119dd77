//! How many different values there are: exact while they are few, HyperLogLog (Flajolet et al. 2007) after that.

use std::collections::HashSet;
use std::hash::Hasher as _;

/// Bits of a hash that choose a register: 2^14 registers, a standard error of 0.8 %.
const PRECISION: u32 = 14;
const REGISTERS: u16 = 1 << PRECISION;

/// A count of distinct values, by their 64-bit hashes.
#[derive(Debug, Clone)]
pub(super) struct Distinct {
    exact_max: usize,
    seen: HashSet<u64>,
    registers: Vec<u8>,
}

/// A hash that is the same on every machine.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    // SipHash with fixed keys.
    #[expect(deprecated, reason = "the only hasher of the standard library whose output is specified")]
    let mut hasher = std::hash::SipHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

impl Distinct {
    /// Counts exactly up to `exact_max` values.
    pub(super) fn new(exact_max: usize) -> Self {
        Self { exact_max, seen: HashSet::new(), registers: Vec::new() }
    }

    pub(super) fn add(&mut self, hash: u64) {
        if self.registers.is_empty() {
            self.seen.insert(hash);
            if self.seen.len() > self.exact_max {
                self.registers = vec![0; usize::from(REGISTERS)];
                for hash in std::mem::take(&mut self.seen) {
                    self.register(hash);
                }
            }
        } else {
            self.register(hash);
        }
    }

    fn register(&mut self, hash: u64) {
        let number = usize::try_from(hash >> (u64::BITS - PRECISION)).unwrap_or(0);
        // The rest of the hash, with a bit set so that the rank has an end.
        let rank = ((hash << PRECISION) | (1 << (PRECISION - 1))).leading_zeros() + 1;
        if let Some(register) = self.registers.get_mut(number) {
            *register = (*register).max(u8::try_from(rank).unwrap_or(u8::MAX));
        }
    }

    /// Adds everything that `other` has seen.
    pub(super) fn merge(&mut self, other: &Self) {
        for hash in &other.seen {
            self.add(*hash);
        }
        if !other.registers.is_empty() {
            if self.registers.is_empty() {
                self.registers = vec![0; usize::from(REGISTERS)];
                for hash in std::mem::take(&mut self.seen) {
                    self.register(hash);
                }
            }
            for (register, other) in self.registers.iter_mut().zip(&other.registers) {
                *register = (*register).max(*other);
            }
        }
    }

    /// Whether [`Self::estimate`] is exact.
    pub(super) const fn is_exact(&self) -> bool {
        self.registers.is_empty()
    }

    pub(super) fn estimate(&self) -> u64 {
        if self.is_exact() {
            return self.seen.len() as u64;
        }
        let count = f64::from(REGISTERS);
        let sum: f64 = self.registers.iter().map(|rank| 2f64.powi(-i32::from(*rank))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
        let empty: u16 = self.registers.iter().map(|rank| u16::from(*rank == 0)).sum();
        let estimate = if raw <= 2.5 * count && empty > 0 { count * (count / f64::from(empty)).ln() } else { raw };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative, far below 2^64")]
        let estimate = estimate.round() as u64;
        estimate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_adding_everything() {
        for (max, exact) in [(1 << 20, true), (1000, false)] {
            let (mut left, mut right, mut both) = (Distinct::new(max), Distinct::new(max), Distinct::new(max));
            for value in 0..60_000u64 {
                let hash = hash(&value.to_le_bytes());
                both.add(hash);
                if value < 40_000 {
                    left.add(hash);
                }
                if value >= 20_000 {
                    right.add(hash);
                }
            }
            left.merge(&right);
            assert_eq!((left.is_exact(), left.estimate()), (exact, both.estimate()));
        }
    }

    #[test]
    fn exact_first_and_close_after() {
        let mut distinct = Distinct::new(1000);
        for value in 0..1000u64 {
            distinct.add(hash(&value.to_le_bytes()));
            distinct.add(hash(&value.to_le_bytes()));
        }
        assert!(distinct.is_exact());
        assert_eq!(distinct.estimate(), 1000);
        for (number, until) in [20_000u64, 60_000, 500_000].into_iter().enumerate() {
            for value in 0..until {
                distinct.add(hash(&value.to_le_bytes()));
            }
            let (estimate, error) = (distinct.estimate(), until / 30);
            assert!(estimate.abs_diff(until) < error, "{number}: {estimate} of {until}");
        }
    }
}
