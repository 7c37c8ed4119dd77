//! Commits: order, expectations, replays, counting, a full disk, a second opener.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::redundant_closure_for_method_calls
)]

#[path = "shapes/lease.rs"]
mod shape;

use std::sync::{Arc, Mutex};

use catalog::{Digest, LeaseId, MechanismId, ParticipantId, ReleaseId};
use gateway_store::{
    CommitError, DocKind, Expect, Expired, Idempotency, LeafRef, Lease, LeaseFilter, LeaseState, OpenError,
    OpenOptions, OpeningRow, Records, Terms, Transaction, Write,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

fn now() -> Timestamp {
    "2026-11-22T08:13:45.120Z".parse().unwrap()
}

fn open(dir: &tempfile::TempDir) -> Records {
    Records::open(&dir.path().join("data"), OpenOptions::new(now())).unwrap().0
}

fn members(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn leaf(number: u64) -> Map<String, Value> {
    members(&json!({"kind": "decision", "number": number}))
}

fn commit(records: &Records, write: Write) -> Result<u64, CommitError> {
    let mut transaction = Transaction::new(now());
    transaction.writes.push(write);
    records.commit_blocking(transaction).map(|committed| committed.revision)
}

fn put(id: &str, body: &str) -> Write {
    Write::PutDoc { kind: DocKind::Setting, id: id.to_owned(), body: body.as_bytes().to_vec() }
}

fn lease(id: &str, key: &str) -> Lease {
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

fn put_lease(records: &Records, lease: &Lease, at: Timestamp) -> Result<u64, CommitError> {
    let mut transaction = Transaction::new(at);
    let leaf = transaction.leaf(members(&json!({"kind": "decision", "lease": lease.id.as_str()})));
    transaction.writes.push(Write::PutLease { lease: lease.clone(), terms: Terms::default(), stream: None, leaf });
    records.commit_blocking(transaction).map(|committed| committed.first_leaf)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commits_get_dense_indices_and_exact_preconditions() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    records.on_commit(move |commit| {
        listener.lock().unwrap().push((commit.committed.revision, commit.docs.len()));
    });
    commit(&records, put("counter", "0")).unwrap();
    // Each adds one to the same document, which only the expectation keeps from losing any.
    let tasks = (0..64_u64).map(|number| {
        let records = records.clone();
        tokio::spawn(async move {
            let mut lost = 0;
            for round in 0..5 {
                loop {
                    let doc = records.read_async(|reader| reader.doc(DocKind::Setting, "counter")).await;
                    let doc = doc.unwrap().unwrap();
                    let count: u64 = String::from_utf8(doc.body).unwrap().parse().unwrap();
                    let mut transaction = Transaction::new(now());
                    transaction.leaf(leaf(number * 5 + round));
                    let (kind, id) = (DocKind::Setting, "counter".to_owned());
                    transaction.expect.push(Expect::Doc { kind, id, revision: Some(doc.revision) });
                    transaction.writes.push(put("counter", &(count + 1).to_string()));
                    match records.commit(transaction).await {
                        Ok(committed) => {
                            let index = committed.first_leaf;
                            let stored = records.read_async(move |reader| reader.leaf(index)).await.unwrap().unwrap();
                            let stored: Value = serde_json::from_slice(&stored).unwrap();
                            assert_eq!(stored["number"], number * 5 + round);
                            break;
                        }
                        Err(CommitError::Conflict(Expect::Doc { .. })) => lost += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            lost
        })
    });
    let mut lost = 0;
    for task in tasks.collect::<Vec<_>>() {
        lost += task.await.unwrap();
    }
    assert!(lost > 0, "no two of them ever met");
    let (leaves, doc) =
        records.read(|reader| Ok((reader.leaves(0, 1000)?, reader.doc(DocKind::Setting, "counter")?))).unwrap();
    assert_eq!(doc.unwrap().body, b"320");
    assert_eq!(leaves.len(), 320);
    let mut numbers: Vec<u64> =
        leaves.iter().map(|leaf| serde_json::from_slice::<Value>(leaf).unwrap()["number"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..320).collect::<Vec<_>>());
    assert_eq!(*records.recorded().borrow(), 320);
    let heard = heard.lock().unwrap();
    assert_eq!(heard.iter().map(|(revision, _)| *revision).collect::<Vec<_>>(), (1..=321).collect::<Vec<_>>());
    assert!(heard.iter().all(|(_, docs)| *docs == 1));
}

#[test]
fn a_leaf_is_canonical_and_never_goes_back_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let at = |seconds: i64| {
        let mut transaction = Transaction::new(now() + SignedDuration::from_secs(seconds));
        transaction.leaf(members(&json!({"kind": "admin", "z": 1, "a": "é"})));
        records.commit_blocking(transaction).unwrap()
    };
    let (first, earlier, later) = (at(0), at(-60), at(1));
    assert_eq!(earlier.at, first.at);
    assert_eq!(later.first_leaf, 2);
    let leaves = records.read(|reader| reader.leaves(0, 10)).unwrap();
    assert_eq!(
        String::from_utf8(leaves[1].clone()).unwrap(),
        r#"{"a":"é","at":"2026-11-22T08:13:45.120Z","kind":"admin","v":1,"z":1}"#
    );
    // Too long, without a kind, with a float: the caller's mistake, and nothing of the transaction stays.
    for bad in [
        json!({"kind": "admin", "text": "x".repeat(8192)}),
        json!({"text": "x"}),
        json!({"kind": "admin", "share": 0.5}),
    ] {
        let mut transaction = Transaction::new(now());
        transaction.leaf(leaf(1));
        transaction.leaf(members(&bad));
        transaction.writes.push(put("half", "1"));
        let error = records.commit_blocking(transaction).unwrap_err();
        assert!(matches!(error, CommitError::Leaf { number: 1, .. }), "{error}");
    }
    assert_eq!(
        records.read(|reader| Ok((reader.log_size()?, reader.doc(DocKind::Setting, "half")?))).unwrap(),
        (3, None)
    );
    // The clock's floor survives a restart.
    drop(records);
    let records = open(&dir);
    let mut transaction = Transaction::new(now());
    transaction.leaf(leaf(9));
    assert_eq!(records.commit_blocking(transaction).unwrap().at, later.at);
}

#[test]
fn a_retry_gets_the_first_answer_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let request = |body: &[u8], revision| {
        let mut transaction = Transaction::new(now());
        transaction.leaf(leaf(1));
        transaction.expect.push(Expect::Doc { kind: DocKind::Setting, id: "made".to_owned(), revision });
        transaction.writes.push(put("made", "1"));
        let (scope, key) = ("alice".to_owned(), "k-1".to_owned());
        let response = b"201".to_vec();
        transaction.idempotency = Some(Idempotency { scope, key, body: Digest::of(body), response });
        transaction
    };
    let records = open(&dir);
    records.commit_blocking(request(b"one", None)).unwrap();
    drop(records);
    let records = open(&dir);
    // The expectation no longer holds, because the first run fulfilled it.
    for _ in 0..2 {
        match records.commit_blocking(request(b"one", None)).unwrap_err() {
            CommitError::Replayed { response, leaf } => {
                assert_eq!((response, leaf), (b"201".to_vec(), Some(0)));
            }
            error => panic!("{error}"),
        }
    }
    match records.commit_blocking(request(b"two", Some(1))).unwrap_err() {
        CommitError::KeyReused { first, second } => {
            assert_eq!((first, second), (Digest::of(b"one"), Digest::of(b"two")));
        }
        error => panic!("{error}"),
    }
    let mut other = request(b"two", Some(1));
    other.idempotency.as_mut().unwrap().scope = "bob".to_owned();
    records.commit_blocking(other).unwrap();
    let stored = records.read(|reader| reader.idempotent("alice", "k-1")).unwrap().unwrap();
    assert_eq!((stored.body, stored.response, stored.leaf), (Digest::of(b"one"), b"201".to_vec(), Some(0)));
    assert_eq!(records.read(|reader| reader.log_size()).unwrap(), 2);
}

#[test]
fn a_failed_expectation_undoes_its_own_transaction_only() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    // Submitted together, so that some share a group.
    let handles: Vec<_> = (0..40_u64)
        .map(|number| {
            let records = records.clone();
            std::thread::spawn(move || {
                let mut transaction = Transaction::new(now());
                transaction.leaf(leaf(number));
                transaction.writes.push(put(&format!("doc-{number}"), "1"));
                let missing = LeaseId::parse("missing").unwrap();
                if number % 2 == 1 {
                    let range = 0..1;
                    let representation = "f".to_owned();
                    transaction.writes.push(Write::Grant { lease: missing, representation, range });
                }
                records.commit_blocking(transaction).map(|committed| committed.first_leaf)
            })
        })
        .collect();
    let results: Vec<_> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
    let mut indices = Vec::new();
    for (number, result) in results.into_iter().enumerate() {
        match result {
            Ok(index) if number % 2 == 0 => indices.push(index),
            Err(CommitError::Conflict(Expect::LeaseActive { .. })) if number % 2 == 1 => {}
            other => panic!("{number}: {other:?}"),
        }
    }
    indices.sort_unstable();
    assert_eq!(indices, (0..20).collect::<Vec<_>>());
    let docs = records.read(|reader| reader.docs(DocKind::Setting)).unwrap();
    assert_eq!(docs.len(), 20);
    assert!(docs.iter().all(|doc| doc.id["doc-".len()..].parse::<u64>().unwrap() % 2 == 0));
}

/// A group is written without savepoints: what is refused half-way must take nothing of the others with it, nor leave anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_half_way_leaves_nothing_and_costs_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..512_u64 {
        let records = records.clone();
        tasks.spawn(async move {
            let mut transaction = Transaction::new(now());
            transaction.leaf(leaf(number));
            transaction.writes.push(put(&format!("d-{number}"), "{}"));
            let fails = number % 8 == 0;
            if fails {
                let lease = LeaseId::parse("l-nowhere").unwrap();
                transaction.writes.push(Write::Grant { lease, representation: "x".to_owned(), range: 0..1 });
            }
            (number, fails, records.commit(transaction).await)
        });
    }
    let mut indices = Vec::new();
    while let Some(task) = tasks.join_next().await {
        let (number, fails, committed) = task.unwrap();
        let stored = records.read(|reader| reader.doc(DocKind::Setting, &format!("d-{number}"))).unwrap();
        assert_eq!((committed.is_err(), stored.is_none()), (fails, fails), "{number}: {committed:?}");
        indices.extend(committed.ok().map(|committed| committed.first_leaf));
    }
    indices.sort_unstable();
    assert_eq!(indices, (0..448).collect::<Vec<u64>>(), "dense");
    assert!(records.written().repeated() > 0, "no group held one that failed half-way");
}

#[test]
fn one_lease_lives_per_key_and_only_it_grants() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let (one, two) = (lease("l-1", "same"), lease("l-2", "same"));
    assert_eq!(put_lease(&records, &one, now()).unwrap(), 0);
    let error = put_lease(&records, &two, now()).unwrap_err();
    assert!(matches!(error, CommitError::Conflict(Expect::NoLiveLease { .. })), "{error}");
    let live = records.read(|reader| reader.live_lease(&one.key, now())).unwrap().unwrap();
    assert_eq!(live.lease, one);

    let grant = |id: &str, range, at| {
        let mut transaction = Transaction::new(at);
        let (lease, representation) = (LeaseId::parse(id).unwrap(), "file".to_owned());
        transaction.writes.push(Write::Grant { lease, representation, range });
        records.commit_blocking(transaction)
    };
    grant("l-1", 0..64, now()).unwrap();
    grant("l-1", 64..100, now()).unwrap();
    let error = grant("l-1", 5..5, now()).unwrap_err();
    assert!(matches!(error, CommitError::Invalid(_)), "{error}");
    // INV-2: an expired lease grants nothing, swept or not.
    let expired = one.expires;
    let error = grant("l-1", 0..1, expired).unwrap_err();
    assert!(matches!(error, CommitError::Conflict(Expect::LeaseActive { .. })), "{error}");
    let grants = records.read(|reader| reader.grants(&one.id)).unwrap();
    assert_eq!(grants.iter().map(|grant| grant.range.clone()).collect::<Vec<_>>(), [0..64, 64..100]);

    // It makes room for a successor, and its closing leaf is still owed.
    let mut two = two;
    two.expires = expired + SignedDuration::from_hours(1);
    put_lease(&records, &two, expired).unwrap();
    let owed = records.read(|reader| reader.unclosed_leases(10)).unwrap();
    assert_eq!((owed.len(), owed[0].lease.reason.as_deref()), (1, Some("expired")));
    let mut close = Transaction::new(expired);
    let reference = close.leaf(members(&json!({"kind": "lease_close", "lease": "l-1"})));
    close.writes.push(Write::LeaseLeaf { lease: one.id.clone(), leaf: reference });
    let closed = records.commit_blocking(close).unwrap();
    let row = records.read(|reader| reader.lease(&one.id)).unwrap().unwrap();
    assert_eq!((row.closed_leaf, row.granted_bytes), (Some(closed.first_leaf), 100));

    let cut = |state| {
        let (lease, reason) = (two.id.clone(), Some("revoked".to_owned()));
        commit(&records, Write::LeaseState { lease, state, reason, leaf: None })
    };
    cut(LeaseState::Cut).unwrap();
    let error = cut(LeaseState::Closed).unwrap_err();
    assert!(matches!(error, CommitError::Conflict(Expect::LeaseActive { .. })), "{error}");
    assert!(matches!(cut(LeaseState::Active), Err(CommitError::Invalid(_))));
    let filter = LeaseFilter { party: Some(one.provider.clone()), ..LeaseFilter::default() };
    let rows = records.read(|reader| reader.leases(&filter, None, 1)).unwrap();
    assert_eq!((rows[0].lease.id.as_str(), rows[0].lease.state), ("l-2", LeaseState::Cut));
    let rest = records.read(|reader| reader.leases(&filter, Some(rows[0].seq), 10)).unwrap();
    assert_eq!(rest.iter().map(|row| row.lease.id.as_str()).collect::<Vec<_>>(), ["l-1"]);
    let nobody = LeaseFilter { party: Some(ParticipantId::parse("cuhk").unwrap()), ..LeaseFilter::default() };
    assert!(records.read(|reader| reader.leases(&nobody, None, 10)).unwrap().is_empty());
}

