//! `/v1/reviews`: from a refusal that is left to a person to the release that lets it go (POLICY.md, "Releasing a review").
//! Four eyes: an officer of an authority that is neither the consumer, nor the provider, nor the broker.

mod ask;
mod judged;
mod look;

pub use ask::request;
pub use look::{list, show};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{Digest, ParticipantId, Release, ReleaseId, Review, ReviewAnswer, ReviewState};
use gateway_api::catalog::Reason;
use gateway_api::review::ReleaseReview;
use gateway_api::{Code, Problem};
use gateway_store::DocKind;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::change::{Change, execute, execute_value, reason};
use super::found::found;
use super::{Caller, Posted, Refused, json_response};
use crate::admission::unavailable;
use crate::authz::{Action, Scope, authorise};
use crate::clock;
use crate::gateway::Shared;
use crate::leaf;
use crate::rest::path::Path;
use crate::sessions::Affected;

/// The longest release: no instrument of the Provisions holds longer (Art. 9: three years).
const RELEASE_MAX: SignedDuration = SignedDuration::from_hours(24 * 366 * 3);

/// The rule that asks for the number of persons.
const NUMBERS_UNKNOWN: &str = "UNK-SUBJECTS";

fn parties(review: &Review) -> [&ParticipantId; 3] {
    [&review.participant, &review.provider, &review.broker]
}

fn find(caller: &Caller, scope: &Scope, id: &str) -> Result<(u64, Review), Problem> {
    found(&caller.snapshot.reviews, "review", id, |review| scope.covers_any(parties(review)))
}

/// What every leaf about a review says. No reason, no note, no reference: those are committed.
fn members(review: &Review) -> Vec<(&'static str, Value)> {
    vec![
        ("review", json!(review.id)),
        ("consumer", json!(review.participant)),
        ("provider", json!(review.provider)),
        ("broker", json!(review.broker)),
        ("agreement", json!(review.agreement)),
        ("dataset", json!(review.dataset)),
        ("version", json!(review.version)),
        ("manifest", json!(review.manifest)),
        ("columns", leaf::list(&review.columns)),
        ("purpose", json!(review.purpose)),
        ("rules", json!(review.rules)),
        ("policy", json!(review.policy)),
        ("state", json!(review.state)),
    ]
}

