//! Public test vectors, which are not part of the repository.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// Unpacks an archive of the folder `shared/vectors` beside the repository. Without that folder
/// the test that asked did not run, and says so.
pub fn unpack(archive: &str) -> Option<TempDir> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = root.join("../shared/vectors").join(archive);
    if !file.exists() {
        eprintln!("DID NOT RUN: {archive} is not in ../shared/vectors");
        return None;
    }
    let dir = TempDir::new().unwrap();
    let status = Command::new("tar").arg("-xzf").arg(&file).arg("-C").arg(dir.path()).status().unwrap();
    assert!(status.success(), "tar could not unpack {archive}");
    Some(dir)
}
