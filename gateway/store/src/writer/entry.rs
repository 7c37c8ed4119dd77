//! Log entries as they are written.

use std::ops::Range;

use gateway_audit::LeafError;
use gateway_audit::leaf::{LEAF_VERSION, LeafHead};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::transaction::CommitError;

/// Bytes of `YYYY-MM-DDThh:mm:ss.mmmZ`, in quotes.
const STAMP_BYTES: usize = 26;

/// A log entry: RFC 8785 JSON whose `at` can be set without writing the rest again.
pub(super) struct Entry {
    body: Vec<u8>,
    /// Where the moment stands, with its quotes.
    at: Range<usize>,
}

impl Entry {
    /// Sets `v` and, for now, `at`. What passes here passes the verifier's own reader.
    pub(super) fn new(mut members: Map<String, Value>, at: Timestamp) -> Result<Self, LeafError> {
        const WHY: &str = "members that RFC 8785 can write";
        let stamp = stamp(at);
        members.insert("v".to_owned(), LEAF_VERSION.into());
        members.insert("at".to_owned(), stamp.clone().into());
        let mut body = Vec::with_capacity(1024);
        let mut place = 0..0;
        for (name, value) in sorted(&members) {
            body.push(if body.is_empty() { b'{' } else { b',' });
            let at = body.len();
            string(name, &mut body).map_err(|_| LeafError::NotCanonical { at, why: WHY })?;
            body.push(b':');
            let first = body.len();
            write(value, &mut body).map_err(|at| LeafError::NotCanonical { at, why: WHY })?;
            if name == "at" {
                place = first..body.len();
            }
        }
        body.push(b'}');
        LeafHead::read(&body)?;
        if place.len() != STAMP_BYTES {
            return Err(LeafError::Member { member: "at", expected: "a year of four digits" });
        }
        Ok(Self { body, at: place })
    }

    /// The entry as it was stamped last.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The entry as it stands in the log, at `stamp`.
    pub(super) fn stamped(&mut self, stamp: &str) -> Result<&[u8], CommitError> {
        match self.body.get_mut(self.at.start + 1..self.at.end - 1) {
            Some(place) if place.len() == stamp.len() => place.copy_from_slice(stamp.as_bytes()),
            _ => return Err(CommitError::Invalid(format!("`{stamp}` is no moment of a leaf"))),
        }
        Ok(&self.body)
    }
}

/// A moment as leaves bear it.
pub(super) fn stamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Integers that a double holds exactly: RFC 8785 writes them as they are.
const EXACT_MAX: u64 = 1 << 53;

/// Appends canonical JSON; an error gives the place. What needs none of RFC 8785's rules for numbers is written here, in a
/// third of the time: members are mostly short strings.
fn write(value: &Value, body: &mut Vec<u8>) -> Result<(), usize> {
    let at = body.len();
    match value {
        Value::Null => body.extend(b"null"),
        Value::Bool(truth) => body.extend(if *truth { b"true".as_slice() } else { b"false" }),
        Value::Number(number) if number.as_i64().is_some_and(|number| number.unsigned_abs() <= EXACT_MAX) => {
            serde_json::to_writer(body, number).map_err(|_| at)?;
        }
        Value::Number(number) => serde_json_canonicalizer::to_writer(number, body).map_err(|_| at)?,
        Value::String(text) => string(text, body).map_err(|_| at)?,
        Value::Array(values) => {
            body.push(b'[');
            for (number, value) in values.iter().enumerate() {
                if number > 0 {
                    body.push(b',');
                }
                write(value, body)?;
            }
            body.push(b']');
        }
        Value::Object(members) => {
            body.push(b'{');
            for (number, (name, value)) in sorted(members).into_iter().enumerate() {
                if number > 0 {
                    body.push(b',');
                }
                string(name, body).map_err(|_| at)?;
                body.push(b':');
                write(value, body)?;
            }
            body.push(b'}');
        }
    }
    Ok(())
}

/// `serde_json` escapes as RFC 8785 §3.2.2.2 asks: what must be, in the shortest form.
fn string(text: &str, body: &mut Vec<u8>) -> serde_json::Result<()> {
    serde_json::to_writer(body, text)
}

/// RFC 8785 §3.2.3: by UTF-16 code units.
fn sorted(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    sorted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn members() -> Map<String, Value> {
        let value = json!({
            "kind": "decision", "zeta": {"b": [1, {"at": "2026-01-01T00:00:00.000Z"}], "a": "\u{e9}"}, "agreement": "\"at\":",
            "rules": ["x"], "money": {"amount": "1"},
        });
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn an_entry_is_the_canonical_form_of_its_members() {
        let (early, late): (Timestamp, Timestamp) =
            ("2026-11-28T01:02:03.004Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap());
        let mut entry = Entry::new(members(), early).unwrap();
        for at in [early, late] {
            let mut whole = members();
            whole.insert("v".to_owned(), LEAF_VERSION.into());
            whole.insert("at".to_owned(), stamp(at).into());
            let canonical = serde_json_canonicalizer::to_vec(&whole).unwrap();
            assert_eq!(
                String::from_utf8_lossy(entry.stamped(&stamp(at)).unwrap()),
                String::from_utf8_lossy(&canonical)
            );
        }
    }

    #[test]
    fn a_moment_beyond_four_digits_of_a_year_is_refused() {
        assert!(Entry::new(members(), Timestamp::MIN).is_err());
        let mut entry = Entry::new(members(), Timestamp::UNIX_EPOCH).unwrap();
        assert!(entry.stamped("-009999-01-02T01:59:59.000Z").is_err());
    }

    /// Characters that need an escape, that look as if they did, and that UTF-8 and UTF-16 order differently.
    const TEXT: &str = "(?s)[\\x00-\\x1f\"\\\\/a-z\u{e9}\u{7f}\u{2028}\u{fb33}\u{1f600}]{0,6}";

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-(1_i64 << 53) - 2..=(1_i64 << 53) + 2).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            TEXT.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((TEXT, inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whoever writes it.
        #[test]
        fn any_value_is_written_as_the_library_writes_it(value in value()) {
            let mut body = b"before".to_vec();
            let written = write(&value, &mut body).ok().map(|()| String::from_utf8_lossy(&body).into_owned());
            let canonical = serde_json_canonicalizer::to_vec(&value).ok();
            prop_assert_eq!(written, canonical.map(|bytes| format!("before{}", String::from_utf8_lossy(&bytes))));
        }
    }
}
