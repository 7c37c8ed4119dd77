//! What comes from outside, almost right: acknowledgements as JSON whose parts are changed, and claim archives whose headers
//! and lengths are; and what comes from a disk, sets of units. Nothing panics; what is read is what was signed; an archive is
//! one spelling of its files or none, and so is a set.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;

use catalog::file_index::Unit;
use catalog::{Digest, FileIndex};
use gateway_ledger::claim::{Trust, verify, zip};
use gateway_ledger::{Ack, IntervalSet, UnitSet};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

fn ack() -> Value {
    json!({
        "lease": "l-01m8hajmt30ttrw99936f14xgn", "manifest": Digest::of(b"manifest"), "seq": 3,
        "units": [
            {"file": Digest::of(b"one"), "column": "a.b", "row_groups": [[0, 4], [7, 9]]},
            {"file": Digest::of(b"two"), "column": "c", "row_groups": [[2, 3]]},
        ],
    })
}

/// A value that a member may be changed to.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec![0, 1, u64::MAX, u64::MAX - 1, 1 << 53, 1 << 63]).prop_map(Value::from),
        prop::sample::select(vec![-1, i64::MIN]).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~\u{0}\u{202e}港]{0,12}".prop_map(Value::from),
        Just(json!([])),
        Just(json!([[9, 1]])),
        Just(json!([[0, u64::MAX]])),
        Just(json!([[0, 4], [4, 5], [1, 2]])),
        Just(json!({})),
    ]
}

/// Every place in a value, in order.
fn places<'v>(value: &'v mut Value, found: &mut Vec<&'v mut Value>, number: usize) {
    // Counts down to the place and keeps that one only: mutable references to all cannot live together.
    let mut left = number;
    walk(value, &mut left, found);
}

fn walk<'v>(value: &'v mut Value, left: &mut usize, found: &mut Vec<&'v mut Value>) {
    if !found.is_empty() {
        return;
    }
    if *left == 0 {
        found.push(value);
        return;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, left, found)),
        Value::Object(members) => members.values_mut().for_each(|member| walk(member, left, found)),
        _ => {}
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Byte(Index, u8),
    Short(Index, u16),
    Long(Index, u32),
    Cut(Index, u8),
    Double(Index, u8),
    End(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        (any::<Index>(), prop::sample::select(vec![0, 1, 0x7fff, 0x8000, 0xffff]))
            .prop_map(|(at, n)| Edit::Short(at, n)),
        (any::<Index>(), prop::sample::select(vec![0, 1, u32::MAX, u32::MAX - 46, 0x8000_0000, 0x0403_4b50]))
            .prop_map(|(at, n)| Edit::Long(at, n)),
        (any::<Index>(), 1_u8..60).prop_map(|(at, count)| Edit::Cut(at, count)),
        (any::<Index>(), 1_u8..60).prop_map(|(at, count)| Edit::Double(at, count)),
        any::<Index>().prop_map(Edit::End),
    ]
}

fn changed(original: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for edit in edits {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        let put = |bytes: &mut Vec<u8>, at: usize, new: &[u8]| {
            let end = (at + new.len()).min(length);
            bytes[at..end].copy_from_slice(&new[..end - at]);
        };
        let span = |at: &Index, count: u8| at.index(length)..(at.index(length) + usize::from(count)).min(length);
        match edit {
            Edit::Byte(at, byte) => bytes[at.index(length)] = *byte,
            Edit::Short(at, number) => put(&mut bytes, at.index(length), &number.to_le_bytes()),
            Edit::Long(at, number) => put(&mut bytes, at.index(length), &number.to_le_bytes()),
            Edit::Cut(at, count) => drop(bytes.drain(span(at, *count))),
            Edit::Double(at, count) => {
                let part = bytes[span(at, *count)].to_vec();
                bytes.splice(at.index(length)..at.index(length), part);
            }
            Edit::End(at) => bytes.truncate(at.index(length)),
        }
    }
    bytes
}

/// A file of 140,000 units of ten bytes: three containers of a bitmap.
fn index() -> &'static FileIndex {
    static INDEX: std::sync::LazyLock<FileIndex> = std::sync::LazyLock::new(|| {
        let unit = |number: u32| Unit {
            row_group: number,
            column: 0,
            offset: 4 + u64::from(number) * 10,
            bytes: 10,
            uncompressed_bytes: 10,
        };
        FileIndex {
            bytes: 1_400_014,
            sha256: Digest::of(b"file"),
            row_groups: vec![1; 140_000],
            leaves: Vec::new(),
            units: (0..140_000).map(unit).collect(),
            regions: Vec::new(),
        }
    });
    &INDEX
}

