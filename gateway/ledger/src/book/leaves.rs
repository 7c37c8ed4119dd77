//! Books from the log: every transfer stands in a `ledger_batch` leaf of the commit that made it.

use catalog::offer::Currency;
use gateway_audit::leaf::Leaf;
use serde::Deserialize;
use serde_json::Value;

use super::{Book, BookError, Transfer};

/// The kind of leaf that holds transfers.
pub const BATCH_KIND: &str = "ledger_batch";

/// As canonical JSON writes it: a cheap look before a leaf is parsed. Quotes within strings are escaped, so that these
/// bytes are a member of some object or nothing.
const MARK: &[u8] = b"\"kind\":\"ledger_batch\"";

/// Why a book cannot be made from a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// A `ledger_batch` leaf does not have its form.
    #[error("leaf {index} is no ledger batch: {why}")]
    Form {
        /// Which leaf.
        index: u64,
        /// What is wrong.
        why: String,
    },
    /// A transfer contradicts those before it.
    #[error("leaf {index}, transfer {number}: {source}")]
    Book {
        /// Which leaf.
        index: u64,
        /// Which transfer of it, from 0.
        number: usize,
        /// Why.
        source: BookError,
    },
}

/// The transfers of a leaf.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Batch {
    /// Of which ledger.
    pub currency: Currency,
    /// In their order.
    pub transfers: Vec<Transfer>,
}

impl Batch {
    /// Those of `leaf`; nothing if it is of another kind or form.
    pub fn of(leaf: &Leaf) -> Option<Self> {
        let members = || serde_json::from_value(Value::Object(leaf.members().clone())).ok();
        (leaf.kind() == BATCH_KIND).then(members)?
    }
}

#[derive(Deserialize)]
struct Head {
    kind: String,
}

/// Whether a leaf's bytes are those of a batch.
pub fn is_batch(leaf: &[u8]) -> bool {
    leaf.windows(MARK.len()).any(|window| window == MARK)
        && serde_json::from_slice::<Head>(leaf).is_ok_and(|head| head.kind == BATCH_KIND)
}

impl Book {
    /// Enters the transfers of leaf `index` of the log; a leaf of another kind changes nothing.
    pub fn enter_leaf(&mut self, index: u64, leaf: &[u8]) -> Result<(), LeafError> {
        if !is_batch(leaf) {
            return Ok(());
        }
        let form = |error: serde_json::Error| LeafError::Form { index, why: error.to_string() };
        let batch: Batch = serde_json::from_slice(leaf).map_err(form)?;
        for (number, transfer) in batch.transfers.iter().enumerate() {
            self.enter(batch.currency, transfer).map_err(|source| LeafError::Book { index, number, source })?;
        }
        Ok(())
    }
}
