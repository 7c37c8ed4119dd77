//! Why an export is allowed, left to a person, or refused: the one explanation that every front door gives.
//!
//! Built here and nowhere else. What a consumer may not see is left out while it is built ([`Viewer`]), so that no door can
//! forget to.

mod help;
mod say;
mod words;

use policy::{
    Because, Counters, Decision, Effect, Fact, FactValue, Facts, Helper, Message, Passes, Reason, RuleId, RuleSet,
    Weight,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use help::Help;

/// Who reads an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// Whoever asks for the data: learns that a number was reached, not the number.
    Consumer,
    /// The exporter, whose year and whose dataset it is.
    Provider,
    /// An officer of an authority.
    Authority,
}

/// A decision, explained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explain {
    /// The effect.
    pub effect: Effect,
    /// Sorted ids at the winning level; the basis if allowed.
    pub rules: Vec<RuleId>,
    /// What each of them means here.
    pub reasons: Vec<Reason>,
    /// What would help: each turns the answer into `allow`.
    pub remedies: Vec<Value>,
    /// The part of the selection that would be allowed.
    pub columns_allowed: Vec<String>,
    /// Digest of the rule set.
    pub policy: String,
    /// The exporter's year if this selection were exported; never for a consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters_after: Option<Counters>,
    /// One for each of `rules`: what decided, what would pass, who can help.
    pub because: Vec<RuleShown>,
    /// One for each of `remedies`: in words, by whom, and with which command.
    pub help: Vec<Help>,
    /// Where a person has to decide: how to ask one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Help>,
}

/// Why one rule applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleShown {
    /// The rule.
    pub rule: RuleId,
    /// What it does in this answer.
    pub level: Weight,
    /// The law it states.
    pub citation: String,
    /// What decided.
    pub facts: Vec<FactShown>,
    /// Who can help.
    pub who: Vec<Who>,
}

/// A fact that decided, beside what would have passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactShown {
    /// Its path in the facts of the decision.
    pub fact: Fact,
    /// What it is; null if it is missing or withheld.
    pub value: FactValue,
    /// It is there, but not for whoever asks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
    /// What passes; for a basis, what it has passed.
    pub passes: Passes,
    /// All of that as a sentence.
    pub text: Message,
}

/// Somebody who can help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// In which part.
    pub who: Helper,
    /// The participant, where the facts name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    /// In words.
    pub text: Message,
}

impl Who {
    fn new(who: Helper, facts: &Facts) -> Self {
        let given = facts.gathered();
        let participant = match who {
            Helper::Consumer | Helper::RecipientOfficer => Some(given.recipient.id.clone()),
            Helper::Provider => Some(given.exporter.id.clone()),
            Helper::Authority | Helper::Operator | Helper::RuleOwner | Helper::Nobody => None,
        };
        Self { who, text: words::helper(who, participant.as_deref()), participant }
    }
}

impl Explain {
    /// Explains `decision`, which `rules` made of `facts`, to `viewer`.
    pub fn of(rules: &RuleSet, facts: &Facts, decision: &Decision, viewer: Viewer) -> Self {
        let because = policy::because(rules, facts).into_iter().map(|because| shown(because, facts, viewer)).collect();
        Self {
            effect: decision.effect,
            rules: decision.rules.clone(),
            reasons: decision.reasons.clone(),
            remedies: decision.remedies.iter().map(|remedy| seen_by(viewer, remedy)).collect(),
            columns_allowed: decision.columns_allowed.clone(),
            policy: decision.policy.clone(),
            counters_after: (viewer != Viewer::Consumer).then_some(decision.counters_after),
            because,
            help: decision.remedies.iter().map(|remedy| Help::with(remedy, facts, decision, viewer)).collect(),
            review: (decision.effect == Effect::Review).then(|| Help::review(facts)),
        }
    }

    /// As the `explain` member of a problem.
    pub fn to_value(&self) -> Value {
        // Strings, numbers and lists: writing them cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// `decision` with every member, and what this explanation adds to it: for a plan.
    pub fn beside(&self, decision: &Decision, viewer: Viewer) -> Value {
        let mut value = serde_json::to_value(decision).unwrap_or_default();
        if let (Some(all), Value::Object(more)) = (value.as_object_mut(), self.to_value()) {
            all.extend(more);
            if viewer == Viewer::Consumer {
                // What was exported so far is this number less what this selection adds.
                all.insert("counters_after".to_owned(), Value::Null);
            }
        }
        value
    }
}

fn shown(because: Because, facts: &Facts, viewer: Viewer) -> RuleShown {
    let level = because.level;
    let facts_shown = because.facts.into_iter().map(|decided| {
        let withheld = viewer == Viewer::Consumer && decided.fact.is_withheld_from_consumers();
        let value = if withheld { FactValue::Missing(()) } else { decided.value };
        let text = say::fact(decided.fact, (!withheld).then_some(&value), &decided.passes, level);
        FactShown { fact: decided.fact, value, withheld, passes: decided.passes, text }
    });
    RuleShown {
        rule: because.rule,
        level,
        citation: because.citation,
        facts: facts_shown.collect(),
        who: because.who.into_iter().map(|who| Who::new(who, facts)).collect(),
    }
}

/// A remedy as `viewer` may read it: up to which number of persons an export passes tells a consumer how many the
/// exporter has exported.
fn seen_by(viewer: Viewer, remedy: &policy::Remedy) -> Value {
    let mut value = serde_json::to_value(remedy).unwrap_or_default();
    if viewer == Viewer::Consumer {
        forget(&mut value, "at_most");
    }
    value
}

fn forget(value: &mut Value, member: &str) {
    match value {
        Value::Object(members) => {
            members.remove(member);
            members.values_mut().for_each(|value| forget(value, member));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| forget(value, member)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
