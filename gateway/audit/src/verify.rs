//! The offline verifier: reads a log's files, hashes everything again and names the first
//! thing that is wrong.
//!
//! One pass from the first entry to the last; memory stays at a bundle and a tile per level,
//! however long the log. Nothing is believed because a tile says so: the entries give every
//! hash, the signed checkpoint decides.

use std::fmt::Display;

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::note::{NoteError, VerifierKey};
use crate::tiles::{TileLevel, TilePath, bundle_entries};

mod blame;
mod entries;
mod pass;
mod report;

pub use report::{Fault, RotationSeen, Trust, VerifyCounts, VerifyFinding, VerifyReport};

use pass::Pass;
use report::Found;

/// The file of the signed tree head, in the log's folder.
pub const CHECKPOINT_FILE: &str = "checkpoint";

/// What a finding calls the older checkpoint that the caller gave.
pub const SINCE_FILE: &str = "since";

/// The files of a log, which the caller reads from a folder, an archive or memory.
pub trait LogFiles {
    /// Why a file that exists could not be read.
    type Error: Display;

    /// The whole of one file, or nothing if there is no such file.
    ///
    /// `path` is relative to the folder that holds `checkpoint` and is one of `checkpoint`,
    /// a tile path (`tile/0/x001/234.p/5`, `tile/entries/…`) and `facts/<64 hex>.json`. Facts may lie
    /// elsewhere than the log: the caller maps them.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Self::Error>;

    /// The widths of the partial files in a folder such as `tile/0/000.p`, in any order: partial
    /// tiles of earlier checkpoints are kept and are checked too. Without this method only the
    /// files that the checkpoint's size needs are checked.
    fn partial_widths(&self, dir: &str) -> Result<Vec<u16>, Self::Error> {
        let _ = dir;
        Ok(Vec::new())
    }
}

/// What the caller already trusts.
#[derive(Debug, Clone, Copy, Default)]
pub struct VerifyOptions<'a> {
    /// The log's key. Without it the report says `self_consistent_only`: whoever rewrote the log
    /// could have rewritten the checkpoint as well.
    pub key: Option<&'a VerifierKey>,
    /// The bytes of an older checkpoint of this log: it must be of a prefix.
    pub since: Option<&'a [u8]>,
}

/// The verifier could not do its work. Nothing is known about the log.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file exists and could not be read.
    #[error("`{path}` could not be read: {why}")]
    Read {
        /// The file.
        path: String,
        /// The caller's reason.
        why: String,
    },
}

