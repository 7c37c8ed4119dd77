//! Deliveries, holds, months, credit notes.

use catalog::offer::Currency;
use catalog::{AgreementId, Digest, Fee, LeaseId, Minor, PriceModel};
use gateway_ledger::book::Code;
use gateway_ledger::{Transfer, UnitSet};
use gateway_store::transaction::UNRECEIPTED_BYTES_MAX;
use gateway_store::{
    CommitError, DeliveredFilter, DeliveredRow, Expect, LeafRef, Lease, LeaseState, PostingFilter, Terms, Transaction,
    Write,
};
use serde_json::{Value, json};

use super::{Fixture, delivered, grant, index, members, month, put_lease};

fn plain(model: PriceModel, amount: i64) -> catalog::Offer {
    catalog::Offer { fee: None, vat: None, ..super::terms(model, amount) }
}

#[test]
fn a_delivery_is_posted_in_its_commit_and_split() {
    let fixture = Fixture::new(super::terms(PriceModel::PerGib, 1060));
    let lease = fixture.lease("l-1", 4240, false, 200);
    // Half of the bytes are granted: half of the quote is held.
    assert_eq!(fixture.owed(), (0, 2120));
    let committed = fixture.deliver(&lease, "2026-11", &[0..100], 130);
    assert_eq!(fixture.owed(), (1060, 1060));
    assert_eq!(fixture.balance("broker:lin-data:revenue:data_transaction_service").credits, 106);
    assert_eq!(fixture.balance("tax:vat").credits, 60);
    assert_eq!(fixture.balance("provider:qianhai:payable").credits, 894);
    // The same again, and a part of it: nothing.
    fixture.deliver(&lease, "2026-11", &[0..100, 20..50], 130);
    assert_eq!(fixture.postings().len(), 1);

    let posting = &fixture.postings()[0];
    assert_eq!((posting.leaf, posting.unit_bytes, posting.reference.as_str()), (committed.first_leaf, 100, "l-1"));
    let leaf = fixture.records.read(|reader| reader.leaf(posting.leaf)).unwrap().unwrap();
    let leaf: Value = serde_json::from_slice(&leaf).unwrap();
    assert_eq!((leaf["kind"].as_str(), leaf["currency"].as_str()), (Some("ledger_batch"), Some("CNY")));
    assert_eq!((leaf["consumer"].as_str(), leaf["broker"].as_str()), (Some("hku"), Some("lin-data")));
    assert_eq!(leaf["transfers"].as_array().unwrap().len(), 4, "{leaf}");
    fixture.audit();
}

#[test]
fn holds_grow_with_grants_and_what_is_not_posted_is_released() {
    let fixture = Fixture::new(plain(PriceModel::PerGib, 1000));
    let lease = fixture.lease("l-1", 4000, false, 100);
    fixture.commit(grant(&lease, 100..150)).unwrap();
    assert_eq!(fixture.owed(), (0, 1500));
    // More grants than the quote stands for hold no more than it.
    fixture.commit(grant(&lease, 0..420)).unwrap();
    assert_eq!(fixture.owed(), (0, 4000));
    fixture.deliver(&lease, "2026-11", &[0..150], 150);
    let early = fixture.commit(Write::Release { lease: lease.id.clone() }).unwrap_err();
    assert!(matches!(early, CommitError::Invalid(_)), "{early}");
    let (id, reason) = (lease.id.clone(), Some("revoked".to_owned()));
    fixture.commit(Write::LeaseState { lease: id, state: LeaseState::Cut, reason, leaf: None }).unwrap();
    assert_eq!(fixture.records.read(|reader| reader.held_leases(10)).unwrap(), std::slice::from_ref(&lease.id));
    fixture.commit(Write::Release { lease: lease.id.clone() }).unwrap();
    assert_eq!(fixture.owed(), (1500, 0));
    assert!(fixture.records.read(|reader| reader.held_leases(10)).unwrap().is_empty());
    // Bytes that preceded the cut and were reported after it are owed all the same.
    fixture.deliver(&lease, "2026-11", &[150..200], 50);
    assert_eq!(fixture.owed(), (2000, 0));
    let row = fixture.records.read(|reader| reader.lease(&lease.id)).unwrap().unwrap();
    assert_eq!((row.held, row.posted), (0, 2000));
    fixture.audit();
}

