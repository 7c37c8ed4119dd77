//! What is recorded once: a request's answer, a refusal, a window of reads, a revocation list's number.

use catalog::Digest;
use gateway_store::{CommitError, DocKind, Expect, Idempotency, Records, Transaction, Write};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{commit, leaf, members, now, open, put};

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
