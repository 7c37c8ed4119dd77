//! `/v1/claims`: claims on incentive programmes. The participant files one, frozen with what it rests on; a compliance
//! officer of an authority that is another participant releases or refuses it. A contract is taken up once a year, by
//! whatever programme: each is a document of its own, so that no two claims can both have it.

mod annex;
pub mod evidence;
mod gather;
pub mod openings;
mod rates;
mod witnessed;

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::ParticipantId;
use gateway_api::catalog::Reason;
use gateway_api::claim::{ClaimList, ClaimState, ClaimView, FileClaim};
use gateway_api::{Code, Problem};
use gateway_ledger::claim::{Claim, ClaimError, Contents};
use gateway_ledger::incentive::{Programme, ProgrammeError, Side};
use gateway_store::DocKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::change::{Change, execute, reason};
use super::lifecycle::Nothing;
use super::{Caller, Posted, Refused, json_response};
use crate::authz::{Action, Scope, authorise};
use crate::clock;
use crate::gateway::Shared;
use crate::leaf;
use crate::rest::path::Path;
use crate::snapshot::Snapshot;

/// A claim as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Filed {
    /// What is claimed.
    pub claim: Claim,
    /// Where it stands.
    pub state: ClaimState,
    /// When it was filed.
    pub at: Timestamp,
    /// When it was decided on, and by whose officer.
    pub decided: Option<(Timestamp, ParticipantId)>,
    /// Why it was refused.
    pub reason: Option<String>,
    /// Leaves of the leases under its contracts.
    pub leaves: Vec<u64>,
}

/// Who has a contract in a year.
#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    claim: String,
    programme: String,
    open: bool,
}

impl Filed {
    fn view(&self) -> ClaimView {
        ClaimView {
            id: self.claim.id.clone(),
            state: self.state,
            filed: clock::text(self.at),
            decided_by: self.decided.as_ref().map(|(_, by)| by.to_string()),
            reason: self.reason.clone(),
            claim: json!(self.claim),
        }
    }
}

/// The claim under `id`, if the caller may see it.
fn find(caller: &Caller, scope: &Scope, id: &str) -> Result<(u64, Filed), Problem> {
    let shown: String = id.chars().take(64).collect();
    let missing = || Problem::new(Code::NotFound, format!("there is no claim `{shown}` for you"));
    let doc = caller.snapshot.settings.get(id).ok_or_else(missing)?;
    let filed: Filed = serde_json::from_value(doc.body.clone()).map_err(|_| missing())?;
    if scope.covers(&filed.claim.participant) { Ok((doc.revision, filed)) } else { Err(missing()) }
}

/// Every claim that `scope` covers, the oldest first.
fn all(snapshot: &Snapshot, scope: &Scope) -> Vec<Filed> {
    let ids = snapshot.settings.range("c-".to_owned()..).take_while(|(id, _)| id.starts_with("c-"));
    ids.filter_map(|(_, doc)| serde_json::from_value::<Filed>(doc.body.clone()).ok())
        .filter(|filed| scope.covers(&filed.claim.participant))
        .collect()
}

/// The contracts of claims that nobody has decided on yet.
pub fn undecided(snapshot: &Snapshot) -> BTreeSet<String> {
    let everybodys = Scope::Everything;
    let filed = all(snapshot, &everybodys).into_iter().filter(|filed| filed.state == ClaimState::Proposed);
    filed.flat_map(|filed| filed.claim.contracts).collect()
}

fn members(claim: &Claim, state: ClaimState) -> Result<Vec<(&'static str, Value)>, Problem> {
    let text = claim.text().map_err(crate::admission::unavailable)?;
    let contracts: Vec<String> = claim.contracts.iter().cloned().collect();
    Ok(vec![
        ("claim", json!(claim.id)),
        ("claim_digest", json!(catalog::Digest::of(text.as_bytes()))),
        ("programme", json!(claim.programme)),
        ("year", json!(claim.year)),
        ("base", json!(claim.base)),
        ("money", json!({"amount": claim.amount, "currency": "CNY"})),
        ("contracts", leaf::list(&contracts)),
        ("parties", json!([claim.participant])),
        ("state", json!(state)),
    ])
}

fn key(base_year: i16, contract: &str) -> String {
    format!("claimed:{base_year}:{contract}")
}

