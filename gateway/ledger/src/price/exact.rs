//! Sums of fractions, exact however many there are: the parts of units that a consumer had, each over its own stored
//! length.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A sum of `whole × part / of`. JSON is `{"whole": "…", "parts": [[of, part], …]}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct ExactSum {
    whole: u128,
    // INVARIANT (parts): each value is above zero and below its denominator.
    parts: BTreeMap<u64, u64>,
}

impl ExactSum {
    /// Adds `whole × part / of`; nothing when `of` is zero.
    pub fn add(&mut self, whole: u64, part: u64, of: u64) {
        let product = u128::from(whole) * u128::from(part);
        let denominator = u128::from(of);
        if of == 0 || product == 0 {
            return;
        }
        let rest = self.parts.remove(&of).unwrap_or(0);
        let rest = product % denominator + u128::from(rest);
        self.whole += product / denominator + rest / denominator;
        // Below `of`, which has 64 bits.
        if let Some(rest) = u64::try_from(rest % denominator).ok().filter(|rest| *rest > 0) {
            self.parts.insert(of, rest);
        }
    }

    /// Takes off `whole × part / of`, which must have been added before: then the sum stays exact and is not below zero.
    pub fn take(&mut self, whole: u64, part: u64, of: u64) {
        // −w·p/of is w·(of − p)/of − w: only what is added has a fraction.
        if of != 0 && part != 0 {
            self.add(whole, of.saturating_sub(part), of);
            self.whole = self.whole.saturating_sub(u128::from(whole));
        }
    }

    /// The sum without its fraction.
    pub fn floor(&self) -> u128 {
        self.times_floor(1)
    }

    /// `factor` times the sum, floored once, after the multiplication.
    pub fn times_floor(&self, factor: u64) -> u128 {
        let parts: Vec<(u64, u64)> = self.parts.iter().map(|(of, part)| (*part, *of)).collect();
        let (numerator, denominator) = sum(&parts);
        let numerator = multiply(&numerator, &[factor]);
        // The fractions are fewer than 2^64 and each is below one: so is the floor of their sum, per factor.
        let bound = u128::from(factor) * u128::try_from(parts.len()).unwrap_or(u128::MAX);
        let (mut below, mut above) = (0, bound.saturating_add(1));
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            let [low, high] = halves(middle);
            if compare(&multiply(&denominator, &[low, high]), &numerator) == Ordering::Greater {
                above = middle;
            } else {
                below = middle;
            }
        }
        self.whole.saturating_mul(u128::from(factor)).saturating_add(below)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    whole: String,
    parts: Vec<(u64, u64)>,
}

/// A stored sum that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored sum holds a whole number and proper fractions, one for each denominator")]
pub struct SumError;

impl From<ExactSum> for Stored {
    fn from(sum: ExactSum) -> Self {
        Self { whole: sum.whole.to_string(), parts: sum.parts.into_iter().collect() }
    }
}

impl TryFrom<Stored> for ExactSum {
    type Error = SumError;

    fn try_from(stored: Stored) -> Result<Self, SumError> {
        let whole = stored.whole.parse().map_err(|_| SumError)?;
        let count = stored.parts.len();
        let parts: BTreeMap<u64, u64> = stored.parts.into_iter().filter(|(of, part)| 0 < *part && part < of).collect();
        if parts.len() == count { Ok(Self { whole, parts }) } else { Err(SumError) }
    }
}

/// Numerator and denominator of the sum of fractions, not reduced; natural numbers in 64-bit digits, lowest first.
///
/// Halving keeps the numbers even in length, so that thousands of fractions take milliseconds.
fn sum(parts: &[(u64, u64)]) -> (Vec<u64>, Vec<u64>) {
    match parts {
        [] => (Vec::new(), vec![1]),
        [(part, of)] => (vec![*part], vec![*of]),
        _ => {
            let (left, right) = parts.split_at(parts.len() / 2);
            let ((a, b), (c, d)) = (sum(left), sum(right));
            (add(&multiply(&a, &d), &multiply(&c, &b)), multiply(&b, &d))
        }
    }
}

fn halves(number: u128) -> [u64; 2] {
    let low = u64::try_from(number & u128::from(u64::MAX)).unwrap_or(u64::MAX);
    let high = u64::try_from(number >> 64).unwrap_or(u64::MAX);
    [low, high]
}

