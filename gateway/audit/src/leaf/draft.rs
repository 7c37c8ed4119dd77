//! Building leaves. The draft decides what may stand in the log in the clear.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    DEPTH_MAX, INTEGER_MAX, LEAF_BYTES_MAX, LEAF_VERSION, LIST_ENTRIES_MAX, Leaf, LeafError, LeafKind, Opening, Text,
    digest_text, is_digest,
};

/// Longest plain string in a leaf, in bytes.
const STRING_BYTES_MAX: usize = 256;

/// Members with a method of their own, which `text` and `extra` refuse.
const RESERVED: [&str; 20] = [
    "v",
    "kind",
    "at",
    "participant",
    "certificate",
    "person",
    "dataset",
    "version",
    "manifest",
    "columns",
    "units",
    "purpose",
    "effect",
    "needed",
    "rules",
    "policy",
    "facts",
    "lease",
    "money",
    "parties",
];

/// A leaf being put together. The first mistake is kept and comes out of [`LeafDraft::build`].
///
/// Every `salt` is 32 fresh random bytes from the caller, used once.
#[derive(Debug, Clone)]
#[must_use]
pub struct LeafDraft {
    kind: LeafKind,
    at: Timestamp,
    members: Map<String, Value>,
    openings: Vec<Opening>,
    error: Option<LeafError>,
}

/// A finished leaf and what opens its commitments.
#[derive(Debug, Clone)]
pub struct BuiltLeaf {
    /// The entry for the log.
    pub leaf: Leaf,
    /// To be sealed in the store, in the same commit; one for each commitment of the leaf.
    pub openings: Vec<Opening>,
}

impl LeafDraft {
    /// A leaf of `kind` about something that happened at `at`.
    pub fn new(kind: LeafKind, at: Timestamp) -> Self {
        Self { kind, at, members: Map::new(), openings: Vec::new(), error: None }
    }

    /// The participant whose principal acted: its id, never a person's.
    pub fn participant(self, id: &str) -> Self {
        self.plain("participant", id)
    }

    /// Other participants that are parties of what happened, so that their people may read it.
    pub fn parties<I: IntoIterator<Item: Into<String>>>(self, ids: I) -> Self {
        self.plain_list("parties", ids)
    }

    /// The certificate's digest, as a commitment: it identifies its holder.
    pub fn certificate(self, digest: &str, salt: [u8; 32]) -> Self {
        self.commit("certificate", digest, salt)
    }

    /// The acting person's SPIFFE id, as a commitment.
    pub fn person(self, id: &str, salt: [u8; 32]) -> Self {
        self.commit("person", id, salt)
    }

    /// The dataset's id.
    pub fn dataset(self, id: &str) -> Self {
        self.plain("dataset", id)
    }

    /// The dataset's version.
    pub fn version(self, version: &str) -> Self {
        self.plain("version", version)
    }

    /// The version's manifest digest, `sha256:…`.
    pub fn manifest(self, digest: &str) -> Self {
        self.digest("manifest", digest)
    }

    /// The selected columns' names, in order.
    pub fn columns<I: IntoIterator<Item: Into<String>>>(self, names: I) -> Self {
        self.name_list("columns", names)
    }

    /// The units concerned, or ranges of them.
    pub fn units<I: IntoIterator<Item: Into<String>>>(self, units: I) -> Self {
        self.name_list("units", units)
    }

    /// The purpose: plain if it is a token, else a commitment.
    pub fn purpose(self, purpose: &Text<'_>) -> Self {
        self.plain_or_committed("purpose", purpose)
    }

    /// `allow`, `deny` or `review`.
    pub fn effect(self, effect: &str) -> Self {
        self.plain("effect", effect)
    }

    /// The mechanism the decision needed: `none`, `exempt`, `sc_or_cert` or `sa`.
    pub fn needed(self, needed: &str) -> Self {
        self.plain("needed", needed)
    }

    /// The ids of the rules that made the decision.
    pub fn rules<I: IntoIterator<Item: Into<String>>>(self, ids: I) -> Self {
        self.plain_list("rules", ids)
    }

