//! The inbox: reviews as those see them whom they concern.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{Review, ReviewId, ReviewState};
use gateway_api::review::{ReleaseView, ReviewList, ReviewView};
use gateway_api::{Code, Explain, Problem, Viewer};
use jiff::Timestamp;
use serde::Deserialize;

use super::{find, parties};
use crate::admission::unavailable;
use crate::authz::{Action, Scope};
use crate::clock;
use crate::gateway::Shared;
use crate::rest::path::Path;
use crate::rest::{Caller, Refused, json_response};

/// The rules in force for its parties.
fn rules(gateway: &Shared, review: &Review, now: Timestamp) -> Result<policy::RuleSet, Problem> {
    let snapshot = gateway.snapshot();
    gateway.rules_for(&snapshot.rulesets, review.provider.as_str(), review.participant.as_str(), now)
}

/// A review without its facts.
pub fn view(gateway: &Shared, review: &Review, now: Timestamp) -> ReviewView {
    let release = review.release.as_ref().map(|release| ReleaseView {
        id: release.id.clone(),
        rules: release.rules.clone(),
        policy: release.policy.clone(),
        until: clock::text(release.until),
        reference: release.reference.clone(),
        subjects: release.subjects,
        in_force: review.state == ReviewState::Released
            && now < release.until
            && rules(gateway, review, now).is_ok_and(|rules| release.policy == rules.digest()),
    });
    ReviewView {
        id: review.id.clone(),
        state: review.state.as_str().to_owned(),
        agreement: review.agreement.clone(),
        participant: review.participant.clone(),
        provider: review.provider.clone(),
        dataset: review.dataset.clone(),
        version: review.version.clone(),
        columns: review.columns.clone(),
        purpose: review.purpose.clone(),
        rules: review.rules.clone(),
        policy: review.policy.clone(),
        facts_digest: review.facts.to_string(),
        refusal: review.refusal,
        note: review.note.clone(),
        at: clock::text(review.at),
        answer: review.answer.clone(),
        release,
        explain: None,
        facts: None,
    }
}

/// Query of `GET /v1/reviews`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    state: Option<String>,
    dataset: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /v1/reviews`: an officer's inbox; a party sees its own.
pub async fn list(
    State(gateway): State<Shared>,
    caller: Caller,
    query: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refused> {
    let Query(query) = query.map_err(|error| Problem::new(Code::BadInput, error.body_text()))?;
    let scope = caller.may(Action::ReadReviews)?;
    let state = query
        .state
        .as_deref()
        .map(|text| {
            ReviewState::parse(text)
                .ok_or_else(|| Problem::new(Code::BadInput, "`state` is open, released, refused or withdrawn"))
        })
        .transpose()?;
    let before = query
        .cursor
        .as_deref()
        .map(|text| ReviewId::parse(text).map_err(|_| Problem::new(Code::BadInput, "`cursor` is none of ours")))
        .transpose()?;
    let limit = query.limit.unwrap_or(50).clamp(1, 500);
    let matching = caller.snapshot.reviews.values().rev().map(|doc| &doc.body).filter(|review| {
        before.as_ref().is_none_or(|before| review.id < *before)
            && state.is_none_or(|state| review.state == state)
            && query.dataset.as_deref().is_none_or(|dataset| review.dataset.as_str() == dataset)
            && scope.covers_any(parties(review))
    });
    let mut found: Vec<&Review> = matching.take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|review| review.id.to_string());
    let reviews = found.into_iter().map(|review| view(&gateway, review, caller.now)).collect();
    Ok(json_response(StatusCode::OK, &ReviewList { reviews, next }))
}

/// `GET /v1/reviews/{id}`: with the reasons, and for an authority's officer with the facts that were decided on.
pub async fn show(State(gateway): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadReviews)?;
    let (_, review) = find(&caller, &scope, &id)?;
    let mut view = view(&gateway, &review, caller.now);
    if let Some(facts) = gateway.look(|reader| reader.facts(&review.facts))? {
        let text = String::from_utf8(facts).map_err(unavailable)?;
        let facts = policy::Facts::parse(&text).map_err(unavailable)?;
        let viewer = match &scope {
            Scope::Everything => Viewer::Authority,
            Scope::Participant(own) if *own == review.provider => Viewer::Provider,
            Scope::Participant(_) => Viewer::Consumer,
        };
        let rules = rules(&gateway, &review, caller.now)?;
        let decision = policy::decide(&rules, &facts);
        view.explain = Some(Explain::of(&rules, &facts, &decision, viewer).to_value());
        if scope == Scope::Everything {
            view.facts = Some(serde_json::from_str(&text).map_err(unavailable)?);
        }
    }
    Ok(json_response(StatusCode::OK, &view))
}
