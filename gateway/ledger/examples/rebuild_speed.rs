//! How fast the ledger is rebuilt from a log: makes a long log in a folder, then does what `kouan audit rebuild` does, the
//! verification of the whole log before it included, on one thread.
//!
//! `cargo run --release -p gateway-ledger --example rebuild_speed [ENTRIES [DIR]]`. With DIR the log stays there, and
//! `kouan audit rebuild DIR` can be timed on it.

#![allow(clippy::cast_precision_loss, reason = "figures are printed, not kept")]

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use gateway_audit::verify::{LogFiles, VerifyOptions, for_each_entry, verify_log};
use gateway_audit::{Checkpoint, Ed25519Signer, Leaf, TileBuilder};
use gateway_ledger::Book;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const ENTRIES: u64 = 1_000_000;
const ORIGIN: &str = "bench.example/audit";

struct Folder(PathBuf);

impl LogFiles for Folder {
    type Error = io::Error;

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, io::Error> {
        match fs::read(self.0.join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => bytes.map(Some),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let entries: u64 = arguments.next().map_or(Ok(ENTRIES), |text| text.parse())?;
    let kept: Option<PathBuf> = arguments.next().map(Into::into);
    let dir =
        kept.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("kouan-rebuild-{}", std::process::id())));
    let result = measure(&dir, entries);
    if kept.is_none() {
        fs::remove_dir_all(&dir)?;
    }
    result
}

fn measure(dir: &Path, entries: u64) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let bytes = make(dir, entries)?;
    println!(
        "made     {entries} entries of {} bytes in {:.1} s",
        bytes / entries.max(1),
        begun.elapsed().as_secs_f64()
    );
    let (folder, options) = (Folder(dir.to_owned()), VerifyOptions { key: None, since: None });
    let begun = cpu_seconds();
    let report = verify_log(&folder, &options, &mut |_, _| ())?;
    if let Some(finding) = report.finding {
        return Err(finding.to_string().into());
    }
    let verified = cpu_seconds() - begun;
    let (mut book, mut wrong) = (Book::new(), None);
    for_each_entry(&folder, |index, entry| {
        if wrong.is_none() {
            wrong = book.enter_leaf(index, entry).err();
        }
    })?;
    if let Some(error) = wrong {
        return Err(error.into());
    }
    let all = cpu_seconds() - begun;
    let rate = |seconds: f64| entries as f64 / seconds;
    println!(
        "rebuilt  {all:.2} CPU s, {:.0} leaves/s; of that entered {:.0} leaves/s",
        rate(all),
        rate(all - verified)
    );
    println!("balanced {}, {} accounts, digest {}", book.balances(), book.iter().count(), book.digest());
    Ok(())
}

/// Seconds this thread has spent on a CPU, which other load does not change.
fn cpu_seconds() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let wall = START.get_or_init(Instant::now).elapsed().as_secs_f64();
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok();
    stat.and_then(|stat| stat.split(' ').next()?.parse::<f64>().ok()).map_or(wall, |nanos| nanos / 1e9)
}

/// Every second entry is a batch of transfers, as a delivery makes one: a hold is settled and posted in three parts.
fn make(dir: &Path, entries: u64) -> Result<u64, Box<dyn Error>> {
    let mut builder = TileBuilder::new();
    let mut bytes = 0;
    for from in (0..entries).step_by(4096) {
        let batch: Vec<Vec<u8>> = (from..entries.min(from + 4096)).map(entry).collect::<Result<_, _>>()?;
        bytes += batch.iter().map(|entry| entry.len() as u64).sum::<u64>();
        for file in builder.append(&batch)?.files {
            let path = dir.join(file.path.to_string());
            fs::create_dir_all(path.parent().unwrap_or(dir))?;
            fs::write(path, file.bytes)?;
        }
    }
    let signer = Ed25519Signer::from_seed(ORIGIN, &[1; 32])?;
    let head = Checkpoint { origin: ORIGIN.into(), size: builder.size(), root: builder.root() };
    fs::write(dir.join("checkpoint"), head.sign(&[&signer])?.to_text())?;
    Ok(bytes)
}

fn entry(index: u64) -> Result<Vec<u8>, Box<dyn Error>> {
    let at = Timestamp::from_second(1_795_000_000)? + SignedDuration::from_millis(i64::try_from(index / 5)?);
    let consumer = format!("consumer:university-{}:receivable", index % 97);
    let provider = format!("provider:publisher-{}:payable", index % 13);
    let transfer = |code: &str, debit: &str, credit: &str, amount: u64| json!({"code": code, "debit": debit, "credit": credit, "amount": amount.to_string()});
    let mut members = if index.is_multiple_of(2) {
        json!({
            "kind": "decision", "participant": "hku", "dataset": "yue-speech", "version": "1", "effect": "allow",
            "columns": ["text", "label", "duration"], "lease": format!("{index:026}"), "needed": "none", "rules": ["GEN"],
            "person": format!("c:{index:064}"), "certificate": format!("c:{index:064}"), "purpose": "academic-research",
        })
    } else {
        json!({
            "kind": "ledger_batch", "currency": "CNY", "lease": format!("{index:026}"),
            "transfers": [
                transfer("reserve", &consumer, "suspense", 2500),
                transfer("settle", &consumer, "suspense", 2500),
                transfer("post", &consumer, &provider, 2000),
                transfer("post", &consumer, "broker:qianhai:revenue:data_transaction_service", 350),
                transfer("post", &consumer, "tax:vat", 150),
            ],
        })
    };
    if let Value::Object(members) = &mut members {
        members.insert("v".to_owned(), json!(1));
        members.insert("at".to_owned(), json!(format!("{at:.3}")));
    }
    let bytes = serde_json_canonicalizer::to_vec(&members)?;
    Ok(Leaf::parse(&bytes)?.bytes().to_vec())
}
