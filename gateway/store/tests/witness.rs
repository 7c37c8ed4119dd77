//! A witness's memory: one history wins whoever asks at once, and nothing is forgotten.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Barrier;
use std::time::Duration;

use gateway_audit::note::{Ed25519Signer, Signer as _};
use gateway_audit::tree::{leaf_hash, node_hash};
use gateway_audit::witness::{AddCheckpoint, Refusal, Seen, Witness};
use gateway_audit::{Checkpoint, Cosigner, NodeHash};
use gateway_store::{WitnessStore, WitnessStoreError};
use jiff::Timestamp;

const ORIGIN: &str = "gw.example/audit";

fn witness() -> Witness {
    let log = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
    Witness::new(Cosigner::from_seed("witness.example/w", &[2; 32]).unwrap(), vec![log.verifier().clone()])
}

/// A request for a tree of two entries, the first of which is common to all histories.
fn request(old: u64, second: &str) -> (String, NodeHash) {
    let (first, second) = (leaf_hash(b"first"), leaf_hash(second.as_bytes()));
    let root = node_hash(&first, &second);
    let log = Ed25519Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 2, root }.sign(&[&log]).unwrap();
    let proof = if old == 1 { vec![second] } else { Vec::new() };
    (AddCheckpoint { old, proof, checkpoint }.to_text(), root)
}

fn ask(store: &WitnessStore, witness: &Witness, body: &str) -> Result<Seen, Refusal> {
    let request = witness.authenticate(body.as_bytes())?;
    let now = Timestamp::from_second(1_790_000_000).unwrap();
    let at = Duration::from_secs(1_790_000_000);
    let note = request.checkpoint().to_text();
    let judged = store.witness((request.origin(), &note), now, |seen| witness.step(seen, &request, at)).unwrap();
    judged.map(|cosigned| cosigned.seen)
}

#[test]
fn of_many_histories_at_once_exactly_one_wins() {
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let (store, witness) = (WitnessStore::create(&dir.path().join("w/seen.db")).unwrap(), witness());
        let start = Barrier::new(8);
        let cosigned: Vec<Seen> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|history| {
                    let (store, witness, start) = (&store, &witness, &start);
                    scope.spawn(move || {
                        let (body, _) = request(0, &format!("{round} {history}"));
                        start.wait();
                        ask(store, witness, &body)
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
        });
        assert_eq!(cosigned.len(), 1);
        assert_eq!(store.seen(ORIGIN).unwrap(), cosigned[0]);
    }
}

#[test]
fn what_was_seen_and_what_contradicts_it_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seen.db");
    assert!(matches!(WitnessStore::open(&path), Err(WitnessStoreError::Missing(_))));
    let (witness, (body, root)) = (witness(), request(0, "second"));
    let store = WitnessStore::create(&path).unwrap();
    assert_eq!(store.seen(ORIGIN).unwrap(), Seen::default());
    assert!(matches!(WitnessStore::open(&path), Err(WitnessStoreError::InUse(_))));
    assert_eq!(ask(&store, &witness, &body), Ok(Seen { size: 2, root }));
    drop(store);
    let store = WitnessStore::open(&path).unwrap();
    assert_eq!(store.seen(ORIGIN).unwrap(), Seen { size: 2, root });
    assert_eq!(store.seen("another.example/audit").unwrap(), Seen::default());
    // Asking from where it was not is no contradiction; another root of the same size is, and is kept once.
    assert_eq!(ask(&store, &witness, &body).unwrap_err().status(), 409);
    assert_eq!(store.conflicts(ORIGIN).unwrap(), 0);
    let (other, _) = request(2, "another second");
    for _ in 0..3 {
        assert_eq!(ask(&store, &witness, &other), Err(Refusal::Forked(2)));
    }
    assert_eq!((store.conflicts(ORIGIN).unwrap(), store.seen(ORIGIN).unwrap()), (1, Seen { size: 2, root }));
}

#[test]
fn a_damaged_or_newer_memory_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seen.db");
    drop(WitnessStore::create(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(WitnessStore::open(&path), Err(WitnessStoreError::Damaged { .. })));
    std::fs::write(&path, b"not a database at all, but long enough to be looked at as one").unwrap();
    assert!(WitnessStore::open(&path).is_err());
}
