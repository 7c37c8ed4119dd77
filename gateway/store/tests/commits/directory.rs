//! The database and its folder: no more room, a second opener, damage.

use gateway_store::{CommitError, DocKind, OpenError, OpenOptions, Records, Transaction};

use super::{commit, leaf, now, put};

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
    // Whatever of the page is free, as much as two have is not.
    bytes[middle..middle + 2 * 8192].fill(0xa5);
    std::fs::write(&database, bytes).unwrap();
    let error = Records::open(&data, OpenOptions::new(now())).unwrap_err();
    assert!(matches!(error, OpenError::Damaged(_) | OpenError::Database(_)), "{error}");
}
