//! Participants: the institutions that share, consume and supervise.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Digest, ParticipantId, Place};

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

/// What a participant exported in a year before this gateway counted (RULES.md A3). It counts once the participant has
/// signed it and an authority has confirmed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Distinct persons.
    pub persons: u64,
    /// Distinct persons with sensitive information.
    pub sensitive: u64,
    /// Whether an authority has confirmed it.
    #[serde(default)]
    pub confirmed: bool,
    /// The day to whose end the numbers run; of the signed document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Date>,
    /// Digest of the document that the participant signed; a baseline without one was only declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Digest>,
}

impl Baseline {
    /// A declaration that nobody has signed or confirmed: inert.
    pub const fn declared(persons: u64, sensitive: u64) -> Self {
        Self { persons, sensitive, confirmed: false, as_of: None, document: None }
    }

    /// Whether it counts.
    pub const fn counts(&self) -> bool {
        self.confirmed && self.document.is_some()
    }
}

/// What a participant signs about a year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineDocument {
    /// Whose year.
    pub participant: ParticipantId,
    /// Year in Asia/Shanghai.
    pub year: i16,
    /// Distinct persons whose data left by other ways in that year.
    pub persons: u64,
    /// Of those, with sensitive information.
    pub sensitive: u64,
    /// The day to whose end the numbers run.
    pub as_of: Date,
}

impl BaselineDocument {
    /// `typ` of its signature: a signature over anything else is none over a baseline.
    pub const SIGNATURE_TYPE: &str = "kouan-baseline";

    /// The bytes that are signed: RFC 8785.
    pub fn canonical(&self) -> Vec<u8> {
        // Five members of plain types always serialise; nothing verifies over no bytes.
        serde_json_canonicalizer::to_vec(self).unwrap_or_default()
    }

    /// What is wrong with its numbers, if anything is, on the day `today`.
    pub fn mistake(&self, today: Date) -> Option<&'static str> {
        if !(2020..=2100).contains(&self.year) {
            return Some("`year` is 2020 to 2100");
        }
        if self.persons >= 1 << 53 || self.sensitive > self.persons {
            return Some("`persons` is below 2^53, and `sensitive` at most `persons`");
        }
        if self.as_of > today || self.as_of.year() > self.year {
            return Some("`as_of` is a day that has come, in `year` or before it");
        }
        None
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn document(text: &str) -> BaselineDocument {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_baseline_document_has_one_form_and_possible_numbers() {
        let text =
            r#"{"year": 2026, "persons": 12500, "sensitive": 300, "participant": "qianhai", "as_of": "2026-11-22"}"#;
        let sound = document(text);
        let canonical = String::from_utf8(sound.canonical()).unwrap();
        assert_eq!(
            canonical,
            r#"{"as_of":"2026-11-22","participant":"qianhai","persons":12500,"sensitive":300,"year":2026}"#
        );
        let today: Date = "2026-11-28".parse().unwrap();
        assert_eq!(sound.mistake(today), None);
        let ahead = BaselineDocument { year: 2027, ..sound.clone() };
        assert_eq!(ahead.mistake(today), None, "of a year to come: what is known today");
        for wrong in [
            BaselineDocument { year: 2019, ..sound.clone() },
            BaselineDocument { persons: 1 << 53, ..sound.clone() },
            BaselineDocument { sensitive: 12_501, ..sound.clone() },
            BaselineDocument { as_of: "2026-11-29".parse().unwrap(), ..sound.clone() },
            BaselineDocument { year: 2025, ..sound.clone() },
        ] {
            assert!(wrong.mistake(today).is_some(), "{wrong:?}");
        }
        assert!(serde_json::from_str::<BaselineDocument>(&text.replace("as_of", "at")).is_err());
    }

    #[test]
    fn only_what_is_signed_and_confirmed_counts() {
        let declared = Baseline::declared(1, 0);
        let signed = Baseline { document: Some(Digest::of(b"{}")), ..declared.clone() };
        assert!(!declared.counts() && !signed.counts());
        assert!(!Baseline { confirmed: true, ..declared }.counts());
        assert!(Baseline { confirmed: true, ..signed }.counts());
    }
}
