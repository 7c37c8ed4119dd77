//! What must hold of every decision, whatever the facts.

use policy::{Effect, Facts, RuleSet, Sources, decide, evaluate, worse};
use serde_json::json;

use super::generator::{self, Random};
use super::oracle::seed;

const CASES: u64 = 1_000;

fn each(mut check: impl FnMut(&mut Random, &serde_json::Value)) {
    for case in 0..CASES {
        let mut random = Random(seed() ^ (case << 20));
        let facts = generator::facts(&mut random);
        check(&mut random, &facts);
    }
}

fn parse(facts: &serde_json::Value) -> Facts {
    Facts::parse(&facts.to_string()).unwrap()
}

/// Fewer columns hold fewer kinds of persons, so nothing new can speak against them. (An exemption
/// needs a personal column, but without one there is nothing to be exempt from.)
#[test]
fn dropping_a_column_never_makes_a_decision_worse() {
    let rules = RuleSet::builtin().unwrap();
    each(|random, facts| {
        let names: Vec<_> = parse(facts).selected().map(|column| column.name.clone()).collect();
        if names.is_empty() {
            return;
        }
        let mut fewer = names.clone();
        fewer.remove(usize::try_from(random.below(names.len() as u64)).unwrap());
        let mut smaller = facts.clone();
        smaller["columns"] = json!(fewer);
        let (before, after) = (evaluate(&rules, &parse(facts)), evaluate(&rules, &parse(&smaller)));
        assert!(after.effect <= before.effect, "seed {}\n{facts:#}\n{before:?}\n{after:?}", seed());
    });
}

#[test]
fn the_same_facts_give_the_same_decision_and_the_same_bytes() {
    let rules = RuleSet::builtin().unwrap();
    let again = RuleSet::builtin().unwrap();
    assert_eq!(rules.digest(), again.digest());
    each(|_, facts| {
        let facts = parse(facts);
        let canonical = facts.canonical();
        let replayed = Facts::parse(&canonical).unwrap();
        assert_eq!(replayed.canonical(), canonical);
        assert_eq!(decide(&rules, &facts), decide(&again, &replayed));
        let outcome = evaluate(&rules, &facts);
        let decision = decide(&rules, &facts);
        assert_eq!((outcome.effect, outcome.rules), (decision.effect, decision.rules));
        let written: policy::Decision =
            serde_json::from_str(&serde_json::to_string(&decide(&rules, &facts)).unwrap()).unwrap();
        assert_eq!(written, decide(&rules, &facts));
    });
}

/// Institutions may add rules of their own: narrower than the law, never wider.
#[test]
fn adding_a_forbid_never_makes_a_decision_milder() {
    let rules = RuleSet::builtin().unwrap();
    let conditions = [
        "true",
        "context.has_personal",
        "context.purpose == \"marketing\"",
        "context.recipient_place like \"CN-*\"",
        "context.persons_year > 500000",
        "context has mechanism && context.mechanism.kind == \"gba_sc\"",
        "context.basis.contains(\"GEN\")",
        // Overflows: fails to evaluate, which denies.
        "context.persons_year * 9223372036854775807 > 0",
    ];
    let sets: Vec<RuleSet> = conditions
        .iter()
        .flat_map(|condition| ["deny", "review"].map(|level| (condition, level)))
        .map(|(condition, level)| {
            let mut sources = Sources::builtin();
            sources.rules.insert(
                "own.cedar".to_owned(),
                format!(
                    "@id(\"OWN-1\") @level(\"{level}\") @direction(\"CN-OUT, HK-OUT, DOMESTIC\") \
                     @citation(\"House rule\") @in_force(\"2026-01-01\") @message_en(\"a\") \
                     @message_zh_hans(\"b\") @message_zh_hant(\"c\") \
                     forbid (principal, action == Action::\"export\", resource) when {{ {condition} }};"
                ),
            );
            RuleSet::from_sources(&sources).unwrap()
        })
        .collect();
    each(|random, facts| {
        let facts = parse(facts);
        let narrower = &sets[usize::try_from(random.below(sets.len() as u64)).unwrap()];
        let (law, own) = (evaluate(&rules, &facts), evaluate(narrower, &facts));
        assert!(own.effect >= law.effect, "{law:?}\n{own:?}");
        assert_eq!((law.basis, law.needed, law.counters_after), (own.basis, own.needed, own.counters_after));
    });
}

#[test]
fn the_worse_of_two_is_deny_then_review_then_allow() {
    assert!(Effect::Deny > Effect::Review && Effect::Review > Effect::Allow);
    let rules = RuleSet::builtin().unwrap();
    let mut previous = None;
    each(|_, facts| {
        let this = decide(&rules, &parse(facts));
        if let Some(previous) = previous.replace(this.clone()) {
            let previous: policy::Decision = previous;
            let both = worse(previous.clone(), this.clone());
            assert_eq!(both.effect, previous.effect.worse(this.effect));
            assert!(both == previous || both == this);
        }
    });
}

/// The cost and the answer depend on the classes in a selection, not on how many columns there are.
#[test]
fn a_thousand_more_columns_change_nothing() {
    let rules = RuleSet::builtin().unwrap();
    let mut random = Random(seed());
    let mut facts = generator::facts(&mut random);
    facts["dataset"]["columns"] = json!([{ "name": "a", "class": "sensitive" }]);
    facts["columns"] = json!("*");
    let narrow = evaluate(&rules, &parse(&facts));
    let columns = facts["dataset"]["columns"].as_array_mut().unwrap();
    columns.extend((0..1_000).map(|i| json!({ "name": format!("c{i}"), "class": "personal" })));
    assert_eq!(evaluate(&rules, &parse(&facts)), narrow);
}
