//! What an explanation says, to whom.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use policy::{Facts, RuleSet, decide};
use serde_json::{Value, json};

use super::{Explain, Viewer};

/// Sensitive columns out of Shenzhen, `sensitive` people exported so far, no mechanism.
fn facts(sensitive: u64, edit: impl FnOnce(&mut Value)) -> Facts {
    let mut facts = json!({
        "now": "2026-11-22T10:00:00+08:00", "purpose": "academic-research",
        "exporter": {"id": "qianhai", "place": "CN-440300", "ciio": "no",
                     "counters": {"persons": 20_000, "sensitive": sensitive, "baseline": true}},
        "recipient": {"id": "hku", "place": "HK", "accessed_from": "HK", "restricted": false,
                      "foreign_authority_request": false},
        "dataset": {"id": "yue-speech", "version": "1", "class": "general", "important_status": "no",
                    "state_secret": false, "controlled_item": false, "genetic_resource": false, "geospatial": false,
                    "source_statement": true, "collected_in": ["CN"], "domestic_pi_introduced": false,
                    "columns": [{"name": "text", "class": "none"}, {"name": "id_no", "class": "sensitive"}],
                    "subjects": {"persons": 12_000, "sensitive": 300, "under_14": 0}},
        "columns": "*",
        "preconditions": {"notice": true, "separate_consent": true, "pipia": "PIPIA-2026-001"},
    });
    edit(&mut facts);
    Facts::parse(&facts.to_string()).unwrap()
}

fn explained(facts: &Facts, viewer: Viewer) -> (Explain, Value) {
    let rules = RuleSet::builtin().unwrap();
    let decision = decide(&rules, facts);
    let explain = Explain::of(&rules, facts, &decision, viewer);
    let beside = explain.beside(&decision, viewer);
    (explain, beside)
}

#[test]
fn the_provider_reads_the_number_and_the_consumer_that_it_is_reached() {
    let facts = facts(12_000, |_| {});
    let (explain, beside) = explained(&facts, Viewer::Provider);
    let value = explain.to_value();
    assert_eq!(value["rules"], json!(["CN-04", "MECH-MISSING"]));
    let fact = &value["because"][0]["facts"][0];
    assert_eq!(fact["fact"], "exporter.counters.sensitive + Q");
    assert_eq!((&fact["value"], &fact["passes"]), (&json!(12_300), &json!({"test": "below", "value": 10_000})));
    let text = fact["text"]["en"].as_str().unwrap();
    assert!(text.ends_with("12,300; would pass: below 10,000"), "{text}");
    assert_eq!(beside["counters_after"], json!({"persons": 32_000, "sensitive": 12_300}));

    for viewer in [Viewer::Consumer, Viewer::Authority] {
        let (explain, beside) = explained(&facts, viewer);
        let all = explain.to_value().to_string() + &beside.to_string();
        let hidden = viewer == Viewer::Consumer;
        for number in ["12300", "12,300", "12000", "32000"] {
            assert!(!hidden || !all.contains(number), "{number} in {all}");
        }
        let fact = &explain.because[0].facts[0];
        assert_eq!(fact.withheld, hidden);
        assert_eq!(beside["counters_after"].is_null(), hidden);
        assert_eq!(explain.counters_after.is_none(), hidden);
        assert_eq!(fact.text.en.contains("the mark is reached"), hidden);
    }
}

#[test]
fn up_to_how_many_may_be_declared_is_not_told_to_a_consumer() {
    let facts = facts(0, |facts| {
        facts["dataset"]["subjects"] = Value::Null;
        facts["dataset"]["columns"][1]["class"] = json!("personal");
    });
    let (provider, _) = explained(&facts, Viewer::Provider);
    assert_eq!(provider.remedies[1]["at_most"]["persons"], 79_999);
    assert!(provider.help[1].text.en.contains("79,999"));
    let (consumer, beside) = explained(&facts, Viewer::Consumer);
    assert_eq!(consumer.remedies[1], json!({"kind": "declare-subjects"}));
    for text in [consumer.to_value().to_string(), beside.to_string()] {
        assert!(!text.contains("79999") && !text.contains("79,999"), "{text}");
    }
}

