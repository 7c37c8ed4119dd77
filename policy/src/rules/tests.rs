//! What a rule set must be, and what it says of itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;

use super::*;
use crate::{Effect, Facts, Place, decide, evaluate, is_gba_eligible};

const HOUSE: &str = r#"
@id("OWN-1") @level("deny") @direction("CN-OUT") @citation("House rule") @in_force("2026-01-01")
@message_en("en") @message_zh_hans("简") @message_zh_hant("繁")
forbid (principal, action == Action::"export", resource) when { context.purpose == "academic-research" };
"#;

fn with_house(text: &str) -> Result<RuleSet, RuleSetError> {
    let mut sources = Sources::builtin();
    sources.rules.insert("house.cedar".to_owned(), text.to_owned());
    RuleSet::from_sources(&sources)
}

/// The first worked case: allowed, no personal column.
fn allowed() -> Facts {
    let line = include_str!("../../vectors/policy.jsonl").lines().next().unwrap();
    let case: serde_json::Value = serde_json::from_str(line).unwrap();
    Facts::parse(&case["facts"].to_string()).unwrap()
}

#[test]
fn the_builtin_set_is_every_file_of_its_folders() {
    let files = |folder: &str, ending: &str| -> BTreeSet<String> {
        std::fs::read_dir(format!("{}/{folder}", env!("CARGO_MANIFEST_DIR")))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(ending))
            .collect()
    };
    let sources = Sources::builtin();
    assert_eq!(sources.rules.keys().cloned().collect::<BTreeSet<_>>(), files("rules", ".cedar"));
    assert_eq!(sources.calendars.keys().cloned().collect::<BTreeSet<_>>(), files("calendar", ".toml"));
}

#[test]
fn the_builtin_set_holds_every_rule_of_the_specification() {
    let rules = RuleSet::builtin().unwrap();
    let ids: Vec<&str> = rules.ids().into_iter().map(RuleId::as_str).collect();
    assert_eq!(
        ids,
        [
            "A1",
            "A10",
            "A23",
            "A3",
            "A8",
            "CN-01",
            "CN-02",
            "CN-03",
            "CN-04",
            "CN-05",
            "CN-06",
            "CN-07",
            "CN-08",
            "CN-10",
            "CN-11",
            "CN-12",
            "CN-13",
            "CN-16",
            "CN-20",
            "CN-21",
            "CN-23",
            "CN-24",
            "DOM",
            "DS-1",
            "GBA-09",
            "GBA-10",
            "GEN",
            "HG-2",
            "HK-01",
            "HK-02",
            "HK-11",
            "MECH-CALENDAR",
            "MECH-CERT",
            "MECH-DATE",
            "MECH-FILING",
            "MECH-GBA",
            "MECH-GBA-A1",
            "MECH-GBA-HK",
            "MECH-MISSING",
            "MECH-SA",
            "MECH-SC",
            "MECH-SCOPE",
            "PLACE-1",
            "UNK-CLASS",
            "UNK-PLACE",
            "UNK-SUBJECTS",
        ]
    );
    for rule in rules.rules() {
        assert_eq!(rule.message.is_none(), matches!(rule.level, Level::Accept { .. }), "{}", rule.id);
        assert!(!rule.citation.is_empty() && rule.text.contains(rule.id.as_str()));
        if let Some(message) = &rule.message {
            assert!(message.en.is_ascii() && message.en.ends_with('.'), "{}", rule.id);
            assert!(message.zh_hans.ends_with('。') && message.zh_hant.ends_with('。'), "{}", rule.id);
            assert_ne!(message.zh_hans, message.zh_hant, "{}", rule.id);
        }
    }
}

#[test]
fn the_digest_names_every_source() {
    let builtin = RuleSet::builtin().unwrap();
    assert!(builtin.digest().strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64));
    let house = with_house(HOUSE).unwrap();
    assert_ne!(house.digest(), builtin.digest());
    let mut sources = Sources::builtin();
    sources.calendars.remove("mainland-2026.toml");
    assert_ne!(RuleSet::from_sources(&sources).unwrap().digest(), builtin.digest());
}

