//! Asking for a review: by what was wanted, or by the log index of the refusal.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{Digest, Review, ReviewId, ReviewState};
use gateway_api::review::RequestReview;
use gateway_api::{Code, Problem};
use gateway_audit::leaf::Leaf;
use gateway_store::DocKind;
use policy::{Effect, Facts, Selection};
use serde_json::json;

use super::{count, index, look, members};
use crate::admission::{Ask, Preview, Resolved, preview, refusal, resolve, unavailable};
use crate::authz::{Action, Scope, authorise};
use crate::gateway::Shared;
use crate::rest::change::{Change, answered, execute};
use crate::rest::exchange::named;
use crate::rest::{Caller, Posted, Refused, json_response};

/// Reviews that a participant may have open at once: an officer reads each.
const OPEN_MAX: usize = 64;

/// What is to be reviewed.
struct Wish {
    ask: Ask,
    redact: bool,
    refusal: Option<u64>,
    note: Option<String>,
}

/// `POST /v1/reviews`. Asking for the same again, while it is open, gives the same review.
pub async fn request(
    State(gateway): State<Shared>,
    caller: Caller,
    posted: Posted<RequestReview>,
) -> Result<Response, Refused> {
    let scope = caller.may(Action::RequestReview)?;
    let repeat = posted.request;
    // Before anything is decided again: a repeated request is answered as it was, whatever has become of it.
    if let Some((status, body)) = answered(&gateway, &caller, &repeat)? {
        return Ok(json_response(status, &body));
    }
    let id = ReviewId::parse(&gateway.secrets.id("v-", caller.now).map_err(unavailable)?).map_err(unavailable)?;
    let wish = wish(&gateway, &scope, posted.value)?;
    let resolved = resolve(&gateway, caller.snapshot.clone(), &caller.principal, &wish.ask, caller.now).await?;
    let preview = preview(&gateway, &resolved, wish.redact)?;
    let review = held(&resolved, &preview, &wish, id)?;
    execute(&gateway, &caller, repeat, |caller| {
        authorise(&caller.principal, Action::RequestReview)?;
        open(&gateway, caller, &preview, &review)
    })
    .await
    .inspect(|response| {
        if response.status() == StatusCode::CREATED {
            count("requested");
        }
    })
}

fn wish(gateway: &Shared, scope: &Scope, body: RequestReview) -> Result<Wish, Problem> {
    let note = body.note.as_deref().map(str::trim).filter(|note| !note.is_empty()).map(str::to_owned);
    if note.as_ref().is_some_and(|note| note.chars().count() > 500) {
        return Err(Problem::new(Code::BadInput, "`note` is at most 500 characters"));
    }
    match (body.leaf, body.dataset) {
        (Some(leaf), None) => {
            if body.version.is_some() || body.columns.is_some() || body.purpose.is_some() || body.redact {
                let detail = "`leaf` says all of what was refused: leave the other members out, but for `note`";
                return Err(Problem::new(Code::BadInput, detail));
            }
            Ok(Wish { ask: refused_ask(gateway, scope, leaf)?, redact: false, refusal: Some(leaf), note })
        }
        (None, Some(dataset)) => {
            let columns = named(body.columns)?;
            let ask = Ask { dataset, version: body.version, columns, purpose: body.purpose, needs_agreement: true };
            Ok(Wish { ask, redact: body.redact, refusal: None, note })
        }
        _ => Err(Problem::new(Code::BadInput, "name a `dataset`, or the `leaf` of a refusal: one of them")),
    }
}

/// What the refusal at `index` was about, from the facts that it was decided on.
fn refused_ask(gateway: &Shared, scope: &Scope, index: u64) -> Result<Ask, Problem> {
    let missing = || Problem::new(Code::NotFound, format!("there is no refusal `{index}` of your participant"));
    let bytes = gateway.look(|reader| reader.leaf(index))?.ok_or_else(missing)?;
    let leaf = Leaf::parse(&bytes).map_err(unavailable)?;
    let own = |leaf: &Leaf| match scope {
        Scope::Everything => true,
        Scope::Participant(own) => leaf.text("participant") == Some(own.as_str()),
    };
    if leaf.kind() != "decision" || !own(&leaf) {
        return Err(missing());
    }
    if leaf.text("effect") != Some(Effect::Review.as_str()) {
        let effect = leaf.text("effect").unwrap_or_default().to_owned();
        let detail = format!("entry {index} says `{effect}`: only a `review` is left to a person");
        return Err(Problem::new(Code::Conflict, detail));
    }
    let digest = leaf.text("facts").and_then(|text| Digest::parse(text).ok()).ok_or_else(missing)?;
    let facts = gateway.look(|reader| reader.facts(&digest))?.ok_or_else(missing)?;
    let facts = Facts::parse(&String::from_utf8_lossy(&facts)).map_err(unavailable)?;
    let gathered = facts.gathered();
    let columns = match &gathered.columns {
        Selection::All => None,
        Selection::Named(names) => Some(names.clone()),
    };
    Ok(Ask {
        dataset: gathered.dataset.id.parse().map_err(unavailable)?,
        version: Some(gathered.dataset.version.parse().map_err(unavailable)?),
        columns,
        purpose: Some(gathered.purpose.parse().map_err(unavailable)?),
        needs_agreement: true,
    })
}

