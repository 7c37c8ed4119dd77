//! `/v1/erasures`, `/v1/holds`, disclosures.

use catalog::{DatasetId, LeaseId, ParticipantId};
use serde::{Deserialize, Serialize};

/// `POST /v1/erasures`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erase {
    /// The person's SPIFFE id, one role of it.
    pub person: String,
    /// The legal basis, a token such as `pipl-47`: stands in the log.
    pub basis: String,
    /// Why: a commitment in the log.
    pub reason: String,
}

/// `POST /v1/audit/{index}/disclosures`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclose {
    /// Members of the leaf to open.
    pub fields: Vec<String>,
    /// Who gets it.
    pub to: String,
    /// What for.
    pub reason: String,
}

/// What a legal hold is on: one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum HoldOn {
    /// Everything that names a participant.
    Participant(ParticipantId),
    /// Everything about a dataset.
    Dataset(DatasetId),
    /// Everything about a lease.
    Lease(LeaseId),
    /// Everything of a person. Asked for by SPIFFE id; kept and shown as a number that says nothing.
    Person(String),
}

/// `POST /v1/holds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddHold {
    /// On what.
    pub on: HoldOn,
    /// Why.
    pub reason: String,
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// Its id.
    pub id: String,
    /// On what.
    pub on: HoldOn,
    /// Why.
    pub reason: String,
    /// The participant of the officer who put it.
    pub by: ParticipantId,
    /// Since when.
    pub at: String,
    /// Until when, if it was lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<String>,
}

/// How much of a class is past its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassDue {
    /// Which class of data.
    pub class: String,
    /// Rows or files to be deleted.
    pub due: u64,
    /// Those that would be, were there no legal hold.
    pub held: u64,
    /// The first day on which some of what is kept and not due yet may fall due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `POST /v1/retention/runs`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRetention {
    /// Only say what would be deleted.
    #[serde(default)]
    pub dry_run: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRun {
    /// Whether nothing was deleted.
    pub dry_run: bool,
    /// By class.
    pub classes: Vec<ClassDue>,
    /// The entry that tells of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
}

/// `GET /v1/store`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreReport {
    /// By class.
    pub classes: Vec<StoreClass>,
    /// Folders of the data directory beside the database.
    pub folders: Vec<StoreFolder>,
    /// Legal holds in force.
    pub holds: u64,
    /// The day of the last run of retention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<String>,
}

/// `GET /v1/store/scrubs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubReport {
    /// Whether one is on its way.
    pub running: bool,
    /// The last one that came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ScrubResult>,
}

/// What a scrub read, and what of it is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubResult {
    /// When it ended.
    pub at: String,
    /// The day of that in Asia/Shanghai.
    pub day: String,
    /// Log entries.
    pub entries: u64,
    /// Files.
    pub files: u64,
    /// Bytes of all of it.
    pub bytes: u64,
    /// How much is wrong.
    pub count: u64,
    /// How much of that stops everything new.
    pub halting: u64,
    /// By place, the first of it.
    pub flaws: Vec<ScrubFlaw>,
}

/// Something that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubFlaw {
    /// Where: an entry of the log, a table, or a file of the data directory.
    pub place: String,
    /// What is wrong with it.
    pub why: String,
    /// Whether it stops everything new; a damaged object only stops its versions.
    pub halts: bool,
}

/// What is stored of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreClass {
    /// Which.
    pub class: String,
    /// Rows, or files.
    pub rows: u64,
    /// Bytes of their values; what the database needs around them is not counted.
    pub bytes: u64,
    /// How long it is kept.
    pub kept: String,
    /// Past its time and not held: goes with the next run.
    pub due: u64,
    /// Past its time and held.
    pub held: u64,
    /// The first day on which some of what is kept and not due yet may fall due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Files of a folder of the data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreFolder {
    /// Which.
    pub folder: String,
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}
