//! `/v1/participants`: who takes part, whose certificates count, and the switch that stops one.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::participant::Baseline;
use catalog::{Digest, Participant, ParticipantState, Role};
use gateway_api::catalog::Reason;
use gateway_api::participant::{AddParticipant, ParticipantView};
use gateway_api::{Code, Problem};
use gateway_store::DocKind;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::caller::PostedBytes;
use super::change::{Change, execute, execute_value, reason};
use super::dual::{Signature, sign};
use super::lifecycle::Nothing;
use super::{Caller, Posted, Refused, json_response};
use crate::admission::facts::parse_range;
use crate::authz::{Action, Scope, authorise};
use crate::gateway::Shared;
use crate::rest::path::Path;
use crate::sessions::Affected;

/// A participant as the API shows it: without its certificates.
pub fn view(participant: &Participant) -> ParticipantView {
    ParticipantView {
        id: participant.id.clone(),
        trust_domain: participant.trust_domain.clone(),
        names: participant.names.clone(),
        place: participant.place.clone(),
        roles: participant.roles.clone(),
        authority: participant.authority,
        registration: participant.registration.clone(),
        ciio: Some(participant.ciio),
        affiliates: participant.affiliates.clone(),
        restricted: participant.restricted,
        baselines: participant.baselines.clone(),
        state: participant.state,
        reason: participant.reason.clone(),
    }
}

/// `GET /v1/participants`.
pub async fn list(State(_): State<Shared>, caller: Caller) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadParticipants)?;
    let found: Vec<ParticipantView> = caller
        .snapshot
        .participants
        .values()
        .filter(|doc| sees(&caller, &scope, doc))
        .map(|doc| seen(&scope, doc))
        .collect();
    Ok(json_response(StatusCode::OK, &json!({"participants": found})))
}

/// A participant as whoever has `scope` may see it: a partner is not told what an exporter has sent to others, nor whether
/// it operates critical infrastructure.
fn seen(scope: &Scope, participant: &Participant) -> ParticipantView {
    let whole = view(participant);
    if scope.covers(&participant.id) {
        whole
    } else {
        ParticipantView { ciio: None, baselines: BTreeMap::new(), ..whole }
    }
}

/// One's own record; an authority and an operator see all; anybody sees those it exchanges data with.
fn sees(caller: &Caller, scope: &Scope, participant: &Participant) -> bool {
    let own = &caller.principal.participant;
    let partner = || {
        caller.snapshot.agreements.values().any(|agreement| {
            let parties = [&agreement.participant, &agreement.provider, &agreement.broker];
            parties.contains(&own) && parties.contains(&&participant.id)
        })
    };
    scope.covers(&participant.id) || partner()
}

/// A participant named by id or trust domain that the caller may see.
pub(super) fn find(caller: &Caller, action: Action, name: &str) -> Result<(u64, Participant), Problem> {
    let scope = authorise(&caller.principal, action)?;
    caller
        .snapshot
        .participant(name)
        .filter(
            |doc| if action == Action::ReadParticipants { sees(caller, &scope, doc) } else { scope.covers(&doc.id) },
        )
        .map(|doc| (doc.revision, doc.body.clone()))
        .ok_or_else(|| {
            let name: String = name.chars().take(64).collect();
            Problem::new(Code::NotFound, format!("there is no participant `{name}` for you"))
        })
}

/// `GET /v1/participants/{id}`.
pub async fn show(State(_): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadParticipants)?;
    Ok(json_response(StatusCode::OK, &seen(&scope, &find(&caller, Action::ReadParticipants, &name)?.1)))
}

