//! Reviews: a refusal that the policy leaves to a person, and the release that an officer of an authority gives.
//!
//! A release never changes a decision. It says that somebody has looked at exactly this selection of exactly this version
//! under exactly this rule set, and until when that holds.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::manifest::Subjects;
use crate::{AgreementId, DatasetId, Digest, ParticipantId, Purpose, ReleaseId, ReviewId, VersionName};

/// Where a review stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReviewState {
    /// It waits for an officer.
    Open,
    /// An officer released it.
    Released,
    /// An officer refused it.
    Refused,
    /// Who asked took it back, or an officer took back the release.
    Withdrawn,
}

impl ReviewState {
    /// The spelling in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Parses the spelling in JSON.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Released, Self::Refused, Self::Withdrawn].into_iter().find(|state| state.as_str() == text)
    }
}

/// What became of a review, and who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewAnswer {
    /// The participant whose principal answered.
    pub by: ParticipantId,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What an officer has released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// The rules that no longer hold the export back.
    pub rules: Vec<String>,
    /// Digest of the rule set whose rules these are.
    pub policy: String,
    /// It does not apply at or after this instant.
    pub until: Timestamp,
    /// The decision, confirmation or file that it rests on.
    pub reference: String,
    /// How many persons it is, where the manifest does not say (UNK-SUBJECTS): the counters need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Subjects>,
}

/// A request that a person decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Its id.
    pub id: ReviewId,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// The consumer, who asks.
    pub participant: ParticipantId,
    /// Whose data.
    pub provider: ParticipantId,
    /// Who registered them.
    pub broker: ParticipantId,
    /// Of what.
    pub dataset: DatasetId,
    /// Which version.
    pub version: VersionName,
    /// Digest of that version.
    pub manifest: Digest,
    /// The selection, in source order.
    pub columns: Vec<String>,
    /// What for.
    pub purpose: Purpose,
    /// The rules that leave it to a person.
    pub rules: Vec<String>,
    /// Digest of the rule set that decided.
    pub policy: String,
    /// Digest of the facts that were decided on.
    pub facts: Digest,
    /// The place from which it was asked for, as the facts have it.
    pub accessed_from: String,
    /// Log index of the refusal, if it came from a recorded one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<u64>,
    /// What the consumer says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where it stands.
    pub state: ReviewState,
    /// When it was asked for.
    pub at: Timestamp,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<ReviewAnswer>,
    /// The release; kept when it is withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
}

/// The export that a release has to fit.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Under which agreement.
    pub agreement: &'a AgreementId,
    /// Of what.
    pub dataset: &'a DatasetId,
    /// Which version.
    pub version: &'a VersionName,
    /// Digest of that version.
    pub manifest: Digest,
    /// The selection, in source order.
    pub columns: &'a [String],
    /// The rules that leave it to a person.
    pub rules: &'a [String],
    /// Digest of the rule set that decided.
    pub policy: &'a str,
    /// When.
    pub now: Timestamp,
}

/// Why a release does not apply to an export. The order is the order in which it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It is not about this agreement or dataset at all.
    #[error("it was given for something else")]
    Other,
    /// Nobody has released it.
    #[error("it has not been released")]
    NotReleased,
    /// An officer took it back.
    #[error("it was withdrawn")]
    Withdrawn,
    /// Another version.
    #[error("it was given for another version")]
    Version,
    /// Another selection.
    #[error("it was given for other columns")]
    Selection,
    /// Its end date has passed.
    #[error("it has ended")]
    Ended,
    /// The rule set is another one.
    #[error("the rule set has changed since it was given")]
    RuleSet,
    /// A rule holds the export back that it does not name.
    #[error("it does not name every rule that holds the export back")]
    Rules,
}

