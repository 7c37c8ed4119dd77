//! New entries into the copy: fetched beside it, checked against the signed root, then made its own.

use std::path::{Path, PathBuf};

use gateway_audit::tiles::{TILE_WIDTH, TileError, TileLevel, bundle_entries, edge_tiles};
use gateway_audit::tree::{Frontier, leaf_hash};
use gateway_audit::{Checkpoint, Leaf, TileBuilder, TilePath};

use super::super::log_client::{FILE_BYTES_MAX, LogClient};
use super::Came;
use super::blobs::Blobs;
use crate::error::CommandError;
use crate::files;

/// Where bundles wait until all of them are there and give the root.
const INCOMING: &str = "incoming";

/// Bundles that become part of the copy at a time: their files share the syncs of their folders.
const BATCH: usize = 16;

/// The copy in `dir`, and the log it is of.
pub struct Copy<'a> {
    pub log: LogClient<'a>,
    pub dir: &'a Path,
}

impl Copy<'_> {
    /// Brings entries, tiles and facts from those of `held` to those of `served`, all but the checkpoint.
    ///
    /// # Errors
    ///
    /// [`CommandError::Integrity`] if the copy is damaged, or the gateway's files are not what it has signed.
    pub(super) async fn extend(&self, held: Option<&Checkpoint>, served: &Checkpoint) -> Result<Came, CommandError> {
        let from = held.map_or(0, |held| held.size);
        let builder = self.edge(held)?;
        if from == served.size {
            return Ok(Came { size: from, ..Came::default() });
        }
        let bundles = || from / u64::from(TILE_WIDTH)..served.size.div_ceil(u64::from(TILE_WIDTH));
        let mut came = Came { size: served.size, entries: served.size - from, ..Came::default() };
        let mut blobs = Blobs::new(self.log, self.dir);
        let mut tree = frontier(&builder)?;
        for number in bundles() {
            let (entries, fetched) = self.bundle(number, served.size).await?;
            came.bundles += u64::from(fetched);
            for entry in new_entries(&entries, number, from) {
                tree.push(leaf_hash(entry));
                // An entry that is no leaf is copied as it is: `verify` says so.
                if let Ok(leaf) = Leaf::parse(entry) {
                    came.facts += blobs.of(&leaf, tree.size() - 1).await?;
                }
            }
        }
        if tree.root() != served.root {
            return Err(self.blame(served).await);
        }
        let mut builder = builder;
        let numbers: Vec<u64> = bundles().collect();
        for batch in numbers.chunks(BATCH) {
            let mut entries = Vec::new();
            for number in batch {
                let (bundle, _) = self.bundle(*number, served.size).await?;
                entries.extend(new_entries(&bundle, *number, from).cloned());
            }
            self.keep(&mut builder, &entries)?;
        }
        Ok(came)
    }

    /// The right edge of the copy, compared with its own checkpoint.
    fn edge(&self, held: Option<&Checkpoint>) -> Result<TileBuilder, CommandError> {
        let Some(held) = held else { return Ok(TileBuilder::new()) };
        let damaged = |why: String| {
            let dir = self.dir.display();
            CommandError::Integrity(format!(
                "the copy in `{dir}` is damaged: {why}; `kouan audit verify {dir}` says where, and a new mirror in an empty \
                 folder mends it"
            ))
        };
        let read = |path: &TilePath| -> Result<Vec<u8>, TileError> {
            let partial = self.dir.join(path.to_string());
            let place = if partial.is_file() { partial } else { self.dir.join(path.as_full().to_string()) };
            std::fs::read(&place).map_err(|error| TileError::Read { path: *path, why: error.to_string() })
        };
        let builder = TileBuilder::resume(held.size, read).map_err(|error| damaged(error.to_string()))?;
        if builder.root() != held.root {
            let name = edge_tiles(held.size).first().map_or_else(String::new, ToString::to_string);
            return Err(damaged(format!("its last tiles (`{name}`) give the root {}", builder.root())));
        }
        Ok(builder)
    }

    /// The entries of a bundle: from an interrupted run, or fetched. Says whether it was fetched.
    async fn bundle(&self, number: u64, size: u64) -> Result<(Vec<Vec<u8>>, bool), CommandError> {
        let Some(path) = TilePath::in_tree(TileLevel::Entries, number, size) else { return Ok((Vec::new(), false)) };
        let waiting = self.dir.join(INCOMING).join(path.to_string());
        if waiting.is_file() {
            let bytes = files::read(&waiting, FILE_BYTES_MAX as u64)?;
            // Half written when the last run ended: fetched again.
            if let Ok(entries) = bundle_entries(&path, &bytes) {
                return Ok((entries.into_iter().map(<[u8]>::to_vec).collect(), false));
            }
        }
        let name = path.to_string();
        let (form, bytes) = match self.log.fetch(&name).await? {
            Some(bytes) => (path, bytes),
            // Full since the checkpoint was made: its beginning is what we want.
            None => (path.as_full(), self.log.required(&path.as_full().to_string()).await?),
        };
        let entries = bundle_entries(&form, &bytes)
            .map_err(|error| CommandError::Integrity(format!("the gateway's `/log/{form}`: {error}")))?;
        let entries: Vec<Vec<u8>> = entries.into_iter().take(usize::from(path.width())).map(<[u8]>::to_vec).collect();
        let mut kept = Vec::new();
        for entry in &entries {
            gateway_audit::tiles::encode_entry(&mut kept, entry)
                .map_err(|error| CommandError::Integrity(error.to_string()))?;
        }
        if let Some(folder) = waiting.parent() {
            std::fs::create_dir_all(folder).map_err(CommandError::io(folder, "make the folder"))?;
        }
        // Not synced: it is checked again before it becomes part of the copy.
        std::fs::write(&waiting, kept).map_err(CommandError::io(&waiting, "write"))?;
        Ok((entries, true))
    }

    /// Appends entries to the copy's files.
    fn keep(&self, builder: &mut TileBuilder, entries: &[Vec<u8>]) -> Result<(), CommandError> {
        let writes = builder.append(entries).map_err(|error| CommandError::Integrity(error.to_string()))?;
        let new: Vec<(PathBuf, Vec<u8>)> =
            writes.files.into_iter().map(|file| (self.dir.join(file.path.to_string()), file.bytes)).collect();
        files::write_all(&new)?;
        for tile in &writes.completed {
            let partial = self.dir.join(tile.partial_dir());
            match std::fs::remove_dir_all(&partial) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(CommandError::io(&partial, "remove")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Which of the gateway's files is not what it has signed.
    async fn blame(&self, served: &Checkpoint) -> CommandError {
        let named = self.first_wrong_bundle(served).await.ok().flatten();
        // What waits may be an earlier run's: without it the next run asks for everything anew.
        let cleared = self.clear().err().map(|error| format!(" ({error})")).unwrap_or_default();
        let place = named.map_or_else(
            || "its entries do not give that root".to_owned(),
            |(path, index)| format!("`/log/{path}` does not hold what the hash tiles say of entry {index}"),
        );
        CommandError::Integrity(format!(
            "the gateway signed {} entries with the root {}, and {place}; the copy is kept as it is{cleared}",
            served.size, served.root
        ))
    }

    async fn first_wrong_bundle(&self, served: &Checkpoint) -> Result<Option<(TilePath, u64)>, CommandError> {
        for number in 0..served.size.div_ceil(u64::from(TILE_WIDTH)) {
            let Some(path) = TilePath::in_tree(TileLevel::Entries, number, served.size) else { break };
            if !self.dir.join(INCOMING).join(path.to_string()).is_file() {
                continue;
            }
            let Some(tile) = TilePath::in_tree(TileLevel::Hashes(0), number, served.size) else { break };
            let stored = match self.log.fetch(&tile.to_string()).await? {
                Some(stored) => stored,
                None => self.log.required(&tile.as_full().to_string()).await?,
            };
            let (entries, _) = self.bundle(number, served.size).await?;
            let hashes = entries.iter().map(|entry| leaf_hash(entry));
            let differs = hashes.zip(stored.chunks_exact(32)).position(|(hash, stored)| hash.as_bytes() != stored);
            if let Some(place) = differs {
                let index = number * u64::from(TILE_WIDTH) + u64::try_from(place).unwrap_or(u64::MAX);
                return Ok(Some((path, index)));
            }
        }
        Ok(None)
    }

    /// Removes what waited.
    pub(super) fn clear(&self) -> Result<(), CommandError> {
        let waiting = self.dir.join(INCOMING);
        match std::fs::remove_dir_all(&waiting) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(CommandError::io(&waiting, "remove")(error))
            }
            _ => Ok(()),
        }
    }
}

/// Those of a bundle that the copy does not have.
fn new_entries(entries: &[Vec<u8>], number: u64, from: u64) -> impl Iterator<Item = &Vec<u8>> {
    let held = from.saturating_sub(number * u64::from(TILE_WIDTH));
    entries.iter().skip(usize::try_from(held).unwrap_or(usize::MAX))
}

/// The tree that the builder stands at, as what only wants its root.
fn frontier(builder: &TileBuilder) -> Result<Frontier, CommandError> {
    builder.frontier().ok_or_else(|| CommandError::Integrity("the copy's last tiles contradict one another".to_owned()))
}
