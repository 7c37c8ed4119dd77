//! One connection, from accept to close: handshake, identity, preface, HTTP.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::Shared;
use super::connection::{Connection, Peer};
use super::handshake::{Refused, handshake};
use super::limits::Slot;
use super::preface::await_preface;
use super::requests::{Handler, Requests};
use super::socket::Socket;
use super::watch::{Verdict, Watch};
use crate::drain::Phase;

/// The wall clock may be set while we sleep: look again at least this often.
const EXPIRY_LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// Why a connection ended: a label for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// It never got past the handshake or the preface.
    Early,
    /// By either side, in order.
    Done,
    /// The peer broke the transport or the protocol.
    Broken,
    HeaderTimeout,
    PrefaceTimeout,
    Idle,
    Stalled,
    Expired,
    Killed,
    Drained,
}

impl Closed {
    fn label(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Done => "done",
            Self::Broken => "broken",
            Self::HeaderTimeout => "header_timeout",
            Self::PrefaceTimeout => "preface_timeout",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::Expired => "expired",
            Self::Killed => "killed",
            Self::Drained => "drained",
        }
    }
}

/// Serves an accepted connection to its end. Never panics; ends at once when killed.
pub(super) async fn connection<M, S>(
    shared: Arc<Shared<M>>,
    stream: TcpStream,
    connection: Connection,
    unverified: Slot<std::net::IpAddr>,
) where
    M: Fn(&Peer) -> S + Send + Sync + 'static,
    S: Handler,
{
    let streams = Streams::default();
    let closed = tokio::select! {
        biased;
        () = connection.killed() => Closed::Killed,
        closed = open(&shared, stream, &connection, unverified, &streams) => closed,
    };
    // The socket is closed by now; what its streams' tasks still hold goes with them.
    streams.end().await;
    metrics::counter!("kouan_connections_closed_total", "reason" => closed.label()).increment(1);
    tracing::debug!(connection = connection.id(), reason = closed.label(), "closed");
}

async fn open<M, S>(
    shared: &Shared<M>,
    stream: TcpStream,
    connection: &Connection,
    unverified: Slot<std::net::IpAddr>,
    streams: &Streams,
) -> Closed
where
    M: Fn(&Peer) -> S + Send + Sync + 'static,
    S: Handler,
{
    let begun = Instant::now();
    let shaken = tokio::select! {
        biased;
        // A peer that is still shaking hands has been promised nothing.
        () = shared.drain.reached(Phase::Draining) => Err(Refused::Drained),
        shaken = handshake(shared, stream, connection) => shaken,
    };
    let result = shaken.as_ref().map_or_else(Refused::label, |_| "ok");
    metrics::counter!("kouan_handshakes_total", "result" => result).increment(1);
    let (tls, peer) = match shaken {
        Ok(shaken) => shaken,
        Err(refused) => {
            if let Refused::Certificate(code) = refused {
                // The reason never names the principal.
                tracing::info!(connection = connection.id(), code, "certificate refused");
            }
            return Closed::Early;
        }
    };
    metrics::histogram!("kouan_handshake_seconds").record(begun.elapsed());
    drop(unverified);
    let domain = peer.verified.spiffe().trust_domain().clone();
    let Some(_slot) = shared.domains.take(domain) else {
        super::refused("trust_domain");
        tracing::info!(trust_domain = %peer.verified.spiffe().trust_domain(), "too many connections of a trust domain");
        return Closed::Early;
    };
    let not_after = peer.verified.not_after();
    tokio::select! {
        biased;
        // Killed before the socket is dropped, so that it is reset: a cut never looks complete.
        () = async {
            expired(shared, not_after).await;
            connection.kill();
        } => Closed::Expired,
        closed = speak(shared, tls, peer, streams) => closed,
    }
}

async fn expired<M>(shared: &Shared<M>, not_after: Timestamp) {
    // No time left is a negative duration, which `Duration` does not take.
    while let Ok(left) = Duration::try_from(not_after.duration_since((shared.options.clock)())) {
        if left.is_zero() {
            return;
        }
        sleep(left.min(EXPIRY_LOOK_INTERVAL)).await;
    }
}

