//! H5: random lives of a store, each from its seed, against a model that knows nothing but sets of bytes and a list of leaves.
//!
//! Streams take grants and use them up, consumers acknowledge rightly and wrongly, officers cut, months close, notes are
//! given, requests come twice, the node is restarted, and it crashes in the middle of a commit: its files as they were at
//! the last sync that was answered, and a torn or garbled part of what came after. The write-ahead log is copied into the
//! database and used again from its beginning, and it crashes in the midst of that. After each step the store must be what the
//! model is. `SEED=…` names a failure; `SIM_SEEDS=FROM..TO` runs others.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use catalog::offer::Currency;
use catalog::{Digest, EvidenceKind, Minor, Offer, PriceModel};
use gateway_ledger::{Month, Quote};
use gateway_store::{CommitError, DeliveredFilter, DocKind, Idempotency, Lease, LeaseState, Terms, Transaction, Write};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Fixture, grant, members, put_lease};

const SEEDS: u64 = 1000;
const STEPS: u32 = 200;
const BYTES: u64 = 400;
const LEASES_MAX: usize = 6;

/// Seeds that once failed; they run first.
const FOUND: &[u64] = &[];

/// xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

/// A grant, and how much of it has not been used.
#[derive(Debug, Clone)]
struct Window {
    range: Range<u64>,
    used: u64,
}

#[derive(Debug, Clone)]
struct Stream {
    lease: Lease,
    active: bool,
    windows: Vec<Window>,
    granted: u64,
    sent: u64,
    unsent: u64,
    /// What was signed, by number from 1.
    acks: Vec<Range<u64>>,
}

/// What must be true of the store.
#[derive(Debug, Clone, Default)]
struct Model {
    streams: Vec<Stream>,
    sent: HashSet<u64>,
    acked: HashSet<u64>,
    credited: i64,
    leaves: BTreeMap<u64, String>,
    answers: BTreeMap<u64, Vec<u8>>,
}

/// What a disk says that it has and does not have.
#[derive(Debug, Clone, Copy)]
enum Lie {
    Commit,
    Copy,
}

struct Life {
    store: Fixture,
    random: Random,
    model: Model,
    evidence: EvidenceKind,
    made: u32,
}

#[test]
fn a_thousand_lives_agree_with_the_model() {
    let named = std::env::var("SIM_SEEDS").ok();
    let range = named
        .as_deref()
        .and_then(|text| text.split_once(".."))
        .map_or(0..SEEDS, |(from, to)| from.parse().unwrap()..to.parse().unwrap());
    let seeds: Vec<u64> = FOUND.iter().copied().chain(range).collect();
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        for half in 0..2 {
            let seeds = &seeds;
            scope.spawn(move || {
                for seed in seeds.iter().skip(half).step_by(2) {
                    let lived = std::panic::catch_unwind(|| live(*seed, STEPS, None));
                    assert!(lived.is_ok(), "SEED={seed}");
                }
            });
        }
    });
    println!("{} lives of {STEPS} steps in {:?}", seeds.len(), started.elapsed());
}

/// The harness is worth something: a database that is not synced before its log is used again is noticed, in every life.
#[test]
fn a_copy_that_is_not_synced_is_noticed() {
    std::panic::set_hook(Box::new(|_| {}));
    let unnoticed: Vec<u64> =
        (0..8).filter(|seed| std::panic::catch_unwind(|| live(*seed, STEPS, Some(Lie::Copy))).is_ok()).collect();
    drop(std::panic::take_hook());
    assert!(unnoticed.is_empty(), "lost a copy unnoticed: {unnoticed:?}");
}

/// The model is worth something: a sync that was answered and is not on disk after a crash is noticed, in every life.
#[test]
fn a_lost_sync_is_noticed() {
    std::panic::set_hook(Box::new(|_| {}));
    let unnoticed: Vec<u64> =
        (0..8).filter(|seed| std::panic::catch_unwind(|| live(*seed, STEPS, Some(Lie::Commit))).is_ok()).collect();
    drop(std::panic::take_hook());
    assert!(unnoticed.is_empty(), "lost a sync unnoticed: {unnoticed:?}");
}

