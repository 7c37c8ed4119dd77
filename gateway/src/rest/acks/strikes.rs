//! Acknowledgements that do not hold. All are counted; whoever sends three forged ones under a lease no longer gets anything
//! under it: the access is cut, as an officer would cut it, and two officers lift it.

use axum::http::StatusCode;
use catalog::Digest;
use gateway_api::Problem;
use gateway_store::{DocKind, Lease};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::gateway::Shared;
use crate::leaf;
use crate::rest::Caller;
use crate::rest::change::{Change, Repeatable, execute_value};
use crate::rest::leases;

/// Forged acknowledgements after which a lease is suspended.
const FORGED_MAX: u32 = 3;

/// What the consumer reads, on its stream and at its lease.
const WHY: &str = "three acknowledgements under it were forged: their signatures are not by the key of the certificate";

/// How many forged ones came under a lease.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Strikes {
    forged: u32,
}

/// Counts one that changed nothing. `why` comes from a fixed set.
pub(super) fn refused(why: &'static str) {
    metrics::counter!("kouan_acks_refused_total", "why" => why).increment(1);
}

fn key(lease: &Lease) -> String {
    format!("strikes:{}", lease.id)
}

/// How many forged acknowledgements came under `lease`.
pub fn count(caller: &Caller, lease: &Lease) -> u32 {
    let stored = caller.snapshot.settings.get(&key(lease));
    stored.and_then(|doc| serde_json::from_value::<Strikes>(doc.body.clone()).ok()).unwrap_or_default().forged
}

/// Puts a forged one on record, and at the third ends the access; gives the problem to answer with.
pub(super) async fn forged(gateway: &Shared, caller: &Caller, lease: &Lease, problem: Problem) -> Problem {
    let request = Repeatable { digest: Digest::of(lease.id.as_str().as_bytes()), key: None };
    let counted = execute_value(gateway, caller, request, |caller| struck(gateway, caller, lease)).await;
    let body = match counted {
        Ok((_, body)) => body,
        // What cannot be counted is not answered as if it had been.
        Err(problem) => return problem,
    };
    let forged = body.get("forged").and_then(Value::as_u64);
    // Exactly one of several at once is the third.
    if forged == Some(u64::from(FORGED_MAX)) {
        gateway.sessions.cut(&leases::same_access(lease), WHY).await;
    }
    problem.with("forged", json!(forged))
}

fn struck(gateway: &Shared, caller: &Caller, lease: &Lease) -> Result<Change, Problem> {
    let before = caller.snapshot.settings.get(&key(lease)).map(|doc| doc.revision);
    let forged = count(caller, lease).saturating_add(1);
    let mut change = Change::nothing(StatusCode::OK, json!({ "forged": forged }), caller.now);
    if forged > FORGED_MAX {
        return Ok(change);
    }
    if forged == FORGED_MAX {
        // The node does it, not whoever sent them.
        let mut members = leaf::of("cut");
        members.extend(leases::members(lease).map(|(name, value)| (name.to_owned(), value)));
        members.insert("cause".to_owned(), json!("forged_acks"));
        change.transaction.leaf(members);
        leases::stop(&mut change, gateway, caller, lease, WHY)?;
    }
    match before {
        None => change.create(DocKind::Setting, key(lease), &Strikes { forged }),
        Some(revision) => change.replace(DocKind::Setting, key(lease), revision, &Strikes { forged }),
    }
    Ok(change)
}
