//! Plans and agreements.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{Agreement, AgreementId, AgreementState, Offer, VersionState};
use gateway_api::exchange::{AcceptOffer, AgreementList, AgreementView, Columns, Money, Plan, PlanRequest};
use gateway_api::review::PlanRelease;
use gateway_api::{Code, Problem};
use gateway_store::DocKind;
use policy::Effect;
use serde_json::json;

use super::change::{Change, execute, execute_value};
use super::datasets::seen;
use super::lifecycle::Nothing;
use super::{Caller, Posted, Refused, json_response};
use crate::admission::resolve::offered_to;
use crate::admission::{Ask, Resolved, preview, resolve};
use crate::authz::{Action, Scope, authorise};
use crate::clock;
use crate::gateway::Shared;
use crate::rest::path::Path;
use crate::sessions::Affected;

/// The names in a selection; `None` for all.
pub fn named(columns: Option<Columns>) -> Result<Option<Vec<String>>, Problem> {
    match columns {
        None => Ok(None),
        Some(Columns::All(text)) if text == "*" => Ok(None),
        Some(Columns::All(text)) => {
            Err(Problem::new(Code::BadInput, format!("`columns` is `{text}`: write \"*\" or a list of names")))
        }
        Some(Columns::Named(names)) => Ok(Some(names)),
    }
}

