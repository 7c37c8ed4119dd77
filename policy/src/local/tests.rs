//! What local rules must be, when they are in force, and for whom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::{Effect, Facts, RuleId, RuleSet, decide, evaluate};

fn law() -> RuleSet {
    RuleSet::builtin().unwrap()
}

fn rule(id: &str, level: &str, condition: &str) -> String {
    format!(
        "// A rule of the house; not `forbid`.\n\
         @id(\"{id}\")\n@level(\"{level}\")\n@citation(\"House rule 7; of the board\")\n\
         @message_en(\"en\") @message_zh_hans(\"简\") @message_zh_hant(\"繁\")\n\
         forbid (principal, action == Action::\"export\", resource)\nwhen {{ {condition} }};\n"
    )
}

fn sources(owner: &str, text: &str) -> LocalSources {
    LocalSources { owner: owner.to_owned(), rules: [("house.cedar".to_owned(), text.to_owned())].into() }
}

fn parse(owner: &str, text: &str) -> Result<LocalRules, LocalRulesError> {
    LocalRules::parse(&law(), sources(owner, text))
}

fn applied(owner: &str, reach: Reach, text: &str) -> Applied {
    Applied { reach, rules: Arc::new(parse(owner, text).unwrap()) }
}

/// The first worked case: allowed, no personal column, from `qh-broker` to `hku`.
fn allowed() -> Facts {
    let line = include_str!("../../vectors/policy.jsonl").lines().next().unwrap();
    let case: serde_json::Value = serde_json::from_str(line).unwrap();
    Facts::parse(&case["facts"].to_string()).unwrap()
}

#[test]
fn a_local_rule_narrows_and_tells_why() {
    let set = law().with_local(vec![applied(
        "hku",
        Reach::Own,
        &rule("hku:no-research", "deny", "context.purpose == \"academic-research\""),
    )]);
    let decision = decide(&set, &allowed());
    assert_eq!(decision.effect, Effect::Deny);
    assert_eq!(decision.rules, [RuleId::from("hku:no-research")]);
    assert_eq!(decision.reasons[0].citation, "House rule 7; of the board");
    assert_eq!(decision.reasons[0].message.zh_hant, "繁");
    assert_eq!(decision.policy, set.digest());
    assert_ne!(set.digest(), law().digest());
    assert!(decision.remedies.is_empty(), "nothing that the law knows of helps: {:?}", decision.remedies);
    assert!(decision.columns_allowed.is_empty());
    assert_eq!(law().with_local(Vec::new()).digest(), law().digest(), "the law alone keeps its digest");
}

#[test]
fn a_rule_that_cannot_be_evaluated_denies_under_its_own_id() {
    let set = law().with_local(vec![applied(
        "hku",
        Reach::Own,
        &rule("hku:overflow", "review", "context.persons_year + 9223372036854775807 > 0 && context.persons * 2 > 1"),
    )]);
    let mut facts = serde_json::to_value(allowed().gathered()).unwrap();
    facts["exporter"]["counters"]["persons"] = 1.into();
    let outcome = evaluate(&set, &Facts::parse(&facts.to_string()).unwrap());
    assert_eq!((outcome.effect, outcome.rules), (Effect::Deny, vec![RuleId::from("hku:overflow")]));
}