/// The review of what is left to a person now.
fn held(resolved: &Resolved, preview: &Preview, wish: &Wish, id: ReviewId) -> Result<Review, Problem> {
    if let Some(released) = &preview.released {
        let detail = format!("review `{}` is released already: pull it", released.review.id);
        return Err(Problem::new(Code::Conflict, detail).with("review", json!(released.review.id)));
    }
    if preview.admits().is_some() {
        return Err(Problem::new(Code::Conflict, "this is allowed: there is nothing to review, pull it"));
    }
    let judgement = preview.refused();
    if judgement.outcome.effect != Effect::Review {
        let mut problem = refusal(resolved.viewer(), judgement);
        problem.detail.push_str("; no officer can release a denial, only what is left to a person");
        return Err(problem);
    }
    let agreement =
        resolved.agreement.as_ref().ok_or_else(|| Problem::new(Code::NoAgreement, "no agreement covers it"))?;
    Ok(Review {
        id,
        agreement: agreement.id.clone(),
        participant: resolved.consumer.id.clone(),
        provider: resolved.version.provider.clone(),
        broker: resolved.version.registrant.clone(),
        dataset: resolved.version.dataset.clone(),
        version: resolved.version.version.clone(),
        manifest: resolved.version.manifest_digest(),
        columns: judgement.columns.clone(),
        purpose: resolved.purpose.clone(),
        rules: judgement.held_by.clone(),
        policy: judgement.policy().to_owned(),
        facts: judgement.recorded_facts().0,
        accessed_from: resolved.accessed_from.clone(),
        refusal: wish.refusal,
        note: wish.note.clone(),
        state: ReviewState::Open,
        at: resolved.now,
        answer: None,
        release: None,
    })
}

fn open(gateway: &Shared, caller: &Caller, preview: &Preview, review: &Review) -> Result<Change, Problem> {
    let key = index(review);
    let known = caller.snapshot.settings.get(&key);
    let earlier = known
        .and_then(|doc| serde_json::from_value::<ReviewId>(doc.body.clone()).ok())
        .and_then(|id| caller.snapshot.reviews.get(&id))
        .filter(|earlier| earlier.state == ReviewState::Open);
    if let Some(earlier) = earlier {
        let body = serde_json::to_value(look::view(gateway, earlier, caller.now)).unwrap_or_default();
        return Ok(Change::nothing(StatusCode::OK, body, caller.now));
    }
    let reviews = caller.snapshot.reviews.values();
    let own = reviews.filter(|doc| doc.state == ReviewState::Open && doc.participant == review.participant);
    if own.count() >= OPEN_MAX {
        let detail = format!("your participant has {OPEN_MAX} open reviews, which is the most at once");
        return Err(Problem::new(Code::RateLimited, detail).with("retry_after", 3600));
    }
    let mut change = Change::recorded(caller, &gateway.secrets, "review_request", members(review))?;
    let mut kept = review.clone();
    change.note("facts", json!(review.facts));
    change.transaction.facts.extend(preview.refused().recorded());
    if let Some(refusal) = review.refusal {
        change.note("refusal", json!(refusal));
    }
    if let Some(note) = &review.note {
        change.commit_to(&gateway.secrets, "note", note)?;
        kept.note = Some(Change::prose(caller, &gateway.secrets, note)?);
    }
    match known {
        Some(doc) => change.replace(DocKind::Setting, key, doc.revision, &review.id),
        None => change.create(DocKind::Setting, key, &review.id),
    }
    change.create(DocKind::Review, review.id.to_string(), &kept);
    Ok(change.answer(StatusCode::CREATED, &look::view(gateway, &kept, caller.now)))
}