pub(super) fn members(participant: &Participant) -> [(&'static str, serde_json::Value); 4] {
    [
        ("parties", json!([participant.id])),
        ("trust_domain", json!(participant.trust_domain)),
        ("roles", json!(participant.roles)),
        ("state", json!(participant.state)),
    ]
}

/// What makes a record unusable, beyond its types.
fn check(body: &AddParticipant, caller: &Caller) -> Result<(), Problem> {
    let wrong = |detail: String| Err(Problem::new(Code::BadInput, detail));
    if body.roles.is_empty() {
        return wrong("`roles` is empty: a participant without a role can do nothing".to_owned());
    }
    if let Some(range) = body.address_ranges.iter().find(|range| parse_range(&range.range).is_none()) {
        return wrong(format!("address range `{}`: write an address and a prefix length, `192.0.2.0/24`", range.range));
    }
    if body.baselines.values().any(|baseline| *baseline != Baseline::declared(baseline.persons, baseline.sensitive)) {
        let detail =
            "a baseline is only declared when a participant is added: it signs it, an authority's officer confirms it";
        return wrong(detail.to_owned());
    }
    if caller.snapshot.participants.contains_key(&body.id) {
        return Err(Problem::new(Code::Conflict, format!("participant `{}` is here already", body.id)));
    }
    if let Some(owner) = caller.snapshot.domains.get(&body.trust_domain) {
        let detail = format!("trust domain `{}` belongs to `{owner}`", body.trust_domain);
        return Err(Problem::new(Code::Conflict, detail));
    }
    Ok(())
}

/// `POST /v1/participants`: an operator adds one; an authority or a compliance role needs two officers of an authority.
pub async fn add(
    State(gateway): State<Shared>,
    caller: Caller,
    posted: Posted<AddParticipant>,
) -> Result<Response, Refused> {
    let body = posted.value;
    let digest = posted.request.digest;
    let (status, answer) = execute_value(&gateway, &caller, posted.request, |caller| {
        let powerful = body.authority || body.roles.contains(&Role::Compliance);
        authorise(&caller.principal, if powerful { Action::Restore } else { Action::Operate })?;
        check(&body, caller)?;
        gateway.trust.check_domain(&body.trust_domain, &body.ca, body.crl.as_deref(), &caller.snapshot)?;
        let participant = Participant {
            id: body.id.clone(),
            trust_domain: body.trust_domain.clone(),
            names: body.names.clone(),
            place: body.place.clone(),
            roles: body.roles.clone(),
            authority: body.authority,
            registration: body.registration.clone(),
            ciio: body.ciio,
            affiliates: body.affiliates.clone(),
            restricted: body.restricted,
            foreign_authority_request: false,
            address_ranges: body.address_ranges.clone(),
            baselines: body.baselines.clone(),
            state: ParticipantState::Active,
            reason: None,
            ca: body.ca.clone(),
            crl: body.crl.clone(),
            added: caller.now,
        };
        let close = if powerful {
            match sign(caller, &gateway.secrets, "add-participant", body.id.as_str(), digest)? {
                Signature::First(change) => return Ok(*change),
                Signature::Second(close) => Some(close),
            }
        } else {
            None
        };
        let mut change = Change::recorded(caller, &gateway.secrets, "participant", members(&participant))?;
        change.create(DocKind::Participant, participant.id.to_string(), &participant);
        if let Some(close) = close {
            close.with(&mut change);
        }
        Ok(change.answer(StatusCode::CREATED, &view(&participant)))
    })
    .await?;
    gateway.reload_trust()?;
    Ok(json_response(status, &answer))
}

/// `POST /v1/participants/{id}/suspend`: every lease it is a party of is cut, every request of it refused.
pub async fn suspend(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    posted: Posted<Reason>,
) -> Result<Response, Refused> {
    let why = reason(&posted.value.reason)?.to_owned();
    let text = |participant: &Participant| format!("participant `{}` suspended: {why}", participant.id);
    let (status, body) = execute_value(&gateway, &caller, posted.request, |caller| {
        let (revision, mut participant) = find(caller, Action::Cut, &name)?;
        if participant.state == ParticipantState::Suspended {
            return Err(Problem::new(Code::Conflict, format!("participant `{}` is suspended already", participant.id)));
        }
        participant.state = ParticipantState::Suspended;
        participant.reason = Some(Change::prose(caller, &gateway.secrets, &why)?);
        let mut change = Change::recorded(caller, &gateway.secrets, "participant", members(&participant))?;
        change.replace(DocKind::Participant, participant.id.to_string(), revision, &participant);
        change.cut(&gateway, &Affected::Party(participant.id.clone()), &text(&participant))?;
        Ok(change.answer(StatusCode::OK, &view(&participant)))
    })
    .await?;
    let (_, participant) = find(&caller, Action::Cut, &name)?;
    let reason = text(&participant);
    gateway.cut(&Affected::Party(participant.id), &reason, Some(&caller.principal)).await?;
    Ok(json_response(status, &body))
}

/// `POST /v1/participants/{id}/resume`: two officers of an authority.
pub async fn resume(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    posted: Posted<Nothing>,
) -> Result<Response, Refused> {
    execute(&gateway, &caller, posted.request, |caller| {
        let (revision, mut participant) = find(caller, Action::Restore, &name)?;
        if participant.state == ParticipantState::Active {
            return Err(Problem::new(Code::Conflict, format!("participant `{}` is not suspended", participant.id)));
        }
        let digest = Digest::of(participant.id.as_str().as_bytes());
        match sign(caller, &gateway.secrets, "resume-participant", participant.id.as_str(), digest)? {
            Signature::First(change) => Ok(*change),
            Signature::Second(close) => {
                participant.state = ParticipantState::Active;
                participant.reason = None;
                let mut change = Change::recorded(caller, &gateway.secrets, "participant", members(&participant))?;
                change.replace(DocKind::Participant, participant.id.to_string(), revision, &participant);
                close.with(&mut change);
                Ok(change.answer(StatusCode::OK, &view(&participant)))
            }
        }
    })
    .await
}

/// What `POST /v1/participants/{id}/confirm-baseline` takes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineYear {
    /// Year in Asia/Shanghai.
    pub year: i16,
    /// The document that the officer has seen; another one in its place is not confirmed.
    #[serde(default)]
    pub document: Option<Digest>,
}

