//! `/v1/datasets`.

use std::collections::BTreeMap;

use catalog::inspect::{AcceptedFinding, Finding};
use catalog::lineage::Limits;
use catalog::manifest::{AnonymisationReport, Localised};
use catalog::quality::Headline;
use catalog::{
    AgreementId, ColumnClass, DatasetId, Digest, LeaseId, Offer, ParticipantId, SourceFile, VersionName, VersionState,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /v1/datasets`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetList {
    /// One page.
    pub datasets: Vec<DatasetSummary>,
    /// Counts by `theme`, `language`, `class`, `participant` over all matches.
    pub facets: BTreeMap<String, BTreeMap<String, u64>>,
    /// Cursor of the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A dataset in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetSummary {
    /// Its id.
    pub id: DatasetId,
    /// The newest version that the caller may see.
    pub latest_version: VersionName,
    /// Title by language.
    pub title: Localised,
    /// Description by language.
    pub description: Localised,
    /// State of that version.
    pub state: VersionState,
    /// Data class.
    pub class: String,
    /// The strictest class among its columns.
    pub columns_class: ColumnClass,
    /// Whose data these are.
    pub provider: ParticipantId,
    /// Themes.
    pub theme: Vec<String>,
    /// Languages.
    pub language: Vec<String>,
    /// Copyright licence.
    pub licence: String,
    /// Rows.
    pub rows: u64,
    /// Stored bytes.
    pub bytes: u64,
    /// On what terms.
    pub offer: Offer,
    /// What the quality report says in short; absent before the first file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Headline>,
}

/// `GET /v1/datasets/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetView {
    /// The newest version's summary.
    #[serde(flatten)]
    pub summary: DatasetSummary,
    /// Every version that the caller may see.
    pub versions: Vec<VersionRef>,
}

/// A version in a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRef {
    /// Its name.
    pub version: VersionName,
    /// Where it stands.
    pub state: VersionState,
}

/// `GET /v1/datasets/{id}/versions/{v}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionView {
    /// Dataset id.
    pub dataset: DatasetId,
    /// Version.
    pub version: VersionName,
    /// Where it stands.
    pub state: VersionState,
    /// Why it is suspended, withdrawn or quarantined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whose data these are.
    pub provider: ParticipantId,
    /// Who registered it.
    pub registrant: ParticipantId,
    /// Digest over manifest and files.
    pub manifest: Digest,
    /// Stored files.
    pub files: Vec<FileView>,
    /// Leaf columns.
    pub schema: Vec<ColumnView>,
    /// What inspection found.
    pub inspection: Value,
    /// What its quality report says in short; absent before the first file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Headline>,
    /// Columns with identifiers that ask for a higher class than was declared, not accepted by an officer: they keep the
    /// version from being submitted. For the provider's side and an authority.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Those that an officer has accepted, with the reason; likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted_findings: Vec<AcceptedFinding>,
    /// On what terms.
    pub offer: Offer,
    /// Digest of the offer.
    pub offer_digest: Digest,
    /// The `[dataset]` section of the manifest.
    pub entry: Value,
    /// What it was made from, with the limits that it inherits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<InputView>,
    /// The report that it identifies nobody any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymisation: Option<AnonymisationView>,
}

/// An input of a derived version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputView {
    /// Of which dataset.
    pub dataset: DatasetId,
    /// Which version.
    pub version: VersionName,
    /// Under which agreement it was received; for the provider's side and an authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<AgreementId>,
    /// By which lease, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseId>,
    /// What comes with it.
    pub limits: Limits,
}

/// An anonymisation report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnonymisationView {
    /// The report.
    pub report: AnonymisationReport,
    /// Whether an authority's officer has confirmed it; until then it lifts nothing.
    pub confirmed: bool,
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    /// `x.parquet`.
    pub name: String,
    /// SHA-256, hex.
    pub sha256: String,
    /// Length.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// What was uploaded, when it is not this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceFile>,
}

/// A leaf column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnView {
    /// Dotted path.
    pub name: String,
    /// Arrow type as text.
    pub r#type: String,
    /// Declared class.
    pub class: ColumnClass,
    /// Title by language.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub title: Localised,
}

/// One entry of `GET …/files/{name}/chunks`: a piece of the representation and its digest (SHA-256 of the BLAKE3 hashes
/// of its 64 KiB blocks). The entries tile the representation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkView {
    /// Row group; null outside column chunks.
    pub row_group: Option<u32>,
    /// Dotted path of the leaf column; null outside column chunks.
    pub column: Option<String>,
    /// First byte in the representation.
    pub offset: u64,
    /// Length.
    pub bytes: u64,
    /// Its digest.
    pub digest: Digest,
}

/// What `POST /v1/datasets` takes as `application/json`; as `application/toml` the body is the manifest itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterDataset {
    /// The manifest, TOML.
    pub manifest: String,
    /// Files to copy from the participant's own root on the node, relative paths.
    #[serde(default)]
    pub from: Vec<String>,
}

/// What `accept-finding` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptFinding {
    /// Dotted path of the column.
    pub column: String,
    /// Why what was found there is no reason to raise its class. 1 to 500 characters.
    pub reason: String,
}

/// What `suspend`, `withdraw`, `cut` and their kind take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Why, for those it concerns. 1 to 500 characters.
    pub reason: String,
}
