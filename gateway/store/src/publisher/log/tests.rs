#![allow(clippy::unwrap_used)]
use std::os::unix::fs::PermissionsExt as _;

use catalog::Digest;
use gateway_audit::Ed25519Signer;
use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::records::OpenOptions;
use crate::transaction::Transaction;

/// A checkpoint that waited for facts that come while it is made would wait for as long as any come.
#[test]
fn facts_that_come_meanwhile_wait_for_the_next_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("log.key");
    fs::write(&key, Ed25519Signer::key_file("gw.example/audit", &[7; 32]).unwrap()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let options = PublisherOptions::new(key, dir.path().join("guard.json"));
    let (records, _) = Records::open(&dir.path().join("data"), OpenOptions::new(Timestamp::UNIX_EPOCH)).unwrap();
    let mut log = Log::resume(&records, Keys::load(&options, Vec::new()).unwrap(), &options).unwrap();
    for number in 0..5 {
        let facts = json!({"number": number}).to_string().into_bytes();
        let mut transaction = Transaction::new(Timestamp::UNIX_EPOCH);
        let leaf = json!({"kind": "decision", "facts": Digest::of(&facts)});
        transaction.leaf(leaf.as_object().unwrap().clone());
        transaction.facts.push((Digest::of(&facts), facts));
        records.commit_blocking(transaction).unwrap();
    }
    let files = || fs::read_dir(records.dir().join(FACTS_DIR)).unwrap().count();
    log.export_facts(2).unwrap();
    assert_eq!((log.facts, files()), (2, 2));
    assert_eq!(log.publish().unwrap().size, 5);
    assert_eq!((log.facts, files()), (5, 5), "those of every leaf under the checkpoint");
}
