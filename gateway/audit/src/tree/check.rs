//! Checking proofs. Nothing here trusts the proof's length or contents.

use super::{EMPTY_ROOT, NodeHash, ProofError, node_hash};

/// Checks that the entry with hash `leaf` is number `index` of the tree with `size` entries and
/// root `root` (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(
    leaf: &NodeHash,
    index: u64,
    size: u64,
    proof: &[NodeHash],
    root: &NodeHash,
) -> Result<(), ProofError> {
    let out_of_range = ProofError::Range { start: index, end: index.saturating_add(1), size };
    let Some(last) = size.checked_sub(1).filter(|last| index <= *last) else {
        return Err(out_of_range);
    };
    let wrong_length = ProofError::Length { got: proof.len() };
    let (mut at, mut edge, mut hash) = (index, last, *leaf);
    for sibling in proof {
        if edge == 0 {
            return Err(wrong_length);
        }
        if at & 1 == 1 || at == edge {
            hash = node_hash(sibling, &hash);
            // On the right edge the levels without a sibling are passed over.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                edge >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        edge >>= 1;
    }
    if edge != 0 {
        return Err(wrong_length);
    }
    same(root, hash)
}

/// Checks that the tree with `old` entries and `old_root` is a prefix of the tree with `new`
/// entries and `new_root` (RFC 9162 §2.1.4.2). From the empty tree there is nothing to prove:
/// that is [`ProofError::FromEmpty`], unless both are empty and both roots say so.
pub fn verify_consistency(
    old: u64,
    new: u64,
    proof: &[NodeHash],
    old_root: &NodeHash,
    new_root: &NodeHash,
) -> Result<(), ProofError> {
    if old == 0 {
        if new != 0 {
            return Err(ProofError::FromEmpty);
        }
        same(&EMPTY_ROOT, *new_root)?;
    }
    verify_subtree_consistency((0, old), new, proof, old_root, new_root)
}

/// Checks that the entry with hash `leaf` is number `index` of the tree, inside the subtree
/// `start..end` whose root is `root`. `start` must be a multiple of the subtree's length rounded
/// up to a power of two.
pub fn verify_subtree_inclusion(
    leaf: &NodeHash,
    index: u64,
    (start, end): (u64, u64),
    proof: &[NodeHash],
    root: &NodeHash,
) -> Result<(), ProofError> {
    let offset = index.checked_sub(start);
    match (offset, subtree_length(start, end)) {
        (Some(offset), Some(length)) if offset < length => verify_inclusion(leaf, offset, length, proof, root),
        _ => Err(ProofError::Range { start, end, size: index.saturating_add(1) }),
    }
}

/// Checks that the subtree `start..end` with root `subtree` is part of the tree with `size`
/// entries and `root`. An empty subtree is part of every tree and `root` is not looked at.
pub fn verify_subtree_consistency(
    (start, end): (u64, u64),
    size: u64,
    proof: &[NodeHash],
    subtree: &NodeHash,
    root: &NodeHash,
) -> Result<(), ProofError> {
    let wrong_length = ProofError::Length { got: proof.len() };
    let length = subtree_length(start, end).filter(|_| end <= size);
    let Some(length) = length else {
        return Err(ProofError::Range { start, end, size });
    };
    if length == 0 {
        return if proof.is_empty() { same(&EMPTY_ROOT, *subtree) } else { Err(wrong_length) };
    }
    // `first` and `last` bound the subtree, `edge` is the tree's last node, all on one level.
    let (mut first, mut last, mut edge) = (start, end - 1, size - 1);
    while first != last && (last == edge || last & 1 == 1) {
        first >>= 1;
        last >>= 1;
        edge >>= 1;
    }
    let mut rest = proof.iter();
    let seed = if first == last { Some(subtree) } else { rest.next() };
    let Some(seed) = seed else {
        return Err(wrong_length);
    };
    let (mut part, mut whole) = (*seed, *seed);
    for sibling in rest {
        if edge == 0 {
            return Err(wrong_length);
        }
        if last & 1 == 1 || last == edge {
            if first < last {
                part = node_hash(sibling, &part);
            }
            whole = node_hash(sibling, &whole);
            while last & 1 == 0 && last != 0 {
                first >>= 1;
                last >>= 1;
                edge >>= 1;
            }
        } else {
            whole = node_hash(&whole, sibling);
        }
        first >>= 1;
        last >>= 1;
        edge >>= 1;
    }
    if edge != 0 {
        return Err(wrong_length);
    }
    same(subtree, part)?;
    same(root, whole)
}

/// The length of a range that is a subtree, else nothing.
fn subtree_length(start: u64, end: u64) -> Option<u64> {
    let length = end.checked_sub(start)?;
    let aligned = match length.checked_next_power_of_two() {
        Some(width) => start.is_multiple_of(width),
        None => start == 0,
    };
    aligned.then_some(length)
}

fn same(expected: &NodeHash, got: NodeHash) -> Result<(), ProofError> {
    if *expected == got { Ok(()) } else { Err(ProofError::Root { expected: *expected, got }) }
}