/// HTTP over an established connection.
async fn speak<M, S>(shared: &Shared<M>, tls: TlsStream<Socket>, peer: Peer, streams: &Streams) -> Closed
where
    M: Fn(&Peer) -> S + Send + Sync + 'static,
    S: Handler,
{
    let connection = peer.connection.clone();
    let requests = Requests { handler: (shared.make)(&peer), peer, door_of: shared.options.door_of };
    if !connection.is_http2() {
        let serving = http1(shared).serve_connection(TokioIo::new(tls), requests);
        return run(shared, serving, Watch::new(&connection, true), &connection).await;
    }
    let preface = tokio::select! {
        biased;
        () = shared.drain.reached(Phase::Draining) => return Closed::Drained,
        preface = timeout(shared.options.preface_timeout, await_preface(tls)) => preface,
    };
    let tls = match preface {
        Err(_) => return Closed::PrefaceTimeout,
        Ok(Err(_)) => return Closed::Early,
        Ok(Ok(tls)) => tls,
    };
    let serving = http2_builder(shared, streams.clone()).serve_connection(TokioIo::new(tls), requests);
    run(shared, serving, Watch::new(&connection, false), &connection).await
}

fn http1<M>(shared: &Shared<M>) -> http1::Builder {
    let options = &shared.options;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // See `watch`: hyper's header timer would also run while a tail is being flushed.
        .header_read_timeout(None)
        // A peer that has closed its side is gone: do not work for it.
        .half_close(false)
        .keep_alive(true)
        // Vectored: chunks of a mapped file are never copied into a buffer of hyper's.
        .writev(true)
        .max_buf_size(options.http1_buffer_bytes_max.max(8192))
        .max_header_size(options.header_bytes_max)
        .max_headers(options.headers_max);
    builder
}

fn http2_builder<M>(shared: &Shared<M>, streams: Streams) -> http2::Builder<Streams> {
    let options = &shared.options;
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .adaptive_window(false)
        .initial_stream_window_size(options.http2_stream_window)
        .initial_connection_window_size(options.http2_connection_window)
        .max_frame_size(options.http2_frame_bytes_max)
        .max_concurrent_streams(options.http2_streams_max)
        .max_send_buf_size(options.http2_send_buffer_bytes_max)
        .max_header_list_size(u32::try_from(options.header_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(options.http2_ping_interval)
        .keep_alive_timeout(options.http2_ping_timeout)
        .max_pending_accept_reset_streams(options.http2_pending_resets_max)
        .max_local_error_reset_streams(options.http2_error_resets_max);
    builder
}

/// A connection of hyper's, of either version.
trait Serving: Future<Output = hyper::Result<()>> {
    /// No new requests; running ones finish.
    fn retire(self: Pin<&mut Self>);
}

impl<I, S> Serving for http1::Connection<I, Requests<S>>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    S: Handler,
{
    fn retire(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Serving for http2::Connection<I, Requests<S>, Streams>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    S: Handler,
{
    fn retire(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

async fn run<M>(shared: &Shared<M>, serving: impl Serving, mut watch: Watch, connection: &Connection) -> Closed {
    let mut serving = pin!(serving);
    let mut draining = pin!(shared.drain.reached(Phase::Draining));
    let mut looks = interval(Watch::interval(&shared.options));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Why the connection is closing in order, once it is.
    let mut retired = None;
    loop {
        let retire = tokio::select! {
            biased;
            now = looks.tick() => match watch.look(connection, &shared.options, now) {
                Verdict::Fine => continue,
                Verdict::Retire => Closed::Idle,
                Verdict::HeaderTimeout => return Closed::HeaderTimeout,
                Verdict::Unresponsive => return retired.unwrap_or(Closed::Idle),
                Verdict::Stalled => {
                    connection.kill();
                    return Closed::Stalled;
                }
            },
            () = &mut draining, if retired.is_none() => Closed::Drained,
            () = connection.retired(), if retired.is_none() => Closed::Idle,
            served = serving.as_mut() => return match served {
                Ok(()) => retired.unwrap_or(Closed::Done),
                Err(error) => {
                    tracing::debug!(connection = connection.id(), %error, "connection broke");
                    Closed::Broken
                }
            },
        };
        retired = Some(retire);
        watch.retired(Instant::now());
        serving.as_mut().retire();
    }
}

/// The tasks of one HTTP/2 connection's streams. They end with it.
#[derive(Debug, Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl Streams {
    async fn end(&self) {
        let mut tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(stream);
    }
}
