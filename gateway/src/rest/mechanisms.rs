//! `/v1/mechanisms`: filings and approvals. A party adds one, and records later when it was filed; each counts once an
//! officer of an authority that is no party has confirmed it; revoking one ends what rests on it.

mod due;
mod filing;

pub use due::{carries_until, upkeep};
pub use filing::filed;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{Mechanism, MechanismId, MechanismState, ParticipantId};
use gateway_api::catalog::Reason;
use gateway_api::mechanism::AddMechanism;
use gateway_api::{Code, Problem};
use gateway_store::DocKind;
use jiff::civil::Date;
use serde_json::json;

use super::change::{Change, execute, execute_value, reason};
use super::found::found;
use super::lifecycle::Nothing;
use super::{Caller, Posted, Refused, json_response};
use crate::authz::{Action, Scope, authorise};
use crate::gateway::Shared;
use crate::rest::path::Path;
use crate::sessions::Affected;

const LIST_MAX: usize = 64;

fn date(name: &str, text: &str) -> Result<Date, Problem> {
    text.parse().map_err(|_| Problem::new(Code::BadInput, format!("`{name}` is `{text}`: write a day as 2026-11-22")))
}

fn checked(body: &AddMechanism, caller: &Caller, scope: &Scope) -> Result<(Date, Option<Date>, Option<Date>), Problem> {
    for participant in [&body.exporter, &body.recipient] {
        if !caller.snapshot.participants.contains_key(participant) {
            return Err(Problem::new(Code::BadInput, format!("there is no participant `{participant}`")));
        }
    }
    if body.exporter == body.recipient {
        return Err(Problem::new(Code::BadInput, "exporter and recipient are the same participant"));
    }
    if !scope.covers_any([&body.exporter, &body.recipient]) {
        return Err(Problem::new(Code::Forbidden, "only a party of a mechanism, or an authority, adds it"));
    }
    if !(1..=200).contains(&body.reference.trim().chars().count()) {
        return Err(Problem::new(
            Code::BadInput,
            "`reference` is 1 to 200 characters: the number of the filing or approval",
        ));
    }
    for (name, list) in [("datasets", &body.datasets), ("purposes", &body.purposes)] {
        if list.is_empty() || list.len() > LIST_MAX || list.iter().any(|entry| entry.is_empty() || entry.len() > 64) {
            return Err(Problem::new(Code::BadInput, format!("`{name}` lists 1 to {LIST_MAX} ids, or is [\"*\"]")));
        }
    }
    if body.persons_max.is_some_and(|persons| persons >= 1 << 53) {
        return Err(Problem::new(Code::BadInput, "`persons_max` is at most 2^53 − 1"));
    }
    filing::check_documents(&body.documents)?;
    let effective = date("effective", &body.effective)?;
    let filed = body.filed.as_deref().map(|text| date("filed", text)).transpose()?;
    let expires = body.expires.as_deref().map(|text| date("expires", text)).transpose()?;
    if expires.is_some_and(|expires| expires < effective) {
        return Err(Problem::new(Code::BadInput, "`expires` is before `effective`"));
    }
    Ok((effective, filed, expires))
}

fn members(mechanism: &Mechanism) -> [(&'static str, serde_json::Value); 9] {
    [
        ("mechanism", json!(mechanism.id)),
        ("mechanism_kind", json!(mechanism.kind)),
        ("provider", json!(mechanism.exporter)),
        ("consumer", json!(mechanism.recipient)),
        ("effective", json!(mechanism.effective)),
        ("filed", json!(mechanism.filed)),
        ("expires", json!(mechanism.expires)),
        ("documents", filing::digests(&mechanism.documents)),
        ("state", json!(mechanism.state)),
    ]
}

/// `POST /v1/mechanisms`.
pub async fn add(
    State(gateway): State<Shared>,
    caller: Caller,
    posted: Posted<AddMechanism>,
) -> Result<Response, Refused> {
    let id = MechanismId::parse(&gateway.secrets.id("m-", caller.now).map_err(crate::admission::unavailable)?)
        .map_err(crate::admission::unavailable)?;
    let body = posted.value;
    execute(&gateway, &caller, posted.request, |caller| {
        let scope = authorise(&caller.principal, Action::AddMechanism)?;
        let (effective, filed, expires) = checked(&body, caller, &scope)?;
        let mechanism = Mechanism {
            id: id.clone(),
            kind: body.kind,
            reference: body.reference.trim().to_owned(),
            exporter: body.exporter.clone(),
            recipient: body.recipient.clone(),
            effective,
            filed,
            expires,
            datasets: body.datasets.clone(),
            purposes: body.purposes.clone(),
            persons_max: body.persons_max,
            documents: body.documents.clone(),
            filing: None,
            state: MechanismState::Proposed,
            added_by: caller.principal.participant.clone(),
            at: caller.now,
        };
        let mut change = Change::recorded(caller, &gateway.secrets, "mechanism_add", members(&mechanism))?;
        change.commit_to(&gateway.secrets, "reference", &mechanism.reference)?;
        change.create(DocKind::Mechanism, mechanism.id.to_string(), &mechanism);
        Ok(change.answer(StatusCode::CREATED, &due::view(&gateway, &mechanism, caller.now)))
    })
    .await
}

fn find(caller: &Caller, scope: &Scope, id: &str) -> Result<(u64, Mechanism), Problem> {
    found(&caller.snapshot.mechanisms, "mechanism", id, |mechanism| scope.covers_any(parties(mechanism)))
}

fn parties(mechanism: &Mechanism) -> [&ParticipantId; 2] {
    [&mechanism.exporter, &mechanism.recipient]
}

/// `GET /v1/mechanisms`.
pub async fn list(State(gateway): State<Shared>, caller: Caller) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadMechanisms)?;
    let found: Vec<_> = caller
        .snapshot
        .mechanisms
        .values()
        .map(|doc| &doc.body)
        .filter(|mechanism| scope.covers_any(parties(mechanism)))
        .map(|mechanism| due::view(&gateway, mechanism, caller.now))
        .collect();
    Ok(json_response(StatusCode::OK, &json!({"mechanisms": found})))
}

