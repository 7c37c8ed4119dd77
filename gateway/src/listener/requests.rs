//! Every request on its way in and its response on the way out: the peer is attached, panics
//! are contained, and a request counts until the last byte of its response is handed over.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;
use tower::ServiceExt;

use super::activity::InFlight;
use super::connection::Peer;
use super::options::DoorOf;
use super::problem;

/// What the listener passes requests to. An [`axum::Router`] is one; so is any tower service
/// over it that clones cheaply.
pub trait Handler:
    tower::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + 'static
{
}

impl<S> Handler for S where
    S: tower::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + 'static
{
}

/// The handler of one connection, as hyper sees it.
#[derive(Debug, Clone)]
pub(super) struct Requests<S> {
    pub(super) handler: S,
    pub(super) peer: Peer,
    pub(super) door_of: DoorOf,
}

impl<S: Handler> hyper::service::Service<Request<Incoming>> for Requests<S> {
    type Response = Response<CountedBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let in_flight = InFlight::begin(&self.peer.connection);
        let door = (self.door_of)(request.uri().path());
        let begun = Instant::now();
        request.extensions_mut().insert(self.peer.clone());
        let answer = self.handler.clone().oneshot(request);
        Box::pin(async move {
            // A panic is our bug; it must not take the connection's other streams with it.
            let response = match AssertUnwindSafe(answer).catch_unwind().await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => {
                    tracing::error!(door, "a request handler panicked");
                    problem::response(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "internal",
                        "the gateway failed to answer this request; the operator's log has the cause",
                    )
                }
            };
            let status = response.status().as_u16().to_string();
            metrics::counter!("kouan_requests_total", "door" => door, "status" => status).increment(1);
            metrics::histogram!("kouan_request_seconds", "door" => door).record(begun.elapsed());
            Ok(response.map(|body| CountedBody { body, in_flight }))
        })
    }
}

/// A response body that keeps its request counted until it is dropped. Frames pass unchanged:
/// a `Bytes` over a mapped file must reach the socket without a copy.
#[derive(Debug)]
pub(super) struct CountedBody {
    body: Body,
    in_flight: InFlight,
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.in_flight.asked();
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.in_flight.offered();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
