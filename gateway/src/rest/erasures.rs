//! `POST /v1/erasures`: two officers have a person's key destroyed. No leaf changes and every proof still verifies; what is
//! sealed under the key opens nowhere any more, see `vault/erase`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::Digest;
use certs::SpiffeId;
use gateway_api::privacy::Erase;
use gateway_api::{Code, Problem};
use gateway_store::{CommitError, Expect, SubjectRow, Transaction, Write, crashpoint};
use serde_json::{Value, json};

use super::change::{Change, reason};
use super::dual::{Signature, sign};
use super::holds::Holds;
use super::{Caller, Posted, Refused, json_response};
use crate::authz::{Action, authorise};
use crate::gateway::Shared;
use crate::vault::{Rotation, moved_on};

/// How often an erasure is prepared again because somebody's first key came in between.
const ATTEMPTS_MAX: usize = 16;

/// The key of `person` (a SPIFFE id), and its keyed hash: 404 for whom this caller does not answer for, and for whom nothing
/// is kept.
pub fn subject(
    gateway: &Shared,
    caller: &Caller,
    action: Action,
    person: &str,
) -> Result<(SubjectRow, String), Problem> {
    let scope = authorise(&caller.principal, action)?;
    let missing = || Problem::new(Code::NotFound, "nothing is kept of such a person for you");
    let id: SpiffeId = person.parse().map_err(|_| {
        Problem::new(Code::BadInput, "`person` is a SPIFFE id, such as spiffe://hku.hk/researcher/NAME")
    })?;
    let participant = caller.snapshot.participant_of(id.trust_domain().as_str()).ok_or_else(missing)?;
    if !scope.covers(&participant.id) {
        return Err(missing());
    }
    let keyed = gateway.secrets.keyed("principal", id.to_string().as_bytes());
    let row = gateway.look(|reader| reader.subject(&keyed))?.ok_or_else(missing)?;
    Ok((row, keyed))
}

/// `POST /v1/erasures`. No `Idempotency-Key` is needed: the second signature erases once, and what is erased is not found.
pub async fn erase(State(gateway): State<Shared>, caller: Caller, posted: Posted<Erase>) -> Result<Response, Refused> {
    let body = posted.value;
    // One at a time: each replaces the key that wraps everybody's.
    let _turn = gateway.erasing.lock().await;
    gateway.secrets.vault.settle(caller.now).await.map_err(crate::admission::unavailable)?;
    own_key(&gateway, &caller).await?;
    for _ in 0..ATTEMPTS_MAX {
        let (row, keyed) = subject(&gateway, &caller, Action::Erase, &body.person)?;
        let holds = Holds::of(&gateway.snapshot());
        if let Some(hold) = holds.on_person(&gateway, &row).await? {
            let detail = format!("legal hold `{}` keeps this: two officers of an authority lift it first", hold.id);
            return Err(Problem::new(Code::Conflict, detail).with("hold", json!(hold.id)).into());
        }
        let (change, rotation) = describe(&gateway, &caller, &body, &row, &keyed).await?;
        let (status, mut answer) = (change.status, change.body);
        let committed = gateway.records.commit(change.transaction).await;
        match (committed, rotation) {
            (Ok(committed), None) => {
                return Ok(json_response(status, &with(answer, "leaf", json!(committed.first_leaf))));
            }
            (Ok(committed), Some(rotation)) => {
                gateway.secrets.vault.turn(rotation);
                let settled = gateway.secrets.vault.settle(caller.now).await;
                if let Err(error) = &settled {
                    tracing::error!(%error, "the key that an erasure replaced is not destroyed yet");
                }
                crashpoint!("erase.before_answer");
                // Until then a copy of the data directory from before still opens, for whoever has the old key's file too.
                answer = with(answer, "old_key_destroyed", json!(settled.is_ok()));
                return Ok(json_response(status, &with(answer, "leaf", json!(committed.first_leaf))));
            }
            (Err(error), rotation) => {
                if let Some(rotation) = &rotation {
                    gateway.secrets.vault.abandon(rotation, &error);
                }
                match error {
                    CommitError::Conflict(Expect::NoLease { .. }) => {
                        let detail = "a lease of this person is active: cut it or let it end first";
                        return Err(Problem::new(Code::Conflict, detail).into());
                    }
                    error if moved_on(&error) || matches!(error, CommitError::Conflict(_)) => {}
                    error => return Err(crate::admission::unavailable(error).into()),
                }
            }
        }
    }
    Err(Problem::new(Code::Unavailable, "keys come in faster than they can be replaced: try again").into())
}

/// The officer's own key has to be in the store before everybody's is wrapped anew: it cannot come in with the same commit.
async fn own_key(gateway: &Shared, caller: &Caller) -> Result<(), Problem> {
    let author = gateway.secrets.author(&caller.principal).map_err(crate::admission::unavailable)?;
    let Some(key) = author.key() else { return Ok(()) };
    let mut transaction = Transaction::new(caller.now);
    transaction.writes.push(key);
    match gateway.records.commit(transaction).await {
        // Another request of the officer's was first.
        Ok(_) | Err(CommitError::Conflict(_)) => Ok(()),
        Err(error) => Err(crate::admission::unavailable(error)),
    }
}

async fn describe(
    gateway: &Shared,
    caller: &Caller,
    body: &Erase,
    row: &SubjectRow,
    keyed: &str,
) -> Result<(Change, Option<Rotation>), Problem> {
    let why = reason(&body.reason)?;
    let is_token = (1..=64).contains(&body.basis.len())
        && body.basis.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !is_token {
        return Err(Problem::new(Code::BadInput, "`basis` is a token of a-z, 0-9 and `-`, such as `pipl-47`"));
    }
    let signed = serde_json::to_vec(body).map_err(crate::admission::unavailable)?;
    let signed = Digest::of(&signed);
    let target = gateway.secrets.keyed("erasure target", keyed.as_bytes());
    let mut caller = caller.clone();
    caller.snapshot = gateway.snapshot();
    let target = target.get(..16).unwrap_or_default();
    let close = match sign(&caller, &gateway.secrets, "erase", target, signed)? {
        Signature::First(change) => return Ok((*change, None)),
        Signature::Second(close) => close,
    };
    let (handle, hash) = (row.handle, keyed.to_owned());
    let counted = gateway.scan(move |reader| reader.sealed_under(&handle, &hash)).await?;
    let (shared, row, hash) = (gateway.clone(), row.clone(), keyed.to_owned());
    let rotation = tokio::task::spawn_blocking(move || shared.secrets.vault.prepare_erasure(&row, &hash))
        .await
        .map_err(crate::admission::unavailable)?
        .map_err(crate::admission::unavailable)?;
    let counts = json!({
        "openings": counted.openings, "receipts": counted.receipts, "leases": counted.leases,
        "answers": counted.answers,
    });
    let members = [("basis", json!(body.basis)), ("counts", counts.clone()), ("signed", json!(close.signed()))];
    let mut change = Change::recorded(&caller, &gateway.secrets, "erasure", members)?;
    change.commit_to(&gateway.secrets, "reason", why)?;
    change.write(Write::Erase(Box::new(rotation.erasure.clone())));
    close.with(&mut change);
    let answer = json!({"state": "erased", "basis": body.basis, "counts": counts});
    Ok((change.answer(StatusCode::OK, &answer), Some(rotation)))
}

fn with(mut answer: Value, member: &str, value: Value) -> Value {
    if let Some(members) = answer.as_object_mut() {
        members.insert(member.to_owned(), value);
    }
    answer
}
