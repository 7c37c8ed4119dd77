//! `/v1/rulesets`: the law, and what participants and authorities add to it. A compliance officer proposes rules of the own
//! participant; two officers of an authority put them into force or take them out.

mod check;
mod shown;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{Digest, LeaseId};
use gateway_api::catalog::Reason;
use gateway_api::ruleset::{ActivateRules, ProposeRules};
use gateway_api::{Code, Problem};
use gateway_store::{DocKind, LeafRef, LeaseState, Write};
use jiff::{SignedDuration, Timestamp};
use policy::{Publication, Published, Reach, SetState, SetStatus, Timeline};
use serde_json::json;

pub use shown::{list, show};

use super::change::{Change, execute, execute_value, reason};
use super::dual::{Signature, sign};
use super::{Caller, Posted, Refused, json_response};
use crate::authz::{Action, authorise};
use crate::gateway::Shared;
use crate::leaf;
use crate::rest::path::Path;
use crate::rulesets::{self, REVISION};
use crate::sessions::Affected;

/// Most sets that one owner ever proposes: each stays stored.
const SETS_MAX: usize = 10_000;
/// How far ahead a set may be activated.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(366 * 24);
/// Leases that the commit of an activation ends; those beyond are cut right after.
const CUTS_MAX: usize = 2_000;
const NOTE_CHARS_MAX: usize = 500;

/// `owner@version`.
fn id_of(owner: &str, set: &Publication) -> String {
    format!("{owner}@{}", set.version)
}

/// A set by its id, in the timeline of its owner. What the caller may not see is not there.
fn find(caller: &Caller, id: &str) -> Result<(u64, Timeline, Publication), Problem> {
    let scope = authorise(&caller.principal, Action::ReadRules)?;
    let missing = || {
        let shown: String = id.chars().take(100).collect();
        Problem::new(Code::NotFound, format!("there is no rule set `{shown}` for you: `GET /v1/rulesets` lists them"))
    };
    let (owner, version) = id.split_once('@').ok_or_else(missing)?;
    let version: u32 = version.parse().map_err(|_| missing())?;
    let (revision, timeline) = caller.snapshot.rulesets.timeline(owner).ok_or_else(missing)?;
    let set = timeline.version(version).ok_or_else(missing)?;
    if set.reach != Reach::All && !shown::is_covered(&scope, owner) {
        return Err(missing());
    }
    Ok((revision, Timeline::clone(timeline), set.clone()))
}

