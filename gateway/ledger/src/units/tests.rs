#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::single_range_in_vec_init)]

use catalog::Digest;
use proptest::prelude::*;

use super::*;

/// Units of these lengths from offset 4, those without bytes first, with a page index of two bytes after every third.
pub(super) fn index(lengths: &[u64]) -> FileIndex {
    let mut offset = 4;
    let mut units = Vec::new();
    for (number, bytes) in (0_u32..).zip(lengths) {
        let place = if *bytes == 0 { 0 } else { offset };
        units.push(Unit {
            row_group: number / 3,
            column: number % 3,
            offset: place,
            bytes: *bytes,
            uncompressed_bytes: 1000,
        });
        offset += bytes + if number % 3 == 2 { 2 } else { 0 };
    }
    units.sort_by_key(|unit| unit.offset);
    FileIndex {
        bytes: offset + 10,
        sha256: Digest::of(b"file"),
        row_groups: vec![100; lengths.len().div_ceil(3)],
        leaves: Vec::new(),
        units,
        regions: Vec::new(),
    }
}

fn lengths() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![1 => Just(0), 8 => 1..9_u64], 1..30)
}

/// Where requests begin and how long they are, in thousandths of the file; half of them are whole units.
fn requests() -> impl Strategy<Value = Vec<(bool, u64, u64)>> {
    prop::collection::vec((any::<bool>(), 0..1000_u64, 0..300_u64), 0..25)
}

fn ranges(index: &FileIndex, requests: &[(bool, u64, u64)]) -> Vec<Range<u64>> {
    let request = |(whole, start, length): &(bool, u64, u64)| {
        let at = |thousandths: u64, of: u64| thousandths * of / 1000;
        if *whole {
            let units = |thousandths: u64| usize::try_from(at(thousandths, index.units.len() as u64)).unwrap();
            let first = units(*start);
            let past = (first + 1 + units(*length)).min(index.units.len());
            return index.units[first].offset..range(&index.units[past - 1]).end;
        }
        let first = at(*start, index.bytes);
        first..(first + at(*length, index.bytes)).min(index.bytes)
    };
    requests.iter().map(request).collect()
}

fn of(index: &FileIndex, ranges: &[Range<u64>]) -> UnitSet {
    ranges.iter().fold(UnitSet::new(), |set, range| set.union(&UnitSet::of(index, &range.clone().into()), index))
}

proptest! {
    /// Against the same set as bytes: whatever the requests, their order, overlaps and repeats.
    #[test]
    fn agrees_with_a_set_of_bytes(lengths in lengths(), a in requests(), b in requests(), turn in 0..50_usize) {
        let index = index(&lengths);
        let (a, b) = (ranges(&index, &a), ranges(&index, &b));
        let (bytes_a, bytes_b): (IntervalSet, IntervalSet) = (a.iter().cloned().collect(), b.iter().cloned().collect());
        let (set_a, set_b) = (of(&index, &a), of(&index, &b));
        for (got, want) in [
            (set_a.clone(), bytes_a.clone()),
            (set_a.union(&set_b, &index), bytes_a.union(&bytes_b)),
            (set_a.difference(&set_b, &index), bytes_a.difference(&bytes_b)),
            (set_a.intersection(&set_b, &index), bytes_a.intersection(&bytes_b)),
        ] {
            prop_assert_eq!(got.intervals(&index), want.clone());
            // The same bytes are the same value and the same stored form, however they came together.
            prop_assert_eq!(&got, &UnitSet::of(&index, &want));
            prop_assert_eq!(got.to_bytes(), UnitSet::of(&index, &want).to_bytes());
            prop_assert_eq!(&UnitSet::from_bytes(&got.to_bytes(), &index).unwrap(), &got);
            prop_assert_eq!(got.len(&index), want.len());
            prop_assert_eq!(got.is_empty(), want.is_empty());
            // What an earlier release stored.
            let earlier = if want.is_empty() { Vec::new() } else { [&[0], want.to_bytes().as_slice()].concat() };
            prop_assert_eq!(&UnitSet::from_bytes(&earlier, &index).unwrap(), &got);
            let touched: Vec<u32> = got.units(&index).map(|(number, _)| number).collect();
            let expected: Vec<u32> =
                (0..).zip(&index.units).filter(|(_, unit)| want.len_within(&range(unit)) > 0).map(|(n, _)| n).collect();
            prop_assert_eq!(touched, expected);
            for (number, unit) in (0..).zip(&index.units) {
                prop_assert_eq!(got.bytes_of(number, unit), want.len_within(&range(unit)));
            }
        }
        let mut turned: Vec<_> = a.iter().chain(&a).cloned().collect();
        let turn = turn.min(turned.len());
        turned.rotate_left(turn);
        turned.reverse();
        prop_assert_eq!(of(&index, &turned), set_a);
    }

    /// Each byte is new once.
    #[test]
    fn repeats_and_overlaps_are_new_once(lengths in lengths(), requests in requests()) {
        let index = index(&lengths);
        let requests = ranges(&index, &requests);
        let (mut held, mut new) = (UnitSet::new(), 0);
        for request in requests.iter().chain(&requests) {
            let came = UnitSet::of(&index, &request.clone().into());
            new += came.difference(&held, &index).len(&index);
            held = held.union(&came, &index);
        }
        prop_assert_eq!(new, requests.into_iter().collect::<IntervalSet>().len());
    }
}

