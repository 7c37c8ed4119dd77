//! Live leases when rules change: each is decided again on the facts of its own decision, and those that would now be
//! refused are cut (FAULTS: `on_revoke`, by default `cut`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use catalog::LeaseId;
use gateway_api::Problem;
use gateway_audit::Leaf;
use gateway_store::Lease;
use jiff::Timestamp;
use policy::{Effect, Facts, Published, RuleSet};

use crate::clock;
use crate::gateway::{Gateway, Shared};
use crate::sessions::Affected;

/// How soon rules that were activated for a moment take hold of what is live then. New requests ask for the rules in
/// force themselves.
const EVERY: Duration = Duration::from_millis(500);

/// A live lease that would be refused now.
#[derive(Debug, Clone)]
pub struct RefusedLease {
    /// The lease.
    pub lease: LeaseId,
    /// Which rule, in its own words.
    pub reason: String,
}

/// Active leases that `published` would refuse at `now`. With `owner` only those in which its rules have a say.
///
/// # Errors
/// The records do not answer.
pub async fn refused(
    gateway: &Shared,
    published: Arc<Published>,
    owner: Option<String>,
    now: Timestamp,
) -> Result<Vec<RefusedLease>, Problem> {
    let gateway = Arc::clone(gateway);
    let decide = move || {
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
        let active = gateway.look(|reader| reader.active_leases())?;
        let everybody = owner.as_deref().is_some_and(|owner| published.overseers().any(|overseer| overseer == owner));
        let mut found = Vec::new();
        for lease in active.into_iter().map(|row| row.lease) {
            let party = owner.as_deref().is_none_or(|owner| {
                everybody || lease.provider.as_str() == owner || lease.participant.as_str() == owner
            });
            if party && let Some(reason) = objection(&gateway, &published, &lease, now)? {
                found.push(RefusedLease { lease: lease.id, reason });
            }
        }
        Ok(found)
    };
    tokio::task::spawn_blocking(decide).await.map_err(crate::admission::unavailable)?
}

/// Why `lease` would be refused at `now`, if it would.
fn objection(
    gateway: &Gateway,
    published: &Published,
    lease: &Lease,
    now: Timestamp,
) -> Result<Option<String>, Problem> {
    let rules = match gateway.rules_for(published, lease.provider.as_str(), lease.participant.as_str(), now) {
        Ok(rules) => rules,
        // Without its rules nothing new would be let through; what is live must not go on either (INV-2).
        Err(problem) => return Ok(Some(problem.detail)),
    };
    let recorded = gateway.look(|reader| {
        let Some(leaf) = reader.leaf(lease.leaf)?.and_then(|bytes| Leaf::parse(&bytes).ok()) else { return Ok(None) };
        let digest = leaf.text("facts").and_then(|digest| catalog::Digest::parse(digest).ok());
        let Some(facts) = digest.map(|digest| reader.facts(&digest)).transpose()?.flatten() else { return Ok(None) };
        Ok(String::from_utf8(facts).ok().and_then(|text| Facts::parse(&text).ok()).map(|facts| (leaf, facts)))
    })?;
    let Some((leaf, facts)) = recorded else {
        return Ok(Some("the facts of its decision cannot be read".to_owned()));
    };
    let outcome = policy::evaluate(&rules, &facts.at(now));
    // A review that an officer has released goes on under the rules it was released under.
    let released = leaf.text("policy") == Some(rules.digest())
        && outcome.effect == Effect::Review
        && outcome.rules.iter().all(|rule| leaf.list("rules").any(|recorded| recorded == rule.as_str()));
    let kept = outcome.effect == Effect::Allow || released;
    Ok((!kept).then(|| told(&rules, &facts.at(now))))
}

fn told(rules: &RuleSet, facts: &Facts) -> String {
    let decision = policy::decide(rules, facts);
    let reasons = decision.reasons.iter().map(|reason| format!("{}: {}", reason.rule, reason.message.en));
    let text = format!("the rules have changed; {}", reasons.collect::<Vec<_>>().join("; "));
    text.chars().take(500).collect()
}

/// Cuts what the rules in force refuse whenever a set that was activated for later comes into force, a day with rules of
/// its own begins, or the node starts.
pub async fn run(gateway: Shared) {
    let mut ticks = tokio::time::interval(EVERY);
    // From before every activation: what came into force while the node was down is due at its start.
    let mut seen = Timestamp::MIN;
    loop {
        ticks.tick().await;
        let now = clock::now();
        let published = Arc::clone(&gateway.snapshot().rulesets);
        let begun = !published.begun(seen, now).is_empty();
        let new_day = clock::today(seen) != clock::today(now) && published.any_in_force(now);
        if begun || new_day {
            match cut(&gateway, published, now).await {
                Ok(0) => {}
                Ok(leases) => tracing::info!(leases, "leases were cut: the rules now in force refuse them"),
                Err(problem) => {
                    tracing::error!(error = problem.detail, "live leases could not be decided again");
                    // Due until it is done.
                    continue;
                }
            }
        }
        seen = now;
    }
}

async fn cut(gateway: &Shared, published: Arc<Published>, now: Timestamp) -> Result<usize, Problem> {
    let mut cut = 0;
    for RefusedLease { lease, reason } in refused(gateway, published, None, now).await? {
        cut += gateway.cut(&Affected::Leases(BTreeSet::from([lease])), &reason, None).await?;
    }
    Ok(cut)
}
