//! Participants: the institutions that share, consume and supervise.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ParticipantId, Place};

/// What a principal of a participant may do (DESIGN.md, "Identity").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Finds, plans and pulls.
    Researcher,
    /// Registers and publishes datasets.
    Broker,
    /// Reviews, approves, cuts.
    Compliance,
    /// Runs the node.
    Operator,
    /// A machine that pulls.
    Compute,
    /// Cosigns the log.
    Witness,
}

impl Role {
    /// The spelling in certificates and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Researcher => "researcher",
            Self::Broker => "broker",
            Self::Compliance => "compliance",
            Self::Operator => "operator",
            Self::Compute => "compute",
            Self::Witness => "witness",
        }
    }

    /// Parses the spelling in certificates and JSON.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "researcher" => Self::Researcher,
            "broker" => Self::Broker,
            "compliance" => Self::Compliance,
            "operator" => Self::Operator,
            "compute" => Self::Compute,
            "witness" => Self::Witness,
            _ => return None,
        })
    }
}

/// A three-way answer; `Unknown` is always treated as the stricter one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tristate {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// Nobody has said.
    #[default]
    Unknown,
}

/// Whether a participant takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParticipantState {
    /// It does.
    #[default]
    Active,
    /// It does not, for now: every lease of it is cut, every request denied.
    Suspended,
}

/// What a participant exported in a year before this gateway counted, signed by it (RULES.md A3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Distinct persons.
    pub persons: u64,
    /// Distinct persons with sensitive information.
    pub sensitive: u64,
    /// Counts only once an authority has confirmed it.
    #[serde(default)]
    pub confirmed: bool,
}

/// Addresses that belong to one place (`accessed_from`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressRange {
    /// An address and a prefix length, `192.0.2.0/24`.
    pub range: String,
    /// Where its users sit.
    pub place: Place,
}

/// A participant's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// Short id.
    pub id: ParticipantId,
    /// The trust domain of its certificates; belongs to it alone.
    pub trust_domain: String,
    /// Legal name by script: `en`, `zh-Hant`, `zh-Hans`.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// Where it is registered.
    pub place: Place,
    /// The roles its certificates may carry.
    pub roles: BTreeSet<Role>,
    /// Whether its compliance officers are an authority's.
    #[serde(default)]
    pub authority: bool,
    /// Unified social credit code (mainland) or business registration number (Hong Kong).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<String>,
    /// Whether it is a critical information infrastructure operator.
    #[serde(default)]
    pub ciio: Tristate,
    /// Participants it is affiliated with.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub affiliates: BTreeSet<ParticipantId>,
    /// On the list of restricted recipients (PIPL Art. 42).
    #[serde(default)]
    pub restricted: bool,
    /// Its requests come from a foreign judicial or law-enforcement body (DSL Art. 36).
    #[serde(default)]
    pub foreign_authority_request: bool,
    /// Registered address ranges; empty means that its users sit at `place`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub address_ranges: Vec<AddressRange>,
    /// Yearly baselines by year in Asia/Shanghai.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub baselines: BTreeMap<i16, Baseline>,
    /// Whether it takes part.
    #[serde(default)]
    pub state: ParticipantState,
    /// Why it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The certificates that vouch for its principals, PEM.
    pub ca: String,
    /// The newest revocation list of each of its issuers, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl: Option<String>,
    /// When it was added.
    pub added: Timestamp,
}

impl Participant {
    /// Whether it takes part now.
    pub fn is_active(&self) -> bool {
        self.state == ParticipantState::Active
    }
}
