//! Facts, leases and answers are found by their key wherever their entry is: in memory, on its way into the table, in the
//! table, after a crash, and in a database of an earlier release.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use catalog::{Digest, LeaseId};
use gateway_store::{
    CommitError, Expect, Idempotency, Lease, LeaseState, OpenOptions, Records, Terms, Transaction, Write,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;

fn start() -> Timestamp {
    "2026-11-22T08:13:45.120Z".parse().unwrap()
}

fn open(dir: &Path, recent_max: usize) -> Records {
    Records::open(dir, OpenOptions { recent_max, ..OpenOptions::new(start()) }).unwrap().0
}

fn lease(number: u64, key: u8, at: Timestamp) -> Lease {
    Lease {
        id: LeaseId::parse(&format!("l-{number:016x}")).unwrap(),
        key: Digest::of(&[key]),
        principal: "p".to_owned(),
        certificate: "c".to_owned(),
        participant: "hku".parse().unwrap(),
        agreement: "a-1".parse().unwrap(),
        provider: "qianhai".parse().unwrap(),
        dataset: "yue-speech".parse().unwrap(),
        version: "1".parse().unwrap(),
        columns: vec!["text".to_owned()],
        redact: false,
        purpose: "academic-research".parse().unwrap(),
        price: None,
        mechanism: None,
        release: None,
        state: LeaseState::Active,
        leaf: 0,
        created: at,
        expires: at + SignedDuration::from_mins(1),
        reason: None,
        sent_bytes: 0,
        unit_bytes: 0,
    }
}

/// What a test does next.
#[derive(Debug, Clone)]
enum Step {
    /// Asks for a lease with this key, some seconds later; a refusal may come after the row was written.
    Ask { key: u8, later: i64, spoiled: bool },
    /// Ends the live lease with this key.
    End { key: u8 },
    /// Opens the directory again: after closing it, or with what a kill leaves.
    Again { killed: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..6_u8, 0..40_i64, prop::bool::weighted(0.1)).prop_map(|(key, later, spoiled)| Step::Ask { key, later, spoiled }),
        2 => (0..6_u8).prop_map(|key| Step::End { key }),
        1 => any::<bool>().prop_map(|killed| Step::Again { killed }),
    ]
}

/// The live lease of each key, and what must be found.
#[derive(Default)]
struct Model {
    live: BTreeMap<u8, (LeaseId, Timestamp)>,
    facts: Vec<(Digest, Vec<u8>)>,
    answers: Vec<(String, Digest)>,
}

