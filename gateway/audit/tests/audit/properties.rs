//! Properties over random trees, and parsers that meet arbitrary bytes.

use gateway_audit::leaf::{Leaf, LeafHead};
use gateway_audit::note::{Ed25519Signer, Note, Signer as _, VerifierKey};
use gateway_audit::tiles::{TileLevel, TilePath, TileReader, bundle_entries, inclusion_tiles, tile_hashes};
use gateway_audit::tree::{leaf_hash, verify_consistency, verify_inclusion};
use gateway_audit::witness::WitnessPolicy;
use gateway_audit::witness::request::AddCheckpoint;
use gateway_audit::{Checkpoint, DisclosedField, Disclosure, LogProof, NodeHash, SignedCheckpoint, TileBuilder};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

use super::memory_log::{MemoryLog, verify};

/// The files and the root of a log of `size` entries that grew in the given steps.
fn grow(size: u64, steps: &[u64]) -> (BTreeMap<String, Vec<u8>>, NodeHash) {
    let (mut builder, mut files) = (TileBuilder::new(), BTreeMap::new());
    let mut steps = steps.iter().copied().chain(std::iter::repeat(size.max(1)));
    while builder.size() < size {
        let step = steps.next().unwrap().min(size - builder.size());
        let from = builder.size();
        let entries: Vec<_> = (from..from + step).map(u64::to_be_bytes).collect();
        for file in builder.append(&entries).unwrap().files {
            files.insert(file.path.to_string(), file.bytes);
        }
    }
    (files, builder.root())
}

fn reader(
    size: u64,
    files: &BTreeMap<String, Vec<u8>>,
) -> TileReader<impl FnMut(&TilePath) -> Result<Option<Vec<u8>>, String>> {
    TileReader::new(size, |path| Ok(files.get(&path.to_string()).cloned()))
}