/// Each case is wrong in one way; line and advice say which.
#[test]
fn what_is_wrong_is_told_with_file_line_and_fix() {
    let good = rule("hku:a", "deny", "context.has_personal");
    let cases: Vec<(&str, String, usize, &str, &str)> = vec![
        ("not Cedar", good.replace("when {", "when (("), 7, "not Cedar", ""),
        ("a law's id", good.replace("hku:a", "CN-06"), 2, "`@id` is `CN-06`", "`hku:`"),
        ("somebody else's id", good.replace("hku:a", "cuhk:a"), 2, "`@id` is `cuhk:a`", "`hku:`"),
        ("no name", good.replace("hku:a", "hku:"), 2, "`@id`", "`hku:`"),
        ("no id", good.replace("@id(\"hku:a\")\n", ""), 2, "`@id` is missing", "such as `hku:no-voices`"),
        ("no level", good.replace("@level(\"deny\")\n", ""), 2, "`@level` is missing", "`deny` or `review`"),
        ("another level", good.replace("\"deny\"", "\"allow\""), 3, "`@level` is `allow`", "`deny` or `review`"),
        (
            "no citation",
            good.replace("@citation(\"House rule 7; of the board\")", ""),
            2,
            "`@citation` is missing",
            "rests on",
        ),
        ("no Chinese", good.replace("@message_zh_hant(\"繁\")", ""), 2, "`@message_zh_hant` is missing", "a sentence"),
        ("empty message", good.replace("\"简\"", "\"\""), 5, "`@message_zh_hans` is missing", "a sentence"),
        ("a step", good.replace("@level", "@step(\"0\")\n@level"), 3, "`@step` is `0`", "known are"),
        ("both", good.replace("@level", "@reason(\"x\")\n@level"), 3, "`@reason` is `x`", "left out"),
        ("a direction", good.replace("@level", "@direction(\"UNSUPPORTED\")\n@level"), 3, "UNSUPPORTED", "CN-OUT"),
        ("a day", good.replace("@level", "@effective_from(\"soon\")\n@level"), 3, "`soon`", "a date"),
        ("a permit", good.replace("forbid (", "permit ("), 6, "permit export", "only narrow"),
        ("another action", good.replace("\"export\"", "\"accept\""), 6, "forbid accept", "only narrow"),
        ("any action", good.replace("action == Action::\"export\"", "action"), 6, "any action", "only narrow"),
        ("an unknown fact", good.replace("context.has_personal", "context.colour == \"red\""), 7, "schema", ""),
        ("a wrong type", good.replace("context.has_personal", "context.persons == \"many\""), 7, "schema", ""),
        ("never", good.replace("context.has_personal", "false"), 2, "schema", ""),
        ("a template", good.replace("(principal,", "(principal == ?principal,"), 2, "template", "?principal"),
    ];
    for (what, text, line, problem, fix) in cases {
        let error = parse("hku", &text).unwrap_err();
        let first = &error.problems[0];
        assert_eq!(first.file, "house.cedar", "{what}");
        assert!(first.problem.contains(problem), "{what}: {first}");
        assert!(first.to_string().contains(fix), "{what}: {first}");
        // Cedar points at the clause, or at the policy as a whole.
        assert!(
            first.line == line || (line == 7 && first.line >= 2),
            "{what}: line {}, not {line}: {first}",
            first.line
        );
    }
}

#[test]
fn every_fault_of_every_rule_is_told_at_once() {
    let text =
        [rule("hku:a", "deny", "context.has_personal"), rule("x:b", "deny", "true"), rule("hku:c", "no", "true")];
    let error = parse("hku", &text.concat()).unwrap_err();
    let told: Vec<_> = error.problems.iter().map(|problem| (problem.line, problem.rule.as_deref())).collect();
    assert_eq!(told, [(9, Some("x:b")), (17, Some("hku:c"))], "{error}");
}

#[test]
fn a_set_has_bounds() {
    let good = rule("hku:a", "deny", "context.has_personal");
    let told = |sources: LocalSources| LocalRules::parse(&law(), sources).unwrap_err().to_string();
    assert!(told(sources("HKU", &good)).contains("id of a participant"));
    assert!(told(sources("hku", "")).contains("no rule at all"));
    assert!(told(sources("hku", &format!("{good}//{}", "x".repeat(LOCAL_BYTES_MAX)))).contains("bytes"));
    for name in ["a.txt", ".cedar", "../a.cedar", ".a.cedar", "a b.cedar"] {
        let named = LocalSources { owner: "hku".into(), rules: [(name.to_owned(), good.clone())].into() };
        assert!(told(named).contains(".cedar` at the end"), "{name}");
    }
    let many = (0..=LOCAL_FILES_MAX).map(|n| (format!("{n}.cedar"), good.replace("hku:a", &format!("hku:{n}"))));
    assert!(told(LocalSources { owner: "hku".into(), rules: many.collect() }).contains("files"));
    let long: String =
        (0..=LOCAL_RULES_MAX).map(|n| rule(&format!("hku:{n}"), "deny", "context.has_personal")).collect();
    assert!(told(sources("hku", &long)).contains("1001 rules"));
}

