//! Datasets and their immutable, content-addressed versions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::inspect::{AcceptedFinding, Finding};
use crate::lineage::Input;
use crate::{DatasetId, Digest, Manifest, ParticipantId, VersionName};

/// Where a version stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionState {
    /// The manifest is here, the files are not all.
    Draft,
    /// At least one file is here and inspected; more may come.
    Inspected,
    /// Nothing changes any more; waits for an officer of another participant.
    Submitted,
    /// An officer has approved it for export.
    Approved,
    /// Consumers see it.
    Published,
    /// Held back for now.
    Suspended,
    /// Gone for good.
    Withdrawn,
    /// Its stored bytes are not what was inspected; nothing of it crosses (INV-11).
    Quarantined,
}

impl VersionState {
    /// The spelling in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Inspected => "inspected",
            Self::Submitted => "submitted",
            Self::Approved => "approved",
            Self::Published => "published",
            Self::Suspended => "suspended",
            Self::Withdrawn => "withdrawn",
            Self::Quarantined => "quarantined",
        }
    }
}

/// A dataset: the versions that share an id, a provider and a registrant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its id.
    pub id: DatasetId,
    /// Whose data these are.
    pub provider: ParticipantId,
    /// Who registered it (the broker).
    pub registrant: ParticipantId,
    /// Its versions in the order of registration.
    pub versions: Vec<VersionName>,
}

/// What was uploaded, when it was converted or packed on the way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// The name it was uploaded under.
    pub name: String,
    /// SHA-256 of what was uploaded, hex.
    pub sha256: String,
}

/// One stored Parquet file of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// `x.parquet`.
    pub name: String,
    /// SHA-256 of the stored file, hex; also its name in the object store.
    pub sha256: String,
    /// Length of the stored file.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Digest of the stored [`crate::FileIndex`].
    pub index: Digest,
    /// Present when the stored file is not byte for byte what was uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceFile>,
}

/// One immutable version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Of which dataset.
    pub dataset: DatasetId,
    /// Its name.
    pub version: VersionName,
    /// Whose data these are.
    pub provider: ParticipantId,
    /// Who registered it.
    pub registrant: ParticipantId,
    /// Where it stands.
    pub state: VersionState,
    /// Why it is suspended, withdrawn or quarantined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was withdrawn, if it was; absent also for what was withdrawn before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<Timestamp>,
    /// The manifest as parsed, raised to what its inputs say.
    pub manifest: Manifest,
    /// The manifest as sent.
    pub manifest_text: String,
    /// The stored files in order of name.
    pub files: Vec<FileEntry>,
    /// What inspection found (INTERFACE.md, "Inspection result"); null before the first file.
    pub inspection: serde_json::Value,
    /// An authority has confirmed the manifest's exemption.
    #[serde(default)]
    pub exemption_confirmed: bool,
    /// What it was made from, with the limits that came with it; `manifest` is raised to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<Input>,
    /// An authority has confirmed the manifest's anonymisation report.
    #[serde(default)]
    pub anonymisation_confirmed: bool,
    /// What inspection found beyond the declared classes and an officer has accepted; of exactly these files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<AcceptedFinding>,
    /// Who submitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_by: Option<ParticipantId>,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<ParticipantId>,
    /// When it was registered.
    pub at: Timestamp,
}

impl Version {
    /// `sha256` over the canonical JSON of the manifest's text digest and every file's name, digest, size, rows and
    /// index digest: everything that a consumer may receive hangs under it (INV-11).
    pub fn manifest_digest(&self) -> Digest {
        let committed = serde_json::json!({
            "manifest": Digest::of(self.manifest_text.as_bytes()),
            "files": self.files,
        });
        // Strings and integers only: canonical JSON of it cannot fail.
        Digest::of(&serde_json_canonicalizer::to_vec(&committed).unwrap_or_default())
    }

    /// What inspection found beyond the declared classes and nobody has accepted: it keeps the version from being
    /// submitted.
    pub fn open_findings(&self) -> Vec<Finding> {
        let mut open = crate::inspect::findings(&self.inspection, &self.manifest);
        open.retain(|finding| !self.accepted.iter().any(|accepted| accepted.covers(finding)));
        open
    }

    /// The file called `name`.
    pub fn file(&self, name: &str) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.name == name)
    }
}
