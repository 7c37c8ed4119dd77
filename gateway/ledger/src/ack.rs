//! Acknowledgements: a consumer's signed statement that it has whole units (LEDGER.md, 2.2).
//!
//! What is signed is a context that no other protocol of ours or TLS uses, then the canonical JSON of the
//! acknowledgement. It proves willingness, not possession. Units are named by what both sides see alike: the stored
//! file's digest, the column's dotted path, row groups; never by offsets, which a redacted file does not share.

use catalog::{Digest, FileIndex, LeaseId};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::interval::IntervalSet;

/// What stands before the signed JSON. TLS 1.3 signs 64 spaces first (RFC 8446 §4.4.3), so neither can pass for the other.
pub const CONTEXT: &[u8] = b"hkqh-receipt/v1\n";

/// Most entries of one acknowledgement.
pub const ENTRIES_MAX: usize = 4096;

/// Most acknowledgements under one lease; integers in canonical JSON end at 2^53.
pub const SEQ_MAX: u64 = 1_000_000;

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ack {
    /// Under which lease the units came.
    pub lease: LeaseId,
    /// Digest of the version's manifest.
    pub manifest: Digest,
    /// 1 for the lease's first, then one more each.
    #[serde(deserialize_with = "exact")]
    pub seq: u64,
    /// Which units.
    pub units: Vec<AckedUnits>,
}

/// Units of one column of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AckedUnits {
    /// SHA-256 of the stored file.
    pub file: Digest,
    /// Dotted path of the leaf column.
    pub column: String,
    /// Row groups, half-open intervals.
    #[serde(deserialize_with = "exact_row_groups")]
    pub row_groups: IntervalSet,
}

/// Canonical JSON writes integers as floating point does: above 2^53 two of them may be signed as the same bytes.
const INTEGER_MAX: u64 = 1 << 53;

fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if number <= INTEGER_MAX { Ok(number) } else { Err(D::Error::custom(format!("{number} is beyond 2^53"))) }
}

fn exact_row_groups<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IntervalSet, D::Error> {
    let row_groups = IntervalSet::deserialize(deserializer)?;
    let end = row_groups.iter().next_back().map_or(0, |range| range.end);
    if end <= INTEGER_MAX { Ok(row_groups) } else { Err(D::Error::custom(format!("row group {end} is beyond 2^53"))) }
}

/// Why an acknowledgement is out of range. It changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// No unit, or too many entries.
    #[error("an acknowledgement names 1 to {ENTRIES_MAX} columns of files, each with a row group; this one has {0}")]
    Entries(usize),
    /// A sequence number out of bounds.
    #[error("`seq` is {0}: the first acknowledgement of a lease is 1, the last possible {SEQ_MAX}")]
    Seq(u64),
    /// The version has no such file.
    #[error("the lease's version has no file {0}")]
    File(Digest),
    /// The file has no such column, or the lease does not let it through.
    #[error("the lease does not let column `{0}` through")]
    Column(String),
    /// The file has fewer row groups.
    #[error("column `{column}`: row groups end at {row_groups}, the acknowledgement names {named}")]
    RowGroup {
        /// Of which column.
        column: String,
        /// How many there are.
        row_groups: usize,
        /// One past the last that is named.
        named: u64,
    },
}

