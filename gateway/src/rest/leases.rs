//! `/v1/leases`: live and past streams, and the kill switch.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{Digest, LeaseId, ParticipantId};
use gateway_api::catalog::Reason;
use gateway_api::exchange::{LeaseList, LeaseView};
use gateway_api::{Code, Problem};
use gateway_store::{DocKind, Lease, LeaseFilter, LeaseRow, LeaseState};
use serde::Deserialize;
use serde_json::json;

use super::change::{Change, execute, execute_value, reason};
use super::dual::{Signature, sign};
use super::lifecycle::Nothing;
use super::{Caller, Posted, Refused, acks, json_response};
use crate::admission::standing::{self, StandingCut};
use crate::authz::{Action, Scope, authorise};
use crate::clock;
use crate::gateway::Shared;
use crate::rest::path::Path;
use crate::sessions::Affected;

/// A lease as its parties see it.
pub fn view(lease: &Lease) -> LeaseView {
    LeaseView {
        id: lease.id.clone(),
        agreement: lease.agreement.clone(),
        dataset: lease.dataset.clone(),
        version: lease.version.clone(),
        columns: lease.columns.clone(),
        state: lease.state.as_str().to_owned(),
        leaf: lease.leaf,
        sent_bytes: lease.sent_bytes,
        unit_bytes: lease.unit_bytes,
        participant: lease.participant.clone(),
        purpose: lease.purpose.clone(),
        created: clock::text(lease.created),
        expires: clock::text(lease.expires),
        mechanism: lease.mechanism.clone(),
        release: lease.release.clone(),
        reason: lease.reason.clone(),
        egress_bytes: None,
        receipts: None,
        forged_acks: None,
    }
}

/// Query of `GET /v1/leases`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    participant: Option<String>,
    dataset: Option<String>,
    state: Option<String>,
    limit: Option<usize>,
    cursor: Option<u64>,
}

/// Researchers see their own leases; the others those that their participant is a party of.
fn own_only(caller: &Caller) -> bool {
    matches!(caller.principal.role, catalog::Role::Researcher | catalog::Role::Compute)
}

/// `GET /v1/leases`.
pub async fn list(
    State(gateway): State<Shared>,
    caller: Caller,
    query: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refused> {
    let Query(query) = query.map_err(|error| Problem::new(Code::BadInput, error.body_text()))?;
    let scope = caller.may(Action::ReadLeases)?;
    let limit = query.limit.unwrap_or(50).clamp(1, 500);
    let named: Option<ParticipantId> = match &query.participant {
        None => None,
        Some(name) => Some(
            caller
                .snapshot
                .participant(name)
                .map(|doc| doc.id.clone())
                .ok_or_else(|| Problem::new(Code::NotFound, "there is no such participant"))?,
        ),
    };
    let party = match (&scope, named) {
        (Scope::Everything, named) => named,
        (Scope::Participant(own), Some(named)) if named != *own => {
            return Err(Problem::new(Code::NotFound, "that participant's leases are not for you").into());
        }
        (Scope::Participant(own), _) => Some(own.clone()),
    };
    let state = match query.state.as_deref() {
        None => None,
        Some(text) => Some(
            LeaseState::parse(text).ok_or_else(|| Problem::new(Code::BadInput, "`state` is active, closed or cut"))?,
        ),
    };
    gateway.settler.settled().await;
    let filter = LeaseFilter {
        party,
        principal: own_only(&caller).then(|| caller.principal.keyed(&gateway.secrets)),
        dataset: query.dataset.as_deref().map(super::datasets::dataset_id).transpose()?,
        state,
        ..LeaseFilter::default()
    };
    let cursor = query.cursor;
    let rows = gateway.scan(move |reader| reader.leases(&filter, cursor, limit)).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|row| row.seq.to_string())).flatten();
    Ok(json_response(StatusCode::OK, &LeaseList { leases: rows.iter().map(|row| view(&row.lease)).collect(), next }))
}

fn find(gateway: &Shared, caller: &Caller, scope: &Scope, id: &str) -> Result<Lease, Problem> {
    find_row(gateway, caller, scope, id).map(|row| row.lease)
}

fn find_row(gateway: &Shared, caller: &Caller, scope: &Scope, id: &str) -> Result<LeaseRow, Problem> {
    let missing = || {
        Problem::new(Code::NotFound, format!("there is no lease `{}` for you", id.chars().take(64).collect::<String>()))
    };
    let id = LeaseId::parse(id).map_err(|_| missing())?;
    let row = gateway.look(|reader| reader.lease(&id))?.ok_or_else(missing)?;
    let lease = &row.lease;
    let visible = scope.covers_any([&lease.participant, &lease.provider])
        && (!own_only(caller) || lease.principal == caller.principal.keyed(&gateway.secrets));
    if visible { Ok(row) } else { Err(missing()) }
}

