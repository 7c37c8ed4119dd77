//! Mechanisms: what lets personal or important data leave.

use catalog::{Document, Mechanism, MechanismKind, ParticipantId};
use policy::{Deadline, Warning};
use serde::{Deserialize, Serialize};

/// What `POST /v1/mechanisms` takes. Dates are `YYYY-MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddMechanism {
    /// Which instrument.
    pub kind: MechanismKind,
    /// The authority's or the filing's reference.
    pub reference: String,
    /// Whose data.
    pub exporter: ParticipantId,
    /// To whom.
    pub recipient: ParticipantId,
    /// First day in force.
    pub effective: String,
    /// Day of filing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filed: Option<String>,
    /// Last day in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Dataset ids, or `*`.
    pub datasets: Vec<String>,
    /// Purposes, or `*`.
    pub purposes: Vec<String>,
    /// Approved number of persons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persons_max: Option<u64>,
    /// Documents, by digest; their bytes are not sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
}

/// What `POST /v1/mechanisms/{id}/filed` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordFiling {
    /// Day of filing, `YYYY-MM-DD`.
    pub filed: String,
    /// Documents of the filing, by digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
}

/// A mechanism as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MechanismView<'a> {
    /// As it is on file.
    #[serde(flatten)]
    pub mechanism: &'a Mechanism,
    /// The days by which something is to be done.
    pub deadlines: Vec<Deadline>,
    /// What is due or overdue today; nothing of one that is revoked.
    pub warnings: Vec<Warning>,
}
