//! Rule sets as the API shows them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::ParticipantId;
use gateway_api::Problem;
use jiff::Timestamp;
use policy::{Level, Publication, Reach, Rule, Timeline};
use serde_json::{Value, json};

use super::{find, id_of};
use crate::authz::{Action, Scope};
use crate::gateway::Shared;
use crate::rest::path::Path;
use crate::rest::{Caller, Refused, json_response};

pub fn is_covered(scope: &Scope, owner: &str) -> bool {
    match scope {
        Scope::Everything => true,
        Scope::Participant(_) => ParticipantId::parse(owner).is_ok_and(|owner| scope.covers(&owner)),
    }
}

/// One set of a timeline.
pub fn publication(timeline: &Timeline, set: &Publication, now: Timestamp) -> Value {
    let status = timeline.status(set.version, now);
    json!({
        "id": id_of(&timeline.owner, set), "owner": timeline.owner, "version": set.version, "digest": set.digest,
        "reach": set.reach, "state": status, "in_force": status == Some(policy::SetStatus::InForce),
        "rule_count": set.rule_count, "note": set.note, "proposed": set.proposed, "activated": set.activated,
        "from": set.from, "revoked": set.revoked, "reason": set.reason,
    })
}

fn rule(rule: &Rule) -> Value {
    let level = match rule.level {
        Level::Deny => "deny",
        Level::Review => "review",
        Level::Basis { .. } => "basis",
        Level::Accept { .. } => "accept",
    };
    json!({
        "id": rule.id, "level": level, "directions": rule.directions, "citation": rule.citation,
        "in_force": rule.in_force, "effective_from": rule.effective_from, "effective_to": rule.effective_to,
        "message": rule.message, "file": rule.file,
    })
}

/// The law of this release.
fn law(gateway: &Shared) -> Value {
    let law = gateway.rules.law();
    let rules: Vec<Value> = law.rules().iter().map(rule).collect();
    json!({
        "id": "law", "digest": law.digest(), "reach": Reach::All, "state": "in_force", "in_force": true,
        "rule_count": rules.len(), "rules": rules,
    })
}

/// `GET /v1/rulesets`: the law first, then the sets that the caller may see, by owner and version.
pub async fn list(State(gateway): State<Shared>, caller: Caller) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadRules)?;
    let mut found = vec![law(&gateway)];
    for timeline in caller.snapshot.rulesets.timelines() {
        let own = is_covered(&scope, &timeline.owner);
        let visible = timeline.sets.iter().filter(|set| own || set.reach == Reach::All);
        found.extend(visible.map(|set| publication(timeline, set, caller.now)));
    }
    Ok(json_response(StatusCode::OK, &json!({"rulesets": found})))
}

/// `GET /v1/rulesets/{id}`: one set with its rules and texts.
pub async fn show(State(gateway): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<Response, Refused> {
    caller.may(Action::ReadRules)?;
    if id == "law" || id == gateway.rules.law().digest() {
        let mut law = law(&gateway);
        if let Some(members) = law.as_object_mut() {
            members.insert("texts".to_owned(), json!(policy::Sources::builtin().rules));
        }
        return Ok(json_response(StatusCode::OK, &law));
    }
    let (_, timeline, set) = find(&caller, &id)?;
    Ok(json_response(StatusCode::OK, &whole(&gateway, &timeline, &set, caller.now)?))
}

fn whole(gateway: &Shared, timeline: &Timeline, set: &Publication, now: Timestamp) -> Result<Value, Problem> {
    let mut value = publication(timeline, set, now);
    if let Some(members) = value.as_object_mut() {
        members.insert("texts".to_owned(), json!(gateway.local_sources(&set.digest)?.rules));
        // A set that no longer loads is shown all the same: somebody has to see why.
        match gateway.local_rules(&timeline.owner, &set.digest) {
            Ok(rules) => members.insert("rules".to_owned(), rules.rules().iter().map(rule).collect()),
            Err(problem) => members.insert("problem".to_owned(), problem.detail.into()),
        };
    }
    Ok(value)
}
