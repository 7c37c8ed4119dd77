//! The RFC 6962 proof vectors of transparency-dev/merkle.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_audit::NodeHash;
use gateway_audit::tree::{
    ProofError, sha256, verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
};
use serde::Deserialize;

use super::vectors::unpack;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    leaf_idx: Option<u64>,
    tree_size: Option<u64>,
    start: Option<u64>,
    end: Option<u64>,
    size: Option<u64>,
    size1: Option<u64>,
    size2: Option<u64>,
    root: Option<String>,
    root1: Option<String>,
    root2: Option<String>,
    leaf_hash: Option<String>,
    proof: Option<Vec<String>>,
    want_err: bool,
}

/// The vectors also hold 'hashes' of other lengths. Ours have 32 bytes by type, so those stand
/// for some other hash that nothing leads to; one for leaves, one for inner nodes.
fn hash(role: &str, text: Option<&String>) -> NodeHash {
    let bytes = STANDARD.decode(text.unwrap()).unwrap();
    match <[u8; 32]>::try_from(bytes) {
        Ok(bytes) => NodeHash::from_bytes(bytes),
        Err(bytes) => sha256(&[role.as_bytes(), bytes.as_slice()].concat()),
    }
}

fn run(kind: &str, case: &Case) -> Result<(), ProofError> {
    let proof: Vec<_> = case.proof.iter().flatten().map(|text| hash("node", Some(text))).collect();
    let root = || hash("node", case.root.as_ref());
    let roots = || (hash("node", case.root1.as_ref()), hash("node", case.root2.as_ref()));
    let leaf = || hash("leaf", case.leaf_hash.as_ref());
    let index = || case.leaf_idx.unwrap();
    let range = || (case.start.unwrap(), case.end.unwrap());
    match kind {
        "inclusion" => verify_inclusion(&leaf(), index(), case.tree_size.unwrap(), &proof, &root()),
        "subtreeinclusion" => verify_subtree_inclusion(&leaf(), index(), range(), &proof, &root()),
        "consistency" => {
            let (old, new) = roots();
            verify_consistency(case.size1.unwrap(), case.size2.unwrap(), &proof, &old, &new)
        }
        "subtreeconsistency" => {
            let (part, whole) = roots();
            verify_subtree_consistency(range(), case.size.unwrap(), &proof, &part, &whole)
        }
        other => panic!("unknown kind {other}"),
    }
}

fn json_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            json_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

#[test]
fn merkle_vectors() {
    let Some(dir) = unpack("merkle-vectors.tar.gz") else {
        return;
    };
    let (mut cases, mut wrong) = (0, Vec::new());
    for kind in ["inclusion", "subtreeinclusion", "consistency", "subtreeconsistency"] {
        let mut files = Vec::new();
        json_files(&dir.path().join("testdata").join(kind), &mut files);
        for file in files {
            let case: Case = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            let result = run(kind, &case);
            if result.is_err() != case.want_err {
                wrong.push(format!("{}: {result:?}", file.display()));
            }
            cases += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cases, 518);
}