/// Numbers, runs and bits: each kind of container, beside parts of units.
fn units() -> impl Strategy<Value = UnitSet> {
    let span = (0..140_000_u64, 1..40_u64, prop_oneof![Just(1_u64), Just(2), 3..3000_u64], 0..10_u64);
    prop::collection::vec(span, 0..6).prop_map(|spans| {
        let ranges = spans.into_iter().flat_map(|(first, count, step, cut)| {
            let count = if step == 2 { count * 400 } else { count };
            let place = move |number: u64| 4 + (first + number * step) % 140_000 * 10;
            (0..count).map(move |number| place(number) + cut * u64::from(number == 0)..place(number) + 10)
        });
        UnitSet::of(index(), &ranges.collect::<IntervalSet>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn stored_units_have_one_spelling(set in units(), edits in prop::collection::vec(edit(), 0..4)) {
        let stored = set.to_bytes();
        let other = changed(&stored, &edits);
        match UnitSet::from_bytes(&other, index()) {
            // The form of earlier releases is read as it comes.
            Ok(read) if other.first() == Some(&0) => prop_assert!(read.len(index()) <= index().bytes),
            Ok(read) => {
                prop_assert_eq!(read.to_bytes(), other.clone());
                prop_assert_eq!(&UnitSet::of(index(), &read.intervals(index())), &read);
                prop_assert_eq!(read == set, other == stored);
            }
            Err(fault) => prop_assert!(other != stored, "refused: {fault}"),
        }
    }

    #[test]
    fn units_of_any_bytes_are_one_spelling_or_none(form in 0..3_u8, rest in prop::collection::vec(any::<u8>(), 0..60)) {
        let bytes = [&[form], rest.as_slice()].concat();
        if let Ok(read) = UnitSet::from_bytes(&bytes, index()) {
            prop_assert!(form == 0 || read.to_bytes() == bytes);
            prop_assert!(read.len(index()) <= index().bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn an_acknowledgement_is_read_as_it_was_signed(place in any::<Index>(), new in value(), drops in any::<bool>()) {
        let right: Ack = serde_json::from_value(ack()).unwrap();
        let mut changed = ack();
        let number = place.index(count(&changed));
        let mut found = Vec::new();
        places(&mut changed, &mut found, number);
        let target = found.pop().unwrap();
        match target {
            Value::Object(members) if drops => drop(members.clone().keys().next().map(|name| members.remove(name))),
            target => *target = new,
        }
        if let Ok(read) = serde_json::from_value::<Ack>(changed) {
            // Another acknowledgement has another digest, and what is signed reads back as itself.
            prop_assert_eq!(read == right, read.digest() == right.digest());
            let signed = read.signed_bytes();
            let text = signed.strip_prefix(gateway_ledger::ack::CONTEXT).unwrap();
            let again: Ack = serde_json::from_slice(text).unwrap();
            prop_assert_eq!(&again, &read);
            prop_assert_eq!(again.signed_bytes(), signed);
            // No file is known: naming units of one is an error, never a panic or units.
            prop_assert!(read.intervals(&["a.b".to_owned()], |_| None::<&FileIndex>).is_err());
        }
    }

    #[test]
    fn an_acknowledgement_of_any_bytes_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(serde_json::from_slice::<Ack>(&bytes).is_err());
    }

    #[test]
    fn an_archive_is_one_spelling_of_its_files(
        files in prop::collection::btree_map("[a-zA-Z0-9./_-]{1,24}", prop::collection::vec(any::<u8>(), 0..80), 0..5),
        edits in prop::collection::vec(edit(), 0..4),
    ) {
        let files: BTreeMap<String, Vec<u8>> = files;
        let archive = zip::pack(&files).unwrap();
        let other = changed(&archive, &edits);
        match zip::unpack(&other) {
            Ok(read) => {
                prop_assert_eq!(zip::pack(&read).unwrap(), other.clone());
                prop_assert!(read == files || other != archive);
            }
            Err(fault) => prop_assert!(other != archive, "refused: {fault:?}"),
        }
        // A bundle of anything but a claim is refused, and never panics.
        prop_assert!(verify(&other, Trust::default()).is_err());
    }
}