#[test]
fn a_unit_that_becomes_whole_leaves_the_bytes() {
    let index = index(&[10, 10, 10]);
    let set = of(&index, &[4..9, 20..24]);
    assert_eq!((set.whole.len(), set.parts.len()), (0, 9));
    let set = of(&index, &[4..9, 9..24]);
    assert_eq!((set.whole.iter().collect::<Vec<_>>(), set.parts.clone()), (vec![0, 1], IntervalSet::new()));
    // The page index behind the last unit belongs to none.
    assert_eq!(of(&index, &[24..36]).parts, (34..36).into());
    let without = set.difference(&of(&index, &[16..17]), &index);
    assert_eq!((without.whole.len(), without.intervals(&index)), (1, [4..16, 17..24].into_iter().collect()));
}

#[test]
fn scattered_units_take_a_bit_each_and_runs_a_few_bytes() {
    let index = index(&vec![1000; 100_000]);
    let units = |step: usize| {
        let bytes: IntervalSet = index.units.iter().step_by(step).map(range).collect();
        (bytes.to_bytes().len(), UnitSet::of(&index, &bytes).to_bytes().len())
    };
    let (bytes, bits) = units(2);
    assert!(bytes > 190_000 && bits < 17_000, "{bytes} {bits}");
    let all = of(&index, &[0..index.bytes]).intersection(&UnitSet::of(&index, &units_only(&index)), &index);
    assert_eq!((all.whole.len(), all.to_bytes().len()), (100_000, 27));
}

/// A run of three takes as much room as three numbers: a set that was read as a run and has shrunk is still spelt like a new one.
#[test]
fn equal_sets_have_equal_bytes_whatever_they_were_before() {
    let index = index(&[10; 60]);
    for few in [0..3, 3..5, 7..13] {
        let bytes = |units: &Range<usize>| index.units[units.clone()].iter().map(range).collect::<IntervalSet>();
        let long = UnitSet::of(&index, &bytes(&(0..60)));
        let read = UnitSet::from_bytes(&long.to_bytes(), &index).unwrap();
        let short = UnitSet::of(&index, &bytes(&few));
        let shrunk = read.difference(&read.difference(&short, &index), &index);
        assert_eq!(shrunk, short);
        assert_eq!(shrunk.to_bytes(), short.to_bytes(), "{few:?}");
    }
}