    /// The rule set's digest, `sha256:…`.
    pub fn policy(self, digest: &str) -> Self {
        self.digest("policy", digest)
    }

    /// The digest of the canonical facts JSON, `sha256:…`; the blob is kept at
    /// [`super::facts_path`].
    pub fn facts(self, digest: &str) -> Self {
        self.digest("facts", digest)
    }

    /// The lease's id.
    pub fn lease(self, id: &str) -> Self {
        self.plain("lease", id)
    }

    /// An amount in minor units (fen, cents) of `currency` (`CNY`, `HKD`).
    pub fn money(self, amount: i128, currency: &str) -> Self {
        let fits = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
        let money = json!({ "amount": amount.to_string(), "currency": currency });
        self.set("money", if fits { Ok(money) } else { Err("a currency is three capital letters") })
    }

    /// Any other member that is text from outside, such as a reason: plain if it is a token,
    /// else a commitment.
    pub fn text(self, member: &str, text: &Text<'_>) -> Self {
        match free_name(member) {
            Ok(()) => self.plain_or_committed(member, text),
            Err(why) => self.set(member, Err(why)),
        }
    }

    /// Any other member: integers up to 2^53 - 1, booleans, plain strings, lists and objects of
    /// them. A list of more than 64 entries becomes `{count, digest}`.
    ///
    /// A plain string is at most 256 bytes of letters, digits and `._:/+-=>,`, and not a SPIFFE
    /// id: an identifier or a digest, never a sentence, a name or an address. For those there is
    /// [`LeafDraft::text`].
    pub fn extra(self, member: &str, value: Value) -> Self {
        let checked = free_name(member).and_then(|()| shorten_lists(value, 1, is_plain));
        self.set(member, checked)
    }

    /// The leaf and the openings of its commitments.
    ///
    /// A leaf above 8 KiB first has its longest lists replaced by count and digest.
    ///
    /// # Errors
    ///
    /// The draft's first mistake, or [`LeafError::TooLong`] when no list is left to shorten.
    pub fn build(mut self) -> Result<BuiltLeaf, LeafError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.members.insert("v".into(), LEAF_VERSION.into());
        self.members.insert("kind".into(), self.kind.as_str().into());
        self.members.insert("at".into(), self.at.to_string().into());
        let mut bytes = canonical(&self.members)?;
        while bytes.len() > LEAF_BYTES_MAX && shorten_longest(&mut self.members) {
            bytes = canonical(&self.members)?;
        }
        Ok(BuiltLeaf { leaf: Leaf::parse(&bytes)?, openings: self.openings })
    }

    fn set(mut self, member: &str, value: Result<Value, &'static str>) -> Self {
        // A member set twice keeps its last value, and so no opening of the first.
        self.openings.retain(|earlier| earlier.field != member);
        match value {
            Ok(value) => {
                self.members.insert(member.to_owned(), value);
            }
            Err(why) => {
                let member = crate::tree::shorten(member);
                self.error.get_or_insert(LeafError::Draft { member, why });
            }
        }
        self
    }

    fn plain(self, member: &str, value: &str) -> Self {
        self.set(member, is_plain(value).map(|()| value.into()))
    }

    fn digest(self, member: &str, value: &str) -> Self {
        let why = "a digest is `sha256:` and 64 lower-case hexadecimal digits";
        self.set(member, if is_digest(value) { Ok(value.into()) } else { Err(why) })
    }

    fn plain_list<I: IntoIterator<Item: Into<String>>>(self, member: &str, entries: I) -> Self {
        let list = entries.into_iter().map(|entry| Value::String(entry.into())).collect();
        self.set(member, shorten_lists(list, 1, is_plain))
    }

    fn name_list<I: IntoIterator<Item: Into<String>>>(self, member: &str, entries: I) -> Self {
        let list = entries.into_iter().map(|entry| Value::String(entry.into())).collect();
        self.set(member, shorten_lists(list, 1, is_name))
    }

    fn plain_or_committed(self, member: &str, text: &Text<'_>) -> Self {
        if text.is_token() {
            self.set(member, Ok(text.value.into()))
        } else {
            self.commit(member, text.value, text.salt)
        }
    }

    fn commit(self, member: &str, value: &str, salt: [u8; 32]) -> Self {
        let opening = Opening { salt, field: member.to_owned(), value: value.to_owned() };
        let mut draft = self.set(member, Ok(opening.commitment().into()));
        draft.openings.push(opening);
        draft
    }
}

