//! The published log and the facts of a data directory, as the verifier reads them.

use std::path::PathBuf;

use gateway_audit::verify::LogFiles;

/// A data directory.
pub struct Files(pub PathBuf);

impl LogFiles for Files {
    type Error = std::io::Error;

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, std::io::Error> {
        let folder = if path.starts_with("facts/") { self.0.clone() } else { self.0.join("log") };
        match std::fs::read(folder.join(path)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            bytes => bytes.map(Some),
        }
    }
}
