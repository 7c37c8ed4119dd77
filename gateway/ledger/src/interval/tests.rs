#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const SPAN: u64 = 60;

fn ranges() -> impl Strategy<Value = Vec<Range<u64>>> {
    prop::collection::vec((0..SPAN, 0..12_u64).prop_map(|(start, length)| start..start + length), 0..14)
}

fn naive(ranges: &[Range<u64>]) -> BTreeSet<u64> {
    ranges.iter().cloned().flatten().collect()
}

fn numbers(set: &IntervalSet) -> BTreeSet<u64> {
    set.iter().flatten().collect()
}

fn well_formed(set: &IntervalSet) -> bool {
    let held: Vec<_> = set.iter().collect();
    held.iter().all(|range| range.start < range.end)
        && held.iter().zip(held.iter().skip(1)).all(|(a, b)| a.end < b.start)
}

proptest! {
    #[test]
    fn agrees_with_a_naive_set(a in ranges(), b in ranges(), probe in 0..SPAN, window in 0..20_u64) {
        let (set_a, set_b): (IntervalSet, IntervalSet) = (a.iter().cloned().collect(), b.iter().cloned().collect());
        let (naive_a, naive_b) = (naive(&a), naive(&b));
        prop_assert_eq!(numbers(&set_a), naive_a.clone());
        prop_assert_eq!(set_a.len(), naive_a.len() as u64);
        for (got, want) in [
            (set_a.union(&set_b), naive_a.union(&naive_b).copied().collect::<BTreeSet<_>>()),
            (set_a.difference(&set_b), naive_a.difference(&naive_b).copied().collect()),
            (set_a.intersection(&set_b), naive_a.intersection(&naive_b).copied().collect()),
        ] {
            prop_assert!(well_formed(&got), "{:?}", got);
            prop_assert_eq!(numbers(&got), want);
        }
        prop_assert_eq!(set_a.contains(probe), naive_a.contains(&probe));
        let range = probe..probe + window;
        prop_assert_eq!(set_a.covers(&range), range.clone().all(|at| naive_a.contains(&at)));
        prop_assert_eq!(set_a.len_within(&range), range.filter(|at| naive_a.contains(at)).count() as u64);
        // Union is idempotent and commutative.
        prop_assert_eq!(set_a.union(&set_b), set_b.union(&set_a));
        prop_assert_eq!(set_a.union(&set_b).union(&set_b), set_a.union(&set_b));
    }

    #[test]
    fn both_forms_come_back(a in prop::collection::vec((any::<u64>(), any::<u64>()), 0..20)) {
        let set: IntervalSet = a.iter().map(|(x, y)| *x.min(y)..*x.max(y)).collect();
        prop_assert_eq!(IntervalSet::from_bytes(&set.to_bytes()).unwrap(), set.clone());
        prop_assert_eq!(serde_json::from_str::<IntervalSet>(&serde_json::to_string(&set).unwrap()).unwrap(), set);
    }

    #[test]
    fn hostile_bytes_are_an_error_or_a_well_formed_set(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(set) = IntervalSet::from_bytes(&bytes) {
            prop_assert!(well_formed(&set));
        }
    }
}

#[test]
fn what_is_no_set_is_refused() {
    for bad in ["[[3,3]]", "[[3,2]]", "[[5,6],[1,2]]", "[[1,2],[2,3]]", "[[1,4],[2,5]]"] {
        assert!(serde_json::from_str::<IntervalSet>(bad).is_err(), "{bad}");
    }
    assert_eq!(IntervalSet::from_bytes(&[0x80]), Err(IntervalError::Number { at: 1 }));
    assert_eq!(IntervalSet::from_bytes(&[1, 0]), Err(IntervalError::Order { start: 1, end: 1 }));
    assert!(IntervalSet::from_bytes(&[0xff; 11]).is_err());
}

#[test]
fn sequential_reports_stay_one_interval() {
    let mut set = IntervalSet::new();
    for block in 0..1000 {
        set.insert(block * 64..block * 64 + 64);
    }
    assert_eq!(set.iter().collect::<Vec<_>>(), [0..64_000]);
    assert_eq!(set.to_bytes().len(), 4);
}
