//! A log in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;

use gateway_audit::leaf::{digest_text, facts_path};
use gateway_audit::note::{Ed25519Signer, Signer as _, VerifierKey};
use gateway_audit::verify::{LogFiles, VerifyOptions, VerifyReport, verify_log};
use gateway_audit::{Checkpoint, LeafDraft, LeafKind, TileBuilder};
use jiff::{SignedDuration, Timestamp};

pub const ORIGIN: &str = "gw.example/audit";

/// A log's files by path, with one of them replaced if need be.
#[derive(Clone, Default)]
pub struct Files {
    pub all: BTreeMap<String, Vec<u8>>,
    pub replaced: Option<(String, Vec<u8>)>,
}

pub struct MemoryLog {
    pub files: Files,
    pub builder: TileBuilder,
    pub signer: Ed25519Signer,
    pub key: VerifierKey,
}

impl MemoryLog {
    pub fn new() -> Self {
        let signer = Ed25519Signer::from_seed(ORIGIN, &[7; 32]).unwrap();
        let key = signer.verifier().clone();
        let mut log = Self { files: Files::default(), builder: TileBuilder::new(), signer, key };
        log.publish();
        log
    }

    pub fn append<T: AsRef<[u8]>>(&mut self, entries: &[T]) {
        let writes = self.builder.append(entries).unwrap();
        for file in writes.files {
            let old = self.files.all.insert(file.path.to_string(), file.bytes.clone());
            assert!(old.is_none_or(|old| old == file.bytes), "{} was rewritten", file.path);
        }
    }

    pub fn publish(&mut self) -> Vec<u8> {
        let (size, root) = (self.builder.size(), self.builder.root());
        let checkpoint = Checkpoint { origin: ORIGIN.into(), size, root };
        let bytes = checkpoint.sign(&[&self.signer]).unwrap().to_text().into_bytes();
        self.files.all.insert("checkpoint".into(), bytes.clone());
        bytes
    }

    pub fn add_facts(&mut self, facts: &str) -> String {
        let digest = digest_text(facts.as_bytes());
        self.files.all.insert(facts_path(&digest).unwrap(), facts.as_bytes().to_vec());
        digest
    }

    pub fn verify(&self) -> VerifyReport {
        verify(&self.files, Some(&self.key), None)
    }
}

impl LogFiles for Files {
    type Error = Infallible;

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Infallible> {
        match &self.replaced {
            Some((replaced, bytes)) if replaced == path => Ok(Some(bytes.clone())),
            _ => Ok(self.all.get(path).cloned()),
        }
    }

    fn partial_widths(&self, dir: &str) -> Result<Vec<u16>, Infallible> {
        let names = self.all.keys().filter_map(|path| path.strip_prefix(dir)?.strip_prefix('/'));
        Ok(names.filter_map(|name| name.parse().ok()).collect())
    }
}

pub fn verify<F: LogFiles<Error = Infallible>>(
    files: &F,
    key: Option<&VerifierKey>,
    since: Option<&[u8]>,
) -> VerifyReport {
    verify_log(files, &VerifyOptions { key, since }, &mut |_, _| ()).unwrap()
}

/// The smallest leaf at `second` seconds after a fixed time.
pub fn small_leaf(second: i64) -> Vec<u8> {
    let leaf = LeafDraft::new(LeafKind::Halt, at(second)).build().unwrap();
    leaf.leaf.bytes().to_vec()
}

/// A decision as the gateway writes it.
pub fn decision(second: i64, facts: &str) -> LeafDraft {
    LeafDraft::new(LeafKind::Decision, at(second))
        .participant("hku")
        .person("spiffe://hku.hk/researcher/alice", [7; 32])
        .dataset("yue-speech")
        .version("1")
        .columns(["text", "label", "時長"])
        .effect("deny")
        .needed("sa")
        .rules(["MECH-DATE", "GBA-09"])
        .facts(facts)
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000).unwrap() + SignedDuration::from_secs(second)
}
