//! Prints durable decisions a second with some concurrent callers, and how long a caller waits when they come evenly.
//!
//! Each is the commit that a request for data makes: nine expectations, a leaf with two commitments and their sealed openings,
//! facts, a lease with its terms, counters and first grant, and an idempotency row.
//!
//! `cargo run --release -p gateway-store --example commits_per_second -- [--held N] [--seconds S] [--callers N,N…]
//! [--paced N] [--quote FEN] [--dir DIR]`: N decisions are in the store before anything is measured (default none); `--paced`
//! asks N times a second for S seconds and prints percentiles; with a quote, the last number of callers asks once more for
//! leases that cost it, where money is held for the first grant: two balances and a `ledger_batch` leaf more.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use catalog::{Digest, LeaseId, Minor};
use gateway_ledger::{Contribution, Quote};
use gateway_store::{
    DocKind, Expect, FirstStream, Idempotency, Lease, OpenOptions, Records, Terms, Transaction, Write,
};
use jiff::Timestamp;
use serde_json::json;

#[path = "shared/agreement.rs"]
mod agreement;
#[path = "shared/writer_busy.rs"]
mod writer_busy;

use agreement::agreement;
use writer_busy::writer_busy;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Callers that fill the store: as many as one group holds.
const FILLERS: u64 = 512;

struct Options {
    held: u64,
    seconds: u64,
    callers: Vec<u64>,
    paced: u64,
    quote: i64,
    dir: PathBuf,
}

impl Options {
    fn read() -> Result<Self, Failure> {
        let mut options =
            Self { held: 0, seconds: 3, callers: vec![1, 64, 256], paced: 0, quote: 0, dir: std::env::temp_dir() };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or("every option has a value")?;
            match name.as_str() {
                "--held" => options.held = value.parse()?,
                "--seconds" => options.seconds = value.parse()?,
                "--callers" => options.callers = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
                "--paced" => options.paced = value.parse()?,
                "--quote" => options.quote = value.parse()?,
                "--dir" => options.dir = value.into(),
                _ => return Err(format!("there is no option `{name}`").into()),
            }
        }
        Ok(options)
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    let dir = tempfile::tempdir_in(&options.dir)?;
    let (records, _) = Records::open(dir.path(), OpenOptions::new(Timestamp::now()))?;
    let mut transaction = Transaction::new(Timestamp::now());
    transaction.writes.push(agreement(transaction.at)?);
    records.commit(transaction).await?;
    let asked = Asked { number: Arc::default(), quote: Minor(0) };
    if options.held > 0 {
        let begun = Instant::now();
        run(&records, &asked, FILLERS, Until::Number(options.held)).await?;
        println!("{} decisions in the store after {:?}", options.held, begun.elapsed());
    }
    for callers in &options.callers {
        measure(&records, &asked, *callers, Duration::from_secs(options.seconds)).await?;
    }
    if let Some(callers) = options.callers.last().filter(|_| options.quote > 0) {
        let asked = Asked { quote: Minor(options.quote), ..asked.clone() };
        measure(&records, &asked, *callers, Duration::from_secs(options.seconds)).await?;
    }
    if options.paced > 0 {
        paced(&records, &asked, options.paced, options.seconds).await?;
    }
    Ok(())
}

/// What has been asked for so far, by whomever.
#[derive(Clone)]
struct Asked {
    number: Arc<AtomicU64>,
    quote: Minor,
}

impl Asked {
    fn next(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }
}

#[derive(Debug, Clone, Copy)]
enum Until {
    Number(u64),
    Time(Instant),
}

/// Keeps `callers` commits in the air; gives how long each took.
async fn run(records: &Records, asked: &Asked, callers: u64, until: Until) -> Result<Vec<Duration>, Failure> {
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (records, asked) = (records.clone(), asked.clone());
        tasks.spawn(async move {
            let mut waits = Vec::new();
            loop {
                let next = asked.next();
                let over = match until {
                    Until::Number(last) => next >= last,
                    Until::Time(end) => Instant::now() >= end,
                };
                if over {
                    return Ok::<_, Failure>(waits);
                }
                let transaction = decision(next, caller, asked.quote)?;
                let begun = Instant::now();
                records.commit(transaction).await?;
                waits.push(begun.elapsed());
            }
        });
    }
    let mut waits = Vec::new();
    while let Some(task) = tasks.join_next().await {
        waits.extend(task??);
    }
    Ok(waits)
}

async fn measure(records: &Records, asked: &Asked, callers: u64, time: Duration) -> Result<(), Failure> {
    let written = records.written();
    let (groups, syncs, copies, repeated) =
        (written.groups(), written.syncs(), written.checkpoints(), written.repeated());
    let (begun, busy) = (Instant::now(), writer_busy()?);
    let mut waits = run(records, asked, callers, Until::Time(begun + time)).await?;
    let (took, busy) = (begun.elapsed(), writer_busy()?.saturating_sub(busy));
    let (groups, syncs) = (written.groups() - groups, written.syncs() - syncs);
    let copies = written.checkpoints() - copies;
    let commits = u128::try_from(waits.len())?;
    let rate = commits * 1_000_000 / took.as_micros().max(1);
    println!(
        "{callers:>4} callers{}: {rate:>7} commits/s, {}; {groups} groups of {:.1}, {syncs} syncs, {copies} copies of the log, {} groups repeated; \
         the writer worked {:.1?} for each",
        if asked.quote.0 > 0 { ", money held" } else { "" },
        percentiles(&mut waits),
        f64::from(u32::try_from(waits.len())?) / f64::from(u32::try_from(groups.max(1))?),
        written.repeated() - repeated,
        busy / u32::try_from(waits.len().max(1))?,
    );
    Ok(())
}

