#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn keyset(persons: impl IntoIterator<Item = u32>, sensitive: impl IntoIterator<Item = u32>, blank_rows: u64) -> Keyset {
    Keyset { persons: persons.into_iter().collect(), sensitive: sensitive.into_iter().collect(), blank_rows }
}

fn totals(persons: u64, sensitive: u64) -> Totals {
    Totals { persons, sensitive }
}

#[test]
fn one_person_in_two_corpora_counts_once() {
    let (first, second) = (keyset(0..100, 0..100, 0), keyset(60..160, 60..160, 0));
    let share = Share { persons: 100, sensitive: 100, with_sensitive_values: Some(100) };
    let mut year = Year::default();
    for (dataset, keys, want) in [("a", &first, 100), ("b", &second, 160), ("a", &first, 160)] {
        let contribution = Contribution::of(share, Some(keys));
        assert_eq!(year.after(dataset, &contribution, Some(keys)), totals(want, want), "{dataset}");
        year.add(dataset, &contribution, Some(keys));
        assert_eq!(year.totals(), totals(want, want), "{dataset}");
    }
}

#[test]
fn without_a_key_a_dataset_counts_once_with_its_largest_number() {
    let mut year = Year::default();
    for (dataset, persons, sensitive, want) in [
        ("a", 12_000, 300, totals(12_000, 300)),
        ("a", 4_000, 400, totals(12_000, 400)),
        ("b", 5_000, 0, totals(17_000, 400)),
        ("a", 20_000, 0, totals(25_000, 400)),
    ] {
        let contribution = Contribution::of(Share { persons, sensitive, with_sensitive_values: Some(sensitive) }, None);
        assert_eq!(year.after(dataset, &contribution, None), want);
        year.add(dataset, &contribution, None);
        assert_eq!(year.totals(), want);
    }
}

/// What keys do not tell apart is somebody else: a declared number above the keys found, and rows without a key.
#[test]
fn what_the_keys_do_not_cover_is_added() {
    let keys = keyset(0..90, 0..0, 5);
    assert_eq!(keys.floor(), 95);
    let mut year = Year::default();
    let share = Share { persons: 100, ..Share::default() };
    year.add("a", &Contribution::of(share, Some(&keys)), Some(&keys));
    assert_eq!(year.totals(), totals(100, 0));
    // The same persons in another corpus: its ten unknown ones may be others.
    assert_eq!(year.after("b", &Contribution::of(share, Some(&keys)), Some(&keys)), totals(110, 0));
}

/// Fewer are declared to have sensitive values than have them: which ones is unknown, so that two corpora add up.
#[test]
fn an_unknown_part_is_never_taken_for_the_same_part() {
    let keys = keyset(0..100, 0..100, 0);
    let share = Share { persons: 100, sensitive: 30, with_sensitive_values: Some(30) };
    let contribution = Contribution::of(share, Some(&keys));
    assert!(!contribution.keyed_sensitive);
    let mut year = Year::default();
    year.add("a", &contribution, Some(&keys));
    year.add("b", &contribution, Some(&keys));
    assert_eq!(year.totals(), totals(100, 60));
    // A selection without a sensitive column still has its children under 14 (`Q`), by number.
    let young = Share { persons: 100, sensitive: 7, with_sensitive_values: None };
    assert_eq!(Contribution::of(young, Some(&keys)).sensitive, 7);
}

#[test]
fn a_selection_without_personal_data_adds_nobody() {
    let keys = keyset(0..100, 0..10, 3);
    assert!(Contribution::of(Share::default(), Some(&keys)).is_nothing());
    assert!(!Contribution::of(Share { persons: 1, ..Share::default() }, None).is_nothing());
}

/// A corpus as it really is: who is in it, by key or not.
#[derive(Debug, Clone)]
struct Corpus {
    keyed: BTreeSet<u32>,
    sensitive: BTreeSet<u32>,
    blank_rows: u64,
    declared: u64,
    has_key: bool,
}

fn corpus() -> impl Strategy<Value = Corpus> {
    let keyed = prop::collection::btree_set(0_u32..400, 0..120);
    (keyed, 0_u32..3, 0_u64..4, 0_u64..150, prop::bool::weighted(0.8)).prop_map(
        |(keyed, every, blank_rows, declared, has_key)| {
            let sensitive = keyed.iter().copied().filter(|person| every > 0 && person % every == 0).collect();
            Corpus { keyed, sensitive, blank_rows, declared, has_key }
        },
    )
}

impl Corpus {
    fn keys(&self) -> Option<Keyset> {
        self.has_key.then(|| keyset(self.keyed.iter().copied(), self.sensitive.iter().copied(), self.blank_rows))
    }

    fn share(&self) -> Share {
        let persons = self.declared.max(self.keys().map_or(0, |keys| keys.floor()));
        let sensitive = self.sensitive.len() as u64;
        Share { persons, sensitive: sensitive.min(persons), with_sensitive_values: Some(sensitive) }
    }
}

proptest! {
    /// Random exports of random corpora. The reference is a plain set of everybody who can be told apart and, beside it,
    /// the largest number of others per dataset: equality after every step, and `after` says before what `add` does.
    #[test]
    fn exports_agree_with_a_plain_set(corpora in prop::collection::vec(corpus(), 1..6), steps in prop::collection::vec(0_usize..6, 0..30)) {
        let mut year = Year::default();
        let (mut known, mut known_sensitive) = (BTreeSet::new(), BTreeSet::new());
        let mut others: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
        for step in steps {
            let number = step % corpora.len();
            let Some(corpus) = corpora.get(number) else { continue };
            let (keys, share) = (corpus.keys(), corpus.share());
            let contribution = Contribution::of(share, keys.as_ref());
            let foreseen = year.after(&number.to_string(), &contribution, keys.as_ref());
            let before = year.totals();
            year.add(&number.to_string(), &contribution, keys.as_ref());

            let other = others.entry(number).or_default();
            if corpus.has_key && share.persons > 0 {
                known.extend(corpus.keyed.iter().copied());
                known_sensitive.extend(corpus.sensitive.iter().copied());
                other.0 = other.0.max(share.persons - corpus.keyed.len() as u64);
            } else {
                *other = (other.0.max(share.persons), other.1.max(share.sensitive));
            }
            let want = Totals {
                persons: known.len() as u64 + others.values().map(|other| other.0).sum::<u64>(),
                sensitive: known_sensitive.len() as u64 + others.values().map(|other| other.1).sum::<u64>(),
            };
            prop_assert_eq!(year.totals(), want);
            prop_assert_eq!(foreseen, want);
            prop_assert!(want.persons >= before.persons && want.sensitive >= before.sensitive, "never down");
            prop_assert!(want.persons >= share.persons && want.sensitive >= share.sensitive, "never below the export");
        }
    }
}
