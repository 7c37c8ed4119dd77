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
