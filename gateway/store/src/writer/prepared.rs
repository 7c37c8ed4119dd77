//! What a caller's own thread does for the writer: canonical leaves and checked digests. The writer is one thread and
//! everybody waits for it.

use std::ops::Range;

use catalog::Digest;
use gateway_audit::LeafError;
use gateway_audit::leaf::{LEAF_VERSION, LeafHead};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::lookup::{Print, print_of_request};
use crate::transaction::{
    BLOB_BYTES_MAX, CommitError, Expect, Idempotency, LEAVES_MAX, Transaction, WRITES_MAX, Write,
};

/// Bytes of `YYYY-MM-DDThh:mm:ss.mmmZ`, in quotes.
const STAMP_BYTES: usize = 26;

/// A transaction whose leaves are written out but for the moment, which the writer knows.
pub(crate) struct Prepared {
    pub(super) at: Timestamp,
    pub(super) expect: Vec<Expect>,
    pub(super) leaves: Vec<Entry>,
    pub(super) facts: Vec<(Digest, Vec<u8>)>,
    pub(super) writes: Vec<Write>,
    pub(super) idempotency: Option<(Print, Idempotency)>,
}

impl Prepared {
    /// Checks what needs no database.
    pub(crate) fn new(transaction: Transaction) -> Result<Self, CommitError> {
        let Transaction { at, expect, leaves, facts, writes, idempotency } = transaction;
        if leaves.len() > LEAVES_MAX || writes.len() > WRITES_MAX {
            return Err(CommitError::Invalid(format!(
                "at most {LEAVES_MAX} leaves and {WRITES_MAX} writes fit in one"
            )));
        }
        let leaf = |(number, members)| Entry::new(members, at).map_err(|source| CommitError::Leaf { number, source });
        let leaves = leaves.into_iter().enumerate().map(leaf).collect::<Result<_, _>>()?;
        for (digest, body) in &facts {
            if body.len() > BLOB_BYTES_MAX {
                let length = body.len();
                return Err(CommitError::Invalid(format!(
                    "a facts blob of {length} bytes is too large, at most {BLOB_BYTES_MAX}"
                )));
            }
            let found = Digest::of(body);
            if found != *digest {
                return Err(CommitError::Invalid(format!("facts said to be {digest} are {found}")));
            }
        }
        let idempotency = idempotency.map(|asked| (print_of_request(&asked.scope, &asked.key), asked));
        Ok(Self { at, expect, leaves, facts, writes, idempotency })
    }
}

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
        let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
        sorted.sort_unstable_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
        let mut body = Vec::with_capacity(1024);
        let mut place = 0..0;
        for (name, value) in sorted {
            body.push(if body.is_empty() { b'{' } else { b',' });
            write(name, &mut body).map_err(|why| LeafError::NotCanonical { at: why, why: WHY })?;
            body.push(b':');
            let first = body.len();
            write(value, &mut body).map_err(|why| LeafError::NotCanonical { at: why, why: WHY })?;
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

/// Appends canonical JSON; an error gives the place.
fn write<T: serde::Serialize>(value: &T, body: &mut Vec<u8>) -> Result<(), usize> {
    let at = body.len();
    serde_json_canonicalizer::to_writer(value, body).map_err(|_| at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
}