/// `GET /v1/leases/{id}`: also why it was cut, for whoever's stream broke off, and what its consumer has signed for.
pub async fn show(State(gateway): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadLeases)?;
    gateway.settler.settled().await;
    let row = find_row(&gateway, &caller, &scope, &id)?;
    let receipts = gateway.look(|reader| reader.receipts(&row.lease.id))?;
    let shown = LeaseView {
        egress_bytes: Some(row.granted_bytes.saturating_sub(row.unsent_bytes)),
        forged_acks: Some(acks::forged(&caller, &row.lease)),
        receipts: Some(receipts.iter().map(|receipt| acks::view(&row.lease.id, receipt)).collect()),
        ..view(&row.lease)
    };
    Ok(json_response(StatusCode::OK, &shown))
}

/// `POST /v1/leases/{id}/cut`: recorded, then ended on the wire. It stands until two officers of an authority lift it.
pub async fn cut(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Reason>,
) -> Result<Response, Refused> {
    let scope = authorise(&caller.principal, Action::Cut)?;
    let why = reason(&posted.value.reason)?;
    let (status, body) = execute_value(&gateway, &caller, posted.request.clone(), |caller| {
        let lease = find(&gateway, caller, &scope, &id)?;
        if lease.state != LeaseState::Active {
            return Err(Problem::new(Code::Conflict, format!("the lease is {} already", lease.state)));
        }
        let mut change = Change::recorded(caller, &gateway.secrets, "cut", members(&lease))?;
        stop(&mut change, &gateway, caller, &lease, why)?;
        let reason = Change::prose(caller, &gateway.secrets, why)?;
        Ok(change.answer(StatusCode::OK, &json!({"id": lease.id, "state": LeaseState::Cut, "reason": reason})))
    })
    .await?;
    let lease = find(&gateway, &caller, &scope, &id)?;
    gateway.sessions.cut(&same_access(&lease), why).await;
    Ok(json_response(status, &body))
}

/// Adds to `change` that the access of `lease` ends and stays ended until two officers lift it. With the lease every other
/// selection of the same access: a puller is stopped, not one of its requests.
pub(super) fn stop(
    change: &mut Change,
    gateway: &Shared,
    caller: &Caller,
    lease: &Lease,
    why: &str,
) -> Result<(), Problem> {
    change.cut(gateway, &same_access(lease), why)?;
    let reason = Change::prose(caller, &gateway.secrets, why)?;
    let (key, standing) = (standing::key_of(lease), StandingCut { lease: lease.id.clone(), reason, open: true });
    match standing::find(&caller.snapshot, &key) {
        Some((revision, _)) => change.replace(DocKind::Setting, key, revision, &standing),
        None => change.create(DocKind::Setting, key, &standing),
    }
    Ok(())
}

pub(super) fn same_access(lease: &Lease) -> Affected {
    Affected::Access {
        principal: lease.principal.clone(),
        agreement: lease.agreement.clone(),
        dataset: lease.dataset.clone(),
        version: lease.version.clone(),
    }
}

pub(super) fn members(lease: &Lease) -> [(&'static str, serde_json::Value); 6] {
    [
        ("lease", json!(lease.id)),
        ("dataset", json!(lease.dataset)),
        ("version", json!(lease.version)),
        ("consumer", json!(lease.participant)),
        ("provider", json!(lease.provider)),
        // As a string: canonical JSON has no integers above 2^53.
        ("sent_bytes", json!(lease.sent_bytes.to_string())),
    ]
}

/// `POST /v1/leases/{id}/restore`: two officers of an authority lift a cut; the consumer then asks for a new lease.
pub async fn restore(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Nothing>,
) -> Result<Response, Refused> {
    execute(&gateway, &caller, posted.request, |caller| {
        let scope = authorise(&caller.principal, Action::Restore)?;
        let lease = find(&gateway, caller, &scope, &id)?;
        let key = standing::key_of(&lease);
        let Some((revision, mut standing)) = standing::find(&caller.snapshot, &key).filter(|(_, cut)| cut.open) else {
            return Err(Problem::new(Code::Conflict, "no cut stands for this lease"));
        };
        match sign(caller, &gateway.secrets, "restore-lease", &key, Digest::of(key.as_bytes()))? {
            Signature::First(change) => Ok(*change),
            Signature::Second(close) => {
                standing.open = false;
                let mut change = Change::recorded(caller, &gateway.secrets, "cut_lift", members(&lease))?;
                change.replace(DocKind::Setting, key, revision, &standing);
                close.with(&mut change);
                Ok(change.answer(StatusCode::OK, &json!({"id": lease.id, "state": lease.state, "lifted": true})))
            }
        }
    })
    .await
}
