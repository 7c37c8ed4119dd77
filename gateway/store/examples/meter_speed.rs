//! What recording one delivery costs when much of its file was delivered before, and how large the row is then.
//!
//! Two readers of a file of row groups with ten columns, one delivery a commit: one that takes every second unit, and one that
//! goes forwards, a row group at a time. `cargo run --release -p gateway-store --example meter_speed -- [UNITS [DIR]]`: so
//! many units in the scattered reader's file (default 100,000). What it had before comes in one delivery, so that a thousand
//! deliveries can be timed at any fill.

use std::path::Path;
use std::sync::Arc;

use catalog::file_index::{Leaf, Unit};
use catalog::{Digest, FileIndex};
use gateway_ledger::{IntervalSet, Month, Quote, UnitSetError};
use gateway_store::{DeliveredFilter, FirstStream, Lease, OpenOptions, Records, Terms, Transaction, Write};
use jiff::Timestamp;
use serde_json::json;

#[path = "shared/agreement.rs"]
mod agreement;
#[path = "../tests/shapes/lease.rs"]
#[allow(clippy::unwrap_used)]
mod lease;
#[path = "shared/writer_busy.rs"]
mod writer_busy;

use agreement::agreement;
use lease::lease;
use writer_busy::writer_busy;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const COLUMNS: u32 = 10;
const UNIT_BYTES: u64 = 64_000;
/// Deliveries that are timed at each fill.
const TIMED: u64 = 1_000;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let units: u32 = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let parent = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let half = u64::from(units) / 2;
    for held in [0, half / 2, half.saturating_sub(TIMED)] {
        let store = Store::open(&parent, units)?;
        let scattered = |from: u64, to: u64| (from..to).map(|number| Store::range(number * 2, 1)).collect();
        store.deliver(&scattered(0, held))?;
        let each = (held..held + TIMED.min(half)).map(|number| scattered(number, number + 1));
        store.measure(&format!("every second of {units} units, {held} had before"), each)?;
    }
    let store = Store::open(&parent, 1_000 * COLUMNS)?;
    let columns = u64::from(COLUMNS);
    let each = (0..1_000).map(|group| std::iter::once(Store::range(group * columns, columns)).collect());
    store.measure("1000 row groups forwards", each)
}

struct Store {
    records: Records,
    lease: Lease,
    index: Arc<FileIndex>,
    now: Timestamp,
    _dir: tempfile::TempDir,
}

impl Store {
    fn open(parent: &Path, units: u32) -> Result<Self, Failure> {
        let now = Timestamp::now();
        let dir = tempfile::tempdir_in(parent)?;
        let (records, _) = Records::open(dir.path(), OpenOptions::new(now))?;
        let mut transaction = Transaction::new(now);
        transaction.writes.push(agreement(now)?);
        let lease = lease("l-1", now, 24);
        let leaf = json!({"kind": "decision", "lease": lease.id});
        let leaf = transaction.leaf(leaf.as_object().cloned().unwrap_or_default());
        let stream = FirstStream { representation: "file".to_owned(), ranges: std::iter::once(0..1 << 40).collect() };
        let terms = Terms { quote: Quote::default(), unreceipted_bytes_max: None };
        transaction.writes.push(Write::PutLease { lease: lease.clone(), terms, stream: Some(stream), leaf });
        records.commit_blocking(transaction)?;
        Ok(Self { records, lease, index: index(units), now, _dir: dir })
    }

    /// The bytes of `count` units from `first` on.
    const fn range(first: u64, count: u64) -> std::ops::Range<u64> {
        4 + first * UNIT_BYTES..4 + (first + count) * UNIT_BYTES
    }

    fn deliver(&self, bytes: &IntervalSet) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut transaction = Transaction::new(self.now);
        transaction.writes.push(Write::Delivered {
            lease: self.lease.id.clone(),
            agreement: self.lease.agreement.clone(),
            dataset: self.lease.dataset.clone(),
            version: self.lease.version.clone(),
            file: self.index.sha256,
            index: Some(Arc::clone(&self.index)),
            period: Month::of(self.now),
            intervals: bytes.clone(),
            rows: None,
            wire_bytes: bytes.len(),
        });
        self.records.commit_blocking(transaction)?;
        Ok(())
    }

    fn measure(&self, what: &str, each: impl Iterator<Item = IntervalSet>) -> Result<(), Failure> {
        let (busy, written) = (writer_busy()?, written_bytes()?);
        let mut count = 0;
        for bytes in each {
            self.deliver(&bytes)?;
            count += 1;
        }
        let (busy, written) = (writer_busy()?.saturating_sub(busy), written_bytes()?.saturating_sub(written));
        let rows = self.records.read(|reader| reader.delivered(&DeliveredFilter::default()))?;
        let lengths = rows.iter().map(|row| Ok(row.units(&self.index)?.to_bytes().len()));
        let length = lengths.sum::<Result<usize, UnitSetError>>()?;
        println!(
            "{what}: the writer works {:.1?} a delivery and writes {} bytes; its units take {length}",
            busy / count,
            written / u64::from(count)
        );
        Ok(())
    }
}

/// Row groups of [`COLUMNS`] columns, one unit after the other.
fn index(units: u32) -> Arc<FileIndex> {
    let leaf = |number| Leaf { path: format!("c{number}"), r#type: "Utf8".to_owned() };
    let unit = |number: u32| Unit {
        row_group: number / COLUMNS,
        column: number % COLUMNS,
        offset: Store::range(u64::from(number), 1).start,
        bytes: UNIT_BYTES,
        uncompressed_bytes: 2 * UNIT_BYTES,
    };
    Arc::new(FileIndex {
        bytes: Store::range(u64::from(units), 1).start + 1_000,
        sha256: Digest::of(b"file"),
        row_groups: vec![10_000; units.div_ceil(COLUMNS).try_into().unwrap_or(0)],
        leaves: (0..COLUMNS).map(leaf).collect(),
        units: (0..units).map(unit).collect(),
        regions: Vec::new(),
    })
}

/// What this process has handed to `write` (proc_pid_io(5)).
fn written_bytes() -> Result<u64, Failure> {
    let counters = std::fs::read_to_string("/proc/self/io")?;
    let line = counters.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(line.unwrap_or("0").parse()?)
}
