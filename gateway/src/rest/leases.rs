//! `/v1/leases`: live and past streams, and the kill switch.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{LeaseId, ParticipantId};
use gateway_api::catalog::Reason;
use gateway_api::exchange::{LeaseList, LeaseView};
use gateway_api::{Code, Problem};
use gateway_store::{Lease, LeaseFilter, LeaseState};
use serde::Deserialize;
use serde_json::json;

use super::change::reason;
use super::{Caller, Posted, Refused, json_response};
use crate::authz::{Action, Scope, authorise};
use crate::clock;
use crate::gateway::Shared;
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
        reason: lease.reason.clone(),
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
        Some(text) => Some(LeaseState::parse(text).ok_or_else(|| {
            Problem::new(Code::BadInput, "`state` is active, closed or cut")
        })?),
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
    let missing =
        || Problem::new(Code::NotFound, format!("there is no lease `{}` for you", id.chars().take(64).collect::<String>()));
    let id = LeaseId::parse(id).map_err(|_| missing())?;
    let row = gateway.look(|reader| reader.lease(&id))?.ok_or_else(missing)?;
    let lease = row.lease;
    let visible = scope.covers_any([&lease.participant, &lease.provider])
        && (!own_only(caller) || lease.principal == caller.principal.keyed(&gateway.secrets));
    if visible { Ok(lease) } else { Err(missing()) }
}

/// `GET /v1/leases/{id}`: also why it was cut, for whoever's stream broke off.
pub async fn show(State(gateway): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadLeases)?;
    gateway.settler.settled().await;
    Ok(json_response(StatusCode::OK, &view(&find(&gateway, &caller, &scope, &id)?)))
}

/// `POST /v1/leases/{id}/cut`: recorded, then ended on the wire.
pub async fn cut(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Reason>,
) -> Result<Response, Refused> {
    let scope = authorise(&caller.principal, Action::Cut)?;
    let why = reason(&posted.value.reason)?;
    let lease = find(&gateway, &caller, &scope, &id)?;
    if lease.state != LeaseState::Active {
        return Err(Problem::new(Code::Conflict, format!("the lease is {} already", lease.state)).into());
    }
    gateway.cut(&Affected::Lease(lease.id.clone()), why, Some(&caller.principal)).await?;
    let lease = find(&gateway, &caller, &scope, &id)?;
    Ok(json_response(StatusCode::OK, &json!({"id": lease.id, "state": lease.state, "reason": lease.reason})))
}