/// `POST /v1/participants/{id}/confirm-baseline`: a yearly baseline counts only from here on.
pub async fn confirm_baseline(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    posted: Posted<BaselineYear>,
) -> Result<Response, Refused> {
    let BaselineYear { year, document } = posted.value;
    execute(&gateway, &caller, posted.request, |caller| {
        let (revision, mut participant) = find(caller, Action::Approve, &name)?;
        if participant.id == caller.principal.participant {
            return Err(Problem::new(Code::Forbidden, "a baseline is confirmed by an officer of another participant"));
        }
        let Some(baseline) = participant.baselines.get_mut(&year) else {
            return Err(Problem::new(
                Code::NotFound,
                format!("`{}` has declared no baseline for {year}", participant.id),
            ));
        };
        let conflict = |detail: String| Err(Problem::new(Code::Conflict, detail));
        let Some(signed) = baseline.document else {
            let detail = format!("the baseline of {year} is not signed: `kouan participant baseline` signs it");
            return conflict(detail);
        };
        if document.is_some_and(|document| document != signed) {
            return conflict(format!("the baseline of {year} is the document {signed} now: look at it again"));
        }
        baseline.confirmed = true;
        let mut change = Change::recorded(caller, &gateway.secrets, "baseline_confirm", members(&participant))?;
        if let Some(leaf) = change.transaction.leaves.first_mut() {
            leaf.insert("year".to_owned(), json!(year));
            leaf.insert("document".to_owned(), json!(signed));
        }
        change.replace(DocKind::Participant, participant.id.to_string(), revision, &participant);
        Ok(change.answer(StatusCode::OK, &view(&participant)))
    })
    .await
}

/// The body as PEM text.
fn pem(posted: &PostedBytes) -> Result<String, Problem> {
    String::from_utf8(posted.bytes.to_vec()).map_err(|_| Problem::new(Code::BadInput, "the body is not PEM text"))
}

/// `PUT /v1/participants/{id}/crl`: valid, of a higher number; live connections of a revoked serial end.
pub async fn put_crl(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    posted: PostedBytes,
) -> Result<Response, Refused> {
    let crl = pem(&posted)?;
    let (status, body) = execute_value(&gateway, &caller, posted.request, |caller| {
        let (revision, mut participant) = find(caller, Action::Operate, &name)?;
        let lists = gateway.trust.check_crl(&participant, &crl, caller.now)?;
        participant.crl = Some(crl.clone());
        let mut change = Change::recorded(caller, &gateway.secrets, "crl_swap", members(&participant))?;
        for write in gateway.crl_numbers(&lists)? {
            change.write(write);
        }
        change.replace(DocKind::Participant, participant.id.to_string(), revision, &participant);
        Ok(change.answer(StatusCode::OK, &view(&participant)))
    })
    .await?;
    gateway.reload_trust()?;
    Ok(json_response(status, &body))
}

/// `PUT /v1/participants/{id}/ca`: its authorities from now on; connections that they no longer vouch for end.
pub async fn put_ca(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    posted: PostedBytes,
) -> Result<Response, Refused> {
    let ca = pem(&posted)?;
    let digest = posted.request.digest;
    let (status, body) = execute_value(&gateway, &caller, posted.request, |caller| {
        let record = caller.snapshot.participant(&name);
        // Whoever names an authority's certificates could be its officers: that takes what adding an authority takes.
        let powerful = record.is_some_and(|doc| doc.authority || doc.roles.contains(&Role::Compliance));
        let (revision, mut participant) =
            find(caller, if powerful { Action::Restore } else { Action::Operate }, &name)?;
        let close = if powerful {
            match sign(caller, &gateway.secrets, "change-ca", participant.id.as_str(), digest)? {
                Signature::First(change) => return Ok(*change),
                Signature::Second(close) => Some(close),
            }
        } else {
            None
        };
        // The stored list may be of an authority that is gone: then a new list has to follow, and until then all are denied.
        let crl = participant.crl.clone().filter(|crl| {
            gateway.trust.check_domain(&participant.trust_domain, &ca, Some(crl), &caller.snapshot).is_ok()
        });
        gateway.trust.check_domain(&participant.trust_domain, &ca, crl.as_deref(), &caller.snapshot)?;
        participant.ca.clone_from(&ca);
        participant.crl = crl;
        let mut change = Change::recorded(caller, &gateway.secrets, "trust_swap", members(&participant))?;
        change.replace(DocKind::Participant, participant.id.to_string(), revision, &participant);
        if let Some(close) = close {
            close.with(&mut change);
        }
        Ok(change.answer(StatusCode::OK, &view(&participant)))
    })
    .await?;
    gateway.reload_trust()?;
    Ok(json_response(status, &body))
}