#[test]
fn the_same_refusal_within_ten_minutes_has_one_leaf() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let key = Digest::of(b"alice wants it");
    let deny = |at: Timestamp| {
        let mut transaction = Transaction::new(at);
        let leaf = transaction.leaf(members(&json!({"kind": "decision", "effect": "deny"})));
        transaction.writes.push(Write::Denial { key, leaf, at });
        records.commit_blocking(transaction).map(|committed| committed.first_leaf)
    };
    let later = |minutes| now() + SignedDuration::from_mins(minutes);
    assert_eq!(deny(now()).unwrap(), 0);
    assert!(matches!(deny(later(9)), Err(CommitError::Conflict(Expect::NoDenial { .. }))));
    commit(&records, Write::DenialRepeat { key, at: later(9) }).unwrap();
    let open = records.read(|reader| reader.denial(&key, later(9))).unwrap().unwrap();
    assert_eq!((open.leaf, open.repeats), (0, 1));
    assert_eq!(records.read(|reader| reader.denial(&key, later(10))).unwrap(), None);
    let error = commit(&records, Write::DenialRepeat { key, at: later(10) }).unwrap_err();
    assert!(matches!(error, CommitError::Conflict(Expect::Denied { .. })), "{error}");
    assert!(records.read(|reader| reader.denials_due(later(9), 10)).unwrap().is_empty());
    assert_eq!(records.read(|reader| reader.denials_due(later(10), 10)).unwrap().len(), 1);
    commit(&records, Write::DenialClosed { key, first: 0 }).unwrap();
    assert!(records.read(|reader| reader.denials_due(later(10), 10)).unwrap().is_empty());
    assert_eq!(deny(later(10)).unwrap(), 1);
}

