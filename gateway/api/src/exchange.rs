//! Plans, agreements, leases.

use catalog::offer::Currency;
use catalog::{
    AgreementId, AgreementState, DatasetId, Digest, Fee, LeaseId, MechanismId, ParticipantId, Purpose, ReleaseId,
    VersionName,
};
use gateway_ledger::Ack;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::review::PlanRelease;

/// A selection of columns: `"*"`, or names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Columns {
    /// `"*"`.
    All(String),
    /// Names.
    Named(Vec<String>),
}

/// What `POST /v1/plan` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// Dataset id.
    pub dataset: DatasetId,
    /// Version; the newest published one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionName>,
    /// Columns; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// Row filter (refused until it is enforced).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#where: Option<String>,
    /// Leave out what may not go.
    #[serde(default)]
    pub redact: bool,
    /// What for; needed when no or several agreements cover the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
}

/// Minor units and their currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Decimal string of minor units.
    pub amount: String,
    /// ISO 4217.
    pub currency: Currency,
}

/// What `POST /v1/plan` answers. Nothing has moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Dataset id.
    pub dataset: DatasetId,
    /// Version.
    pub version: VersionName,
    /// The decision on the columns that would go (after redaction, if asked).
    pub decision: Value,
    /// Those columns.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Option<u64>,
    /// Bytes of the representation as files.
    pub bytes: u64,
    /// Stored bytes of the units in it.
    pub unit_bytes: u64,
    /// What all of it costs.
    pub price: Money,
    /// The agreement that covers it, or null: accept the offer first.
    pub agreement: Option<AgreementId>,
    /// The release on which it may go though the decision is `review`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<PlanRelease>,
}

/// What `POST /v1/agreements` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptOffer {
    /// Dataset id.
    pub dataset: DatasetId,
    /// Whose offer; that of the newest published version if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionName>,
    /// What for.
    pub purpose: Purpose,
}

/// An agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementView {
    /// Its id.
    pub id: AgreementId,
    /// The consumer.
    pub participant: ParticipantId,
    /// Of what.
    pub dataset: DatasetId,
    /// What for.
    pub purpose: Purpose,
    /// Digest of the accepted offer.
    pub offer: Digest,
    /// Whether it holds.
    pub state: AgreementState,
    /// The broker's part of what it costs, as it was agreed: the offer's, or the node's of that moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Fee>,
    /// When it was accepted.
    pub at: String,
}

/// `GET /v1/agreements`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementList {
    /// Those of the caller's participant, as consumer or provider.
    pub agreements: Vec<AgreementView>,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseView {
    /// Its id.
    pub id: LeaseId,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// Dataset.
    pub dataset: DatasetId,
    /// Version.
    pub version: VersionName,
    /// Leaf columns.
    pub columns: Vec<String>,
    /// `active`, `closed` or `cut`.
    pub state: String,
    /// Log index of its decision.
    pub leaf: u64,
    /// Bytes handed to the wire.
    pub sent_bytes: u64,
    /// Stored bytes of units delivered under it, each once.
    pub unit_bytes: u64,
    /// The consumer.
    pub participant: ParticipantId,
    /// What for.
    pub purpose: Purpose,
    /// When it was made.
    pub created: String,
    /// When it ends by itself.
    pub expires: String,
    /// The mechanism that it rests on, where one was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<MechanismId>,
    /// The release that it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// Why it was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The most that may have left: granted bytes less those that provably did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress_bytes: Option<u64>,
    /// What its consumer has signed for; where one lease is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts: Option<Vec<ReceiptView>>,
    /// Acknowledgements whose signature did not verify; three suspend the lease. Only of one lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forged_acks: Option<u32>,
}

/// What `POST /v1/leases/{id}/acks` and the Flight action `ack` take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAck {
    /// What is acknowledged.
    pub ack: Ack,
    /// Signature of [`Ack::signed_bytes`] by the key of the connection's certificate, base64: ECDSA on P-256 with SHA-256
    /// (ASN.1 DER) or Ed25519.
    pub signature: String,
}

/// A receipt: an acknowledgement that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptView {
    /// Under which lease.
    pub lease: LeaseId,
    /// The acknowledgement's number under it.
    pub seq: u64,
    /// SHA-256 of the signed bytes.
    pub ack: Digest,
    /// Stored bytes of the units it names.
    pub unit_bytes: u64,
    /// Those of them that no earlier one named.
    pub new_unit_bytes: u64,
    /// What fell due by it, where the offer asks for receipts.
    pub amount: Money,
    /// Its log index.
    pub leaf: u64,
    /// When it was taken.
    pub at: String,
}

/// `GET /v1/leases`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseList {
    /// One page, newest first.
    pub leases: Vec<LeaseView>,
    /// Cursor of the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
