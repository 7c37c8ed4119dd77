//! Leases: one for each key, and who may grant.

use catalog::{LeaseId, ParticipantId};
use gateway_store::{CommitError, Expect, LeaseFilter, LeaseState, Transaction, Write};
use jiff::SignedDuration;
use serde_json::json;

use super::{commit, lease, members, now, open, put_lease};

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
