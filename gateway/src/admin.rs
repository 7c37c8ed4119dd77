//! Health, readiness and metrics, on a plain listener that only this machine reaches.
//!
//! It shares nothing with the mTLS port, so that a node whose port is full or draining still says
//! so. It tells no data and no names: whoever may open a loopback socket may read it.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

pub mod metrics;
pub mod readiness;

pub use metrics::{Metrics, MetricsError};
pub use readiness::{Check, Readiness};

/// Scrapers and probes at one time. More are turned away.
const CONNECTIONS_MAX: usize = 32;
/// Of a whole connection: whatever is asked is answered from memory.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// From the first byte to the end of a request's head.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);
const HEADER_BYTES_MAX: usize = 8192;
/// Histograms keep every sample until this is run or somebody scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why the admin listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// It has no authentication, so it must not be reachable from elsewhere.
    #[error("admin listener: `{addr}` is not a loopback address: use 127.0.0.1 or [::1]")]
    NotLoopback {
        /// What was asked for.
        addr: SocketAddr,
    },
    /// The operating system refused the address.
    #[error("admin listener: cannot listen on `{addr}`: {source}")]
    Bind {
        /// What was asked for.
        addr: SocketAddr,
        /// Its answer.
        source: io::Error,
    },
}

/// A bound admin port that does not answer yet.
#[derive(Debug)]
pub struct Admin {
    socket: TcpListener,
    addr: SocketAddr,
}

impl Admin {
    /// Opens the port; 0 picks one.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotLoopback`] before anything is opened, [`AdminError::Bind`].
    pub async fn bind(addr: SocketAddr) -> Result<Self, AdminError> {
        if !addr.ip().to_canonical().is_loopback() {
            return Err(AdminError::NotLoopback { addr });
        }
        let failed = |source| AdminError::Bind { addr, source };
        let socket = TcpListener::bind(addr).await.map_err(failed)?;
        Ok(Self { addr: socket.local_addr().map_err(failed)?, socket })
    }

    /// The address really bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until `until` completes: longer than the mTLS port serves, so that a drain can be
    /// watched. Then closes everything.
    pub async fn run(self, readiness: Readiness, metrics: Metrics, until: impl Future<Output = ()>) {
        let mut until = std::pin::pin!(until);
        let mut upkeep = interval(UPKEEP_INTERVAL);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut until => break,
                _ = upkeep.tick() => {
                    metrics.upkeep();
                    continue;
                }
                Some(_) = tasks.join_next() => continue,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) if tasks.len() < CONNECTIONS_MAX => {
                    tasks.spawn(serve(stream, readiness.clone(), metrics.clone()));
                }
                Ok(_) => {}
                // Out of descriptors: trying again at once would only spin.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
        tasks.shutdown().await;
    }
}

async fn serve(stream: TcpStream, readiness: Readiness, metrics: Metrics) {
    let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
        let response = respond(&request, &readiness, &metrics);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), answer);
    // A probe that breaks off is nobody's fault, one that dawdles is cut.
    drop(timeout(CONNECTION_TIMEOUT, connection).await);
}

fn respond<B>(request: &Request<B>, readiness: &Readiness, metrics: &Metrics) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if !is_local(request) {
        return answer(StatusCode::FORBIDDEN, TEXT, "only for programs on this machine\n");
    }
    let path = request.uri().path();
    if !matches!(path, "/healthz" | "/readyz" | "/metrics") {
        return answer(StatusCode::NOT_FOUND, TEXT, "/healthz, /readyz, /metrics\n");
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/healthz" => answer(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => {
            let (ready, report) = readiness.report();
            let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            answer(status, "application/json", report)
        }
        _ => answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics.render()),
    }
}

/// Whether a program of this machine asks for itself. A page in a browser could reach loopback
/// too, by a name that resolves to it: such a request names another host or a foreign site.
fn is_local<B>(request: &Request<B>) -> bool {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(host) = Authority::try_from(host.as_bytes()) else {
        return false;
    };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    let loopback = name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let foreign = request.headers().get(SEC_FETCH_SITE).is_some_and(|site| site != "none" && site != "same-origin");
    loopback && !foreign
}

fn answer(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests;
