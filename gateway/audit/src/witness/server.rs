//! A witness's step, pure: what it has seen of a log, a request and the time give an answer.
//!
//! The refusals have an order, which a test walks: malformed, unknown log, not signed by the log, an old size beyond the
//! checkpoint's, another size than was seen, another root than was seen, a proof that does not hold.

use std::time::Duration;

use super::cosignature::Cosigner;
use super::request::{AddCheckpoint, AddCheckpointError};
use super::{CosignerKey, SIZE_MEDIA_TYPE};
use crate::checkpoint::SignedCheckpoint;
use crate::note::VerifierKey;
use crate::tree::{EMPTY_ROOT, NodeHash, verify_consistency};

/// The largest tree of a log that a witness has cosigned; the empty one before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Entries.
    pub size: u64,
    /// Their root.
    pub root: NodeHash,
}

impl Default for Seen {
    fn default() -> Self {
        Self { size: 0, root: EMPTY_ROOT }
    }
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request is none.
    #[error(transparent)]
    Malformed(#[from] AddCheckpointError),
    /// The log is not one of those that it watches.
    #[error("no log `{0}` is known here")]
    UnknownLog(String),
    /// No key of the log signed the checkpoint.
    #[error("the checkpoint is not signed by a known key of `{0}`")]
    Unsigned(String),
    /// The old size lies beyond the checkpoint.
    #[error("the old size {old} is larger than the checkpoint's {size}")]
    OldSize {
        /// As requested.
        old: u64,
        /// The checkpoint's.
        size: u64,
    },
    /// It has seen another size.
    #[error("the tree seen last has {seen} entries, not {old}")]
    Stale {
        /// What was seen.
        seen: u64,
        /// What the request starts from.
        old: u64,
    },
    /// It has seen another tree of the same size: the log shows different people different histories.
    #[error("another tree of {0} entries was seen: the log has forked")]
    Forked(u64),
    /// The proof does not lead from what was seen to the checkpoint.
    #[error("the tree of {seen} entries that was seen is not proven to be a prefix of the checkpoint's {size}")]
    Inconsistent {
        /// What was seen.
        seen: u64,
        /// The checkpoint's.
        size: u64,
    },
    /// The witness's own key failed.
    #[error("the witness cannot sign: {0}")]
    Key(String),
}

impl Refusal {
    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::OldSize { .. } => 400,
            Self::UnknownLog(_) => 404,
            Self::Unsigned(_) => 403,
            Self::Stale { .. } | Self::Forked(_) => 409,
            Self::Inconsistent { .. } => 422,
            Self::Key(_) => 500,
        }
    }

    /// Media type and body of the answer.
    pub fn body(&self) -> (&'static str, String) {
        match self {
            Self::Stale { seen, .. } | Self::Forked(seen) => (SIZE_MEDIA_TYPE, format!("{seen}\n")),
            _ => ("text/plain; charset=utf-8", format!("{self}\n")),
        }
    }

    /// Whether the request, which the log signed, may be proof that the log misbehaves: worth keeping.
    pub const fn is_evidence(&self) -> bool {
        matches!(self, Self::Forked(_) | Self::Inconsistent { .. })
    }
}

/// A request that the log really made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentic(AddCheckpoint);

impl Authentic {
    /// The log.
    pub fn origin(&self) -> &str {
        &self.0.checkpoint.checkpoint().origin
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.0.checkpoint
    }
}

/// What a witness has cosigned, and what it has seen from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// To be durable before the line leaves.
    pub seen: Seen,
    /// The signature line of the answer, with its newline.
    pub line: String,
}

/// A witness: its key, and the logs that it watches.
#[derive(Debug)]
pub struct Witness {
    cosigner: Cosigner,
    logs: Vec<VerifierKey>,
}

impl Witness {
    /// Watches `logs`; a log has an entry for each of its keys.
    pub fn new(cosigner: Cosigner, logs: Vec<VerifierKey>) -> Self {
        Self { cosigner, logs }
    }

    /// The key that checks its cosignatures.
    pub fn key(&self) -> &CosignerKey {
        self.cosigner.key()
    }

    /// The logs' keys.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// What can be judged without knowing what was seen.
    ///
    /// # Errors
    ///
    /// [`Refusal::Malformed`], [`Refusal::UnknownLog`], [`Refusal::Unsigned`].
    pub fn authenticate(&self, body: &[u8]) -> Result<Authentic, Refusal> {
        let request = AddCheckpoint::parse(body)?;
        let origin = &request.checkpoint.checkpoint().origin;
        let mut keys = self.logs.iter().filter(|key| key.name() == origin).peekable();
        if keys.peek().is_none() {
            return Err(Refusal::UnknownLog(origin.clone()));
        }
        if !keys.any(|key| request.checkpoint.verify(key).is_ok()) {
            return Err(Refusal::Unsigned(origin.clone()));
        }
        Ok(Authentic(request))
    }

    /// Judges an authentic request of the log of which `seen` is the largest tree, at `now` since 1970. The caller reads
    /// `seen` and writes what becomes of it in one transaction, and lets the line go when that is durable.
    ///
    /// # Errors
    ///
    /// The other [`Refusal`]s: nothing is to be written.
    pub fn step(&self, seen: Seen, request: &Authentic, now: Duration) -> Result<Cosigned, Refusal> {
        let AddCheckpoint { old, proof, checkpoint } = &request.0;
        let (old, new) = (*old, checkpoint.checkpoint());
        if old > new.size {
            return Err(Refusal::OldSize { old, size: new.size });
        }
        if old != seen.size {
            return Err(Refusal::Stale { seen: seen.size, old });
        }
        if old == new.size && seen.root != new.root {
            return Err(Refusal::Forked(old));
        }
        // Whatever grows has the empty tree as a prefix: there is nothing to prove, and nothing may be sent.
        let consistent = if old == 0 && new.size > 0 {
            proof.is_empty()
        } else {
            verify_consistency(old, new.size, proof, &seen.root, &new.root).is_ok()
        };
        if !consistent {
            return Err(Refusal::Inconsistent { seen: seen.size, size: new.size });
        }
        let line = self.cosigner.cosign(checkpoint, now.as_secs()).map_err(|error| Refusal::Key(error.to_string()))?;
        Ok(Cosigned { seen: Seen { size: new.size, root: new.root }, line: format!("{line}\n") })
    }
}
