//! What lies in the data directory beside the database.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use catalog::{DatasetId, VersionName, VersionState};
use jiff::Timestamp;

use crate::snapshot::Snapshot;

/// An upload that nobody goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Of which dataset.
    pub dataset: String,
    /// The file.
    pub path: PathBuf,
}

/// How many files lie in a folder of the data directory, and their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Which.
    pub folder: &'static str,
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Uploads of versions that take no more files, and those untouched since `cutoff`.
pub(super) fn leftovers(data: &Path, snapshot: &Snapshot, cutoff: Timestamp) -> Vec<Leftover> {
    let cutoff = SystemTime::from(cutoff);
    let mut found = Vec::new();
    for path in walk(&data.join("uploads")) {
        let mut parts = path.iter().rev().skip(1).filter_map(|part| part.to_str());
        let (Some(version), Some(dataset)) = (parts.next(), parts.next()) else { continue };
        let doc = DatasetId::parse(dataset).ok().zip(VersionName::parse(version).ok());
        let doc = doc.and_then(|(dataset, version)| snapshot.version(&dataset, &version));
        let takes = doc.is_some_and(|doc| matches!(doc.state, VersionState::Draft | VersionState::Inspected));
        let old = path.metadata().and_then(|meta| meta.modified()).is_ok_and(|touched| touched < cutoff);
        if old || !takes {
            found.push(Leftover { dataset: dataset.to_owned(), path });
        }
    }
    found
}

/// When the upload was touched that is the next to be left over, of those touched since `cutoff`.
pub(super) fn oldest_upload(data: &Path, cutoff: Timestamp) -> Option<Timestamp> {
    let touched = walk(&data.join("uploads")).into_iter().filter_map(|path| path.metadata().ok()?.modified().ok());
    touched.filter_map(|touched| Timestamp::try_from(touched).ok()).filter(|touched| *touched >= cutoff).min()
}

/// The folders of the data directory.
pub fn sizes(data: &Path) -> Vec<Sizes> {
    ["log", "facts", "objects", "uploads", "tmp"]
        .into_iter()
        .map(|folder| {
            let bytes =
                walk(&data.join(folder)).into_iter().filter_map(|path| path.metadata().ok()).map(|meta| meta.len());
            bytes.fold(Sizes { folder, files: 0, bytes: 0 }, |sum, bytes| Sizes {
                files: sum.files + 1,
                bytes: sum.bytes.saturating_add(bytes),
                ..sum
            })
        })
        .collect()
}

/// Every file below `folder`; what cannot be read is not there. Symbolic links are not followed.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files
}
