//! Reviews: what a person may release.

use catalog::manifest::Subjects;
use catalog::{AgreementId, DatasetId, ParticipantId, Purpose, ReleaseId, ReviewAnswer, ReviewId, VersionName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exchange::Columns;

/// What `POST /v1/reviews` takes: a request as for a plan, or the log index of a recorded refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestReview {
    /// Dataset id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetId>,
    /// Version; the newest published one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionName>,
    /// Columns; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// Leave out what no person may release.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redact: bool,
    /// What for; needed when several agreements cover the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// The refusal's log index, instead of all of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// What the officer should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What `POST /v1/reviews/{id}/release` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseReview {
    /// Why.
    pub reason: String,
    /// The decision, confirmation or file that it rests on.
    pub reference: String,
    /// The last day, `2026-12-31` in Asia/Shanghai, or the instant from which it no longer applies, RFC 3339.
    pub until: String,
    /// How many persons it is: where UNK-SUBJECTS holds the export back, and only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Subjects>,
}

/// A release as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseView {
    /// Its id.
    pub id: ReleaseId,
    /// The rules that it releases.
    pub rules: Vec<String>,
    /// Digest of the rule set whose rules these are.
    pub policy: String,
    /// It does not apply from here on.
    pub until: String,
    /// What it rests on.
    pub reference: String,
    /// The numbers that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Subjects>,
    /// Whether it applies now: released, not ended, under the rule set in force.
    pub in_force: bool,
}

/// A review as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewView {
    /// Its id.
    pub id: ReviewId,
    /// `open`, `released`, `refused` or `withdrawn`.
    pub state: String,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// The consumer, who asks.
    pub participant: ParticipantId,
    /// Whose data.
    pub provider: ParticipantId,
    /// Of what.
    pub dataset: DatasetId,
    /// Which version.
    pub version: VersionName,
    /// The selection.
    pub columns: Vec<String>,
    /// What for.
    pub purpose: Purpose,
    /// The rules that leave it to a person.
    pub rules: Vec<String>,
    /// Digest of the rule set that decided.
    pub policy: String,
    /// Digest of the facts that were decided on.
    pub facts_digest: String,
    /// Log index of the refusal, if it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<u64>,
    /// What the consumer says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was asked for.
    pub at: String,
    /// Who answered, why, when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<ReviewAnswer>,
    /// The release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseView>,
    /// The decision's explanation; of one review, not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Value>,
    /// The facts; of one review, for an authority's officer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Value>,
}

/// `GET /v1/reviews`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewList {
    /// One page, newest first.
    pub reviews: Vec<ReviewView>,
    /// Cursor of the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The release on which a plan's selection may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRelease {
    /// The review.
    pub review: ReviewId,
    /// The release.
    pub id: ReleaseId,
    /// The rules that it releases.
    pub rules: Vec<String>,
    /// It does not apply from here on.
    pub until: String,
}
