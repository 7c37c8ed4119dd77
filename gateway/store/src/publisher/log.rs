//! The published log's files, and their way from the recorded entries.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_audit::tiles::{TILE_WIDTH, TileLevel, TileWrites, encode_entry};
use gateway_audit::tree::{Frontier, leaf_hash};
use gateway_audit::verify::CHECKPOINT_FILE;
use gateway_audit::{Checkpoint, NodeHash, SignedCheckpoint, TileBuilder, TilePath};

use super::guard::{self, Signed};
use super::key::Keys;
use super::recorded::Recorded;
use super::rotation::{self, KeyPeriod};
use super::{PublishError, Published, PublisherOptions, witnessed};
use crate::crashpoint;
use crate::durable;
use crate::records::Records;

/// The published log's folder in the data directory: exactly what `/log/…` serves.
pub const LOG_DIR: &str = "log";

/// The folder of facts blobs in the data directory.
pub const FACTS_DIR: &str = "facts";

/// Entries that are read and made into tiles at a time; a multiple of a tile's width.
const BATCH: u64 = 16 * TILE_WIDTH as u64;

/// Facts blobs that are exported at a time.
const FACTS_BATCH: usize = 1024;

pub(super) struct Log {
    records: Records,
    keys: Keys,
    dir: PathBuf,
    facts_dir: PathBuf,
    guard_file: PathBuf,
    builder: TileBuilder,
    /// Facts up to this row are exported.
    facts: u64,
    /// What this run has recorded beyond the tiles.
    pub(super) recorded: Arc<Recorded>,
    /// The newest checkpoint that a quorum has cosigned.
    pub(super) witnessed: Option<witnessed::Newest>,
}

impl Log {
    /// Takes up the log where it was, and compares it with everything that remembers what was signed.
    pub(super) fn resume(records: &Records, keys: Keys, options: &PublisherOptions) -> Result<Self, PublishError> {
        let (size, row) = records.read(|reader| Ok((reader.log_size()?, reader.guard()?)))?;
        let dir = records.dir().join(LOG_DIR);
        let origin = keys.verifier().name().to_owned();
        let checkpoint = published(&dir, &keys)?;
        let cosigned = witnessed::read(records.dir())?;
        let cosigned_size = cosigned.as_ref().map(|signed| keys.open(signed)).transpose()?.map(|own| Signed {
            record: "the witnessed checkpoint".to_owned(),
            size: own.size,
            root: own.root,
        });
        let outside = guard::read(&options.guard_file, &origin)?;
        let row_signed = row.map(|row| Signed { record: "the database".to_owned(), size: row.size, root: row.root });
        if let (Some(row), None, false) = (&row_signed, &outside, options.adopt_missing_guard) {
            return Err(PublishError::GuardMissing { path: options.guard_file.clone(), signed: row.size });
        }
        for signed in [&row_signed, &outside, &checkpoint, &cosigned_size].into_iter().flatten() {
            if signed.size > size {
                let (record, signed) = (signed.record.clone(), signed.size);
                return Err(PublishError::Behind { record, signed, size });
            }
        }
        let facts_dir = records.dir().join(FACTS_DIR);
        let mut log = Self {
            records: records.clone(),
            keys,
            dir,
            facts_dir,
            guard_file: options.guard_file.clone(),
            builder: TileBuilder::new(),
            facts: row.map_or(0, |row| row.facts),
            recorded: Arc::default(),
            witnessed: cosigned.map(|signed| witnessed::Newest::of(&signed, options.now)),
        };
        if let Some(row) = &row_signed {
            log.builder = log.edge(row)?;
        }
        // The outside guard is written before the row: it may be ahead of it. An older one is somebody's restored copy,
        // and the checkpoint lags behind both.
        for signed in [outside, checkpoint, cosigned_size].into_iter().flatten() {
            let got = if signed.size < log.builder.size() {
                log.root_of(signed.size)?
            } else {
                log.integrate(signed.size)?;
                log.builder.root()
            };
            same_root(&signed, got)?;
        }
        Ok(log)
    }

