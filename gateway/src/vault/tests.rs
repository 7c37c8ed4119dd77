#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;

use gateway_store::{LeafRef, OpenOptions};
use serde_json::json;

use super::*;

const AT: Timestamp = Timestamp::UNIX_EPOCH;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> (Records, Result<Vault, SecretsError>) {
        let (records, _) = Records::open(&self.folder.path().join("data"), OpenOptions::new(AT)).unwrap();
        let vault = Vault::open(records.clone(), &self.kek(), &self.folder.path().join("seal.key"), AT);
        (records, vault)
    }

    fn kek(&self) -> PathBuf {
        self.folder.path().join("kek")
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.kek()).unwrap().count()
    }
}

/// The store as another process finds it: the thread that writes ends without a word.
fn reopened(place: &Place, records: Records, vault: Vault) -> (Records, Vault) {
    records.close();
    drop((records, vault));
    let (records, vault) = place.open();
    (records, vault.unwrap())
}

/// Everything that lies in the data directory.
fn kept(place: &Place) -> Vec<u8> {
    let data = place.folder.path().join("data");
    ["kouan.db", "kouan.db-wal"].iter().filter_map(|name| std::fs::read(data.join(name)).ok()).flatten().collect()
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn erasing(rotation: &Rotation) -> Transaction {
    let mut transaction = Transaction::new(AT);
    transaction.leaf(serde_json::Map::from_iter([("kind".to_owned(), json!("erasure"))]));
    transaction.writes.push(Write::Erase(Box::new(rotation.erasure.clone())));
    transaction
}

fn prepare(records: &Records, vault: &Vault, subject: &str) -> Rotation {
    let row = records.read(|reader| reader.subject(subject)).unwrap().unwrap();
    vault.prepare_erasure(&row, subject).unwrap()
}

fn hku() -> ParticipantId {
    ParticipantId::parse("hku").unwrap()
}

/// Commits an opening of `author` with its leaf, as requests do.
fn commit(records: &Records, vault: &Vault, author: &Author, place: &str, text: &[u8]) -> u64 {
    let mut transaction = Transaction::new(AT);
    let leaf = transaction.leaf(serde_json::Map::from_iter([("kind".to_owned(), json!("admin"))]));
    transaction.writes.extend(author.key());
    let (subject, sealed) = (author.handle(), vault.seal(author, place, text).unwrap());
    transaction.writes.push(Write::Opening { leaf, field: "person".to_owned(), subject, sealed });
    records.commit_blocking(transaction).unwrap().index(LeafRef::This(0))
}

fn opened(records: &Records, vault: &Vault, leaf: u64, place: &str) -> Result<Vec<u8>, UnsealError> {
    let row = records.read(|reader| reader.openings(leaf)).unwrap().remove(0);
    vault.unseal(row.subject, place, &row.field, &row.sealed)
}

#[test]
fn a_persons_key_comes_in_with_the_first_commit_and_opens_after_a_restart() {
    let place = Place::new();
    let (records, vault) = place.open();
    let vault = vault.unwrap();
    let alice = vault.author("alice's hash", &hku()).unwrap();
    assert!(alice.key().is_some(), "nobody has written it yet");
    assert_eq!(vault.author("alice's hash", &hku()).unwrap().handle(), alice.handle(), "two requests at once share it");
    let leaf = commit(&records, &vault, &alice, "p", b"alice");
    let again = vault.author("alice's hash", &hku()).unwrap();
    assert!(again.key().is_none() && Arc::ptr_eq(&again, &alice), "it is written once");
    assert_eq!(opened(&records, &vault, leaf, "p").unwrap(), b"alice");
    records.close();
    drop((records, vault));

    let (records, vault) = place.open();
    let vault = vault.unwrap();
    assert_eq!(vault.author("alice's hash", &hku()).unwrap().handle(), alice.handle());
    assert_eq!(opened(&records, &vault, leaf, "p").unwrap(), b"alice");
    assert_eq!(place.files(), 1);
}

#[test]
fn what_is_sealed_opens_in_its_place_and_for_its_person_only() {
    let place = Place::new();
    let (records, vault) = place.open();
    let vault = vault.unwrap();
    let (alice, bob) = (vault.author("a", &hku()).unwrap(), vault.author("b", &hku()).unwrap());
    let leaf = commit(&records, &vault, &alice, "p", b"alice");
    commit(&records, &vault, &bob, "p", b"bob");
    assert!(matches!(opened(&records, &vault, leaf, "q"), Err(UnsealError::Altered)));
    let row = records.read(|reader| reader.openings(leaf)).unwrap().remove(0);
    assert!(matches!(vault.unseal(Some(bob.handle()), "p", "", &row.sealed), Err(UnsealError::Altered)));
    let mut altered = row.sealed.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert!(matches!(vault.unseal(row.subject, "p", "", &altered), Err(UnsealError::Altered)));
    assert!(matches!(vault.unseal(row.subject, "p", "", b"short"), Err(UnsealError::Altered)));
}

#[test]
fn without_the_key_beside_the_data_directory_nothing_starts() {
    let place = Place::new();
    let (records, vault) = place.open();
    drop(vault.unwrap());
    records.close();
    drop(records);
    let file = std::fs::read_dir(place.kek()).unwrap().next().unwrap().unwrap().path();
    let right = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let (records, vault) = place.open();
    let error = vault.unwrap_err();
    assert!(matches!(&error, SecretsError::NoKek(path) if path.contains(".kek")), "{error}");
    assert_eq!(place.files(), 0, "no other key was made in its place");
    records.close();
    drop(records);
    std::fs::write(&file, right.get(1..).unwrap()).unwrap();
    assert!(matches!(place.open().1, Err(SecretsError::Length(_))));
}

#[test]
fn what_was_sealed_before_persons_had_keys_still_opens() {
    let place = Place::new();
    std::fs::write(place.folder.path().join("seal.key"), [7; 32]).unwrap();
    let (_records, vault) = place.open();
    let vault = vault.unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let sealed = vault.encrypt(&key, b"person", b"alice").unwrap();
    assert_eq!(vault.unseal(None, "p", "person", &sealed).unwrap(), b"alice");
    assert!(vault.unseal(None, "p", "certificate", &sealed).is_err());
}

#[test]
fn a_key_wrapped_with_another_than_the_stores_does_not_come_in() {
    let place = Place::new();
    let (records, vault) = place.open();
    let author = vault.unwrap().author("a", &hku()).unwrap();
    let Some(Write::SubjectKey(key)) = author.key() else { panic!("the key is new") };
    for wrong in [
        SubjectKey { kek: "00".to_owned(), ..key.clone() },
        // Another key of the same person.
        SubjectKey { handle: [9; 16], ..key.clone() },
    ] {
        let mut transaction = Transaction::new(AT);
        transaction.writes.extend([Write::SubjectKey(key.clone()), Write::SubjectKey(wrong)]);
        let refused = records.commit_blocking(transaction);
        assert!(matches!(refused, Err(gateway_store::CommitError::Conflict(_))), "{refused:?}");
    }
    assert_eq!(records.read(|reader| Ok(reader.subjects()?.len())).unwrap(), 0);
}

#[tokio::test]
async fn an_erased_persons_key_is_nowhere_and_everybody_elses_goes_on() {
    let place = Place::new();
    let (records, vault) = place.open();
    let vault = vault.unwrap();
    let (alice, bob) = (vault.author("alice", &hku()).unwrap(), vault.author("bob", &hku()).unwrap());
    let hers = commit(&records, &vault, &alice, "p", b"alice");
    let his = commit(&records, &vault, &bob, "p", b"bob");
    let note = vault.seal_prose(&alice, "ask Alice").unwrap();
    assert_eq!(vault.prose(&note), "ask Alice");
    let wrapped = records.read(|reader| reader.subject("alice")).unwrap().unwrap().wrapped.unwrap().1;
    assert!(holds(&kept(&place), &wrapped), "or the search below finds nothing whatever happens");
    let copy = tempfile::tempdir().unwrap();
    for name in ["kouan.db", "kouan.db-wal"] {
        std::fs::copy(place.folder.path().join("data").join(name), copy.path().join(name)).unwrap();
    }

    let rotation = prepare(&records, &vault, "alice");
    let leaf = records.commit(erasing(&rotation)).await.unwrap().first_leaf;
    vault.turn(rotation);
    vault.settle(AT).await.unwrap();
    assert!(matches!(opened(&records, &vault, hers, "p"), Err(UnsealError::Erased(erased)) if erased.leaf == leaf));
    assert_eq!(vault.prose(&note), "(erased on 1970-01-01T08:00:00+08:00 by leaf 2)");
    assert_eq!(opened(&records, &vault, his, "p").unwrap(), b"bob");
    assert!(!holds(&kept(&place), &wrapped), "neither in a page nor in the write-ahead log");
    assert_eq!(place.files(), 1, "the old key's file is gone");
    let again = vault.author("alice", &hku()).unwrap();
    assert!(again.handle() != alice.handle() && again.key().is_some(), "who comes back is somebody new");
    let (records, vault) = reopened(&place, records, vault);
    assert_eq!(opened(&records, &vault, his, "p").unwrap(), b"bob");
    records.close();
    drop((records, vault));

    // A backup from before, with everything that is on disk now.
    for name in ["kouan.db", "kouan.db-wal"] {
        std::fs::copy(copy.path().join(name), place.folder.path().join("data").join(name)).unwrap();
    }
    let error = place.open().1.unwrap_err();
    assert!(matches!(error, SecretsError::NoKek(_)), "{error}");
}

#[tokio::test]
async fn an_erasure_that_ends_anywhere_is_either_whole_or_not_there() {
    for (steps, erased) in [(1, false), (2, true), (3, true), (4, true)] {
        let place = Place::new();
        let (records, vault) = place.open();
        let vault = vault.unwrap();
        let (alice, bob) = (vault.author("alice", &hku()).unwrap(), vault.author("bob", &hku()).unwrap());
        let hers = commit(&records, &vault, &alice, "p", b"alice");
        let his = commit(&records, &vault, &bob, "p", b"bob");
        let rotation = prepare(&records, &vault, "alice");
        if steps >= 2 {
            records.commit(erasing(&rotation)).await.unwrap();
        }
        if steps >= 3 {
            vault.turn(rotation);
        }
        if steps >= 4 {
            // The new key has its name, the old one is still there.
            let id = vault.held().kek.id.clone();
            Kek::keep(&place.kek(), &id).unwrap();
        }
        let (records, vault) = reopened(&place, records, vault);
        assert_eq!(place.files(), 1, "after {steps} steps: one key, whichever counts");
        vault.settle(AT).await.unwrap();
        assert_eq!(opened(&records, &vault, his, "p").unwrap(), b"bob", "after {steps} steps");
        let hers = opened(&records, &vault, hers, "p");
        assert_eq!(matches!(hers, Err(UnsealError::Erased(_))), erased, "after {steps} steps: {hers:?}");
        assert!(records.read(|reader| Ok(reader.retired_kek()?.is_none())).unwrap());
        // And the next one works.
        let rotation = prepare(&records, &vault, "bob");
        records.commit(erasing(&rotation)).await.unwrap();
        vault.turn(rotation);
        vault.settle(AT).await.unwrap();
        assert_eq!(place.files(), 1);
        assert!(matches!(opened(&records, &vault, his, "p"), Err(UnsealError::Erased(_))));
    }
}

#[tokio::test]
async fn a_key_that_comes_in_between_is_not_lost() {
    let place = Place::new();
    let (records, vault) = place.open();
    let vault = vault.unwrap();
    commit(&records, &vault, &vault.author("alice", &hku()).unwrap(), "p", b"alice");
    let rotation = prepare(&records, &vault, "alice");
    let his = commit(&records, &vault, &vault.author("bob", &hku()).unwrap(), "p", b"bob");
    let refused = records.commit(erasing(&rotation)).await.unwrap_err();
    assert!(moved_on(&refused), "{refused}");
    vault.abandon(&rotation, &refused);
    assert_eq!(place.files(), 1);
    let rotation = prepare(&records, &vault, "alice");
    // One that is not in the store yet comes in under the new key, not under the old one.
    let late = vault.author("carol", &hku()).unwrap();
    records.commit(erasing(&rotation)).await.unwrap();
    let Some(Write::SubjectKey(stale)) = late.key() else { panic!("the key is new") };
    let mut transaction = Transaction::new(AT);
    transaction.writes.push(Write::SubjectKey(stale));
    assert!(moved_on(&records.commit(transaction).await.unwrap_err()));
    vault.turn(rotation);
    vault.settle(AT).await.unwrap();
    let hers = commit(&records, &vault, &vault.author("carol", &hku()).unwrap(), "p", b"carol");
    assert_eq!(opened(&records, &vault, hers, "p").unwrap(), b"carol");
    assert_eq!(opened(&records, &vault, his, "p").unwrap(), b"bob");
}
