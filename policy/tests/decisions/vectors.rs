//! The worked cases of the specification.

use policy::{RuleSet, decide_line, decide_lines};
use serde_json::Value;

const VECTORS: &str = include_str!("../../vectors/policy.jsonl");

#[test]
fn every_worked_case_comes_out_as_written() {
    let rules = RuleSet::builtin().unwrap();
    let mut cases = 0;
    for line in VECTORS.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let answer: Value = serde_json::from_str(&decide_line(&rules, &case["facts"].to_string())).unwrap();
        for (member, expected) in case["decision"].as_object().unwrap() {
            assert_eq!(&answer[member], expected, "{}: {member}\n{answer:#}", case["name"]);
        }
        cases += 1;
    }
    assert_eq!(cases, 83);
}

#[test]
fn a_decision_has_the_members_of_the_specification_in_order() {
    let rules = RuleSet::builtin().unwrap();
    let case: Value = serde_json::from_str(VECTORS.lines().nth(1).unwrap()).unwrap();
    let answer = decide_line(&rules, &case["facts"].to_string());
    let members = [
        "effect",
        "direction",
        "needed",
        "basis",
        "rules",
        "counters_after",
        "columns_allowed",
        "reasons",
        "remedies",
        "policy",
    ];
    let mut rest = answer.as_str();
    for member in members {
        let at = rest.find(&format!("\"{member}\":")).unwrap_or_else(|| panic!("{member} in {answer}"));
        rest = &rest[at + 1..];
    }
    let value: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(value.as_object().unwrap().len(), members.len());
    assert_eq!(
        value["remedies"],
        serde_json::json!([
            { "kind": "drop-columns", "columns": ["id_no"] },
            { "kind": "attach-mechanism", "any_of": ["sc", "cert", "gba_sc"] },
        ])
    );
    assert_eq!(value["policy"], rules.digest());
    for (reason, rule) in value["reasons"].as_array().unwrap().iter().zip(value["rules"].as_array().unwrap()) {
        assert_eq!(&reason["rule"], rule);
        for script in ["en", "zh-Hans", "zh-Hant"] {
            assert!(!reason["message"][script].as_str().unwrap().is_empty());
        }
    }
}

#[test]
fn a_batch_answers_each_line() {
    let rules = RuleSet::builtin().unwrap();
    let case: Value = serde_json::from_str(VECTORS.lines().next().unwrap()).unwrap();
    let good = case["facts"].to_string();
    let answers: Vec<Value> = decide_lines(&rules, [good.as_str(), "{", "", good.as_str()])
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect();
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[0]["effect"], "allow");
    assert_eq!(answers[0], answers[3]);
    for bad in &answers[1..3] {
        assert_eq!(bad["error"]["code"], "bad_input");
        assert!(bad["error"]["message"].as_str().unwrap().contains("not JSON"));
        assert_eq!(bad.as_object().unwrap().len(), 1);
    }
}
