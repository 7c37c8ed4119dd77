//! `/v1/whoami` and `/v1/participants`.

use std::collections::{BTreeMap, BTreeSet};

use catalog::participant::{AddressRange, Baseline, BaselineDocument, Tristate};
use catalog::{DatasetId, ParticipantId, ParticipantState, Place, Role};
use serde::{Deserialize, Serialize};

/// `GET /v1/whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whoami {
    /// The SPIFFE id of the certificate.
    pub principal: String,
    /// The participant's id.
    pub participant: ParticipantId,
    /// The certificate's role.
    pub role: Role,
    /// Every role that the participant's record lists.
    pub roles: BTreeSet<Role>,
    /// Whether the participant is an authority.
    pub authority: bool,
    /// When the certificate ends, RFC 3339.
    pub certificate_expires: String,
}

/// What `POST /v1/participants` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddParticipant {
    /// Short id.
    pub id: ParticipantId,
    /// Its trust domain.
    pub trust_domain: String,
    /// Legal name by script.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// Registered place.
    pub place: Place,
    /// Roles.
    pub roles: BTreeSet<Role>,
    /// Whether it is an authority.
    #[serde(default)]
    pub authority: bool,
    /// Unified social credit code or business registration number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<String>,
    /// Critical information infrastructure operator.
    #[serde(default)]
    pub ciio: Tristate,
    /// Affiliated participants.
    #[serde(default)]
    pub affiliates: BTreeSet<ParticipantId>,
    /// On the list of restricted recipients.
    #[serde(default)]
    pub restricted: bool,
    /// Registered address ranges.
    #[serde(default)]
    pub address_ranges: Vec<AddressRange>,
    /// Yearly baselines; inert until an authority confirms them.
    #[serde(default)]
    pub baselines: BTreeMap<i16, Baseline>,
    /// CA certificates, PEM.
    pub ca: String,
    /// Revocation list, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl: Option<String>,
}

/// A participant as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantView {
    /// Short id.
    pub id: ParticipantId,
    /// Its trust domain.
    pub trust_domain: String,
    /// Legal name by script.
    pub names: BTreeMap<String, String>,
    /// Registered place.
    pub place: Place,
    /// Roles.
    pub roles: BTreeSet<Role>,
    /// Whether it is an authority.
    pub authority: bool,
    /// Unified social credit code or business registration number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<String>,
    /// Critical information infrastructure operator; only in one's own record, and for an authority or an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ciio: Option<Tristate>,
    /// Affiliated participants.
    pub affiliates: BTreeSet<ParticipantId>,
    /// On the list of restricted recipients.
    pub restricted: bool,
    /// Yearly baselines, likewise.
    pub baselines: BTreeMap<i16, Baseline>,
    /// Whether it takes part.
    pub state: ParticipantState,
    /// Why it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What `POST /v1/participants/{id}/baselines` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedBaseline {
    /// What is signed.
    pub document: BaselineDocument,
    /// JWS with detached content (RFC 7515 appendix F) over its canonical JSON, with `alg`, `typ` and `x5c`.
    pub signature: String,
}

/// `GET /v1/participants/{id}/counters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountersView {
    /// Whose exports.
    pub participant: ParticipantId,
    /// Year in Asia/Shanghai.
    pub year: i16,
    /// Distinct persons: what a decision starts from, the baseline included once it counts.
    pub persons: u64,
    /// Those with sensitive information.
    pub sensitive: u64,
    /// Of `persons`, what this gateway counted.
    pub counted_persons: u64,
    /// Of `sensitive`, what this gateway counted.
    pub counted_sensitive: u64,
    /// The year's baseline, whether it counts yet or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// By dataset. One person in two of them stands in both, and once in the totals.
    pub datasets: Vec<DatasetCounters>,
}

/// What one dataset adds to a year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetCounters {
    /// Which.
    pub dataset: DatasetId,
    /// `keys`, `declared`, or `keys and declared` where more were declared than keys were found.
    pub method: String,
    /// Persons.
    pub persons: u64,
    /// Those with sensitive information.
    pub sensitive: u64,
    /// Of `persons`, those whom a key tells apart.
    pub by_key: u64,
    /// Of `persons`, those whom only the declared number knows.
    pub by_number: u64,
}