#[test]
fn a_remedy_has_words_somebody_and_a_command() {
    let (explain, _) = explained(&facts(0, |_| {}), Viewer::Consumer);
    let kinds: Vec<&str> = explain.help.iter().map(|help| help.kind.as_str()).collect();
    assert_eq!(kinds, ["drop-columns", "attach-mechanism"]);
    assert_eq!(explain.help[0].commands, ["kouan pull yue-speech@1 --redact --purpose academic-research"]);
    assert!(explain.help[0].text.zh_hant.contains("id_no") && explain.help[0].who[0].text.en == "you");
    let command = &explain.help[1].commands[0];
    for part in ["--kind sc", "--exporter qianhai", "--recipient hku", "--dataset yue-speech"] {
        assert!(command.contains(part), "{part} in {command}");
    }
    let who: Vec<&str> = explain.help[1].who.iter().map(|who| who.text.en.as_str()).collect();
    assert_eq!(who[0], "the provider (qianhai)");
    assert_eq!(who[1], "the compliance officer of the recipient (hku)");
    assert_eq!(who[2], "a compliance officer of an authority");
    // Part of the columns was asked for: the command asks for the part that may leave.
    let part = facts(0, |facts| {
        facts["dataset"]["columns"] = json!([{"name": "a b", "class": "none"}, {"name": "c", "class": "none"},
                                             {"name": "id_no", "class": "sensitive"}]);
        facts["columns"] = json!(["a b", "id_no"]);
    });
    let (explain, _) = explained(&part, Viewer::Consumer);
    assert_eq!(explain.help[0].commands, ["kouan pull yue-speech@1 --columns 'a b' --purpose academic-research"]);
}

#[test]
fn two_faults_are_one_remedy_of_two_steps() {
    let facts = facts(0, |facts| facts["preconditions"]["notice"] = json!(false));
    let (explain, _) = explained(&facts, Viewer::Consumer);
    let all_of = explain.help.iter().find(|help| help.kind == "all-of").unwrap();
    assert_eq!(all_of.steps.len(), 2);
    let notice = all_of.steps.iter().find(|step| step.kind == "add-precondition").unwrap();
    assert!(notice.text.en.starts_with("Tell the people; then register"), "{}", notice.text.en);
    assert!(notice.text.en.contains("notice = true") && notice.text.zh_hans.contains("告知个人"));
    let missing = explain.because.iter().find(|because| because.rule.as_str() == "CN-16").unwrap();
    assert_eq!(missing.facts.len(), 1);
    assert_eq!(missing.facts[0].text.en, "whether the people were told: no; would pass: yes");
    assert_eq!(missing.facts[0].text.zh_hant, "是否已告知個人：否；可通過的情形：是");
}

#[test]
fn what_nobody_can_cure_says_so() {
    let facts = facts(0, |facts| facts["dataset"]["state_secret"] = json!(true));
    let (explain, _) = explained(&facts, Viewer::Consumer);
    assert!(explain.help.is_empty() && explain.remedies.is_empty());
    assert!(explain.because[0].who[0].text.en.starts_with("nobody"));
}

#[test]
fn an_allow_names_its_basis_without_the_number() {
    let facts = facts(0, |facts| facts["dataset"]["columns"][1]["class"] = json!("personal"));
    let (explain, _) = explained(&facts, Viewer::Consumer);
    assert_eq!(explain.because[0].level, policy::Weight::Basis);
    let year = explain.because[0].facts.last().unwrap();
    assert!(year.withheld && year.text.en.ends_with("(this basis: below 100,000)"), "{}", year.text.en);
    let (explain, _) = explained(&facts, Viewer::Provider);
    assert!(explain.because[0].facts.last().unwrap().text.en.contains("32,000"));
}

#[test]
fn where_a_person_decides_the_request_is_named() {
    let facts = facts(0, |facts| {
        facts["columns"] = json!(["text"]);
        facts["dataset"]["geospatial"] = json!(true);
    });
    let (explain, _) = explained(&facts, Viewer::Consumer);
    let review = explain.review.unwrap();
    assert_eq!(review.commands, ["kouan review request yue-speech@1 --columns text --purpose academic-research"]);
    assert!(review.text.zh_hans.contains("申请审查"));
    let (explain, _) = explained(&self::facts(0, |_| {}), Viewer::Consumer);
    assert!(explain.review.is_none(), "no officer can release a denial");
}

#[test]
fn an_explanation_survives_its_json() {
    for viewer in [Viewer::Consumer, Viewer::Provider] {
        let (explain, _) = explained(&facts(12_000, |_| {}), viewer);
        let read: Explain = serde_json::from_value(explain.to_value()).unwrap();
        assert_eq!(read, explain);
    }
}