impl Ack {
    /// The bytes that are signed.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = CONTEXT.to_vec();
        // Strings and integers below 2^53: canonical JSON of them cannot fail.
        bytes.extend(serde_json_canonicalizer::to_vec(self).unwrap_or_default());
        bytes
    }

    /// SHA-256 of them: two acknowledgements are the same if these are.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.signed_bytes())
    }

    /// The stored bytes of the units it names, by file, each file once.
    ///
    /// `columns` are those that the lease lets through; `index` gives the index of a file of the lease's version.
    pub fn intervals<'i>(
        &self,
        columns: &[String],
        index: impl Fn(&Digest) -> Option<&'i FileIndex>,
    ) -> Result<Vec<(Digest, IntervalSet)>, AckError> {
        if !(1..=SEQ_MAX).contains(&self.seq) {
            return Err(AckError::Seq(self.seq));
        }
        if self.units.is_empty()
            || self.units.len() > ENTRIES_MAX
            || self.units.iter().any(|entry| entry.row_groups.is_empty())
        {
            return Err(AckError::Entries(self.units.len()));
        }
        let mut files: Vec<(Digest, IntervalSet)> = Vec::new();
        for AckedUnits { file, column, row_groups } in &self.units {
            let index = index(file).ok_or(AckError::File(*file))?;
            let unknown = || AckError::Column(column.chars().take(200).collect());
            let leaf = index.leaves.iter().position(|leaf| leaf.path == *column).ok_or_else(unknown)?;
            if !columns.contains(column) {
                return Err(unknown());
            }
            let named = row_groups.iter().next_back().map_or(0, |range| range.end);
            let count = index.row_groups.len();
            if usize::try_from(named).map_or(true, |named| named > count) {
                return Err(AckError::RowGroup { column: column.clone(), row_groups: count, named });
            }
            let units = index
                .units
                .iter()
                .filter(|unit| {
                    usize::try_from(unit.column) == Ok(leaf) && row_groups.contains(u64::from(unit.row_group))
                })
                .map(|unit| unit.offset..unit.offset.saturating_add(unit.bytes));
            match files.iter_mut().find(|(known, _)| known == file) {
                Some((_, set)) => set.extend(units),
                None => files.push((*file, units.collect())),
            }
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use catalog::file_index::{Leaf, Unit};

    use super::*;

    /// Two row groups of columns `a` and `b`, 10 bytes a unit, from offset 4.
    fn index() -> FileIndex {
        let leaf = |path: &str| Leaf { path: path.to_owned(), r#type: "Utf8".to_owned() };
        let unit = |number: u32| Unit {
            row_group: number / 2,
            column: number % 2,
            offset: u64::from(number) * 10 + 4,
            bytes: 10,
            uncompressed_bytes: 20,
        };
        FileIndex {
            bytes: 100,
            sha256: Digest::of(b"file"),
            row_groups: vec![5, 5],
            leaves: vec![leaf("a"), leaf("b")],
            units: (0..4).map(unit).collect(),
            regions: Vec::new(),
        }
    }

    fn ack(json: &str) -> Ack {
        let file = Digest::of(b"file");
        serde_json::from_str(&json.replace("FILE", &file.to_string()).replace("MANIFEST", &file.to_string())).unwrap()
    }

    const WHOLE: &str = r#"{"lease":"l-1","manifest":"MANIFEST","seq":1,
        "units":[{"file":"FILE","column":"a","row_groups":[[0,2]]},{"file":"FILE","column":"b","row_groups":[[1,2]]}]}"#;

    #[test]
    fn units_are_their_stored_bytes() {
        let index = index();
        let columns = ["a".to_owned(), "b".to_owned()];
        let found = ack(WHOLE).intervals(&columns, |_| Some(&index)).unwrap();
        let want: IntervalSet = [4..14, 24..44].into_iter().collect();
        assert_eq!(found, [(index.sha256, want)]);
    }

    #[test]
    fn what_is_signed_is_one_for_one_acknowledgement() {
        let one = ack(WHOLE);
        let bytes = one.signed_bytes();
        assert!(bytes.starts_with(b"hkqh-receipt/v1\n{\"lease\":\"l-1\",\"manifest\":\"sha256:"));
        // Order of members in what was sent does not matter; a number does.
        let other =
            ack(&WHOLE.replace(r#""lease":"l-1","manifest":"MANIFEST","#, r#""manifest":"MANIFEST","lease":"l-1","#));
        assert_eq!(other.digest(), one.digest());
        assert_ne!(ack(&WHOLE.replace("\"seq\":1", "\"seq\":2")).digest(), one.digest());
    }

    #[test]
    fn out_of_range_is_said_in_order() {
        let index = index();
        let only_a = ["a".to_owned()];
        // Each case repairs only the fault the case before it reported.
        for (json, want) in [
            (WHOLE.replace("\"seq\":1", "\"seq\":0"), AckError::Seq(0)),
            (r#"{"lease":"l-1","manifest":"MANIFEST","seq":1,"units":[]}"#.to_owned(), AckError::Entries(0)),
            (WHOLE.replace("[[1,2]]", "[]"), AckError::Entries(2)),
            (WHOLE.replace("\"a\"", "\"c\""), AckError::Column("c".to_owned())),
            (
                WHOLE.replace("[[0,2]]", "[[0,3]]"),
                AckError::RowGroup { column: "a".to_owned(), row_groups: 2, named: 3 },
            ),
            (WHOLE.to_owned(), AckError::Column("b".to_owned())),
        ] {
            assert_eq!(ack(&json).intervals(&only_a, |_| Some(&index)), Err(want), "{json}");
        }
        let file = Digest::of(b"file");
        assert_eq!(ack(WHOLE).intervals(&only_a, |_| None), Err(AckError::File(file)));
        assert!(serde_json::from_str::<Ack>(r#"{"lease":"l-1","manifest":"x","seq":1,"units":[],"more":1}"#).is_err());
    }
}