#[test]
fn the_check_says_what_flips_and_refuses_what_errors() {
    let rules = |condition: &str, level: &str| Arc::new(parse("hku", &rule("hku:a", level, condition)).unwrap());
    let report = check(&law(), &rules("context.has_personal", "deny"), Reach::Own);
    assert_eq!(report.vectors, 83);
    assert!(report.cases > 2 * report.vectors, "{}", report.cases);
    assert!(report.passes() && report.widened.is_empty());
    assert!(!report.flips.is_empty() && report.flips.iter().all(|flip| flip.to > flip.from));
    assert!(report.flips.iter().all(|flip| flip.rules == [RuleId::from("hku:a")]));
    assert!(report.untried().next().is_none());
    // A rule that only asks for a review changes nothing that the law denies, but it was tried there.
    let milder = check(&law(), &rules("context.has_personal", "review"), Reach::Own);
    assert!(milder.flips.len() < report.flips.len() + 1 && milder.touched == report.touched);

    let failing = check(&law(), &rules("context.persons * 9223372036854775807 > 0", "deny"), Reach::Own);
    assert!(!failing.passes());
    assert!(failing.failed.iter().all(|failure| failure.rule == RuleId::from("hku:a")));

    let idle = check(&law(), &rules("context.purpose == \"nothing of the sort\"", "deny"), Reach::Own);
    assert!(idle.passes() && idle.flips.is_empty());
    assert_eq!(idle.untried().collect::<Vec<_>>(), ["hku:a"]);
}

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn publication(version: u32, from: Option<i64>) -> Publication {
    Publication {
        version,
        digest: format!("sha256:{version:064}"),
        reach: Reach::Own,
        rule_count: 1,
        state: if from.is_some() { SetState::Activated } else { SetState::Proposed },
        note: None,
        proposed: at(0),
        activated: from.map(|_| at(i64::from(version))),
        from: from.map(at),
        revoked: None,
        reason: None,
    }
}

fn revoked(set: Publication, second: i64) -> Publication {
    Publication { state: SetState::Revoked, revoked: Some(at(second)), ..set }
}

#[test]
fn now_decides_which_set_is_in_force() {
    let timeline = Timeline {
        owner: "hku".to_owned(),
        sets: vec![
            publication(1, Some(10)),
            publication(2, None),
            publication(3, Some(20)),
            revoked(publication(4, Some(30)), 40),
        ],
    };
    let version = |second| timeline.in_force(at(second)).map(|set| set.version);
    assert_eq!(
        [9, 10, 19, 20, 29, 30, 39, 40, 99].map(version),
        [None, Some(1), Some(1), Some(3), Some(3), Some(4), Some(4), None, None]
    );
    let status = |version, second| timeline.status(version, at(second)).unwrap();
    assert_eq!(status(1, 9), SetStatus::Scheduled);
    assert_eq!(status(1, 10), SetStatus::InForce);
    assert_eq!(status(1, 20), SetStatus::Superseded);
    assert_eq!(status(2, 20), SetStatus::Proposed);
    assert_eq!(status(4, 50), SetStatus::Revoked);
    assert_eq!(timeline.status(5, at(0)), None);
    // Revoked before its moment: it never was in force, and the one before it goes on.
    let sets = vec![publication(1, Some(10)), revoked(publication(2, Some(20)), 15)];
    let timeline = Timeline { owner: "hku".to_owned(), sets };
    assert_eq!(timeline.in_force(at(25)).map(|set| set.version), Some(1));
    // Of two for one moment the later activation decides.
    let sets = vec![publication(1, Some(10)), publication(2, Some(10))];
    assert_eq!(Timeline { owner: "hku".to_owned(), sets }.in_force(at(10)).map(|set| set.version), Some(2));
}

