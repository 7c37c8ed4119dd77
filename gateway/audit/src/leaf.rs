//! Log entries. A leaf is the exact bytes of an RFC 8785 canonical JSON object of at most 8 KiB
//! with at least `v`, `kind` and `at`; numbers are integers, natural persons and free text are
//! salted commitments (INV-10), long lists are a count and a digest.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::tree::{self, NodeHash};

mod canonical;
mod commitment;
mod draft;
mod head;
mod kind;

pub use commitment::{Opening, Text, commitment};
pub use draft::{BuiltLeaf, LeafDraft};
pub use head::LeafHead;
pub use kind::LeafKind;

/// Longest leaf, in bytes. What is bigger stands beside the log, and its digest in the leaf.
pub const LEAF_BYTES_MAX: usize = 8 * 1024;

/// Longest list in a leaf; a longer one becomes `{count, digest}`.
pub const LIST_ENTRIES_MAX: usize = 64;

/// Deepest nesting of objects and lists in a leaf.
pub const DEPTH_MAX: usize = 16;

/// Version of the leaf format, the member `v`.
pub const LEAF_VERSION: u8 = 1;

/// Greatest integer, either side of zero, that JSON readers agree on (RFC 8785 §3.2.2.3, I-JSON);
/// anything larger is written as a string.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Why bytes are not a leaf, or a draft cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// The leaf would be longer than [`LEAF_BYTES_MAX`].
    #[error("a leaf of {got} bytes is too long, at most {LEAF_BYTES_MAX}")]
    TooLong {
        /// Its length.
        got: usize,
    },
    /// The bytes are not RFC 8785 canonical JSON within the limits of a leaf.
    #[error("not a canonical leaf at byte {at}: {why}")]
    NotCanonical {
        /// Offset of the first byte that does not fit.
        at: usize,
        /// What was expected there.
        why: &'static str,
    },
    /// A required member is absent or has another form.
    #[error("`{member}` must be {expected}")]
    Member {
        /// The member's name.
        member: &'static str,
        /// The form it must have.
        expected: &'static str,
    },
    /// The draft gives a member that the leaf cannot carry.
    #[error("`{member}` cannot stand in a leaf: {why}")]
    Draft {
        /// The member's name.
        member: String,
        /// What is wrong and what would be right.
        why: &'static str,
    },
}

/// A parsed leaf with the bytes that are in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    // INVARIANT (leaf): canonical, within the limits, and what `members` and `at` were read from.
    bytes: Vec<u8>,
    members: Map<String, Value>,
    at: Timestamp,
}

impl Leaf {
    /// Reads an entry of the log.
    ///
    /// # Errors
    ///
    /// [`LeafError`] unless the bytes are canonical, within the limits and have the required
    /// members. An unknown `kind` or member is accepted: the log outlives its readers.
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        let at = LeafHead::read(bytes)?.at;
        let members = serde_json::from_slice(bytes)
            .map_err(|error| LeafError::NotCanonical { at: error.column(), why: "JSON" })?;
        Ok(Self { bytes: bytes.to_vec(), members, at })
    }

    /// The entry as it is, or will be, in the log.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entry's hash in the tree.
    pub fn hash(&self) -> NodeHash {
        tree::leaf_hash(&self.bytes)
    }

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What kind of entry it is, known to this version or not.
    pub fn kind(&self) -> &str {
        self.text("kind").unwrap_or_default()
    }

    /// All members.
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// A member that is a string.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.members.get(member)?.as_str()
    }

    /// The strings of a member that is a list. Empty when it is absent, or was too long and only
    /// its count and digest are there.
    pub fn list(&self, member: &str) -> impl Iterator<Item = &str> {
        let entries = self.members.get(member).and_then(Value::as_array);
        entries.into_iter().flatten().filter_map(Value::as_str)
    }
}

impl Serialize for Leaf {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members.serialize(serializer)
    }
}

/// Whether `text` is the form of a SHA-256 digest in our JSON: `sha256:` and 64 lower-case
/// hexadecimal digits.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

/// The name, relative to the log's folder, of the facts blob that a leaf's `facts` names:
/// `facts/<64 hex>.json`. Nothing if the member is not a digest.
pub fn facts_path(facts: &str) -> Option<String> {
    let hex = facts.strip_prefix("sha256:").filter(|_| is_digest(facts))?;
    Some(format!("facts/{hex}.json"))
}

/// `sha256:` and the lower-case hexadecimal digest of `bytes`, as leaves write digests.
pub fn digest_text(bytes: &[u8]) -> String {
    format!("sha256:{}", tree::sha256(bytes).to_hex())
}

#[cfg(test)]
mod tests;
