//! What an officer is about to release, decided again on what is on record at that moment.

use catalog::manifest::Subjects;
use catalog::{AgreementState, Review, VersionState};
use gateway_api::{Code, Problem, Viewer};
use policy::{Effect, Facts};
use serde_json::Value;

use super::NUMBERS_UNKNOWN;
use crate::admission::facts::Sources;
use crate::admission::judge::judge;
use crate::admission::{contributions_of, refusal, unavailable};
use crate::gateway::Shared;
use crate::rest::Caller;

/// Refuses unless exactly the rules of `review`, of the rule set in force, still hold the export back, and unless it could
/// leave with the numbers that the officer states.
///
/// # Errors
/// 409 `conflict` when the review is overtaken, or when the numbers make it a denial; 400 for numbers that are missing, not
/// asked for, or cannot be.
pub fn still_held(gateway: &Shared, caller: &Caller, review: &Review, stated: Option<Subjects>) -> Result<(), Problem> {
    let overtaken = |what: String| {
        Problem::new(Code::Conflict, format!("{what}: refuse this review, and let it be asked for again if need be"))
    };
    let snapshot = &caller.snapshot;
    let agreement = snapshot.agreements.get(&review.agreement);
    let agreement = agreement
        .filter(|agreement| agreement.state == AgreementState::Active)
        .ok_or_else(|| overtaken("the agreement has ended".to_owned()))?;
    let version = snapshot
        .version(&review.dataset, &review.version)
        .filter(|version| version.manifest_digest() == review.manifest)
        .ok_or_else(|| overtaken("the version is another one now".to_owned()))?;
    if version.state != VersionState::Published {
        return Err(overtaken(format!("the version is {}", version.state.as_str())));
    }
    let (provider, consumer) = (review.provider.as_str(), review.participant.as_str());
    let rules = gateway.rules_for(&snapshot.rulesets, provider, consumer, caller.now)?;
    if rules.digest() != review.policy {
        return Err(overtaken("the rule set has changed since it was asked for".to_owned()));
    }
    let party = |id| snapshot.participants.get(id).ok_or_else(|| overtaken("a party is gone".to_owned()));
    let (exporter, recipient) = (party(&review.provider)?, party(&review.participant)?);
    numbers(review, stated, version.inspection.get("persons_estimate").and_then(Value::as_u64))?;

    let blob = gateway.look(|reader| reader.facts(&review.facts))?.ok_or_else(|| unavailable("facts are missing"))?;
    let facts = Facts::parse(&String::from_utf8_lossy(&blob)).map_err(unavailable)?;
    let leaves: Vec<String> = facts.gathered().dataset.columns.iter().map(|column| column.name.clone()).collect();
    let contributions = contributions_of(gateway, version, &leaves, caller.now)?;
    let sources = Sources {
        snapshot,
        exporter,
        recipient,
        accessed_from: &review.accessed_from,
        agreement: Some(&agreement.body),
        version,
        leaves: &leaves,
        purpose: review.purpose.as_str(),
        contributions: &contributions,
        stated: None,
        now: caller.now,
    };
    let now_held = judge(&rules, &sources, &review.columns)?;
    if now_held.outcome.effect != Effect::Review || now_held.held_by != review.rules {
        let rules: Vec<&str> = now_held.outcome.rules.iter().map(policy::RuleId::as_str).collect();
        let (effect, rules) = (now_held.outcome.effect.as_str(), rules.join(", "));
        return Err(overtaken(format!("the decision is `{effect}` now, by {rules}")));
    }
    if let Some(stated) = stated {
        let with_numbers = judge(&rules, &sources.with_stated(stated), &review.columns)?;
        let covered = with_numbers.held_by.iter().all(|rule| review.rules.contains(rule));
        if with_numbers.outcome.effect == Effect::Deny || !covered {
            let refused = refusal(Viewer::Authority, &with_numbers);
            let detail = format!("with these numbers no person can release it: {}", refused.detail);
            let mut problem = Problem::new(Code::Conflict, detail);
            problem.explain = refused.explain;
            return Err(problem);
        }
    }
    Ok(())
}

fn numbers(review: &Review, stated: Option<Subjects>, found: Option<u64>) -> Result<(), Problem> {
    let bad = |detail: String| Err(Problem::new(Code::BadInput, detail));
    let asked = review.rules.iter().any(|rule| rule == NUMBERS_UNKNOWN);
    match stated {
        None if asked => bad(format!(
            "{NUMBERS_UNKNOWN}: state `subjects` (persons, sensitive, under_14) first, so that the counters stay true"
        )),
        Some(_) if !asked => bad("the manifest has the numbers: leave `subjects` out".to_owned()),
        Some(Subjects { persons, sensitive, under_14 })
            if sensitive > persons || under_14 > persons || persons >= 1 << 53 =>
        {
            bad("`sensitive` and `under_14` are at most `persons`, and `persons` below 2^53".to_owned())
        }
        Some(stated) if found.is_some_and(|found| stated.persons < found) => {
            bad(format!("inspection found {} persons at least: `persons` cannot be below", found.unwrap_or(0)))
        }
        _ => Ok(()),
    }
}