fn live(seed: u64, steps: u32, lie: Option<Lie>) {
    let evidence = if seed.is_multiple_of(2) { EvidenceKind::Sent } else { EvidenceKind::Receipt };
    let terms = Offer { evidence, ..super::terms(PriceModel::PerGib, 997) };
    let random = Random::new(seed);
    let mut life = Life { store: Fixture::in_memory(terms), random, model: Model::default(), evidence, made: 0 };
    life.lease();
    for step in 1..=steps {
        match life.random.below(24) {
            0 => life = life.restart(),
            1 | 2 => life = life.crash(),
            3 => life = life.copy(),
            _ => life.act(),
        }
        life.agree();
        if step % 50 == 0 {
            life.audit();
        }
    }
    if let Some(lie) = lie {
        life = life.lose(lie);
        life.agree();
        life.audit();
    }
}

impl Life {
    fn pick(&mut self) -> usize {
        let count = self.model.streams.len() as u64;
        usize::try_from(self.random.below(count)).unwrap()
    }

    /// One thing that one of the parties does: one commit.
    fn act(&mut self) {
        match self.random.below(20) {
            0 if self.model.streams.len() < LEASES_MAX => self.lease(),
            0..=4 => self.grant(),
            5..=9 => self.deliver(),
            10..=13 => self.acknowledge(),
            14 => self.give_back(),
            15 => self.end(),
            16 => self.release(),
            17 => self.credit(),
            18 => self.request(),
            _ => self.wait(),
        }
    }

    fn commit(&mut self, transaction: Transaction) -> Result<u64, CommitError> {
        let noted: Vec<String> =
            transaction.leaves.iter().map(|leaf| Value::Object(leaf.clone()).to_string()).collect();
        let committed = self.store.records.commit_blocking(transaction)?;
        for (index, leaf) in (committed.first_leaf..).zip(noted) {
            assert!(self.model.leaves.insert(index, leaf).is_none(), "leaf {index} is given twice");
        }
        Ok(committed.first_leaf)
    }

    fn write(&mut self, write: Write) -> Result<u64, CommitError> {
        let mut transaction = Transaction::new(self.store.at);
        transaction.writes.push(write);
        self.commit(transaction)
    }

    fn marked(&mut self, kind: &str) -> (Transaction, gateway_store::LeafRef) {
        self.made += 1;
        let mut transaction = Transaction::new(self.store.at);
        let leaf = transaction.leaf(members(&json!({"kind": kind, "mark": self.made})));
        (transaction, leaf)
    }

    fn lease(&mut self) {
        let id = format!("l-{}", self.model.streams.len());
        let lease = Lease {
            expires: self.store.at + SignedDuration::from_hours(24 * i64::try_from(1 + self.random.below(90)).unwrap()),
            created: self.store.at,
            ..super::lease(&id)
        };
        let (mut transaction, leaf) = self.marked("decision");
        let terms = Terms {
            quote: Quote { amount: Minor(3988), bytes: BYTES },
            unreceipted_bytes_max: (self.evidence == EvidenceKind::Receipt).then_some(1 << 20),
        };
        let first = 1 + self.random.below(100);
        transaction.writes.push(put_lease(&lease, terms, 0..first, leaf));
        self.commit(transaction).unwrap();
        let windows = vec![Window { range: 0..first, used: 0 }];
        let (granted, active) = (first, true);
        self.model.streams.push(Stream { lease, active, windows, granted, sent: 0, unsent: 0, acks: Vec::new() });
    }

    fn range(&mut self) -> Range<u64> {
        let start = self.random.below(BYTES);
        start..(start + 1 + self.random.below(120)).min(BYTES)
    }

