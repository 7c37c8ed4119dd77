//! Rule sets: parsed, validated against the schema and sorted by direction, once, at load.
//!
//! A set is the law, and the rules that those concerned have added to it ([`LocalRules`]). The law is shared between
//! sets; putting local rules beside it copies nothing.

mod law;
mod rule;
mod sources;

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{PolicyId, PolicySet};

pub(crate) use law::{Law, Questions, number};
pub use rule::{Level, Rule, RuleId};
pub use sources::Sources;

use crate::calendar::Calendars;
use crate::evaluate::Direction;
use crate::local::{Applied, Manifest};

/// A rule set that cannot be used; says which file and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleSetError {
    /// The schema is not a Cedar schema.
    #[error("the schema does not parse: {detail}")]
    Schema {
        /// What Cedar said.
        detail: String,
    },
    /// A file is not Cedar.
    #[error("line {line}: rule file `{file}` does not parse: {detail}")]
    Syntax {
        /// File.
        file: String,
        /// Line, from 1; 0 if Cedar did not say where.
        line: usize,
        /// What Cedar said.
        detail: String,
    },
    /// An annotation is missing, unknown or wrong.
    #[error("line {line}: rule `{rule}` in `{file}`: `@{annotation}` is `{found}`; it must be {want}")]
    Annotation {
        /// File.
        file: String,
        /// Line of the annotation, or of the policy that lacks it, from 1.
        line: usize,
        /// Rule.
        rule: String,
        /// Annotation.
        annotation: String,
        /// What is there.
        found: String,
        /// What belongs there.
        want: String,
    },
    /// A file declares a template; rules are plain policies.
    #[error("line {line}: rule file `{file}` declares a template; write a policy without `?principal` or `?resource`")]
    Template {
        /// File.
        file: String,
        /// Line of the template, from 1.
        line: usize,
    },
    /// A policy does not fit the schema.
    #[error("the rules do not fit the schema: {detail}")]
    Invalid {
        /// What Cedar said.
        detail: String,
    },
    /// A calendar file is wrong.
    #[error("calendar file `{file}`: {detail}")]
    Calendar {
        /// File.
        file: String,
        /// What is wrong.
        detail: String,
    },
}

/// Rules in force for an export, ready to decide.
#[derive(Debug, Clone)]
pub struct RuleSet {
    law: Arc<Law>,
    /// Sorted by owner.
    local: Vec<Applied>,
    digest: Arc<str>,
}

impl RuleSet {
    /// The law as this release knows it.
    pub fn builtin() -> Result<Self, RuleSetError> {
        Self::from_sources(&Sources::builtin())
    }

    /// Parses and validates `sources`. A set that loads can be evaluated: what does not fit the
    /// schema, bears no effect or has no citation is refused here.
    pub fn from_sources(sources: &Sources) -> Result<Self, RuleSetError> {
        let law = Law::load(sources)?;
        Ok(Self { digest: Arc::from(law.digest.as_str()), law: Arc::new(law), local: Vec::new() })
    }

    /// The same law with `local` beside it, instead of whatever local rules this set has. They can only narrow: each of
    /// them is a `forbid` for an export.
    #[must_use]
    pub fn with_local(&self, mut local: Vec<Applied>) -> Self {
        local.sort_by(|a, b| a.rules.owner().cmp(b.rules.owner()).then(a.reach.cmp(&b.reach)));
        let digest = if local.is_empty() {
            Arc::from(self.law.digest.as_str())
        } else {
            Arc::from(Manifest::of(&self.law.digest, &local).digest())
        };
        Self { law: Arc::clone(&self.law), local, digest }
    }

    /// What a decision names: `sha256:` and the hex digest of [`RuleSet::manifest`], or of the law's
    /// [`Sources::canonical`] if there are no local rules.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The law's own digest.
    pub fn law_digest(&self) -> &str {
        &self.law.digest
    }

    /// The text that [`RuleSet::digest`] is of: which law and which local rules, by digest. `None` for the law alone.
    pub fn manifest(&self) -> Option<String> {
        (!self.local.is_empty()).then(|| Manifest::of(&self.law.digest, &self.local).canonical())
    }

    /// Every rule of the law, by file.
    pub fn rules(&self) -> &[Rule] {
        &self.law.rules
    }

    /// The local rules beside the law.
    pub fn local(&self) -> &[Applied] {
        &self.local
    }

    /// The calendars by which filing deadlines are counted.
    pub fn calendars(&self) -> &Calendars {
        &self.law.calendars
    }

    /// Ids of all rules of the law.
    pub fn ids(&self) -> BTreeSet<&RuleId> {
        self.law.rules.iter().map(|rule| &rule.id).collect()
    }

    pub(crate) fn law(&self) -> &Law {
        &self.law
    }

    pub(crate) fn questions(&self, direction: Direction) -> Option<&Questions> {
        self.law.questions.get(direction.index())
    }

    /// What local rules say against an export in `direction`, one set of policies an owner.
    pub(crate) fn local_export(&self, direction: Direction) -> impl Iterator<Item = &PolicySet> {
        self.local.iter().filter_map(move |applied| applied.rules.export(direction)).filter(|set| !set.is_empty())
    }

    /// The rule at `index`: the law's come first, then each owner's.
    pub(crate) fn rule(&self, index: usize) -> Option<&Rule> {
        let mut rest = index;
        for rules in self.parts() {
            match rules.get(rest) {
                Some(rule) => return Some(rule),
                None => rest = rest.checked_sub(rules.len())?,
            }
        }
        None
    }

    pub(crate) fn rule_of(&self, policy: &PolicyId) -> Option<usize> {
        if let Some(index) = self.law.by_policy.get(policy) {
            return Some(*index);
        }
        let mut offset = self.law.rules.len();
        for applied in &self.local {
            if let Some(index) = applied.rules.rule_of(policy) {
                return Some(offset + index);
            }
            offset += applied.rules.rules().len();
        }
        None
    }

    fn parts(&self) -> impl Iterator<Item = &[Rule]> {
        std::iter::once(self.law.rules.as_slice()).chain(self.local.iter().map(|applied| applied.rules.rules()))
    }
}

#[cfg(test)]
mod tests;
