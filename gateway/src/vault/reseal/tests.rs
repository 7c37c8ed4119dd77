#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use catalog::Digest;
use gateway_store::{Idempotency, OpenOptions};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use rusqlite::{Connection, params};
use serde_json::json;

use super::super::UnsealError;
use super::*;

const AT: Timestamp = Timestamp::UNIX_EPOCH;
const ALICE: &str = "spiffe://hku.hk/researcher/alice";

/// A store as a release left it that had one key for everything.
struct Earlier {
    folder: tempfile::TempDir,
    records: Records,
    secrets: Secrets,
    database: Connection,
}

impl Earlier {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("seal.key"), [7; 32]).unwrap();
        let (records, _) = Records::open(&folder.path().join("data"), OpenOptions::new(AT)).unwrap();
        let vault = Vault::open(records.clone(), &folder.path().join("kek"), &folder.path().join("seal.key"), AT);
        let secrets = Secrets::open(folder.path(), vault.unwrap()).unwrap();
        let database = Connection::open(folder.path().join("data/kouan.db")).unwrap();
        Self { folder, records, secrets, database }
    }

    fn sealed(&self, bound: &str, plain: &[u8]) -> Vec<u8> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
        self.secrets.vault.encrypt(&key, bound.as_bytes(), plain).unwrap()
    }

    /// A leaf with these openings; gives its index and the places of the openings.
    fn leaf(&self, openings: &[(&str, &str)]) -> (u64, Vec<String>) {
        let mut members = leaf::of("admin");
        members.insert("participant".to_owned(), json!("hku"));
        let salt = [9; SALT_BYTES];
        let mut places = Vec::new();
        for (field, value) in openings {
            let commitment = gateway_audit::leaf::commitment(&salt, field, value.as_bytes());
            places.push(leaf::place(&commitment, field));
            members.insert((*field).to_owned(), json!(commitment));
        }
        let mut transaction = Transaction::new(AT);
        let index = transaction.leaf(members);
        let index = self.records.commit_blocking(transaction).unwrap().index(index);
        for (field, value) in openings {
            let sealed = self.sealed(field, &[salt.as_slice(), value.as_bytes()].concat());
            let insert = "INSERT INTO opening (leaf, field, sealed) VALUES (?1, ?2, ?3)";
            self.database.execute(insert, params![index.cast_signed(), field, sealed]).unwrap();
        }
        (index, places)
    }

    fn alice(&self) -> String {
        self.secrets.keyed("principal", ALICE.as_bytes())
    }

    fn all(&self) -> Done {
        let mut done = Done::default();
        for kind in [Kind::Openings, Kind::Evidence, Kind::Answers] {
            let mut after = None;
            loop {
                let slice = slice(&self.records, &self.secrets, &Snapshot::default(), (kind, after), AT).unwrap();
                done.rows += slice.done.rows;
                done.unopened += slice.done.unopened;
                let Some(last) = slice.last else { break };
                after = Some(last);
            }
        }
        done
    }

    fn opened(&self, leaf: u64, field: &str, place: &str) -> Result<Vec<u8>, UnsealError> {
        let rows = self.records.read(|reader| reader.openings(leaf)).unwrap();
        let row = rows.into_iter().find(|row| row.field == field).unwrap();
        self.secrets.vault.unseal(row.subject, place, field, &row.sealed)
    }

    fn erase(&self, subject: &str) {
        let row = self.records.read(|reader| reader.subject(subject)).unwrap().unwrap();
        let rotation = self.secrets.vault.prepare_erasure(&row, subject).unwrap();
        let mut transaction = Transaction::new(AT);
        transaction.leaf(leaf::of("erasure"));
        transaction.writes.push(Write::Erase(Box::new(rotation.erasure.clone())));
        self.records.commit_blocking(transaction).unwrap();
        self.secrets.vault.turn(rotation);
        tokio::runtime::Runtime::new().unwrap().block_on(self.secrets.vault.settle(AT)).unwrap();
    }
}

