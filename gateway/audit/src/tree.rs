//! The RFC 6962 §2.1 Merkle tree over SHA-256: hashes, the right frontier of a growing tree,
//! and the two kinds of proof.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

mod check;
mod generate;

pub use check::{verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion};
pub use generate::{
    HashReader, Node, consistency_nodes, inclusion_nodes, prove_consistency, prove_inclusion, tree_root,
};

/// Most hashes a proof can hold: the height of a tree of 2^64 entries, and the extra node
/// with which a consistency proof may begin.
pub const PROOF_HASHES_MAX: usize = 65;

/// A SHA-256 hash of a leaf, of an inner node, or of a whole tree.
///
/// Prints and parses as standard base64 with padding, as checkpoints and proofs write it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeHash([u8; 32]);

/// The root of the empty tree: SHA-256 of nothing (RFC 6962 §2.1).
pub const EMPTY_ROOT: NodeHash = NodeHash([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// Why a proof was not accepted, or could not be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index or the sizes do not fit together: the question has no answer.
    #[error("the range {start}..{end} does not lie in a tree of {size} entries as a subtree")]
    Range {
        /// First entry.
        start: u64,
        /// One past the last entry.
        end: u64,
        /// Entries in the tree.
        size: u64,
    },
    /// Every tree contains the empty one, so such a proof would prove nothing.
    #[error("a proof from the empty tree proves nothing")]
    FromEmpty,
    /// The proof has too few or too many hashes for this position.
    #[error("the proof has {got} hashes, which is not the length for this position and size")]
    Length {
        /// Hashes in the proof.
        got: usize,
    },
    /// The proof leads to another hash than the trusted one.
    #[error("the proof leads to {got}, expected {expected}")]
    Root {
        /// The trusted hash.
        expected: NodeHash,
        /// What the proof computes.
        got: NodeHash,
    },
    /// A string that is not the base64 of 32 bytes.
    #[error("`{0}` is not the base64 of a 32-byte hash")]
    Hash(String),
}

impl NodeHash {
    /// A hash from its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash in lower-case hexadecimal, as `sha256sum` prints it.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    fn from_digest(digest: &digest::Digest) -> Self {
        // SHA-256 gives 32 bytes; there is no other case.
        Self(digest.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Display for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeHash({self})")
    }
}

impl FromStr for NodeHash {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| ProofError::Hash(shorten(text)))
    }
}

impl serde::Serialize for NodeHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for NodeHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> NodeHash {
    NodeHash::from_digest(&digest::digest(&digest::SHA256, bytes))
}

/// The hash of an entry: SHA-256(0x00 ‖ entry), RFC 6962 §2.1.
pub fn leaf_hash(entry: &[u8]) -> NodeHash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[0]);
    context.update(entry);
    NodeHash::from_digest(&context.finish())
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right), RFC 6962 §2.1.
pub fn node_hash(left: &NodeHash, right: &NodeHash) -> NodeHash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[1]);
    context.update(&left.0);
    context.update(&right.0);
    NodeHash::from_digest(&context.finish())
}

/// The root of a range that is complete in itself: `hashes` are consecutive nodes of one level,
/// from a position that is a multiple of their count rounded up to a power of two.
///
/// Of a full tile's 256 hashes it gives the one hash that the tile above holds.
pub fn subtree_root(hashes: &[NodeHash]) -> NodeHash {
    let mut range = Frontier::new();
    for hash in hashes {
        range.push(*hash);
    }
    range.root()
}

/// The right edge of a growing tree: the roots of the perfect subtrees that the tree's size
/// splits into, largest first. Enough to append and to know the root; at most 64 hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    // INVARIANT (frontier): one hash for each set bit of `size`, from the highest to the lowest.
    hashes: Vec<NodeHash>,
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Entries in the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends one leaf, given its hash.
    pub fn push(&mut self, leaf: NodeHash) {
        self.push_perfect(0, leaf);
    }

    /// Appends a perfect subtree of `1 << level` leaves, given its root.
    ///
    /// The size must be a multiple of `1 << level`; otherwise that subtree would not be a node
    /// of the tree, and nothing is appended.
    pub fn push_perfect(&mut self, level: u32, root: NodeHash) -> bool {
        let Some(grown) = 1u64
            .checked_shl(level)
            .filter(|width| self.size.is_multiple_of(*width))
            .and_then(|width| self.size.checked_add(width))
        else {
            return false;
        };
        // Each trailing one of the old size, above `level`, is a sibling to be merged with.
        let merges = (self.size >> level).trailing_ones();
        let mut node = root;
        for _ in 0..merges {
            if let Some(left) = self.hashes.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.hashes.push(node);
        self.size = grown;
        true
    }

    /// The root of the tree as it stands.
    pub fn root(&self) -> NodeHash {
        self.root_before(None).unwrap_or(EMPTY_ROOT)
    }

    /// The root of this tree followed by `right`, the root of what stands to its right and is
    /// smaller than its smallest perfect subtree. Nothing if both are empty.
    pub(crate) fn root_before(&self, right: Option<NodeHash>) -> Option<NodeHash> {
        let from_the_right = right.into_iter().chain(self.hashes.iter().rev().copied());
        from_the_right.reduce(|right, left| node_hash(&left, &right))
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(DIGITS.get(usize::from(nibble)));
        }
    }
    text
}

/// The first 80 characters of something from outside, for an error message.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