/// Ten thousand owners have rules; an export is decided by those of its parties and of the authorities.
#[test]
fn unrelated_rules_are_not_among_those_evaluated() {
    let mut published = Published::default();
    for owner in 0..10_000 {
        let set = publication(1, Some(0));
        published.put(1, Timeline { owner: format!("p-{owner}"), sets: vec![set] });
    }
    let all = Publication { reach: Reach::All, ..publication(1, Some(0)) };
    published.put(1, Timeline { owner: "regulator".to_owned(), sets: vec![all] });
    let owners = |exporter, recipient| {
        published.in_force(exporter, recipient, at(1)).into_iter().map(|(owner, _)| owner).collect::<Vec<_>>()
    };
    assert_eq!(owners("qianhai", "hku"), ["regulator"]);
    assert_eq!(owners("p-7", "hku"), ["p-7", "regulator"]);
    assert_eq!(owners("p-7", "p-8"), ["p-7", "p-8", "regulator"]);
    assert_eq!(owners("p-7", "p-7"), ["p-7", "regulator"]);
    assert_eq!(owners("regulator", "p-1"), ["p-1", "regulator"]);
    assert_eq!(published.in_force("p-7", "hku", at(-1)), [], "nothing before its moment");
    assert_eq!(published.begun(at(-1), at(0)).len(), 10_001);
    assert!(published.begun(at(0), at(1)).is_empty());
}

#[test]
fn a_set_is_made_again_of_its_texts() {
    let rules = applied("hku", Reach::Own, &rule("hku:a", "deny", "context.purpose == \"academic-research\""));
    let set = law().with_local(vec![rules.clone()]);
    let mut library = crate::Library::default();
    assert_eq!(library.missing(set.digest()), [set.digest()]);
    assert_eq!(library.add(&set.manifest().unwrap()).unwrap(), set.digest());
    assert_eq!(library.missing(set.digest()), [law().digest(), rules.rules.digest()]);
    assert!(matches!(library.set(set.digest()), Err(crate::LibraryError::Missing { .. })));
    library.add(&crate::Sources::builtin().canonical()).unwrap();
    library.add(&rules.rules.sources().canonical()).unwrap();
    assert!(library.missing(set.digest()).is_empty());
    let again = library.set(set.digest()).unwrap();
    assert_eq!(decide(&again, &allowed()), decide(&set, &allowed()));
    assert_eq!(library.set(law().digest()).unwrap().digest(), law().digest());
    assert!(matches!(library.add("{\"colour\": \"red\"}"), Err(crate::LibraryError::Unknown { .. })));
    assert!(matches!(library.set(rules.rules.digest()), Err(crate::LibraryError::Unknown { .. })));
}

#[test]
fn a_new_set_takes_the_place_of_its_owners_old_one() {
    let old = applied("hku", Reach::Own, &rule("hku:a", "deny", "true"));
    let other = applied("regulator", Reach::All, &rule("regulator:a", "review", "true"));
    let then = law().with_local(vec![old, other.clone()]);
    let new = applied("hku", Reach::Own, &rule("hku:b", "deny", "context.has_personal"));
    let set = crate::instead(&then, &allowed(), &new).unwrap();
    let owners: Vec<_> = set.local().iter().map(|applied| applied.rules.digest()).collect();
    assert_eq!(owners, [new.rules.digest(), other.rules.digest()]);
    assert_eq!(evaluate(&set, &allowed()).rules, [RuleId::from("regulator:a")]);
    let unrelated = applied("cuhk", Reach::Own, &rule("cuhk:a", "deny", "true"));
    assert!(crate::instead(&then, &allowed(), &unrelated).is_none());
    let overseer = applied("mayor", Reach::All, &rule("mayor:a", "deny", "true"));
    assert_eq!(crate::instead(&then, &allowed(), &overseer).unwrap().local().len(), 3);
    // What was recorded is compared member by member.
    let outcome = crate::replay(&then, &allowed().canonical()).unwrap();
    let recorded = |rules: &[&str]| crate::Recorded {
        effect: outcome.effect,
        needed: outcome.needed,
        rules: crate::RecordedRules::Listed(rules.iter().map(|rule| RuleId::from(*rule)).collect()),
    };
    assert!(recorded(&["hku:a"]).agrees(&outcome) && !recorded(&["hku:b"]).agrees(&outcome));
    let counted = |count, text: &str| crate::Recorded {
        rules: crate::RecordedRules::Counted { count, digest: digest(text) },
        ..recorded(&[])
    };
    assert!(counted(1, "[\"hku:a\"]").agrees(&outcome));
    assert!(!counted(2, "[\"hku:a\"]").agrees(&outcome) && !counted(1, "[\"hku:b\"]").agrees(&outcome));
    assert!(crate::replay(&then, "{}").is_err());
}