fn add(a: &[u64], b: &[u64]) -> Vec<u64> {
    let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
    let mut carry = 0;
    let mut sum: Vec<u64> = long
        .iter()
        .zip(short.iter().chain(std::iter::repeat(&0)))
        .map(|(x, y)| {
            let [low, high] = halves(u128::from(*x) + u128::from(*y) + u128::from(carry));
            carry = high;
            low
        })
        .collect();
    sum.push(carry);
    trim(sum)
}

fn multiply(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut product = vec![0_u64; a.len() + b.len()];
    for (place, x) in a.iter().enumerate() {
        let mut carry = 0;
        let digits = product.iter_mut().skip(place);
        for (digit, y) in digits.zip(b.iter().chain(std::iter::once(&0))) {
            // 2^64 squared, plus two digits, just fits 128 bits.
            let [low, high] = halves(u128::from(*x) * u128::from(*y) + u128::from(*digit) + u128::from(carry));
            (*digit, carry) = (low, high);
        }
    }
    trim(product)
}

fn trim(mut number: Vec<u64>) -> Vec<u64> {
    while number.last() == Some(&0) {
        number.pop();
    }
    number
}

/// Both without leading zeros.
fn compare(a: &[u64], b: &[u64]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against 128-bit fractions over the least common multiple of small denominators.
        #[test]
        fn agrees_with_plain_fractions(
            terms in prop::collection::vec((0..1000_u64, 0..40_u64, 1..16_u64), 0..12),
            factor in 0..1_000_000_u64,
        ) {
            let common: u128 = 720_720; // divisible by 1 to 16
            let mut sum = ExactSum::default();
            let mut numerator = 0;
            for (whole, part, of) in terms {
                sum.add(whole, part, of);
                numerator += u128::from(whole) * u128::from(part) * (common / u128::from(of));
            }
            prop_assert_eq!(sum.times_floor(factor), numerator * u128::from(factor) / common);
            prop_assert_eq!(sum.floor(), numerator / common);
        }
    }

    proptest! {
        /// Taking off what was added leaves what was there, in whatever order; and the stored form is read back.
        #[test]
        fn what_is_taken_off_is_as_if_it_had_not_been_added(
            kept in prop::collection::vec((0..1000_u64, 0..16_u64, 1..16_u64), 0..8),
            taken in prop::collection::vec((0..1000_u64, 0..16_u64, 1..16_u64), 0..8),
        ) {
            let part = |part: u64, of: u64| part.min(of);
            let (mut sum, mut want) = (ExactSum::default(), ExactSum::default());
            for (whole, p, of) in kept.iter().chain(&taken) {
                sum.add(*whole, part(*p, *of), *of);
            }
            for (whole, p, of) in &kept {
                want.add(*whole, part(*p, *of), *of);
            }
            for (whole, p, of) in &taken {
                sum.take(*whole, part(*p, *of), *of);
            }
            prop_assert_eq!(sum.times_floor(720_720), want.times_floor(720_720));
            let stored = serde_json::to_string(&sum).unwrap();
            prop_assert_eq!(serde_json::from_str::<ExactSum>(&stored).unwrap(), sum);
        }
    }

    #[test]
    fn a_stored_sum_is_checked() {
        for bad in [
            r#"{"whole":"-1","parts":[]}"#,
            r#"{"whole":"1","parts":[[3,3]]}"#,
            r#"{"whole":"1","parts":[[3,0]]}"#,
            r#"{"whole":"1","parts":[[3,1],[3,2]]}"#,
        ] {
            assert!(serde_json::from_str::<ExactSum>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fractions_with_many_large_denominators_stay_exact() {
        // Σ (p−1)/p + 1/p over large coprime p is a whole number, and any rounding would miss it.
        let mut sum = ExactSum::default();
        let large: Vec<u64> = (0..300).map(|n| u64::MAX - 2 * n).collect();
        for of in &large {
            sum.add(1, of - 1, *of);
        }
        assert_eq!(sum.floor(), 299);
        let mut whole = sum.clone();
        for of in &large {
            whole.add(1, 1, *of);
        }
        assert_eq!(whole.floor(), 300);
        assert_eq!(whole.times_floor(u64::MAX), 300 * u128::from(u64::MAX));
        // 300 − Σ 1/of, times a factor below the denominators, is just below the whole number.
        assert_eq!(sum.times_floor(1 << 40), (300 << 40) - 1);
    }
}
