#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;

/// All leaves of a tree, as a source of hashes.
struct Leaves(Vec<NodeHash>);

impl From<ProofError> for Refused {
    fn from(error: ProofError) -> Self {
        Self(error)
    }
}

#[derive(Debug, PartialEq)]
struct Refused(ProofError);

impl HashReader for Leaves {
    type Error = Refused;

    fn read_hash(&mut self, node: Node) -> Result<NodeHash, Refused> {
        let first = usize::try_from(node.index << node.level).unwrap();
        Ok(subtree_root(&self.0[first..first + (1 << node.level)]))
    }
}

fn leaves(count: u64) -> Leaves {
    Leaves((0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect())
}

#[test]
fn known_hashes() {
    assert_eq!(sha256(b""), EMPTY_ROOT);
    assert_eq!(EMPTY_ROOT.to_string(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(leaf_hash(b"").to_hex(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    // RFC 6962 trees of the entries "" and 0x00, from the Certificate Transparency test data.
    assert_eq!(
        node_hash(&leaf_hash(b""), &leaf_hash(&[0])).to_hex(),
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    );
}

#[test]
fn hashes_parse_strictly() {
    let text = EMPTY_ROOT.to_string();
    assert_eq!(text.parse(), Ok(EMPTY_ROOT));
    for wrong in ["", &text[..43], &format!("{text}="), &text.replace("FU=", "FV="), "AAAA"] {
        assert!(matches!(wrong.parse::<NodeHash>(), Err(ProofError::Hash(_))), "{wrong}");
    }
    let json = serde_json::to_string(&EMPTY_ROOT).unwrap();
    assert_eq!(serde_json::from_str::<NodeHash>(&json).unwrap(), EMPTY_ROOT);
}

#[test]
fn every_proof_of_small_trees_verifies_and_no_other_position_does() {
    for size in 1..=33 {
        let mut tree = leaves(size);
        let root = tree_root(&mut tree, size).unwrap();
        let mut frontier = Frontier::new();
        tree.0.iter().for_each(|leaf| frontier.push(*leaf));
        assert_eq!((frontier.root(), frontier.size()), (root, size));
        for index in 0..size {
            let proof = prove_inclusion(&mut tree, index, size).unwrap();
            for other in 0..size + 2 {
                let leaf = leaf_hash(&index.to_be_bytes());
                let ok = verify_inclusion(&leaf, other, size, &proof, &root).is_ok();
                assert_eq!(ok, other == index, "{index} as {other} of {size}");
            }
        }
        for old in 1..=size {
            let old_root = tree_root(&mut tree, old).unwrap();
            let proof = prove_consistency(&mut tree, old, size).unwrap();
            verify_consistency(old, size, &proof, &old_root, &root).unwrap();
            if old < size {
                assert!(verify_consistency(old, size, &proof, &root, &root).is_err());
                assert!(verify_consistency(old, size, &proof, &old_root, &old_root).is_err());
            }
        }
    }
}

#[test]
fn questions_without_answer() {
    let mut tree = leaves(4);
    let range = |start, end, size| Refused(ProofError::Range { start, end, size });
    assert_eq!(prove_inclusion(&mut tree, 4, 4), Err(range(4, 5, 4)));
    assert_eq!(prove_inclusion(&mut tree, 0, 0), Err(range(0, 1, 0)));
    assert_eq!(prove_consistency(&mut tree, 5, 4), Err(range(0, 5, 4)));
    assert_eq!(prove_consistency(&mut tree, 0, 4), Err(Refused(ProofError::FromEmpty)));
    assert_eq!(tree_root(&mut tree, 0), Ok(EMPTY_ROOT));
    let empty = verify_consistency(0, 4, &[], &EMPTY_ROOT, &EMPTY_ROOT);
    assert_eq!(empty, Err(ProofError::FromEmpty));
    assert_eq!(verify_consistency(0, 0, &[], &EMPTY_ROOT, &EMPTY_ROOT), Ok(()));
    let last = verify_inclusion(&EMPTY_ROOT, u64::MAX, u64::MAX, &[], &EMPTY_ROOT);
    assert!(matches!(last, Err(ProofError::Range { .. })));
    assert!(inclusion_nodes(u64::MAX - 1, u64::MAX).unwrap().len() < 128);
}

#[test]
fn perfect_subtrees_are_appended_only_where_they_fit() {
    let mut tree = Frontier::new();
    tree.push(EMPTY_ROOT);
    let before = tree.clone();
    assert!(!tree.push_perfect(8, EMPTY_ROOT));
    assert!(!tree.push_perfect(64, EMPTY_ROOT));
    assert_eq!(tree, before);

    let mut by_tiles = Frontier::new();
    let mut by_leaves = Frontier::new();
    let Leaves(all) = leaves(1024);
    for tile in all.chunks(256) {
        assert!(by_tiles.push_perfect(8, subtree_root(tile)));
        for leaf in tile {
            by_leaves.push(*leaf);
        }
        assert_eq!(by_tiles.root(), by_leaves.root());
    }
}
