//! Rule sets: parsed, validated against the schema and sorted by direction, once, at load.

mod rule;
mod sources;

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Entities, EntityTypeName, EntityUid, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};

pub use rule::{Level, Rule, RuleId};
pub use sources::Sources;

use crate::calendar::{Calendar, Calendars};
use crate::evaluate::Direction;

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
    #[error("rule file `{file}` does not parse: {detail}")]
    Syntax {
        /// File.
        file: String,
        /// What Cedar said.
        detail: String,
    },
    /// An annotation is missing, unknown or wrong.
    #[error("rule `{rule}` in `{file}`: `@{annotation}` is `{found}`; it must be {want}")]
    Annotation {
        /// File.
        file: String,
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
    #[error("rule file `{file}` declares a template; write a policy without `?principal` or `?resource`")]
    Template {
        /// File.
        file: String,
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

/// The policies of one direction, by question.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    pub basis: PolicySet,
    pub accept: PolicySet,
    pub export: PolicySet,
}

/// The entity types and actions of a request, parsed once.
#[derive(Debug)]
pub(crate) struct Names {
    pub participant: EntityTypeName,
    pub dataset: EntityTypeName,
    pub basis: EntityUid,
    pub accept: EntityUid,
    pub export: EntityUid,
}

/// Rules in force, ready to decide.
#[derive(Debug)]
pub struct RuleSet {
    digest: String,
    rules: Vec<Rule>,
    by_policy: HashMap<PolicyId, usize>,
    questions: [Questions; 4],
    calendars: Calendars,
    pub(crate) names: Names,
    pub(crate) authorizer: Authorizer,
    pub(crate) entities: Entities,
}

impl RuleSet {
    /// The rule set of this release.
    pub fn builtin() -> Result<Self, RuleSetError> {
        Self::from_sources(&Sources::builtin())
    }

    /// Parses and validates `sources`. A set that loads can be evaluated: what does not fit the
    /// schema, bears no effect or has no citation is refused here.
    pub fn from_sources(sources: &Sources) -> Result<Self, RuleSetError> {
        let (schema, _) = Schema::from_cedarschema_str(&sources.schema)
            .map_err(|error| RuleSetError::Schema { detail: error.to_string() })?;
        let mut rules = Vec::new();
        let mut by_policy = HashMap::new();
        let mut all = PolicySet::new();
        let mut questions: [Questions; 4] = Default::default();
        for (file, text) in &sources.rules {
            let syntax = |detail: String| RuleSetError::Syntax { file: file.clone(), detail };
            let set = PolicySet::from_str(text).map_err(|error| syntax(error.to_string()))?;
            if set.templates().next().is_some() {
                return Err(RuleSetError::Template { file: file.clone() });
            }
            // Cedar numbers the policies of a file; the set itself has no order.
            let mut policies: Vec<_> = set.policies().collect();
            policies.sort_by_key(|policy| number(policy.id()));
            for (position, policy) in policies.into_iter().enumerate() {
                let rule = Rule::read(policy, file, position + 1)?;
                let id = PolicyId::new(format!("{file}#{} {}", position + 1, rule.id));
                let policy = policy.new_id(id.clone());
                for direction in &rule.directions {
                    let Some(questions) = questions.get_mut(direction.index()) else {
                        continue;
                    };
                    let set = match rule.level {
                        Level::Basis { .. } => &mut questions.basis,
                        Level::Accept { .. } => &mut questions.accept,
                        Level::Deny | Level::Review => &mut questions.export,
                    };
                    set.add(policy.clone()).map_err(|error| syntax(error.to_string()))?;
                }
                all.add(policy).map_err(|error| syntax(error.to_string()))?;
                by_policy.insert(id, rules.len());
                rules.push(rule);
            }
        }
        let verdict = Validator::new(schema).validate(&all, ValidationMode::Strict);
        let problems: Vec<_> = verdict
            .validation_errors()
            .map(ToString::to_string)
            .chain(verdict.validation_warnings().map(ToString::to_string))
            .collect();
        if !problems.is_empty() {
            return Err(RuleSetError::Invalid { detail: problems.join("; ") });
        }
        let mut calendars = Calendars::default();
        for (file, text) in &sources.calendars {
            let wrong = |detail| RuleSetError::Calendar { file: file.clone(), detail };
            let calendar = Calendar::parse(text).map_err(wrong)?;
            let year = calendar.year;
            if !calendars.add(calendar) {
                return Err(wrong(format!("`{year}` is there already; state each year once")));
            }
        }
        Ok(Self {
            digest: digest(sources),
            rules,
            by_policy,
            questions,
            calendars,
            names: names()?,
            authorizer: Authorizer::new(),
            entities: Entities::empty(),
        })
    }

    /// `sha256:` and the hex digest of the canonical JSON of the sources: what a decision names.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Every rule, by file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The calendars by which filing deadlines are counted.
    pub fn calendars(&self) -> &Calendars {
        &self.calendars
    }

    /// Ids of all rules.
    pub fn ids(&self) -> BTreeSet<&RuleId> {
        self.rules.iter().map(|rule| &rule.id).collect()
    }

    pub(crate) fn questions(&self, direction: Direction) -> Option<&Questions> {
        self.questions.get(direction.index())
    }

    pub(crate) fn rule_of(&self, policy: &PolicyId) -> Option<usize> {
        self.by_policy.get(policy).copied()
    }
}

/// The position that Cedar gave a policy in its file (`policy7`).
fn number(id: &PolicyId) -> usize {
    id.to_string().trim_start_matches("policy").parse().unwrap_or(usize::MAX)
}

fn names() -> Result<Names, RuleSetError> {
    let invalid = |detail: String| RuleSetError::Invalid { detail };
    let name = |text: &str| EntityTypeName::from_str(text).map_err(|error| invalid(error.to_string()));
    let action =
        |text: &str| EntityUid::from_str(&format!("Action::\"{text}\"")).map_err(|error| invalid(error.to_string()));
    Ok(Names {
        participant: name("Participant")?,
        dataset: name("Dataset")?,
        basis: action("basis")?,
        accept: action("accept")?,
        export: action("export")?,
    })
}

fn digest(sources: &Sources) -> String {
    // Three texts in maps: writing them cannot fail.
    let canonical = serde_json_canonicalizer::to_vec(sources).unwrap_or_default();
    let hash = ring::digest::digest(&ring::digest::SHA256, &canonical);
    let hex: Vec<String> = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", hex.concat())
}

#[cfg(test)]
mod tests;
