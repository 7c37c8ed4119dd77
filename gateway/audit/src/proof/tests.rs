#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::note::{Ed25519Signer, Signer as _};
use crate::tree::node_hash;

fn proof() -> (LogProof, VerifierKey) {
    let signer = Ed25519Signer::from_seed("gw.example/audit", &[1; 32]).unwrap();
    let hashes = vec![leaf_hash(b"a")];
    let root = node_hash(&leaf_hash(b"a"), &leaf_hash(b"b"));
    let checkpoint = Checkpoint { origin: "gw.example/audit".into(), size: 2, root };
    let checkpoint = checkpoint.sign(&[&signer]).unwrap();
    (LogProof { extra: None, index: 1, hashes, checkpoint }, signer.verifier().clone())
}

#[test]
fn proofs_read_back_and_verify() {
    let (mut proof, key) = proof();
    for extra in [None, Some(b"{}".to_vec())] {
        proof.extra = extra;
        let text = proof.to_text();
        let read = LogProof::parse(text.as_bytes()).unwrap();
        assert_eq!(read, proof);
        assert_eq!(read.verify(b"b", Some(&key)).unwrap().size, 2);
        assert_eq!(read.verify(b"b", None).unwrap().size, 2);
    }
    let text = proof.to_text();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra e30=\nindex 1\n"), "{text}");
}

#[test]
fn wrong_entries_indices_and_keys_do_not_verify() {
    let (mut proof, key) = proof();
    let wrong = proof.verify(b"c", Some(&key));
    assert!(matches!(wrong, Err(LogProofError::Entry { index: 1, .. })));
    let other = Ed25519Signer::from_seed("gw.example/audit", &[2; 32]).unwrap();
    let wrong = proof.verify(b"b", Some(other.verifier()));
    assert!(matches!(wrong, Err(LogProofError::Checkpoint(NoteError::Unsigned(_)))));
    proof.index = 0;
    assert!(proof.verify(b"b", None).is_err());
}

#[test]
fn malformed_proofs_name_the_line() {
    let (proof, _) = proof();
    let text = proof.to_text();
    let hash = proof.hashes[0].to_string();
    for (wrong, line) in [
        (text.replace("@v1", "@v2"), 1),
        (text.replace("\n\ngw", "\ngw"), 4),
        (text.replace("index 1", "index 01"), 2),
        (text.replace("index 1", "extra !\nindex 1"), 2),
        (text.replace("index 1", "extra e30=\nextra e30=\nindex 1"), 3),
        (text.replace(&hash, "AAAA"), 3),
        (text.replace(&hash, &vec![hash.as_str(); PROOF_HASHES_MAX + 1].join("\n")), 68),
    ] {
        match LogProof::parse(wrong.as_bytes()) {
            Err(LogProofError::Format { line: at, .. }) => assert_eq!(at, line, "{wrong}"),
            other => panic!("{other:?} for {wrong}"),
        }
    }
    let unsigned = text.replace("— gw", "- gw");
    assert!(matches!(LogProof::parse(unsigned.as_bytes()), Err(LogProofError::Checkpoint(_))));
}