#[test]
fn reads_of_the_log_are_counted_in_their_window() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let key = Digest::of(b"chan searches between ten and eleven");
    let ends = now() + SignedDuration::from_hours(1);
    let first = |range| {
        let mut transaction = Transaction::new(now());
        let leaf = transaction.leaf(members(&json!({"kind": "access"})));
        transaction.writes.push(Write::Access { key, leaf, ends, members: "{}".to_owned(), range });
        records.commit_blocking(transaction).map(|committed| committed.first_leaf)
    };
    let more = |reads, range| commit(&records, Write::AccessMore { key, reads, range });
    assert!(matches!(more(1, None), Err(CommitError::Conflict(Expect::Access { reads: None, .. }))));
    assert_eq!(first(None).unwrap(), 0);
    assert!(matches!(first(None), Err(CommitError::Conflict(Expect::NoAccess { .. }))));
    for (reads, range, want) in
        [(2, Some((5, 9)), Some((5, 9))), (1, None, Some((5, 9))), (4, Some((3, 7)), Some((3, 9)))]
    {
        more(reads, range).unwrap();
        assert_eq!(records.read(|reader| reader.access(&key)).unwrap().unwrap().range, want);
    }
    let due = |at: Timestamp| records.read(|reader| reader.accesses_due(at, 10)).unwrap();
    assert!(due(ends - SignedDuration::from_millis(1)).is_empty());
    let rows = due(ends);
    assert_eq!((rows.len(), rows[0].reads, rows[0].leaf, rows[0].interrupted), (1, 8, 0, false));
    // What was counted after the closing leaf was made must not be forgotten with the window.
    let error = commit(&records, Write::AccessClosed { key, reads: 7 }).unwrap_err();
    assert!(matches!(error, CommitError::Conflict(Expect::Access { reads: Some(7), .. })), "{error}");
    // A copy of the running store is one that was killed.
    let killed = tempfile::tempdir().unwrap();
    std::fs::create_dir(killed.path().join("data")).unwrap();
    for file in std::fs::read_dir(dir.path().join("data")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), killed.path().join("data").join(file.file_name())).unwrap();
    }
    let row = open(&killed).read(|reader| reader.access(&key)).unwrap().unwrap();
    assert!(row.interrupted && row.reads == 8);
    commit(&records, Write::AccessClosed { key, reads: 8 }).unwrap();
    assert!(due(ends).is_empty());
    assert_eq!(first(None).unwrap(), 1);
}

