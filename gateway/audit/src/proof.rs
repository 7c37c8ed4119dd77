//! C2SP tlog-proof: one text file that proves, offline, that an entry is in the log.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{Checkpoint, SignedCheckpoint, parse_decimal};
use crate::note::{NOTE_BYTES_MAX, NoteError, VerifierKey};
use crate::tree::{NodeHash, PROOF_HASHES_MAX, ProofError, leaf_hash, verify_inclusion};

/// The first line of a proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Longest proof that is read, in bytes: a note, the hashes, and as much extra data again.
pub const PROOF_BYTES_MAX: usize = 2 * NOTE_BYTES_MAX;

/// A self-contained proof of inclusion; the file extension is `.tlog-proof`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    /// Data beside the proof. Nothing vouches for it.
    pub extra: Option<Vec<u8>>,
    /// The entry's index.
    pub index: u64,
    /// Sibling hashes from the leaf upwards.
    pub hashes: Vec<NodeHash>,
    /// The checkpoint that covers the entry.
    pub checkpoint: SignedCheckpoint,
}

/// Why a proof file does not prove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogProofError {
    /// The file is not a tlog-proof.
    #[error("not a log proof at line {line}: {why}")]
    Format {
        /// Line, from 1.
        line: usize,
        /// What was expected.
        why: &'static str,
    },
    /// The checkpoint in it is not acceptable.
    #[error("the proof's checkpoint: {0}")]
    Checkpoint(#[from] NoteError),
    /// The entry is not the one proven.
    #[error("the entry is not number {index} of the log: {source}")]
    Entry {
        /// The index in the proof.
        index: u64,
        /// How it fails.
        source: ProofError,
    },
}

impl LogProof {
    /// The proof file's text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            let _ = writeln!(text, "extra {}", STANDARD.encode(extra));
        }
        let _ = writeln!(text, "index {}", self.index);
        for hash in &self.hashes {
            let _ = writeln!(text, "{hash}");
        }
        text.push('\n');
        text.push_str(&self.checkpoint.to_text());
        text
    }

    /// Reads a proof file.
    ///
    /// # Errors
    ///
    /// [`LogProofError::Format`] and [`LogProofError::Checkpoint`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LogProofError> {
        let fault = |line, why| LogProofError::Format { line, why };
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(fault(1, "a smaller file"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| fault(1, "UTF-8"))?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(fault(1, "an empty line before the checkpoint"))?;
        let mut lines = head.split('\n').zip(1..).peekable();
        if lines.next().is_none_or(|(first, _)| first != HEADER) {
            return Err(fault(1, "`c2sp.org/tlog-proof@v1`"));
        }
        let extra = lines.peek().and_then(|(line, _)| line.strip_prefix("extra "));
        let extra = extra.map(|extra| STANDARD.decode(extra)).transpose();
        let extra = extra.map_err(|_| fault(2, "`extra` and base64"))?;
        if extra.is_some() {
            lines.next();
        }
        let index = lines.next().and_then(|(line, _)| parse_decimal(line.strip_prefix("index ")?));
        let line = 2 + usize::from(extra.is_some());
        let index = index.ok_or(fault(line, "`index` and a decimal number"))?;
        let mut hashes = Vec::new();
        for (hash, line) in lines {
            if hashes.len() >= PROOF_HASHES_MAX {
                return Err(fault(line, "fewer hashes"));
            }
            hashes.push(hash.parse().map_err(|_| fault(line, "the base64 of a 32-byte hash"))?);
        }
        let checkpoint = SignedCheckpoint::parse(checkpoint.as_bytes())?;
        Ok(Self { extra, index, hashes, checkpoint })
    }

    /// Checks, without a network, that `entry` is in the log at [`LogProof::index`], and gives
    /// the checkpoint that says so. Without a key only the proof's own consistency is checked:
    /// say so to whoever asked.
    ///
    /// # Errors
    ///
    /// [`LogProofError::Checkpoint`] if `key` did not sign the checkpoint,
    /// [`LogProofError::Entry`] if it does not cover the entry.
    pub fn verify(&self, entry: &[u8], key: Option<&VerifierKey>) -> Result<&Checkpoint, LogProofError> {
        let checkpoint = match key {
            Some(key) => self.checkpoint.verify(key)?,
            None => self.checkpoint.checkpoint(),
        };
        let leaf = leaf_hash(entry);
        verify_inclusion(&leaf, self.index, checkpoint.size, &self.hashes, &checkpoint.root)
            .map_err(|source| LogProofError::Entry { index: self.index, source })?;
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests;
