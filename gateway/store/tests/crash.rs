//! kill -9 while eight threads commit and the log is published, again and again in one directory: what was answered is
//! there, indices are dense, and every checkpoint ever seen is of a prefix of the log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use gateway_audit::verify::{VerifyOptions, verify_log};
use gateway_audit::{Ed25519Signer, Signer as _};
use gateway_store::{OpenOptions, Publisher, PublisherOptions, Records, Transaction};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

#[path = "shapes/files.rs"]
mod files;

use files::Files;

const ROUNDS: u64 = 12;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("child") {
        child(Path::new(&arguments.next().unwrap()), &arguments.next().unwrap());
    } else {
        let dir = tempfile::tempdir().unwrap();
        write_key(dir.path());
        let mut seen = Vec::new();
        for round in 0..ROUNDS {
            run(dir.path(), round, &mut seen);
        }
        println!("{ROUNDS} kills, {} answered leaves, none lost", seen.len());
        assert!(seen.len() > 100, "the children hardly ran");
    }
}

fn write_key(dir: &Path) {
    let path = dir.join("log.key");
    std::fs::write(&path, Ed25519Signer::key_file("gw.example/audit", &[7; 32]).unwrap()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn options(dir: &Path) -> PublisherOptions {
    let mut options = PublisherOptions::new(dir.join("log.key"), dir.join("guard/signed.json"));
    options.interval = Duration::from_millis(5);
    options
}

/// Commits until it is killed; says what was answered, one line each.
fn child(dir: &Path, round: &str) {
    let (records, _) = Records::open(&dir.join("data"), OpenOptions::new(Timestamp::now())).unwrap();
    let publisher = Publisher::start(&records, &options(dir)).unwrap();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let (records, round) = (records.clone(), round.to_owned());
            std::thread::spawn(move || {
                for number in 0_u64.. {
                    let name = format!("{round}-{thread}-{number}");
                    let facts = format!("{{\"name\":\"{name}\"}}").into_bytes();
                    let digest = catalog::Digest::of(&facts);
                    let mut transaction = Transaction::new(Timestamp::now());
                    transaction.leaf(members(&json!({"kind": "decision", "name": name, "facts": digest})));
                    transaction.facts.push((digest, facts));
                    let committed = records.commit_blocking(transaction).unwrap();
                    let line = format!("{} {name}\n", committed.first_leaf);
                    if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
                        return;
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    publisher.close();
}

fn members(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn run(dir: &Path, round: u64, seen: &mut Vec<(u64, String)>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("child")
        .arg(dir)
        .arg(round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Killed after some answers and a little more, at a different place of the cycle each time.
    for _ in 0..=(round * 7) {
        push(seen, &lines.next().unwrap().unwrap());
    }
    std::thread::sleep(Duration::from_micros(round * 1_700));
    child.kill().unwrap();
    child.wait().unwrap();
    // What was already in the pipe was answered too; a line that breaks off was written by a dying thread.
    for line in lines.map_while(Result::ok) {
        push(seen, &line);
    }

    let (records, recovered) = Records::open(&dir.join("data"), OpenOptions::new(Timestamp::now())).unwrap();
    assert!(!recovered.clean, "round {round}: a killed run is not clean");
    assert_eq!(recovered.leaf, Some(recovered.log_size - 1));
    let leaves = records.read(|reader| reader.leaves(0, usize::MAX)).unwrap();
    assert_eq!(leaves.len() as u64, recovered.log_size);
    for (index, name) in &*seen {
        let leaf: Value = serde_json::from_slice(&leaves[usize::try_from(*index).unwrap()]).unwrap();
        assert_eq!(leaf["name"], name.as_str(), "leaf {index}");
    }

    // The publisher takes up what the killed one left, and an outsider agrees with all of it.
    let before = std::fs::read(dir.join("data/log/checkpoint")).ok();
    let publisher = Publisher::start(&records, &options(dir)).unwrap();
    assert_eq!(publisher.published().borrow().size, recovered.log_size);
    let key = Ed25519Signer::parse(&std::fs::read_to_string(dir.join("log.key")).unwrap()).unwrap();
    let checks = VerifyOptions { key: Some(key.verifier()), since: before.as_deref() };
    let report = verify_log(&Files(dir.join("data")), &checks, &mut |_, _| {}).unwrap();
    assert!(report.ok, "{report:?}");
    publisher.close();
}

fn push(seen: &mut Vec<(u64, String)>, line: &str) {
    if let Some((index, name)) = line.split_once(' ')
        && let Ok(index) = index.parse()
    {
        seen.push((index, name.to_owned()));
    }
}
