//! Prints durable commits per second with 1, 64 and 256 concurrent callers.
//!
//! Each commit is what a decision makes: a leaf, its facts, a counter, a lease with its first grant, an idempotency
//! row. `cargo run --release -p gateway-store --example commits_per_second [SECONDS] [DIR]`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use catalog::{Digest, LeaseId};
use gateway_ledger::Contribution;
use gateway_store::{Idempotency, Lease, OpenOptions, Records, Transaction, Write};
use jiff::Timestamp;
use serde_json::json;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let parent = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(parent)?;
    let (records, _) = Records::open(dir.path(), OpenOptions::new(Timestamp::now()))?;
    let number = Arc::new(AtomicU64::new(0));
    for callers in [1, 64, 256] {
        let (begun, before) = (Instant::now(), number.load(Ordering::Relaxed));
        let end = begun + Duration::from_secs(seconds);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..callers {
            let (records, number) = (records.clone(), Arc::clone(&number));
            tasks.spawn(async move {
                let mut slowest = Duration::ZERO;
                while Instant::now() < end {
                    let transaction = decision(number.fetch_add(1, Ordering::Relaxed))?;
                    let asked = Instant::now();
                    records.commit(transaction).await?;
                    slowest = slowest.max(asked.elapsed());
                }
                Ok::<_, Failure>(slowest)
            });
        }
        let mut slowest = Duration::ZERO;
        while let Some(task) = tasks.join_next().await {
            slowest = slowest.max(task??);
        }
        let commits = number.load(Ordering::Relaxed) - before;
        let rate = u128::from(commits) * 1_000_000 / begun.elapsed().as_micros().max(1);
        println!("{callers:>4} callers: {rate:>7} commits/s, slowest {slowest:?}");
    }
    Ok(())
}

fn decision(number: u64) -> Result<Transaction, Failure> {
    let now = Timestamp::now();
    let facts = json!({"now": now.to_string(), "number": number, "padding": "x".repeat(1500)}).to_string();
    let digest = Digest::of(facts.as_bytes());
    let id = LeaseId::parse(&format!("l-{number:016x}"))?;
    let key = Digest::of(id.as_str().as_bytes());
    let mut transaction = Transaction::new(now);
    let leaf = json!({
        "kind": "decision", "effect": "allow", "participant": "hku", "dataset": "yue-speech", "version": "1",
        "purpose": "academic-research", "facts": digest, "lease": id.as_str(), "rules": ["pipl-38", "ndsr-general"],
    });
    let leaf = transaction.leaf(leaf.as_object().cloned().unwrap_or_default());
    transaction.facts.push((digest, facts.into_bytes()));
    let lease = Lease {
        id: id.clone(),
        key,
        principal: digest.hex(),
        certificate: digest.hex(),
        participant: "hku".parse()?,
        agreement: "a-1".parse()?,
        provider: "qianhai".parse()?,
        dataset: "yue-speech".parse()?,
        version: "1".parse()?,
        columns: vec!["text".to_owned()],
        redact: false,
        purpose: "academic-research".parse()?,
        price: None,
        mechanism: None,
        release: None,
        state: gateway_store::LeaseState::Active,
        leaf: 0,
        created: now,
        expires: now + jiff::SignedDuration::from_hours(24),
        reason: None,
        sent_bytes: 0,
        unit_bytes: 0,
    };
    transaction.writes.push(Write::PutLease { lease, leaf });
    transaction.writes.push(Write::Contribution {
        lease: id.clone(),
        exporter: "qianhai".parse()?,
        year: 2026,
        dataset: "yue-speech".parse()?,
        version: "1".parse()?,
        contribution: Contribution { persons: 10, sensitive: 1, ..Contribution::default() },
        keys: None,
    });
    transaction.writes.push(Write::Grant { lease: id, representation: "part-0.parquet".to_owned(), range: 0..1 << 26 });
    let (scope, response) = (digest.hex(), vec![0; 200]);
    transaction.idempotency = Some(Idempotency { scope, key: number.to_string(), body: digest, response });
    Ok(transaction)
}