    /// The builder at the size signed last: from the tiles, or from the entries when tiles are gone.
    fn edge(&self, signed: &Signed) -> Result<TileBuilder, PublishError> {
        let resumed = TileBuilder::resume(signed.size, |path| self.read_tile(path));
        let builder = match resumed {
            Err(PublishError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                tracing::warn!(size = signed.size, "published tiles are missing; making them again from the entries");
                let mut builder = TileBuilder::new();
                while builder.size() < signed.size {
                    self.extend(&mut builder, signed.size)?;
                }
                builder
            }
            resumed => resumed?,
        };
        same_root(signed, builder.root())?;
        // The bundle on the edge is what readers of the log see: it must hold the entries we recorded.
        let (first, width) =
            (signed.size / u64::from(TILE_WIDTH) * u64::from(TILE_WIDTH), signed.size % u64::from(TILE_WIDTH));
        if let Some(path) =
            TilePath::in_tree(TileLevel::Entries, first / u64::from(TILE_WIDTH), signed.size).filter(|_| width > 0)
        {
            let (published, mut at) = (self.read_tile(&path)?, 0);
            for (entry, leaf) in (first..).zip(self.leaves(first, width)?) {
                let mut encoded = Vec::new();
                encode_entry(&mut encoded, &leaf)?;
                if published.get(at..at + encoded.len()) != Some(encoded.as_slice()) {
                    return Err(PublishError::Diverged(entry));
                }
                at += encoded.len();
            }
        }
        Ok(builder)
    }