fn free_name(member: &str) -> Result<(), &'static str> {
    if RESERVED.contains(&member) {
        return Err("this member has a method of its own");
    }
    let fits =
        (1..=64).contains(&member.len()) && member.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if fits { Ok(()) } else { Err("a member name is 1 to 64 of a-z, 0-9 and _") }
}

fn is_plain(text: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/+-=>,".contains(&byte);
    if text.is_empty() || text.len() > STRING_BYTES_MAX || !text.bytes().all(plain) {
        return Err("a plain string is 1 to 256 of letters, digits and `._:/+-=>,`; commit other text");
    }
    if text.starts_with("spiffe:") {
        return Err("a SPIFFE id names a person; commit to it");
    }
    Ok(())
}

fn is_name(text: &str) -> Result<(), &'static str> {
    if text.len() <= STRING_BYTES_MAX && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err("a name is at most 256 bytes without control characters")
    }
}

/// Checks a value and replaces its lists above 64 entries, innermost first.
fn shorten_lists(
    value: Value,
    depth: usize,
    string: fn(&str) -> Result<(), &'static str>,
) -> Result<Value, &'static str> {
    if depth >= DEPTH_MAX {
        return Err("nested too deeply");
    }
    match value {
        Value::String(text) => string(&text).map(|()| Value::String(text)),
        Value::Number(number) => {
            let size = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
            let fits = size.is_some_and(|size| size <= INTEGER_MAX);
            let why = "a number is an integer of at most 2^53 - 1; write others as strings";
            if fits { Ok(Value::Number(number)) } else { Err(why) }
        }
        Value::Array(entries) => {
            let entries = entries.into_iter().map(|entry| shorten_lists(entry, depth + 1, string));
            let entries = entries.collect::<Result<Vec<_>, _>>()?;
            if entries.len() <= LIST_ENTRIES_MAX {
                return Ok(Value::Array(entries));
            }
            summary(&entries).ok_or("not JSON")
        }
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, member)| {
                is_plain(&name)?;
                Ok((name, shorten_lists(member, depth + 1, string)?))
            });
            Ok(Value::Object(members.collect::<Result<_, &'static str>>()?))
        }
        Value::Null | Value::Bool(_) => Ok(value),
    }
}

/// What stands for a long list: its length and the digest of its canonical JSON.
fn summary(entries: &[Value]) -> Option<Value> {
    let bytes = serde_json_canonicalizer::to_vec(&entries).ok()?;
    Some(json!({ "count": entries.len(), "digest": digest_text(&bytes) }))
}

/// Replaces the member whose list takes the most bytes; says whether there was one.
fn shorten_longest(members: &mut Map<String, Value>) -> bool {
    let lists = members.iter().filter_map(|(name, value)| {
        let entries = value.as_array()?;
        // A summary is some 100 bytes itself: below that nothing would be gained.
        let bytes = serde_json_canonicalizer::to_vec(entries).ok()?.len();
        (bytes > 128).then_some((bytes, name.clone(), summary(entries)?))
    });
    match lists.max_by_key(|(bytes, ..)| *bytes) {
        Some((_, name, summary)) => members.insert(name, summary).is_some(),
        None => false,
    }
}

fn canonical(members: &Map<String, Value>) -> Result<Vec<u8>, LeafError> {
    serde_json_canonicalizer::to_vec(members).map_err(|_| LeafError::Draft { member: String::new(), why: "not JSON" })
}