/// Asks `rate` times a second whether or not the last was answered, as strangers do.
async fn paced(records: &Records, asked: &Asked, rate: u64, seconds: u64) -> Result<(), Failure> {
    let mut tasks = tokio::task::JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate)?);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for caller in 0..rate * seconds {
        ticks.tick().await;
        let (records, next, quote) = (records.clone(), asked.next(), asked.quote);
        tasks.spawn(async move {
            let begun = Instant::now();
            records.commit(decision(next, caller % 256, quote)?).await?;
            Ok::<_, Failure>(begun.elapsed())
        });
    }
    let mut waits = Vec::new();
    while let Some(task) = tasks.join_next().await {
        waits.push(task??);
    }
    println!("paced at {rate}/s: {}", percentiles(&mut waits));
    Ok(())
}

fn percentiles(waits: &mut [Duration]) -> String {
    waits.sort_unstable();
    let at = |share: usize| waits.get((waits.len() * share / 1000).min(waits.len().saturating_sub(1)));
    let [median, most, last] = [at(500), at(990), waits.last()].map(|wait| wait.copied().unwrap_or_default());
    format!("p50 {median:.1?}, p99 {most:.1?}, slowest {last:.1?}")
}

/// What a decision relies on: parties, version, agreement and rules as they were, nobody's cut, counters, and no other lease.
fn relied_on(person: &Digest, key: Digest, now: Timestamp) -> Vec<Expect> {
    let doc = |kind, id: &str, revision| Expect::Doc { kind, id: id.to_owned(), revision };
    let cut = format!("standing-{person}");
    vec![
        doc(DocKind::Participant, "hku", None),
        doc(DocKind::Participant, "qianhai", None),
        doc(DocKind::Version, "yue-speech@1", None),
        doc(DocKind::Agreement, "a-1", Some(1)),
        doc(DocKind::RuleSet, "qianhai", None),
        doc(DocKind::RuleSet, "hku", None),
        doc(DocKind::Setting, "rulesets", None),
        doc(DocKind::Setting, &cut, None),
        Expect::NoLiveLease { key, at: now },
    ]
}

/// What `caller` asks for the `number`th time.
fn decision(number: u64, caller: u64, quote: Minor) -> Result<Transaction, Failure> {
    let now = Timestamp::now();
    let facts = format!(r#"{{"number":{number},"padding":"{}"}}"#, "x".repeat(1530));
    let digest = Digest::of(facts.as_bytes());
    let person = Digest::of(&caller.to_be_bytes());
    // As the gateway's: time first, then what is random.
    let id = LeaseId::parse(&format!("l-{:011x}{}", now.as_millisecond(), digest.hex().get(..16).unwrap_or("0")))?;
    let key = Digest::of(id.as_str().as_bytes());
    let mut transaction = Transaction::new(now);
    transaction.expect = relied_on(&person, key, now);
    let leaf = json!({
        "kind": "decision", "effect": "allow", "needed": "none", "participant": "hku", "role": "researcher",
        "person": format!("c:{}", digest.hex()), "certificate": format!("c:{}", key.hex()), "dataset": "yue-speech",
        "version": "1", "manifest": person, "provider": "qianhai", "columns": ["text", "speaker", "seconds"],
        "purpose": "academic-research", "facts": digest, "policy": person, "lease": id.as_str(), "agreement": "a-1",
        "price": {"model": "per_gib", "amount": "120000", "currency": "CNY"}, "rules": ["pipl-38", "ndsr-general"],
    });
    let leaf = transaction.leaf(leaf.as_object().cloned().unwrap_or_default());
    for field in ["person", "certificate"] {
        transaction.writes.push(Write::Opening {
            leaf,
            field: field.to_owned(),
            subject: [7; 16],
            sealed: vec![7; 108],
        });
    }
    transaction.facts.push((digest, facts.into_bytes()));
    let lease = Lease {
        id: id.clone(),
        key,
        principal: person.hex(),
        certificate: person.hex(),
        participant: "hku".parse()?,
        agreement: "a-1".parse()?,
        provider: "qianhai".parse()?,
        dataset: "yue-speech".parse()?,
        version: "1".parse()?,
        columns: ["text", "speaker", "seconds"].map(str::to_owned).to_vec(),
        redact: false,
        purpose: "academic-research".parse()?,
        price: Some(json!({"model": "per_gib", "amount": "120000", "currency": "CNY"})),
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
    let terms = Terms { quote: Quote { amount: quote, bytes: 1 << 30 }, unreceipted_bytes_max: None };
    let stream =
        FirstStream { representation: "part-0.parquet".to_owned(), ranges: std::iter::once(0..1 << 26).collect() };
    transaction.writes.push(Write::PutLease { lease, terms, stream: Some(stream), leaf });
    transaction.writes.push(Write::Contribution {
        lease: id,
        exporter: "qianhai".parse()?,
        year: 2026,
        dataset: "yue-speech".parse()?,
        version: "1".parse()?,
        contribution: Contribution { persons: 10, sensitive: 1, ..Contribution::default() },
        keys: None,
    });
    let (scope, response) = (person.hex(), vec![0; 200]);
    transaction.idempotency = Some(Idempotency { scope, key: key.hex(), body: digest, response });
    Ok(transaction)
}
