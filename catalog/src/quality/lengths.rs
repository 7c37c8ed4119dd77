//! How long texts are, in characters, as a histogram of fixed size.

use serde_json::{Map, Value, json};

/// Lengths below this have a bucket each.
const EXACT: u32 = 16;
/// Buckets of each further doubling: a quantile is off by at most an eighth.
const STEPS: u32 = 8;
/// Doublings from 16 to 2^32.
const DOUBLINGS: u32 = 28;

/// Lengths of the texts of one column.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    buckets: Vec<u64>,
    values: u64,
    empty: u64,
    chars: u64,
    least: Option<u64>,
    most: u64,
}

/// The bucket of a length.
fn bucket(length: u64) -> usize {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let number = if length < EXACT {
        length
    } else {
        let doubling = length.ilog2() - EXACT.ilog2();
        // The three bits after the leading one.
        let step = (length >> (length.ilog2() - STEPS.ilog2())) - STEPS;
        EXACT + doubling * STEPS + step
    };
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The largest length of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let (exact, steps) = (u64::from(EXACT), u64::from(STEPS));
    if bucket < exact {
        return bucket;
    }
    let (doubling, step) = ((bucket - exact) / steps, (bucket - exact) % steps);
    ((steps + step + 1) << (doubling + u64::from(EXACT.ilog2() - STEPS.ilog2()))) - 1
}

impl Lengths {
    pub(super) fn add(&mut self, chars: usize) {
        let length = chars as u64;
        if self.buckets.is_empty() {
            self.buckets = vec![0; bucket(u64::from(u32::MAX)) + 1];
        }
        if let Some(count) = self.buckets.get_mut(bucket(length)) {
            *count += 1;
        }
        self.values += 1;
        self.empty += u64::from(length == 0);
        self.chars = self.chars.saturating_add(length);
        self.least = Some(self.least.map_or(length, |least| least.min(length)));
        self.most = self.most.max(length);
    }

    /// The length that `per_mille` of the texts do not exceed: exact below 16, else at most an eighth too long.
    fn quantile(&self, per_mille: u64) -> u64 {
        let wanted = u128::from(self.values) * u128::from(per_mille);
        let mut seen = 0u128;
        for (number, count) in self.buckets.iter().enumerate() {
            seen += u128::from(*count) * 1000;
            if seen >= wanted && *count > 0 {
                return upper(number).min(self.most);
            }
        }
        self.most
    }

    /// Figures and a histogram with one bar for each doubling.
    pub(super) fn report(&self) -> Map<String, Value> {
        let mut bars: Vec<(u64, u64)> = Vec::new();
        let mut bound = 0;
        for (number, count) in self.buckets.iter().enumerate() {
            while upper(number) > bound {
                bound = bound * 2 + 1;
            }
            match bars.last_mut() {
                Some((upto, texts)) if *upto == bound => *texts += count,
                _ => bars.push((bound, *count)),
            }
        }
        let first = bars.iter().position(|(_, texts)| *texts > 0).unwrap_or(0);
        let last = bars.iter().rposition(|(_, texts)| *texts > 0).map_or(0, |last| last + 1);
        let histogram: Vec<Value> = bars
            .get(first..last)
            .unwrap_or_default()
            .iter()
            .map(|(upto, texts)| json!({"upto": upto, "values": texts}))
            .collect();
        let mut report = Map::new();
        let mut put = |name: &str, value: Value| report.insert(name.to_owned(), value);
        put("values", self.values.into());
        put("empty", self.empty.into());
        put("chars", self.chars.into());
        put("min", self.least.unwrap_or(0).into());
        put("max", self.most.into());
        put("mean", self.chars.checked_div(self.values).unwrap_or(0).into());
        put("p50", self.quantile(500).into());
        put("p90", self.quantile(900).into());
        put("p99", self.quantile(990).into());
        put("histogram", histogram.into());
        report
    }
}

const _: () = assert!(EXACT.ilog2() + DOUBLINGS == u32::BITS, "the last bucket ends with the widest length");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn buckets_tile_the_lengths() {
        let mut last = 0;
        for length in 0..100_000u64 {
            let number = bucket(length);
            assert!(number == last || number == last + 1, "{length}");
            assert!(upper(number) >= length && (number == 0 || upper(number - 1) < length), "{length}");
            last = number;
        }
        assert_eq!(bucket(u64::MAX), bucket(u64::from(u32::MAX)));
        assert_eq!(upper(bucket(u64::from(u32::MAX))), u64::from(u32::MAX));
    }

    #[test]
    fn figures_of_known_lengths() {
        let mut lengths = Lengths::default();
        (0..=1000).for_each(|length| lengths.add(length));
        let report = lengths.report();
        assert_eq!(
            (report["min"].as_u64(), report["max"].as_u64(), report["mean"].as_u64()),
            (Some(0), Some(1000), Some(500))
        );
        for (name, exact) in [("p50", 500u64), ("p90", 900), ("p99", 990)] {
            let found = report[name].as_u64().unwrap();
            assert!(found >= exact && found <= exact + exact / 8, "{name}: {found}");
        }
        let bars = report["histogram"].as_array().unwrap();
        assert_eq!(bars.iter().map(|bar| bar["values"].as_u64().unwrap()).sum::<u64>(), 1001);
        assert_eq!(bars[0], json!({"upto": 0, "values": 1}));
        assert_eq!(bars[4], json!({"upto": 15, "values": 8}));
        assert_eq!(bars.last().unwrap(), &json!({"upto": 1023, "values": 489}));
        assert!(Lengths::default().report()["histogram"].as_array().unwrap().is_empty());
    }
}