/// `GET /v1/mechanisms/{id}`.
pub async fn show(State(gateway): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadMechanisms)?;
    let (_, mechanism) = find(&caller, &scope, &id)?;
    Ok(json_response(StatusCode::OK, &due::view(&gateway, &mechanism, caller.now)))
}

/// `POST /v1/mechanisms/{id}/confirm`: the mechanism itself, or a filing that was recorded since.
pub async fn confirm(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Nothing>,
) -> Result<Response, Refused> {
    execute(&gateway, &caller, posted.request, |caller| {
        let scope = authorise(&caller.principal, Action::Approve)?;
        let (revision, mut mechanism) = find(caller, &scope, &id)?;
        let waits = mechanism.state == MechanismState::Proposed || mechanism.filing.is_some();
        if mechanism.state == MechanismState::Revoked || !waits {
            return Err(Problem::new(
                Code::Conflict,
                format!("it is {}, and nothing of it waits for confirmation", mechanism.state.as_str()),
            ));
        }
        four_eyes(caller, &mechanism)?;
        mechanism.state = MechanismState::Confirmed;
        if let Some(filing) = mechanism.filing.take() {
            mechanism.filed = Some(filing.filed);
            mechanism.documents.extend(filing.documents);
        }
        let mut change = Change::recorded(caller, &gateway.secrets, "mechanism_confirm", members(&mechanism))?;
        change.replace(DocKind::Mechanism, mechanism.id.to_string(), revision, &mechanism);
        Ok(change.answer(StatusCode::OK, &due::view(&gateway, &mechanism, caller.now)))
    })
    .await
}

/// Whoever confirms belongs to another participant than whoever added or filed it, and than its parties.
fn four_eyes(caller: &Caller, mechanism: &Mechanism) -> Result<(), Problem> {
    let own = &caller.principal.participant;
    let forbidden = |what: &str| {
        Err(Problem::new(Code::Forbidden, format!("`{own}` {what}: an officer of another participant confirms it")))
    };
    if mechanism.added_by == *own {
        return forbidden("added it");
    }
    if mechanism.filing.as_ref().is_some_and(|filing| filing.recorded_by == *own) {
        return forbidden("recorded its filing");
    }
    if parties(mechanism).contains(&own) {
        return forbidden("is a party of it");
    }
    Ok(())
}

/// `POST /v1/mechanisms/{id}/revoke`: no new lease goes under it, and the live ones that rest on it end.
pub async fn revoke(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Reason>,
) -> Result<Response, Refused> {
    let why = reason(&posted.value.reason)?;
    let text = format!("mechanism revoked: {why}");
    let affected = |mechanism: &Mechanism| Affected::Mechanism(mechanism.id.clone());
    let (status, body) = execute_value(&gateway, &caller, posted.request.clone(), |caller| {
        let scope = authorise(&caller.principal, Action::AddMechanism)?;
        let (revision, mut mechanism) = find(caller, &scope, &id)?;
        if mechanism.state == MechanismState::Revoked {
            return Err(Problem::new(Code::Conflict, "it is revoked already"));
        }
        mechanism.state = MechanismState::Revoked;
        let mut change = Change::recorded(caller, &gateway.secrets, "mechanism_revoke", members(&mechanism))?;
        change.commit_to(&gateway.secrets, "reason", why)?;
        change.replace(DocKind::Mechanism, mechanism.id.to_string(), revision, &mechanism);
        change.cut(&gateway, &affected(&mechanism), &text)?;
        Ok(change.answer(StatusCode::OK, &due::view(&gateway, &mechanism, caller.now)))
    })
    .await?;
    let (_, mechanism) = find(&caller, &Scope::Everything, &id)?;
    gateway.cut(&affected(&mechanism), &text, Some(&caller.principal)).await?;
    Ok(json_response(status, &body))
}
