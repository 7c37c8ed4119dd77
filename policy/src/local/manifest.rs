//! What a decision under local rules names: which law, whose rules, over whose exports; each by digest.

use serde::{Deserialize, Serialize};

use super::{Applied, Reach};
use crate::digest::digest;

/// The parts of a [`crate::RuleSet`] by digest. Its own digest is that of its canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub law: String,
    pub local: Vec<Part>,
}

/// One owner's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub owner: String,
    pub reach: Reach,
    pub rules: String,
}

impl Manifest {
    pub(crate) fn of(law: &str, local: &[Applied]) -> Self {
        let part = |applied: &Applied| Part {
            owner: applied.rules.owner().to_owned(),
            reach: applied.reach,
            rules: applied.rules.digest().to_owned(),
        };
        Self { law: law.to_owned(), local: local.iter().map(part).collect() }
    }

    pub(crate) fn canonical(&self) -> String {
        // Texts and words: writing them cannot fail.
        serde_json_canonicalizer::to_string(self).unwrap_or_default()
    }

    pub(crate) fn digest(&self) -> String {
        digest(&self.canonical())
    }
}
