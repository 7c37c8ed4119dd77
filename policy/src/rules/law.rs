//! The law: its texts, parsed, held to the schema, and sorted by direction and question.

use std::collections::HashMap;
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Entities, EntityTypeName, EntityUid, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};

use super::{Level, Rule, RuleSetError, Sources};
use crate::calendar::{Calendar, Calendars};
use crate::digest::digest;
use crate::local::place::{Spot, Statements};

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

/// The law, parsed and validated.
#[derive(Debug)]
pub(crate) struct Law {
    pub digest: String,
    /// What fits the schema; local rules are held to it too.
    pub validator: Validator,
    pub rules: Vec<Rule>,
    pub by_policy: HashMap<PolicyId, usize>,
    pub questions: [Questions; 4],
    pub calendars: Calendars,
    pub names: Names,
    pub authorizer: Authorizer,
    pub entities: Entities,
}

impl Law {
    pub fn load(sources: &Sources) -> Result<Self, RuleSetError> {
        let (schema, _) = Schema::from_cedarschema_str(&sources.schema)
            .map_err(|error| RuleSetError::Schema { detail: error.to_string() })?;
        let validator = Validator::new(schema);
        let mut rules = Vec::new();
        let mut by_policy = HashMap::new();
        let mut all = PolicySet::new();
        let mut questions: [Questions; 4] = Default::default();
        for (file, text) in &sources.rules {
            let statements = Statements::of(text);
            let syntax = |spot: Spot, detail: String| RuleSetError::Syntax {
                file: file.clone(),
                line: statements.line(spot),
                detail,
            };
            let set = PolicySet::from_str(text).map_err(|errors| {
                syntax(errors.iter().next().map_or(Spot::Unknown, |error| Spot::of(error)), errors.to_string())
            })?;
            if let Some(template) = set.templates().next() {
                let line = statements.line(Spot::Statement(number(template.id())));
                return Err(RuleSetError::Template { file: file.clone(), line });
            }
            // Cedar numbers the policies of a file; the set itself has no order.
            let mut policies: Vec<_> = set.policies().collect();
            policies.sort_by_key(|policy| number(policy.id()));
            for (position, policy) in policies.into_iter().enumerate() {
                let rule = Rule::read(policy, file, position + 1).map_err(|error| at(error, position, &statements))?;
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
                    set.add(policy.clone()).map_err(|error| syntax(Spot::Statement(position), error.to_string()))?;
                }
                all.add(policy).map_err(|error| syntax(Spot::Statement(position), error.to_string()))?;
                by_policy.insert(id, rules.len());
                rules.push(rule);
            }
        }
        let verdict = validator.validate(&all, ValidationMode::Strict);
        let unfit = |policy: &PolicyId, error: &dyn miette::Diagnostic| {
            let rule = by_policy.get(policy).and_then(|index: &usize| rules.get(*index));
            let file = rule.map(|rule: &Rule| rule.file.as_str()).unwrap_or_default();
            let text = sources.rules.get(file).map(String::as_str).unwrap_or_default();
            format!("line {} of `{file}`: {error}", Statements::of(text).line(Spot::of(error)))
        };
        let problems: Vec<_> = verdict
            .validation_errors()
            .map(|error| unfit(error.policy_id(), error))
            .chain(verdict.validation_warnings().map(|warning| unfit(warning.policy_id(), warning)))
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
            digest: digest(&sources.canonical()),
            validator,
            rules,
            by_policy,
            questions,
            calendars,
            names: names()?,
            authorizer: Authorizer::new(),
            entities: Entities::empty(),
        })
    }
}

/// The error with the line of what it is about, in the policy at `position`.
fn at(mut error: RuleSetError, position: usize, statements: &Statements<'_>) -> RuleSetError {
    if let RuleSetError::Annotation { line, annotation, .. } = &mut error {
        *line = statements.line(statements.annotation(position, annotation));
    }
    error
}

/// The position that Cedar gave a policy in its file (`policy7`).
pub(crate) fn number(id: &PolicyId) -> usize {
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