fn programme(id: &str) -> Result<Programme, Problem> {
    Programme::find(id).map_err(|error| match error {
        ProgrammeError::Unknown(_) => Problem::new(Code::NotFound, error.to_string()),
        other => crate::admission::unavailable(other),
    })
}

fn may_file(caller: &Caller, programme: &Programme) -> Result<(), Problem> {
    authorise(&caller.principal, Action::FileClaim)?;
    let broker = caller.principal.role == catalog::Role::Broker;
    let (right, who) = match programme.terms.base.participant {
        Side::Broker => (broker, "the broker"),
        Side::Consumer => (!broker, "the buyer, a researcher or compute principal,"),
    };
    let refused = || Problem::new(Code::Forbidden, format!("{who} files a claim on `{}`", programme.terms.id));
    right.then_some(()).ok_or_else(refused)
}

/// The claim of the caller's participant on the same programme and year that still stands.
fn standing(caller: &Caller, request: &FileClaim) -> Option<Filed> {
    let own = Scope::Participant(caller.principal.participant.clone());
    all(&caller.snapshot, &own).into_iter().find(|filed| {
        filed.state != ClaimState::Refused
            && filed.claim.programme == request.programme
            && filed.claim.year == request.year
    })
}

/// `POST /v1/claims`: 201, or 200 with the claim that stands already.
pub async fn file(
    State(gateway): State<Shared>,
    caller: Caller,
    posted: Posted<FileClaim>,
) -> Result<Response, Refused> {
    let request = posted.value;
    let programme = programme(&request.programme)?;
    may_file(&caller, &programme)?;
    if let Some(filed) = standing(&caller, &request) {
        return Ok(json_response(StatusCode::OK, &filed.view()));
    }
    let mut statements = gather::statements(&gateway, &caller, programme.base_year(request.year)).await?;
    let id = gateway.secrets.id("c-", caller.now).map_err(crate::admission::unavailable)?;
    let asked = annex::Asked {
        participant: caller.principal.participant.clone(),
        side: programme.terms.base.participant,
        year: programme.base_year(request.year),
    };
    let (annex, mut leaves) = annex::gather(&gateway, &caller, &mut statements, &asked).await?;
    let (claim, contents) = statements.claim(&id, &programme, request.year, &annex).map_err(refused)?;
    leaves.extend(gather::leaves(&gateway, &claim).await?);
    execute(&gateway, &caller, posted.request, |caller| {
        may_file(caller, &programme)?;
        match standing(caller, &request) {
            Some(filed) => {
                let body = serde_json::to_value(filed.view()).unwrap_or_default();
                Ok(Change::nothing(StatusCode::OK, body, caller.now))
            }
            None => filing(&gateway, caller, &claim, &contents, &leaves),
        }
    })
    .await
}

fn refused(error: ClaimError) -> Problem {
    let detail = error.to_string();
    match error {
        ClaimError::NotEligible { trace, .. } => Problem::new(Code::Denied, detail).with("trace", json!(trace)),
        ClaimError::Contracts(_) => Problem::new(Code::TooLarge, detail),
        ClaimError::Unfit(_) => crate::admission::unavailable(detail),
    }
}

fn filing(
    gateway: &Shared,
    caller: &Caller,
    claim: &Claim,
    contents: &Contents,
    leaves: &[u64],
) -> Result<Change, Problem> {
    let mut change = Change::recorded(caller, &gateway.secrets, "claim", members(claim, ClaimState::Proposed)?)?;
    let filed = Filed {
        claim: claim.clone(),
        state: ClaimState::Proposed,
        at: caller.now,
        decided: None,
        reason: None,
        leaves: leaves.to_vec(),
    };
    change.create(DocKind::Claim, claim.id.clone(), &filed);
    change.create(DocKind::ClaimContents, claim.id.clone(), contents);
    for contract in &claim.contracts {
        let key = key(claim.base_year, contract);
        let taken = Taken { claim: claim.id.clone(), programme: claim.programme.clone(), open: true };
        let held = caller.snapshot.settings.get(&key);
        free(claim, contract, held.map(|doc| &doc.body))?;
        match held {
            None => change.create(DocKind::Setting, key, &taken),
            Some(doc) => change.replace(DocKind::Setting, key, doc.revision, &taken),
        }
    }
    Ok(change.answer(StatusCode::CREATED, &filed.view()))
}

