//! `kouan audit mirror`: a full copy of the log that only ever grows (C2SP tlog-mirror in spirit).
//!
//! The copy answers for itself at every moment: new entries come into a folder beside it, become part of it only when
//! they give the root that the gateway has signed, and `checkpoint` is replaced last. Hash tiles are not fetched but made
//! from the entries, so that nothing in the copy is believed because the gateway says so. What witnesses have cosigned comes
//! along, if it is the beginning of the copy, so that the copy alone shows who has seen it. Before anything else the
//! gateway's log must be a continuation of the copy: a shorter one or another one is refused, with what differs.

mod blobs;
mod compare;
mod copy;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use gateway_audit::{SignedCheckpoint, VerifierKey};
use serde_json::json;

use super::super::proof;
use super::log_client::LogClient;
use super::witness::{self, WITNESSED_FILE};
use crate::args::audit::MirrorArgs;
use crate::client::Client;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::files;
use crate::output::count;
use crate::profile::Profile;
use crate::session::{Lines, Session};

use copy::Copy;

/// Held while a mirror writes in its folder.
const LOCK_FILE: &str = "mirror.lock";

/// Longest checkpoint.
const CHECKPOINT_BYTES_MAX: u64 = 256 << 10;

/// What one look at the gateway brought.
#[derive(Debug, Clone, Copy, Default)]
struct Came {
    /// Entries of the copy now.
    size: u64,
    entries: u64,
    bundles: u64,
    facts: u64,
    /// How many of them a quorum of witnesses has cosigned, as the gateway says; `verify --policy` checks it.
    witnessed: Option<u64>,
}

pub async fn run(session: &mut Session<'_>, args: &MirrorArgs) -> Result<Exit, CommandError> {
    if session.json && args.follow.is_some() {
        return Err(CommandError::Usage(
            "`--follow` never ends, and `--json` gives one object: use one of them".to_owned(),
        ));
    }
    let (private, log_key) = proof::keys(&args.connect)?;
    let profile = Profile::resolve(&args.connect.with_key(private), session.io.env.as_ref())?;
    let client = Client::open(&profile)?;
    files::create_folder(&args.dir)?;
    let _lock = lock(&args.dir)?;
    let mirror = Mirror { log: LogClient(&client), dir: &args.dir, keys: log_key.as_deref() };
    let came = mirror.look().await?;
    let value = json!({
        "dir": args.dir, "size": came.size, "entries": came.entries, "bundles": came.bundles, "facts": came.facts,
        "witnessed": came.witnessed,
        "trust": if log_key.is_some() { "signed" } else { "self_consistent_only" },
    });
    session.answer(&value, || told(&args.dir, came, log_key.is_some()))?;
    let Some(seconds) = args.follow else { return Ok(Exit::Success) };
    loop {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        match mirror.look().await {
            Ok(came) if came.entries > 0 => session.print(&format!("{}\n", line(came)))?,
            Ok(_) => {}
            // It will be back, and the copy is whole.
            Err(error) if error.exit() == Exit::Unavailable => session.note(&format!("{error}; looking again")),
            Err(error) => return Err(error),
        }
    }
}

fn line(came: Came) -> String {
    format!("{} new entries, {} facts; {} entries in all", count(came.entries), count(came.facts), count(came.size))
}

fn told(dir: &Path, came: Came, trusted: bool) -> Lines {
    let mut lines = vec![line(came)];
    if let Some(size) = came.witnessed {
        lines.push(format!("{} of them cosigned by witnesses: `verify --policy FILE` says by whom", count(size)));
    }
    if !trusted {
        lines.push("the checkpoint's signature was not checked: give the log's key with --key".to_owned());
    }
    lines.push(format!("verify it: kouan audit verify {} --key LOG.vkey", dir.display()));
    lines
}

/// Two mirrors in one folder would take each other's files away.
fn lock(dir: &Path) -> Result<File, CommandError> {
    let path = dir.join(LOCK_FILE);
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(CommandError::io(&path, "open"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(CommandError::Usage(format!("another mirror is at work in `{}`", dir.display())))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(CommandError::io(&path, "lock")(error)),
    }
}

/// The copy and where it comes from.
struct Mirror<'a> {
    log: LogClient<'a>,
    dir: &'a Path,
    keys: Option<&'a [VerifierKey]>,
}

impl Mirror<'_> {
    /// Brings the copy up to date.
    async fn look(&self) -> Result<Came, CommandError> {
        // First: what is signed by then has at least these entries.
        let cosigned = self.log.fetch(WITNESSED_FILE).await?;
        let note = self.log.required("checkpoint").await?;
        let served = self.open("the gateway's checkpoint", &note)?;
        let held = self.held()?;
        if let Some(held) = &held {
            compare::continues(&self.log, self.dir, held.checkpoint(), served.checkpoint()).await?;
        }
        let copy = Copy { log: self.log, dir: self.dir };
        let from = held.as_ref().map(|held| held.checkpoint().clone());
        let mut came = copy.extend(from.as_ref(), served.checkpoint()).await?;
        if held.as_ref().map(SignedCheckpoint::to_text) != Some(served.to_text()) {
            // Last, so that an interrupted mirror still verifies as what it was before.
            files::write_atomically(&self.dir.join("checkpoint"), &note)?;
        }
        copy.clear()?;
        came.witnessed = self.witnessed(&served, cosigned.as_deref())?;
        Ok(came)
    }

    /// Takes the cosigned checkpoint along, unless the copy has a later one; gives the size of the one it has then.
    fn witnessed(&self, served: &SignedCheckpoint, note: Option<&[u8]>) -> Result<Option<u64>, CommandError> {
        let path = self.dir.join(WITNESSED_FILE);
        let held = path.is_file().then(|| witness::checkpoint(&path)).transpose()?;
        let held = held.map(|held| held.checkpoint().size);
        let Some(note) = note else { return Ok(held) };
        let what = "the gateway's witnessed checkpoint";
        let cosigned = self.open(what, note)?;
        witness::begins(self.dir, served, &cosigned, self.keys.unwrap_or_default())
            .map_err(|why| CommandError::Integrity(format!("{what}: {why}")))?;
        let size = cosigned.checkpoint().size;
        if held.is_some_and(|held| held > size) {
            return Ok(held);
        }
        files::write_atomically(&path, note)?;
        Ok(Some(size))
    }

    /// The checkpoint of the copy, if there is one yet.
    fn held(&self) -> Result<Option<SignedCheckpoint>, CommandError> {
        let path = self.dir.join("checkpoint");
        if !path.is_file() {
            return Ok(None);
        }
        self.open("the copy's checkpoint", &files::read(&path, CHECKPOINT_BYTES_MAX)?).map(Some)
    }

    fn open(&self, what: &str, note: &[u8]) -> Result<SignedCheckpoint, CommandError> {
        let checked = SignedCheckpoint::parse(note).and_then(|signed| {
            if let Some(keys) = self.keys {
                signed.verify_any(keys)?;
            }
            Ok(signed)
        });
        checked.map_err(|error| CommandError::Integrity(format!("{what}: {error}")))
    }
}