#[test]
fn every_price_model_posts_what_its_usage_costs() {
    for (model, steps) in [
        // (lease, month of service, bytes, posted in all)
        (PriceModel::PerGib, vec![("l-1", "2026-11", 0..50, 500), ("l-2", "2026-11", 0..100, 1000)]),
        (PriceModel::PerMillionRows, vec![("l-1", "2026-11", 0..50, 500), ("l-1", "2026-11", 100..200, 1000)]),
        (
            PriceModel::PerPull,
            vec![("l-1", "2026-11", 0..50, 1000), ("l-1", "2026-11", 50..100, 1000), ("l-2", "2026-11", 0..10, 2000)],
        ),
        (
            PriceModel::Subscription,
            vec![("l-1", "2026-11", 0..50, 1000), ("l-2", "2026-11", 0..50, 1000), ("l-2", "2026-12", 0..50, 2000)],
        ),
        (PriceModel::Free, vec![("l-1", "2026-11", 0..400, 0)]),
    ] {
        let fixture = Fixture::new(plain(model, 1000));
        let leases = [fixture.lease("l-1", 1000, false, 400), fixture.lease("l-2", 0, false, 400)];
        for (id, period, range, want) in steps {
            let lease = leases.iter().find(|lease| lease.id.as_str() == id).unwrap();
            fixture.deliver(lease, period, std::slice::from_ref(&range), 1);
            assert_eq!(fixture.owed().0, want, "{model:?} {id} {range:?}");
        }
        fixture.audit();
    }
}

#[test]
fn months_add_up_to_the_floor_of_the_whole() {
    // A unit of one GiB in 100 bytes at 10 fen: each byte is a tenth of a fen.
    let terms = catalog::Offer { fee: Some(Fee::Rate { rate_ppm: 500_000 }), ..plain(PriceModel::PerGib, 10) };
    let fixture = Fixture::new(terms);
    let lease = fixture.lease("l-1", 40, false, 400);
    for (period, range) in [("2026-11", 0..15), ("2026-12", 15..29), ("2027-01", 29..49)] {
        fixture.deliver(&lease, period, &[range], 1);
    }
    let want = [("2026-11", 1), ("2026-12", 1), ("2027-01", 2)].map(|(month, amount)| (month.to_owned(), amount));
    assert_eq!(fixture.amounts(), want);
    let fees: i64 = fixture.postings().iter().map(|row| row.split.fee.0).sum();
    assert_eq!(fees, 2, "half of four");
    fixture.audit();
}

#[test]
fn what_comes_after_a_month_has_closed_is_posted_to_the_open_one() {
    let mut fixture = Fixture::new(plain(PriceModel::PerGib, 1000));
    let lease = fixture.lease("l-1", 4000, false, 400);
    fixture.deliver(&lease, "2026-11", &[0..100], 1);
    let close = |fixture: &Fixture, postings| {
        let size = fixture.records.read(|reader| reader.log_size()).unwrap();
        let mut transaction = Transaction::new(fixture.at);
        let leaf = transaction.leaf(members(&json!({"kind": "period_close", "period": "2026-11"})));
        transaction.writes.push(Write::PeriodClose { period: month("2026-11"), postings, size, leaf });
        fixture.records.commit_blocking(transaction)
    };
    // Not before its time; within the fifteen days a late report still belongs to it.
    fixture.at = "2026-12-15T15:59:59Z".parse().unwrap();
    assert!(matches!(close(&fixture, 1), Err(CommitError::Invalid(_))));
    fixture.deliver(&lease, "2026-11", &[100..150], 1);
    fixture.at = "2026-12-15T16:00:00Z".parse().unwrap();
    assert!(matches!(close(&fixture, 1), Err(CommitError::Conflict(Expect::Postings { postings: 1, .. }))));
    assert_eq!(fixture.records.read(|reader| reader.open_periods()).unwrap(), [month("2026-11")]);
    close(&fixture, 2).unwrap();
    assert!(close(&fixture, 2).is_err());
    assert!(fixture.records.read(|reader| reader.open_periods()).unwrap().is_empty());
    let filter = PostingFilter { period: Some(month("2026-11")), ..PostingFilter::default() };
    let before = fixture.records.read(|reader| reader.postings(&filter)).unwrap();
    fixture.deliver(&lease, "2026-11", &[150..200], 1);
    let late = fixture.postings().pop().unwrap();
    assert_eq!((late.period, late.service_period, late.split.amount), (month("2026-12"), month("2026-11"), Minor(500)));
    // I10: nothing of the closed month has changed.
    assert_eq!(fixture.records.read(|reader| reader.postings(&filter)).unwrap(), before);
    fixture.audit();
}

