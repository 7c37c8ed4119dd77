//! `kouan audit export`: a copy of the log for an auditor, in the layout that `verify` reads.

use std::path::{Path, PathBuf};

use gateway_audit::tiles::{TileLevel, TilePath, bundle_entries};
use gateway_audit::{Leaf, SignedCheckpoint};
use serde_json::json;

use super::log_client::{FILE_BYTES_MAX, LogClient};
use crate::args::audit::ExportArgs;
use crate::commands::rest;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::files;
use crate::output::count;
use crate::session::Session;

/// Entries of a full bundle, hashes of a full tile (C2SP tlog-tiles).
const TILE_WIDTH: u64 = 256;

pub async fn run(session: &mut Session<'_>, args: &ExportArgs) -> Result<Exit, CommandError> {
    let client = rest::client(session, &args.connect)?;
    let copy = Copy { log: LogClient(&client), dir: &args.out };
    let checkpoint = copy.log.required("checkpoint").await?;
    let head = SignedCheckpoint::parse(&checkpoint)
        .map_err(|error| CommandError::Integrity(format!("the gateway's checkpoint: {error}")))?;
    let size = head.checkpoint().size;
    let (mut fetched, mut facts, mut facts_missing) = (0_u64, 0_u64, 0_u64);
    for tile in tiles(size) {
        let path = tile.to_string();
        let (bytes, new) = copy.tile(&tile, &path).await?;
        fetched += u64::from(new);
        if tile.level() != TileLevel::Entries {
            continue;
        }
        let entries = bundle_entries(&tile, &bytes)
            .map_err(|error| CommandError::Integrity(format!("`{path}` is no bundle: {error}")))?;
        for entry in entries {
            // An entry that is no leaf is copied as it is: `verify` says so.
            let Ok(leaf) = Leaf::parse(entry) else {
                continue;
            };
            for digest in [leaf.text("facts"), leaf.text("policy")].into_iter().flatten() {
                copy.blob(digest, &mut facts, &mut facts_missing).await?;
            }
        }
    }
    // Asked for after the newest one, it may have more entries: then it is for the next export.
    if let Some(bytes) = copy.log.fetch("checkpoint.witnessed").await?
        && SignedCheckpoint::parse(&bytes).is_ok_and(|seen| seen.checkpoint().size <= size)
    {
        files::write_atomically(&copy.place("checkpoint.witnessed")?, &bytes)?;
    }
    // Last, so that an interrupted export still verifies as the one before it.
    files::write_atomically(&copy.place("checkpoint")?, &checkpoint)?;
    let value = json!({ "dir": args.out, "size": size, "files_fetched": fetched, "facts": facts, "facts_missing": facts_missing });
    session.answer(&value, || {
        let mut lines =
            vec![format!("{} entries, {} files fetched, into {}", count(size), count(fetched), args.out.display())];
        if facts_missing > 0 {
            lines.push(format!(
                "{} facts are not served by this gateway: copy them from its data/facts",
                count(facts_missing)
            ));
        }
        lines.push(format!("verify it: kouan audit verify {} --key LOG.vkey", args.out.display()));
        lines
    })?;
    Ok(Exit::Success)
}

/// Every tile and bundle that a tree of `size` entries has.
fn tiles(size: u64) -> impl Iterator<Item = TilePath> {
    let bundles = (0..size.div_ceil(TILE_WIDTH)).filter_map(move |n| TilePath::in_tree(TileLevel::Entries, n, size));
    let levels = (0_u8..8).scan(size, |width, level| {
        let nodes = *width;
        *width /= TILE_WIDTH;
        Some((level, nodes))
    });
    let hashes = levels.take_while(|(_, nodes)| *nodes > 0).flat_map(move |(level, nodes)| {
        (0..nodes.div_ceil(TILE_WIDTH)).filter_map(move |n| TilePath::in_tree(TileLevel::Hashes(level), n, size))
    });
    bundles.chain(hashes)
}

struct Copy<'a> {
    log: LogClient<'a>,
    dir: &'a Path,
}

impl Copy<'_> {
    /// Where a file goes; its folder is made. Paths are made here, never taken from an answer.
    fn place(&self, path: &str) -> Result<PathBuf, CommandError> {
        let place = self.dir.join(path);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder).map_err(CommandError::io(folder, "make the folder"))?;
        }
        Ok(place)
    }

    /// A tile; what is full and there already is immutable and not fetched again. A partial tile may have become full
    /// since the checkpoint, and is then served as such.
    async fn tile(&self, tile: &TilePath, path: &str) -> Result<(Vec<u8>, bool), CommandError> {
        let place = self.place(path)?;
        if place.is_file() {
            return Ok((files::read(&place, FILE_BYTES_MAX as u64)?, false));
        }
        let bytes = match self.log.fetch(path).await? {
            Some(bytes) => bytes,
            None if tile.is_full() => self.log.required(path).await?,
            None => {
                let full = tile.as_full().to_string();
                let bytes = self.log.required(&full).await?;
                files::write_atomically(&self.place(&full)?, &bytes)?;
                return Err(CommandError::Unavailable(format!(
                    "the log grew past `{path}` while it was copied; run the same command again"
                )));
            }
        };
        files::write_atomically(&place, &bytes)?;
        Ok((bytes, true))
    }

    /// The facts or the rule set of a decision, and the texts that the set is made of.
    async fn blob(&self, digest: &str, found: &mut u64, missing: &mut u64) -> Result<(), CommandError> {
        let Some(path) = gateway_audit::leaf::facts_path(digest) else { return Ok(()) };
        if !self.optional(&path).await? {
            *missing += 1;
            return Ok(());
        }
        *found += 1;
        let mut library = policy::Library::default();
        // Facts are no rule set, and need nothing more.
        if library.add(&files::read_text(&self.dir.join(&path), FILE_BYTES_MAX as u64)?).is_err() {
            return Ok(());
        }
        for part in library.missing(digest) {
            let Some(path) = gateway_audit::leaf::facts_path(&part) else { continue };
            if self.optional(&path).await? { *found += 1 } else { *missing += 1 }
        }
        Ok(())
    }

    /// A facts blob, if the gateway serves it.
    async fn optional(&self, path: &str) -> Result<bool, CommandError> {
        let place = self.place(path)?;
        if place.is_file() {
            return Ok(true);
        }
        match self.log.fetch(path).await? {
            Some(bytes) => files::write_atomically(&place, &bytes).map(|()| true),
            None => Ok(false),
        }
    }
}
