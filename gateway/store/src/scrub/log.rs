//! The log: entries in the database, hash tiles, bundles, up to a signed checkpoint.

use std::fs;
use std::io;

use gateway_audit::tiles::{TILE_WIDTH, TileLevel, bundle_entries, edge_tiles, tile_bytes, tile_hashes};
use gateway_audit::tree::{Frontier, leaf_hash, subtree_root};
use gateway_audit::verify::CHECKPOINT_FILE;
use gateway_audit::{NodeHash, SignedCheckpoint, TilePath};
use rusqlite::OptionalExtension as _;

use super::{Place, Scrub, ScrubError};
use crate::publisher::LOG_DIR;
use crate::reader::number;

/// Hashes of consecutive entries as one of the three places has them; nothing where it cannot be read.
type Hashes = Vec<Option<NodeHash>>;

impl Scrub<'_> {
    /// Holds everything that the newest checkpoint covers against its root.
    pub(super) fn log(&mut self) -> Result<(), ScrubError> {
        let Some((size, root)) = self.signed()? else { return Ok(()) };
        let (mut tree, mut levels) = (Frontier::new(), Vec::<Vec<NodeHash>>::new());
        while tree.size() < size {
            for hash in self.tile(tree.size(), size)? {
                tree.push(hash);
                self.above(&mut levels, tree.size(), hash)?;
            }
        }
        // The partial tiles on the edge, but for the lowest, which was compared with its entries.
        for path in edge_tiles(size) {
            if let TileLevel::Hashes(level @ 1..) = path.level()
                && let Some(hashes) = levels.get(usize::from(level))
            {
                self.compare(&path, hashes)?;
            }
        }
        self.done.entries = size;
        if tree.root() != root {
            self.done
                .found(Place::Root, format!("{} was signed for {size} entries, and they have {}", root, tree.root()));
        }
        Ok(())
    }

    /// Size and root of the checkpoint; if its file is damaged, those that the guard remembers.
    fn signed(&mut self) -> Result<Option<(u64, NodeHash)>, ScrubError> {
        let name = format!("{LOG_DIR}/{CHECKPOINT_FILE}");
        let checked = fs::read(self.data.join(&name)).map_err(|error| error.to_string()).and_then(|bytes| {
            let signed = SignedCheckpoint::parse(&bytes).map_err(|error| error.to_string())?;
            let (checkpoint, _) = signed.verify_any(self.keys).map_err(|error| error.to_string())?;
            Ok((checkpoint.size, checkpoint.root))
        });
        match checked {
            Ok(signed) => Ok(Some(signed)),
            Err(why) => {
                self.done.found(Place::File(name), why);
                let mut query = self.connection.prepare("SELECT size, root FROM guard")?;
                let guard = query.query_row([], |row| Ok((number(row, 0)?, NodeHash::from_bytes(row.get(1)?))));
                Ok(guard.optional()?)
            }
        }
    }

    /// The hashes of the entries from `first` to the end of their tile or of the tree, as two of the three places have them.
    fn tile(&mut self, first: u64, size: u64) -> Result<Vec<NodeHash>, ScrubError> {
        let index = first / u64::from(TILE_WIDTH);
        let paths = [TileLevel::Hashes(0), TileLevel::Entries].map(|level| TilePath::in_tree(level, index, size));
        let [Some(tile), Some(bundle)] = paths else { return Err(ScrubError::Stopped) };
        let width = usize::from(tile.width());
        let rows = self.rows(first, width)?;
        let hashes =
            self.parsed(&tile, width, |path, bytes| Ok(tile_hashes(path, bytes)?.into_iter().map(Some).collect()))?;
        let bundled = self.parsed(&bundle, width, |path, bytes| {
            Ok(bundle_entries(path, bytes)?.into_iter().map(|entry| Some(leaf_hash(entry))).collect())
        })?;
        let (mut found, mut named) = (Vec::with_capacity(width), [false; 2]);
        for (entry, ((row, hash), bundled)) in (first..).zip(rows.into_iter().zip(hashes).zip(bundled)) {
            let right = if row.is_some() && (row == hash || row == bundled) {
                row
            } else if hash.is_some() && hash == bundled {
                hash
            } else {
                None
            };
            let Some(right) = right else {
                self.done.found(Place::Entry(entry), "no two of database, hash tile and bundle agree on it");
                found.push(row.or(hash).or(bundled).unwrap_or_else(|| leaf_hash(b"")));
                continue;
            };
            // What cannot be read has been named.
            if row.is_some_and(|row| row != right) {
                self.done.found(Place::Entry(entry), "it is not what was logged");
            }
            for (named, (path, hash)) in named.iter_mut().zip([(&tile, hash), (&bundle, bundled)]) {
                if hash.is_some_and(|hash| hash != right) && !std::mem::replace(named, true) {
                    self.done.found(self.name(path), format!("what it has of entry {entry} is not what was logged"));
                }
            }
            found.push(right);
        }
        Ok(found)
    }

    fn name(&self, path: &TilePath) -> Place {
        // As it lies there: a partial one goes when its full one comes.
        let partial = self.data.join(LOG_DIR).join(path.to_string());
        let path = if partial.exists() { *path } else { path.as_full() };
        Place::File(format!("{LOG_DIR}/{path}"))
    }

    /// Hashes of `count` entries in the database; what cannot be read is named.
    fn rows(&mut self, first: u64, count: usize) -> Result<Hashes, ScrubError> {
        let mut found: Hashes = Vec::with_capacity(count);
        for index in (first..).take(count) {
            let row = i64::try_from(index).ok().map(|index| self.row(index));
            match row {
                Some(Ok(Some(body))) => {
                    self.read(body.len())?;
                    found.push(Some(leaf_hash(&body)));
                }
                Some(Err(error)) => {
                    self.done.found(Place::Entry(index), error.to_string());
                    found.push(None);
                }
                Some(Ok(None)) | None => {
                    self.done.found(Place::Entry(index), "missing");
                    found.push(None);
                }
            }
        }
        Ok(found)
    }

    fn row(&self, index: i64) -> rusqlite::Result<Option<Vec<u8>>> {
        let mut query = self.connection.prepare_cached("SELECT body FROM entry WHERE idx = ?1")?;
        query.query_row([index], |row| row.get(0)).optional()
    }

    /// What a file of the log holds, `width` of it; what cannot be read is named.
    fn parsed(
        &mut self,
        path: &TilePath,
        width: usize,
        parse: impl Fn(&TilePath, &[u8]) -> Result<Hashes, gateway_audit::tiles::TileError>,
    ) -> Result<Hashes, ScrubError> {
        let nothing = vec![None; width];
        let (path, bytes) = match self.bytes(path) {
            Ok(read) => read,
            Err(error) => {
                self.done.found(self.name(path), said(&error));
                return Ok(nothing);
            }
        };
        self.done.files += 1;
        self.read(bytes.len())?;
        match parse(&path, &bytes) {
            Ok(mut hashes) => {
                hashes.truncate(width);
                Ok(hashes)
            }
            Err(error) => {
                self.done.found(self.name(&path), error.to_string());
                Ok(nothing)
            }
        }
    }

    /// A file of the log, or the full one that has replaced it.
    fn bytes(&self, path: &TilePath) -> io::Result<(TilePath, Vec<u8>)> {
        let read = |path: TilePath| fs::read(self.data.join(LOG_DIR).join(path.to_string())).map(|bytes| (path, bytes));
        match read(*path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_full() => read(path.as_full()),
            read => read,
        }
    }

    /// Takes a hash into the levels above; full tiles from the second level on are compared with their files.
    fn above(&mut self, levels: &mut Vec<Vec<NodeHash>>, size: u64, mut hash: NodeHash) -> Result<(), ScrubError> {
        let mut under = size;
        for level in 0_u8.. {
            if levels.len() <= usize::from(level) {
                levels.push(Vec::new());
            }
            let Some(hashes) = levels.get_mut(usize::from(level)) else { break };
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let full = std::mem::take(hashes);
            under /= u64::from(TILE_WIDTH);
            if level > 0
                && let Some(path) = TilePath::in_tree(TileLevel::Hashes(level), under - 1, size)
            {
                self.compare(&path, &full)?;
            }
            hash = subtree_root(&full);
        }
        Ok(())
    }

    /// A hash tile must begin with these hashes, which entries give.
    fn compare(&mut self, path: &TilePath, hashes: &[NodeHash]) -> Result<(), ScrubError> {
        match self.bytes(path) {
            Err(error) => self.done.found(self.name(path), said(&error)),
            Ok((path, bytes)) => {
                self.done.files += 1;
                self.read(bytes.len())?;
                if !bytes.starts_with(&tile_bytes(hashes)) || bytes.len() != usize::from(path.width()) * 32 {
                    self.done.found(self.name(&path), "its hashes are not those of the entries under it");
                }
            }
        }
        Ok(())
    }
}

fn said(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound { "missing".to_owned() } else { error.to_string() }
}
