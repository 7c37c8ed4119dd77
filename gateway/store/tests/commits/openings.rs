//! What lies beside the leaves: facts by their digest, openings by their leaf.

use catalog::Digest;
use gateway_store::{CommitError, Expired, LeafRef, OpeningRow, Transaction, Write};
use jiff::SignedDuration;

use super::{commit, leaf, now, open};

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