/// The root as RFC 6962 §2.1 defines it.
fn naive_root(from: u64, to: u64) -> NodeHash {
    match to - from {
        0 => gateway_audit::tree::EMPTY_ROOT,
        1 => leaf_hash(&from.to_be_bytes()),
        n => {
            let middle = from + (1 << (n - 1).ilog2());
            gateway_audit::tree::node_hash(&naive_root(from, middle), &naive_root(middle, to))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn proofs_from_tiles_verify_and_wrong_ones_do_not(
        size in 1u64..1500,
        steps in prop::collection::vec(1u64..400, 0..8),
        index in any::<prop::sample::Index>(),
        old in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(),
    ) {
        let (files, root) = grow(size, &steps);
        prop_assert_eq!(root, naive_root(0, size));
        let mut tiles = reader(size, &files);
        prop_assert_eq!(tiles.root().unwrap(), root);

        let index = index.index(usize::try_from(size).unwrap()) as u64;
        let leaf = leaf_hash(&index.to_be_bytes());
        prop_assert_eq!(tiles.leaf(index).unwrap(), leaf);
        let proof = tiles.inclusion(index).unwrap();
        prop_assert!(verify_inclusion(&leaf, index, size, &proof, &root).is_ok());
        prop_assert!(verify_inclusion(&leaf, index, size, &proof, &leaf).is_err() || size == 1);
        prop_assert!(verify_inclusion(&root, index, size, &proof, &root).is_err() || size == 1);
        prop_assert!(verify_inclusion(&leaf, size, size, &proof, &root).is_err());
        let needed: BTreeSet<_> = inclusion_tiles(index, size).unwrap().into_iter().collect();
        prop_assert!(needed.iter().all(|path| files.contains_key(&path.to_string())));

        let old = old.index(usize::try_from(size).unwrap()) as u64 + 1;
        let old_root = naive_root(0, old);
        let consistency = tiles.consistency(old).unwrap();
        prop_assert!(verify_consistency(old, size, &consistency, &old_root, &root).is_ok());
        prop_assert!(verify_consistency(old, size, &consistency, &leaf, &root).is_err() || leaf == old_root);

        if !proof.is_empty() {
            let mut wrong = proof.clone();
            let at = flip.index(wrong.len());
            wrong[at] = leaf_hash(b"other");
            prop_assert!(verify_inclusion(&leaf, index, size, &wrong, &root).is_err());
            wrong = proof.clone();
            wrong.remove(at);
            prop_assert!(verify_inclusion(&leaf, index, size, &wrong, &root).is_err());
            wrong = proof.clone();
            wrong.push(root);
            prop_assert!(verify_inclusion(&leaf, index, size, &wrong, &root).is_err());
        }
        if !consistency.is_empty() {
            let mut wrong = consistency.clone();
            let at = flip.index(wrong.len());
            wrong[at] = leaf_hash(b"other");
            prop_assert!(verify_consistency(old, size, &wrong, &old_root, &root).is_err());
            wrong = consistency.clone();
            wrong.remove(at);
            prop_assert!(verify_consistency(old, size, &wrong, &old_root, &root).is_err());
        }
    }

    #[test]
    fn a_log_is_the_same_however_it_grew(
        size in 0u64..900,
        steps in prop::collection::vec(1u64..300, 0..6),
    ) {
        let (stepwise, root) = grow(size, &steps);
        let (at_once, same) = grow(size, &[]);
        prop_assert_eq!(root, same);
        for (path, bytes) in at_once {
            prop_assert_eq!(stepwise.get(&path), Some(&bytes));
        }
    }

    #[test]
    fn paths_print_and_parse(level in 0u8..64, index in 0u64..1 << 56, width in 1u16..=256) {
        for level in [TileLevel::Hashes(level), TileLevel::Entries] {
            let path = TilePath::new(level, index, width).unwrap();
            prop_assert_eq!(path.to_string().parse::<TilePath>(), Ok(path));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn parsing_arbitrary_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        parse_all(&bytes);
    }

    #[test]
    fn parsing_damaged_input_never_panics(
        which in 0usize..6,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = samples().swap_remove(which);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        parse_all(&bytes);
    }
}

fn samples() -> Vec<Vec<u8>> {
    let signer = Ed25519Signer::from_seed("gw.example/audit", &[1; 32]).unwrap();
    let origin = "gw.example/audit".to_owned();
    let checkpoint = Checkpoint { origin, size: 2, root: naive_root(0, 2) };
    let checkpoint = checkpoint.sign(&[&signer]).unwrap();
    let hashes = vec![leaf_hash(b"x")];
    let salted = DisclosedField::new("person", &[7; 32], "spiffe://hku.hk/researcher/李明".as_bytes());
    let proof = LogProof { extra: Some(vec![1]), index: 1, hashes, checkpoint: checkpoint.clone() };
    vec![
        checkpoint.to_text().into_bytes(),
        proof.to_text().into_bytes(),
        signer.verifier().to_string().into_bytes(),
        b"tile/0/x001/x234/067.p/8".to_vec(),
        serde_json::to_vec(&disclosure(salted)).unwrap(),
        b"{\"a\":[1,{\"b\":\"\\u001f\\n\"}],\"at\":\"2026-11-22T08:13:45.12Z\",\"kind\":\"cut\",\"v\":1}".to_vec(),
    ]
}

fn disclosure(field: DisclosedField) -> Disclosure {
    let commitment = "c:0c6d1b0d7d31d3c2f3bb5bd5f05ff0aa8e8d4e0cbb0b5a7bb3de0eab4c2f3e11";
    let leaf = serde_json::json!({"v": 1, "kind": "decision", "at": "2026-11-28T04:00:00.000Z", "person": commitment});
    let leaf = leaf.as_object().unwrap().clone();
    Disclosure { origin: "gw.example/audit".to_owned(), index: 4, leaf, fields: vec![field], access: 9 }
}

/// Every parser of the crate. What is accepted must print as it was read.
fn parse_all(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_text().as_bytes(), bytes);
    }
    if let Ok(checkpoint) = SignedCheckpoint::parse(bytes) {
        assert_eq!(checkpoint.to_text().as_bytes(), bytes);
    }
    if let Ok(proof) = LogProof::parse(bytes) {
        assert_eq!(proof.to_text().as_bytes(), bytes);
        let _ = proof.verify(bytes, None);
    }
    if let Ok(leaf) = Leaf::parse(bytes) {
        assert_eq!(serde_json_canonicalizer::to_vec(&leaf).unwrap(), bytes);
    }
    let _ = LeafHead::read(bytes);
    if let Ok(disclosure) = Disclosure::parse(bytes) {
        // Of a commitment that is another's: no damage makes it open.
        assert!(disclosure.verify().is_err());
        let again = serde_json::to_vec(&disclosure).unwrap();
        assert_eq!(Disclosure::parse(&again).unwrap(), disclosure);
    }
    let _ = WitnessPolicy::parse(bytes);
    let _ = AddCheckpoint::parse(bytes);
    for width in [1, 3, 256] {
        let path = TilePath::new(TileLevel::Hashes(0), 0, width).unwrap();
        let _ = tile_hashes(&path, bytes);
        let _ = bundle_entries(&path, bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = text.parse::<NodeHash>();
    let _ = Ed25519Signer::parse(&text);
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(path) = text.parse::<TilePath>() {
        assert_eq!(path.to_string(), text);
    }
    let mut log = MemoryLog::new();
    log.files.all.insert("checkpoint".into(), bytes.to_vec());
    let _ = verify(&log.files, None, Some(bytes));
}
