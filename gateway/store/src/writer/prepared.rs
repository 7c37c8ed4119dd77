//! What a caller's own thread does for the writer: canonical leaves and checked digests. The writer is one thread and
//! everybody waits for it.

use catalog::Digest;
use gateway_audit::NodeHash;
use gateway_audit::tree::leaf_hash;
use jiff::Timestamp;

use super::entry::Entry;
use crate::lookup::{Print, print_of_request};
use crate::transaction::{
    BLOB_BYTES_MAX, CommitError, Expect, Idempotency, LEAVES_MAX, Transaction, WRITES_MAX, Write,
};

/// A transaction whose leaves are written out but for the moment, which the writer knows.
pub(crate) struct Prepared {
    pub(super) at: Timestamp,
    pub(super) expect: Vec<Expect>,
    pub(super) leaves: Vec<Entry>,
    pub(super) facts: Vec<(Digest, Vec<u8>)>,
    pub(super) writes: Vec<Write>,
    pub(super) idempotency: Option<(Print, Idempotency)>,
    /// Its `ledger_batch` leaves, which the writer makes.
    pub(super) batches: Vec<Entry>,
}

impl Prepared {
    /// Checks what needs no database.
    pub(crate) fn new(transaction: Transaction) -> Result<Self, CommitError> {
        let Transaction { at, expect, leaves, facts, writes, idempotency } = transaction;
        if leaves.len() > LEAVES_MAX || writes.len() > WRITES_MAX {
            return Err(CommitError::Invalid(format!(
                "at most {LEAVES_MAX} leaves and {WRITES_MAX} writes fit in one"
            )));
        }
        let leaf = |(number, members)| Entry::new(members, at).map_err(|source| CommitError::Leaf { number, source });
        let leaves = leaves.into_iter().enumerate().map(leaf).collect::<Result<_, _>>()?;
        for (digest, body) in &facts {
            if body.len() > BLOB_BYTES_MAX {
                let length = body.len();
                return Err(CommitError::Invalid(format!(
                    "a facts blob of {length} bytes is too large, at most {BLOB_BYTES_MAX}"
                )));
            }
            let found = Digest::of(body);
            if found != *digest {
                return Err(CommitError::Invalid(format!("facts said to be {digest} are {found}")));
            }
        }
        let idempotency = idempotency.map(|asked| (print_of_request(&asked.scope, &asked.key), asked));
        Ok(Self { at, expect, leaves, facts, writes, idempotency, batches: Vec::new() })
    }

    /// The hashes of its leaves as they were written.
    pub(super) fn hashes(&self) -> Vec<NodeHash> {
        self.leaves.iter().chain(&self.batches).map(|entry| leaf_hash(entry.body())).collect()
    }
}
