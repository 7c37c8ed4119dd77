//! How fast the offline verifier is on a long log: on one thread, and without the time that making the log takes.
//!
//! `cargo run --release -p gateway-audit --example verify_speed [ENTRIES [PASSES]]`; 10 million entries take 320 MB for
//! their hashes. Entries are made again whenever they are read, so that no disk and no memory for nine gigabytes is needed.

#![allow(clippy::cast_precision_loss, reason = "figures are printed, not kept")]

use std::cell::Cell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::sync::OnceLock;
use std::time::Instant;

use gateway_audit::leaf::{Text, digest_text, facts_path};
use gateway_audit::note::{Ed25519Signer, Signer as _};
use gateway_audit::tiles::{TileLevel, encode_entry};
use gateway_audit::verify::{LogFiles, VerifyOptions, verify_log};
use gateway_audit::{Checkpoint, LeafDraft, LeafKind, TileBuilder, TilePath};
use jiff::{SignedDuration, Timestamp};

const ENTRIES: u64 = 10_000_000;
const ORIGIN: &str = "bench.example/audit";
/// As on a busy day: a thousand distinct facts in use at a time.
const FACTS: u64 = 1000;
/// Entries a time stamp.
const PER_MILLISECOND: u64 = 5;

/// Everything but the entries, which are made when they are read.
struct Log {
    files: HashMap<String, Vec<u8>>,
    entries: Entries,
    /// CPU seconds spent on making entries.
    making: Cell<f64>,
}

impl LogFiles for Log {
    type Error = Infallible;

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Infallible> {
        let bundle = path.parse::<TilePath>().ok().filter(|path| path.level() == TileLevel::Entries);
        let Some(bundle) = bundle else { return Ok(self.files.get(path).cloned()) };
        let begun = cpu_seconds();
        let first = bundle.index() * 256;
        let mut bytes = Vec::new();
        for index in first..first + u64::from(bundle.width()) {
            let _ = encode_entry(&mut bytes, &self.entries.make(index));
        }
        self.making.set(self.making.get() + cpu_seconds() - begun);
        Ok(Some(bytes))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse());
    let size: u64 = arguments.next().unwrap_or(Ok(ENTRIES))?;
    let passes = arguments.next().unwrap_or(Ok(2))?;
    let mut files = HashMap::new();
    let entries = Entries::new(&mut files)?;
    let begun = Instant::now();
    let mut builder = TileBuilder::new();
    for from in (0..size).step_by(4096) {
        let batch: Vec<Vec<u8>> = (from..size.min(from + 4096)).map(|index| entries.make(index)).collect();
        let hashes = builder.append(&batch)?.files.into_iter().filter(|file| file.path.level() != TileLevel::Entries);
        files.extend(hashes.map(|file| (file.path.to_string(), file.bytes)));
    }
    let signer = Ed25519Signer::from_seed(ORIGIN, &[1; 32])?;
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size, root: builder.root() }.sign(&[&signer])?;
    files.insert("checkpoint".into(), checkpoint.to_text().into_bytes());
    let bytes = entries.make(0).len();
    println!("made     {size} entries of {bytes} bytes in {:.1} s", begun.elapsed().as_secs_f64());

    let log = Log { files, entries, making: Cell::new(0.0) };
    let options = VerifyOptions { key: Some(signer.verifier()), since: None };
    for _ in 0..passes {
        log.making.set(0.0);
        let begun = cpu_seconds();
        let report = verify_log(&log, &options, &mut |_, _| ())?;
        let seconds = cpu_seconds() - begun - log.making.get();
        if let Some(finding) = report.finding {
            return Err(finding.to_string().into());
        }
        let count = report.checked.entries as f64;
        println!(
            "{} {seconds:.2} CPU s, {:.0} entries/s a core, {:.0} MB/s",
            report.verdict(),
            count / seconds,
            count * bytes as f64 / 1e6 / seconds
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

/// Decisions that differ in time, facts and lease. Each is a whole leaf of the builder, written over in these three places.
struct Entries {
    leaf: Vec<u8>,
    at: usize,
    facts: usize,
    lease: usize,
    digests: Vec<String>,
}

impl Entries {
    fn new(files: &mut HashMap<String, Vec<u8>>) -> Result<Self, Box<dyn Error>> {
        let mut digests = Vec::new();
        for number in 0..FACTS {
            let facts = format!("{{\"purpose\":\"academic-research\",\"request\":{number}}}");
            let digest = digest_text(facts.as_bytes());
            let path = facts_path(&digest).ok_or("a digest has a path")?;
            files.insert(path, facts.into_bytes());
            digests.push(digest);
        }
        let first = digests.first().ok_or("there are facts")?;
        let leaf = decision(first)?;
        let place = |what: &str| {
            let found = leaf.windows(what.len()).position(|window| window == what.as_bytes());
            found.map(|at| at + what.len()).ok_or("a leaf without it")
        };
        let (at, facts, lease) = (place("\"at\":\"")?, place("\"facts\":\"")?, place("\"lease\":\"")?);
        Ok(Self { leaf, at, facts, lease, digests })
    }

    fn make(&self, index: u64) -> Vec<u8> {
        let mut leaf = self.leaf.clone();
        let mut put = |at: usize, text: &str| {
            if let Some(place) = leaf.get_mut(at..at + text.len()) {
                place.copy_from_slice(text.as_bytes());
            }
        };
        let milliseconds = i64::try_from(index / PER_MILLISECOND).unwrap_or_default();
        put(self.at, &format!("{:.3}", start() + SignedDuration::from_millis(milliseconds)));
        let facts = usize::try_from(index % FACTS).ok().and_then(|number| self.digests.get(number));
        put(self.facts, facts.map_or("", String::as_str));
        put(self.lease, &format!("{index:026}"));
        leaf
    }
}

fn start() -> Timestamp {
    Timestamp::from_second(1_795_000_000).unwrap_or_default()
}

fn decision(facts: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let salt = *gateway_audit::tree::sha256(b"salt").as_bytes();
    let built = LeafDraft::new(LeafKind::Decision, start() + SignedDuration::from_millis(1))
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
        .facts(facts)
        .lease(&format!("{:026}", 0))
        .money(1250, "CNY")
        .build()?;
    Ok(built.leaf.bytes().to_vec())
}