/// What stores hold: another release of the library must not spell it otherwise, or they would not open.
#[test]
fn the_stored_form_is_pinned() {
    let index = index(&vec![10; 70_000]);
    let set = |units: &mut dyn Iterator<Item = usize>| {
        UnitSet::of(&index, &units.map(|number| range(&index.units[number])).collect())
    };
    // Numbers, and five bytes of a unit that is not whole.
    let mut numbers = set(&mut [0, 2, 4].into_iter());
    numbers = numbers.union(&UnitSet::of(&index, &(14..19).into()), &index);
    #[rustfmt::skip]
    assert_eq!(numbers.to_bytes(), [
        1, 22, 0x3a, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 16, 0, 0, 0, 0, 0, 2, 0, 4, 0, 14, 5,
    ]);
    // Runs, in two containers.
    #[rustfmt::skip]
    assert_eq!(set(&mut (65_000..65_600)).to_bytes(), [
        1, 25, 0x3b, 0x30, 1, 0, 3, 0, 0, 0x17, 2, 1, 0, 63, 0, 1, 0, 0xe8, 0xfd, 0x17, 2, 1, 0, 0, 0, 63, 0,
    ]);
    // A bit each.
    let bits = set(&mut (0..10_000).step_by(2)).to_bytes();
    let head = [1, 0x90, 0x40, 0x3a, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 0x87, 0x13, 16, 0, 0, 0];
    assert_eq!(bits, [head.as_slice(), &[0x55; 1250], &[0; 8192 - 1250]].concat());
}

fn units_only(index: &FileIndex) -> IntervalSet {
    index.units.iter().map(range).collect()
}

#[test]
fn what_is_no_set_of_the_files_units_is_refused() {
    let index = index(&[0, 10, 10, 10, 10]);
    assert_eq!((index.units[0].bytes, index.bytes), (0, 56));
    let bitmap = |units: &[u32]| crate::bitmap::to_bytes(&units.iter().copied().collect());
    let stored = |bitmap: &[u8], parts: &[u8]| [&[1, u8::try_from(bitmap.len()).unwrap()], bitmap, parts].concat();
    let read = |bytes: &[u8]| UnitSet::from_bytes(bytes, &index);
    let right = stored(&bitmap(&[1, 3]), &[14, 5]);
    assert_eq!(read(&right).unwrap(), of(&index, &[4..19, 26..36]));
    assert_eq!(read(&right[..right.len() - 2]).unwrap(), of(&index, &[4..14, 26..36]));
    for (bytes, want) in [
        (vec![2], UnitSetError::Form(2)),
        (vec![1], UnitSetError::Parts(crate::IntervalError::Number { at: 0 })),
        (vec![1, 9, 0], UnitSetError::Cut { wanted: 9, found: 1 }),
        (vec![1, 0], UnitSetError::Spelling),        // nothing is no bytes
        (vec![1, 0, 4, 10], UnitSetError::Spelling), // a whole unit among the parts
        (stored(&bitmap(&[1]), &[6, 2]), UnitSetError::Spelling), // bytes of a unit that is whole
        (stored(&bitmap(&[1]), &[0x94, 0, 2]), UnitSetError::Spelling), // a number longer than it need be
        (stored(&bitmap(&[1, 5]), &[]), UnitSetError::Unit { unit: 5, first: 1, past: 5 }),
        (stored(&bitmap(&[0, 1]), &[]), UnitSetError::Unit { unit: 0, first: 1, past: 5 }),
        (stored(&bitmap(&[1]), &[50, 7]), UnitSetError::Beyond { end: 57, bytes: 56 }),
        (vec![0, 50, 7], UnitSetError::Beyond { end: 57, bytes: 56 }),
        (vec![0, 50, 0], UnitSetError::Parts(crate::IntervalError::Order { start: 50, end: 50 })),
    ] {
        assert_eq!(read(&bytes), Err(want), "{bytes:?}");
    }
    assert!(matches!(read(&stored(&bitmap(&[1])[1..], &[])), Err(UnitSetError::Bitmap(_))));
    // Two units as numbers where a run is smaller.
    let mut long = bitmap(&[1, 2, 3, 4]);
    assert_eq!(read(&stored(&long, &[])).unwrap(), of(&index, &[4..24, 26..46]));
    long.clear();
    let _ = (1..5).collect::<RoaringBitmap>().serialize_into(&mut long);
    assert_eq!(read(&stored(&long, &[])), Err(UnitSetError::Spelling));
}
