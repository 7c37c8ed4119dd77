//! What the verifier says.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::note::VerifierKey;
use crate::tree::NodeHash;

use super::VerifyError;

/// What a verified log rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The checkpoint is signed by the caller's key.
    Signed,
    /// No key was given: the files agree with one another, and that is all.
    SelfConsistentOnly,
}

/// The kind of thing that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A file that has to exist does not.
    Missing,
    /// A file does not have the form it must have.
    Malformed,
    /// The checkpoint is not signed by the key.
    Signature,
    /// An entry is not the one that was logged.
    Entry,
    /// A hash tile does not hold the hashes of the entries.
    Tile,
    /// The entries do not give the checkpoint's root.
    Root,
    /// The older checkpoint is not of a prefix of this log.
    Since,
    /// An entry is not a leaf: canonical JSON with the required members.
    Leaf,
    /// An entry's time is before that of the entry before it.
    Order,
    /// A facts blob is not the one that the entry names.
    Facts,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing file",
            Self::Malformed => "malformed file",
            Self::Signature => "signature",
            Self::Entry => "altered entry",
            Self::Tile => "altered hash tile",
            Self::Root => "root mismatch",
            Self::Since => "not an extension of the older checkpoint",
            Self::Leaf => "not a leaf",
            Self::Order => "time goes back",
            Self::Facts => "altered facts",
        })
    }
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyFinding {
    /// What kind of thing.
    pub what: Fault,
    /// The file that is wrong: a path in the log's folder, or `since`.
    pub file: String,
    /// The first entry concerned.
    pub index: Option<u64>,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub got: String,
}

impl fmt::Display for VerifyFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.what)?;
        if let Some(index) = self.index {
            write!(f, " at entry {index}")?;
        }
        write!(f, ": expected {}, got {}", self.expected, self.got)
    }
}

/// How much was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyCounts {
    /// Entries hashed and read.
    pub entries: u64,
    /// Entry bundles.
    pub bundles: u64,
    /// Hash tiles.
    pub tiles: u64,
    /// Partial tiles and bundles of earlier checkpoints.
    pub earlier_partials: u64,
    /// Facts blobs; one that is named again much later is counted again.
    pub facts: u64,
}

/// The verifier's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Nothing is wrong. With [`Trust::SelfConsistentOnly`] that is not yet proof.
    pub ok: bool,
    /// What the answer rests on.
    pub trust: Trust,
    /// The key that signed, if one was given.
    pub key: Option<String>,
    /// The log's identity.
    pub origin: Option<String>,
    /// Entries in the log.
    pub size: Option<u64>,
    /// The log's root.
    pub root: Option<NodeHash>,
    /// Size of the older checkpoint, if one was given.
    pub since: Option<u64>,
    /// How much was checked.
    pub checked: VerifyCounts,
    /// Time of the first entry, RFC 3339.
    pub first_at: Option<String>,
    /// Time of the last entry, RFC 3339.
    pub last_at: Option<String>,
    /// Changes of the log's key, each signed for by the key before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<RotationSeen>,
    /// The first thing that is wrong.
    pub finding: Option<VerifyFinding>,
}

/// A change of the log's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationSeen {
    /// The entry that says so.
    pub index: u64,
    /// The key that vouches.
    pub old: String,
    /// The key it vouches for.
    pub new: String,
}

impl VerifyReport {
    pub(super) fn new(key: Option<&VerifierKey>) -> Self {
        Self {
            ok: true,
            trust: if key.is_some() { Trust::Signed } else { Trust::SelfConsistentOnly },
            key: key.map(ToString::to_string),
            origin: None,
            size: None,
            root: None,
            since: None,
            checked: VerifyCounts::default(),
            first_at: None,
            last_at: None,
            rotations: Vec::new(),
            finding: None,
        }
    }

    pub(super) fn head(&mut self, head: &Checkpoint, key: Option<&VerifierKey>) {
        self.key = key.map(ToString::to_string);
        self.origin = Some(head.origin.clone());
        self.size = Some(head.size);
        self.root = Some(head.root);
    }

    pub(super) fn fail(&mut self, found: Found) {
        self.ok = false;
        self.finding = Some(found.finding);
    }

    /// The answer in words: `verified`, `self-consistent only` or `failed`.
    pub fn verdict(&self) -> &'static str {
        match (self.ok, self.trust) {
            (false, _) => "failed",
            (true, Trust::Signed) => "verified",
            (true, Trust::SelfConsistentOnly) => "self-consistent only",
        }
    }
}

/// A finding and its place in the order in which findings count as first.
pub(super) struct Found {
    pub(super) finding: VerifyFinding,
    /// The entry it concerns; what concerns the log as a whole comes last.
    pub(super) rank: u64,
}

impl Found {
    pub(super) fn new(what: Fault, file: String, index: Option<u64>, expected: String, got: String) -> Self {
        let rank = index.unwrap_or(u64::MAX);
        Self { finding: VerifyFinding { what, file, index, expected, got }, rank }
    }

    /// For whoever needs the file and not a report.
    pub(super) fn into_error(self) -> VerifyError {
        VerifyError::Read { path: self.finding.file.clone(), why: self.finding.to_string() }
    }

    pub(super) fn missing(file: String, index: Option<u64>) -> Self {
        Self::new(Fault::Missing, file, index, "the file".into(), "no file".into())
    }
}
