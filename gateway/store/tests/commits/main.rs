//! Commits: what the writer takes, in what order, and what stays of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::redundant_closure_for_method_calls
)]

mod directory;
mod leases;
mod once;
mod openings;
mod order;
#[path = "../shapes/lease.rs"]
mod shape;

use catalog::{Digest, MechanismId, ReleaseId};
use gateway_store::{CommitError, DocKind, Lease, OpenOptions, Records, Terms, Transaction, Write};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub fn now() -> Timestamp {
    "2026-11-22T08:13:45.120Z".parse().unwrap()
}

pub fn open(dir: &tempfile::TempDir) -> Records {
    Records::open(&dir.path().join("data"), OpenOptions::new(now())).unwrap().0
}

pub fn members(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub fn leaf(number: u64) -> Map<String, Value> {
    members(&json!({"kind": "decision", "number": number}))
}

pub fn commit(records: &Records, write: Write) -> Result<u64, CommitError> {
    let mut transaction = Transaction::new(now());
    transaction.writes.push(write);
    records.commit_blocking(transaction).map(|committed| committed.revision)
}

pub fn put(id: &str, body: &str) -> Write {
    Write::PutDoc { kind: DocKind::Setting, id: id.to_owned(), body: body.as_bytes().to_vec() }
}

pub fn lease(id: &str, key: &str) -> Lease {
    Lease {
        key: Digest::of(key.as_bytes()),
        columns: vec!["text".to_owned(), "時間".to_owned()],
        redact: true,
        price: Some(json!({"model": "free"})),
        mechanism: Some(MechanismId::parse("m-1").unwrap()),
        release: Some(ReleaseId::parse("x-1").unwrap()),
        ..shape::lease(id, now(), 24)
    }
}

pub fn put_lease(records: &Records, lease: &Lease, at: Timestamp) -> Result<u64, CommitError> {
    let mut transaction = Transaction::new(at);
    let leaf = transaction.leaf(members(&json!({"kind": "decision", "lease": lease.id.as_str()})));
    transaction.writes.push(Write::PutLease { lease: lease.clone(), terms: Terms::default(), stream: None, leaf });
    records.commit_blocking(transaction).map(|committed| committed.first_leaf)
}
