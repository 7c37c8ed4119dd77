//! The sweeper: closes leases that have expired, each with its leaf; releases what is held for leases that have ended; counts
//! repeated refusals at the close of their window; closes months; finishes erasures, deletes what is past its time and has what is
//! stored read again.

use std::sync::Arc;
use std::time::Duration;

use catalog::Digest;
use gateway_api::Problem;
use gateway_store::{CommitError, LeaseRow, LeaseState, Transaction, Write};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::gateway::Shared;
use crate::{clock, counting, leaf};

const EVERY: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 256;

/// Sweeps until the task is dropped.
pub async fn run(gateway: Shared) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if let Err(problem) = sweep(&gateway, clock::now()).await {
                    tracing::error!(error = problem.detail, "the sweeper could not finish");
                }
                // After it: what it has just closed may be due the same day.
                if let Err(problem) = crate::retention::daily(&gateway, clock::now()).await {
                    tracing::error!(error = problem.detail, "the day's retention did not finish");
                }
            }
            () = gateway.gauges.notified() => {}
        }
        // Days pass too: what is due is counted again at every tick.
        let counted = Arc::clone(&gateway);
        let count = move || crate::metrics::gauge(&counted.snapshot(), counted.rules.law(), clock::now());
        if let Err(error) = tokio::task::spawn_blocking(count).await {
            tracing::error!(%error, "the gauges could not be counted");
        }
    }
}

async fn sweep(gateway: &Shared, now: Timestamp) -> Result<(), Problem> {
    crate::scrub::daily(gateway);
    if let Err(error) = gateway.secrets.vault.settle(now).await {
        tracing::error!(%error, "a key that an erasure replaced is not destroyed yet");
    }
    // A version that cannot be read must not keep leases from being closed.
    if let Err(problem) = counting::prepare(gateway, now).await {
        tracing::error!(error = problem.detail, "the next year's persons were not read");
    }
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
    let reservations = gateway.scan(|reader| reader.reservations()).await?;
    metrics::gauge!("kouan_reservations").set(u32::try_from(reservations).unwrap_or(u32::MAX));
    let (expired, unclosed, held, refusals) = gateway
        .scan(move |reader| {
            Ok((
                reader.expired_leases(now, AT_ONCE)?,
                reader.unclosed_leases(AT_ONCE)?,
                reader.held_leases(AT_ONCE)?,
                reader.denials_due(now, AT_ONCE)?,
            ))
        })
        .await?;
    for row in expired {
        let mut transaction = Transaction::new(now);
        let leaf = transaction.leaf(closing(gateway, &row)?);
        transaction.writes.push(Write::LeaseState {
            lease: row.lease.id.clone(),
            state: LeaseState::Closed,
            reason: Some("expired".to_owned()),
            leaf: Some(leaf),
        });
        transaction.writes.push(Write::Release { lease: row.lease.id });
        commit(gateway, transaction).await?;
    }
    for row in unclosed {
        let mut transaction = Transaction::new(now);
        let leaf = transaction.leaf(closing(gateway, &row)?);
        transaction.writes.push(Write::LeaseLeaf { lease: row.lease.id, leaf });
        commit(gateway, transaction).await?;
    }
    for lease in held {
        let mut transaction = Transaction::new(now);
        transaction.writes.push(Write::Release { lease });
        commit(gateway, transaction).await?;
    }
    for row in refusals {
        let mut transaction = Transaction::new(now);
        if row.repeats > 0 {
            let mut members = leaf::of("denial_repeats");
            members.insert("first".to_owned(), json!(row.leaf));
            members.insert("repeats".to_owned(), json!(row.repeats));
            transaction.leaf(members);
        }
        transaction.writes.push(Write::DenialClosed { key: row.key, first: row.leaf });
        commit(gateway, transaction).await?;
    }
    super::close::close(gateway, now).await
}

/// The leaf that closes a lease: its totals, and a commitment to the set of its grants.
fn closing(gateway: &Shared, row: &LeaseRow) -> Result<Map<String, Value>, Problem> {
    let lease = &row.lease;
    let grants = gateway.look(|reader| reader.grants(&lease.id))?;
    let mut set: Vec<String> = grants
        .iter()
        .map(|grant| format!("{} {}-{}", grant.representation, grant.range.start, grant.range.end))
        .collect();
    set.sort_unstable();
    let mut members = leaf::of("lease_close");
    members.insert("lease".to_owned(), json!(lease.id));
    members.insert("participant".to_owned(), json!(lease.participant));
    members.insert("provider".to_owned(), json!(lease.provider));
    members.insert("dataset".to_owned(), json!(lease.dataset));
    members.insert("version".to_owned(), json!(lease.version));
    members.insert("agreement".to_owned(), json!(lease.agreement));
    members.insert("grants".to_owned(), json!({"count": set.len(), "digest": Digest::of(set.join("\n").as_bytes())}));
    // As strings: canonical JSON has no integers above 2^53.
    members.insert("granted_bytes".to_owned(), json!(row.granted_bytes.to_string()));
    members.insert("egress_bytes".to_owned(), json!(row.granted_bytes.saturating_sub(row.unsent_bytes).to_string()));
    members.insert("sent_bytes".to_owned(), json!(lease.sent_bytes.to_string()));
    members.insert("unit_bytes".to_owned(), json!(lease.unit_bytes.to_string()));
    Ok(members)
}

async fn commit(gateway: &Shared, transaction: Transaction) -> Result<(), Problem> {
    match gateway.records.commit(transaction).await {
        // Somebody else ended it in the meantime.
        Ok(_) | Err(CommitError::Conflict(_)) => Ok(()),
        Err(error) => Err(crate::admission::unavailable(error)),
    }
}
