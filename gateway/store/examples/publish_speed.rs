//! How long after it is recorded a leaf is under a signed checkpoint.
//!
//! Leaves are recorded at a steady rate, one transaction each, and each is timed from the moment its commit resolved to the
//! moment a checkpoint covering it was on disk. `cargo run --release -p gateway-store --example publish_speed [SECONDS [DIR]]`

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use catalog::Digest;
use gateway_audit::Ed25519Signer;
use gateway_store::{OpenOptions, Publisher, PublisherOptions, Records, Transaction};
use jiff::Timestamp;
use serde_json::json;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Leaves a second.
const RATES: [u32; 2] = [500, 5_000];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let parent = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    for rate in RATES {
        let dir = tempfile::tempdir_in(&parent)?;
        measure(dir.path(), rate, Duration::from_secs(seconds)).await?;
    }
    Ok(())
}

async fn measure(dir: &std::path::Path, rate: u32, length: Duration) -> Result<(), Failure> {
    let key = dir.join("log.key");
    std::fs::write(&key, Ed25519Signer::key_file("bench.example/audit", &[1; 32])?)?;
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let (records, _) = Records::open(&dir.join("data"), OpenOptions::new(Timestamp::now()))?;
    let publisher = Publisher::start(&records, &PublisherOptions::new(key, dir.join("guard.json")))?;

    // Index and moment of each recorded leaf, until a checkpoint covers it.
    let waiting = Arc::new(Mutex::new(VecDeque::<(u64, Instant)>::new()));
    let (mut published, covered) = (publisher.published(), Arc::clone(&waiting));
    let timing = tokio::spawn(async move {
        let mut waits = Vec::new();
        while published.changed().await.is_ok() {
            let (size, now) = (published.borrow_and_update().size, Instant::now());
            let mut waiting = covered.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.retain(|(index, recorded)| {
                if *index < size {
                    waits.push(now - *recorded);
                }
                *index >= size
            });
        }
        waits
    });

    let (begun, mut sent, mut commits) = (Instant::now(), 0_u64, tokio::task::JoinSet::new());
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    while begun.elapsed() < length {
        ticks.tick().await;
        let due = u64::try_from(begun.elapsed().as_micros() * u128::from(rate) / 1_000_000)?;
        while sent < due {
            let (records, waiting, transaction) = (records.clone(), Arc::clone(&waiting), leaf(sent));
            sent += 1;
            commits.spawn(async move {
                let index = records.commit(transaction).await?.first_leaf;
                waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back((index, Instant::now()));
                Ok::<_, Failure>(())
            });
        }
    }
    while let Some(commit) = commits.join_next().await {
        commit??;
    }
    let rate = f64::from(u32::try_from(sent)?) / begun.elapsed().as_secs_f64();
    // What is left is published before the channel closes.
    tokio::task::spawn_blocking(move || publisher.close()).await?;
    let mut waits = timing.await?;
    waits.sort_unstable();
    let at = |share: usize| waits.get((waits.len() * share / 1000).min(waits.len().saturating_sub(1))).copied();
    println!(
        "{rate:>6.0} leaves/s, {} timed: recorded to published p50 {:?}, p99 {:?}, longest {:?}",
        waits.len(),
        at(500).unwrap_or_default(),
        at(990).unwrap_or_default(),
        at(1000).unwrap_or_default()
    );
    Ok(())
}

/// A leaf as large as a decision's, with facts of its own.
fn leaf(number: u64) -> Transaction {
    let mut transaction = Transaction::new(Timestamp::now());
    let facts = json!({"number": number, "padding": "x".repeat(1500)}).to_string();
    let digest = Digest::of(facts.as_bytes());
    let members = json!({"kind": "decision", "facts": digest, "padding": "x".repeat(600), "number": number});
    transaction.leaf(members.as_object().cloned().unwrap_or_default());
    transaction.facts.push((digest, facts.into_bytes()));
    transaction
}
