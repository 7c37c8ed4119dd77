//! Texts that somebody broke: facts and rules are read or refused, and nothing panics.

use policy::{Facts, RuleSet, Sources, because, decide, evaluate};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::generator::{self, Random};

/// One edit of a text.
#[derive(Debug, Clone)]
enum Edit {
    Remove(Index, usize),
    Insert(Index, String),
    Repeat(Index, usize),
    Swap(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let token = prop::sample::select(vec![
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        ";",
        ",",
        ":",
        "@",
        "//",
        "null",
        "true",
        "-1",
        "1e999",
        "9007199254740992",
        "when",
        "unless",
        "has",
        "like",
        "in",
        "context",
        "principal == ?principal",
        "\u{0}",
        "\u{feff}",
        "\u{202e}",
        "口岸",
        "\n",
        "@id(\"X\")",
        "forbid (principal, action, resource);",
        "\"columns\": []",
    ]);
    prop_oneof![
        (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        (any::<Index>(), token).prop_map(|(at, token)| Edit::Insert(at, token.to_owned())),
        (any::<Index>(), "\\PC{0,8}").prop_map(|(at, text)| Edit::Insert(at, text)),
        (any::<Index>(), 1..60_usize).prop_map(|(at, length)| Edit::Repeat(at, length)),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Edit::Swap(one, other)),
    ]
}

/// Edits by characters, so that the text stays a text.
fn edited(text: &str, edits: &[Edit]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for edit in edits {
        let length = chars.len();
        match edit {
            Edit::Remove(at, count) => {
                let at = at.index(length + 1);
                chars.drain(at..(at + count).min(length));
            }
            Edit::Insert(at, token) => {
                let at = at.index(length + 1);
                chars.splice(at..at, token.chars());
            }
            Edit::Repeat(at, count) => {
                let at = at.index(length + 1);
                let part = chars[at..(at + count).min(length)].to_vec();
                chars.splice(at..at, part);
            }
            Edit::Swap(one, other) if length > 0 => chars.swap(one.index(length), other.index(length)),
            Edit::Swap(..) => {}
        }
    }
    chars.into_iter().collect()
}

/// Somewhere in a JSON value, something else.
fn replaced(value: &mut Value, at: Index, by: &Value) {
    let mut pointers = Vec::new();
    collect(value, String::new(), &mut pointers);
    let pointer = pointers.swap_remove(at.index(pointers.len()));
    *value.pointer_mut(&pointer).unwrap() = by.clone();
}

fn collect(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| collect(value, format!("{at}/{name}"), pointers));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| collect(value, format!("{at}/{index}"), pointers));
        }
        _ => {}
    }
    pointers.push(at);
}

fn odd() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(9_007_199_254_740_991_u64),
        json!(9_007_199_254_740_992_u64),
        json!(""),
        json!("*"),
        json!("unknown"),
        json!("CN-710000"),
        json!("2026-02-30"),
        json!("9999-12-31T23:59:59Z"),
        json!("0000-01-01"),
        json!([]),
        json!(["*", "*"]),
        json!({}),
        json!([[]]),
        json!("gba_sc"),
        json!("a\u{0}b"),
    ])
}

/// What was read can be decided and explained; what was not is refused in a bounded sentence.
fn facts_are_read_or_refused(rules: &RuleSet, text: &str) {
    match Facts::parse(text) {
        Ok(facts) => {
            let canonical = facts.canonical();
            assert_eq!(Facts::parse(&canonical).unwrap().canonical(), canonical);
            let decision = decide(rules, &facts);
            assert_eq!(decision.effect, evaluate(rules, &facts).effect);
            assert_eq!(because(rules, &facts).len(), decision.rules.len());
        }
        Err(error) => {
            let error = error.to_string();
            assert!(!error.is_empty() && error.len() < 2_000 && !error.contains('\u{0}'), "{error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn broken_facts_are_refused_in_words(seed: u64, edits in prop::collection::vec(edit(), 0..6)) {
        let rules = rules();
        let text = edited(&generator::facts(&mut Random(seed)).to_string(), &edits);
        facts_are_read_or_refused(rules, &text);
    }

    #[test]
    fn odd_facts_are_decided_or_refused(seed: u64, odd in prop::collection::vec((any::<Index>(), odd()), 1..4)) {
        let rules = rules();
        let mut facts = generator::facts(&mut Random(seed));
        for (at, value) in odd {
            replaced(&mut facts, at, &value);
        }
        facts_are_read_or_refused(rules, &facts.to_string());
    }
}

/// Parsed once for all cases.
fn rules() -> &'static RuleSet {
    static RULES: std::sync::OnceLock<RuleSet> = std::sync::OnceLock::new();
    RULES.get_or_init(|| RuleSet::builtin().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn broken_rules_are_refused_with_their_line(file: Index, edits in prop::collection::vec(edit(), 1..5)) {
        let builtin = Sources::builtin();
        let (name, text) = builtin.rules.iter().nth(file.index(builtin.rules.len())).unwrap();
        let text = edited(text, &edits);
        // One file alone loads faster than all of the law.
        let sources = Sources {
            schema: builtin.schema.clone(),
            rules: [(name.clone(), text.clone())].into(),
            calendars: std::collections::BTreeMap::new(),
        };
        match RuleSet::from_sources(&sources) {
            // An edit may change words only, or leave whole rules out.
            Ok(rules) => prop_assert!(rules.rules().iter().all(|rule| !rule.citation.is_empty())),
            Err(error) => {
                let error = error.to_string();
                prop_assert!(error.contains(name.as_str()), "{}", error);
                let line = error.split("line ").nth(1).and_then(|rest| rest.split([':', ' ']).next());
                let line: usize = line.and_then(|line| line.parse().ok()).unwrap_or_default();
                prop_assert!((1..=text.split('\n').count()).contains(&line), "{}\n{}", error, text);
            }
        }
    }
}
