//! How fast the offline verifier is: builds a log in memory and verifies it on one thread.
//!
//! `cargo run --release -p gateway-audit --example verify_speed [ENTRIES [PASSES]]`

#![allow(clippy::cast_precision_loss, reason = "figures are printed, not kept")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::sync::OnceLock;
use std::time::Instant;

use gateway_audit::leaf::{Text, digest_text, facts_path};
use gateway_audit::note::{Ed25519Signer, Signer as _};
use gateway_audit::verify::{LogFiles, VerifyOptions, verify_log};
use gateway_audit::{Checkpoint, LeafDraft, LeafKind, TileBuilder};
use jiff::{SignedDuration, Timestamp};

const ENTRIES: u64 = 400_000;
const ORIGIN: &str = "bench.example/audit";

struct Memory(HashMap<String, Vec<u8>>);

impl LogFiles for Memory {
    type Error = Infallible;

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(path).cloned())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse());
    let entries: u64 = arguments.next().unwrap_or(Ok(ENTRIES))?;
    let passes = arguments.next().unwrap_or(Ok(3))?;
    let mut files = HashMap::new();
    let mut builder = TileBuilder::new();
    let mut bytes = 0;
    let start = Instant::now();
    let mut batch = Vec::new();
    for index in 0..entries {
        // As on a busy day: a thousand distinct facts in use at a time.
        let facts = format!("{{\"purpose\":\"academic-research\",\"request\":{}}}", index % 1000);
        let digest = digest_text(facts.as_bytes());
        if let Some(path) = facts_path(&digest) {
            files.insert(path, facts.into_bytes());
        }
        let leaf = decision(index, &digest)?;
        bytes += leaf.len();
        batch.push(leaf);
        if batch.len() == 500 || index + 1 == entries {
            for file in builder.append(&batch)?.files {
                files.insert(file.path.to_string(), file.bytes);
            }
            batch.clear();
        }
    }
    let signer = Ed25519Signer::from_seed(ORIGIN, &[1; 32])?;
    let (size, root) = (builder.size(), builder.root());
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size, root }.sign(&[&signer])?;
    files.insert("checkpoint".into(), checkpoint.to_text().into_bytes());
    println!(
        "built    {entries} entries of {} bytes in {:.2} s",
        bytes / usize::try_from(entries.max(1))?,
        start.elapsed().as_secs_f64()
    );

    let files = Memory(files);
    let options = VerifyOptions { key: Some(signer.verifier()), since: None };
    for _ in 0..passes {
        let start = cpu_seconds();
        let report = verify_log(&files, &options, &mut |_, _| ())?;
        let seconds = cpu_seconds() - start;
        if let Some(finding) = report.finding {
            return Err(finding.to_string().into());
        }
        let (count, megabytes) = (report.checked.entries as f64, bytes as f64 / 1e6);
        println!(
            "{} {seconds:.3} CPU s, {:.0} entries/s, {:.0} MB/s",
            report.verdict(),
            count / seconds,
            megabytes / seconds
        );
    }
    Ok(())
}

/// Seconds this thread has spent on a CPU, which other load does not change. Where the system
/// does not tell, wall time.
fn cpu_seconds() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let wall = START.get_or_init(Instant::now).elapsed().as_secs_f64();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = stat.and_then(|stat| stat.split(' ').next()?.parse::<f64>().ok());
    nanos.map_or(wall, |nanos| nanos / 1e9)
}

fn decision(index: u64, facts: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let at = Timestamp::from_second(1_795_000_000)? + SignedDuration::from_millis(i64::try_from(index)?);
    let salt = *gateway_audit::tree::sha256(&index.to_be_bytes()).as_bytes();
    let built = LeafDraft::new(LeafKind::Decision, at)
        .participant("hku")
        .certificate("sha256:00", salt)
        .person("spiffe://hku.hk/researcher/alice", salt)
        .dataset("yue-speech")
        .version("1")
        .columns(["text", "label", "duration"])
        .purpose(&Text::new("academic-research", salt))
        .effect("allow")
        .needed("none")
        .rules(["GEN"])
        .policy(facts)
        .facts(facts)
        .lease(&format!("{index:026}"))
        .money(1250, "CNY")
        .build()?;
    Ok(built.leaf.bytes().to_vec())
}