#[test]
fn a_rule_is_refused_with_the_reason() {
    let cases = [
        (HOUSE.replace("@id(\"OWN-1\")", ""), "rule `policy 1` in `house.cedar`: `@id`"),
        (HOUSE.replace("\"deny\"", "\"allow\""), "`@level` is `allow`; it must be `deny` or `review`"),
        (HOUSE.replace("@citation(\"House rule\")", ""), "`@citation` is ``"),
        (HOUSE.replace("\"CN-OUT\"", "\"CN-IN\""), "`@direction` is `CN-IN`"),
        (HOUSE.replace("2026-01-01", "January"), "`@in_force` is `January`; it must be a date"),
        (HOUSE.replace("@message_zh_hant(\"繁\")", ""), "`@message_zh_hant`"),
        (HOUSE.replace("@message_en", "@step(\"1\") @message_en"), "`@step` is `1`; it must be left out"),
        (HOUSE.replace("forbid", "permit"), "`@action` is `permit export`"),
        (HOUSE.replace("action == Action::\"export\"", "action"), "`@action` is `any`"),
        (HOUSE.replace("resource) when", "resource == ?resource) when"), "declares a template"),
        (HOUSE.replace("purpose ==", "purposes =="), "do not fit the schema"),
        (HOUSE.replace("== \"academic-research\"", "> 1"), "do not fit the schema"),
        (HOUSE.replace("context.purpose", "context.mechanism.kind"), "do not fit the schema"),
        (HOUSE.replace("};", ""), "rule file `house.cedar` does not parse"),
    ];
    for (text, why) in cases {
        let error = with_house(&text).expect_err(why).to_string();
        assert!(error.contains(why), "{error}\n{text}");
        // Every error names a line that the file has.
        let line = error.split("line ").nth(1).and_then(|rest| rest.split([':', ' ']).next()).unwrap();
        assert!((1..=text.lines().count() + 1).contains(&line.parse().unwrap()), "{error}\n{text}");
    }
    let late = format!("\n\n// a comment; with a semicolon\n{}", HOUSE.replace("\"deny\"", "\"allow\""));
    assert!(with_house(&late).expect_err("line 5").to_string().starts_with("line 5: rule `OWN-1`"));
    let mut sources = Sources::builtin();
    sources.schema.push_str("entity");
    assert!(matches!(RuleSet::from_sources(&sources), Err(RuleSetError::Schema { .. })));
    let mut sources = Sources::builtin();
    let copy = sources.calendars["mainland-2026.toml"].clone();
    sources.calendars.insert("again.toml".to_owned(), copy);
    assert!(matches!(RuleSet::from_sources(&sources), Err(RuleSetError::Calendar { .. })));
}

#[test]
fn a_rule_applies_between_its_dates_inclusive() {
    let facts = allowed();
    for (dates, denied) in [
        ("", true),
        ("@effective_from(\"2026-11-22\")", true),
        ("@effective_from(\"2026-11-23\")", false),
        ("@effective_to(\"2026-11-22\")", true),
        ("@effective_to(\"2026-11-21\")", false),
        ("@effective_from(\"2026-01-01\") @effective_to(\"2026-12-31\")", true),
    ] {
        let rules = with_house(&HOUSE.replace("@in_force", &format!("{dates} @in_force"))).unwrap();
        assert_eq!(evaluate(&rules, &facts).effect == Effect::Deny, denied, "{dates}");
        // One that fails to evaluate does not apply outside its dates either.
        let failing = HOUSE
            .replace("@in_force", &format!("{dates} @in_force"))
            .replace("context.purpose == \"academic-research\"", "context.today * 9223372036854775807 > 0");
        let rules = with_house(&failing).unwrap();
        assert_eq!(evaluate(&rules, &facts).effect == Effect::Deny, denied, "{dates}");
    }
}

#[test]
fn a_rule_that_cannot_be_evaluated_denies_under_its_own_id() {
    let facts = allowed();
    let failing = HOUSE
        .replace("\"deny\"", "\"review\"")
        .replace("context.purpose == \"academic-research\"", "context.today * 9223372036854775807 > 0");
    let rules = with_house(&failing).unwrap();
    let decision = decide(&rules, &facts);
    assert_eq!(decision.effect, Effect::Deny);
    assert_eq!(decision.rules, [RuleId::from("OWN-1")]);
    assert_eq!(decision.basis, [RuleId::from("GEN")]);
    assert!(decision.reasons[0].message.en.contains("could not be evaluated"));
    assert!(decision.remedies.is_empty() && decision.columns_allowed.is_empty());
    // So does a step of the ladder, and what the other steps say still stands.
    let mut sources = Sources::builtin();
    let ladder = sources.rules.get_mut("provisions-2024-ladder.cedar").unwrap();
    *ladder = ladder.replace("context.persons_year >= 1000000", "context.persons_year - 9223372036854775807 - 9 < 0");
    let rules = RuleSet::from_sources(&sources).unwrap();
    let decision = decide(&rules, &facts);
    assert_eq!((decision.effect, decision.rules), (Effect::Deny, vec![RuleId::from("CN-05")]));
    assert_eq!(decision.basis, [RuleId::from("GEN")]);
}

#[test]
fn facts_without_a_step_stay() {
    let mut sources = Sources::builtin();
    sources.rules.remove("provisions-2024-ladder.cedar");
    let rules = RuleSet::from_sources(&sources).unwrap();
    let decision = decide(&rules, &allowed());
    assert_eq!(decision.effect, Effect::Deny);
    assert_eq!(decision.rules, [RuleId::from("NO-BASIS")]);
    assert_eq!(decision.reasons.len(), 1);
    assert!(decision.basis.is_empty());
}

#[test]
fn nine_cities_are_eligible_for_the_gba_contract() {
    let rules = RuleSet::builtin().unwrap();
    let today = jiff::civil::date(2026, 11, 22);
    let eligible = |place: &str| is_gba_eligible(&rules, &Place::parse(place).unwrap(), today);
    for city in ["4401", "4403", "4404", "4406", "4407", "4412", "4413", "4419", "4420"] {
        assert!(eligible(&format!("CN-{city}00")) && eligible(&format!("CN-{city}05")), "{city}");
    }
    for place in ["CN", "CN-440500", "CN-110000", "CN-044030", "HK", "MO", "GB"] {
        assert!(!eligible(place), "{place}");
    }
}
