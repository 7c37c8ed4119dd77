//! `/v1/statements`.

use catalog::offer::Currency;
use catalog::{AgreementId, DatasetId, ParticipantId, VersionName};
use serde::{Deserialize, Serialize};

/// `GET /v1/statements?participant=&period=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementSet {
    /// Whose.
    pub participant: ParticipantId,
    /// A month in Asia/Shanghai, `2026-11`.
    pub period: String,
    /// One per currency.
    pub statements: Vec<Statement>,
    /// What came in for its agreements in the month.
    #[serde(default)]
    pub payments: Vec<serde_json::Value>,
}

/// The lines in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// ISO 4217.
    pub currency: Currency,
    /// One per agreement and version.
    pub lines: Vec<Line>,
    /// Sum of the lines' amounts, minor units.
    pub total: String,
}

/// One entitlement in one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Agreement.
    pub agreement: AgreementId,
    /// Dataset.
    pub dataset: DatasetId,
    /// Version.
    pub version: VersionName,
    /// Whose data.
    pub provider: ParticipantId,
    /// Who received them.
    pub consumer: ParticipantId,
    /// Who registered them.
    pub broker: ParticipantId,
    /// Units of which a byte was delivered for the first time.
    pub units: u64,
    /// Rows delivered for the first time.
    pub rows: u64,
    /// Stored bytes of units delivered for the first time.
    pub unit_bytes: u64,
    /// Bytes on the wire, retries included.
    pub wire_bytes: u64,
    /// Minor units.
    pub amount: String,
    /// The broker's part of it.
    pub fee: String,
    /// The tax within it.
    #[serde(default = "zero")]
    pub tax: String,
    /// Whether that is known: `included` or `unknown`.
    #[serde(default = "unknown")]
    pub vat: String,
    /// What shows the delivery, in unit bytes.
    pub evidence: Evidence,
    /// The credit note that this line is; its amounts are negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_note: Option<String>,
    /// The month that a credit note corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_period: Option<String>,
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn zero() -> String {
    "0".to_owned()
}

/// Unit bytes by kind of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Handed to the consumer's connection.
    pub sent: u64,
    /// Acknowledged by the consumer's signature.
    pub receipt: u64,
}
