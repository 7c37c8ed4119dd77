//! Whatever rule is added to the law: no decision becomes milder.

use std::sync::Arc;

use policy::{Applied, Effect, Facts, LocalRules, LocalSources, Reach, RuleSet, check, evaluate};

use super::generator::{self, Random};
use super::oracle::seed;

/// Rules that are made up.
const SETS: u64 = 120;
/// Facts on which each is tried.
const FACTS: u64 = 40;

const FLAGS: [&str; 10] = [
    "has_personal",
    "has_sensitive",
    "restricted",
    "foreign_authority_request",
    "geospatial",
    "genetic_resource",
    "notice",
    "baseline",
    "subjects_known",
    "source_statement",
];
const NUMBERS: [&str; 5] = ["persons", "sensitive", "persons_year", "sensitive_year", "today"];
const TEXTS: [(&str, &str); 6] = [
    ("purpose", "academic-research"),
    ("recipient_place", "HK"),
    ("class", "general"),
    ("needed", "none"),
    ("acceptance", "accepted"),
    ("ciio", "no"),
];

/// A condition of random shape over random facts; some overflow when they are evaluated.
fn condition(random: &mut Random, depth: u64) -> String {
    match random.below(if depth == 0 { 6 } else { 9 }) {
        0 => format!("context.{}", random.pick(&FLAGS)),
        1 => {
            let (name, value) = random.pick(&TEXTS);
            format!("context.{name} == \"{value}\"")
        }
        2 => format!("context.{} > {}", random.pick(&NUMBERS), random.below(1_000_000)),
        3 => "context has mechanism && context.mechanism.kind == \"sc\"".to_owned(),
        4 => "context.basis.contains(\"GEN\")".to_owned(),
        5 => format!("context.{} * 9223372036854775807 >= 0", random.pick(&NUMBERS)),
        6 => format!("!({})", condition(random, depth - 1)),
        7 => format!("({}) && ({})", condition(random, depth - 1), condition(random, depth - 1)),
        _ => format!("({}) || ({})", condition(random, depth - 1), condition(random, depth - 1)),
    }
}

#[test]
fn no_local_rule_makes_a_decision_milder() {
    let law = RuleSet::builtin().unwrap();
    let mut random = Random(seed() ^ 0x006c_6f63_616c);
    let (mut sets, mut harsher, mut failed) = (0, 0, 0);
    for number in 0..SETS {
        let rules: Vec<String> = (0..=random.below(3))
            .map(|rule| {
                let (level, condition) = (random.pick(&["deny", "review"]), condition(&mut random, 3));
                format!(
                    "@id(\"own:{rule}\") @level(\"{level}\") @reason(\"x\") @message_en(\"a\") @message_zh_hans(\"b\") \
                     @message_zh_hant(\"c\") forbid (principal, action == Action::\"export\", resource) \
                     when {{ {condition} }};\n"
                )
            })
            .collect();
        let rules = rules.concat();
        let sources = LocalSources { owner: "own".to_owned(), rules: [("own.cedar".to_owned(), rules.clone())].into() };
        // The validator refuses conditions that can never hold; what it takes is what counts here.
        let Ok(local) = LocalRules::parse(&law, sources) else { continue };
        sets += 1;
        let local = Arc::new(local);
        let own = law.with_local(vec![Applied { reach: Reach::All, rules: Arc::clone(&local) }]);
        for _ in 0..FACTS {
            let facts = Facts::parse(&generator::facts(&mut random).to_string()).unwrap();
            let (before, after) = (evaluate(&law, &facts), evaluate(&own, &facts));
            assert!(after.effect >= before.effect, "seed {} set {number}\n{rules}\n{before:?}\n{after:?}", seed());
            assert_eq!(
                (before.basis, before.needed, before.counters_after),
                (after.basis, after.needed, after.counters_after),
                "{rules}"
            );
            if after.effect == Effect::Allow {
                assert_eq!(before.rules, after.rules);
            }
            harsher += u64::from(after.effect > before.effect);
        }
        if number % 8 == 0 {
            let report = check(&law, &local, Reach::All);
            assert!(report.widened.is_empty(), "{rules}");
            failed += u64::from(!report.failed.is_empty());
        }
    }
    assert!(sets > SETS / 2 && harsher > 100 && failed > 0, "{sets} sets, {harsher} harsher, {failed} failed: too few");
}

/// Rule files come from people and over the API: whatever is done to one, it is taken or refused, with a place that exists.
#[test]
fn mangled_rules_are_refused_with_a_place_in_the_text() {
    const GOOD: &str = "// 粵語 \"quoted\" ;\n@id(\"own:a\") @level(\"deny\") @reason(\"x;y\\\"z\")\n@message_en(\"a\") \
                        @message_zh_hans(\"简\") @message_zh_hant(\"繁\")\nforbid (principal, action == \
                        Action::\"export\", resource)\nwhen { context.has_personal && context.purpose like \"a*\" }\n\
                        unless { context.persons < 10 };\n";
    const PIECES: [&str; 12] = [
        "\"",
        ";",
        "\\",
        "//",
        "@",
        "{",
        ")",
        "when",
        "?principal",
        "\u{0}",
        "繁",
        "permit (principal, action, resource);",
    ];
    let law = RuleSet::builtin().unwrap();
    let mut random = Random(seed() ^ 0x006d_616e_676c);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..1_500 {
        let mut text: Vec<char> = GOOD.chars().collect();
        for _ in 0..=random.below(3) {
            let at = usize::try_from(random.below(text.len() as u64)).unwrap();
            match random.below(4) {
                0 => drop(text.remove(at)),
                1 => text.truncate(at.max(1)),
                2 => text.insert(at, text[at]),
                _ => drop(text.splice(at..at, random.pick(&PIECES).chars()).collect::<Vec<_>>()),
            }
        }
        let text: String = text.into_iter().collect();
        let sources = LocalSources { owner: "own".to_owned(), rules: [("own.cedar".to_owned(), text.clone())].into() };
        match LocalRules::parse(&law, sources) {
            Ok(_) => taken += 1,
            Err(error) => {
                refused += 1;
                assert!(!error.problems.is_empty(), "{text}");
                for problem in &error.problems {
                    assert!(problem.line <= text.lines().count() + 1, "{problem}\n{text}");
                }
            }
        }
    }
    assert!(taken > 10 && refused > 500, "{taken} taken, {refused} refused: too few of one kind");
}
