//! Local rules: what a participant or an authority adds to the law, narrower than it, never wider.
//!
//! One owner's rules are one set: some Cedar files, parsed and held to the schema of the law, `forbid` for an export and
//! nothing else. A [`RuleSet`] is the law with the sets of those concerned beside it ([`RuleSet::with_local`]); who is
//! concerned, and what is in force when, is told by [`Published`].

mod check;
mod manifest;
pub(crate) mod place;
mod published;

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{PolicyId, PolicySet, ValidationMode};
use serde::{Deserialize, Serialize};

pub use check::{Casting, Failure, Flip, VectorReport, check, worked_cases};
pub(crate) use manifest::Manifest;
pub use published::{Publication, Published, Reach, SetState, SetStatus, Timeline};

use crate::digest::digest;
use crate::evaluate::Direction;
use crate::rules::{Level, Rule, RuleSet, RuleSetError, number};
use place::{Spot, Statements};

/// Most rules of one set: all of them are asked at each export of their owner.
pub const LOCAL_RULES_MAX: usize = 1_000;
/// Most files of one set.
pub const LOCAL_FILES_MAX: usize = 64;
/// Most bytes of all files of one set together.
pub const LOCAL_BYTES_MAX: usize = 512 << 10;

/// The texts of one owner's rules. File names are part of it: errors name them, and so does the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalSources {
    /// Id of the participant whose rules these are.
    pub owner: String,
    /// Cedar policies by file name.
    pub rules: BTreeMap<String, String>,
}

impl LocalSources {
    /// RFC 8785 canonical JSON: what the set's digest is of, and what is stored under it.
    pub fn canonical(&self) -> String {
        // Texts in a map: writing them cannot fail.
        serde_json_canonicalizer::to_string(self).unwrap_or_default()
    }
}

/// What is wrong with a set of local rules, in the order of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocalProblem {
    /// File; empty if it is about the set as a whole.
    pub file: String,
    /// Line, from 1; 0 if it is about the file as a whole.
    pub line: usize,
    /// Rule, if it has an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl std::fmt::Display for LocalProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => {}
            (file, 0) => write!(f, "{file}: ")?,
            (file, line) => write!(f, "{file}:{line}: ")?,
        }
        if let Some(rule) = &self.rule {
            write!(f, "rule `{rule}`: ")?;
        }
        f.write_str(&self.problem)?;
        match &self.fix {
            Some(fix) => write!(f, "; {fix}"),
            None => Ok(()),
        }
    }
}

/// A set of local rules that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(.problems))]
pub struct LocalRulesError {
    /// Everything that is wrong; never empty.
    pub problems: Vec<LocalProblem>,
}