    fn grant(&mut self) {
        let (which, range) = (self.pick(), self.range());
        let stream = &self.model.streams[which];
        let may = stream.active && self.store.at < stream.lease.expires;
        let granted = self.write(grant(&stream.lease.clone(), range.clone()));
        assert_eq!(granted.is_ok(), may, "{granted:?}");
        if may {
            let stream = &mut self.model.streams[which];
            stream.granted += range.end - range.start;
            stream.windows.push(Window { range, used: 0 });
        }
    }

    /// Sends some of what is granted, as a gate does: in order, and nothing beyond.
    fn deliver(&mut self) {
        let which = self.pick();
        let Some(at) = self.model.streams[which].windows.iter().position(|w| w.range.start + w.used < w.range.end)
        else {
            return;
        };
        let window = self.model.streams[which].windows[at].clone();
        let first = window.range.start + window.used;
        let count = 1 + self.random.below(window.range.end - first);
        let lease = self.model.streams[which].lease.clone();
        let period = Month::of(self.store.at).to_string();
        self.write(super::delivered(&lease, &period, &[first..first + count], count)).unwrap();
        let stream = &mut self.model.streams[which];
        stream.windows[at].used += count;
        stream.sent += count;
        self.model.sent.extend(first..first + count);
    }

    /// Rightly, again, out of order, another one under a number that is taken, of what was never sent.
    fn acknowledge(&mut self) {
        let (which, units) = (self.pick(), self.range());
        let stream = self.model.streams[which].clone();
        let next = stream.acks.len() as u64 + 1;
        let number = match self.random.below(6) {
            0 => next + 1 + self.random.below(3),
            1 => next.saturating_sub(1 + self.random.below(3)),
            _ => next,
        };
        let known = units.clone().all(|byte| self.model.sent.contains(&byte));
        let right = number == next && known;
        let (mut transaction, leaf) = self.marked("receipt");
        transaction.writes.push(super::receipt(&stream.lease, number, std::slice::from_ref(&units), leaf));
        let taken = self.commit(transaction);
        assert_eq!(taken.is_ok(), right, "{taken:?}");
        if right {
            self.model.acked.extend(units.clone());
            self.model.streams[which].acks.push(units);
        }
    }

    /// A stream ends within its window: the rest provably did not leave. More than is left cannot be given back.
    fn give_back(&mut self) {
        let which = self.pick();
        let stream = &self.model.streams[which];
        let left = stream.granted - stream.sent - stream.unsent;
        let over = self.random.below(4) == 0;
        let bytes = if over { left + 1 } else { left };
        let lease = stream.lease.id.clone();
        let given = self.write(Write::Unsent { lease, bytes });
        assert_eq!(given.is_ok(), !over, "{given:?}");
        if !over {
            let stream = &mut self.model.streams[which];
            stream.unsent += left;
            stream.windows.iter_mut().for_each(|window| window.used = window.range.end - window.range.start);
        }
    }

    /// Cut or expired, with its leaf. Twice is a conflict.
    fn end(&mut self) {
        let which = self.pick();
        let stream = self.model.streams[which].clone();
        let (mut transaction, leaf) = self.marked("lease_close");
        let state = if self.random.below(2) == 0 { LeaseState::Cut } else { LeaseState::Closed };
        let lease = stream.lease.id;
        transaction.writes.push(Write::LeaseState { lease: lease.clone(), state, reason: None, leaf: Some(leaf) });
        if self.random.below(2) == 0 {
            transaction.writes.push(Write::Release { lease });
        }
        let ended = self.commit(transaction);
        assert_eq!(ended.is_ok(), stream.active, "{ended:?}");
        self.model.streams[which].active = false;
    }

    fn release(&mut self) {
        let which = self.pick();
        let stream = &self.model.streams[which];
        let (lease, active) = (stream.lease.id.clone(), stream.active);
        let released = self.write(Write::Release { lease });
        assert_eq!(released.is_ok(), !active, "{released:?}");
    }

