#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

use catalog::offer::Currency;
use catalog::{Digest, file_index::Leaf};

use super::*;
use crate::interval::IntervalSet;

fn price(model: PriceModel, amount: i64) -> Price {
    Price { model, amount: Minor(amount), currency: Currency::Cny, period: None }
}

/// Two row groups of two columns; unit lengths 100, 300, 50, 70 from offset 4.
fn index() -> FileIndex {
    let sizes = [(0, 0, 100, 1 << 30), (0, 1, 300, 1 << 29), (1, 0, 50, 3), (1, 1, 70, 1 << 28)];
    let mut offset = 4;
    let units = sizes.map(|(row_group, column, bytes, uncompressed_bytes)| {
        let unit = Unit { row_group, column, offset, bytes, uncompressed_bytes };
        offset += bytes;
        unit
    });
    let leaf = |path: &str| Leaf { path: path.to_owned(), r#type: "Utf8".to_owned() };
    FileIndex {
        bytes: offset + 200,
        sha256: Digest::of(b"file"),
        row_groups: vec![1_000_000, 500_000],
        leaves: vec![leaf("a"), leaf("b")],
        units: units.to_vec(),
        regions: Vec::new(),
    }
}

fn usage(ranges: &[std::ops::Range<u64>]) -> Usage {
    let mut usage = Usage::default();
    usage.add_file(&index(), &UnitSet::of(&index(), &ranges.iter().cloned().collect()));
    usage
}

#[test]
fn a_whole_unit_costs_exactly_its_price_and_a_part_its_part() {
    let gib = price(PriceModel::PerGib, 120_000);
    for (range, amount) in [
        (4..104, 120_000),  // one GiB
        (4..54, 60_000),    // half of its stored bytes
        (4..5, 1_200),      // a hundredth
        (104..404, 60_000), // half a GiB
        (104..204, 20_000), // a third of it
        (404..454, 0),      // three bytes
        (0..4, 0),          // magic
        (524..724, 0),      // footer
        (0..724, 120_000 + 60_000 + 30_000),
    ] {
        assert_eq!(due(&gib, &usage(std::slice::from_ref(&range))).unwrap(), Minor(amount), "{range:?}");
    }
    let all = usage(&[0..724]);
    assert_eq!((all.units, all.unit_bytes), (4, 520));
}

#[test]
fn rows_count_by_the_largest_fraction_of_a_row_group() {
    let rows = price(PriceModel::PerMillionRows, 1000);
    for (ranges, amount) in [
        (vec![4..54], 500),            // half of column a
        (vec![4..54, 104..179], 500),  // and a quarter of column b: a half is the largest
        (vec![4..54, 104..404], 1000), // all of column b
        (vec![404..454], 500),         // second row group
        (vec![0..724], 1500),
        (vec![524..724], 0),
    ] {
        assert_eq!(due(&rows, &usage(&ranges)).unwrap(), Minor(amount), "{ranges:?}");
    }
}

#[test]
fn a_quote_is_what_the_whole_delivery_will_cost() {
    let index = index();
    for (model, amount) in [
        (PriceModel::PerGib, 210_000),
        (PriceModel::PerMillionRows, 180_000),
        (PriceModel::PerPull, 120_000),
        (PriceModel::Subscription, 120_000),
        (PriceModel::Free, 0),
    ] {
        let price = price(model, 120_000);
        assert_eq!(quote(&price, &index.units, index.rows()).unwrap(), Minor(amount), "{model:?}");
        let whole = Usage { pulls: 1, periods: 1, ..usage(&[0..724]) };
        assert_eq!(due(&price, &whole).unwrap(), Minor(amount), "{model:?}");
    }
    assert_eq!(quote(&price(PriceModel::PerPull, 7), [], 0).unwrap(), Minor(7));
    let absurd = Usage { pulls: u64::MAX, ..Usage::default() };
    assert_eq!(due(&price(PriceModel::PerPull, i64::MAX), &absurd), Err(AmountError));
}

#[test]
fn a_fee_is_part_of_the_price() {
    let rate = |rate_ppm| Some(Fee::Rate { rate_ppm });
    assert_eq!(fee(rate(100_000).as_ref(), Minor(1_009)), Minor(100));
    assert_eq!(fee(rate(1_000_000).as_ref(), Minor(i64::MAX)), Minor(i64::MAX));
    assert_eq!(fee(rate(u32::MAX).as_ref(), Minor(10)), Minor(10));
    let fixed = Fee::Fixed { amount: Minor(50) };
    assert_eq!(fee(Some(&fixed), Minor(30)), Minor(30));
    assert_eq!(fee(Some(&fixed), Minor(80)), Minor(50));
    assert_eq!(fee(None, Minor(80)), Minor(0));
}

proptest::proptest! {
    /// A file that arrives in pieces, in whatever order and overlap, is used as if it had come at once.
    #[test]
    fn pieces_add_up_to_the_whole(pieces in proptest::collection::vec((0..524_u64, 1..200_u64), 1..12)) {
        let index = index();
        let (mut grown, mut had) = (Usage::default(), UnitSet::new());
        for (start, length) in pieces {
            let more = UnitSet::of(&index, &(start..start + length).into());
            grown.grow_file(&index, &had, &more);
            had = had.union(&more, &index);
        }
        let mut whole = Usage::default();
        whole.add_file(&index, &had);
        for model in [PriceModel::PerGib, PriceModel::PerMillionRows] {
            let price = price(model, 999_983);
            proptest::prop_assert_eq!(due(&price, &grown).unwrap(), due(&price, &whole).unwrap());
        }
        proptest::prop_assert_eq!((grown.units, grown.unit_bytes), (whole.units, whole.unit_bytes));
        proptest::prop_assert_eq!(grown.rows.floor(), whole.rows.floor());
        let stored = serde_json::to_string(&grown).unwrap();
        proptest::prop_assert_eq!(serde_json::from_str::<Usage>(&stored).unwrap(), grown);
    }
}

/// What the prices' rule says of these bytes, unit by unit.
fn by_the_rule(index: &FileIndex, bytes: &IntervalSet) -> Usage {
    let mut usage = Usage::default();
    for (row_group, rows) in (0..).zip(&index.row_groups) {
        let units = index.units.iter().filter(|unit| unit.row_group == row_group);
        let mut largest = (0, 1);
        for unit in units {
            let came = bytes.len_within(&(unit.offset..unit.offset + unit.bytes));
            usage.units += u64::from(came > 0);
            usage.unit_bytes += came;
            usage.uncompressed_bytes.add(unit.uncompressed_bytes, came, unit.bytes);
            if came * largest.1 > largest.0 * unit.bytes {
                largest = (came, unit.bytes);
            }
        }
        usage.rows.add(*rows, largest.0, largest.1);
    }
    usage
}

proptest::proptest! {
    /// Files of any shape, row group after row group or column after column, and whatever of them in whatever pieces.
    #[test]
    fn a_unit_costs_what_the_rule_says(
        lengths in proptest::collection::vec(1..60_u64, 6..7 * 3),
        columns in 1..6_u32,
        by_columns in proptest::bool::ANY,
        pieces in proptest::collection::vec((0..600_u64, 1..120_u64), 1..12),
    ) {
        let groups = u32::try_from(lengths.len()).unwrap() / columns;
        let mut at = 4;
        let units = (0..groups * columns).zip(&lengths).map(|(number, bytes)| {
            let (row_group, column) =
                if by_columns { (number % groups, number / groups) } else { (number / columns, number % columns) };
            at += bytes;
            Unit { row_group, column, offset: at - bytes, bytes: *bytes, uncompressed_bytes: u64::from(number) * 977 + 3 }
        });
        let units: Vec<Unit> = units.collect();
        let leaves = vec![Leaf { path: "a".to_owned(), r#type: "Utf8".to_owned() }; usize::try_from(columns).unwrap()];
        let row_groups = (0..groups).map(|number| u64::from(number) * 31 + 7).collect();
        let index = FileIndex { bytes: at, row_groups, leaves, units, ..index() };
        let (mut grown, mut had, mut bytes) = (Usage::default(), UnitSet::new(), IntervalSet::new());
        for (start, length) in pieces {
            let more = UnitSet::of(&index, &(start..start + length).into());
            grown.grow_file(&index, &had, &more);
            had = had.union(&more, &index);
            bytes.insert(start..start + length);
        }
        proptest::prop_assert_eq!(grown, by_the_rule(&index, &bytes));
    }
}