fn members(timeline: &Timeline, set: &Publication) -> [(&'static str, serde_json::Value); 5] {
    [
        ("ruleset", json!(id_of(&timeline.owner, set))),
        ("policy", json!(set.digest)),
        ("reach", json!(set.reach)),
        ("rule_count", json!(set.rule_count)),
        ("parties", json!([timeline.owner])),
    ]
}

/// Stores a timeline whose set `version` was changed by `change`; rules over everybody's exports raise the revision that
/// every decision expects.
fn stored(change: &mut Change, caller: &Caller, revision: Option<u64>, timeline: &Timeline, reach: Reach) {
    match revision {
        Some(revision) => change.replace(DocKind::RuleSet, timeline.owner.clone(), revision, timeline),
        None => change.create(DocKind::RuleSet, timeline.owner.clone(), timeline),
    }
    if reach == Reach::All {
        let count = json!({"changed": caller.now});
        match caller.snapshot.settings.get(REVISION) {
            Some(doc) => change.replace(DocKind::Setting, REVISION.to_owned(), doc.revision, &count),
            None => change.create(DocKind::Setting, REVISION.to_owned(), &count),
        }
    }
}

fn with(mut timeline: Timeline, set: Publication) -> Timeline {
    match timeline.sets.iter_mut().find(|other| other.version == set.version) {
        Some(place) => *place = set,
        None => timeline.sets.push(set),
    }
    timeline
}

/// `POST /v1/rulesets`: checks the rules of the caller's participant, tries them on the worked cases, and stores them.
pub async fn propose(
    State(gateway): State<Shared>,
    caller: Caller,
    posted: Posted<ProposeRules>,
) -> Result<Response, Refused> {
    caller.may(Action::ProposeRules)?;
    let body = posted.value;
    let note = body.note.as_deref().map(str::trim).filter(|note| !note.is_empty());
    if note.is_some_and(|note| note.chars().count() > NOTE_CHARS_MAX) {
        return Err(Problem::new(Code::BadInput, format!("`note` is at most {NOTE_CHARS_MAX} characters")).into());
    }
    let owner = caller.principal.participant.to_string();
    let reach = if caller.principal.authority { Reach::All } else { Reach::Own };
    let (rules, report) = check::tried(&gateway, &owner, body.rules.clone(), reach).await?;
    let text = rules.sources().canonical().into_bytes();
    execute(&gateway, &caller, posted.request, |caller| {
        authorise(&caller.principal, Action::ProposeRules)?;
        let found = caller.snapshot.rulesets.timeline(&owner);
        let revision = found.map(|(revision, _)| revision);
        let timeline = found.map_or_else(
            || Timeline { owner: owner.clone(), sets: Vec::new() },
            |(_, timeline)| Timeline::clone(timeline),
        );
        if timeline.sets.len() >= SETS_MAX {
            return Err(Problem::new(
                Code::Conflict,
                format!("`{owner}` has proposed {SETS_MAX} sets, the most there are"),
            ));
        }
        let version = timeline.sets.iter().map(|set| set.version).max().unwrap_or(0).saturating_add(1);
        let set = Publication {
            version,
            digest: rules.digest().to_owned(),
            reach,
            rule_count: rules.rules().len(),
            state: SetState::Proposed,
            note: note.map(str::to_owned),
            proposed: caller.now,
            activated: None,
            from: None,
            revoked: None,
            reason: None,
        };
        let timeline = with(timeline, set.clone());
        let mut change = Change::recorded(caller, &gateway.secrets, "policy_propose", members(&timeline, &set))?;
        change.transaction.facts.push((Digest::of(&text), text.clone()));
        stored(&mut change, caller, revision, &timeline, Reach::Own);
        let mut answer = shown::publication(&timeline, &set, caller.now);
        if let Some(members) = answer.as_object_mut() {
            members.insert("check".to_owned(), json!(report));
        }
        Ok(change.answer(StatusCode::CREATED, &answer))
    })
    .await
}

/// From when on the set decides, if not at once.
fn begins(body: &ActivateRules, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = body.from.as_deref() else { return Ok(None) };
    let wrong = |why: &str| Problem::new(Code::BadInput, format!("`from` is `{text}`: {why}"));
    let from: Timestamp = text.parse().map_err(|_| wrong("write a time as 2026-11-22T10:00:00+08:00"))?;
    if from <= now {
        return Err(wrong("that has passed; leave it out to begin at once"));
    }
    if now.duration_until(from) > AHEAD_MAX {
        return Err(wrong("that is more than a year ahead"));
    }
    Ok(Some(from))
}

/// The set as activated at `now`.
fn activated(set: Publication, from: Option<Timestamp>, now: Timestamp) -> Publication {
    Publication { state: SetState::Activated, activated: Some(now), from: Some(from.unwrap_or(now)), ..set }
}

/// `POST /v1/rulesets/{id}/activate`: the second officer's call puts the set into force. Live leases that it would refuse
/// end with it.
pub async fn activate(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<ActivateRules>,
) -> Result<Response, Refused> {
    caller.may(Action::ActivateRules)?;
    let body = posted.value;
    let (_, timeline, set) = find(&caller, &id)?;
    let rules = gateway.local_rules(&timeline.owner, &set.digest)?;
    // The law may have changed since the proposal.
    let report = check::on_vectors(&gateway, &rules, set.reach).await?;
    let owner = timeline.owner.clone();
    let refused = match body.from {
        None => {
            let mut published = Published::clone(&caller.snapshot.rulesets);
            published.put(0, with(timeline, activated(set, None, caller.now)));
            rulesets::refused(&gateway, Arc::new(published), Some(owner.clone()), caller.now).await?
        }
        Some(_) => Vec::new(),
    };
    let (status, answer) = execute_value(&gateway, &caller, posted.request.clone(), |caller| {
        authorise(&caller.principal, Action::ActivateRules)?;
        let (revision, timeline, set) = find(caller, &id)?;
        if set.state != SetState::Proposed {
            return Err(Problem::new(Code::Conflict, format!("`{id}` is {}: propose the rules again", set.state)));
        }
        let from = begins(&body, caller.now)?;
        let signed = Digest::of(json!({"digest": set.digest, "from": from}).to_string().as_bytes());
        let close = match sign(caller, &gateway.secrets, "activate_ruleset", &id, signed)? {
            Signature::First(change) => {
                let mut change = *change;
                if let Some(members) = change.body.as_object_mut() {
                    members.insert("leases_refused".to_owned(), json!(refused.len()));
                    members.insert("check".to_owned(), json!(report));
                }
                return Ok(change);
            }
            Signature::Second(close) => close,
        };
        let set = activated(set, from, caller.now);
        let timeline = with(timeline, set.clone());
        let mut change = Change::recorded(caller, &gateway.secrets, "policy_publish", members(&timeline, &set))?;
        if let Some(members) = change.transaction.leaves.first_mut() {
            members.insert("from".to_owned(), json!(set.from));
        }
        stored(&mut change, caller, Some(revision), &timeline, set.reach);
        close.with(&mut change);
        let ended = end(&gateway, &mut change, &refused)?;
        let mut answer = shown::publication(&timeline, &set, caller.now);
        if let Some(members) = answer.as_object_mut() {
            members.insert("leases_cut".to_owned(), json!(ended));
        }
        Ok(change.answer(StatusCode::OK, &answer))
    })
    .await?;
    if status == StatusCode::OK && body.from.is_none() {
        finish(&gateway, &caller, refused, owner).await?;
    }
    Ok(json_response(status, &answer))
}

/// Ends the refused leases with the change itself: no grant follows it. Gives how many.
fn end(gateway: &Shared, change: &mut Change, refused: &[rulesets::RefusedLease]) -> Result<usize, Problem> {
    let mut names = Vec::new();
    for refused in refused.iter().take(CUTS_MAX) {
        let lease = gateway.look(|reader| reader.lease(&refused.lease))?;
        if lease.is_some_and(|row| row.lease.state == LeaseState::Active) {
            names.push(refused.lease.to_string());
            change.write(Write::LeaseState {
                lease: refused.lease.clone(),
                state: LeaseState::Cut,
                reason: Some(refused.reason.clone()),
                leaf: Some(LeafRef::This(0)),
            });
        }
    }
    if let Some(members) = change.transaction.leaves.first_mut().filter(|_| !names.is_empty()) {
        members.insert("leases".to_owned(), leaf::list(&names));
    }
    Ok(names.len())
}

/// Ends the streams of what was cut, and looks once more for leases that began in between.
async fn finish(
    gateway: &Shared,
    caller: &Caller,
    refused: Vec<rulesets::RefusedLease>,
    owner: String,
) -> Result<(), Problem> {
    let published = Arc::clone(&gateway.snapshot().rulesets);
    let later = rulesets::refused(gateway, published, Some(owner), crate::clock::now()).await?;
    for rulesets::RefusedLease { lease, reason } in refused.into_iter().chain(later) {
        let lease: BTreeSet<LeaseId> = BTreeSet::from([lease]);
        gateway.cut(&Affected::Leases(lease), &reason, Some(&caller.principal)).await?;
    }
    Ok(())
}

/// `POST /v1/rulesets/{id}/revoke`: takes a set back. A proposal is its owner's to take back; what is in force, or is to be,
/// takes two officers, since the exports it refused are then allowed again.
pub async fn revoke(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Reason>,
) -> Result<Response, Refused> {
    let text = reason(&posted.value.reason)?.to_owned();
    execute(&gateway, &caller, posted.request, |caller| {
        let scope = authorise(&caller.principal, Action::ProposeRules)?;
        let (revision, timeline, set) = find(caller, &id)?;
        let status = timeline.status(set.version, caller.now);
        let close = match status {
            Some(SetStatus::Proposed) if shown::is_covered(&scope, &timeline.owner) => None,
            Some(SetStatus::Scheduled | SetStatus::InForce) => {
                authorise(&caller.principal, Action::ActivateRules)?;
                match sign(caller, &gateway.secrets, "revoke_ruleset", &id, Digest::of(set.digest.as_bytes()))? {
                    Signature::First(change) => return Ok(*change),
                    Signature::Second(close) => Some(close),
                }
            }
            Some(SetStatus::Proposed) | None => {
                let detail = format!("`{id}` is `{}`'s proposal: its own officers take it back", timeline.owner);
                return Err(Problem::new(Code::Forbidden, detail));
            }
            Some(status @ (SetStatus::Superseded | SetStatus::Revoked)) => {
                return Err(Problem::new(Code::Conflict, format!("`{id}` is {status}: there is nothing to take back")));
            }
        };
        let reason = Some(Change::prose(caller, &gateway.secrets, &text)?);
        let set = Publication { state: SetState::Revoked, revoked: Some(caller.now), reason, ..set };
        let timeline = with(timeline, set.clone());
        let mut change = Change::recorded(caller, &gateway.secrets, "policy_revoke", members(&timeline, &set))?;
        stored(&mut change, caller, Some(revision), &timeline, set.reach);
        if let Some(close) = close {
            close.with(&mut change);
        }
        Ok(change.answer(StatusCode::OK, &shown::publication(&timeline, &set, caller.now)))
    })
    .await
}
