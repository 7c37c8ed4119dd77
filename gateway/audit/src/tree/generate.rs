//! Making proofs from a source of stored hashes.

use super::{NodeHash, ProofError, node_hash};

/// A perfect subtree: its root covers the entries `index << level .. (index + 1) << level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Height above the leaves; 0 is a leaf hash.
    pub level: u32,
    /// Position among the nodes of its level.
    pub index: u64,
}

/// A source of the tree's stored hashes, such as tiles.
pub trait HashReader {
    /// What can go wrong while reading; a question without answer is a [`ProofError`].
    type Error: From<ProofError>;

    /// The hash of a perfect subtree that lies wholly inside the tree.
    fn read_hash(&mut self, node: Node) -> Result<NodeHash, Self::Error>;
}

/// A part of a proof: one hash, made of the perfect subtrees `start..end` splits into.
type Range = (u64, u64);

/// The proof that entry `index` is in the tree of `size` entries: sibling hashes from the leaf
/// upwards (RFC 6962 §2.1.1).
pub fn prove_inclusion<R: HashReader>(reader: &mut R, index: u64, size: u64) -> Result<Vec<NodeHash>, R::Error> {
    hashes(reader, &inclusion_ranges(index, size)?)
}

/// The proof that the tree of `old` entries is a prefix of the tree of `new` entries
/// (RFC 6962 §2.1.2); empty when they are the same. `old` must be neither 0 nor greater than
/// `new`.
pub fn prove_consistency<R: HashReader>(reader: &mut R, old: u64, new: u64) -> Result<Vec<NodeHash>, R::Error> {
    hashes(reader, &consistency_ranges(old, new)?)
}

/// The root of the tree's first `size` entries.
pub fn tree_root<R: HashReader>(reader: &mut R, size: u64) -> Result<NodeHash, R::Error> {
    if size == 0 {
        return Ok(super::EMPTY_ROOT);
    }
    range_root(reader, (0, size))
}

/// The stored hashes an inclusion proof is made of, for a caller that has to fetch them first.
pub fn inclusion_nodes(index: u64, size: u64) -> Result<Vec<Node>, ProofError> {
    Ok(inclusion_ranges(index, size)?.into_iter().flat_map(perfect_nodes).collect())
}

/// The stored hashes a consistency proof is made of, for a caller that has to fetch them first.
pub fn consistency_nodes(old: u64, new: u64) -> Result<Vec<Node>, ProofError> {
    Ok(consistency_ranges(old, new)?.into_iter().flat_map(perfect_nodes).collect())
}

fn hashes<R: HashReader>(reader: &mut R, ranges: &[Range]) -> Result<Vec<NodeHash>, R::Error> {
    ranges.iter().map(|range| range_root(reader, *range)).collect()
}

/// The largest power of two below `n`; `n` is at least 2.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

fn inclusion_ranges(index: u64, size: u64) -> Result<Vec<Range>, ProofError> {
    if index >= size {
        return Err(ProofError::Range { start: index, end: index.saturating_add(1), size });
    }
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push((middle, high));
            high = middle;
        } else {
            path.push((low, middle));
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

fn consistency_ranges(old: u64, new: u64) -> Result<Vec<Range>, ProofError> {
    if old == 0 {
        return Err(ProofError::FromEmpty);
    }
    if old > new {
        return Err(ProofError::Range { start: 0, end: old, size: new });
    }
    let (mut low, mut high) = (0, new);
    let mut path = Vec::new();
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            path.push((middle, high));
            high = middle;
        } else {
            path.push((low, middle));
            low = middle;
        }
    }
    // From the left edge the verifier knows this subtree already: it is the old root.
    if low > 0 {
        path.push((low, high));
    }
    path.reverse();
    Ok(path)
}

/// The perfect subtrees of a range that is a node of the tree, largest first.
fn perfect_nodes((start, end): Range) -> impl Iterator<Item = Node> {
    let mut at = start;
    std::iter::from_fn(move || {
        let left = end.checked_sub(at).filter(|left| *left > 0)?;
        let level = left.ilog2();
        let node = Node { level, index: at >> level };
        at += 1 << level;
        Some(node)
    })
}

fn range_root<R: HashReader>(reader: &mut R, range: Range) -> Result<NodeHash, R::Error> {
    let mut hashes = Vec::new();
    for node in perfect_nodes(range) {
        hashes.push(reader.read_hash(node)?);
    }
    Ok(hashes.into_iter().rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or(super::EMPTY_ROOT))
}