    fn credit(&mut self) {
        let amount = i64::try_from(1 + self.random.below(200)).unwrap();
        let fits = amount <= self.due() - self.model.credited;
        let lease = self.model.streams[0].lease.clone();
        let note = Write::CreditNote {
            id: "cn".to_owned(),
            agreement: lease.agreement,
            dataset: lease.dataset,
            version: lease.version,
            amount: Minor(amount),
            service_period: super::month("2026-11"),
        };
        let given = self.write(note);
        assert_eq!(given.is_ok(), fits, "{given:?}");
        self.model.credited += if fits { amount } else { 0 };
    }

    /// A request with an idempotency key: the first is recorded, the same again gets its answer, another body none.
    fn request(&mut self) {
        let key = self.random.below(5);
        let same = self.random.below(3) > 0;
        let (mut transaction, _) = self.marked("admin");
        let response = format!("answer {}", self.made).into_bytes();
        transaction.writes.push(Write::PutDoc { kind: DocKind::Review, id: format!("r-{key}"), body: b"{}".to_vec() });
        transaction.idempotency = Some(Idempotency {
            scope: "p".to_owned(),
            key: key.to_string(),
            body: Digest::of(if same { b"one" } else { b"two" }),
            response: response.clone(),
        });
        let known = self.model.answers.get(&key).cloned();
        match (known, self.commit(transaction)) {
            (None, Ok(_)) if same => drop(self.model.answers.insert(key, response)),
            (None, Ok(_)) => drop(self.model.answers.insert(key, [b"two", response.as_slice()].concat())),
            (Some(answer), Err(CommitError::Replayed { response, .. })) => {
                let recorded = if same { response } else { [b"two", response.as_slice()].concat() };
                assert_eq!(recorded, answer);
            }
            (Some(answer), Err(CommitError::KeyReused { .. })) => assert_eq!(answer.starts_with(b"two"), same),
            (known, got) => panic!("{known:?} and then {got:?}"),
        }
    }

    fn wait(&mut self) {
        self.store.at += SignedDuration::from_hours(24 * i64::try_from(self.random.below(12)).unwrap());
        let now = self.store.at;
        let open = self.store.records.read(|reader| reader.open_periods()).unwrap();
        for period in open.into_iter().filter(|period| period.closes() <= now) {
            let postings = self.store.postings().iter().filter(|row| row.period == period).count() as u64;
            let (size, months) = self.store.records.read(|reader| Ok((reader.log_size()?, reader.periods()?))).unwrap();
            let sums = months.closing(period).unwrap().commitments(period).unwrap();
            let mut transaction = Transaction::new(now);
            let leaf = transaction.leaf(members(&json!({"kind": "period_close", "period": period, "sums": sums})));
            transaction.writes.push(Write::PeriodClose { period, postings, size, leaf });
            self.commit(transaction).unwrap();
        }
    }

    fn restart(mut self) -> Self {
        self.store.records.close();
        self.store = self.store.files().open(self.store.at, true);
        self
    }

    /// Dies in the middle of one more act, whose answer nobody gets: all of it is there, or nothing.
    fn crash(mut self) -> Self {
        // Closing months is several commits; each of the others is one.
        let (before, clock, files) = (self.model.clone(), self.store.at, self.store.files());
        match self.random.below(5) {
            0 => self.grant(),
            1 => self.deliver(),
            2 => self.acknowledge(),
            3 => self.end(),
            _ => self.request(),
        }
        assert_eq!(clock, self.store.at);
        let (torn, whole) = files.torn_commit(&self.store.files(), &mut self.random);
        if !whole {
            self.model = before;
        }
        self.store = torn.open(self.store.at, false);
        self
    }

    /// The write-ahead log is copied into the database; what is committed next begins it anew. Or the node dies in the midst.
    fn copy(mut self) -> Self {
        let before = self.store.files();
        self.store.copy_log();
        if self.random.below(2) == 0 {
            let torn = before.torn_copy(&self.store.files(), &mut self.random);
            self.store = torn.open(self.store.at, false);
        }
        self
    }

