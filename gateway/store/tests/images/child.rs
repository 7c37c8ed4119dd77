//! The run that is traced: three threads commit, one reads, the log is published, and every answer is a line on standard
//! output.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gateway_audit::Ed25519Signer;
use gateway_store::{OpenOptions, Publisher, PublisherOptions, Records, Transaction};
use jiff::Timestamp;
use serde_json::json;

const THREADS: u32 = 3;
const COMMITS: u32 = 12;
const WAL_GROUPS: u32 = 5;

/// What an operator brings.
pub fn prepare(dir: &Path) {
    let path = dir.join("log.key");
    std::fs::write(&path, Ed25519Signer::key_file("gw.example/audit", &[7; 32]).unwrap()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub fn options(dir: &Path) -> PublisherOptions {
    let mut options = PublisherOptions::new(dir.join("log.key"), dir.join("guard/signed.json"));
    options.interval = Duration::from_millis(5);
    options
}

pub fn run(dir: &Path) {
    let mut open = OpenOptions::new(Timestamp::now());
    // The write-ahead log is copied into the database, and used again from its beginning, several times in the run.
    open.wal_groups_max = WAL_GROUPS;
    let (records, _) = Records::open(&dir.join("data"), open).unwrap();
    let publisher = Publisher::start(&records, &options(dir)).unwrap();
    let committing = AtomicU32::new(THREADS);
    std::thread::scope(|scope| {
        let committing = &committing;
        scope.spawn(|| look(&records, committing));
        for thread in 0..THREADS {
            let (records, publisher) = (&records, &publisher);
            scope.spawn(move || {
                for number in 0..COMMITS {
                    let name = format!("{thread}-{number}");
                    let facts = format!("{{\"name\":\"{name}\"}}").into_bytes();
                    let digest = catalog::Digest::of(&facts);
                    let mut transaction = Transaction::new(Timestamp::now());
                    let leaf = json!({"kind": "decision", "name": name, "facts": digest});
                    transaction.leaf(leaf.as_object().unwrap().clone());
                    transaction.facts.push((digest, facts));
                    let committed = records.commit_blocking(transaction).unwrap();
                    tell(&format!("leaf {} {name}", committed.first_leaf));
                    let checkpoint = publisher.published().borrow().clone();
                    tell(&format!("checkpoint {} {}", checkpoint.size, checkpoint.root));
                }
                committing.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    publisher.close();
    records.close();
}

/// Tells what whoever reads sees, as soon as it is there.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
fn look(records: &Records, committing: &AtomicU32) {
    let mut last = 0;
    while committing.load(Ordering::Relaxed) > 0 {
        let seen = records.read(|reader| reader.log_size()).unwrap();
        if std::mem::replace(&mut last, seen) != seen {
            tell(&format!("seen {seen} leaves"));
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// One call, so that it is one moment.
fn tell(line: &str) {
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
}
