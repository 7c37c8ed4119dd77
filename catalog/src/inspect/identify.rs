//! The identifiers of one leaf column, while its values stream by: how many, in which rows, of how many persons.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use serde_json::{Value, json};

use super::distinct::{Distinct, hash};
use super::leaves::LeafArray;
use crate::ColumnClass;
use crate::scan::{Column, Found, Kind, Scanner, masked};

/// Examples of a kind that are kept, masked.
const EXAMPLES: usize = 3;
/// Rows of a kind whose places are kept.
pub(super) const POSITIONS: usize = 20;
/// Different values of a kind that are counted exactly.
pub(super) const EXACT_MAX: usize = 1 << 20;
/// Numbers below are too short for any identifier.
const NUMBER_MIN: i128 = 10_000_000;

/// Where a row is: number of the file, and row in it from 1.
pub(super) type Position = (usize, u64);

/// One kind in one column.
#[derive(Debug)]
struct Tally {
    values: u64,
    rows: u64,
    last: Option<Position>,
    unused: u64,
    positions: Vec<Position>,
    examples: Vec<String>,
    persons: Distinct,
}

impl Tally {
    fn new() -> Self {
        Self {
            values: 0,
            rows: 0,
            last: None,
            unused: 0,
            positions: Vec::new(),
            examples: Vec::new(),
            persons: Distinct::new(EXACT_MAX),
        }
    }

    fn add(&mut self, kind: Kind, value: &str, position: Option<Position>) {
        self.values += 1;
        match position {
            None => self.unused += 1,
            Some(_) if self.last == position => {}
            Some(position) => {
                self.rows += 1;
                self.last = Some(position);
                if self.positions.len() < POSITIONS {
                    self.positions.push(position);
                }
            }
        }
        if self.examples.len() < EXAMPLES {
            let example = masked(kind, value);
            if !self.examples.contains(&example) {
                self.examples.push(example);
            }
        }
        if kind.counts_persons() {
            self.persons.add(hash(value.as_bytes()));
        }
    }
}

/// What is found of a kind: surely, and with the rest whose form alone speaks for it.
#[derive(Debug)]
struct Pair {
    certain: Tally,
    all: Tally,
}

/// The identifiers of a column.
#[derive(Debug)]
pub(super) struct Identifiers {
    column: Column,
    kinds: [Option<Box<Pair>>; Kind::ALL.len()],
    missed: [u64; Kind::ALL.len()],
    /// A value of the column held two numbers of one family: then they may be one person's.
    shared: bool,
    /// Its values have a type in which no identifier stands: times, fractions.
    skipped: bool,
}

/// A kind that was found in a column, judged.
#[derive(Debug)]
pub(super) struct Finding<'a> {
    pub(super) kind: Kind,
    pub(super) persons: &'a Distinct,
    tally: &'a Tally,
    /// In hundredths.
    confidence: u64,
}

impl Identifiers {
    pub(super) fn new(path: &str) -> Self {
        Self {
            column: Column::named(path),
            kinds: Default::default(),
            missed: [0; Kind::ALL.len()],
            shared: false,
            skipped: false,
        }
    }

    /// Scans the values of a leaf array that starts at row `first` of file number `file`. Hashes of values that hold
    /// identifiers are taken out of `unused`.
    pub(super) fn add(
        &mut self,
        scanner: &mut Scanner,
        leaf: &LeafArray,
        (file, first): (usize, u64),
        unused: &mut HashSet<u64>,
    ) -> Result<(), ArrowError> {
        let array = match leaf.array.data_type() {
            DataType::Dictionary(_, values) => cast(&leaf.array, values)?,
            DataType::RunEndEncoded(_, values) => cast(&leaf.array, values.data_type())?,
            _ => ArrayRef::clone(&leaf.array),
        };
        let mut digits = String::new();
        let looked = each_text(&array, leaf, &mut digits, |at, text| {
            let position = (file, first + leaf.row(at) as u64 + 1);
            if self.value(scanner, text, Some(position)) && !unused.is_empty() {
                unused.remove(&hash(text));
            }
        });
        self.skipped |= !looked;
        Ok(())
    }

