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
    /// Every key that has signed the log's checkpoints, the earliest first. While the key is being changed two sign.
    pub keys: Vec<LogKeyPeriod>,
    /// Whether witnesses have to cosign its checkpoints; if not, nobody outside this node has seen them.
    pub witnessed: bool,
    /// The trust policy with its witnesses (C2SP tlog-policy). Believe the one that you have from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// A key of the log, and which checkpoints it signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogKeyPeriod {
    /// The verifier key (C2SP signed-note).
    pub vkey: String,
    /// Checkpoints of at least this many entries.
    pub from: u64,
    /// And of at most so many, if it signs no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// `GET /v1/audit/{index}/explain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// Index of the decision's leaf.
    pub index: u64,
    /// Why it came out so, for whoever asks.
    pub explain: Explain,
}
