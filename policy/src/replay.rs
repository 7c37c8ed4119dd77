//! Recorded decisions, decided again: under the set that made them, or under another.
//!
//! A leaf names its facts and its rule set by digest. The texts of both are kept for ever; a [`Library`] makes rule sets
//! of them again, whatever law the present release holds.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::decision::Effect;
use crate::digest::digest;
use crate::evaluate::{Needed, Outcome, evaluate};
use crate::facts::{Facts, FactsError};
use crate::local::{Applied, LocalRules, LocalRulesError, LocalSources, Manifest};
use crate::rules::{RuleId, RuleSet, RuleSetError, Sources};

/// Texts that no rule set can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    /// It is none of the three texts that rule sets are made of.
    #[error("`{digest}` is neither a law, nor local rules, nor a list of them")]
    Unknown {
        /// Its digest.
        digest: String,
    },
    /// A text that belongs to the set is not there.
    #[error("the text of `{digest}` is not there")]
    Missing {
        /// Its digest.
        digest: String,
    },
    /// A law does not load.
    #[error("the law `{digest}` does not load: {source}")]
    Law {
        /// Its digest.
        digest: String,
        /// Why.
        source: RuleSetError,
    },
    /// Local rules do not load under the law they stood beside.
    #[error("the local rules `{digest}` do not load: {source}")]
    Local {
        /// Their digest.
        digest: String,
        /// Why.
        source: LocalRulesError,
    },
}

/// What a stored text is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Law(Sources),
    Local(LocalSources),
    Set(Manifest),
}

/// Rule sets by digest, made of stored texts.
#[derive(Default)]
pub struct Library {
    texts: HashMap<String, Text>,
    laws: HashMap<String, RuleSet>,
    /// By digest and by the law they were held to.
    local: HashMap<(String, String), Arc<LocalRules>>,
    sets: HashMap<String, RuleSet>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("texts", &self.texts.len()).finish_non_exhaustive()
    }
}

impl Library {
    /// Takes a stored text and gives its digest.
    pub fn add(&mut self, text: &str) -> Result<String, LibraryError> {
        let digest = digest(text);
        let parsed = serde_json::from_str(text).map_err(|_| LibraryError::Unknown { digest: digest.clone() })?;
        self.texts.insert(digest.clone(), parsed);
        Ok(digest)
    }

    /// Digests of the texts that the set `digest` still needs; empty once it can be made.
    pub fn missing(&self, digest: &str) -> Vec<String> {
        match self.texts.get(digest) {
            None => vec![digest.to_owned()],
            Some(Text::Set(manifest)) => {
                let parts = manifest.local.iter().map(|part| &part.rules);
                std::iter::once(&manifest.law)
                    .chain(parts)
                    .filter(|part| !self.texts.contains_key(*part))
                    .cloned()
                    .collect()
            }
            Some(_) => Vec::new(),
        }
    }

    /// The rule set that a decision names.
    ///
    /// # Errors
    /// A text is missing, or it does not load.
    pub fn set(&mut self, digest: &str) -> Result<RuleSet, LibraryError> {
        if let Some(set) = self.sets.get(digest) {
            return Ok(set.clone());
        }
        let set = match self.texts.get(digest) {
            None => return Err(LibraryError::Missing { digest: digest.to_owned() }),
            Some(Text::Local(_)) => return Err(LibraryError::Unknown { digest: digest.to_owned() }),
            Some(Text::Law(_)) => self.law(digest)?,
            Some(Text::Set(manifest)) => {
                let manifest = manifest.clone();
                let law = self.law(&manifest.law)?;
                let mut local = Vec::with_capacity(manifest.local.len());
                for part in &manifest.local {
                    local.push(Applied { reach: part.reach, rules: self.local(&law, &part.rules)? });
                }
                law.with_local(local)
            }
        };
        self.sets.insert(digest.to_owned(), set.clone());
        Ok(set)
    }

    fn law(&mut self, digest: &str) -> Result<RuleSet, LibraryError> {
        if let Some(law) = self.laws.get(digest) {
            return Ok(law.clone());
        }
        let law = match self.texts.get(digest) {
            Some(Text::Law(sources)) => RuleSet::from_sources(sources)
                .map_err(|source| LibraryError::Law { digest: digest.to_owned(), source })?,
            Some(_) => return Err(LibraryError::Unknown { digest: digest.to_owned() }),
            None => return Err(LibraryError::Missing { digest: digest.to_owned() }),
        };
        self.laws.insert(digest.to_owned(), law.clone());
        Ok(law)
    }

    fn local(&mut self, law: &RuleSet, digest: &str) -> Result<Arc<LocalRules>, LibraryError> {
        let key = (digest.to_owned(), law.law_digest().to_owned());
        if let Some(rules) = self.local.get(&key) {
            return Ok(Arc::clone(rules));
        }
        let rules = match self.texts.get(digest) {
            Some(Text::Local(sources)) => LocalRules::parse(law, sources.clone())
                .map_err(|source| LibraryError::Local { digest: digest.to_owned(), source })?,
            Some(_) => return Err(LibraryError::Unknown { digest: digest.to_owned() }),
            None => return Err(LibraryError::Missing { digest: digest.to_owned() }),
        };
        let rules = Arc::new(rules);
        self.local.insert(key, Arc::clone(&rules));
        Ok(rules)
    }
}

/// The rules of a leaf: one by one, or, if there were too many, how many and the digest of their canonical list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum RecordedRules {
    /// One by one.
    Listed(Vec<RuleId>),
    /// Too many to list.
    Counted {
        /// How many.
        count: usize,
        /// `sha256:` and the hex digest of the list as canonical JSON.
        digest: String,
    },
}

impl RecordedRules {
    fn are(&self, rules: &[RuleId]) -> bool {
        match self {
            Self::Listed(listed) => listed == rules,
            Self::Counted { count, digest: of } => {
                let canonical = serde_json_canonicalizer::to_string(&rules).unwrap_or_default();
                *count == rules.len() && *of == digest(&canonical)
            }
        }
    }
}

/// What a leaf says of its decision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Recorded {
    /// The effect.
    pub effect: Effect,
    /// The mechanism that was needed.
    pub needed: Needed,
    /// The rules that decided.
    pub rules: RecordedRules,
}

impl Recorded {
    /// Whether `outcome` is what was recorded.
    pub fn agrees(&self, outcome: &Outcome) -> bool {
        self.effect == outcome.effect && self.needed == outcome.needed && self.rules.are(&outcome.rules)
    }
}

/// Decides recorded facts again, under any set.
///
/// # Errors
/// The text is not the canonical facts of a decision.
pub fn replay(rules: &RuleSet, facts: &str) -> Result<Outcome, FactsError> {
    Ok(evaluate(rules, &Facts::parse(facts)?))
}

/// The set under which recorded facts would be decided if the owner of `new` had these rules instead of whatever it had
/// then; `None` if its rules have no say in them.
pub fn instead(then: &RuleSet, facts: &Facts, new: &Applied) -> Option<RuleSet> {
    let (owner, gathered) = (new.rules.owner(), facts.gathered());
    let party = gathered.exporter.id == owner || gathered.recipient.id == owner;
    if !party && new.reach != crate::local::Reach::All {
        return None;
    }
    let mut local: Vec<Applied> =
        then.local().iter().filter(|applied| applied.rules.owner() != owner).cloned().collect();
    local.push(new.clone());
    Some(then.with_local(local))
}