impl Review {
    /// The release, if it applies to `wanted`.
    ///
    /// # Errors
    /// The first [`Misfit`].
    pub fn fits(&self, wanted: &Wanted<'_>) -> Result<&Release, Misfit> {
        if self.agreement != *wanted.agreement || self.dataset != *wanted.dataset {
            return Err(Misfit::Other);
        }
        let Some(release) = &self.release else { return Err(Misfit::NotReleased) };
        match self.state {
            ReviewState::Released => {}
            ReviewState::Withdrawn => return Err(Misfit::Withdrawn),
            ReviewState::Open | ReviewState::Refused => return Err(Misfit::NotReleased),
        }
        if self.version != *wanted.version || self.manifest != wanted.manifest {
            return Err(Misfit::Version);
        }
        if self.columns != wanted.columns {
            return Err(Misfit::Selection);
        }
        if wanted.now >= release.until {
            return Err(Misfit::Ended);
        }
        if release.policy != wanted.policy {
            return Err(Misfit::RuleSet);
        }
        if !wanted.rules.iter().all(|rule| release.rules.contains(rule)) {
            return Err(Misfit::Rules);
        }
        Ok(release)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn review() -> Review {
        serde_json::from_value(serde_json::json!({
            "id": "v-1", "agreement": "a-1", "participant": "hku", "provider": "qianhai", "broker": "qianhai",
            "dataset": "maps", "version": "1", "manifest": Digest::of(b"1"), "columns": ["x", "y"],
            "purpose": "academic-research", "rules": ["A3", "A8"], "policy": "sha256:aa", "facts": Digest::of(b"f"),
            "accessed_from": "HK", "state": "open", "at": "2026-11-22T02:00:00Z",
        }))
        .unwrap()
    }

    fn release() -> Release {
        serde_json::from_value(serde_json::json!({
            "id": "x-1", "rules": ["A3", "A8"], "policy": "sha256:aa", "until": "2026-12-31T16:00:00Z", "reference": "R",
        }))
        .unwrap()
    }

    /// Each case repairs only the fault that the case before reported.
    #[test]
    fn a_release_fits_one_export_and_no_other() {
        let (other, agreement) = (AgreementId::parse("a-2").unwrap(), AgreementId::parse("a-1").unwrap());
        let (dataset, second, first) =
            (DatasetId::parse("maps").unwrap(), VersionName::parse("2").unwrap(), VersionName::parse("1").unwrap());
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (reversed, columns) = (names(&["x"]), names(&["x", "y"]));
        let (more, rules) = (names(&["A8", "HG-2"]), names(&["A8"]));
        let (late, now) = ("2026-12-31T16:00:00Z".parse().unwrap(), "2026-12-31T15:59:59Z".parse().unwrap());
        let mut review = review();
        let mut wanted = Wanted {
            agreement: &other,
            dataset: &dataset,
            version: &second,
            manifest: Digest::of(b"2"),
            columns: &reversed,
            rules: &more,
            policy: "sha256:bb",
            now: late,
        };
        assert_eq!(review.fits(&wanted), Err(Misfit::Other));
        wanted.agreement = &agreement;
        assert_eq!(review.fits(&wanted), Err(Misfit::NotReleased));
        review.release = Some(release());
        assert_eq!(review.fits(&wanted), Err(Misfit::NotReleased), "a refused one has no release in force");
        review.state = ReviewState::Withdrawn;
        assert_eq!(review.fits(&wanted), Err(Misfit::Withdrawn));
        review.state = ReviewState::Released;
        assert_eq!(review.fits(&wanted), Err(Misfit::Version));
        wanted.version = &first;
        assert_eq!(review.fits(&wanted), Err(Misfit::Version), "the same name, other bytes");
        wanted.manifest = Digest::of(b"1");
        assert_eq!(review.fits(&wanted), Err(Misfit::Selection));
        wanted.columns = &columns;
        assert_eq!(review.fits(&wanted), Err(Misfit::Ended));
        wanted.now = now;
        assert_eq!(review.fits(&wanted), Err(Misfit::RuleSet));
        wanted.policy = "sha256:aa";
        assert_eq!(review.fits(&wanted), Err(Misfit::Rules));
        wanted.rules = &rules;
        assert_eq!(review.fits(&wanted), Ok(&release()), "fewer rules than were released are fewer obstacles");
    }

    #[test]
    fn states_are_spelled_one_way() {
        for state in [ReviewState::Open, ReviewState::Released, ReviewState::Refused, ReviewState::Withdrawn] {
            assert_eq!(ReviewState::parse(state.as_str()), Some(state));
        }
        assert_eq!(ReviewState::parse("Open"), None);
    }
}
