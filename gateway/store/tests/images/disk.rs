//! A disk as a strict reader of POSIX sees it: bytes are safe once their file is synced, names once their folder is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::trace::Event;

/// Disks write sectors whole.
const SECTOR: usize = 512;

/// What a crash takes.
#[derive(Debug, Clone, Copy)]
pub enum Loss {
    Nothing,
    /// Everything that was not synced.
    Unsynced,
    /// Any part of it, by a seed.
    Torn(u64),
}

type Inode = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Folder,
    File(Inode),
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Length(u64),
}

#[derive(Debug, Default)]
struct File {
    /// As of its last sync.
    safe: Vec<u8>,
    now: Vec<u8>,
    /// Since then, with the number of the event.
    changes: Vec<(usize, Change)>,
}

/// A name that was given or taken away, with the number of the event.
type Naming = (usize, PathBuf, Option<Entry>);

#[derive(Debug, Default)]
pub struct Disk {
    events: usize,
    files: Vec<File>,
    now: BTreeMap<PathBuf, Entry>,
    safe: BTreeMap<PathBuf, Entry>,
    /// Since the sync of the folder they are in.
    names: Vec<Naming>,
}

impl Disk {
    pub fn apply(&mut self, event: &Event) {
        self.events += 1;
        match event {
            Event::Folder(path) => self.name(path, Some(Entry::Folder)),
            Event::Create { path, truncate } => match self.now.get(path) {
                Some(Entry::File(inode)) if *truncate => self.change(*inode, Change::Length(0)),
                Some(_) => {}
                None => {
                    self.files.push(File::default());
                    self.name(path, Some(Entry::File(self.files.len() - 1)));
                }
            },
            Event::Write { path, at, bytes } => {
                if let Some(inode) = self.inode(path) {
                    self.change(inode, Change::Write { at: *at, bytes: bytes.0.clone() });
                }
            }
            Event::Length { path, bytes } => {
                if let Some(inode) = self.inode(path) {
                    self.change(inode, Change::Length(*bytes));
                }
            }
            Event::Sync { path, folder: true, since } => self.sync_folder(path, *since),
            Event::Sync { path, since, .. } => self.sync(path, *since),
            Event::Rename { from, to } => {
                let entry = self.now.get(from).copied();
                self.name(to, entry);
                self.name(from, None);
            }
            Event::Link { from, to } => {
                let entry = self.now.get(from).copied();
                self.name(to, entry);
            }
            Event::Remove(path) => self.name(path, None),
            Event::Answer(_) => {}
        }
    }

    fn inode(&self, path: &Path) -> Option<Inode> {
        match self.now.get(path)? {
            Entry::File(inode) => Some(*inode),
            Entry::Folder => None,
        }
    }

    fn name(&mut self, path: &Path, entry: Option<Entry>) {
        set(&mut self.now, path, entry);
        self.names.push((self.events, path.to_owned(), entry));
    }

    fn change(&mut self, inode: Inode, change: Change) {
        let file = &mut self.files[inode];
        play(&mut file.now, &change);
        file.changes.push((self.events, change));
    }

    /// What was changed before the call began is safe after it.
    fn sync(&mut self, path: &Path, since: usize) {
        let Some(inode) = self.inode(path) else { return };
        let file = &mut self.files[inode];
        for (number, change) in std::mem::take(&mut file.changes) {
            if number <= since {
                play(&mut file.safe, &change);
            } else {
                file.changes.push((number, change));
            }
        }
    }

    fn sync_folder(&mut self, folder: &Path, since: usize) {
        for (number, path, entry) in std::mem::take(&mut self.names) {
            if number <= since && path.parent() == Some(folder) {
                set(&mut self.safe, &path, entry);
            } else {
                self.names.push((number, path, entry));
            }
        }
    }

    /// Writes what is left of `dir` after a crash now to `to`.
    pub fn write(&self, loss: Loss, dir: &Path, to: &Path) {
        let mut random = match loss {
            Loss::Torn(seed) => Random(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            Loss::Nothing | Loss::Unsynced => Random(1),
        };
        let mut names = match loss {
            Loss::Nothing => self.now.clone(),
            Loss::Unsynced | Loss::Torn(_) => self.safe.clone(),
        };
        if matches!(loss, Loss::Torn(_)) {
            for (_, path, entry) in &self.names {
                if random.coin() {
                    set(&mut names, path, *entry);
                }
            }
        }
        for (path, entry) in &names {
            let Ok(relative) = path.strip_prefix(dir) else { continue };
            // Folders sort before what is in them; what is in a folder that was lost is lost.
            let place = to.join(relative);
            if !place.parent().is_some_and(Path::is_dir) {
                continue;
            }
            match entry {
                Entry::Folder => std::fs::create_dir(&place).unwrap(),
                Entry::File(inode) => std::fs::write(&place, self.content(*inode, loss, &mut random)).unwrap(),
            }
        }
    }

    fn content(&self, inode: Inode, loss: Loss, random: &mut Random) -> Vec<u8> {
        let file = &self.files[inode];
        match loss {
            Loss::Nothing => file.now.clone(),
            Loss::Unsynced => file.safe.clone(),
            Loss::Torn(_) => {
                let mut content = file.safe.clone();
                for (_, change) in &file.changes {
                    match change {
                        Change::Write { at, bytes } => {
                            for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                                if random.coin() {
                                    let at = at + (number * SECTOR) as u64;
                                    play(&mut content, &Change::Write { at, bytes: sector.to_vec() });
                                }
                            }
                        }
                        length if random.coin() => play(&mut content, length),
                        Change::Length(_) => {}
                    }
                }
                content
            }
        }
    }
}

fn set(names: &mut BTreeMap<PathBuf, Entry>, path: &Path, entry: Option<Entry>) {
    match entry {
        Some(entry) => drop(names.insert(path.to_owned(), entry)),
        None => drop(names.remove(path)),
    }
}

fn play(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(bytes) => content.resize(usize::try_from(*bytes).unwrap(), 0),
        Change::Write { at, bytes } => {
            let at = usize::try_from(*at).unwrap();
            content.resize(content.len().max(at + bytes.len()), 0);
            content[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn coin(&mut self) -> bool {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 63 == 1
    }
}
