//! Acknowledgements in the store.

use catalog::{EvidenceKind, Minor, Offer, PriceModel};
use gateway_store::transaction::UNRECEIPTED_BYTES_MAX;
use gateway_store::{CommitError, DeliveredFilter, Expect, Expired, Write};
use jiff::{SignedDuration, Timestamp};

use super::{Fixture, grant, index};

fn terms(evidence: EvidenceKind) -> Offer {
    Offer { fee: None, vat: None, evidence, ..super::terms(PriceModel::PerGib, 1000) }
}

#[test]
fn where_the_offer_asks_for_receipts_nothing_is_owed_before_one() {
    let fixture = Fixture::new(terms(EvidenceKind::Receipt));
    let lease = fixture.lease("l-1", 4000, true, 400);
    fixture.deliver(&lease, "2026-11", &[0..300], 300);
    assert_eq!(fixture.owed().0, 0);
    fixture.ack(&lease, 1, &[0..100]).unwrap();
    assert_eq!(fixture.owed().0, 1000);
    // A repeat under the next number is a receipt, and costs nothing.
    fixture.ack(&lease, 2, &[0..100]).unwrap();
    fixture.ack(&lease, 3, &[0..300]).unwrap();
    assert_eq!(fixture.owed().0, 3000);
    let found = fixture.records.read(|reader| reader.receipts(&lease.id)).unwrap();
    let said: Vec<_> = found.iter().map(|row| (row.number, row.unit_bytes, row.new_bytes, row.amount)).collect();
    assert_eq!(said, [(1, 100, 100, Minor(1000)), (2, 100, 0, Minor(0)), (3, 300, 200, Minor(2000))]);
    fixture.audit();
}

#[test]
fn what_is_out_of_order_or_out_of_range_changes_nothing() {
    let fixture = Fixture::new(terms(EvidenceKind::Receipt));
    let lease = fixture.lease("l-1", 4000, true, 400);
    fixture.deliver(&lease, "2026-11", &[0..150], 150);
    fixture.ack(&lease, 1, &[0..100]).unwrap();
    let (before, leaves) = (fixture.owed(), fixture.records.read(|reader| reader.log_size()).unwrap());
    for (number, units) in [(1, 0..100), (3, 100..150), (0, 0..1)] {
        let error = fixture.ack(&lease, number, &[units]).unwrap_err();
        assert!(matches!(error, CommitError::Conflict(Expect::NextAck { number: n, .. }) if n == number), "{error}");
    }
    // The second unit arrived in part only.
    let error = fixture.ack(&lease, 2, &[100..200]).unwrap_err();
    assert!(matches!(error, CommitError::Conflict(Expect::Delivered { .. })), "{error}");
    assert_eq!(fixture.owed(), before);
    assert_eq!(fixture.records.read(|reader| reader.log_size()).unwrap(), leaves);
    assert_eq!(fixture.records.read(|reader| reader.receipts(&lease.id)).unwrap().len(), 1);
    fixture.audit();
}

#[test]
fn a_receipt_belongs_to_the_month_in_which_its_units_were_sent_while_that_is_open() {
    let mut fixture = Fixture::new(terms(EvidenceKind::Receipt));
    let lease = fixture.lease("l-1", 4000, true, 400);
    fixture.deliver(&lease, "2026-11", &[0..200], 200);
    fixture.deliver(&lease, "2026-12", &[200..400], 200);
    fixture.at = "2026-12-10T00:00:00Z".parse().unwrap();
    fixture.ack(&lease, 1, &[0..100, 200..300]).unwrap();
    fixture.at = "2026-12-20T00:00:00Z".parse().unwrap();
    fixture.ack(&lease, 2, &[100..200, 300..400]).unwrap();
    let said: Vec<_> = fixture
        .postings()
        .iter()
        .map(|row| (row.period.to_string(), row.service_period.to_string(), row.split.amount.0))
        .collect();
    let row = |period: &str, service: &str| (period.to_owned(), service.to_owned(), 1000);
    assert_eq!(
        said,
        [
            row("2026-11", "2026-11"),
            row("2026-12", "2026-12"),
            row("2026-12", "2026-11"), // closed on the 16th
            row("2026-12", "2026-12"),
        ]
    );
    let rows = fixture.records.read(|reader| reader.delivered(&DeliveredFilter::default())).unwrap();
    assert!(rows.iter().all(|row| row.receipted(&index()) == row.units(&index()) && row.receipt_bytes == 200));
    fixture.audit();
}

