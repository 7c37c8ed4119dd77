//! Random interleavings of grants, deliveries, retries, acknowledgements, cuts, releases, credit notes and month ends,
//! against a model that knows nothing but a set of bytes: what is owed, that no byte is billed twice, that the books
//! balance after each step, and that the log gives them again.

use std::collections::HashSet;

use catalog::{EvidenceKind, Minor, Offer, PriceModel};
use gateway_ledger::Month;
use gateway_store::{DeliveredFilter, LeaseState, Transaction, Write};
use jiff::SignedDuration;
use serde_json::json;

use super::{Fixture, grant, members};

const SEEDS: u64 = 12;
const STEPS: usize = 40;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

#[derive(Default)]
struct Model {
    sent: HashSet<u64>,
    acked: HashSet<u64>,
    credited: i64,
    acks: [u64; 3],
}

impl Model {
    /// Each byte is a hundredth of a unit at 997 fen.
    fn due(&self, evidence: EvidenceKind) -> i64 {
        let billed = if evidence == EvidenceKind::Receipt { &self.acked } else { &self.sent };
        i64::try_from(billed.len()).unwrap() * 997 / 100
    }
}

#[test]
fn random_interleavings_agree_with_a_set_of_bytes() {
    for seed in 1..=SEEDS {
        let evidence = if seed % 2 == 0 { EvidenceKind::Receipt } else { EvidenceKind::Sent };
        let caught = std::panic::catch_unwind(|| run(seed, evidence));
        assert!(caught.is_ok(), "SIM_SEED={seed}");
    }
}

fn run(seed: u64, evidence: EvidenceKind) {
    let terms = Offer { evidence, ..super::terms(PriceModel::PerGib, 997) };
    let mut fixture = Fixture::new(terms);
    let receipts = evidence == EvidenceKind::Receipt;
    let leases = ["l-1", "l-2", "l-3"].map(|id| fixture.lease(id, 3988, receipts, 40));
    let (mut random, mut model) = (Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)), Model::default());
    for _ in 0..STEPS {
        let which = usize::try_from(random.below(3)).unwrap();
        let lease = &leases[which];
        let start = random.below(400);
        let range = start..(start + 1 + random.below(120)).min(400);
        match random.below(9) {
            // An ended lease grants nothing: a conflict then.
            0 => drop(fixture.commit(grant(lease, range))),
            1..=3 => {
                let period = Month::of(fixture.at).to_string();
                fixture.deliver(lease, &period, std::slice::from_ref(&range), range.end - range.start);
                model.sent.extend(range);
            }
            4 | 5 => {
                // Sometimes the wrong number, sometimes what was not sent.
                let number = model.acks[which] + 1 + u64::from(random.below(6) == 0);
                let known = range.clone().all(|byte| model.sent.contains(&byte));
                let right = number == model.acks[which] + 1 && known;
                assert_eq!(fixture.ack(lease, number, std::slice::from_ref(&range)).is_ok(), right);
                if right {
                    model.acks[which] += 1;
                    model.acked.extend(range);
                }
            }
            6 => {
                let ended =
                    Write::LeaseState { lease: lease.id.clone(), state: LeaseState::Cut, reason: None, leaf: None };
                // Cut twice is a conflict; an active lease keeps its hold.
                if random.below(3) == 0 {
                    drop(fixture.commit(ended));
                }
                drop(fixture.commit(Write::Release { lease: lease.id.clone() }));
            }
            7 => {
                let amount = i64::try_from(1 + random.below(200)).unwrap();
                let fits = amount <= model.due(evidence) - model.credited;
                let note = Write::CreditNote {
                    id: "cn".to_owned(),
                    agreement: lease.agreement.clone(),
                    dataset: lease.dataset.clone(),
                    version: lease.version.clone(),
                    amount: Minor(amount),
                    service_period: super::month("2026-11"),
                };
                assert_eq!(fixture.commit(note).is_ok(), fits);
                model.credited += if fits { amount } else { 0 };
            }
            _ => {
                fixture.at += SignedDuration::from_hours(24 * i64::try_from(random.below(20)).unwrap());
                close(&fixture);
            }
        }
        agree(&fixture, &model, evidence);
    }
    fixture.audit();
    // Whatever was closed when: the log gives every closing again.
    fixture.records.read(|reader| reader.periods()).unwrap();
}

/// Closes what can be closed, and holds its postings against what they were.
fn close(fixture: &Fixture) {
    for period in fixture.records.read(|reader| reader.open_periods()).unwrap() {
        if period.closes() > fixture.at {
            continue;
        }
        let postings = fixture.postings().iter().filter(|row| row.period == period).count() as u64;
        let (size, months) = fixture.records.read(|reader| Ok((reader.log_size()?, reader.periods()?))).unwrap();
        let sums = months.closing(period).unwrap().commitments(period).unwrap();
        let mut transaction = Transaction::new(fixture.at);
        let leaf = transaction.leaf(members(&json!({"kind": "period_close", "period": period, "sums": sums})));
        transaction.writes.push(Write::PeriodClose { period, postings, size, leaf });
        fixture.records.commit_blocking(transaction).unwrap();
    }
}

fn agree(fixture: &Fixture, model: &Model, evidence: EvidenceKind) {
    assert_eq!(fixture.owed().0, i128::from(model.due(evidence) - model.credited));
    let suspense = fixture.balance("suspense");
    assert!(suspense.pending_credits >= 0 && suspense.credits == 0);
    let rows = fixture.records.read(|reader| reader.delivered(&DeliveredFilter::default())).unwrap();
    // INV-4: acknowledged ⊆ sent, and no byte in two months.
    assert!(rows.iter().all(|row| row.receipted.difference(&row.intervals).is_empty()));
    assert_eq!(rows.iter().map(|row| row.unit_bytes).sum::<u64>(), model.sent.len() as u64);
    assert_eq!(rows.iter().map(|row| row.receipted.len()).sum::<u64>(), model.acked.len() as u64);
    // I10: what was posted to a closed month is counted by its leaf and stays.
    for posting in fixture.postings() {
        assert!(posting.period >= posting.service_period);
        assert!(posting.at < posting.period.closes());
    }
    for lease in ["l-1", "l-2", "l-3"] {
        let id = catalog::LeaseId::parse(lease).unwrap();
        let row = fixture.records.read(|reader| reader.lease(&id)).unwrap().unwrap();
        assert!(row.held >= 0 && row.posted >= 0, "posted beyond what is held");
    }
}