/// `POST /v1/plan`: what would be decided and what it would cost. Nothing moves, nothing is recorded.
pub async fn plan(
    State(gateway): State<Shared>,
    caller: Caller,
    posted: Posted<PlanRequest>,
) -> Result<Response, Refused> {
    caller.may(Action::Consume)?;
    let request = posted.value;
    refuse_where(request.r#where.as_deref())?;
    let ask = Ask {
        dataset: request.dataset,
        version: request.version,
        columns: named(request.columns)?,
        purpose: request.purpose,
        needs_agreement: false,
    };
    let resolved = resolve(&gateway, caller.snapshot.clone(), &caller.principal, &ask, caller.now).await?;
    let preview = preview(&gateway, &resolved, request.redact)?;
    let shown = preview.shown();
    let (bytes, unit_bytes, amount) = size(&gateway, &resolved, &shown.columns)?;
    let viewer = resolved.viewer();
    let (decision, explain) = shown.explained(viewer);
    let mut value = explain.beside(&decision, viewer);
    if preview.part.is_some()
        && preview.asked.outcome.effect != Effect::Allow
        && let Some(members) = value.as_object_mut()
    {
        let (_, dropped) = preview.asked.explained(viewer);
        members.insert("dropped".to_owned(), dropped.to_value());
    }
    let price = &resolved.version.manifest.offer.price;
    Ok(json_response(
        StatusCode::OK,
        &Plan {
            dataset: resolved.version.dataset.clone(),
            version: resolved.version.version.clone(),
            decision: value,
            columns: shown.columns.clone(),
            rows: Some(resolved.version.files.iter().map(|file| file.rows).sum()),
            bytes,
            unit_bytes,
            price: Money { amount: amount.to_string(), currency: price.currency },
            agreement: resolved.agreement.as_ref().map(|agreement| agreement.id.clone()),
            release: preview.released.as_ref().map(|released| PlanRelease {
                review: released.review.id.clone(),
                id: released.release.id.clone(),
                rules: released.release.rules.clone(),
                until: clock::text(released.release.until),
            }),
        },
    ))
}

/// 501 for a row filter.
pub fn refuse_where(filter: Option<&str>) -> Result<(), Problem> {
    match filter {
        None => Ok(()),
        Some(_) => {
            Err(Problem::new(Code::NotYet, "`where` is not in this release: leave it out and filter after the pull"))
        }
    }
}

/// Bytes of the files with only `columns`, stored bytes of their units, and the price of all of it in minor units.
pub fn size(gateway: &Shared, resolved: &Resolved, columns: &[String]) -> Result<(u64, u64, i64), Problem> {
    let mut bytes = 0;
    let leaves = leaf_numbers(resolved, columns);
    for file in resolved.files.iter().filter(|_| !leaves.is_empty()) {
        let representation = gateway
            .files
            .representation(file, &leaves)
            .map_err(|error| Problem::new(Code::BadInput, error.to_string()))?;
        bytes += representation.bytes();
    }
    let quote = crate::admission::quote(resolved, columns)?;
    Ok((bytes, quote.bytes, quote.amount.0))
}

/// Positions of `columns` among the version's leaf columns, ascending.
pub fn leaf_numbers(resolved: &Resolved, columns: &[String]) -> Vec<usize> {
    let wanted: std::collections::BTreeSet<&str> = columns.iter().map(String::as_str).collect();
    resolved
        .leaves
        .iter()
        .enumerate()
        .filter(|(_, leaf)| wanted.contains(leaf.as_str()))
        .map(|(number, _)| number)
        .collect()
}

fn view(agreement: &Agreement) -> AgreementView {
    AgreementView {
        id: agreement.id.clone(),
        participant: agreement.participant.clone(),
        dataset: agreement.dataset.clone(),
        purpose: agreement.purpose.clone(),
        offer: agreement.offer,
        state: agreement.state,
        fee: agreement.terms.fee.clone(),
        at: clock::text(agreement.at),
    }
}

/// `POST /v1/agreements`: accepting checks the offer's recipients, purposes and places, not the export decision.
pub async fn accept(
    State(gateway): State<Shared>,
    caller: Caller,
    posted: Posted<AcceptOffer>,
) -> Result<Response, Refused> {
    let id = AgreementId::parse(&gateway.secrets.id("a-", caller.now).map_err(crate::admission::unavailable)?)
        .map_err(crate::admission::unavailable)?;
    let body = posted.value;
    let fees = gateway.config.fees().map_err(crate::admission::unavailable)?;
    execute(&gateway, &caller, posted.request, |caller| {
        let scope = authorise(&caller.principal, Action::Consume)?;
        let missing = || Problem::new(Code::NotFound, format!("there is no dataset `{}` for you", body.dataset));
        let dataset = caller.snapshot.datasets.get(&body.dataset).ok_or_else(missing)?;
        let versions = seen(caller, &scope, dataset);
        let version = versions
            .iter()
            .rev()
            .filter(|version| version.state == VersionState::Published)
            .find(|version| body.version.as_ref().is_none_or(|name| version.version == *name))
            .ok_or_else(missing)?;
        let (offer, record) = (&version.manifest.offer, &caller.principal.record);
        if !offered_to(offer, record) {
            return Err(Problem::new(Code::OfferMismatch, "the offer is not made to your participant"));
        }
        if !offer.purposes.contains(&body.purpose) {
            let purposes: Vec<&str> = offer.purposes.iter().map(catalog::Purpose::as_str).collect();
            let detail = format!("the offer is not for `{}`; it is for {}", body.purpose, purposes.join(", "));
            return Err(Problem::new(Code::OfferMismatch, detail));
        }
        if !offer.places.iter().any(|place| place.covers(&record.place)) {
            return Err(Problem::new(
                Code::OfferMismatch,
                format!("the offer is not for `{}`, where you are registered", record.place),
            ));
        }
        let digest = offer.digest();
        let existing = caller.snapshot.agreements.values().find(|agreement| {
            agreement.participant == record.id
                && agreement.dataset == body.dataset
                && agreement.purpose == body.purpose
                && agreement.offer == digest
                && agreement.state == AgreementState::Active
        });
        if let Some(existing) = existing {
            return Ok(Change::nothing(
                StatusCode::OK,
                serde_json::to_value(view(existing)).unwrap_or_default(),
                caller.now,
            ));
        }
        // INVARIANT (agreed): terms are whole when they are agreed, so that no later configuration changes them.
        let fee = fees.of(&version.registrant, offer);
        let by_node = offer.fee.is_none().then(|| fee.clone()).flatten();
        let agreement = Agreement {
            id: id.clone(),
            participant: record.id.clone(),
            dataset: body.dataset.clone(),
            purpose: body.purpose.clone(),
            offer: digest,
            terms: Offer { fee, ..offer.clone() },
            provider: version.provider.clone(),
            broker: version.registrant.clone(),
            state: AgreementState::Active,
            foreign_authority_request: false,
            at: caller.now,
            ended_at: None,
        };
        let members = [
            ("agreement", json!(agreement.id)),
            ("dataset", json!(agreement.dataset)),
            ("purpose", json!(agreement.purpose)),
            ("offer", json!(agreement.offer)),
            ("provider", json!(agreement.provider)),
        ];
        let mut change = Change::recorded(caller, &gateway.secrets, "agreement", members)?;
        if let Some(fee) = &by_node {
            change.note("fee", json!(fee));
        }
        // The version is expected unchanged, so that two requests for the same offer cannot both create one: the second
        // meets the first through this participant's index entry.
        let index = format!("agreement:{}:{}:{}:{}", record.id, body.dataset, body.purpose, digest.hex());
        match caller.snapshot.settings.get(&index) {
            Some(doc) => change.replace(DocKind::Setting, index, doc.revision, &agreement.id),
            None => change.create(DocKind::Setting, index, &agreement.id),
        }
        change.create(DocKind::Agreement, agreement.id.to_string(), &agreement);
        Ok(change.answer(StatusCode::CREATED, &view(&agreement)))
    })
    .await
}

fn parties(agreement: &Agreement) -> [&catalog::ParticipantId; 3] {
    [&agreement.participant, &agreement.provider, &agreement.broker]
}

fn find(caller: &Caller, id: &str) -> Result<(u64, Agreement), Problem> {
    let scope = reader_scope(caller)?;
    let missing = || {
        Problem::new(
            Code::NotFound,
            format!("there is no agreement `{}` for you", id.chars().take(64).collect::<String>()),
        )
    };
    let id = AgreementId::parse(id).map_err(|_| missing())?;
    let doc = caller.snapshot.agreements.get(&id).ok_or_else(missing)?;
    if scope.covers_any(parties(doc)) { Ok((doc.revision, doc.body.clone())) } else { Err(missing()) }
}

/// Agreements are read by those who read leases.
fn reader_scope(caller: &Caller) -> Result<Scope, Problem> {
    authorise(&caller.principal, Action::ReadLeases)
}

/// `GET /v1/agreements`.
pub async fn agreements(State(_): State<Shared>, caller: Caller) -> Result<Response, Refused> {
    let scope = reader_scope(&caller)?;
    let agreements = caller
        .snapshot
        .agreements
        .values()
        .filter(|agreement| scope.covers_any(parties(agreement)))
        .map(|agreement| view(agreement))
        .collect();
    Ok(json_response(StatusCode::OK, &AgreementList { agreements }))
}

/// `GET /v1/agreements/{id}`.
pub async fn agreement(State(_): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<Response, Refused> {
    Ok(json_response(StatusCode::OK, &view(&find(&caller, &id)?.1)))
}

/// What a consumer reads whose stream ended with its agreement.
const ENDED: &str = "the agreement has ended";

/// `POST /v1/agreements/{id}/end`: the consumer or the provider ends it; its live streams end with it.
pub async fn end(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Nothing>,
) -> Result<Response, Refused> {
    let (status, body) = execute_value(&gateway, &caller, posted.request, |caller| {
        let (revision, mut agreement) = find(caller, &id)?;
        if agreement.state == AgreementState::Ended {
            let body = serde_json::to_value(view(&agreement)).unwrap_or_default();
            return Ok(Change::nothing(StatusCode::OK, body, caller.now));
        }
        agreement.state = AgreementState::Ended;
        agreement.ended_at = Some(caller.now);
        let members = [
            ("agreement", json!(agreement.id)),
            ("dataset", json!(agreement.dataset)),
            ("purpose", json!(agreement.purpose)),
            ("provider", json!(agreement.provider)),
        ];
        let mut change = Change::recorded(caller, &gateway.secrets, "agreement_end", members)?;
        change.replace(DocKind::Agreement, agreement.id.to_string(), revision, &agreement);
        change.cut(&gateway, &Affected::Agreement(agreement.id.clone()), ENDED)?;
        Ok(change.answer(StatusCode::OK, &view(&agreement)))
    })
    .await?;
    let (_, agreement) = find(&caller, &id)?;
    gateway.cut(&Affected::Agreement(agreement.id), ENDED, Some(&caller.principal)).await?;
    Ok(json_response(status, &body))
}

/// What a consumer reads whose stream ended with that flag.
const FLAGGED: &str = "requests under this agreement serve a foreign authority";

/// What `POST /v1/agreements/{id}/foreign-authority` takes.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// Whether requests under it serve a foreign judicial or law-enforcement body.
    pub flag: bool,
}

/// `POST /v1/agreements/{id}/foreign-authority`: an authority's officer sets the flag of DSL Art. 36.
pub async fn flag(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Flag>,
) -> Result<Response, Refused> {
    let request = posted.request;
    let flag = posted.value.flag;
    let (status, body) = execute_value(&gateway, &caller, request, |caller| {
        authorise(&caller.principal, Action::Approve)?;
        let (revision, mut agreement) = find(caller, &id)?;
        agreement.foreign_authority_request = flag;
        let members =
            [("agreement", json!(agreement.id)), ("dataset", json!(agreement.dataset)), ("flag", json!(flag))];
        let mut change = Change::recorded(caller, &gateway.secrets, "agreement_flag", members)?;
        change.replace(DocKind::Agreement, agreement.id.to_string(), revision, &agreement);
        if flag {
            change.cut(&gateway, &Affected::Agreement(agreement.id.clone()), FLAGGED)?;
        }
        Ok(change.answer(StatusCode::OK, &view(&agreement)))
    })
    .await?;
    if flag {
        let (_, agreement) = find(&caller, &id)?;
        gateway.cut(&Affected::Agreement(agreement.id), FLAGGED, Some(&caller.principal)).await?;
    }
    Ok(json_response(status, &body))
}
