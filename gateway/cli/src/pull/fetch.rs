//! One segment: a ranged request, repeated from where it broke off until every byte is in the part.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_api::exchange::LeaseView;
use gateway_api::{Code, names};
use http::StatusCode;
use tokio::sync::mpsc;

use super::Tuning;
use super::part::Part;
use super::source::Source;
use crate::client::{Answer, Call, Client, TransportError, path};
use crate::error::CommandError;
use crate::output;

/// Bytes collected before they are written.
const WRITE_BYTES: usize = 1 << 20;
/// How long bytes are collected at most.
const WRITE_AFTER: Duration = Duration::from_millis(250);
/// Longest `Retry-After` that a segment waits for.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);
/// Shorter waits are not told, unless the gateway asks for them: nobody notices.
const TOLD_FROM: Duration = Duration::from_secs(1);

/// What the segments of one file share.
#[derive(Debug)]
pub struct Shared {
    /// The gateway.
    pub client: Client,
    /// What is pulled.
    pub source: Source,
    /// Its ETag.
    pub etag: String,
    /// Its length.
    pub bytes: u64,
    /// Where it goes.
    pub part: Arc<Part>,
    /// Limits.
    pub tuning: Tuning,
}

/// What a segment tells while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// These bytes are in the part (not yet durable).
    Written(Range<u64>),
    /// Bytes come under this lease, recorded at this index.
    Lease {
        /// Lease id.
        id: String,
        /// Log index.
        leaf: Option<u64>,
    },
    /// Nothing comes for this long, and why.
    Waits {
        /// Why.
        why: String,
        /// How long.
        wait: Duration,
    },
}

/// Why a segment stopped.
#[derive(Debug)]
pub enum FetchError {
    /// The representation is another one now.
    Changed,
    /// The network is lost: the pull can go on later.
    Lost(String),
    /// Nothing that waiting helps against.
    Final(CommandError),
}

impl From<CommandError> for FetchError {
    fn from(error: CommandError) -> Self {
        Self::Final(error)
    }
}

/// Why one attempt stopped before its end.
enum Setback {
    Fetch(FetchError),
    /// Try again, no sooner than this.
    Again(String, Option<Duration>),
}

impl<E: Into<FetchError>> From<E> for Setback {
    fn from(error: E) -> Self {
        Self::Fetch(error.into())
    }
}

impl From<TransportError> for Setback {
    fn from(error: TransportError) -> Self {
        if error.is_final() {
            Self::Fetch(FetchError::Final(error.into()))
        } else {
            Self::Again(error.to_string(), None)
        }
    }
}

/// Fetches `range`, telling of every byte that is written. Cancel safe: what was told is written.
pub async fn segment(shared: Arc<Shared>, range: Range<u64>, events: mpsc::Sender<Event>) -> Result<(), FetchError> {
    let mut at = range.start;
    let mut failures = 0;
    while at < range.end {
        let before = at;
        let setback = match attempt(&shared, &mut at, range.end, &events).await {
            Ok(()) => continue,
            Err(Setback::Fetch(error)) => return Err(error),
            Err(Setback::Again(why, after)) => (why, after),
        };
        failures = if at > before { 1 } else { failures + 1 };
        let (why, after) = setback;
        if failures > shared.tuning.failures_max {
            return Err(FetchError::Lost(why));
        }
        let backoff = shared.tuning.retry_base.saturating_mul(2_u32.saturating_pow(failures - 1));
        let wait = after.unwrap_or_default().min(RETRY_AFTER_MAX).max(backoff.min(shared.tuning.retry_max));
        if after.is_some() || wait >= TOLD_FROM {
            tell(&events, Event::Waits { why, wait }).await;
        }
        tokio::time::sleep(wait).await;
    }
    Ok(())
}

/// One request for `at..end`; moves `at` behind the last byte that was written.
async fn attempt(shared: &Shared, at: &mut u64, end: u64, events: &mpsc::Sender<Event>) -> Result<(), Setback> {
    let call =
        shared.source.get()?.header("range", &format!("bytes={at}-{}", end - 1))?.header("if-range", &shared.etag)?;
    let mut answer = shared.client.send_once(&call).await?;
    let lease = answer.header(names::LEASE).map(output::clean);
    if let Some(id) = &lease {
        let leaf = answer.header(names::LEAF).and_then(|text| text.parse().ok());
        tell(events, Event::Lease { id: id.clone(), leaf }).await;
    }
    let stop = match answer.status {
        StatusCode::PARTIAL_CONTENT => partial_end(shared, &answer, *at, end)?,
        StatusCode::OK if answer.header("etag") == Some(&shared.etag) => {
            if *at != 0 || end != shared.bytes {
                return Err(broken_protocol("answers a range with the whole file"));
            }
            end
        }
        StatusCode::OK | StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => {
            return Err(Setback::Fetch(FetchError::Changed));
        }
        _ => return Err(refused(answer).await),
    };
    let streamed = body(shared, &mut answer, at, stop, events).await;
    if let (Err(Setback::Again(..)), Some(lease)) = (&streamed, &lease)
        && let Some(reason) = cut_reason(&shared.client, lease).await
    {
        return Err(Setback::Fetch(FetchError::Final(cut(lease, &reason))));
    }
    streamed
}