fn copied(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(dir).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

fn ask(records: &Records, model: &mut Model, number: u64, key: u8, now: Timestamp, spoiled: bool) {
    let facts = json!({"number": number}).to_string().into_bytes();
    let digest = Digest::of(&facts);
    let wanted = lease(number, key, now);
    let mut transaction = Transaction::new(now);
    let leaf = json!({"kind": "decision", "number": number}).as_object().cloned().unwrap();
    let leaf = transaction.leaf(leaf);
    transaction.facts.push((digest, facts.clone()));
    transaction.expect.push(Expect::NoLiveLease { key: wanted.key, at: now });
    transaction.writes.push(Write::PutLease { lease: wanted.clone(), terms: Terms::default(), stream: None, leaf });
    if spoiled {
        transaction.writes.push(Write::StreamOpened { lease: LeaseId::parse("l-nowhere").unwrap() });
    }
    let name = format!("k-{number}");
    let (scope, response) = ("s".to_owned(), Vec::new());
    transaction.idempotency = Some(Idempotency { scope, key: name.clone(), body: digest, response });
    let committed = records.commit_blocking(transaction.clone());
    let taken = model.live.get(&key).is_some_and(|(_, expires)| *expires > now);
    match committed {
        Ok(_) => {
            assert!(!taken && !spoiled, "a second live lease of one key");
            model.live.insert(key, (wanted.id, wanted.expires));
            model.facts.push((digest, facts));
            model.answers.push((name, digest));
            let again = records.commit_blocking(transaction);
            assert!(matches!(again, Err(CommitError::Replayed { .. })), "{again:?}");
        }
        Err(CommitError::Conflict(Expect::NoLiveLease { .. })) => assert!(taken, "there is no live lease in the way"),
        Err(CommitError::Invalid(_)) => assert!(spoiled && !taken),
        Err(error) => panic!("{error}"),
    }
}

fn check(records: &Records, model: &Model, now: Timestamp) {
    records
        .read(|reader| {
            for key in 0..6 {
                let live = model.live.get(&key).filter(|(_, expires)| *expires > now).map(|(id, _)| id.clone());
                let found = reader.live_lease(&Digest::of(&[key]), now)?.map(|row| row.lease.id);
                assert_eq!(found, live, "key {key}");
            }
            for (digest, facts) in &model.facts {
                assert_eq!(reader.facts(digest)?.as_ref(), Some(facts));
            }
            for (key, body) in &model.answers {
                assert_eq!(reader.idempotent("s", key)?.map(|answer| answer.body), Some(*body));
            }
            assert_eq!(reader.facts(&Digest::of(b"never"))?, None);
            Ok(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn everything_is_found_wherever_its_entry_is(
        steps in prop::collection::vec(step(), 1..60), recent_max in prop_oneof![Just(1_usize), Just(7), Just(1000)],
    ) {
        let mut dir = tempfile::tempdir().unwrap();
        let mut records = open(dir.path(), recent_max);
        let (mut model, mut now) = (Model::default(), start());
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::Ask { key, later, spoiled } => {
                    now += SignedDuration::from_secs(later);
                    ask(&records, &mut model, number, key, now, spoiled);
                }
                Step::End { key } => if let Some((lease, _)) = model.live.remove(&key) {
                    let mut transaction = Transaction::new(now);
                    transaction.writes.push(Write::LeaseState { lease, state: LeaseState::Cut, reason: None, leaf: None });
                    records.commit_blocking(transaction).unwrap();
                },
                Step::Again { killed } => {
                    if killed {
                        let copy = copied(dir.path());
                        drop(records);
                        dir = copy;
                    } else {
                        records.close();
                        drop(records);
                    }
                    records = open(dir.path(), recent_max);
                }
            }
            check(&records, &model, now);
        }
    }
}

/// Small runs are joined, and what has ended is left out then. What a crash left of a run is in nobody's way.
#[test]
fn few_runs_are_looked_into_however_many_left_memory() {
    const RECENT_MAX: usize = 7;
    let dir = tempfile::tempdir().unwrap();
    let (mut model, mut number, mut now) = (Model::default(), 0, start());
    for _ in 0..2 {
        let records = open(dir.path(), RECENT_MAX);
        for _ in 0..150 {
            now += SignedDuration::from_secs(1);
            let key = u8::try_from(number % 5).unwrap();
            ask(&records, &mut model, number, key, now, false);
            number += 1;
            let (lease, _) = model.live.remove(&key).unwrap();
            let mut end = Transaction::new(now);
            end.writes.push(Write::LeaseState { lease, state: LeaseState::Closed, reason: None, leaf: None });
            records.commit_blocking(end).unwrap();
            if number % 4 == 0 {
                check(&records, &model, now);
            }
        }
        records.close();
        drop(records);
        let database = rusqlite::Connection::open(dir.path().join("kouan.db")).unwrap();
        let one = |sql: &str| -> i64 { database.query_row(sql, [], |row| row.get(0)).unwrap() };
        let left = one("SELECT coalesce(sum(entries), 0) FROM lookup_run WHERE kind <> 1");
        assert!(left > 200, "only {left} entries have left memory");
        for kind in 0..3 {
            let small = one(&format!("SELECT count(*) FROM lookup_run WHERE kind = {kind} AND entries < {RECENT_MAX}"));
            assert!(small <= 7, "{small} small runs of kind {kind}");
        }
        let ended = one("SELECT coalesce(sum(entries), 0) FROM lookup_run WHERE kind = 1");
        assert!(ended < 7 * 7, "{ended} entries of leases that have ended");
        for first in (i64::MIN..=i64::MAX).step_by(1 << 57) {
            let unfinished = "INSERT INTO lookup_part SELECT max(run) + 1, ?1, x'' FROM lookup_run";
            database.execute(unfinished, [first]).unwrap();
        }
    }
}