#[test]
fn a_revocation_list_never_gets_older() {
    let dir = tempfile::tempdir().unwrap();
    let put = |records: &Records, number: &[u8]| {
        commit(records, Write::CrlNumber { issuer: "hku".to_owned(), number: number.to_vec() })
    };
    let records = open(&dir);
    put(&records, &[0, 9]).unwrap();
    put(&records, &[1, 0]).unwrap();
    drop(records);
    let records = open(&dir);
    assert!(matches!(put(&records, &[0, 255]), Err(CommitError::Conflict(Expect::CrlNotNewer { .. }))));
    put(&records, &[1, 0]).unwrap();
    assert!(matches!(put(&records, &[1; 21]), Err(CommitError::Invalid(_))));
    assert_eq!(records.read(|reader| reader.crl_number("hku")).unwrap().unwrap().number, [1, 0]);
}

#[test]
fn facts_and_openings_are_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let mut transaction = Transaction::new(now());
    let reference = transaction.leaf(leaf(1));
    transaction.facts.push((Digest::of(b"{}"), b"{}".to_vec()));
    let (field, subject) = ("person".to_owned(), [7; 16]);
    transaction.writes.push(Write::Opening { leaf: reference, field: field.clone(), subject, sealed: vec![1, 2] });
    records.commit_blocking(transaction).unwrap();
    let (facts, openings) =
        records.read(|reader| Ok((reader.facts(&Digest::of(b"{}"))?, reader.openings(0)?))).unwrap();
    assert_eq!(facts.unwrap(), b"{}");
    assert_eq!(openings, [OpeningRow { field, subject: Some(subject), sealed: vec![1, 2] }]);
    let mut lie = Transaction::new(now());
    lie.facts.push((Digest::of(b"{}"), b"[]".to_vec()));
    assert!(matches!(records.commit_blocking(lie), Err(CommitError::Invalid(_))));
    for dangling in [LeafRef::This(0), LeafRef::Index(1)] {
        let write = Write::Opening { leaf: dangling, field: "person".to_owned(), subject: [7; 16], sealed: vec![] };
        assert!(matches!(commit(&records, write), Err(CommitError::Invalid(_))), "{dangling:?}");
    }
}

