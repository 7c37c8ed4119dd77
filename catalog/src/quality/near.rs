//! Rows that say nearly the same as another row, in memory of fixed size.
//!
//! Rows are compared by their sketches; those that may be alike are found by bands of parts that agree (locality-sensitive
//! hashing, Indyk and Motwani 1998). When more different rows come than are kept, half of them are let go by the value of
//! their least pair, on which rows that are alike mostly agree: a sample by content keeps them together, where one by
//! position would part them.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::tokens::{EMPTY, PARTS, Sketch, mix};
use crate::inspect::ppm;

/// Different rows that are kept: with the bands about 5 MiB, which stays in a processor's cache. Of shares about one in
/// twenty the sample's error is below three in a thousand.
const KEPT_MAX: usize = 1 << 14;
/// Parts of a band: rows that share four fifths of their pairs agree in one of the bands with a probability of 0.9998.
const BAND_PARTS: usize = 4;
const BANDS: usize = PARTS / BAND_PARTS;
/// Places of a band's table.
const SLOTS: usize = 1 << 15;
/// Rows with fewer tokens are compared for being the same only: a single word more or less would be a fifth of them.
const TOKENS_MIN: u64 = 8;
/// Pairs of tokens that rows share to be near, in hundredths of those that either has.
const SHARED_MIN: usize = 80;
/// A part that no pair fell into.
const EMPTY_PART: u16 = u16::MAX;

#[derive(Debug)]
struct Kept {
    key: u64,
    near: bool,
    copies: u64,
    parts: [u16; PARTS],
    compared: bool,
}

/// Rows of which copies and near copies are counted.
#[derive(Debug)]
pub(super) struct Near {
    kept_max: usize,
    kept: Vec<Kept>,
    by_text: HashMap<u64, usize>,
    /// Per band and place, the newest kept row whose band hashes to it, and one.
    bands: Vec<u32>,
    /// Rows are kept when so many low bits of their key are zero.
    level: u32,
    rows: u64,
}

impl Default for Near {
    fn default() -> Self {
        Self::keeping(KEPT_MAX)
    }
}

fn parts(sketch: &Sketch) -> [u16; PARTS] {
    sketch.parts.map(|least| match least {
        EMPTY => EMPTY_PART,
        least => u16::try_from(least & 0xffff).unwrap_or(0).min(EMPTY_PART - 1),
    })
}

/// Whether two rows share enough: the parts that agree among those that are not empty in both.
fn alike(a: &[u16; PARTS], b: &[u16; PARTS]) -> bool {
    let (mut same, mut either) = (0, 0);
    for (a, b) in a.iter().zip(b) {
        either += usize::from(*a != EMPTY_PART || *b != EMPTY_PART);
        same += usize::from(*a == *b && *a != EMPTY_PART);
    }
    same * 100 >= either * SHARED_MIN && either > 0
}

/// The places of a sketch in the table of each band. An empty part takes the next part's value.
fn places(parts: &[u16; PARTS]) -> [usize; BANDS] {
    let mut filled = *parts;
    let mut next = 0;
    // Twice round: the second time every empty part has a neighbour.
    for _ in 0..2 {
        for part in filled.iter_mut().rev() {
            if *part == EMPTY_PART {
                *part = next;
            }
            next = *part;
        }
    }
    let mut places = [0; BANDS];
    for ((number, place), band) in places.iter_mut().enumerate().zip(filled.chunks_exact(BAND_PARTS)) {
        let hash = band.iter().fold(number as u64, |hash, part| mix(hash.rotate_left(16) ^ u64::from(*part)));
        *place = number * SLOTS + usize::try_from(hash % SLOTS as u64).unwrap_or(0);
    }
    places
}

impl Near {
    fn keeping(kept_max: usize) -> Self {
        Self { kept_max, kept: Vec::new(), by_text: HashMap::new(), bands: Vec::new(), level: 0, rows: 0 }
    }

    fn is_sampled(&self, key: u64) -> bool {
        key.trailing_zeros() >= self.level
    }

    /// Adds a row; one without any text is not counted.
    pub(super) fn add(&mut self, sketch: &Sketch) {
        if sketch.tokens == 0 {
            return;
        }
        self.rows += 1;
        let key = mix(if sketch.tokens < TOKENS_MIN { sketch.text } else { sketch.least });
        if !self.is_sampled(key) {
            return;
        }
        if let Some(kept) = self.by_text.get(&sketch.text).and_then(|at| self.kept.get_mut(*at)) {
            kept.copies += 1;
            return;
        }
        let mut kept =
            Kept { key, near: false, copies: 0, parts: parts(sketch), compared: sketch.tokens >= TOKENS_MIN };
        if kept.compared {
            kept.near = self.is_near(&kept);
            self.enter(self.kept.len(), &places(&kept.parts));
        }
        self.by_text.insert(sketch.text, self.kept.len());
        self.kept.push(kept);
        while self.kept.len() > self.kept_max && self.level < u64::BITS {
            self.halve();
        }
    }

