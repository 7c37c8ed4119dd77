//! One commit: what it writes, what it expects of the store, and how it fails.
//!
//! A transaction is all or nothing, and so is each one in a group: an expectation that fails undoes its own transaction
//! and no other.

use std::sync::Arc;

use catalog::Digest;
use gateway_audit::{LeafError, NodeHash};
use jiff::Timestamp;
use serde_json::{Map, Value};

mod doc;
mod expect;
mod retention;
mod write;

pub use doc::DocKind;
pub use expect::Expect;
pub use retention::Expired;
pub use write::{Erasure, Receipt, Resealed, SubjectKey, Write};

/// Most leaves of one transaction.
pub const LEAVES_MAX: usize = 64;

/// Most writes of one transaction.
pub const WRITES_MAX: usize = 4096;

/// Largest document, response or facts blob, in bytes.
pub const BLOB_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most that may be granted without a receipt where the offer asks for receipts (LEDGER.md, "Pay-as-you-ack").
pub const UNRECEIPTED_BYTES_MAX: u64 = 256 << 20;

/// Length of the window in which the same refusal answers with the first leaf (INTERFACE.md, "Log leaf").
pub const DENIAL_WINDOW: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// A keyed hash of a person's key, cut to 128 bits: equal for equal keys of one exporter and year, meaningless elsewhere.
pub type PersonKey = [u8; 16];

/// What rows sealed under a person's key name it by: 16 random bytes, which say nothing about the person.
pub type SubjectHandle = [u8; 16];

/// What is committed together.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// When it happens. Leaves never go back in time: theirs is the later of this and the last leaf's.
    pub at: Timestamp,
    /// What must hold, or nothing is written.
    pub expect: Vec<Expect>,
    /// Members of the new log entries, in order. The writer sets `v` and `at`.
    pub leaves: Vec<Map<String, Value>>,
    /// Canonical facts by digest; exported before the checkpoint that covers their leaf.
    pub facts: Vec<(Digest, Vec<u8>)>,
    /// What changes.
    pub writes: Vec<Write>,
    /// The request this answers, so that its retry gets the same answer for ever.
    pub idempotency: Option<Idempotency>,
}

impl Transaction {
    /// An empty transaction at `at`.
    pub const fn new(at: Timestamp) -> Self {
        Self { at, expect: Vec::new(), leaves: Vec::new(), facts: Vec::new(), writes: Vec::new(), idempotency: None }
    }

    /// Adds a leaf and gives the reference to it.
    pub fn leaf(&mut self, members: Map<String, Value>) -> LeafRef {
        let number = u32::try_from(self.leaves.len()).unwrap_or(u32::MAX);
        self.leaves.push(members);
        LeafRef::This(number)
    }
}

/// A log index, known or about to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafRef {
    /// The nth leaf of the same transaction, from 0.
    This(u32),
    /// A leaf that is in the log.
    Index(u64),
}

/// Ties a transaction to the request that caused it.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// Keyed hash of the principal: keys of two principals never meet.
    pub scope: String,
    /// The request's `Idempotency-Key`.
    pub key: String,
    /// Digest of the request.
    pub body: Digest,
    /// The answer, encrypted by the caller. Where it must hold the leaf's index, leave that out here: it is stored beside it.
    pub response: Vec<u8>,
}

/// What a recorded transaction was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Index of its first leaf, or of the next leaf to come if it has none.
    pub first_leaf: u64,
    /// How many leaves.
    pub leaves: u32,
    /// Its place in the order of all transactions, from 1.
    pub revision: u64,
    /// The time its leaves bear.
    pub at: Timestamp,
}

impl Committed {
    /// The log index that `leaf` became.
    pub fn index(&self, leaf: LeafRef) -> u64 {
        match leaf {
            LeafRef::This(number) => self.first_leaf.saturating_add(u64::from(number)),
            LeafRef::Index(index) => index,
        }
    }
}

/// Why a transaction was not recorded. Nothing of it is in the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Something changed since the caller read it.
    #[error("the store no longer meets the expectation {0:?}")]
    Conflict(Expect),
    /// The request was answered before.
    #[error("this request has its answer already")]
    Replayed {
        /// The stored answer.
        response: Vec<u8>,
        /// Index of its transaction's first leaf, if that had any.
        leaf: Option<u64>,
    },
    /// The idempotency key was used for another request.
    #[error("the idempotency key was first used for {first}, and now for {second}")]
    KeyReused {
        /// Digest of the first request.
        first: Digest,
        /// Digest of this one.
        second: Digest,
    },
    /// A leaf cannot stand in the log. The caller's mistake.
    #[error("leaf {number} of the transaction: {source}")]
    Leaf {
        /// Which, from 0.
        number: usize,
        /// What is wrong.
        source: LeafError,
    },
    /// The transaction contradicts itself or exceeds a limit. The caller's mistake.
    #[error("the transaction cannot be recorded: {0}")]
    Invalid(String),
    /// The disk or the database's quota is full. Nothing of this group is recorded; a later commit may succeed.
    #[error("the disk is full")]
    Full,
    /// The store is closed or cannot be written.
    #[error("the records are not available: {0}")]
    Unavailable(String),
}

/// A stored document.
#[derive(Debug, Clone)]
pub struct DocChange {
    /// Its kind.
    pub kind: DocKind,
    /// Its id.
    pub id: String,
    /// Its revision now.
    pub revision: u64,
    /// JSON.
    pub body: Arc<[u8]>,
}

/// What a listener hears of a recorded transaction.
#[derive(Debug, Clone)]
pub struct Commit {
    /// What it was given.
    pub committed: Committed,
    /// Its documents, in the order of its writes.
    pub docs: Vec<DocChange>,
    /// The hashes of its leaves as they were written.
    pub(crate) hashes: Vec<NodeHash>,
}