#[test]
fn everything_of_before_comes_under_the_keys_of_those_whose_it_is_and_can_be_erased() {
    let earlier = Earlier::new();
    // More than one slice, so that the seam is walked over too.
    let leaves: Vec<_> = (0..AT_ONCE + 3).map(|_| earlier.leaf(&[("person", ALICE), ("reason", "left us")])).collect();
    let (orphan, places) = earlier.leaf(&[("reason", "nobody says who")]);
    let alice = earlier.alice();
    earlier
        .database
        .execute_batch(&format!(
            "INSERT INTO lease (seq, id, key, principal, certificate, participant, agreement, provider, dataset, version,
                 columns, redact, purpose, state, leaf, created, expires)
             VALUES (1, 'l-1', x'00', '{alice}', 'c', 'hku', 'a-1', 'qianhai', 'maps', '1', '[]', 0, 'x', 'closed', 7, 0, 1)"
        ))
        .unwrap();
    let ack = Digest::of(b"ack");
    let insert =
        "INSERT INTO receipt (lease, number, ack, body, evidence, unit_bytes, new_bytes, currency, amount, leaf, at)
         VALUES (1, 1, ?1, x'00', ?2, 0, 0, 'CNY', 0, 0, 0)";
    earlier.database.execute(insert, params![ack.as_bytes(), earlier.sealed("receipt", b"signature")]).unwrap();
    let mut transaction = Transaction::new(AT);
    let (scope, key, body, response) = (alice.clone(), "k".to_owned(), Digest::of(b"b"), b"{\"status\":200}".to_vec());
    transaction.idempotency = Some(Idempotency { scope, key, body, response });
    earlier.records.commit_blocking(transaction).unwrap();

    let rows = u64::try_from(leaves.len() * 2 + 3).unwrap();
    assert_eq!(earlier.all(), Done { rows, unopened: 0 });
    assert_eq!(earlier.all(), Done::default(), "there is nothing left");
    let (first, of_first) = leaves.last().unwrap();
    let opened = earlier.opened(*first, "reason", &of_first[1]).unwrap();
    assert_eq!(opened.get(SALT_BYTES..).unwrap(), b"left us");
    assert_eq!(earlier.opened(orphan, "reason", &places[0]).unwrap().get(SALT_BYTES..).unwrap(), b"nobody says who");
    let lease = catalog::LeaseId::parse("l-1").unwrap();
    let (subject, sealed) = earlier.records.read(|reader| reader.receipt_evidence(&lease, 1)).unwrap().unwrap();
    let evidence = earlier.secrets.vault.unseal(subject, &acks::place(&lease, &ack), "", &sealed).unwrap();
    assert_eq!(evidence, b"signature");
    let handle = earlier.records.read(|reader| reader.subject(&alice)).unwrap().unwrap().handle;
    let counted = earlier.records.read(|reader| reader.sealed_under(&handle, &alice)).unwrap();
    assert_eq!((counted.openings, counted.receipts, counted.answers), (rows - 3, 1, 1));
    let kept = earlier.records.read(|reader| reader.idempotent(&alice, "k")).unwrap().unwrap();
    assert_eq!((kept.response[0], &kept.response[1..17]), (1, handle.as_slice()), "sealed, and by whom");

    // The one key is gone, and what alice's key opened is erased with it; what is not hers stays.
    earlier.secrets.vault.destroy_before().unwrap();
    assert!(!earlier.folder.path().join("seal.key").exists());
    earlier.erase(&alice);
    assert!(matches!(earlier.opened(*first, "reason", &of_first[1]), Err(UnsealError::Erased(_))));
    let (subject, sealed) = earlier.records.read(|reader| reader.receipt_evidence(&lease, 1)).unwrap().unwrap();
    let evidence = earlier.secrets.vault.unseal(subject, &acks::place(&lease, &ack), "", &sealed);
    assert!(matches!(evidence, Err(UnsealError::Erased(_))));
    assert!(earlier.records.read(|reader| reader.idempotent(&alice, "k")).unwrap().is_none());
    assert!(earlier.opened(orphan, "reason", &places[0]).is_ok());
    earlier.erase(&earlier.secrets.keyed("principal", nobody("").as_bytes()));
    assert!(matches!(earlier.opened(orphan, "reason", &places[0]), Err(UnsealError::Erased(_))));
}

#[test]
fn what_does_not_open_is_counted_and_stays() {
    let earlier = Earlier::new();
    let (leaf, places) = earlier.leaf(&[("person", ALICE)]);
    earlier.database.execute("UPDATE opening SET sealed = x'0011' WHERE leaf = ?1", [leaf.cast_signed()]).unwrap();
    assert_eq!(earlier.all(), Done { rows: 0, unopened: 1 });
    assert!(earlier.opened(leaf, "person", &places[0]).is_err());
    let rows = earlier.records.read(|reader| reader.openings(leaf)).unwrap();
    assert_eq!((rows[0].subject, rows[0].sealed.as_slice()), (None, [0, 0x11].as_slice()));
}
