//! `/v1/audit` and `/v1/log-key`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::explain::Explain;

/// One leaf and its index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its index, from 0.
    pub index: u64,
    /// The leaf.
    pub leaf: Value,
}

/// `GET /v1/audit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntryList {
    /// One page, oldest first.
    pub entries: Vec<Entry>,
    /// Cursor of the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /v1/log-key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogKey {
    /// The verifier key (C2SP signed-note).
    pub vkey: String,
    /// The log's origin.
    pub origin: String,
    /// False: nobody outside this node has seen its checkpoints.
    pub witnessed: bool,
}

/// `GET /v1/audit/{index}/explain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// Index of the decision's leaf.
    pub index: u64,
    /// Why it came out so, for whoever asks.
    pub explain: Explain,
}