fn listed(problems: &[LocalProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// One owner's rules, parsed, held to the schema and sorted by direction.
#[derive(Debug)]
pub struct LocalRules {
    sources: LocalSources,
    digest: String,
    rules: Vec<Rule>,
    by_policy: HashMap<PolicyId, usize>,
    export: [PolicySet; 4],
}

/// One owner's rules as part of a [`RuleSet`].
#[derive(Debug, Clone)]
pub struct Applied {
    /// Over whose exports they reach.
    pub reach: Reach,
    /// The rules.
    pub rules: Arc<LocalRules>,
}

impl LocalRules {
    /// Parses `sources` and holds them to the schema of `law`.
    ///
    /// # Errors
    /// Every fault of every file, each with its line and what would be right.
    pub fn parse(law: &RuleSet, sources: LocalSources) -> Result<Self, LocalRulesError> {
        let mut problems = bounds(&sources);
        let mut set = Self {
            digest: digest(&sources.canonical()),
            rules: Vec::new(),
            by_policy: HashMap::new(),
            export: Default::default(),
            sources,
        };
        if problems.is_empty() {
            let sources = set.sources.clone();
            for (file, text) in &sources.rules {
                set.read(law, file, text, &mut problems);
            }
        }
        if set.rules.len() > LOCAL_RULES_MAX {
            let found = set.rules.len();
            problems.push(whole(format!("{found} rules"), format!("a set has at most {LOCAL_RULES_MAX}")));
        }
        if problems.is_empty() && set.rules.is_empty() {
            problems.push(whole(
                "no rule at all".to_owned(),
                "write a `forbid`; to have no rules, revoke the set".to_owned(),
            ));
        }
        if problems.is_empty() { Ok(set) } else { Err(LocalRulesError { problems }) }
    }

    fn read(&mut self, law: &RuleSet, file: &str, text: &str, problems: &mut Vec<LocalProblem>) {
        let statements = Statements::of(text);
        let here = |spot: Spot, rule: Option<String>, problem: String, fix: Option<String>| LocalProblem {
            file: file.to_owned(),
            line: statements.line(spot),
            rule,
            problem,
            fix,
        };
        let set = match PolicySet::from_str(text) {
            Ok(set) => set,
            Err(errors) => {
                problems.extend(errors.iter().map(|error| {
                    here(Spot::of(error), None, format!("this is not Cedar: {error}"), place::help(error))
                }));
                return;
            }
        };
        if let Some(template) = set.templates().next() {
            let spot = Spot::Statement(number(template.id()));
            let fix = "write a policy without `?principal` or `?resource`".to_owned();
            problems.push(here(spot, None, "this is a template".to_owned(), Some(fix)));
            return;
        }
        let mut policies: Vec<_> = set.policies().collect();
        policies.sort_by_key(|policy| number(policy.id()));
        let mut named = PolicySet::new();
        for (position, policy) in policies.into_iter().enumerate() {
            let rule = match Rule::read_local(policy, file, position + 1, &self.sources.owner) {
                Ok(rule) => rule,
                Err(RuleSetError::Annotation { rule, annotation, found, want, .. }) => {
                    let spot = statements.annotation(position, &annotation);
                    let wrong = match (annotation.as_str(), found.as_str()) {
                        ("action", found) => format!("it says `{found}`"),
                        (name, "") => format!("`@{name}` is missing"),
                        (name, found) => format!("`@{name}` is `{found}`"),
                    };
                    let id = policy.annotation("id").map(|_| rule);
                    problems.push(here(spot, id, wrong, Some(format!("it must be {want}"))));
                    continue;
                }
                Err(other) => {
                    problems.push(here(Spot::Statement(position), None, other.to_string(), None));
                    continue;
                }
            };
            let id = PolicyId::new(format!("{}/{file}#{} {}", self.sources.owner, position + 1, rule.id));
            let policy = policy.new_id(id.clone());
            let sets = rule.directions.iter().map(|direction| direction.index()).collect::<Vec<_>>();
            let places = self.export.iter_mut().enumerate().filter(|(index, _)| sets.contains(index));
            for place in places.map(|(_, place)| place).chain([&mut named]) {
                if let Err(error) = place.add(policy.clone()) {
                    problems.push(here(Spot::Statement(position), Some(rule.id.to_string()), error.to_string(), None));
                }
            }
            self.by_policy.insert(id, self.rules.len());
            self.rules.push(rule);
        }
        let verdict = law.law().validator.validate(&named, ValidationMode::Strict);
        let unfit = |error: &dyn miette::Diagnostic, text: String| {
            here(Spot::of(error), None, format!("this does not fit the schema: {text}"), place::help(error))
        };
        problems.extend(verdict.validation_errors().map(|error| unfit(error, error.to_string())));
        problems.extend(verdict.validation_warnings().map(|warning| unfit(warning, warning.to_string())));
    }

    /// `sha256:` and the hex digest of [`LocalSources::canonical`].
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whose rules these are.
    pub fn owner(&self) -> &str {
        &self.sources.owner
    }

    /// The texts.
    pub fn sources(&self) -> &LocalSources {
        &self.sources
    }

    /// Every rule, by file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// How many rules deny, and how many ask for a review.
    pub fn levels(&self) -> (usize, usize) {
        let deny = self.rules.iter().filter(|rule| rule.level == Level::Deny).count();
        (deny, self.rules.len() - deny)
    }

    pub(crate) fn export(&self, direction: Direction) -> Option<&PolicySet> {
        self.export.get(direction.index())
    }

    pub(crate) fn rule_of(&self, policy: &PolicyId) -> Option<usize> {
        self.by_policy.get(policy).copied()
    }
}

fn whole(problem: String, fix: String) -> LocalProblem {
    LocalProblem { file: String::new(), line: 0, rule: None, problem, fix: Some(fix) }
}

/// What is wrong before anything is parsed.
fn bounds(sources: &LocalSources) -> Vec<LocalProblem> {
    let mut problems = Vec::new();
    let owner = &sources.owner;
    if !(1..=64).contains(&owner.len())
        || !owner.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        let shown: String = owner.chars().take(64).collect();
        problems.push(whole(format!("the owner is `{shown}`"), "it must be the id of a participant".to_owned()));
    }
    if sources.rules.len() > LOCAL_FILES_MAX {
        problems.push(whole(format!("{} files", sources.rules.len()), format!("a set has at most {LOCAL_FILES_MAX}")));
    }
    let bytes: usize = sources.rules.values().map(String::len).sum();
    if bytes > LOCAL_BYTES_MAX {
        problems.push(whole(format!("{bytes} bytes"), format!("a set has at most {LOCAL_BYTES_MAX}")));
    }
    for file in sources.rules.keys() {
        let stem = file.strip_suffix(".cedar").unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=100).contains(&stem.len()) || stem.starts_with('.') || !stem.bytes().all(plain) {
            let shown: String = file.chars().take(100).collect();
            let fix = "name it with letters, digits, `-`, `_`, `.`, and `.cedar` at the end".to_owned();
            problems.push(whole(format!("a file is called `{shown}`"), fix));
        }
    }
    problems
}

#[cfg(test)]
mod tests;
