//! The order of commits: dense indices, time that never goes back, exact expectations, and nothing of what is refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use catalog::LeaseId;
use gateway_store::{CommitError, DocKind, Expect, Transaction, Write};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{commit, leaf, members, now, open, put};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commits_get_dense_indices_and_exact_preconditions() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let newest = Arc::new(AtomicU64::new(0));
    let (listener, of_doc) = (Arc::clone(&heard), Arc::clone(&newest));
    records.on_commit(move |commit| {
        // Time enough for whoever would read the commit before this has heard of it.
        std::thread::sleep(Duration::from_millis(1));
        listener.lock().unwrap().push((commit.committed.revision, commit.docs.len()));
        for doc in &commit.docs {
            of_doc.store(doc.revision, Ordering::Relaxed);
        }
    });
    commit(&records, put("counter", "0")).unwrap();
    // Each adds one to the same document, which only the expectation keeps from losing any.
    let tasks = (0..64_u64).map(|number| {
        let (records, newest) = (records.clone(), Arc::clone(&newest));
        tokio::spawn(async move {
            let mut lost = 0;
            for round in 0..5 {
                loop {
                    let doc = records.read_async(|reader| reader.doc(DocKind::Setting, "counter")).await;
                    let doc = doc.unwrap().unwrap();
                    assert!(newest.load(Ordering::Relaxed) >= doc.revision, "read before the listener has heard of it");
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