    /// A disk that lies: what was answered is not there after a crash.
    fn lose(mut self, lie: Lie) -> Self {
        // Other pages than what is committed next.
        self.lease();
        let before = self.store.files();
        if matches!(lie, Lie::Copy) {
            self.store.copy_log();
        }
        let (transaction, _) = self.marked("admin");
        self.commit(transaction).unwrap();
        let lost = match lie {
            Lie::Commit => before,
            Lie::Copy => before.database_of(self.store.files()),
        };
        self.store = lost.open(self.store.at, false);
        self
    }

    fn due(&self) -> i64 {
        let billed = if self.evidence == EvidenceKind::Receipt { &self.model.acked } else { &self.model.sent };
        // Each byte is a hundredth of a unit at 997 fen.
        i64::try_from(billed.len()).unwrap() * 997 / 100
    }

    /// After each step.
    fn agree(&self) {
        let model = &self.model;
        let (book, rows) = self
            .store
            .records
            .read(|reader| {
                let rows: Vec<_> =
                    model.streams.iter().map(|stream| reader.lease(&stream.lease.id)).collect::<Result<_, _>>()?;
                Ok((reader.book()?, rows))
            })
            .unwrap();
        assert!(book.balances());
        let owed = book.balance(Currency::Cny, &"consumer:hku:receivable".parse().unwrap());
        assert_eq!(owed.debits - owed.credits, i128::from(self.due() - model.credited));
        for (stream, row) in model.streams.iter().zip(rows) {
            let row = row.expect("a lease is lost");
            // I1, I6.
            assert_eq!(row.granted_bytes, stream.granted, "{}", stream.lease.id);
            assert_eq!((row.lease.sent_bytes, row.unsent_bytes), (stream.sent, stream.unsent));
            assert_eq!(row.lease.state == LeaseState::Active, stream.active);
            assert!(row.held >= 0 && row.posted >= 0);
        }
    }

    /// Everything that can be read.
    fn audit(&self) {
        self.store.audit();
        let model = &self.model;
        let leaves = self.store.records.read(|reader| reader.leaves(0, usize::MAX)).unwrap();
        for (index, noted) in &model.leaves {
            let mut leaf: Value = serde_json::from_slice(&leaves[usize::try_from(*index).unwrap()]).unwrap();
            let leaf = leaf.as_object_mut().unwrap();
            for stamped in ["v", "at"] {
                leaf.remove(stamped);
            }
            assert_eq!(serde_json::to_value(&*leaf).unwrap(), serde_json::from_str::<Value>(noted).unwrap(), "{index}");
        }
        for stream in &model.streams {
            let id = &stream.lease.id;
            let (grants, receipts) =
                self.store.records.read(|reader| Ok((reader.grants(id)?, reader.receipts(id)?))).unwrap();
            let granted: Vec<_> = grants.into_iter().map(|grant| grant.range).collect();
            assert_eq!(granted, stream.windows.iter().map(|window| window.range.clone()).collect::<Vec<_>>());
            let numbers: Vec<u64> = receipts.iter().map(|receipt| receipt.number).collect();
            assert_eq!(numbers, (1..=stream.acks.len() as u64).collect::<Vec<_>>());
        }
        let rows = self.store.records.read(|reader| reader.delivered(&DeliveredFilter::default())).unwrap();
        // I7: every byte in one month's row at most, receipted only where delivered.
        let index = super::index();
        let (mut sent, mut acked) = (0, 0);
        for row in &rows {
            let (units, receipted) = (row.units(&index).unwrap(), row.receipted(&index).unwrap());
            assert_eq!((units.len(&index), receipted.len(&index)), (row.unit_bytes, row.receipt_bytes));
            assert!(receipted.difference(&units, &index).is_empty());
            assert!(units.intervals(&index).iter().flatten().all(|byte| model.sent.contains(&byte)));
            (sent, acked) = (sent + row.unit_bytes, acked + row.receipt_bytes);
        }
        assert_eq!((sent, acked), (model.sent.len() as u64, model.acked.len() as u64));
        for posting in self.store.postings() {
            assert!(posting.period >= posting.service_period && posting.at < posting.period.closes());
        }
    }
}
