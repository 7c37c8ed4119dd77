//! Opens an image with the real code, and holds it against what was answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gateway_audit::verify::{VerifyOptions, verify_log};
use gateway_audit::{Ed25519Signer, Signer as _};
use gateway_store::{OpenOptions, Publisher, Records};
use jiff::Timestamp;
use serde_json::Value;

use super::child;
use super::files::Files;

/// What the run's callers know.
#[derive(Debug, Default)]
pub struct Answers {
    leaves: BTreeMap<u64, String>,
    /// Size and root of a checkpoint that somebody saw.
    checkpoint: Option<(u64, String)>,
    /// The most leaves that somebody saw.
    seen: usize,
}

impl Answers {
    /// Whether there is any.
    pub fn any(&self) -> bool {
        !self.leaves.is_empty()
    }

    pub fn add(&mut self, line: &str) {
        let [kind, number, rest] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let number = number.parse().unwrap();
        match kind {
            "leaf" => assert!(self.leaves.insert(number, rest.to_owned()).is_none(), "{line}: twice"),
            "seen" => self.seen = self.seen.max(usize::try_from(number).unwrap()),
            _ if self.checkpoint.as_ref().is_none_or(|(size, _)| number > *size) => {
                self.checkpoint = Some((number, rest.to_owned()));
            }
            _ => {}
        }
    }
}

/// Where there is memory to be had as a disk.
pub fn memory() -> PathBuf {
    let shared = PathBuf::from("/dev/shm");
    if shared.is_dir() { shared } else { std::env::temp_dir() }
}

/// I8 to I13 and I16, of one image.
pub fn open(image: &Path, original: &Path, answers: &Answers) {
    // The operator's own: not of this run.
    std::fs::copy(original.join("log.key"), image.join("log.key")).unwrap();
    let (records, recovered) = Records::open(&image.join("data"), OpenOptions::new(Timestamp::now())).unwrap();
    let leaves = records.read(|reader| reader.leaves(0, usize::MAX)).unwrap();
    assert_eq!(leaves.len() as u64, recovered.log_size);
    assert!(leaves.len() >= answers.seen, "{} leaves were read, {} are here", answers.seen, leaves.len());
    for (index, name) in &answers.leaves {
        let leaf = usize::try_from(*index).ok().and_then(|index| leaves.get(index));
        let leaf: Value = serde_json::from_slice(leaf.unwrap_or_else(|| panic!("leaf {index} is lost"))).unwrap();
        assert_eq!(leaf["name"], name.as_str(), "leaf {index}");
    }
    // The publisher compares all that remembers what was signed, and goes on.
    let publisher = Publisher::start(&records, &child::options(image)).unwrap();
    let published = publisher.published().borrow().clone();
    assert_eq!(published.size, recovered.log_size);
    let key = Ed25519Signer::parse(&std::fs::read_to_string(image.join("log.key")).unwrap()).unwrap();
    let checks = VerifyOptions { key: Some(key.verifier()), since: None };
    let report = verify_log(&Files(image.join("data")), &checks, &mut |_, _| {}).unwrap();
    assert!(report.ok, "{report:?}");
    if let Some((size, root)) = &answers.checkpoint {
        let mut tree = gateway_audit::tree::Frontier::new();
        let count = usize::try_from(*size).unwrap();
        assert!(leaves.len() >= count, "a checkpoint of {size} entries was seen, {} are here", leaves.len());
        leaves[..count].iter().for_each(|leaf| tree.push(gateway_audit::tree::leaf_hash(leaf)));
        assert_eq!(tree.root().to_string(), *root, "the first {size} entries are others");
    }
    publisher.close();
    records.close();
}
