//! A lease that lives over the turn of the year (midnight in Asia/Shanghai) is decided again before anything is granted in
//! the new one: what leaves then counts there too, against the new year's counters, baseline and rules.
//!
//! Allowed, the decision's leaf, the reservation and the grant are one commit. Refused, the leaf and the end of the lease
//! are: nothing leaves in the new year, granted before or not, and the consumer's next request is answered with the reasons.

use std::sync::Arc;

use catalog::AgreementState;
use gateway_api::{Code, Problem};
use gateway_store::{Lease, LeaseState, Transaction, Write};
use jiff::Timestamp;
use serde_json::json;

use super::facts::accessed_from;
use super::grounds::{Grounds, decision_leaf, put_grounds, relied_on, reserve};
use super::resolve::Resolved;
use super::{Judgement, contributions, decide, unavailable};
use crate::gateway::Shared;
use crate::identity::Principal;
use crate::{clock, counting, leaf};

/// What the new year says of a lease.
#[derive(Debug)]
pub enum Turned {
    /// It goes on, in one commit with this.
    Counted {
        /// Leaf, facts and reservation; empty if it is counted in the new year already.
        transaction: Transaction,
        /// The end of the new year.
        turns: Option<Timestamp>,
    },
    /// It ends with this.
    Refused {
        /// Leaf, facts and the end of the lease.
        transaction: Transaction,
        /// Why.
        reason: Arc<str>,
    },
}

/// Decides `lease` in the year of `now`.
///
/// # Errors
/// 503 when records or store do not answer; nothing may be granted then.
pub async fn turn(gateway: &Shared, principal: &Principal, lease: &Lease, now: Timestamp) -> Result<Turned, Problem> {
    let year = clock::today(now).year();
    let counted = gateway.look(|reader| reader.counted_year(&lease.id))?;
    if counted.is_none_or(|counted| counted >= year) {
        let turns = counted.map(clock::end_of_year);
        return Ok(Turned::Counted { transaction: Transaction::new(now), turns });
    }
    let mut transaction = Transaction::new(now);
    let Some(resolved) = again(gateway, principal, lease, now).await? else {
        let reason: Arc<str> = Arc::from("what the lease was given for does not stand any more");
        transaction.writes.push(end(lease, &reason));
        return Ok(Turned::Refused { transaction, reason });
    };
    let contributions = contributions(gateway, &resolved)?;
    let preview = decide(gateway, &resolved, false, &contributions)?;
    let released = preview.released.as_ref();
    let admitting = preview.admits().map(|judgement| Grounds { judgement, released, contributions: &contributions });
    let judgement = preview.shown();
    record(gateway, principal, &resolved, lease, judgement, admitting.as_ref(), &mut transaction)?;
    let outcome = &judgement.outcome;
    metrics::counter!("kouan_year_turns_total", "effect" => outcome.effect.as_str()).increment(1);
    let reason = match admitting {
        Some(grounds) if rests_on_the_same(lease, &grounds) => {
            transaction.expect = relied_on(principal, &resolved, &grounds)?;
            let turns = reserve(&mut transaction, &lease.id, &resolved, &grounds);
            return Ok(Turned::Counted { transaction, turns });
        }
        // Taking back what it now rests on would not end it: a lease names that once.
        Some(_) => format!("the year has turned, and in {year} it rests on another mechanism or release: ask again"),
        None => {
            let rules: Vec<&str> = outcome.rules.iter().map(policy::RuleId::as_str).collect();
            format!("the year has turned, and {year} does not allow it: {}", rules.join(", "))
        }
    };
    let reason: Arc<str> = Arc::from(reason);
    transaction.writes.push(end(lease, &reason));
    Ok(Turned::Refused { transaction, reason })
}

/// Whether what ends the lease when it is taken back is what the lease names.
fn rests_on_the_same(lease: &Lease, grounds: &Grounds<'_>) -> bool {
    let mechanism = grounds.counted().rests_on();
    let release = grounds.released.map(|released| &released.release.id);
    // A mechanism that is not needed any more does no harm: revoking it ends the lease all the same.
    (mechanism.is_none() || mechanism == lease.mechanism.as_ref()) && release == lease.release.as_ref()
}

/// The sweeper writes the leaf that closes it, with its totals.
fn end(lease: &Lease, reason: &Arc<str>) -> Write {
    let (state, reason) = (LeaseState::Closed, Some(reason.to_string()));
    Write::LeaseState { lease: lease.id.clone(), state, reason, leaf: None }
}

fn record(
    gateway: &Shared,
    principal: &Principal,
    resolved: &Resolved,
    lease: &Lease,
    judgement: &Judgement,
    grounds: Option<&Grounds<'_>>,
    transaction: &mut Transaction,
) -> Result<(), Problem> {
    let mut members = decision_leaf(resolved, judgement);
    let openings = leaf::by(&mut members, principal, &gateway.secrets).map_err(unavailable)?;
    members.insert("lease".to_owned(), json!(lease.id));
    members.insert("agreement".to_owned(), json!(lease.agreement));
    members.insert("turn_of_year".to_owned(), json!(true));
    if let Some(grounds) = grounds {
        put_grounds(&mut members, grounds);
    }
    let leaf = transaction.leaf(members);
    transaction.facts = judgement.recorded();
    transaction.writes.extend(openings.of_leaf(leaf));
    Ok(())
}

/// The records that the lease is about, as they are now; nothing if one of them does not stand any more.
async fn again(
    gateway: &Shared,
    principal: &Principal,
    lease: &Lease,
    now: Timestamp,
) -> Result<Option<Resolved>, Problem> {
    let snapshot = gateway.snapshot();
    let version = snapshot.version(&lease.dataset, &lease.version).cloned();
    let provider = snapshot.participants.get(&lease.provider).cloned();
    let consumer = snapshot.participants.get(&lease.participant).cloned();
    let agreement = snapshot.agreements.get(&lease.agreement).cloned();
    let (Some(version), Some(provider), Some(consumer), Some(agreement)) = (version, provider, consumer, agreement)
    else {
        return Ok(None);
    };
    let stands = version.state == catalog::VersionState::Published
        && agreement.state == AgreementState::Active
        && provider.is_active()
        && consumer.is_active();
    if !stands {
        return Ok(None);
    }
    let mut files = Vec::with_capacity(version.files.len());
    for entry in &version.files {
        files.push(gateway.files.open(entry).await.map_err(unavailable)?);
    }
    let leaves = files.first().map(|file| file.leaf_names()).unwrap_or_default();
    counting::ready(gateway, &version, &leaves, now).await?;
    if lease.columns.iter().any(|column| !leaves.contains(column)) {
        return Err(Problem::new(Code::Internal, "a lease has columns that its version lacks"));
    }
    let accessed_from = accessed_from(&consumer, principal.address);
    Ok(Some(Resolved {
        snapshot,
        now,
        version,
        files,
        provider,
        consumer,
        accessed_from,
        agreement: Some(agreement),
        purpose: lease.purpose.clone(),
        leaves,
        columns: lease.columns.clone(),
    }))
}