/// The end of a 206, which may be shorter than asked for but must begin where asked and be of the same representation.
fn partial_end(shared: &Shared, answer: &Answer, at: u64, end: u64) -> Result<u64, Setback> {
    if answer.header("etag") != Some(&shared.etag) {
        return Err(Setback::Fetch(FetchError::Changed));
    }
    let range = answer.header("content-range").and_then(content_range);
    match range {
        Some((first, last, total)) if first == at && last >= first && last < end && total == shared.bytes => {
            Ok(last + 1)
        }
        _ => Err(broken_protocol("answers with another range than asked for")),
    }
}

/// `bytes 0-9/100` (RFC 9110 §14.4).
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, total.parse().ok()?))
}

fn broken_protocol(what: &str) -> Setback {
    Setback::Fetch(FetchError::Final(CommandError::Unavailable(format!("the gateway {what}"))))
}

/// Writes the body as it comes; what came before a break is kept.
async fn body(
    shared: &Shared,
    answer: &mut Answer,
    at: &mut u64,
    stop: u64,
    events: &mpsc::Sender<Event>,
) -> Result<(), Setback> {
    let mut buffer: Vec<u8> = Vec::with_capacity(WRITE_BYTES);
    let mut oldest = Instant::now();
    loop {
        // What was received is never held back for long: a slow or stalled stream keeps what it brought.
        let piece = if buffer.is_empty() {
            Some(answer.piece().await)
        } else {
            tokio::time::timeout(WRITE_AFTER, answer.piece()).await.ok()
        };
        if let Some(Ok(Some(bytes))) = &piece {
            if buffer.is_empty() {
                oldest = Instant::now();
            }
            buffer.extend_from_slice(bytes);
        }
        let late = piece.is_none() || oldest.elapsed() >= WRITE_AFTER;
        let ended = piece.filter(|piece| !matches!(piece, Ok(Some(_))));
        if *at + buffer.len() as u64 > stop {
            return Err(broken_protocol("sends more bytes than it announced"));
        }
        if !buffer.is_empty() && (buffer.len() >= WRITE_BYTES || late || ended.is_some()) {
            // Written in place, not on another thread: a task that is dropped must not leave a write behind.
            shared.part.write_at(*at, &buffer)?;
            let next = *at + buffer.len() as u64;
            tell(events, Event::Written(*at..next)).await;
            *at = next;
            buffer.clear();
        }
        if let Some(ended) = ended {
            ended?;
            return if *at == stop {
                Ok(())
            } else {
                Err(Setback::Again("the stream ended too early".to_owned(), None))
            };
        }
    }
}

/// Nobody listens only when the pull is over already.
async fn tell(events: &mpsc::Sender<Event>, event: Event) {
    let _ = events.send(event).await;
}

async fn refused(answer: Answer) -> Setback {
    let status = answer.status;
    let after = answer.retry_after();
    let error = answer.into_error().await;
    let passing = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::BAD_GATEWAY
            | StatusCode::GATEWAY_TIMEOUT
    );
    if passing && !error.is(Code::Integrity) {
        return Setback::Again(error.to_string(), after);
    }
    Setback::Fetch(FetchError::Final(error))
}

/// Why the lease was cut, if that is why the stream broke off.
pub(super) async fn cut_reason(client: &Client, lease: &str) -> Option<String> {
    let answer = client.send_once(&Call::get(path(["v1", "leases", lease]))).await.ok()?;
    if !answer.status.is_success() {
        return None;
    }
    let bytes = answer.bytes(crate::client::JSON_BYTES_MAX).await.ok()?;
    let view: LeaseView = serde_json::from_slice(&bytes).ok()?;
    (view.state == "cut").then(|| view.reason.unwrap_or_else(|| "no reason given".to_owned()))
}

pub(super) fn cut(lease: &str, reason: &str) -> CommandError {
    let detail = format!("lease {lease} was cut: {}", output::clean(reason));
    CommandError::Decision {
        code: Code::Cut,
        detail,
        explain: serde_json::json!({ "lease": lease, "reason": reason }),
        leaf: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        assert_eq!(content_range("bytes 0-9/100"), Some((0, 9, 100)));
        for bad in ["", "bytes 0-9/*", "bytes */100", "items 0-9/100", "bytes 0-/1"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