#[test]
fn a_receipt_of_what_is_paid_by_sending_is_evidence_only() {
    let fixture = Fixture::new(terms(EvidenceKind::Sent));
    let lease = fixture.lease("l-1", 4000, false, 400);
    fixture.deliver(&lease, "2026-11", &[0..200], 200);
    assert_eq!(fixture.owed().0, 2000);
    fixture.ack(&lease, 1, &[0..200]).unwrap();
    assert_eq!(fixture.owed().0, 2000);
    let rows = fixture.records.read(|reader| reader.delivered(&DeliveredFilter::default())).unwrap();
    assert_eq!((rows[0].receipted(&index()).unwrap().len(&index()), rows[0].receipt_bytes), (200, 200));
    assert!(fixture.records.read(|reader| reader.receipt(&lease.id, 2)).unwrap().is_none());
    fixture.audit();
}

#[test]
fn without_receipts_no_more_than_the_bound_is_granted() {
    let fixture = Fixture::new(terms(EvidenceKind::Receipt));
    let lease = fixture.lease("l-1", 0, true, 400);
    fixture.deliver(&lease, "2026-11", &[0..400], 400);
    let room = UNRECEIPTED_BYTES_MAX - 400;
    let error = fixture.commit(grant(&lease, 0..room + 1)).unwrap_err();
    assert!(matches!(error, CommitError::Conflict(Expect::Receipted { .. })), "{error}");
    fixture.commit(grant(&lease, 0..room)).unwrap();
    assert!(fixture.commit(grant(&lease, 0..1)).is_err());
    // A receipt makes room for as much as it covers.
    fixture.ack(&lease, 1, &[0..100]).unwrap();
    assert!(fixture.commit(grant(&lease, 0..101)).is_err());
    fixture.commit(grant(&lease, 0..100)).unwrap();
    // An offer that asks for none has no bound.
    let other = fixture.lease("l-2", 0, false, UNRECEIPTED_BYTES_MAX * 2);
    assert_ne!(other.id, lease.id);
    fixture.audit();
}

#[test]
fn evidence_past_its_time_goes_and_what_it_was_for_stays() {
    let mut fixture = Fixture::new(terms(EvidenceKind::Receipt));
    let lease = fixture.lease("l-1", 4000, true, 400);
    fixture.deliver(&lease, "2026-11", &[0..200], 200);
    fixture.ack(&lease, 1, &[0..100]).unwrap();
    let first = fixture.at;
    fixture.at = first + SignedDuration::from_hours(2);
    fixture.ack(&lease, 2, &[100..200]).unwrap();
    let past = |at| fixture.records.read(|reader| reader.evidence_before(at, 0, 10)).unwrap();
    assert_eq!(past(first), []);
    let due = past(first + SignedDuration::from_hours(1));
    assert_eq!(due.len(), 1, "{due:?}");
    assert_eq!((&due[0].lease, due[0].subject), (&lease.id, Some([7; 16])));
    let receipts = due.iter().map(|row| row.receipt).collect();
    fixture.commit(Write::Expired(Expired::Evidence { receipts })).unwrap();
    assert_eq!(past(first + SignedDuration::from_hours(1)), []);
    assert_eq!(past(Timestamp::MAX).len(), 1, "the later one stays");
    let evidence = |number| fixture.records.read(|reader| reader.receipt_evidence(&lease.id, number)).unwrap().unwrap();
    assert_eq!(evidence(1), (None, Vec::new()));
    assert_eq!(evidence(2), (Some([7; 16]), b"sealed".to_vec()));
    let found = fixture.records.read(|reader| reader.receipts(&lease.id)).unwrap();
    assert_eq!(found.len(), 2);
    fixture.audit();
}
