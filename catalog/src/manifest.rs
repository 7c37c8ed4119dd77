//! The dataset manifest (INTERFACE.md, "Dataset manifest"): what a broker says of a version.

mod derived;
mod fault;
mod offer;
mod parse;
#[cfg(test)]
pub(crate) mod plain;
mod section;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{AgreementId, ColumnClass, DatasetId, Digest, LeaseId, Offer, ParticipantId, Place, VersionName};

pub use fault::ManifestError;
pub use parse::MANIFEST_BYTES_MAX;

/// The languages of localised texts.
pub const LANGUAGES: [&str; 3] = ["en", "zh-Hant", "zh-Hans"];

/// Text by language: `en`, `zh-Hant`, `zh-Hans`.
pub type Localised = BTreeMap<String, String>;

/// A parsed manifest. Built by the parser of this module only, which has checked every rule of INTERFACE.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `[dataset]`.
    pub dataset: DatasetSection,
    /// `[columns.<name>]`, by dotted path; a group covers its leaves.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnSection>,
    /// `[offer]`.
    pub offer: Offer,
    /// `[compliance]`.
    #[serde(default)]
    pub compliance: Compliance,
    /// `[[derived_from]]`: what it was made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub derived_from: Vec<DerivedFrom>,
}

/// `[[derived_from]]`: an input that the registrant received through this gateway, under an agreement of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DerivedFrom {
    /// Of which dataset.
    pub dataset: DatasetId,
    /// Which version.
    pub version: VersionName,
    /// Under which agreement; this or the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<AgreementId>,
    /// By which lease: then only its columns count as received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseId>,
}

/// `[dataset]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetSection {
    /// Dataset id.
    pub id: DatasetId,
    /// Version name.
    pub version: VersionName,
    /// Title by language; at least one.
    pub title: Localised,
    /// Description by language.
    #[serde(default)]
    pub description: Localised,
    /// BCP 47 tags of the content.
    #[serde(default)]
    pub language: Vec<String>,
    /// Themes.
    #[serde(default)]
    pub theme: Vec<String>,
    /// Keywords.
    #[serde(default)]
    pub keyword: Vec<String>,
    /// SPDX id or URL: the corpus's copyright licence.
    pub licence: String,
    /// Where the data come from and by what right (DSL Art. 33).
    #[serde(default)]
    pub source_statement: String,
    /// Where they were collected.
    pub collected_in: Vec<Place>,
    /// First day of collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_from: Option<Date>,
    /// Last day of collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_to: Option<Date>,
    /// Where the bytes lie.
    pub place: Place,
    /// The class of a column that `[columns]` does not name; absent: every leaf column must be named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns_default: Option<ColumnClass>,
    /// Whose data these are; absent: the registrant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ParticipantId>,
    /// Data class (DSL Art. 21).
    pub class: DataClass,
    /// Whether an authority has called them important.
    pub important_status: ImportantStatus,
    /// Controlled item (DSL Art. 25).
    pub controlled_item: bool,
    /// Human genetic resource information.
    pub genetic_resource: bool,
    /// Surveying and mapping data.
    pub geospatial: bool,
    /// State secret.
    pub state_secret: bool,
    /// Persons in it; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Subjects>,
    /// The column that identifies a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_key: Option<String>,
    /// The column whose values are labels: the quality report tells how evenly they are spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
}

/// How many persons a version is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subjects {
    /// Distinct persons.
    pub persons: u64,
    /// Distinct persons with sensitive information.
    pub sensitive: u64,
    /// Distinct persons under 14.
    pub under_14: u64,
}

/// `class`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataClass {
    /// Core data.
    Core,
    /// Important data.
    Important,
    /// General data.
    General,
    /// Nobody has said.
    Unknown,
}

impl DataClass {
    /// The manifest's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Important => "important",
            Self::General => "general",
            Self::Unknown => "unknown",
        }
    }
}

/// `important_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportantStatus {
    /// Not important.
    No,
    /// An authority notified the handler.
    Notified,
    /// In a published catalogue.
    Published,
    /// The handler suspects it.
    SelfSuspected,
    /// Nobody has said.
    Unknown,
}

/// `[columns.<name>]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSection {
    /// The declared class.
    pub class: ColumnClass,
    /// Title by language.
    #[serde(default)]
    pub title: Localised,
}

/// `[compliance]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compliance {
    /// Data subjects were told (PIPL Art. 39).
    #[serde(default)]
    pub notice: bool,
    /// They consented separately.
    #[serde(default)]
    pub separate_consent: bool,
    /// Reference of the impact assessment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipia: Option<String>,
    /// Export licence of a controlled item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_licence: Option<String>,
    /// Hong Kong data protection principle 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpp3: Option<Dpp3>,
    /// Mainland personal information was mixed in (Provisions Art. 4). Absent: no, unless an input says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domestic_pi_introduced: Option<bool>,
    /// A claimed exemption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Exemption>,
    /// Under what it was received, when it came from across the border.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_under: Option<ReceivedUnder>,
    /// The report that derived data identify nobody any more; it counts once an authority's officer confirms it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymisation_report: Option<AnonymisationReport>,
}

/// A signed report that data were anonymised (PIPL Art. 73(4)), or that a model does not give its training data back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnonymisationReport {
    /// Its reference.
    pub reference: String,
    /// Digest of the signed report.
    pub evidence: Digest,
}

/// PDPO data protection principle 3: what the new use is to the old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dpp3 {
    /// The same or a directly related purpose.
    SamePurpose,
    /// Prescribed consent was given.
    Consented,
    /// Research under s. 62.
    ResearchExempt,
    /// A new purpose.
    NewPurpose,
    /// Nobody has said.
    Unknown,
}

/// A claimed exemption from the mechanisms (Provisions Art. 4 and 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    /// Which.
    pub kind: ExemptionKind,
    /// Digest of the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// Which exemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExemptionKind {
    /// Collected abroad, processed here, sent back.
    Transit,
    /// A contract with the individual.
    IndividualContract,
    /// Cross-border human resources.
    Hr,
    /// Emergency.
    Emergency,
}

/// Under what a corpus came across the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceivedUnder {
    /// Always the Greater Bay Area contract today.
    pub kind: ReceivedKind,
    /// Which way it came.
    pub direction: ReceivedDirection,
}

/// The contract it came under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceivedKind {
    /// The standard contract of the Greater Bay Area.
    GbaSc,
}

/// Which way it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceivedDirection {
    /// From the mainland to Hong Kong.
    #[serde(rename = "CN->HK")]
    CnToHk,
    /// From Hong Kong to the mainland.
    #[serde(rename = "HK->CN")]
    HkToCn,
}

impl Manifest {
    /// The declared class of a leaf column by its dotted path: its own, else that of the nearest group above it, else
    /// `columns_default`; `None` when nothing covers it.
    pub fn class_of(&self, path: &str) -> Option<ColumnClass> {
        let mut at = path;
        loop {
            if let Some(column) = self.columns.get(at) {
                return Some(column.class);
            }
            match at.rsplit_once('.') {
                Some((group, _)) => at = group,
                None => return self.dataset.columns_default,
            }
        }
    }

    /// Digest of the offer.
    pub fn offer_digest(&self) -> Digest {
        self.offer.digest()
    }
}
