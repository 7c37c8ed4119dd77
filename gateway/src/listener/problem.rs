//! The listener's own refusals as RFC 9457 problems.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

/// The media type of a problem (RFC 9457 §3).
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

/// A response with a problem body. `detail` says what was wrong and what would be right.
pub(super) fn response(status: StatusCode, code: &str, detail: &str) -> Response<Body> {
    let problem = Problem {
        r#type: format!("urn:kouan:problem:{code}"),
        title: status.canonical_reason().unwrap_or("Refused"),
        status: status.as_u16(),
        detail,
        code,
    };
    // Strings and a number always serialise; an empty body would still carry the status.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
    response
}
