#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;

use gateway_audit::{Checkpoint, Ed25519Signer, LeafDraft, LeafKind, Signer, TileBuilder};
use jiff::Timestamp;
use serde_json::Value;

use crate::exit::Exit;
use crate::testing::captured;

async fn verify(dir: &Path, more: &[&str]) -> (Exit, Value) {
    let (mut io, captured) = captured([]);
    let mut words = vec!["kouan", "audit", "verify", "--json", dir.to_str().unwrap()];
    words.extend(more);
    let cli = crate::parse(words, &mut io).unwrap();
    let exit = crate::execute(&cli, &mut io).await;
    (exit, serde_json::from_str(&captured.out()).unwrap())
}

/// A log of three entries in `dir/log`, its facts in `dir/facts`, its key in `dir/log.vkey`.
fn log(dir: &Path) {
    let facts = br#"{"facts":1}"#;
    let digest = gateway_audit::leaf::digest_text(facts);
    let entries: Vec<Vec<u8>> = (0..3)
        .map(|second| {
            let at = Timestamp::from_second(1_795_000_000 + second).unwrap();
            let draft = LeafDraft::new(LeafKind::Decision, at).participant("hku").effect("deny").facts(&digest);
            draft.build().unwrap().leaf.bytes().to_vec()
        })
        .collect();
    let mut builder = TileBuilder::new();
    let writes = builder.append(&entries).unwrap();
    let place = |path: &str| {
        let place = dir.join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    };
    for file in &writes.files {
        std::fs::write(place(&format!("log/{}", file.path)), &file.bytes).unwrap();
    }
    let signer = Ed25519Signer::from_seed("kouan.example/log", &[7; 32]).unwrap();
    let head = Checkpoint { origin: "kouan.example/log".to_owned(), size: writes.size, root: writes.root };
    std::fs::write(place("log/checkpoint"), head.sign(&[&signer as &dyn Signer]).unwrap().to_text()).unwrap();
    std::fs::write(place("log.vkey"), format!("{}\n", signer.verifier())).unwrap();
    let name = gateway_audit::leaf::facts_path(&digest).unwrap();
    std::fs::write(place(&name), facts).unwrap();
}

#[tokio::test]
async fn a_log_is_verified_with_its_key_and_only_consistent_without() {
    let dir = tempfile::tempdir().unwrap();
    log(dir.path());
    let key = dir.path().join("log.vkey");
    let (exit, report) = verify(&dir.path().join("log"), &["--key", key.to_str().unwrap()]).await;
    assert_eq!((exit, report["verdict"].as_str()), (Exit::Success, Some("verified")), "{report}");
    assert_eq!(report["checked"]["facts"], 1, "{report}");
    let (exit, report) = verify(&dir.path().join("log"), &[]).await;
    assert_eq!((exit, report["verdict"].as_str()), (Exit::Success, Some("self-consistent only")));
    let old = dir.path().join("log/checkpoint");
    let (exit, _) = verify(&dir.path().join("log"), &["--since", old.to_str().unwrap()]).await;
    assert_eq!(exit, Exit::Success);
}

#[tokio::test]
async fn the_first_thing_that_is_wrong_is_named() {
    let dir = tempfile::tempdir().unwrap();
    log(dir.path());
    let bundle = dir.path().join("log/tile/entries/000.p/3");
    let mut bytes = std::fs::read(&bundle).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let (exit, report) = verify(&dir.path().join("log"), &[]).await;
    assert_eq!(exit, Exit::Integrity);
    assert_eq!(report["finding"]["index"], 2, "{report}");
    assert_eq!(report["error"]["code"], "integrity");

    log(dir.path());
    let facts = std::fs::read_dir(dir.path().join("facts")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(facts, "{}").unwrap();
    let (exit, report) = verify(&dir.path().join("log"), &[]).await;
    assert_eq!((exit, report["finding"]["what"].as_str()), (Exit::Integrity, Some("facts")), "{report}");

    let (exit, report) = verify(dir.path(), &[]).await;
    assert_eq!((exit, report["error"]["code"].as_str()), (Exit::NotFound, Some("not_found")));
}
