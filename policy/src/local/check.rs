//! Local rules tried on the worked cases before anybody puts them into force.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::{Applied, LocalRules, Reach};
use crate::decision::Effect;
use crate::evaluate::{Told, evaluate, told};
use crate::facts::Facts;
use crate::rules::{RuleId, RuleSet};
use crate::word::words;

/// The worked cases of the specification, compiled in.
const VECTORS: &str = include_str!("../../vectors/policy.jsonl");

words! {
    /// In which part of a worked case the owner stands: the cases were not written about it.
    pub enum Casting {
        /// As the case is written.
        AsWritten = "as_written",
        /// The owner exports.
        Exporter = "exporter",
        /// The owner receives.
        Recipient = "recipient",
    }
}

/// A worked case that comes out differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// Name of the case.
    pub vector: String,
    /// Where the owner stands in it.
    pub owner_as: Casting,
    /// What the law says.
    pub from: Effect,
    /// What comes out with the local rules.
    pub to: Effect,
    /// The rules that decide it then.
    pub rules: Vec<RuleId>,
}

/// A rule that cannot be evaluated on a worked case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Name of the case.
    pub vector: String,
    /// Where the owner stands in it.
    pub owner_as: Casting,
    /// The rule.
    pub rule: RuleId,
}

/// What local rules do to the worked cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VectorReport {
    /// Worked cases.
    pub vectors: usize,
    /// Decisions made: each case with the owner in every part that it can have.
    pub cases: usize,
    /// Cases that come out harsher: what the rules are for.
    pub flips: Vec<Flip>,
    /// Cases that come out milder. None can, since every rule is a `forbid`; were one to, the set is refused.
    pub widened: Vec<Flip>,
    /// Rules that fail to evaluate. What fails denies, so a set with one is refused.
    pub failed: Vec<Failure>,
    /// By rule, the cases in which it speaks, also where the law refuses already. A rule without one was not tried.
    pub touched: BTreeMap<String, Vec<String>>,
}

impl VectorReport {
    /// Whether the set may be put into force.
    pub fn passes(&self) -> bool {
        self.widened.is_empty() && self.failed.is_empty()
    }

    /// Rules that speak in no worked case.
    pub fn untried(&self) -> impl Iterator<Item = &str> {
        self.touched.iter().filter(|(_, cases)| cases.is_empty()).map(|(rule, _)| rule.as_str())
    }
}

/// In which worked cases each rule of `rules` speaks, by rule id: as a step of the ladder, or against the export.
pub fn worked_cases(rules: &RuleSet) -> BTreeMap<String, Vec<String>> {
    let mut cases: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in VECTORS.lines() {
        let Ok(vector) = serde_json::from_str::<Value>(line) else { continue };
        let Some(name) = vector.get("name").and_then(Value::as_str) else { continue };
        let Some(facts) = cast(&vector, "", Casting::AsWritten) else { continue };
        let against = told(rules, &facts).into_iter().filter_map(|told| match told {
            Told::Rule(index) | Told::Failed(index) => rules.rule(index).map(|rule| rule.id.clone()),
            Told::NoBasis => None,
        });
        for id in against.chain(evaluate(rules, &facts).basis) {
            let cases = cases.entry(id.to_string()).or_default();
            if cases.last().is_none_or(|last| last != name) {
                cases.push(name.to_owned());
            }
        }
    }
    cases
}

/// Decides every worked case under `law` and under `law` with `local`, and says what differs.
pub fn check(law: &RuleSet, local: &Arc<LocalRules>, reach: Reach) -> VectorReport {
    let both = law.with_local(vec![Applied { reach, rules: Arc::clone(local) }]);
    let law = law.with_local(Vec::new());
    let mut report = VectorReport {
        vectors: 0,
        cases: 0,
        flips: Vec::new(),
        widened: Vec::new(),
        failed: Vec::new(),
        touched: local.rules().iter().map(|rule| (rule.id.to_string(), Vec::new())).collect(),
    };
    for line in VECTORS.lines() {
        // Our own file, whose every line a test reads; one that did not parse would be one case fewer in the report.
        let Ok(vector) = serde_json::from_str::<Value>(line) else { continue };
        let Some(name) = vector.get("name").and_then(Value::as_str) else { continue };
        report.vectors += 1;
        for casting in castings(&vector, local.owner(), reach) {
            if let Some(facts) = cast(&vector, local.owner(), casting) {
                report.cases += 1;
                compare(&law, &both, &facts, (name, casting), &mut report);
            }
        }
    }
    report
}

/// In which parts the owner can stand: an authority's rules also decide exports that it is no party of.
fn castings(vector: &Value, owner: &str, reach: Reach) -> Vec<Casting> {
    let is = |path: &str| vector.pointer(path).and_then(Value::as_str) == Some(owner);
    let written = reach == Reach::All || is("/facts/exporter/id") || is("/facts/recipient/id");
    let mut castings = vec![Casting::Exporter, Casting::Recipient];
    if written {
        castings.insert(0, Casting::AsWritten);
    }
    castings
}

fn cast(vector: &Value, owner: &str, casting: Casting) -> Option<Facts> {
    let mut facts = vector.get("facts")?.clone();
    let part = match casting {
        Casting::AsWritten => None,
        Casting::Exporter => Some("/exporter/id"),
        Casting::Recipient => Some("/recipient/id"),
    };
    if let Some(id) = part.and_then(|part| facts.pointer_mut(part)) {
        *id = owner.into();
    }
    Facts::parse(&facts.to_string()).ok()
}

fn compare(law: &RuleSet, both: &RuleSet, facts: &Facts, (name, casting): (&str, Casting), report: &mut VectorReport) {
    let (before, after) = (evaluate(law, facts), evaluate(both, facts));
    if before.effect != after.effect {
        let flip = Flip {
            vector: name.to_owned(),
            owner_as: casting,
            from: before.effect,
            to: after.effect,
            rules: after.rules,
        };
        if after.effect < before.effect { report.widened.push(flip) } else { report.flips.push(flip) }
    }
    for told in told(both, facts) {
        let (Told::Rule(index) | Told::Failed(index)) = told else { continue };
        let Some(rule) = both.rule(index) else { continue };
        let Some(cases) = report.touched.get_mut(rule.id.as_str()) else { continue };
        if cases.last().is_none_or(|last| last != name) {
            cases.push(name.to_owned());
        }
        if matches!(told, Told::Failed(_)) {
            let failure = Failure { vector: name.to_owned(), owner_as: casting, rule: rule.id.clone() };
            report.failed.push(failure);
        }
    }
}
