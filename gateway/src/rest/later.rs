//! What the public contract names and this release does not have: a clear answer instead of a 404.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use gateway_api::{Code, Problem};
use serde_json::json;

use super::{Caller, Refused, json_response};
use crate::gateway::Shared;

/// 501 for a path of a later release.
pub async fn not_yet(uri: Uri, _: Caller) -> Refused {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Code::NotYet, format!("`{path}` comes with a later release; gateway/CHANGELOG.md says what is here"))
        .into()
}

/// `GET /v1/rulesets`: the rules in force. Adding and activating others comes later.
pub async fn rulesets(State(gateway): State<Shared>, _: Caller) -> Response {
    let rules: Vec<_> = gateway
        .rules
        .rules()
        .iter()
        .map(|rule| json!({"id": rule.id, "citation": rule.citation, "in_force": rule.in_force, "file": rule.file}))
        .collect();
    let set = json!({"digest": gateway.rules.digest(), "in_force": true, "rules": rules});
    json_response(StatusCode::OK, &json!({"rulesets": [set]}))
}
