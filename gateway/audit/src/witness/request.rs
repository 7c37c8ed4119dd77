//! The body of `add-checkpoint`: an old size, a consistency proof, an empty line, a signed checkpoint.

use std::fmt::Write as _;

use crate::checkpoint::{SignedCheckpoint, parse_decimal};
use crate::note::{NOTE_BYTES_MAX, NoteError};
use crate::tree::NodeHash;

/// Most lines of a consistency proof.
pub const CONSISTENCY_LINES_MAX: usize = 63;

/// Longest body that is read, in bytes: a note, its proof, and the first line.
pub const ADD_CHECKPOINT_BYTES_MAX: usize = NOTE_BYTES_MAX + CONSISTENCY_LINES_MAX * 45 + 64;

/// A checkpoint submitted to a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the checkpoint that the witness cosigned last, as far as the log knows.
    pub old: u64,
    /// That the tree of `old` entries is a prefix of the checkpoint's; empty from the empty tree.
    pub proof: Vec<NodeHash>,
    /// The checkpoint, signed by the log.
    pub checkpoint: SignedCheckpoint,
}

/// A body that is no such request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddCheckpointError {
    /// It does not have the form.
    #[error("line {line}: {why}")]
    Format {
        /// Line, from 1.
        line: usize,
        /// What was expected.
        why: &'static str,
    },
    /// Its checkpoint is none.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] NoteError),
}

impl AddCheckpoint {
    /// The request's text.
    pub fn to_text(&self) -> String {
        let mut text = format!("old {}\n", self.old);
        for hash in &self.proof {
            let _ = writeln!(text, "{hash}");
        }
        text.push('\n');
        text.push_str(&self.checkpoint.to_text());
        text
    }

    /// Reads a request's body.
    ///
    /// # Errors
    ///
    /// [`AddCheckpointError`]: the answer is 400.
    pub fn parse(bytes: &[u8]) -> Result<Self, AddCheckpointError> {
        let fault = |line, why| AddCheckpointError::Format { line, why };
        if bytes.len() > ADD_CHECKPOINT_BYTES_MAX {
            return Err(fault(1, "the request is too large"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| fault(1, "the request is not UTF-8"))?;
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(fault(1, "there is no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| parse_decimal(line.strip_prefix("old ")?));
        let old = old.ok_or(fault(1, "write `old`, a space and a tree size in decimal"))?;
        let mut proof = Vec::new();
        for (line, number) in lines.zip(2..) {
            if proof.len() >= CONSISTENCY_LINES_MAX {
                return Err(fault(number, "a consistency proof has at most 63 lines"));
            }
            proof.push(line.parse().map_err(|_| fault(number, "write the base64 of a 32-byte hash"))?);
        }
        let checkpoint = SignedCheckpoint::parse(checkpoint.as_bytes())?;
        Ok(Self { old, proof, checkpoint })
    }
}
