//! A log in a folder, as the offline verifier reads it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use gateway_audit::LogFiles;

/// Largest file of a log: 256 entries of 64 KiB at most, with room.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// The folder that holds `checkpoint`, and where facts lie.
#[derive(Debug, Clone)]
pub struct LogFolder {
    dir: PathBuf,
    /// `DIR/facts` of an export, or `DIR/../facts` of a node's data.
    facts: PathBuf,
}

impl LogFolder {
    /// The log in `dir`.
    pub fn new(dir: &Path) -> Self {
        let inside = dir.join("facts");
        let facts = if inside.is_dir() { inside } else { dir.join("..").join("facts") };
        Self { dir: dir.to_owned(), facts }
    }
}

impl LogFiles for LogFolder {
    type Error = io::Error;

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, io::Error> {
        let place = match path.strip_prefix("facts/") {
            Some(name) => self.facts.join(name),
            None => self.dir.join(path),
        };
        let file = match File::open(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {FILE_BYTES_MAX} bytes")));
        }
        Ok(Some(bytes))
    }

    fn partial_widths(&self, dir: &str) -> Result<Vec<u16>, io::Error> {
        let entries = match std::fs::read_dir(self.dir.join(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut widths = Vec::new();
        for entry in entries {
            // Anything else in the folder is no file of the log.
            if let Some(width) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
                widths.push(width);
            }
        }
        Ok(widths)
    }
}
