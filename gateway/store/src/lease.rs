//! Leases: the right to pull one selection, given by one recorded decision.

use std::fmt;
use std::ops::Range;

use catalog::{AgreementId, DatasetId, Digest, LeaseId, MechanismId, ParticipantId, Purpose, ReleaseId, VersionName};
use gateway_ledger::Quote;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Whether a lease may still be granted bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseState {
    /// It may, until it expires.
    Active,
    /// It ended by itself.
    Closed,
    /// Somebody or something ended it (INV-8).
    Cut,
}

impl LeaseState {
    /// The spelling in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
            Self::Cut => "cut",
        }
    }

    /// Parses the spelling in JSON.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Closed, Self::Cut].into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for LeaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A lease as stored. When one is put, `sent_bytes`, `unit_bytes`, `state` and `reason` are ignored: it begins active
/// with nothing sent. `leaf` is replaced when the write names a leaf of its own transaction.
///
/// Ids that ascend with time keep the index on them cheap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// Digest of principal, agreement, version and selection: one live lease per key.
    pub key: Digest,
    /// Keyed hash of the principal (INV-10).
    pub principal: String,
    /// Keyed hash of the certificate's `x5t#S256`.
    pub certificate: String,
    /// The consumer.
    pub participant: ParticipantId,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// Whose data.
    pub provider: ParticipantId,
    /// Of what.
    pub dataset: DatasetId,
    /// Which version.
    pub version: VersionName,
    /// The columns it covers, in source order; fixed for its life.
    pub columns: Vec<String>,
    /// Whether other columns were dropped by `redact`.
    pub redact: bool,
    /// What for.
    pub purpose: Purpose,
    /// The price as agreed, JSON.
    pub price: Option<serde_json::Value>,
    /// The mechanism it rests on: revoking that ends it. None where no mechanism was needed.
    pub mechanism: Option<MechanismId>,
    /// The release it rests on, likewise.
    pub release: Option<ReleaseId>,
    /// Whether it may still be granted bytes.
    pub state: LeaseState,
    /// Index of the decision's leaf.
    pub leaf: u64,
    /// When it was recorded.
    pub created: Timestamp,
    /// No grant at or after this instant.
    pub expires: Timestamp,
    /// Why it ended.
    pub reason: Option<String>,
    /// Bytes on the wire, retries included.
    pub sent_bytes: u64,
    /// Unit bytes that no earlier delivery under its entitlement had covered.
    pub unit_bytes: u64,
}

/// What a lease may cost and what it needs; fixed for its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// What is held as grants grow.
    pub quote: Quote,
    /// Where the offer asks for receipts: how many bytes may be granted beyond them.
    pub unreceipted_bytes_max: Option<u64>,
}

/// A stream that is opened with its lease, as [`crate::Write::StreamOpened`] does, and what it is granted at once, as
/// [`crate::Write::Grant`] does (INV-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstStream {
    /// Which file, virtual file or stream of it.
    pub representation: String,
    /// Bytes of that representation, none of them empty.
    pub ranges: Vec<Range<u64>>,
}