#[test]
fn a_credit_note_takes_back_parts_in_the_open_month() {
    let mut fixture = Fixture::new(super::terms(PriceModel::PerGib, 1060));
    let lease = fixture.lease("l-1", 4240, false, 400);
    fixture.deliver(&lease, "2026-11", &[0..100], 1);
    fixture.at = "2027-02-01T00:00:00Z".parse().unwrap();
    let note = |id: &str, amount| Write::CreditNote {
        id: id.to_owned(),
        agreement: lease.agreement.clone(),
        dataset: lease.dataset.clone(),
        version: lease.version.clone(),
        amount: Minor(amount),
        service_period: month("2026-11"),
    };
    for wrong in [0, -1, 1061] {
        assert!(matches!(fixture.commit(note("cn-0", wrong)), Err(CommitError::Invalid(_))), "{wrong}");
    }
    fixture.commit(note("cn-1", 500)).unwrap();
    let row = fixture.postings().pop().unwrap();
    assert!(row.is_credit_note);
    assert_eq!((row.period, row.service_period, row.split.amount), (month("2027-02"), month("2026-11"), Minor(-500)));
    assert_eq!(fixture.owed().0, 560);
    assert!(fixture.commit(note("cn-2", 561)).is_err());
    fixture.commit(note("cn-2", 560)).unwrap();
    for account in ["consumer:hku:receivable", "provider:qianhai:payable", "tax:vat"] {
        let balance = fixture.balance(account);
        assert_eq!(balance.debits, balance.credits, "{account}");
    }
    // What was credited is not posted again by a replay, and new bytes cost what they cost.
    fixture.deliver(&lease, "2027-02", &[0..100], 1);
    assert_eq!(fixture.owed().0, 0);
    fixture.deliver(&lease, "2027-02", &[100..200], 1);
    assert_eq!(fixture.owed().0, 1060);
    fixture.audit();
}