    /// The file of a tile or, when only that is left, of the full tile that replaced it.
    fn read_tile(&self, path: &TilePath) -> Result<Vec<u8>, PublishError> {
        let file = self.dir.join(path.to_string());
        match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_full() => {
                let full = self.dir.join(path.as_full().to_string());
                fs::read(&full).map_err(PublishError::at(&full))
            }
            bytes => bytes.map_err(PublishError::at(&file)),
        }
    }

    /// The root of the first `size` entries, from the entries themselves.
    fn root_of(&self, size: u64) -> Result<NodeHash, PublishError> {
        let mut tree = Frontier::new();
        while tree.size() < size {
            for leaf in self.leaves(tree.size(), (size - tree.size()).min(BATCH))? {
                tree.push(leaf_hash(&leaf));
            }
        }
        Ok(tree.root())
    }

    fn leaves(&self, from: u64, count: u64) -> Result<Vec<Vec<u8>>, PublishError> {
        let limit = usize::try_from(count).unwrap_or(usize::MAX);
        let leaves = self.records.read(|reader| reader.leaves(from, limit))?;
        if leaves.len() < limit {
            // Every caller asks for entries below a size that was read before.
            return Err(PublishError::Diverged(from));
        }
        Ok(leaves)
    }

    /// Records which keys sign from here on, before any of them does.
    pub(super) fn reconcile_keys(&self, options: &PublisherOptions) -> Result<Vec<KeyPeriod>, PublishError> {
        rotation::reconcile(&self.records, &self.keys, options)
    }

    /// Everything recorded by now: into facts and tiles, guarded, signed, published.
    pub(super) fn publish(&mut self) -> Result<Published, PublishError> {
        // A leaf's facts are recorded with it or before it, so those of this moment cover its leaves. What comes meanwhile
        // waits for the next checkpoint: to follow it would be to publish nothing for as long as anything comes.
        let (size, facts) = self.records.read(|reader| Ok((reader.log_size()?, reader.facts_last()?)))?;
        self.export_facts(facts)?;
        self.integrate(size)?;
        let origin = self.keys.verifier().name().to_owned();
        let checkpoint = Checkpoint { origin, size, root: self.builder.root() };
        crashpoint!("s14.before_guard");
        guard::write(&self.guard_file, &checkpoint)?;
        crashpoint!("s14.between_guards");
        self.records.guard_blocking(size, checkpoint.root, self.facts)?;
        crashpoint!("s14.after_guard");
        let signed = self.keys.sign(&checkpoint)?.to_text();
        crashpoint!("s14.after_signature");
        let path = self.dir.join(CHECKPOINT_FILE);
        durable::create_dir(&self.dir).map_err(PublishError::at(&self.dir))?;
        durable::replace(&path, signed.as_bytes(), 0o600).map_err(PublishError::at(&path))?;
        crashpoint!("s14.after_publish");
        Ok(Published { size, root: checkpoint.root, checkpoint: Arc::from(signed) })
    }

    /// The checkpoint that was signed last: the published one, or what the guard remembers, signed again; of a log that
    /// never was signed that of the empty tree, which is the beginning of every log.
    pub(super) fn signed(&self) -> Result<SignedCheckpoint, PublishError> {
        let path = self.dir.join(CHECKPOINT_FILE);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let origin = self.keys.verifier().name().to_owned();
                let head = Checkpoint { origin, size: self.builder.size(), root: self.builder.root() };
                Ok(self.keys.sign(&head)?)
            }
            bytes => Ok(SignedCheckpoint::parse(&bytes.map_err(PublishError::at(&path))?)?),
        }
    }

    /// The data directory.
    pub(super) fn data(&self) -> &Path {
        self.records.dir()
    }

    /// The key that verifies what is signed.
    pub(super) fn key(&self) -> &gateway_audit::VerifierKey {
        self.keys.verifier()
    }

    /// What a checkpoint of this log says.
    pub(super) fn open<'a>(&self, signed: &'a SignedCheckpoint) -> Result<&'a Checkpoint, PublishError> {
        Ok(self.keys.open(signed)?)
    }

    /// Writes facts up to row `until`.
    fn export_facts(&mut self, until: u64) -> Result<(), PublishError> {
        loop {
            let after = self.facts;
            let rows = self.records.read(|reader| reader.facts_after(after, until, FACTS_BATCH))?;
            let Some((last, ..)) = rows.last() else {
                return Ok(());
            };
            let last = *last;
            let files: Vec<_> = rows
                .into_iter()
                .map(|(_, digest, body)| (self.facts_dir.join(format!("{}.json", digest.hex())), body))
                .collect();
            durable::write_content(&files, 0o400).map_err(PublishError::at(&self.facts_dir))?;
            self.facts = last;
        }
    }

    /// Makes and writes the tiles up to `size`. On an error the builder is where it was: the same can be tried again.
    fn integrate(&mut self, size: u64) -> Result<(), PublishError> {
        while self.builder.size() < size {
            let mut builder = self.builder.clone();
            self.extend(&mut builder, size)?;
            self.builder = builder;
        }
        Ok(())
    }

    /// Appends the next batch of entries to `builder` and makes its files durable.
    fn extend(&self, builder: &mut TileBuilder, size: u64) -> Result<(), PublishError> {
        let from = builder.size();
        // Batches end with a full tile, so that catching up leaves no partial ones behind.
        let leaves = self.leaves(from, (size - from).min(BATCH - from % u64::from(TILE_WIDTH)))?;
        self.recorded.check(from, &leaves).map_err(PublishError::Altered)?;
        let writes = builder.append(&leaves)?;
        self.write(&writes)
    }

    fn write(&self, writes: &TileWrites) -> Result<(), PublishError> {
        let files: Vec<(PathBuf, &[u8])> =
            writes.files.iter().map(|file| (self.dir.join(file.path.to_string()), file.bytes.as_slice())).collect();
        durable::create_all(&files, 0o400).map_err(PublishError::at(&self.dir))?;
        // Before the guard moves: after a crash the same append names the same tiles again, so none is forgotten.
        for tile in &writes.completed {
            crashpoint!("s13.before_tidying");
            let partial = self.dir.join(tile.partial_dir());
            match fs::remove_dir_all(&partial) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(PublishError::at(&partial)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Entries in the tiles.
    pub(super) fn size(&self) -> u64 {
        self.builder.size()
    }

    /// Entries recorded.
    pub(super) fn recorded_size(&self) -> u64 {
        *self.records.recorded().borrow()
    }
}

/// What the published checkpoint says, if there is one.
fn published(dir: &Path, keys: &Keys) -> Result<Option<Signed>, PublishError> {
    let path = dir.join(CHECKPOINT_FILE);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(PublishError::at(&path))?,
    };
    let signed = SignedCheckpoint::parse(&bytes)?;
    let checkpoint = keys.open(&signed)?;
    Ok(Some(Signed { record: "the published checkpoint".to_owned(), size: checkpoint.size, root: checkpoint.root }))
}

fn same_root(signed: &Signed, got: NodeHash) -> Result<(), PublishError> {
    if signed.root == got {
        return Ok(());
    }
    let (record, expected) = (signed.record.clone(), signed.root);
    Err(PublishError::Root { record, signed: signed.size, expected, got })
}

#[cfg(test)]
mod tests;