    /// Scans one value; `None` is the position of an entry of a dictionary that no row uses. Answers whether it holds an
    /// identifier.
    pub(super) fn value(&mut self, scanner: &mut Scanner, text: &[u8], position: Option<Position>) -> bool {
        scanner.scan(self.column, text);
        if position.is_some() {
            for (sum, missed) in self.missed.iter_mut().zip(scanner.missed()) {
                *sum += u64::from(*missed);
            }
        }
        let found = scanner.found();
        if found.is_empty() {
            return false;
        }
        self.shared |= found.windows(2).any(|pair| matches!(pair, [a, b] if family(a) == family(b)));
        for found in found {
            let value = scanner.value(found);
            let Some(pair) = self.kinds.get_mut(found.kind.index()) else { continue };
            let pair = pair.get_or_insert_with(|| Box::new(Pair { certain: Tally::new(), all: Tally::new() }));
            pair.all.add(found.kind, value, position);
            if found.certain {
                pair.certain.add(found.kind, value, position);
            }
        }
        true
    }

    /// Whether the values are of a type that is looked into; an entry of a dictionary of times is no number.
    pub(super) const fn is_looked_into(&self) -> bool {
        !self.skipped
    }

    /// Whether `text` would hold an identifier in this column.
    pub(super) fn holds_any(&self, scanner: &mut Scanner, text: &[u8]) -> bool {
        !scanner.scan(self.column, text).is_empty()
    }

    /// What was found, without what chance explains.
    pub(super) fn findings(&self) -> Vec<Finding<'_>> {
        let kinds = Kind::ALL.into_iter().zip(&self.kinds).zip(self.missed);
        kinds.filter_map(|((kind, pair), missed)| judged(kind, pair.as_deref()?, missed)).collect()
    }

    /// The least class that what was found asks for.
    pub(super) fn class(findings: &[Finding<'_>]) -> ColumnClass {
        findings.iter().map(|finding| finding.kind.class()).max().unwrap_or(ColumnClass::None)
    }

    /// Whether the numbers of one family in this column are of different persons: never two in one value.
    pub(super) const fn one_a_value(&self) -> bool {
        !self.shared
    }
}

/// Kinds of which a person has one or another.
pub(super) const fn person_family(kind: Kind) -> Option<u8> {
    match kind {
        Kind::CnResidentId
        | Kind::CnResidentId15
        | Kind::Hkid
        | Kind::MainlandTravelPermit
        | Kind::ExitEntryPermit
        | Kind::CnPassport
        | Kind::HkPassport
        | Kind::Mrz => Some(0),
        Kind::CnMobile | Kind::HkMobile => Some(1),
        Kind::Email => Some(2),
        _ => None,
    }
}

const fn family(found: &Found) -> Option<u8> {
    person_family(found.kind)
}

/// Tells what was found from what chance would bring: where many values had the form of a kind and failed its check, as
/// many more passed it without being one.
fn judged(kind: Kind, pair: &Pair, missed: u64) -> Option<Finding<'_>> {
    let bare = pair.all.values - pair.certain.values;
    let mut chance = 0.0;
    if let Some((passed, failed)) = kind.odds() {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let (missed, passed, failed) = (missed as f64, passed as f64, failed as f64);
        chance = missed * passed / failed;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let (bare_count, certain) = (bare as f64, pair.certain.values as f64);
    // Three standard deviations of a Poisson count; a few misses do not speak against a number that stands alone.
    let kept = bare > 0 && (chance < kind_slack(kind) || bare_count > chance + 3.0 * chance.sqrt());
    let tally = if kept || bare == 0 { &pair.all } else { &pair.certain };
    if tally.values == 0 {
        return None;
    }
    let real = if kept { (bare_count - chance).max(0.0) } else { 0.0 };
    let sum = certain * 0.99 + real * alone(kind);
    let of = if kept { certain + bare_count } else { certain };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
    let confidence = (sum / of * 100.0).round() as u64;
    Some(Finding { kind, persons: &tally.persons, tally, confidence })
}

