//! What other participants' rules cost: `cargo run --release -p policy --example local_rules [OWNERS]`.
//!
//! Decides one export under the law alone, with ten thousand other owners' rules published beside it, and with rules of its
//! own parties; prints the ratios.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use policy::{
    Applied, Facts, LocalRules, LocalSources, Publication, Published, Reach, RuleSet, SetState, Timeline, evaluate,
};

const ROUNDS: usize = 4_000;

fn main() {
    let owners: usize = std::env::args().nth(1).map_or(10_000, |text| text.parse().expect("a number of owners"));
    let law = RuleSet::builtin().unwrap();
    let case = include_str!("../vectors/policy.jsonl").lines().nth(1).unwrap();
    let case: serde_json::Value = serde_json::from_str(case).unwrap();
    let facts = Facts::parse(&case["facts"].to_string()).unwrap();
    let now = facts.gathered().now.timestamp();

    let (mut published, mut parsed) = (Published::default(), HashMap::new());
    let loading = Instant::now();
    for number in 0..owners {
        publish(&law, &mut published, &mut parsed, &format!("p-{number}"), now);
    }
    println!("{owners} owners with one rule each parsed in {:.2} s", loading.elapsed().as_secs_f64());

    let decide = |published: &Published| {
        let sets = published.in_force("qh-broker", "hku", now).into_iter();
        let local =
            sets.map(|(_, set)| Applied { reach: set.reach, rules: Arc::clone(&parsed[&set.digest]) }).collect();
        let rules = law.with_local(local);
        black_box(evaluate(&rules, &facts));
    };
    let alone = median(|| decide(&Published::default()));
    let unrelated = median(|| decide(&published));
    println!("law alone                       median {alone:>7.1} µs");
    println!("{owners:>6} rules of other owners    median {unrelated:>7.1} µs  ratio {:.3}", unrelated / alone);

    let mut own = published.clone();
    let mut parsed_own = parsed.clone();
    publish(&law, &mut own, &mut parsed_own, "hku", now);
    let related = median(|| {
        let sets = own.in_force("qh-broker", "hku", now).into_iter();
        let local =
            sets.map(|(_, set)| Applied { reach: set.reach, rules: Arc::clone(&parsed_own[&set.digest]) }).collect();
        let rules = law.with_local(local);
        black_box(evaluate(&rules, &facts));
    });
    println!("and one rule of the recipient   median {related:>7.1} µs  ratio {:.3}", related / alone);
}

fn publish(
    law: &RuleSet,
    published: &mut Published,
    parsed: &mut HashMap<String, Arc<LocalRules>>,
    owner: &str,
    now: Timestamp,
) {
    let text = format!(
        "@id(\"{owner}:a\") @level(\"deny\") @reason(\"x\") @message_en(\"a\") @message_zh_hans(\"b\") \
         @message_zh_hant(\"c\") forbid (principal, action == Action::\"export\", resource) \
         when {{ context.has_sensitive && context.purpose == \"marketing\" }};"
    );
    let sources = LocalSources { owner: owner.to_owned(), rules: [("own.cedar".to_owned(), text)].into() };
    let rules = Arc::new(LocalRules::parse(law, sources).unwrap());
    let set = Publication {
        version: 1,
        digest: rules.digest().to_owned(),
        reach: Reach::Own,
        rule_count: 1,
        state: SetState::Activated,
        note: None,
        proposed: now,
        activated: Some(now),
        from: Some(now),
        revoked: None,
        reason: None,
    };
    published.put(1, Timeline { owner: owner.to_owned(), sets: vec![set] });
    parsed.insert(rules.digest().to_owned(), rules);
}

/// Microseconds.
fn median(run: impl Fn()) -> f64 {
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS + ROUNDS / 10 {
        let start = Instant::now();
        run();
        // The first tenth warms the caches.
        if round >= ROUNDS / 10 {
            times.push(start.elapsed());
        }
    }
    times.sort_unstable();
    times[ROUNDS / 2].as_secs_f64() * 1e6
}
