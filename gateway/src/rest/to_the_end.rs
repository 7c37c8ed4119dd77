//! What is recorded must also be done: a change runs to its end though the peer that asked for it hangs up. hyper drops the
//! future of a request whose connection is gone; between the commit of a suspension and the cut of its streams, say.

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use gateway_api::{Code, Problem};

use super::Refused;
use crate::gateway::Shared;

/// Runs everything but reads in a task of its own.
pub async fn run(State(gateway): State<Shared>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    match gateway.tasks.spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a change did not run to its end");
            Refused::from(Problem::new(Code::Internal, "the change did not run to its end")).into_response()
        }
    }
}