/// Expected accidents below which a single hit still counts.
const fn kind_slack(kind: Kind) -> f64 {
    match kind {
        Kind::Hkid | Kind::BankCard | Kind::CnMobile | Kind::Uscc => 0.35,
        _ => 0.05,
    }
}

/// How sure a kind is by its form alone.
const fn alone(kind: Kind) -> f64 {
    match kind {
        Kind::CnResidentId | Kind::Email | Kind::Mrz => 0.99,
        Kind::Hkid | Kind::Uscc | Kind::Ip => 0.95,
        Kind::BankCard => 0.9,
        _ => 0.85,
    }
}

impl Finding<'_> {
    /// The shape of the interface, with the places of the first rows.
    pub(super) fn to_json(&self, rows: u64, files: &[String]) -> Value {
        let tally = self.tally;
        let place = |(file, row): &Position| json!({"file": files.get(*file), "row": row});
        #[expect(clippy::cast_precision_loss, reason = "at most 100")]
        let confidence = self.confidence as f64 / 100.0;
        let mut value = json!({
            "kind": self.kind,
            "rows": tally.rows,
            "values": tally.values,
            "share_ppm": super::ppm(tally.rows, rows),
            "confidence": confidence,
            "examples": tally.examples,
            "positions": tally.positions.iter().map(place).collect::<Vec<_>>(),
        });
        if let (Some(members), true) = (value.as_object_mut(), tally.unused > 0) {
            members.insert("unused_dictionary_values".to_owned(), tally.unused.into());
        }
        value
    }
}

/// Calls `each` with every value of an array that may hold an identifier, as text. Answers whether its type may.
fn each_text(array: &ArrayRef, leaf: &LeafArray, digits: &mut String, mut each: impl FnMut(usize, &[u8])) -> bool {
    let nulls = leaf.nulls.as_ref();
    let present = |at: &usize| nulls.is_none_or(|nulls| nulls.is_valid(*at));
    let rows = (0..array.len()).filter(present);
    let mut number = |at: usize, number: i128| {
        if number >= NUMBER_MIN {
            use std::fmt::Write as _;
            digits.clear();
            let _ = write!(digits, "{number}");
            each(at, digits.as_bytes());
        }
    };
    macro_rules! numbers {
        ($kind:ty) => {
            rows.for_each(|at| number(at, i128::from(array.as_primitive::<$kind>().value(at))))
        };
    }
    match array.data_type() {
        DataType::Utf8 => rows.for_each(|at| each(at, array.as_string::<i32>().value(at).as_bytes())),
        DataType::LargeUtf8 => rows.for_each(|at| each(at, array.as_string::<i64>().value(at).as_bytes())),
        DataType::Utf8View => rows.for_each(|at| each(at, array.as_string_view().value(at).as_bytes())),
        DataType::Binary => rows.for_each(|at| each(at, array.as_binary::<i32>().value(at))),
        DataType::LargeBinary => rows.for_each(|at| each(at, array.as_binary::<i64>().value(at))),
        DataType::BinaryView => rows.for_each(|at| each(at, array.as_binary_view().value(at))),
        DataType::FixedSizeBinary(_) => rows.for_each(|at| each(at, array.as_fixed_size_binary().value(at))),
        DataType::Int8 => numbers!(Int8Type),
        DataType::Int16 => numbers!(Int16Type),
        DataType::Int32 => numbers!(Int32Type),
        DataType::Int64 => numbers!(Int64Type),
        DataType::UInt8 => numbers!(UInt8Type),
        DataType::UInt16 => numbers!(UInt16Type),
        DataType::UInt32 => numbers!(UInt32Type),
        DataType::UInt64 => numbers!(UInt64Type),
        DataType::Decimal128(_, 0) => rows.for_each(|at| number(at, array.as_primitive::<Decimal128Type>().value(at))),
        // Integers with gaps, as some tools write them.
        DataType::Float64 => rows.for_each(|at| {
            let value = array.as_primitive::<Float64Type>().value(at);
            if value.fract() == 0.0 && (1e7..9e15).contains(&value) {
                #[expect(clippy::cast_possible_truncation, reason = "within the integers of a double")]
                number(at, value as i128);
            }
        }),
        _ => return false,
    }
    true
}