#[test]
fn nothing_is_delivered_twice_in_any_period() {
    let fixture = Fixture::new(plain(PriceModel::Free, 0));
    let (one, two) = (fixture.lease("l-1", 0, false, 400), fixture.lease("l-2", 0, false, 400));
    fixture.deliver(&one, "2026-11", &[0..100], 120);
    fixture.deliver(&one, "2026-11", &[50..150], 110); // overlaps
    fixture.deliver(&two, "2026-11", &[0..150], 150); // another lease of the entitlement
    fixture.deliver(&one, "2026-12", &[140..160, 10..20], 30); // another month
    fixture.deliver(&one, "2026-12", &[140..160], 20);
    fixture.deliver(&one, "2026-11", &[155..165], 10); // a late report
    let rows = fixture.records.read(|reader| reader.delivered(&DeliveredFilter::default())).unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|row| {
            let intervals: Vec<_> = row.units(&index()).unwrap().intervals(&index()).iter().collect();
            (row.period.to_string(), intervals, row.unit_bytes, row.data_bytes, row.wire_bytes)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("2026-11".to_owned(), vec![0..150, 160..165], 155, 360, 390),
            ("2026-12".to_owned(), vec![150..160], 10, 50, 50),
        ]
    );
    let units = |row: &DeliveredRow| row.units(&index()).unwrap();
    let both = units(&rows[0]).union(&units(&rows[1]), &index());
    assert_eq!(both, UnitSet::of(&index(), &(0..165).into()));
    let (first, second) =
        fixture.records.read(|reader| Ok((reader.lease(&one.id)?.unwrap(), reader.lease(&two.id)?.unwrap()))).unwrap();
    assert_eq!((first.lease.sent_bytes, first.lease.unit_bytes), (290, 165));
    assert_eq!((second.lease.sent_bytes, second.lease.unit_bytes), (150, 0));
    // A pull that brought nothing new is still a pull of November.
    assert_eq!(second.first_period.unwrap(), month("2026-11"));
    assert_eq!(fixture.records.read(|reader| reader.billed_leases(&one.agreement)).unwrap().len(), 2);
    let through = DeliveredFilter { through: Some(month("2026-11")), ..DeliveredFilter::default() };
    assert_eq!(fixture.records.read(|reader| reader.delivered(&through)).unwrap().len(), 1);
    fixture.audit();
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let fixture = Fixture::new(plain(PriceModel::PerGib, 1000));
    let one = fixture.lease("l-1", 0, false, 100);
    let mut stranger = one.clone();
    stranger.agreement = AgreementId::parse("a-2").unwrap();
    let mut nobody = one.clone();
    nobody.id = LeaseId::parse("l-9").unwrap();
    nobody.key = Digest::of(b"another selection");
    let twin = Lease { id: one.id.clone(), ..nobody.clone() };
    let mut bare = delivered(&one, "2026-11", &[0..10], 10);
    if let Write::Delivered { index, .. } = &mut bare {
        *index = None;
    }
    let mut elsewhere = delivered(&one, "2026-11", &[0..10], 10);
    if let Write::Delivered { file, .. } = &mut elsewhere {
        *file = Digest::of(b"another file");
    }
    let unreceipted = |bytes| Terms { unreceipted_bytes_max: Some(bytes), ..Terms::default() };
    let unsent = |bytes| Write::Unsent { lease: one.id.clone(), bytes };
    for write in [
        delivered(&stranger, "2026-11", &[0..10], 10),
        delivered(&nobody, "2026-11", &[0..10], 10),
        bare,
        elsewhere,
        delivered(&one, "2026-11", &[410..421], 11),
        unsent(101),
        Write::Release { lease: nobody.id.clone() },
        put_lease(&nobody, unreceipted(0), 0..1, LeafRef::Index(0)),
        put_lease(&nobody, unreceipted(UNRECEIPTED_BYTES_MAX + 1), 0..1, LeafRef::Index(0)),
        put_lease(&nobody, Terms::default(), 5..5, LeafRef::Index(0)),
        put_lease(&twin, Terms::default(), 0..1, LeafRef::Index(0)),
    ] {
        let said = format!("{write:?}");
        assert!(matches!(fixture.commit(write), Err(CommitError::Invalid(_))), "{said}");
    }
    // The egress meter: granted less what provably did not leave, never less than what was sent.
    fixture.deliver(&one, "2026-11", &[0..60], 60);
    assert!(fixture.commit(unsent(41)).is_err());
    fixture.commit(unsent(30)).unwrap();
    let row = fixture.records.read(|reader| reader.lease(&one.id)).unwrap().unwrap();
    assert_eq!((row.granted_bytes, row.unsent_bytes, row.lease.sent_bytes), (100, 30, 60));
    assert_eq!(fixture.records.read(|reader| reader.in_doubt()).unwrap()[0].granted_bytes, 70);
    fixture.audit();
}

#[test]
fn a_month_is_not_closed_without_what_was_paid_in_it() {
    let mut fixture = Fixture::new(plain(PriceModel::PerGib, 1000));
    let lease = fixture.lease("l-1", 4000, false, 400);
    fixture.deliver(&lease, "2026-11", &[0..100], 1);
    let size = fixture.records.read(|reader| reader.log_size()).unwrap();
    let transfer = Transfer::new(
        Code::Pay,
        "consumer:hku:paid".parse().unwrap(),
        "consumer:hku:receivable".parse().unwrap(),
        Minor(300),
    );
    let about = members(&json!({"payment": "pay-1"}));
    fixture.commit(Write::Enter { about, transfers: vec![(Currency::Cny, transfer)] }).unwrap();
    assert_eq!(fixture.owed().0, 700);
    fixture.at = "2026-12-15T16:00:00Z".parse().unwrap();
    let close = |fixture: &Fixture, size| {
        let mut transaction = Transaction::new(fixture.at);
        let leaf = transaction.leaf(members(&json!({"kind": "period_close", "period": "2026-11"})));
        transaction.writes.push(Write::PeriodClose { period: month("2026-11"), postings: 1, size, leaf });
        fixture.records.commit_blocking(transaction)
    };
    // Worked out before the payment came in.
    assert!(matches!(close(&fixture, size), Err(CommitError::Conflict(Expect::Postings { .. }))));
    let months = fixture.records.read(|reader| reader.periods()).unwrap();
    let trees = months.closing(month("2026-11")).unwrap().trees(month("2026-11")).unwrap();
    let owed = trees[0].proof(&"consumer:hku:receivable".parse().unwrap()).unwrap().sums.closing;
    assert_eq!((owed.debits, owed.credits), (1000, 300));
    let size = fixture.records.read(|reader| reader.log_size()).unwrap();
    close(&fixture, size).unwrap();
    fixture.audit();
}
