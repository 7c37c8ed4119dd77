//! `NAME.part.json`: what `NAME.part` is a part of, and which of its bytes are durable.

use std::path::{Path, PathBuf};

use catalog::Digest;
use gateway_ledger::IntervalSet;
use serde::{Deserialize, Serialize};

use super::source::{Representation, Source};
use crate::error::CommandError;
use crate::files;

/// Version of this form.
const FORM: u32 = 1;
/// Largest sidecar that is read, in bytes.
const SIDECAR_BYTES_MAX: u64 = 16 << 20;

/// What a partial file is a part of. Two runs mix only if all of it is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Dataset.
    pub dataset: String,
    /// Version.
    pub version: String,
    /// File.
    pub file: String,
    /// Columns of the request; empty means all.
    pub columns: Vec<String>,
    /// Whether it is redacted.
    pub redact: bool,
    /// Strong ETag.
    pub etag: String,
    /// Length of the whole.
    pub bytes: u64,
    /// Digest of the chunk list.
    pub chunks: Digest,
}

impl Identity {
    /// Of a representation.
    pub fn of(source: &Source, representation: &Representation) -> Self {
        Self {
            dataset: source.dataset.clone(),
            version: source.version.clone(),
            file: source.name.clone(),
            columns: source.columns.clone(),
            redact: source.redact,
            etag: representation.etag.clone(),
            bytes: representation.bytes,
            chunks: representation.chunks_digest,
        }
    }
}

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sidecar {
    form: u32,
    /// Of what.
    pub identity: Identity,
    /// Bytes that are in the part and durable.
    pub done: IntervalSet,
}

impl Sidecar {
    /// `done` of `identity`.
    pub const fn new(identity: Identity, done: IntervalSet) -> Self {
        Self { form: FORM, identity, done }
    }

    /// Where the sidecar of a part is.
    pub fn path(part: &Path) -> PathBuf {
        files::suffixed(part, ".json")
    }

    /// Reads the sidecar of a part; nothing if there is none that can be used: the part is then started again.
    pub fn load(part: &Path) -> Option<Self> {
        let text = files::read_text(&Self::path(part), SIDECAR_BYTES_MAX).ok()?;
        let sidecar: Self = serde_json::from_str(&text).ok()?;
        (sidecar.form == FORM && sidecar.done.iter().all(|range| range.end <= sidecar.identity.bytes))
            .then_some(sidecar)
    }

    /// Writes it durably. The bytes in `done` must be durable already.
    pub fn store(&self, part: &Path) -> Result<(), CommandError> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        files::write_atomically(&Self::path(part), &text)
    }

    /// Removes it.
    pub fn remove(part: &Path) -> Result<(), CommandError> {
        files::remove_if_there(&Self::path(part))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(crate) fn identity() -> Identity {
        Identity {
            dataset: "yue-speech".to_owned(),
            version: "1".to_owned(),
            file: "a.parquet".to_owned(),
            columns: vec!["text".to_owned()],
            redact: false,
            etag: "\"e\"".to_owned(),
            bytes: 100,
            chunks: Digest::of(b""),
        }
    }

    #[test]
    fn reads_back_what_it_wrote_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let part = dir.path().join("a.parquet.part");
        assert!(Sidecar::load(&part).is_none());
        let done: IntervalSet = [0..10, 50..100].into_iter().collect();
        let sidecar = Sidecar::new(identity(), done);
        sidecar.store(&part).unwrap();
        assert_eq!(Sidecar::load(&part).unwrap(), sidecar);
        for bad in ["", "{}", "{\"form\":2}"] {
            std::fs::write(Sidecar::path(&part), bad).unwrap();
            assert!(Sidecar::load(&part).is_none(), "{bad}");
        }
        let mut beyond = sidecar;
        beyond.done.insert(90..101);
        beyond.store(&part).unwrap();
        assert!(Sidecar::load(&part).is_none());
        Sidecar::remove(&part).unwrap();
        Sidecar::remove(&part).unwrap();
    }
}