/// Whether nobody holds `contract` in the claim's base year, under any programme.
fn free(claim: &Claim, contract: &str, held: Option<&Value>) -> Result<(), Problem> {
    let Some(held) = held else { return Ok(()) };
    let held: Taken = serde_json::from_value(held.clone()).map_err(crate::admission::unavailable)?;
    if !held.open {
        return Ok(());
    }
    let (year, by, programme) = (claim.base_year, held.claim, held.programme);
    Err(Problem::new(
        Code::Conflict,
        format!(
            "contract `{contract}` is taken up in {year} by claim `{by}` on `{programme}`: no contract is claimed twice"
        ),
    ))
}

/// `GET /v1/claims`.
pub async fn list(State(_): State<Shared>, caller: Caller) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadStatements)?;
    let claims = all(&caller.snapshot, &scope).iter().map(Filed::view).collect();
    Ok(json_response(StatusCode::OK, &ClaimList { claims }))
}

/// `GET /v1/claims/{id}`.
pub async fn show(State(_): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadStatements)?;
    let (_, filed) = find(&caller, &scope, &id)?;
    Ok(json_response(StatusCode::OK, &filed.view()))
}

/// The change that decides on a proposed claim.
fn deciding(gateway: &Shared, caller: &Caller, id: &str, refusal: Option<&str>) -> Result<Change, Problem> {
    let scope = authorise(&caller.principal, Action::Approve)?;
    let (revision, mut filed) = find(caller, &scope, id)?;
    if filed.claim.participant == caller.principal.participant {
        return Err(Problem::new(Code::Forbidden, "a claim is decided on by another participant than filed it"));
    }
    if filed.state != ClaimState::Proposed {
        return Err(Problem::new(Code::Conflict, format!("claim `{id}` is decided on already")));
    }
    filed.state = if refusal.is_some() { ClaimState::Refused } else { ClaimState::Released };
    filed.decided = Some((caller.now, caller.principal.participant.clone()));
    filed.reason = refusal.map(|why| Change::prose(caller, &gateway.secrets, why)).transpose()?;
    let mut change = Change::recorded(caller, &gateway.secrets, "claim", members(&filed.claim, filed.state)?)?;
    change.replace(DocKind::Claim, id.to_owned(), revision, &filed);
    if refusal.is_some() {
        // Its contracts may be claimed again.
        for contract in &filed.claim.contracts {
            let key = key(filed.claim.base_year, contract);
            if let Some(doc) = caller.snapshot.settings.get(&key) {
                let freed = Taken { claim: id.to_owned(), programme: filed.claim.programme.clone(), open: false };
                change.replace(DocKind::Setting, key, doc.revision, &freed);
            }
        }
    }
    Ok(change.answer(StatusCode::OK, &filed.view()))
}

/// `POST /v1/claims/{id}/release`.
pub async fn release(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Nothing>,
) -> Result<Response, Refused> {
    execute(&gateway, &caller, posted.request, |caller| deciding(&gateway, caller, &id, None)).await
}

/// `POST /v1/claims/{id}/refuse` `{reason}`.
pub async fn refuse(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Reason>,
) -> Result<Response, Refused> {
    let why = reason(&posted.value.reason)?.to_owned();
    execute(&gateway, &caller, posted.request, |caller| deciding(&gateway, caller, &id, Some(&why))).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_contract_is_held_by_one_claim_whatever_the_programme() {
        let claim: Claim = serde_json::from_value(json!({
            "id": "c-2", "participant": "hku", "programme": "shenzhen-corpus-voucher-2024", "year": 2026,
            "base_year": 2026, "base": "1", "amount": "1", "contracts": ["a-1"], "contents": {},
            "shares": {"receipted": 0, "non_affiliated": 0, "payment_matched": 0, "no_round_trip": 0, "top_five": 0,
                "closed": 0},
        }))
        .unwrap();
        let taken = |open| json!({"claim": "c-1", "programme": "qianhai-broker-reward-2024", "open": open});
        assert!(free(&claim, "a-1", None).is_ok());
        assert!(free(&claim, "a-1", Some(&taken(false))).is_ok());
        let refused = free(&claim, "a-1", Some(&taken(true))).unwrap_err();
        assert_eq!(refused.code, Code::Conflict);
        assert!(refused.detail.contains("`c-1`") && refused.detail.contains("qianhai-broker-reward-2024"));
        assert!(free(&claim, "a-1", Some(&json!({}))).is_err());
        assert_ne!(key(2026, "a-1"), key(2025, "a-1"));
    }
}