    fn is_near(&self, row: &Kept) -> bool {
        let mut last = 0;
        places(&row.parts).into_iter().any(|place| {
            let at = self.bands.get(place).copied().unwrap_or(0);
            // The same row stands in most of its bands: once is enough.
            if at == 0 || std::mem::replace(&mut last, at) == at {
                return false;
            }
            let other = usize::try_from(at - 1).ok().and_then(|at| self.kept.get(at));
            other.is_some_and(|other| alike(&other.parts, &row.parts))
        })
    }

    fn enter(&mut self, row: usize, places: &[usize; BANDS]) {
        if self.bands.is_empty() {
            self.bands = vec![0; BANDS * SLOTS];
        }
        let number = u32::try_from(row + 1).unwrap_or(0);
        for place in places {
            if let Some(slot) = self.bands.get_mut(*place) {
                *slot = number;
            }
        }
    }

    /// Lets go of about half of the kept rows.
    fn halve(&mut self) {
        self.level += 1;
        let texts: HashMap<usize, u64> = self.by_text.drain().map(|(text, at)| (at, text)).collect();
        let old = std::mem::take(&mut self.kept);
        self.bands.fill(0);
        for (at, kept) in old.into_iter().enumerate() {
            if !self.is_sampled(kept.key) {
                continue;
            }
            if kept.compared {
                self.enter(self.kept.len(), &places(&kept.parts));
            }
            if let Some(text) = texts.get(&at) {
                self.by_text.insert(*text, self.kept.len());
            }
            self.kept.push(kept);
        }
    }

    /// Shares among the rows that were compared: `copies_ppm` say the same as an earlier row but for case, width and
    /// punctuation, `near_ppm` share four fifths of their pairs of words with one.
    pub(super) fn report(&self) -> Value {
        let copies: u64 = self.kept.iter().map(|kept| kept.copies).sum();
        let near = self.kept.iter().filter(|kept| kept.near).count() as u64;
        let compared = self.kept.len() as u64 + copies;
        let share = |part| if compared == 0 { 0 } else { ppm(part, compared) };
        json!({
            "rows_with_text": self.rows,
            "rows_compared": compared,
            "copies_ppm": share(copies),
            "near_ppm": share(near),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::tokens::RowTokens;
    use super::*;

    fn added(near: &mut Near, text: &str) {
        let mut tokens = RowTokens::default();
        tokens.push(text);
        near.add(tokens.finish());
    }

    /// A text of its own for each number.
    fn text(number: u64, words: u64) -> Vec<String> {
        (0..words).map(|word| format!("w{:x}", mix(number * 1000 + word) & 0xffff)).collect()
    }

    #[test]
    fn copies_and_near_copies_are_told_apart() {
        let mut near = Near::default();
        added(
            &mut near,
            "The gateway stands where the data lie and lets a dataset cross a border only as the policy allows.",
        );
        added(
            &mut near,
            "the gateway stands where the data lie, and lets a dataset cross a border only as the POLICY allows",
        );
        added(
            &mut near,
            "The gateway stands where the data lie and lets a corpus cross a border only as the policy allows!",
        );
        added(&mut near, "資料留在原處，口岸按出口政策放行，每一次傳輸都有記錄可查。");
        added(&mut near, "資料留在原處，口岸按出口政策放行，每一次傳輸都有紀錄可查。");
        added(&mut near, "另一句話完全不同，說的是天氣和山水，和上面的句子無關。");
        added(&mut near, "短句");
        added(&mut near, "短語");
        added(&mut near, "12 — …");
        added(&mut near, "— …");
        let report = near.report();
        assert_eq!((&report["rows_with_text"], &report["rows_compared"]), (&json!(9), &json!(9)));
        assert_eq!((&report["copies_ppm"], &report["near_ppm"]), (&json!(111_111), &json!(222_222)));
    }

    #[test]
    fn a_sample_by_content_keeps_the_shares() {
        let mut near = Near::keeping(2048);
        let (mut rows, mut copies, mut altered) = (0u64, 0u64, 0u64);
        for number in 0..20_000 {
            let mut words = text(number, 40);
            added(&mut near, &words.join(" "));
            rows += 1;
            if number % 5 == 0 {
                words[20] = "another".to_owned();
                added(&mut near, &words.join(" "));
                (rows, altered) = (rows + 1, altered + 1);
            }
            if number % 10 == 0 {
                added(&mut near, &words.join(", "));
                (rows, copies) = (rows + 1, copies + 1);
            }
        }
        assert!(near.kept.len() <= 2048 && near.kept.len() > 512 && near.level > 2);
        let report = near.report();
        assert_eq!(report["rows_with_text"], rows);
        for (name, part) in [("copies_ppm", copies), ("near_ppm", altered)] {
            let (found, want) = (report[name].as_u64().unwrap(), ppm(part, rows));
            assert!(found.abs_diff(want) < want / 5, "{name}: {found}, not about {want}");
        }
    }

    #[test]
    fn different_rows_are_not_near() {
        let mut near = Near::default();
        for number in 0..5000 {
            // A third of each row is the same in all.
            let words = [text(7, 10), text(number + 100, 20)].concat();
            added(&mut near, &words.join(" "));
        }
        assert_eq!(near.report()["near_ppm"], 0);
    }
}
