//! `/v1/claims`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What `POST /v1/claims` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileClaim {
    /// Programme id.
    pub programme: String,
    /// Year, as the programme counts them.
    pub year: i16,
}

/// `POST /v1/claims/{id}/receipts`: both who sign send the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenReceipts {
    /// Who gets the bundle that names the signers.
    pub to: String,
    /// What for.
    pub reason: String,
}

/// Where a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimState {
    /// Filed; a second person has to look at it.
    Proposed,
    /// Released by a compliance officer of another participant, an authority.
    Released,
    /// Refused; its contracts may be claimed again.
    Refused,
}

/// A claim as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimView {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub state: ClaimState,
    /// When it was filed, RFC 3339.
    pub filed: String,
    /// Who decided on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The claim: participant, programme, years, base, amount, contracts, digests of its contents, shares.
    pub claim: Value,
}

/// `GET /v1/claims`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimList {
    /// By id: the oldest first.
    pub claims: Vec<ClaimView>,
}
