//! Deleting what an agreement leaves behind: nothing that is open, and never so that the books or a number change.

use catalog::{AgreementId, LeaseId, Minor, PriceModel};
use gateway_ledger::Quote;
use gateway_store::{DeliveredFilter, Expired, LeaseState, Terms, Transaction, Write};
use jiff::Timestamp;
use serde_json::json;

use super::{Fixture, members, month};

fn end(fixture: &Fixture, lease: &LeaseId) {
    let mut transaction = Transaction::new(fixture.at);
    let leaf = transaction.leaf(members(&json!({"kind": "lease_close", "lease": lease})));
    let (lease, state) = (lease.clone(), LeaseState::Closed);
    transaction.writes.push(Write::LeaseState { lease, state, reason: None, leaf: Some(leaf) });
    fixture.records.commit_blocking(transaction).unwrap();
}

fn past(fixture: &Fixture) -> Vec<(u64, bool)> {
    let rows = fixture.records.read(|reader| reader.past_leases(Timestamp::MAX, 0, 10)).unwrap();
    rows.into_iter().map(|row| (row.row, row.has_receipts)).collect()
}

/// Asks for all of it to be deleted; what is left.
fn delete(fixture: &Fixture) -> (usize, usize) {
    fixture.commit(Write::Expired(Expired::Leases { rows: vec![1, 2, 3] })).unwrap();
    let agreement = AgreementId::parse("a-1").unwrap();
    fixture.commit(Write::Expired(Expired::Accounts { agreement })).unwrap();
    let leases =
        fixture.records.read(|reader| reader.leases(&gateway_store::LeaseFilter::default(), None, 10)).unwrap();
    (leases.len(), fixture.postings().len())
}

#[test]
fn what_is_open_is_not_deleted_whoever_asks() {
    let mut fixture = Fixture::new(super::terms(PriceModel::PerGib, 1000));
    let leases = ["l-1", "l-2"].map(|id| fixture.lease(id, 4000, false, 400));
    fixture.deliver(&leases[0], "2026-11", &[0..100], 100);
    fixture.ack(&leases[0], 1, &[0..100]).unwrap();
    // Active; then closed, with something held; then with evidence.
    assert_eq!((past(&fixture), delete(&fixture)), (vec![], (2, 1)));
    end(&fixture, &leases[0].id);
    assert_eq!((past(&fixture), delete(&fixture)), (vec![], (2, 1)));
    fixture.commit(Write::Release { lease: leases[0].id.clone() }).unwrap();
    assert_eq!(past(&fixture), []);
    fixture.commit(Write::Expired(Expired::Evidence { receipts: vec![1] })).unwrap();
    assert_eq!(past(&fixture), [(1, true)]);
    assert_eq!(delete(&fixture), (1, 1), "the other lease is active, and so are the accounts");
    assert!(fixture.records.read(|reader| reader.grants(&leases[0].id)).unwrap().is_empty());
    // The newest lease keeps its number from being given again.
    end(&fixture, &leases[1].id);
    fixture.commit(Write::Release { lease: leases[1].id.clone() }).unwrap();
    assert_eq!((past(&fixture), delete(&fixture)), (vec![], (1, 1)));
    let newest = super::lease("l-3");
    let newest = gateway_store::Lease { agreement: AgreementId::parse("a-2").unwrap(), ..newest };
    let mut transaction = Transaction::new(fixture.at);
    let leaf = transaction.leaf(members(&json!({"kind": "decision"})));
    let terms = Terms { quote: Quote { amount: Minor(0), bytes: 400 }, unreceipted_bytes_max: None };
    transaction.writes.push(Write::PutLease { lease: newest, terms, stream: None, leaf });
    fixture.records.commit_blocking(transaction).unwrap();
    assert_eq!(past(&fixture), [(2, false)]);
    assert_eq!(delete(&fixture), (1, 1), "the month with its posting is open");

    fixture.at = "2026-12-15T16:00:00Z".parse().unwrap();
    let agreement = AgreementId::parse("a-1").unwrap();
    let kept = fixture.records.read(|reader| reader.accounts_of(&agreement)).unwrap();
    assert_eq!((kept.rows, kept.leases, kept.is_open), (3, 0, true), "an entitlement, a delivery, a posting");
    let size = fixture.records.read(|reader| reader.log_size()).unwrap();
    let mut transaction = Transaction::new(fixture.at);
    let leaf = transaction.leaf(members(&json!({"kind": "period_close", "period": "2026-11"})));
    transaction.writes.push(Write::PeriodClose { period: month("2026-11"), postings: 1, size, leaf });
    fixture.records.commit_blocking(transaction).unwrap();
    let owed = fixture.owed();
    assert_eq!(delete(&fixture), (1, 0));
    assert!(fixture.records.read(|reader| reader.delivered(&DeliveredFilter::default())).unwrap().is_empty());
    assert_eq!(fixture.owed(), owed, "what is owed stays owed");
    fixture.audit();
}

#[test]
fn answers_are_old_by_the_leaves_around_them() {
    let fixture = Fixture::new(super::terms(PriceModel::PerGib, 1000));
    let asked = |key: &str, leaves: bool| {
        let mut transaction = Transaction::new(fixture.at);
        if leaves {
            transaction.leaf(members(&json!({"kind": "admin"})));
        }
        let (scope, key, body) = ("p".to_owned(), key.to_owned(), catalog::Digest::of(key.as_bytes()));
        transaction.idempotency = Some(gateway_store::Idempotency { scope, key, body, response: b"said".to_vec() });
        fixture.records.commit_blocking(transaction).unwrap();
    };
    // Rows 1 to 6; leaves 0, 1, 2 and 3 belong to 2, 3, 5 and 6.
    for (key, leaves) in [("a", false), ("b", true), ("c", true), ("d", false), ("e", true), ("f", true)] {
        asked(key, leaves);
    }
    let before = |leaf| {
        let rows = fixture.records.read(|reader| reader.answers_before(leaf, 0, 10)).unwrap();
        rows.into_iter().map(|row| row.row).collect::<Vec<_>>()
    };
    assert_eq!((before(0), before(1), before(2)), (vec![], vec![1, 2], vec![1, 2, 3]));
    assert_eq!((before(3), before(99)), (vec![1, 2, 3, 4, 5], vec![1, 2, 3, 4, 5, 6]));
    let since = |leaf| fixture.records.read(|reader| reader.answer_since(leaf)).unwrap().map(|row| (row.row, row.leaf));
    assert_eq!((since(0), since(2), since(99)), (Some((1, None)), Some((4, None)), None));
    fixture.commit(Write::Expired(Expired::Answers { rows: vec![1, 2] })).unwrap();
    assert_eq!(before(2), [3]);
    let kept = fixture.records.read(|reader| reader.idempotent("p", "b")).unwrap().unwrap();
    assert_eq!((kept.response.as_slice(), kept.leaf), ([].as_slice(), Some(0)), "that it was answered stays");
}
