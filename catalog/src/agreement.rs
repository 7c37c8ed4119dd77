//! Agreements: a participant has taken an offer for a purpose.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AgreementId, DatasetId, Digest, Offer, ParticipantId, Purpose};

/// Whether an agreement holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgreementState {
    /// It does.
    Active,
    /// One of the parties has ended it.
    Ended,
}

/// An accepted offer. Unique per (participant, dataset, purpose, offer digest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Its id.
    pub id: AgreementId,
    /// The consumer.
    pub participant: ParticipantId,
    /// Of what.
    pub dataset: DatasetId,
    /// What for.
    pub purpose: Purpose,
    /// Digest of the accepted offer; the versions with this offer are covered.
    pub offer: Digest,
    /// The accepted terms themselves.
    pub terms: Offer,
    /// Whose data these are.
    pub provider: ParticipantId,
    /// Who registered them.
    pub broker: ParticipantId,
    /// Whether it holds.
    pub state: AgreementState,
    /// An officer's flag: requests under it serve a foreign authority (DSL Art. 36).
    #[serde(default)]
    pub foreign_authority_request: bool,
    /// When it was accepted.
    pub at: Timestamp,
    /// When it ended, if it has; absent also for what ended before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}
