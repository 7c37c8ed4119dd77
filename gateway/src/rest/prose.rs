//! What persons wrote is sealed in documents and in kept answers; it is opened here, on its way out to those who may read it.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use gateway_api::{Code, Problem, names};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::Refused;
use crate::gateway::Shared;
use crate::vault::SEALED;

/// Opens sealed members of JSON answers. Everything else passes as it is, streams above all.
pub async fn open(State(gateway): State<Shared>, request: Request, next: Next) -> Response {
    let (mut parts, body) = next.run(request).await.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json = kind.is_some_and(|kind| kind == "application/json" || kind == names::PROBLEM_JSON);
    // Our JSON is made whole before it is sent: what has no length is a stream.
    if !is_json || body.size_hint().exact().is_none() {
        return Response::from_parts(parts, body);
    }
    let Ok(bytes) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Refused::from(Problem::new(Code::Internal, "the answer could not be written")).into_response();
    };
    if !bytes.windows(SEALED.len()).any(|window| window == SEALED.as_bytes()) {
        return Response::from_parts(parts, Body::from(bytes));
    }
    let opened = serde_json::from_slice(&bytes).and_then(|mut value: serde_json::Value| {
        gateway.secrets.vault.open_members(&mut value);
        serde_json::to_vec(&value)
    });
    match opened {
        Ok(opened) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(opened))
        }
        Err(error) => Refused::from(crate::admission::unavailable(error)).into_response(),
    }
}