/// A review that an officer is about to answer.
fn open_for(caller: &Caller, id: &str) -> Result<(u64, Review), Problem> {
    let scope = authorise(&caller.principal, Action::ReleaseReview)?;
    let (revision, review) = find(caller, &scope, id)?;
    if review.state != ReviewState::Open {
        return Err(Problem::new(Code::Conflict, format!("the review is {} already", review.state.as_str())));
    }
    let own = &caller.principal.participant;
    if parties(&review).contains(&own) {
        let detail = format!("`{own}` is a party of this export: an officer of another authority answers");
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Ok((revision, review))
}

/// The instant at which a release ends: after the day, or at the time, that `text` names.
fn until(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let bad = |detail: &str| Problem::new(Code::BadInput, format!("`until` is `{text}`: {detail}"));
    let form = "write the last day as 2026-12-31, or a time as 2026-12-31T18:00:00+08:00";
    let end = match text.parse::<Date>() {
        // A time begins with a date too, so the date must be all of it.
        Ok(day) if text.len() == 10 => clock::end_of(day).ok_or_else(|| bad(form))?,
        _ => text.parse::<Timestamp>().map_err(|_| bad(form))?,
    };
    if end <= now {
        return Err(bad("that has passed"));
    }
    if now.duration_until(end) > RELEASE_MAX {
        return Err(bad("a release holds three years at most"));
    }
    Ok(end)
}

fn reference(text: &str) -> Result<&str, Problem> {
    let text = text.trim();
    if (1..=200).contains(&text.chars().count()) {
        return Ok(text);
    }
    let detail = "`reference` is 1 to 200 characters: the decision, confirmation or file that the release rests on";
    Err(Problem::new(Code::BadInput, detail))
}

/// `POST /v1/reviews/{id}/release`: what is left to a person is decided again first, so that nobody releases what is no
/// longer so.
pub async fn release(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<ReleaseReview>,
) -> Result<Response, Refused> {
    let release_id =
        ReleaseId::parse(&gateway.secrets.id("x-", caller.now).map_err(unavailable)?).map_err(unavailable)?;
    let body = posted.value;
    let (_, review) = open_for(&caller, &id)?;
    if let Some(version) = caller.snapshot.version(&review.dataset, &review.version).cloned() {
        // Whom it concerns has to be known for this year, not only for that of the request.
        crate::counting::ready_whole(&gateway, &version, caller.now).await?;
    }
    execute(&gateway, &caller, posted.request, |caller| {
        let (revision, mut review) = open_for(caller, &id)?;
        let why = reason(&body.reason)?;
        let rests_on = reference(&body.reference)?;
        let until = until(&body.until, caller.now)?;
        judged::still_held(&gateway, caller, &review, body.subjects)?;
        review.state = ReviewState::Released;
        review.answer = Some(answer(&gateway, caller, why)?);
        review.release = Some(Release {
            id: release_id.clone(),
            rules: review.rules.clone(),
            policy: review.policy.clone(),
            until,
            reference: Change::prose(caller, &gateway.secrets, rests_on)?,
            subjects: body.subjects,
        });
        let mut change = Change::recorded(caller, &gateway.secrets, "review_release", members(&review))?;
        change.note("release", json!(release_id));
        change.note("until", json!(clock::text(until)));
        if let Some(stated) = body.subjects {
            change.note("subjects", json!(stated));
        }
        change.commit_to(&gateway.secrets, "reason", why)?;
        change.commit_to(&gateway.secrets, "reference", rests_on)?;
        Ok(answered(&gateway, caller, change, revision, &review))
    })
    .await
    .inspect(|_| count("released"))
}

/// `POST /v1/reviews/{id}/refuse`.
pub async fn refuse(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Reason>,
) -> Result<Response, Refused> {
    execute(&gateway, &caller, posted.request, |caller| {
        let (revision, mut review) = open_for(caller, &id)?;
        let why = reason(&posted.value.reason)?;
        review.state = ReviewState::Refused;
        review.answer = Some(answer(&gateway, caller, why)?);
        let mut change = Change::recorded(caller, &gateway.secrets, "review_refuse", members(&review))?;
        change.commit_to(&gateway.secrets, "reason", why)?;
        Ok(answered(&gateway, caller, change, revision, &review))
    })
    .await
    .inspect(|_| count("refused"))
}

/// `POST /v1/reviews/{id}/withdraw`: who asked takes an open request back; an authority's officer takes a release back, and
/// the streams that rest on it end with it (INV-8).
pub async fn withdraw(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Reason>,
) -> Result<Response, Refused> {
    let why = reason(&posted.value.reason)?;
    let text = format!("release withdrawn: {why}");
    let (status, body) = execute_value(&gateway, &caller, posted.request.clone(), |caller| {
        let (revision, mut review, from) = withdrawable(caller, &id)?;
        if review.state != from {
            let detail = format!("the review is {}, not {}", review.state.as_str(), from.as_str());
            return Err(Problem::new(Code::Conflict, detail));
        }
        review.state = ReviewState::Withdrawn;
        review.answer = Some(answer(&gateway, caller, why)?);
        let mut change = Change::recorded(caller, &gateway.secrets, "review_withdraw", members(&review))?;
        change.commit_to(&gateway.secrets, "reason", why)?;
        if let Some(release) = &review.release {
            change.note("release", json!(release.id));
            change.cut(&gateway, &Affected::Release(release.id.clone()), &text)?;
        }
        Ok(answered(&gateway, caller, change, revision, &review))
    })
    .await?;
    count("withdrawn");
    let (_, review, _) = withdrawable(&caller, &id)?;
    if let Some(release) = review.release {
        gateway.cut(&Affected::Release(release.id), &text, Some(&caller.principal)).await?;
    }
    Ok(json_response(status, &body))
}

/// The review, and the state from which this caller may withdraw it.
fn withdrawable(caller: &Caller, id: &str) -> Result<(u64, Review, ReviewState), Problem> {
    if let Ok(scope) = authorise(&caller.principal, Action::ReleaseReview) {
        let (revision, review) = find(caller, &scope, id)?;
        return Ok((revision, review, ReviewState::Released));
    }
    let scope = authorise(&caller.principal, Action::RequestReview)?;
    let (revision, review) = find(caller, &scope, id)?;
    if !scope.covers(&review.participant) {
        return Err(Problem::new(Code::Forbidden, "only who asked for a review takes it back"));
    }
    Ok((revision, review, ReviewState::Open))
}

fn answer(gateway: &Shared, caller: &Caller, reason: &str) -> Result<ReviewAnswer, Problem> {
    let reason = Change::prose(caller, &gateway.secrets, reason)?;
    Ok(ReviewAnswer { by: caller.principal.participant.clone(), reason, at: caller.now })
}

fn answered(gateway: &Shared, caller: &Caller, mut change: Change, revision: u64, review: &Review) -> Change {
    change.replace(DocKind::Review, review.id.to_string(), revision, review);
    change.answer(StatusCode::OK, &look::view(gateway, review, caller.now))
}

/// Counts what became of reviews.
fn count(outcome: &'static str) {
    metrics::counter!("kouan_reviews_total", "outcome" => outcome).increment(1);
}

/// Under which setting the open review of exactly this selection, rules and rule set is found: asking twice is asking once.
fn index(review: &Review) -> String {
    let about = json!({
        "agreement": review.agreement, "manifest": review.manifest, "columns": review.columns, "rules": review.rules,
        "policy": review.policy,
    });
    format!("review:{}", Digest::of(about.to_string().as_bytes()).hex())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_release_ends_after_its_last_day_in_shanghai() {
        let now: Timestamp = "2026-11-28T04:00:00Z".parse().unwrap();
        let end = |text: &str| until(text, now);
        assert_eq!(end("2026-11-28").unwrap().to_string(), "2026-11-28T16:00:00Z");
        assert_eq!(end("2026-11-28T12:00:01+08:00").unwrap().to_string(), "2026-11-28T04:00:01Z");
        for (bad, why) in [
            ("2026-11-27", "passed"),
            ("2026-11-28T12:00:00+08:00", "passed"),
            ("2030-01-01", "three years"),
            ("tomorrow", "write the last day"),
            ("2026-13-01", "write the last day"),
            ("2026-12-31T18:00:00", "write the last day"),
            ("", "write the last day"),
        ] {
            assert!(end(bad).unwrap_err().detail.contains(why), "{bad}");
        }
    }

    #[test]
    fn a_reference_is_needed() {
        assert_eq!(reference(" CAC 7 ").unwrap(), "CAC 7");
        for bad in ["", "  ", &"x".repeat(201)] {
            assert!(reference(bad).is_err());
        }
    }
}