#[test]
fn a_full_database_refuses_whole_transactions_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { database_bytes_max: Some(1024 * 1024), ..OpenOptions::new(now()) };
    let data = dir.path().join("data");
    let (records, _) = Records::open(&data, options).unwrap();
    let big = |number: u64| {
        let mut transaction = Transaction::new(now());
        transaction.leaf(leaf(number));
        transaction.writes.push(put(&format!("doc-{number}"), &"x".repeat(100_000)));
        records.commit_blocking(transaction)
    };
    let mut stored = 0;
    let error = loop {
        match big(stored) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 20, "the limit did not hold");
    };
    assert!(matches!(error, CommitError::Full), "{error}");
    assert!(matches!(big(stored), Err(CommitError::Full)));
    // There is room for less, and no index was used up.
    let mut small = Transaction::new(now());
    small.leaf(leaf(99));
    assert_eq!(records.commit_blocking(small).unwrap().first_leaf, stored);
    let docs = records.read(|reader| reader.docs(DocKind::Setting)).unwrap();
    assert_eq!(docs.len() as u64, stored);
    drop(records);
    let (records, recovered) = Records::open(&data, OpenOptions::new(now())).unwrap();
    assert_eq!((recovered.clean, recovered.log_size), (true, stored + 1));
    let mut more = Transaction::new(now());
    more.leaf(leaf(100));
    assert_eq!(records.commit_blocking(more).unwrap().first_leaf, stored + 1);
}

