//! The pass over the entries: every hash of the tree is made again from them and compared with
//! what the tiles hold.

use crate::checkpoint::Checkpoint;
use crate::tiles::{TILE_WIDTH, TileError, TileLevel, TilePath, bundle_entries, tile_bytes, tile_hashes};
use crate::tree::{Frontier, NodeHash, leaf_hash, subtree_root};

use super::blame::{Disagreement, Evidence, blame};
use super::entries::EntryCheck;
use super::report::{Fault, Found, VerifyReport};
use super::{CHECKPOINT_FILE, LogFiles, SINCE_FILE, Stop, read, read_tile, unreadable};

pub(super) struct Pass<'a, F> {
    files: &'a F,
    head: &'a Checkpoint,
    since: Option<Checkpoint>,
    report: &'a mut VerifyReport,
    entries: EntryCheck,
    /// The tree as the entries give it.
    tree: Frontier,
    /// For each tile level above 0, the hashes since its last full tile, as the entries give them.
    levels: Vec<Vec<NodeHash>>,
    /// The first place where a tile and the entries under it disagree. Which of the two is wrong
    /// is known only when the root is.
    disagreement: Option<Disagreement>,
    /// The first other finding.
    found: Option<Found>,
}

impl<'a, F: LogFiles> Pass<'a, F> {
    pub(super) fn new(
        files: &'a F,
        head: &'a Checkpoint,
        since: Option<Checkpoint>,
        report: &'a mut VerifyReport,
    ) -> Self {
        Self {
            files,
            head,
            since,
            report,
            entries: EntryCheck::default(),
            tree: Frontier::new(),
            levels: Vec::new(),
            disagreement: None,
            found: None,
        }
    }

    /// The bundle number `index` of this log, if it has that many.
    pub(super) fn bundle(&self, index: u64) -> Option<TilePath> {
        TilePath::in_tree(TileLevel::Entries, index, self.head.size)
    }

    /// Checks one bundle and the tiles that it completes; gives the entries checked so far.
    pub(super) fn check_bundle(&mut self, bundle: &TilePath) -> Result<u64, Stop> {
        let first = self.tree.size();
        let Some((form, bytes)) = read_tile(self.files, *bundle)? else {
            return Err(self.stop(Found::missing(bundle.to_string(), Some(first))));
        };
        self.report.checked.bundles += 1;
        let mut entries = match bundle_entries(&form, &bytes) {
            Ok(entries) => entries,
            Err(error) => return Err(self.stop(malformed(&form, first, &error))),
        };
        entries.truncate(usize::from(bundle.width()));
        let file = form.to_string();
        let mut hashes = Vec::with_capacity(entries.len());
        for (index, entry) in (first..).zip(&entries) {
            hashes.push(leaf_hash(entry));
            let counts = &mut self.report.checked;
            counts.entries += 1;
            let found = self.entries.check(self.files, counts, (&file, index), entry)?;
            self.note(found);
        }
        self.check_earlier_bundles(bundle, &entries, &bytes)?;
        self.check_since(&hashes);
        self.check_tile(0, bundle.index(), &hashes)?;
        self.grow(bundle, hashes)?;
        Ok(self.tree.size())
    }

