//! Mechanisms: what lets personal or important data leave the mainland (RULES.md §2 to §4).

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{Digest, MechanismId, ParticipantId};

/// Which instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MechanismKind {
    /// The standard contract of the Greater Bay Area.
    GbaSc,
    /// The national standard contract.
    Sc,
    /// A certificate.
    Cert,
    /// A passed security assessment.
    Sa,
}

/// Whether a mechanism counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MechanismState {
    /// Added by a party; inert until an authority confirms it.
    Proposed,
    /// Confirmed.
    Confirmed,
    /// Withdrawn or ended.
    Revoked,
}

impl MechanismState {
    /// The spelling in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Confirmed => "confirmed",
            Self::Revoked => "revoked",
        }
    }
}

/// A document that a mechanism rests on. Its bytes stay with the parties: the digest says which bytes they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What it is called.
    pub name: String,
    /// SHA-256 of its bytes, 64 hex digits.
    #[serde(serialize_with = "hex")]
    pub sha256: Digest,
}

/// As the digests of files are written everywhere else.
fn hex<S: serde::Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&digest.hex())
}

/// A day of filing that was recorded later and counts once it is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filing {
    /// Day of filing.
    pub filed: Date,
    /// Documents of the filing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
    /// Who recorded it: the confirming officer belongs to another participant.
    pub recorded_by: ParticipantId,
    /// When it was recorded.
    pub at: Timestamp,
}

/// A filing or approval on record, for exactly one exporter and one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mechanism {
    /// Its id here.
    pub id: MechanismId,
    /// Which instrument.
    pub kind: MechanismKind,
    /// The authority's or the filing's reference.
    pub reference: String,
    /// Whose data.
    pub exporter: ParticipantId,
    /// To whom.
    pub recipient: ParticipantId,
    /// First day in force.
    pub effective: Date,
    /// Day of filing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filed: Option<Date>,
    /// Last day in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
    /// Dataset ids, or `*`.
    pub datasets: Vec<String>,
    /// Purposes, or `*`.
    pub purposes: Vec<String>,
    /// Approved number of persons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persons_max: Option<u64>,
    /// Documents, by digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
    /// A filing that waits for confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filing: Option<Filing>,
    /// Whether it counts.
    pub state: MechanismState,
    /// Who added it: the confirming officer belongs to another participant.
    pub added_by: ParticipantId,
    /// When it was added.
    pub at: Timestamp,
}
