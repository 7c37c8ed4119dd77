//! The whole decision: the outcome, which columns may leave, why, and what would help.

use std::borrow::Cow;

use crate::decision::{Decision, Effect, Message, Reason, Remedy};
use crate::evaluate::{NO_BASIS, Outcome, Told, evaluate};
use crate::facts::{ColumnClass, Facts, FactsError, PolicyColumn, Presence};
use crate::remedies::{Trial, remedies};
use crate::rules::{RuleId, RuleSet};

/// Decides `facts` under `rules`, with reasons and tested remedies.
///
/// Pure: the same arguments always give the same answer, so an auditor can replay a recorded one.
/// Costs one [`evaluate`] for an `allow`, and one for each column subset and remedy tried otherwise.
pub fn decide(rules: &RuleSet, facts: &Facts) -> Decision {
    let outcome = evaluate(rules, facts);
    let (columns_allowed, remedies) = if outcome.effect == Effect::Allow {
        (names(facts.selected()), Vec::new())
    } else {
        let trial = Trial::of(facts);
        let columns_allowed = allowed_part(rules, facts, &trial);
        let mut offered = Vec::new();
        if !columns_allowed.is_empty() {
            let columns = names(facts.selected().filter(|column| !columns_allowed.contains(&column.name)));
            offered.push(Remedy::DropColumns { columns });
        }
        offered.extend(remedies(rules, &trial, outcome.direction));
        (columns_allowed, offered)
    };
    Decision {
        effect: outcome.effect,
        direction: outcome.direction,
        needed: outcome.needed,
        reasons: reasons(rules, &outcome),
        basis: outcome.basis,
        rules: outcome.rules,
        counters_after: outcome.counters_after,
        columns_allowed,
        remedies,
        policy: rules.digest().to_owned(),
    }
}

/// Decides one line of JSON and answers with one line of JSON: the decision, or
/// `{"error": {"code": "bad_input", "message": …}}`.
pub fn decide_line(rules: &RuleSet, line: &str) -> String {
    match Facts::parse(line) {
        // A decision holds only strings and integers: writing it cannot fail.
        Ok(facts) => serde_json::to_string(&decide(rules, &facts)).unwrap_or_default(),
        Err(error) => bad_input(&error),
    }
}

/// [`decide_line`] for each line, one out for one in.
pub fn decide_lines<'a>(
    rules: &'a RuleSet,
    lines: impl IntoIterator<Item = &'a str> + 'a,
) -> impl Iterator<Item = String> + 'a {
    lines.into_iter().map(|line| decide_line(rules, line))
}

fn bad_input(error: &FactsError) -> String {
    serde_json::json!({ "error": { "code": "bad_input", "message": error.to_string() } }).to_string()
}

/// The largest of three parts of the selection that would be allowed, whole columns classes at a
/// time: without the sensitive ones, or without any personal one.
fn allowed_part(rules: &RuleSet, facts: &Facts, trial: &Trial) -> Vec<String> {
    let presence = facts.presence();
    let without_sensitive = Presence { personal: presence.personal, sensitive: false };
    // Dropping the sensitive columns may leave no personal one either.
    let other_personal = facts.selected().any(|column| column.class == ColumnClass::Personal);
    let parts = [
        (presence.sensitive && other_personal, ColumnClass::Personal, without_sensitive),
        (presence.personal, ColumnClass::None, Presence::default()),
    ];
    for (smaller, most, left) in parts {
        if smaller && trial.with_presence(left).is_allowed(rules) {
            return names(facts.selected().filter(|column| column.class <= most));
        }
    }
    Vec::new()
}

fn names<'a>(columns: impl Iterator<Item = &'a PolicyColumn>) -> Vec<String> {
    columns.map(|column| column.name.clone()).collect()
}

/// One reason for each id, however many policies bear it.
fn reasons(rules: &RuleSet, outcome: &Outcome) -> Vec<Reason> {
    let mut first: Vec<&(RuleId, Told)> = outcome.told.iter().collect();
    first.dedup_by(|next, kept| next.0 == kept.0);
    let told = |(id, told): &(RuleId, Told)| {
        let (citation, message) = match *told {
            Told::Rule(index) => {
                let rule = rules.rule(index)?;
                (Cow::from(rule.citation.as_str()), rule.message.clone()?)
            }
            Told::Failed(index) => (Cow::from(rules.rule(index)?.citation.as_str()), failed(id.as_str())),
            Told::NoBasis => (Cow::from(NO_BASIS_CITATION), no_basis()),
        };
        Some(Reason { rule: id.clone(), citation: citation.into_owned(), message })
    };
    first.into_iter().filter_map(told).collect()
}

/// Why facts without a step of the ladder stay.
pub(crate) const NO_BASIS_CITATION: &str = "Fail closed: an export needs a rule that lets it leave";

fn failed(id: &str) -> Message {
    Message {
        en: format!(
            "Rule {id} could not be evaluated on these facts. What cannot be evaluated is refused; tell the operator."
        ),
        zh_hans: format!("规则 {id} 无法对这些事实求值。无法求值即拒绝，请联系运维人员。"),
        zh_hant: format!("規則 {id} 無法對這些事實求值。無法求值即拒絕，請聯絡運維人員。"),
    }
}

fn no_basis() -> Message {
    Message {
        en: format!("No rule of this set says on what basis these data may leave ({NO_BASIS}), so they stay."),
        zh_hans: format!("本规则集中没有规则说明数据可依何种依据出境（{NO_BASIS}），因此不予放行。"),
        zh_hant: format!("本規則集中沒有規則說明數據可依何種依據出境（{NO_BASIS}），因此不予放行。"),
    }
}
