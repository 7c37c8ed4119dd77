//! Request bodies that a handler did not read to their end. An answer that is sent while bytes wait unread in the socket is
//! lost: closing it then resets the connection, and the peer sees that instead. So a bounded rest is read and dropped first.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// Most that is read for nothing; a peer that sends more meets a reset.
const REST_BYTES_MAX: usize = 8 << 20;
/// Longest that it may take.
const REST_TIME_MAX: Duration = Duration::from_secs(3);

type Slot = Arc<Mutex<Option<Body>>>;

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Option<Body>,
    slot: Slot,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.body.as_mut() {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
    }
}

/// Reads what the handler left, then lets the response go.
pub async fn read(request: Request, next: Next) -> Response {
    // A client that waits for `100 Continue` has sent nothing yet, and a read would ask it to.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let slot = Slot::default();
    let request = request.map(|body| Body::new(Lent { body: Some(body), slot: Arc::clone(&slot) }));
    let response = next.run(request).await;
    let left = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut body) = left {
        let rest = async {
            let mut read = 0;
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > REST_BYTES_MAX {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(REST_TIME_MAX, rest).await;
    }
    response
}
