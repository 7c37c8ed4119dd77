//! The meter and the books: what is posted by deliveries, receipts and credit notes, and that the log alone gives every
//! balance again. Every test ends with [`Fixture::audit`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::redundant_closure_for_method_calls,
    clippy::single_range_in_vec_init
)]

mod earlier;
mod files;
mod postings;
mod receipts;
mod retention;
#[path = "../shapes/lease.rs"]
mod shape;
mod simulation;

use std::ops::Range;
use std::sync::Arc;

use catalog::file_index::{Leaf, Unit};
use catalog::offer::{Currency, Period};
use catalog::{
    Agreement, AgreementId, AgreementState, DatasetId, Digest, EvidenceKind, Fee, FileIndex, Minor, Offer,
    ParticipantId, Price, PriceModel, Purpose, Vat,
};
use gateway_ledger::{Account, Balance, IntervalSet, Month, Quote};
use gateway_store::transaction::UNRECEIPTED_BYTES_MAX;
use gateway_store::{
    CommitError, Committed, DocKind, FirstStream, LeafRef, Lease, OpenOptions, PostingFilter, PostingRow, Receipt,
    Records, Terms, Transaction, Write,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub fn now() -> Timestamp {
    "2026-11-22T08:13:45.120Z".parse().unwrap()
}

pub fn month(text: &str) -> Month {
    Month::parse(text).unwrap()
}

pub fn members(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Terms of an agreement `a-1` between hku and qianhai, whose broker is lin-data.
pub fn terms(model: PriceModel, amount: i64) -> Offer {
    let period = (model == PriceModel::Subscription).then_some(Period::Month);
    Offer {
        purposes: vec![Purpose::parse("academic-research").unwrap()],
        recipients: vec!["hku.hk".to_owned()],
        places: Vec::new(),
        price: Price { model, amount: Minor(amount), currency: Currency::Cny, period },
        fee: Some(Fee::Rate { rate_ppm: 100_000 }),
        vat: Some(Vat { rate_ppm: 60_000 }),
        evidence: EvidenceKind::Sent,
        onward: "none".to_owned(),
        retention_days: None,
    }
}

/// Two row groups of two columns: four units of 100 bytes from offset 0, each of which uncompresses to a GiB.
pub fn index() -> Arc<FileIndex> {
    let leaf = |path: &str| Leaf { path: path.to_owned(), r#type: "Utf8".to_owned() };
    let unit = |number: u32| Unit {
        row_group: number / 2,
        column: number % 2,
        offset: u64::from(number) * 100,
        bytes: 100,
        uncompressed_bytes: 1 << 30,
    };
    Arc::new(FileIndex {
        bytes: 420,
        sha256: Digest::of(b"file"),
        row_groups: vec![1_000_000, 500_000],
        leaves: vec![leaf("a"), leaf("b")],
        units: (0..4).map(unit).collect(),
        regions: Vec::new(),
    })
}

pub fn lease(id: &str) -> Lease {
    shape::lease(id, now(), 24 * 365)
}

pub(crate) struct Fixture {
    pub records: Records,
    pub at: Timestamp,
    _dir: tempfile::TempDir,
}

impl Fixture {
    /// A store with the agreement.
    pub fn new(terms: Offer) -> Self {
        Self::in_folder(terms, tempfile::tempdir().unwrap())
    }

    /// The same where it costs no syncs.
    pub fn in_memory(terms: Offer) -> Self {
        Self::in_folder(terms, folder_in_memory())
    }

    fn in_folder(terms: Offer, dir: tempfile::TempDir) -> Self {
        let records = Records::open(&dir.path().join("data"), OpenOptions::new(now())).unwrap().0;
        let fixture = Self::of(records, now(), dir);
        let agreement = Agreement {
            id: AgreementId::parse("a-1").unwrap(),
            participant: ParticipantId::parse("hku").unwrap(),
            dataset: DatasetId::parse("yue-speech").unwrap(),
            purpose: Purpose::parse("academic-research").unwrap(),
            offer: terms.digest(),
            terms,
            provider: ParticipantId::parse("qianhai").unwrap(),
            broker: ParticipantId::parse("lin-data").unwrap(),
            state: AgreementState::Active,
            foreign_authority_request: false,
            at: now(),
            ended_at: None,
        };
        let body = serde_json::to_vec(&agreement).unwrap();
        fixture.commit(Write::PutDoc { kind: DocKind::Agreement, id: "a-1".to_owned(), body }).unwrap();
        fixture
    }

    /// A store that is open.
    pub fn of(records: Records, at: Timestamp, dir: tempfile::TempDir) -> Self {
        Self { records, at, _dir: dir }
    }

    pub fn commit(&self, write: Write) -> Result<Committed, CommitError> {
        let mut transaction = Transaction::new(self.at);
        transaction.writes.push(write);
        let committed = self.records.commit_blocking(transaction)?;
        // INV-5 after every commit.
        assert!(self.records.read(|reader| reader.book()).unwrap().balances());
        Ok(committed)
    }

    /// Makes a lease that costs `quote` for its 400 bytes, with a first grant.
    pub fn lease(&self, id: &str, quote: i64, needs_receipts: bool, granted: u64) -> Lease {
        let lease = lease(id);
        let mut transaction = Transaction::new(self.at);
        let leaf = transaction.leaf(members(&json!({"kind": "decision", "lease": id})));
        let unreceipted_bytes_max = needs_receipts.then_some(UNRECEIPTED_BYTES_MAX);
        let terms = Terms { quote: Quote { amount: Minor(quote), bytes: 400 }, unreceipted_bytes_max };
        transaction.writes.push(put_lease(&lease, terms, 0..granted, leaf));
        self.records.commit_blocking(transaction).unwrap();
        lease
    }

    pub fn deliver(&self, lease: &Lease, period: &str, ranges: &[Range<u64>], wire_bytes: u64) -> Committed {
        self.commit(delivered(lease, period, ranges, wire_bytes)).unwrap()
    }

    /// An acknowledgement of `units`.
    pub fn ack(&self, lease: &Lease, number: u64, units: &[Range<u64>]) -> Result<Committed, CommitError> {
        let mut transaction = Transaction::new(self.at);
        let leaf = transaction.leaf(members(&json!({"kind": "receipt", "lease": lease.id})));
        transaction.writes.push(receipt(lease, number, units, leaf));
        let committed = self.records.commit_blocking(transaction)?;
        assert!(self.records.read(|reader| reader.book()).unwrap().balances());
        Ok(committed)
    }

    pub fn postings(&self) -> Vec<PostingRow> {
        self.records.read(|reader| reader.postings(&PostingFilter::default())).unwrap()
    }

    /// Amounts posted to each month, credit notes included.
    pub fn amounts(&self) -> Vec<(String, i64)> {
        let rows = self.postings();
        let mut months: Vec<(String, i64)> = Vec::new();
        for row in rows {
            let period = row.period.to_string();
            match months.iter_mut().find(|(month, _)| *month == period) {
                Some((_, amount)) => *amount += row.split.amount.0,
                None => months.push((period, row.split.amount.0)),
            }
        }
        months
    }

    pub fn balance(&self, account: &str) -> Balance {
        let account: Account = account.parse().unwrap();
        self.records.read(|reader| reader.book()).unwrap().balance(Currency::Cny, &account)
    }

    /// What the consumer owes and what is held for it.
    pub fn owed(&self) -> (i128, i128) {
        let balance = self.balance("consumer:hku:receivable");
        (balance.debits - balance.credits, balance.pending_debits)
    }

    /// I8, I9: the books balance, and the log alone gives them again, byte for byte.
    pub fn audit(&self) {
        let (kept, rebuilt) = self.records.read(|reader| Ok((reader.book()?, reader.rebuilt_book()?))).unwrap();
        assert!(kept.balances(), "{kept:?}");
        assert_eq!(
            String::from_utf8(kept.canonical()).unwrap(),
            String::from_utf8(rebuilt.canonical()).unwrap(),
            "the log gives other balances than the store keeps"
        );
    }
}

/// A folder in memory, where there is one.
pub fn folder_in_memory() -> tempfile::TempDir {
    let shared = std::path::Path::new("/dev/shm");
    let place = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("kouan-").tempdir_in(place).unwrap()
}

pub fn receipt(lease: &Lease, number: u64, units: &[Range<u64>], leaf: LeafRef) -> Write {
    Write::Receipt(Box::new(Receipt {
        lease: lease.id.clone(),
        number,
        ack: Digest::of(format!("{number} {units:?}").as_bytes()),
        body: b"{}".to_vec(),
        evidence: b"sealed".to_vec(),
        subject: [7; 16],
        units: vec![(index(), units.iter().cloned().collect())],
        leaf,
    }))
}

/// A lease with its first grant.
pub fn put_lease(lease: &Lease, terms: Terms, granted: Range<u64>, leaf: LeafRef) -> Write {
    let stream = FirstStream { representation: "file".to_owned(), ranges: vec![granted] };
    Write::PutLease { lease: lease.clone(), terms, stream: Some(stream), leaf }
}

pub fn grant(lease: &Lease, range: Range<u64>) -> Write {
    Write::Grant { lease: lease.id.clone(), representation: "file".to_owned(), range }
}

pub fn delivered(lease: &Lease, period: &str, ranges: &[Range<u64>], wire_bytes: u64) -> Write {
    let index = index();
    Write::Delivered {
        lease: lease.id.clone(),
        agreement: lease.agreement.clone(),
        dataset: lease.dataset.clone(),
        version: lease.version.clone(),
        file: index.sha256,
        index: Some(index),
        period: month(period),
        intervals: ranges.iter().cloned().collect::<IntervalSet>(),
        rows: None,
        wire_bytes,
    }
}
