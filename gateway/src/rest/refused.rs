//! Problems as responses. The one place where a problem gets its status and headers.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use gateway_api::{Code, Problem, names};
use serde::Serialize;

/// A problem on its way out.
#[derive(Debug)]
pub struct Refused(pub Box<Problem>);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let problem = self.0;
        // A problem is strings, numbers and JSON values: it serialises.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(names::PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(leaf) = problem.leaf {
            headers.insert(names::LEAF, HeaderValue::from(leaf));
        }
        if matches!(problem.code, Code::Unavailable | Code::RateLimited) {
            let seconds = problem.extra.get("retry_after").and_then(serde_json::Value::as_u64).unwrap_or(5);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A JSON answer.
pub fn json_response<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer does not serialise");
            Refused::from(Problem::new(Code::Internal, "the answer could not be written")).into_response()
        }
    }
}

/// 404 for a path that the API does not have.
pub async fn no_such_path(uri: Uri) -> Refused {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Code::NotFound, format!("there is nothing at `{path}`: the API is under /v1")).into()
}

/// 405 for a method that a path does not take.
pub async fn no_such_method(method: Method, uri: Uri) -> Refused {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Code::MethodNotAllowed, format!("`{path}` does not take {method}")).into()
}
