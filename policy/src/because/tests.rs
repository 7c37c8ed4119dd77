//! What a rule may say of the facts that decide it, and what is shown of one that says nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use super::check::{Check, Test};
use super::{Fact, FactValue, Helper, Passing, because};
use crate::rules::{Level, RuleSet, Sources};
use crate::{Effect, Facts, evaluate};

/// The second worked case: refused for its sensitive column.
fn refused() -> Facts {
    let line = include_str!("../../vectors/policy.jsonl").lines().nth(1).unwrap();
    let case: serde_json::Value = serde_json::from_str(line).unwrap();
    Facts::parse(&case["facts"].to_string()).unwrap()
}

fn with_house(condition: &str, annotations: &str) -> Result<RuleSet, crate::RuleSetError> {
    let mut sources = Sources::builtin();
    let text = format!(
        "@id(\"OWN-1\") @level(\"deny\") @direction(\"CN-OUT\") @citation(\"House rule\") @in_force(\"2026-01-01\") \
         {annotations} @message_en(\"a\") @message_zh_hans(\"b\") @message_zh_hant(\"c\") \
         forbid (principal, action == Action::\"export\", resource) when {{ {condition} }};"
    );
    sources.rules.insert("house.cedar".to_owned(), text);
    RuleSet::from_sources(&sources)
}

#[test]
fn every_rule_of_the_law_says_what_decides_it_and_who_can_help() {
    for rule in RuleSet::builtin().unwrap().rules() {
        let silent = matches!(rule.level, Level::Accept { .. });
        assert_eq!(rule.text.contains("@decided_by("), !silent, "{} in {}", rule.id, rule.file);
        assert_eq!(rule.decided_by.is_empty(), silent, "{} in {}", rule.id, rule.file);
        let stands_against = matches!(rule.level, Level::Deny | Level::Review);
        assert_eq!(rule.text.contains("@helped_by("), stands_against, "{} in {}", rule.id, rule.file);
        assert!(!rule.decided_by.iter().any(|check| check.test == Test::Otherwise), "{}", rule.id);
        assert!(!rule.helped_by.contains(&Helper::RuleOwner), "{}: the law has no owner", rule.id);
    }
}

#[test]
fn checks_are_read_by_the_longest_name() {
    let [check]: [Check; 1] = Check::list("exporter.counters.sensitive + Q below 10000").unwrap().try_into().unwrap();
    assert_eq!((check.fact, check.test), (Fact::SensitiveYear, Test::Below(10_000)));
    let checks = Check::list("P at most mechanism.persons_max; hk.dpp3 is not a|b; dataset.id is x").unwrap();
    assert_eq!(checks[0].test, Test::AtMostFact(Fact::MechanismPersons));
    assert_eq!(checks[1].test, Test::IsNot(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(checks[2].fact, Fact::Dataset);
    for wrong in
        ["", "P", "P below", "P below x", "P below -1", "no.such given", "P given;", "P at 3", "licence covers no.such"]
    {
        assert!(Check::list(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn wrong_annotations_are_refused_with_what_would_be_right() {
    for (annotation, why) in [
        ("@decided_by(\"P beneath 3\")", "`@decided_by` is `P beneath 3`; it must be checks"),
        ("@decided_by(\"\")", "`@decided_by` is ``"),
        ("@helped_by(\"somebody\")", "`@helped_by` is `somebody`; it must be `consumer`"),
    ] {
        let error = with_house("true", annotation).expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
    }
    assert!(with_house("true", "@decided_by(\"licence given\") @helped_by(\"consumer, operator\")").is_ok());
}

#[test]
fn a_rule_of_ones_own_shows_the_facts_that_it_reads() {
    let condition = "context.purpose == \"academic-research\" && context.persons_year > 5 && \
                     !(context has mechanism && context.mechanism has filed)";
    let rules = with_house(condition, "").unwrap();
    let facts = refused();
    assert_eq!(evaluate(&rules, &facts).effect, Effect::Deny);
    let all = because(&rules, &facts);
    let own = all.iter().find(|because| because.rule.as_str() == "OWN-1").unwrap();
    let read: Vec<Fact> = own.facts.iter().map(|decided| decided.fact).collect();
    assert_eq!(read, [Fact::Purpose, Fact::PersonsYear, Fact::MechanismKind, Fact::MechanismFiled]);
    assert!(own.facts.iter().all(|decided| decided.passes.test == Passing::Otherwise));
    assert_eq!(own.facts[1].value, FactValue::Count(12_000));
    assert_eq!(own.who, [Helper::RuleOwner]);
    // Every attribute of the schema that is a fact has a name here.
    let schema = Sources::builtin().schema;
    for attribute in ["basis", "step", "needed", "acceptance", "direction", "kind"] {
        assert!(schema.contains(attribute) && Fact::of_attribute(attribute).is_none(), "{attribute}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_the_operators() {
    let rules = with_house("context.today * 9223372036854775807 > 0", "").unwrap();
    let all = because(&rules, &refused());
    let own = all.iter().find(|because| because.rule.as_str() == "OWN-1").unwrap();
    assert!(own.facts.is_empty());
    assert_eq!(own.who, [Helper::Operator]);
    let mut sources = Sources::builtin();
    sources.rules.remove("provisions-2024-ladder.cedar");
    let rules = RuleSet::from_sources(&sources).unwrap();
    let all = because(&rules, &refused());
    assert_eq!((all[0].rule.as_str(), all[0].who.as_slice()), ("NO-BASIS", [Helper::Operator].as_slice()));
}