#[test]
fn a_directory_has_one_owner_and_a_damaged_one_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (records, recovered) = Records::open(&data, OpenOptions::new(now())).unwrap();
    assert!(recovered.created && recovered.clean && recovered.leaf.is_none());
    assert!(matches!(Records::open(&data, OpenOptions::new(now())), Err(OpenError::InUse(_))));
    for number in 0..200 {
        commit(&records, put(&format!("doc-{number}"), &"y".repeat(500))).unwrap();
    }
    records.close();
    assert!(matches!(commit(&records, put("late", "1")), Err(CommitError::Unavailable(_))));
    drop(records);
    let database = data.join("kouan.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(&database, bytes).unwrap();
    let error = Records::open(&data, OpenOptions::new(now())).unwrap_err();
    assert!(matches!(error, OpenError::Damaged(_) | OpenError::Database(_)), "{error}");
}

#[test]
fn openings_past_their_time_are_found_by_the_leafs_time_and_deleted_alone() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let at = |hours| now() + SignedDuration::from_hours(hours);
    for (number, hours) in [(1, 0), (2, 1), (3, 2)] {
        let mut transaction = Transaction::new(at(hours));
        let reference = transaction.leaf(leaf(number));
        let (field, subject) = ("person".to_owned(), [7; 16]);
        transaction.writes.push(Write::Opening { leaf: reference, field, subject, sealed: vec![1] });
        records.commit_blocking(transaction).unwrap();
    }
    let since = |hours| records.read(|reader| reader.first_leaf_since(at(hours))).unwrap();
    assert_eq!([since(-1), since(0), since(1), since(2), since(3)], [0, 0, 1, 2, 3]);
    let due = records.read(|reader| reader.opened_leaves(0, since(2), 10)).unwrap();
    assert_eq!(
        due.iter().map(|leaf| (leaf.index, leaf.subject)).collect::<Vec<_>>(),
        [(0, Some([7; 16])), (1, Some([7; 16]))]
    );
    assert_eq!(records.read(|reader| reader.opened_leaves(1, since(2), 10)).unwrap().len(), 1);
    commit(&records, Write::Expired(Expired::Openings { leaves: vec![0] })).unwrap();
    let left = |leaf| records.read(|reader| reader.openings(leaf)).unwrap().len();
    assert_eq!([left(0), left(1), left(2)], [0, 1, 1]);
    assert!(records.read(|reader| reader.leaf(0)).unwrap().is_some(), "the entry stays");
    let many = Expired::Openings { leaves: (0..5000).collect() };
    assert!(matches!(commit(&records, Write::Expired(many)), Err(CommitError::Invalid(_))));
    let stored = records.read(|reader| reader.stored()).unwrap();
    assert!(
        stored.iter().any(|stored| stored.class == "openings" && stored.rows == 2 && stored.bytes > 0),
        "{stored:?}"
    );
}
