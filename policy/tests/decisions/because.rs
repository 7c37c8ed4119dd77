//! What an explanation says would pass, carried out on the JSON of the facts: the rule must be gone.

use policy::{Because, Decided, Effect, Fact, FactValue, Facts, Passing, RuleSet, Weight, because, evaluate};
use serde_json::{Value, json};

use super::generator::{self, Random};
use super::oracle::seed;

const CASES: u64 = 3_000;

#[test]
fn what_would_have_passed_passes() {
    let rules = RuleSet::builtin().unwrap();
    let mut seen = std::collections::BTreeMap::new();
    for case in 0..CASES {
        let mut random = Random(seed().rotate_left(17) ^ (case << 21));
        let facts = generator::facts(&mut random);
        let parsed = Facts::parse(&facts.to_string()).unwrap();
        let outcome = evaluate(&rules, &parsed);
        let all = because(&rules, &parsed);
        let ids: Vec<_> = all.iter().map(|because| because.rule.clone()).collect();
        assert_eq!(ids, outcome.rules, "one explanation for each rule\n{facts:#}");
        for because in &all {
            *seen.entry(because.rule.to_string()).or_insert(0) += 1;
            let told = || format!("POLICY_SEED={}, case {case}: {because:#?}\n{facts:#}", seed());
            assert!(!because.facts.is_empty() && !because.citation.is_empty(), "{}", told());
            assert_eq!(because.who.is_empty(), because.level == Weight::Basis, "{}", told());
            if because.level == Weight::Basis {
                continue;
            }
            let cured = cured(&facts, because);
            let after = evaluate(&rules, &Facts::parse(&cured.to_string()).unwrap());
            // A harsher answer hides the rules that ask for a review.
            let hidden = after.effect > outcome.effect;
            assert!(hidden || !after.rules.contains(&because.rule), "{}\n{after:?}\n{cured:#}", told());
        }
    }
    for rule in rules.rules() {
        let silent = matches!(rule.level, policy::Level::Accept { .. });
        // An emergency is always reviewed, so that its step never stands alone.
        assert!(
            silent || rule.id.as_str() == "CN-13" || seen.contains_key(rule.id.as_str()),
            "{} never came up",
            rule.id
        );
    }
}

/// The facts with every deciding fact of one rule set to what would have passed.
fn cured(facts: &Value, because: &Because) -> Value {
    let mut facts = facts.clone();
    for decided in &because.facts {
        pass(&mut facts, decided);
    }
    facts
}

fn pass(facts: &mut Value, decided: &Decided) {
    let wanted = serde_json::to_value(&decided.passes.value).unwrap();
    match decided.fact {
        Fact::PersonsYear | Fact::SensitiveYear => {
            assert_eq!(decided.passes.test, Passing::Below);
            facts["exporter"]["counters"]["persons"] = json!(0);
            facts["exporter"]["counters"]["sensitive"] = json!(0);
            let FactValue::Count(bound) = decided.passes.value else { panic!("{decided:?}") };
            if !facts["dataset"]["subjects"].is_null() {
                facts["dataset"]["subjects"] = json!({"persons": bound - 1, "sensitive": 1, "under_14": 0});
            }
        }
        Fact::SensitiveColumns => {
            assert_eq!(decided.passes.test, Passing::None);
            let FactValue::List(sensitive) = &decided.value else { panic!("{decided:?}") };
            let names: Vec<Value> = match &facts["columns"] {
                Value::String(_) => {
                    facts["dataset"]["columns"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect()
                }
                names => names.as_array().unwrap().clone(),
            };
            facts["columns"] = names.into_iter().filter(|name| !sensitive.iter().any(|out| name == out)).collect();
        }
        Fact::Sensitive => {
            assert_eq!(wanted, json!(0));
            facts["dataset"]["subjects"]["sensitive"] = wanted.clone();
            facts["dataset"]["subjects"]["under_14"] = wanted;
        }
        Fact::Persons => facts["dataset"]["subjects"]["persons"] = wanted,
        Fact::Subjects => facts["dataset"]["subjects"] = json!({"persons": 0, "sensitive": 0, "under_14": 0}),
        Fact::MechanismKind => {
            let kind = wanted.as_array().unwrap().first().expect("some kind always serves").clone();
            let today = policy::Moment::parse(facts["now"].as_str().unwrap()).unwrap().today().to_string();
            facts["mechanism"] = json!({"kind": kind, "reference": "NEW", "effective": today, "filed": today,
                                        "expires": today, "datasets": ["*"], "purposes": ["*"]});
        }
        Fact::MechanismDatasets => facts["mechanism"]["datasets"] = json!([wanted]),
        Fact::MechanismPurposes => facts["mechanism"]["purposes"] = json!([wanted]),
        // No fact: a later release has the calendar. A contract that was filed at once is in time under any.
        Fact::CalendarsMissing => facts["mechanism"]["filed"] = facts["mechanism"]["effective"].clone(),
        // Whoever took them out of these places would have to move.
        Fact::AccessedFrom | Fact::RecipientPlace | Fact::ExporterPlace => {
            let place = match (decided.passes.test, &wanted) {
                (Passing::IsNot, _) => json!("HK"),
                (_, Value::Array(places)) => {
                    let place = places[0].as_str().unwrap();
                    json!(if place.len() == 7 { format!("{place}00") } else { place.to_owned() })
                }
                (_, place) => place.clone(),
            };
            set(facts, decided.fact, place);
        }
        Fact::Licence | Fact::Pipia => set(facts, decided.fact, json!("REFERENCE")),
        Fact::Exemption => facts["exemption"] = Value::Null,
        Fact::Dpp3 => facts["hk"] = json!({"dpp3": "consented"}),
        Fact::Class => set(facts, decided.fact, json!("general")),
        Fact::ImportantStatus => set(facts, decided.fact, json!("no")),
        fact => set(facts, fact, wanted),
    }
}

fn set(facts: &mut Value, fact: Fact, value: Value) {
    let mut place = facts;
    for member in fact.as_str().split('.') {
        place = &mut place[member];
    }
    *place = value;
}

#[test]
fn the_worked_example_reads_as_the_specification_says() {
    let case: Value = serde_json::from_str(include_str!("../../vectors/policy.jsonl").lines().nth(1).unwrap()).unwrap();
    let mut facts = case["facts"].clone();
    facts["exporter"]["counters"]["sensitive"] = json!(12_000);
    facts["preconditions"]["pipia"] = Value::Null;
    let rules = RuleSet::builtin().unwrap();
    let parsed = Facts::parse(&facts.to_string()).unwrap();
    assert_eq!(evaluate(&rules, &parsed).effect, Effect::Deny);
    let told: Value = serde_json::to_value(because(&rules, &parsed)).unwrap();
    assert_eq!(
        told[0]["facts"],
        json!([{"fact": "exporter.counters.sensitive + Q", "value": 12_300, "passes": {"test": "below", "value": 10_000}}])
    );
    assert_eq!(
        told[1]["facts"],
        json!([{"fact": "preconditions.pipia", "value": null, "passes": {"test": "given", "value": null}}])
    );
    assert_eq!(
        told[2]["facts"],
        json!([{"fact": "mechanism.kind", "value": null, "passes": {"test": "is", "value": ["sa"]}}])
    );
}