    /// Appends a bundle's hashes to the tree, and checks the tiles above that are now full.
    fn grow(&mut self, bundle: &TilePath, hashes: Vec<NodeHash>) -> Result<(), Stop> {
        if !bundle.is_full() {
            for hash in hashes {
                self.tree.push(hash);
            }
            return Ok(());
        }
        let mut root = subtree_root(&hashes);
        self.tree.push_perfect(8, root);
        let mut index = bundle.index();
        for level in 1u8.. {
            if self.levels.len() < usize::from(level) {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level) - 1) else {
                break;
            };
            hashes.push(root);
            if hashes.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let full = std::mem::take(hashes);
            index /= u64::from(TILE_WIDTH);
            self.check_tile(level, index, &full)?;
            root = subtree_root(&full);
        }
        Ok(())
    }

    /// Checks the right edge and the root, and settles which finding is the first.
    pub(super) fn finish(mut self) -> Result<(), Stop> {
        let levels = std::mem::take(&mut self.levels);
        for (level, hashes) in (1u8..).zip(&levels).filter(|(_, hashes)| !hashes.is_empty()) {
            let index = self.tree.size().checked_shr(u32::from(level) * 8 + 8).unwrap_or(0);
            self.check_tile(level, index, hashes)?;
        }
        self.report.first_at = self.entries.first_at.map(|at| at.to_string());
        self.report.rotations = std::mem::take(&mut self.entries.rotations);
        self.report.last_at = self.entries.last_at.map(|at| at.to_string());
        // In an empty log an empty `since` has met no bundle.
        self.check_since(&[]);
        let root = self.tree.root();
        let evidence = if root == self.head.root {
            Evidence::EntriesRight
        } else {
            let (expected, got) = (self.head.root.to_string(), root.to_string());
            let file = CHECKPOINT_FILE.to_owned();
            self.note(Some(Found::new(Fault::Root, file, None, expected, got)));
            Evidence::EntriesWrong
        };
        self.settle(evidence).map_or(Ok(()), |found| Err(Stop::Found(found)))
    }

    /// Ends the pass early with this finding, or with an earlier one.
    fn stop(&mut self, found: Found) -> Stop {
        Stop::Found(match self.settle(Evidence::Unknown) {
            Some(earlier) if earlier.rank <= found.rank => earlier,
            _ => found,
        })
    }

    fn note(&mut self, found: Option<Found>) {
        if let Some(found) = found
            && self.found.as_ref().is_none_or(|earlier| found.rank < earlier.rank)
        {
            self.found = Some(found);
        }
    }

    /// The first finding. An altered entry goes before what the alteration did to its text.
    fn settle(&mut self, evidence: Evidence) -> Option<Found> {
        let altered = self.disagreement.take().map(|found| blame(&found, evidence, self.files, self.head));
        match (altered, self.found.take()) {
            (Some(altered), Some(found)) if found.rank < altered.rank => Some(found),
            (altered, found) => altered.or(found),
        }
    }

    /// Compares a tile with the hashes that the entries give.
    fn check_tile(&mut self, level: u8, index: u64, hashes: &[NodeHash]) -> Result<(), Stop> {
        let Some(path) = TilePath::in_tree(TileLevel::Hashes(level), index, self.head.size) else {
            return Ok(());
        };
        let first = path.first_entry().unwrap_or_default();
        let Some((form, bytes)) = read_tile(self.files, path)? else {
            self.note(Some(Found::missing(path.to_string(), Some(first))));
            return Ok(());
        };
        self.report.checked.tiles += 1;
        match tile_hashes(&form, &bytes) {
            Err(error) => self.note(Some(malformed(&form, first, &error))),
            Ok(stored) => {
                let mut pairs = (index * u64::from(TILE_WIDTH)..).zip(stored.iter().zip(hashes));
                let differs = pairs.find(|(_, (stored, computed))| stored != computed);
                if let Some((slot, (stored, computed))) = differs
                    && self.disagreement.is_none()
                {
                    let (stored, computed) = (*stored, *computed);
                    let found = Disagreement { level, slot, file: form, stored, computed };
                    self.disagreement = Some(found);
                }
            }
        }
        for earlier in self.earlier_partials(&path)? {
            let Some(bytes) = read(self.files, &earlier.to_string())? else {
                continue;
            };
            self.report.checked.earlier_partials += 1;
            let expected = hashes.get(..usize::from(earlier.width())).unwrap_or_default();
            self.note_if_differs(&earlier, first, &tile_bytes(expected), &bytes);
        }
        Ok(())
    }

    /// The partial bundles of earlier checkpoints are the beginnings of this one.
    fn check_earlier_bundles(&mut self, bundle: &TilePath, entries: &[&[u8]], bytes: &[u8]) -> Result<(), Stop> {
        for earlier in self.earlier_partials(bundle)? {
            let Some(earlier_bytes) = read(self.files, &earlier.to_string())? else {
                continue;
            };
            self.report.checked.earlier_partials += 1;
            let kept = entries.iter().take(usize::from(earlier.width()));
            let length = kept.map(|entry| entry.len() + 2).sum();
            let expected = bytes.get(..length).unwrap_or_default();
            self.note_if_differs(&earlier, self.tree.size(), expected, &earlier_bytes);
        }
        Ok(())
    }

    fn note_if_differs(&mut self, path: &TilePath, first: u64, expected: &[u8], got: &[u8]) {
        if expected == got {
            return;
        }
        let byte = expected.iter().zip(got).take_while(|(expected, got)| expected == got).count();
        let expected = format!("the first {} of the tile as it is now", path.width());
        let got = format!("other bytes from byte {byte} on");
        // An altered entry shows here as well. It is to be named, not this copy of it, so this
        // counts as concerning what comes after the tile.
        let mut found = Found::new(Fault::Tile, path.to_string(), Some(first), expected, got);
        let next = TilePath::new(path.level(), path.index() + 1, TILE_WIDTH);
        found.rank = next.ok().and_then(|next| next.first_entry()).unwrap_or(u64::MAX);
        self.note(Some(found));
    }

    /// The partial forms of `path` that belong to smaller trees than the checkpoint's.
    fn earlier_partials(&self, path: &TilePath) -> Result<Vec<TilePath>, Stop> {
        let dir = path.partial_dir();
        let mut widths = self.files.partial_widths(&dir).map_err(|why| unreadable(dir.clone(), &why))?;
        widths.sort_unstable();
        widths.retain(|width| *width < path.width());
        Ok(widths.into_iter().filter_map(|width| path.with_width(width).ok()).collect())
    }

    /// Checks the older checkpoint when the tree reaches its size, within these hashes.
    fn check_since(&mut self, hashes: &[NodeHash]) {
        let done = self.tree.size();
        let Some(old) = self.since.take() else { return };
        let added = old.size.checked_sub(done).and_then(|added| usize::try_from(added).ok());
        let Some(added) = added.and_then(|added| hashes.get(..added)) else {
            self.since = Some(old);
            return;
        };
        let mut tree = self.tree.clone();
        for hash in added {
            tree.push(*hash);
        }
        if tree.root() != old.root {
            let (expected, got) = (old.root.to_string(), tree.root().to_string());
            let file = SINCE_FILE.to_owned();
            self.note(Some(Found::new(Fault::Since, file, None, expected, got)));
        }
    }
}

fn malformed(path: &TilePath, first: u64, error: &TileError) -> Found {
    let expected = match path.level() {
        TileLevel::Entries => format!("{} entries", path.width()),
        TileLevel::Hashes(_) => format!("{} hashes", path.width()),
    };
    Found::new(Fault::Malformed, path.to_string(), Some(first), expected, error.to_string())
}
