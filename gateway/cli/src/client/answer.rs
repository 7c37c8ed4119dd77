//! An answer: head at once, body piece by piece.

use std::fmt::Write as _;
use std::time::Duration;

use http::header::{HeaderMap, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use serde_json::Value;

use super::failure::{self, TransportError};
use super::{Client, Connection};
use crate::error::{CommandError, Refusal};

/// Largest problem document, in bytes.
const PROBLEM_BYTES_MAX: usize = 1 << 20;

/// Status, headers, and a body that is still on the wire.
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    client: Client,
    body: Incoming,
    /// Gone once the body is read to its end.
    connection: Option<Connection>,
    idle_timeout: Duration,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Answer {
    pub(super) fn new(
        client: Client,
        response: Response<Incoming>,
        connection: Connection,
        idle_timeout: Duration,
    ) -> Self {
        let (head, body) = response.into_parts();
        let mut answer = Self {
            status: head.status,
            headers: head.headers,
            client,
            body,
            connection: Some(connection),
            idle_timeout,
        };
        if answer.body.is_end_stream() {
            answer.end();
        }
        answer
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `Retry-After` in seconds; the form with a date is not used by gateways.
    pub fn retry_after(&self) -> Option<Duration> {
        self.header(RETRY_AFTER.as_str())?.parse().ok().map(Duration::from_secs)
    }

    /// The next piece of the body, nothing at its end.
    ///
    /// # Errors
    ///
    /// [`TransportError::Broken`] if the connection ends before the body does, or nothing comes for too long.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, TransportError> {
        loop {
            let frame = tokio::time::timeout(self.idle_timeout, self.body.frame()).await;
            let frame = frame
                .map_err(|_| TransportError::Broken(format!("nothing came for {} s", self.idle_timeout.as_secs())))?;
            match frame {
                None => {
                    self.end();
                    return Ok(None);
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(failure::of_error_text("the stream broke off", &error));
                }
            }
        }
    }

    /// The whole body.
    ///
    /// # Errors
    ///
    /// [`TransportError::TooLarge`] above `bytes_max`.
    pub async fn bytes(mut self, bytes_max: usize) -> Result<Vec<u8>, TransportError> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece().await? {
            if bytes.len() + piece.len() > bytes_max {
                return Err(TransportError::TooLarge(format!("the answer has more than {bytes_max} bytes")));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// The error that an answer other than a success stands for.
    pub async fn into_error(self) -> CommandError {
        let status = self.status;
        if status.is_redirection() {
            return CommandError::Unavailable(format!("the gateway redirects ({status}); redirects are not followed"));
        }
        let retry_after = self.retry_after().map(|after| after.as_secs());
        let document = match self.bytes(PROBLEM_BYTES_MAX).await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            Err(error) => return error.into(),
        };
        CommandError::Gateway(Box::new(refusal(status, retry_after, document)))
    }

    /// The body is read: the connection can carry the next request.
    fn end(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.client.keep(connection);
        }
    }
}

fn refusal(status: StatusCode, retry_after: Option<u64>, document: Value) -> Refusal {
    let text = |member: &str| document.get(member).and_then(Value::as_str).map(str::to_owned);
    let reason = status.canonical_reason().unwrap_or("no reason").to_lowercase();
    let code = text("code").unwrap_or_else(|| reason.replace([' ', '-'], "_"));
    let detail = text("detail").or_else(|| text("title")).filter(|text| !text.is_empty());
    let mut detail = detail.map_or_else(
        || format!("the gateway answered {status}"),
        |text| text.lines().map(crate::output::clean).collect::<Vec<_>>().join("\n"),
    );
    if let Some(seconds) = retry_after {
        let _ = write!(detail, " (try again in {seconds} s)");
    }
    Refusal {
        status: status.as_u16(),
        code,
        detail,
        explain: document.get("explain").filter(|explain| !explain.is_null()).cloned(),
        leaf: document.get("leaf").and_then(Value::as_u64),
        retry_after,
        document,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_that_is_no_problem_document_still_tells() {
        let bare = refusal(StatusCode::NOT_FOUND, None, Value::Null);
        assert_eq!((bare.code.as_str(), bare.status), ("not_found", 404));
        let told = refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            Some(3),
            json!({"code": "unavailable", "detail": "draining", "leaf": 4}),
        );
        assert_eq!(told.detail, "draining (try again in 3 s)");
        assert_eq!(told.leaf, Some(4));
    }
}