/// Verifies a whole log: the checkpoint's signature, every entry bundle, every hash tile, the
/// root, `since`, that every entry is a leaf, that times never go back, and the blobs of facts and rule sets.
///
/// `progress` is called after each bundle with the entries checked and the entries in all.
///
/// # Errors
///
/// [`VerifyError`] only if a file cannot be read. What is wrong with the log is in the report.
pub fn verify_log<F: LogFiles>(
    files: &F,
    options: &VerifyOptions<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, VerifyError> {
    verify_log_by(files, options.key.map_or(&[], std::slice::from_ref), options.since, progress)
}

/// [`verify_log`] for a log whose key was changed: any of `keys` may have signed the checkpoint, and any of them `since`.
///
/// # Errors
///
/// As [`verify_log`].
pub fn verify_log_by<F: LogFiles>(
    files: &F,
    keys: &[VerifierKey],
    since: Option<&[u8]>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, VerifyError> {
    let mut report = VerifyReport::new(keys.first());
    match run(files, (keys, since), progress, &mut report) {
        Ok(()) => (),
        Err(Stop::Found(found)) => report.fail(found),
        Err(Stop::Read(error)) => return Err(error),
    }
    Ok(report)
}

/// Calls `visit` with the index and bytes of every entry under the checkpoint, in order. Nothing is verified: for whoever
/// derives something from a log that [`verify_log`] has found good.
///
/// # Errors
///
/// [`VerifyError`] if a file is missing, cannot be read or has another form.
pub fn for_each_entry<F: LogFiles>(files: &F, mut visit: impl FnMut(u64, &[u8])) -> Result<u64, VerifyError> {
    let stopped = |stop| match stop {
        Stop::Read(error) => error,
        Stop::Found(found) => found.into_error(),
    };
    let missing = |path: String| VerifyError::Read { path, why: "it is not there".to_owned() };
    let bytes = read(files, CHECKPOINT_FILE).map_err(stopped)?;
    let bytes = bytes.ok_or_else(|| missing(CHECKPOINT_FILE.to_owned()))?;
    let (head, _) = open(CHECKPOINT_FILE, &bytes, &[]).map_err(stopped)?;
    let (mut bundle, mut next) = (0, 0);
    while let Some(path) = TilePath::in_tree(TileLevel::Entries, bundle, head.size) {
        let (form, bytes) = read_tile(files, path).map_err(stopped)?.ok_or_else(|| missing(path.to_string()))?;
        let entries = bundle_entries(&form, &bytes)
            .map_err(|error| VerifyError::Read { path: form.to_string(), why: error.to_string() })?;
        for entry in entries.into_iter().take(usize::from(path.width())) {
            visit(next, entry);
            next += 1;
        }
        bundle += 1;
    }
    Ok(head.size)
}

/// Why the verifier went no further.
enum Stop {
    Found(Found),
    Read(VerifyError),
}

fn run<F: LogFiles>(
    files: &F,
    (keys, since): (&[VerifierKey], Option<&[u8]>),
    progress: &mut dyn FnMut(u64, u64),
    report: &mut VerifyReport,
) -> Result<(), Stop> {
    let bytes = read(files, CHECKPOINT_FILE)?;
    let bytes = bytes.ok_or_else(|| Stop::Found(Found::missing(CHECKPOINT_FILE.into(), None)))?;
    let (head, key) = open(CHECKPOINT_FILE, &bytes, keys)?;
    report.head(&head, key);
    let since = match since {
        None => None,
        Some(bytes) => {
            let (old, _) = open(SINCE_FILE, bytes, keys)?;
            check_since(&old, &head)?;
            report.since = Some(old.size);
            Some(old)
        }
    };

    let mut pass = Pass::new(files, &head, since, report);
    let mut next = 0;
    while let Some(bundle) = pass.bundle(next) {
        let done = pass.check_bundle(&bundle)?;
        progress(done, head.size);
        next += 1;
    }
    pass.finish()
}

fn read<F: LogFiles>(files: &F, path: &str) -> Result<Option<Vec<u8>>, Stop> {
    files.read(path).map_err(|why| unreadable(path.to_owned(), &why))
}

fn unreadable(path: String, why: &dyn Display) -> Stop {
    Stop::Read(VerifyError::Read { path, why: why.to_string() })
}

/// Parses a checkpoint and, if there are keys, checks that one of them signed it, and which.
fn open<'a>(file: &str, bytes: &[u8], keys: &'a [VerifierKey]) -> Result<(Checkpoint, Option<&'a VerifierKey>), Stop> {
    let opened = SignedCheckpoint::parse(bytes).and_then(|signed| {
        if keys.is_empty() {
            return Ok((signed.checkpoint().clone(), None));
        }
        signed.verify_any(keys).map(|(head, key)| (head.clone(), Some(key)))
    });
    opened.map_err(|error| {
        let fault = match error {
            NoteError::Origin { .. } | NoteError::Unsigned(_) | NoteError::Signature(_) => Fault::Signature,
            _ => Fault::Malformed,
        };
        let expected = match keys {
            [] => "a checkpoint".to_owned(),
            [key] => format!("a checkpoint signed by {key}"),
            [key, ..] => format!("a checkpoint signed by one of {} keys of {}", keys.len(), key.name()),
        };
        Stop::Found(Found::new(fault, file.to_owned(), None, expected, error.to_string()))
    })
}

fn check_since(old: &Checkpoint, head: &Checkpoint) -> Result<(), Stop> {
    let finding = |expected: String, got: String| {
        Err(Stop::Found(Found::new(Fault::Since, SINCE_FILE.to_owned(), None, expected, got)))
    };
    if old.origin != head.origin {
        return finding(format!("origin {}", head.origin), format!("origin {}", old.origin));
    }
    if old.size > head.size {
        return finding(format!("at most {} entries", head.size), format!("{} entries: the log has shrunk", old.size));
    }
    Ok(())
}

/// The form in which a tile exists: as the tree has it or, if an interrupted or later append has
/// already removed that, in full.
fn read_tile<F: LogFiles>(files: &F, path: TilePath) -> Result<Option<(TilePath, Vec<u8>)>, Stop> {
    for form in [path, path.as_full()] {
        if let Some(bytes) = read(files, &form.to_string())? {
            return Ok(Some((form, bytes)));
        }
    }
    Ok(None)
}
