//! Records a refusal. The same refusal within a window answers with the first leaf and is counted.

use catalog::Digest;
use gateway_api::{Code, Problem};
use gateway_store::{CommitError, Transaction, Write};
use policy::Effect;
use serde_json::json;

use super::grounds::decision_leaf;
use super::record::ATTEMPTS_MAX;
use super::{Judgement, Resolved, refusal, unavailable};
use crate::gateway::Shared;
use crate::identity::Principal;
use crate::leaf;

/// Records a refusal, or counts its repetition, and gives the problem that says so.
pub(super) async fn deny(
    gateway: &Shared,
    principal: &Principal,
    resolved: &Resolved,
    redact: bool,
    judgement: &Judgement,
) -> Problem {
    let problem = refusal(resolved.viewer(), judgement);
    let keyed = principal.keyed(&gateway.secrets);
    let now = resolved.now;
    if !gateway.denials.admit(&keyed, gateway.config.limits.denials_per_minute_max, now) {
        return Problem::new(Code::RateLimited, "denied too often within a minute: wait, then ask for something else")
            .with("retry_after", 60);
    }
    match record_denial(gateway, principal, resolved, redact, judgement, &keyed).await {
        Ok(leaf) if judgement.outcome.effect == Effect::Review => {
            let command = format!("kouan review request --leaf {leaf}");
            let call = json!({"method": "POST", "path": "/v1/reviews", "body": {"leaf": leaf}, "command": command});
            problem.at_leaf(leaf).with("review", call)
        }
        Ok(leaf) => problem.at_leaf(leaf),
        // A refusal that cannot be recorded is still a refusal, but the caller learns that it is not on record.
        Err(other) => other,
    }
}

async fn record_denial(
    gateway: &Shared,
    principal: &Principal,
    resolved: &Resolved,
    redact: bool,
    judgement: &Judgement,
    keyed: &str,
) -> Result<u64, Problem> {
    let now = resolved.now;
    let mut members = decision_leaf(resolved, judgement);
    // The same refusal: principal, request and facts, but for the moment.
    let mut timeless = serde_json::to_value(judgement.facts.gathered()).unwrap_or_default();
    if let Some(members) = timeless.as_object_mut() {
        members.remove("now");
    }
    let request = json!({"principal": keyed, "redact": redact, "facts": timeless});
    let key = Digest::of(request.to_string().as_bytes());
    for _ in 0..ATTEMPTS_MAX {
        let first = gateway.look(|reader| reader.denial(&key, now))?;
        let mut transaction = Transaction::new(now);
        if let Some(first) = first {
            transaction.writes.push(Write::DenialRepeat { key, at: now });
            match gateway.records.commit(transaction).await {
                Ok(_) => return Ok(first.leaf),
                Err(CommitError::Conflict(_)) => continue,
                Err(error) => return Err(unavailable(error)),
            }
        }
        let openings = leaf::by(&mut members, principal, &gateway.secrets).map_err(unavailable)?;
        let leaf = transaction.leaf(members.clone());
        transaction.facts = judgement.recorded();
        transaction.writes.extend(openings.of_leaf(leaf));
        transaction.writes.push(Write::Denial { key, leaf, at: now });
        match gateway.records.commit(transaction).await {
            Ok(committed) => {
                let effect = judgement.outcome.effect.as_str();
                metrics::counter!("kouan_decisions_total", "effect" => effect).increment(1);
                return Ok(committed.index(leaf));
            }
            Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(unavailable(error)),
        }
    }
    Err(Problem::new(Code::Unavailable, "the refusal could not be recorded: try again"))
}
