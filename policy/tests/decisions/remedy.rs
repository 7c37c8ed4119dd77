//! Remedies, carried out on the JSON of the facts by somebody who has read only the answer.

use policy::{RuleSet, decide_line};
use serde_json::{Value, json};

/// Every remedy, alone, turns the answer into `allow`.
pub fn check(rules: &RuleSet, facts: &Value, answer: &Value) {
    let remedies = answer["remedies"].as_array().unwrap();
    assert!(answer["effect"] != "allow" || remedies.is_empty());
    for remedy in remedies {
        for cured in carry_out(facts, remedy) {
            let after: Value = serde_json::from_str(&decide_line(rules, &cured.to_string())).unwrap();
            assert_eq!(after["effect"], "allow", "{remedy:#}\n{facts:#}\n{after:#}");
        }
    }
    let allowed = answer["columns_allowed"].as_array().unwrap();
    if answer["effect"] != "allow" {
        let dropped = remedies.iter().find(|remedy| remedy["kind"] == "drop-columns");
        assert_eq!(dropped.is_some(), !allowed.is_empty());
    }
}

/// The facts after `remedy`, once for each way of carrying it out.
fn carry_out(facts: &Value, remedy: &Value) -> Vec<Value> {
    let mut cured = facts.clone();
    match remedy["kind"].as_str().unwrap() {
        "drop-columns" => {
            let dropped = remedy["columns"].as_array().unwrap();
            assert!(!dropped.is_empty());
            let names: Vec<Value> = match &facts["columns"] {
                Value::String(_) => {
                    facts["dataset"]["columns"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect()
                }
                names => names.as_array().unwrap().clone(),
            };
            cured["columns"] = json!(names.into_iter().filter(|n| !dropped.contains(n)).collect::<Vec<_>>());
        }
        "attach-mechanism" => {
            let kinds = remedy["any_of"].as_array().unwrap();
            assert!(!kinds.is_empty());
            let today = policy::Moment::parse(facts["now"].as_str().unwrap()).unwrap().today();
            return kinds
                .iter()
                .map(|kind| {
                    let mut cured = cured.clone();
                    cured["mechanism"] = json!({
                        "kind": kind, "reference": "NEW-1", "effective": today.to_string(),
                        "filed": today.to_string(), "expires": "9999-01-01", "datasets": ["*"], "purposes": ["*"],
                    });
                    cured
                })
                .collect();
        }
        "record-filing" => cured["mechanism"]["filed"] = remedy["filed_by"].clone(),
        "add-precondition" => {
            for missing in remedy["missing"].as_array().unwrap() {
                let value = if missing == "pipia" { json!("PIPIA-9") } else { json!(true) };
                cured["preconditions"][missing.as_str().unwrap()] = value;
            }
        }
        "name-licence" => cured["licence"] = json!("LIC-1"),
        "state-source" => cured["dataset"]["source_statement"] = json!(true),
        "record-baseline" => cured["exporter"]["counters"]["baseline"] = json!(true),
        "declare-subjects" => {
            let none = json!({ "persons": 0, "sensitive": 0, "under_14": 0 });
            return [none, remedy["at_most"].clone()]
                .into_iter()
                .map(|subjects| {
                    let mut cured = cured.clone();
                    cured["dataset"]["subjects"] = subjects;
                    cured
                })
                .collect();
        }
        "declare-class" => {
            cured["dataset"]["class"] = remedy["class"].clone();
            cured["dataset"]["important_status"] = remedy["important_status"].clone();
        }
        "declare-ciio" => cured["exporter"]["ciio"] = remedy["ciio"].clone(),
        "answer-dpp3" => {
            return remedy["any_of"]
                .as_array()
                .unwrap()
                .iter()
                .map(|dpp3| {
                    let mut cured = cured.clone();
                    cured["hk"] = json!({ "dpp3": dpp3 });
                    cured
                })
                .collect();
        }
        "read-from" => cured["recipient"]["accessed_from"] = remedy["place"].clone(),
        "all-of" => {
            let steps = remedy["steps"].as_array().unwrap();
            assert!(steps.len() > 1);
            let mut ways = vec![cured];
            for step in steps {
                ways = ways.iter().flat_map(|facts| carry_out(facts, step)).collect();
            }
            return ways;
        }
        other => panic!("no such remedy: {other}"),
    }
    vec![cured]
}

/// A member by its pointer, and what it becomes.
type Edit = (&'static str, Value);

/// A case of the worked vectors, changed, and the kinds of remedy that are offered.
#[test]
fn each_kind_is_offered_where_it_helps() {
    let rules = RuleSet::builtin().unwrap();
    let base: Value = include_str!("../../vectors/policy.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|case| case["name"] == "personal, below 100,000")
        .unwrap()["facts"]
        .clone();
    let gba = |filed: Value| {
        json!({ "kind": "gba_sc", "reference": "G", "effective": "2026-10-01", "filed": filed, "expires": null,
                "datasets": ["*"], "purposes": ["*"], "persons_max": null })
    };
    let cases: Vec<(Vec<Edit>, Vec<&str>)> = vec![
        (vec![], vec![]),
        (vec![("/preconditions/pipia", json!(null))], vec!["drop-columns", "add-precondition"]),
        (vec![("/exporter/counters/baseline", json!(false))], vec!["drop-columns", "record-baseline"]),
        (vec![("/dataset/subjects", json!(null))], vec!["drop-columns", "declare-subjects"]),
        (vec![("/dataset/class", json!("unknown"))], vec!["declare-class"]),
        (vec![("/dataset/source_statement", json!(false))], vec!["state-source"]),
        (vec![("/dataset/controlled_item", json!(true))], vec!["name-licence"]),
        (vec![("/exporter/ciio", json!("unknown"))], vec!["drop-columns", "attach-mechanism", "declare-ciio"]),
        (vec![("/recipient/accessed_from", json!("unknown"))], vec!["read-from"]),
        (
            vec![("/columns", json!("*")), ("/mechanism", gba(json!(null)))],
            vec!["drop-columns", "attach-mechanism", "record-filing"],
        ),
        // Nothing that the parties can do by themselves.
        (vec![("/dataset/state_secret", json!(true))], vec![]),
        (vec![("/recipient/restricted", json!(true))], vec![]),
        (vec![("/dataset/genetic_resource", json!(true))], vec![]),
        (vec![("/exporter/place", json!("MO"))], vec![]),
        // Two faults at once: one remedy of two steps.
        (vec![("/preconditions/notice", json!(false)), ("/columns", json!("*"))], vec!["drop-columns", "all-of"]),
        (
            vec![
                ("/exporter/place", json!("HK")),
                ("/recipient/place", json!("CN-440300")),
                ("/hk", json!({"dpp3": "new-purpose"})),
            ],
            vec!["drop-columns", "answer-dpp3"],
        ),
    ];
    for (edits, expected) in cases {
        let mut facts = base.clone();
        for (pointer, value) in &edits {
            *facts.pointer_mut(pointer).unwrap() = value.clone();
        }
        let answer: Value = serde_json::from_str(&decide_line(&rules, &facts.to_string())).unwrap();
        let kinds: Vec<&str> =
            answer["remedies"].as_array().unwrap().iter().map(|r| r["kind"].as_str().unwrap()).collect();
        if edits.iter().any(|(pointer, _)| *pointer == "/preconditions/notice") {
            // Without its sensitive columns the selection still lacks the notice.
            assert_eq!(answer["columns_allowed"], json!(["text"]));
        }
        assert_eq!(kinds, expected, "{edits:?}\n{answer:#}");
        check(&rules, &facts, &answer);
    }
}

#[test]
fn the_most_that_may_be_declared_is_told_to_the_person() {
    let rules = RuleSet::builtin().unwrap();
    let case = include_str!("../../vectors/policy.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|case| case["name"] == "subjects not known")
        .unwrap();
    let answer: Value = serde_json::from_str(&decide_line(&rules, &case["facts"].to_string())).unwrap();
    let declared = &answer["remedies"][1];
    assert_eq!(declared["kind"], "declare-subjects");
    assert_eq!(declared["at_most"], json!({ "persons": 99_999, "sensitive": 0, "under_14": 0 }));
}
