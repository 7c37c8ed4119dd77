//! Why each rule of an answer applies: the facts that decided it beside what would have passed, and
//! who can help.

mod check;
mod condition;
mod fact;

use serde::{Deserialize, Serialize};

use crate::decision::Effect;
use crate::evaluate::{Told, look, serving};
use crate::facts::Facts;
use crate::rules::{Level, Rule, RuleId, RuleSet};
use crate::word::words;

use check::Asked;
pub(crate) use check::{Check, WANT as WANT_CHECKS};
pub use check::{Passes, Passing};
pub(crate) use condition::mentioned;
pub use fact::{Fact, FactValue};

words! {
    /// Who can do something about a rule.
    pub enum Helper {
        /// Whoever asks: by asking for less, or from elsewhere.
        Consumer = "consumer",
        /// The provider of the data.
        Provider = "provider",
        /// The compliance officer of the recipient.
        RecipientOfficer = "recipient-officer",
        /// The compliance officer of an authority.
        Authority = "authority",
        /// The operator of the gateway.
        Operator = "operator",
        /// Whoever set a rule of their own.
        RuleOwner = "rule-owner",
        /// Nobody: the law gives no way.
        Nobody = "nobody",
    }
}

words! {
    /// What a rule does in an answer.
    pub enum Weight {
        /// Refuses.
        Deny = "deny",
        /// Asks for a person.
        Review = "review",
        /// Lets it leave, on this basis.
        Basis = "basis",
    }
}

/// Why one rule applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Because {
    /// The rule.
    pub rule: RuleId,
    /// What it does.
    pub level: Weight,
    /// The law it states.
    pub citation: String,
    /// What decided. Empty if the rule could not be evaluated.
    pub facts: Vec<Decided>,
    /// Who can help.
    pub who: Vec<Helper>,
}

/// A fact that decided, and what would have passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Which fact.
    pub fact: Fact,
    /// What it is.
    pub value: FactValue,
    /// What passes; for a basis, what it has passed.
    pub passes: Passes,
}

/// Why each rule of the answer to `facts` applies, in the order of the answer's `rules`.
///
/// Costs an evaluation or two: it is asked when somebody reads the answer.
pub fn because(rules: &RuleSet, facts: &Facts) -> Vec<Because> {
    let (outcome, derived) = look(rules, facts);
    let serving = serving(rules, facts);
    let asked = Asked { rules, facts, derived: &derived, serving: &serving };
    let level = match outcome.effect {
        Effect::Deny => Weight::Deny,
        Effect::Review => Weight::Review,
        Effect::Allow => Weight::Basis,
    };
    let mut all: Vec<Because> = Vec::new();
    for (id, told) in &outcome.told {
        let (citation, facts, who) = match *told {
            Told::Rule(index) => match rules.rule(index) {
                Some(rule) => (rule.citation.clone(), deciding(rule, &asked), rule.helped_by.clone()),
                None => continue,
            },
            Told::Failed(index) => {
                let citation = rules.rule(index).map(|rule| rule.citation.clone()).unwrap_or_default();
                (citation, Vec::new(), vec![Helper::Operator])
            }
            Told::NoBasis => (crate::decide::NO_BASIS_CITATION.to_owned(), Vec::new(), vec![Helper::Operator]),
        };
        match all.last_mut() {
            // Several policies may bear one id: it is one rule to whoever reads it.
            Some(last) if last.rule == *id => {
                last.facts.extend(facts.into_iter().filter(|fact| !last.facts.contains(fact)).collect::<Vec<_>>());
                last.who.extend(who.into_iter().filter(|who| !last.who.contains(who)).collect::<Vec<_>>());
            }
            _ => all.push(Because { rule: id.clone(), level, citation, facts, who }),
        }
    }
    all
}

/// The facts that decided `rule`: the checks that fail, or for a step of the ladder those that hold.
fn deciding(rule: &Rule, asked: &Asked<'_>) -> Vec<Decided> {
    let basis = matches!(rule.level, Level::Basis { .. });
    let mut decided = Vec::new();
    let mut others = Vec::new();
    for check in &rule.decided_by {
        let value = asked.value(check.fact);
        let part = if check.holds(asked, &value) == basis { &mut decided } else { &mut others };
        part.push(Decided { fact: check.fact, value, passes: check.passes(asked) });
    }
    // A rule that says less than its condition asks still shows what it asked.
    if decided.is_empty() { others } else { decided }
}

#[cfg(test)]
mod tests;
