//! `POST /add-checkpoint` over HTTPS. Everything a peer may hold has its maximum here.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs::tls::ServerIdentity;
use gateway_audit::CosignerKey;
use gateway_audit::witness::request::ADD_CHECKPOINT_BYTES_MAX;
use gateway_audit::witness::{Refusal, Witness};
use gateway_store::WitnessStore;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::{WitnessConfig, WitnessError, key};
use crate::clock;
use crate::listener::watch_files;

/// Connections at one time. More are turned away.
const CONNECTIONS_MAX: usize = 256;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the end of one request to the end of the next one's head: logs keep their connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
/// Of a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);
/// Read of a body before the connection breaks off: more than a request may have, so that one that is too large is told.
const BODY_BYTES_MAX: usize = 2 * ADD_CHECKPOINT_BYTES_MAX;
const HEADER_BYTES_MAX: usize = 16 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long requests that are being answered may take to end when the witness stops.
const STOP_GRACE: Duration = Duration::from_secs(2);
const CERTIFICATE_LOOK: Duration = Duration::from_secs(1);
/// The only path.
const ADD_CHECKPOINT: &str = "/add-checkpoint";
const TEXT: &str = "text/plain; charset=utf-8";

/// What requests share.
#[derive(Debug)]
struct Shared {
    witness: Witness,
    store: WitnessStore,
}

/// A witness whose port is open, and which does not answer yet.
#[derive(Debug)]
pub struct WitnessServer {
    socket: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    identity: Arc<ServerIdentity>,
    config: WitnessConfig,
}

impl WitnessServer {
    /// Takes up key and memory, and opens the port.
    ///
    /// # Errors
    ///
    /// [`WitnessError`].
    pub async fn bind(config: WitnessConfig) -> Result<Self, WitnessError> {
        let logs = config.log_keys()?;
        let identity = ServerIdentity::from_pem(&read(&config.server.cert)?, &read(&config.server.key)?)?;
        let (cosigner, store) = key::ensure(&config)?;
        let failed = |source| WitnessError::Bind { address: config.listen, source };
        let socket = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared { witness: Witness::new(cosigner, logs), store });
        Ok(Self { socket, address, shared, identity, config })
    }

    /// The address really bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that checks its cosignatures.
    pub fn key(&self) -> &CosignerKey {
        self.shared.witness.key()
    }

    /// Answers until `until` completes; then no request is left half answered.
    ///
    /// # Errors
    ///
    /// [`WitnessError::Tls`].
    pub async fn run(self, until: impl Future<Output = ()>) -> Result<(), WitnessError> {
        let tls = TlsAcceptor::from(certs::tls::open_server_config(Arc::clone(&self.identity))?);
        let (server, identity) = (self.config.server.clone(), Arc::clone(&self.identity));
        let paths = vec![server.cert.clone(), server.key.clone()];
        let mut watching = std::pin::pin!(watch_files(paths, CERTIFICATE_LOOK, move |_: &[&std::path::Path]| {
            let replaced = read(&server.cert).and_then(|cert| Ok(identity.replace(&cert, &read(&server.key)?)?));
            if let Err(error) = replaced {
                // Perhaps half written: the old one goes on, and the next change is seen.
                tracing::warn!(%error, "the witness's certificate cannot be used; the old one goes on");
            }
        }));
        let mut until = std::pin::pin!(until);
        let mut tasks = JoinSet::new();
        let (stop, stopping) = tokio::sync::watch::channel(false);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut until => break,
                () = &mut watching => continue,
                Some(_) = tasks.join_next() => continue,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) if tasks.len() < CONNECTIONS_MAX => {
                    tasks.spawn(connection(stream, tls.clone(), Arc::clone(&self.shared), stopping.clone()));
                }
                Ok(_) => {}
                // Out of descriptors: trying again at once would only spin.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
        drop(self.socket);
        stop.send_replace(true);
        let _ = timeout(STOP_GRACE, async { while tasks.join_next().await.is_some() {} }).await;
        tasks.shutdown().await;
        Ok(())
    }
}

fn read(path: &std::path::Path) -> Result<String, WitnessError> {
    std::fs::read_to_string(path).map_err(|error| WitnessError::file(path)(error.to_string()))
}

async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    shared: Arc<Shared>,
    mut stopping: tokio::sync::watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await else { return };
    let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(respond(request, shared).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), answer);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        // Whoever breaks off is nobody's fault.
        _ = &mut serving => return,
        _ = stopping.wait_for(|stop| *stop) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

async fn respond(request: Request<hyper::body::Incoming>, shared: Arc<Shared>) -> Response<Full<Bytes>> {
    if request.uri().path() != ADD_CHECKPOINT {
        return answer(StatusCode::NOT_FOUND, TEXT, "POST /add-checkpoint\n");
    }
    if request.method() != Method::POST {
        let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "POST only\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let body = match timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return answer(StatusCode::PAYLOAD_TOO_LARGE, TEXT, "the request is too large or broke off\n"),
        Err(_) => return answer(StatusCode::REQUEST_TIMEOUT, TEXT, "the request did not come to its end\n"),
    };
    if body.len() > ADD_CHECKPOINT_BYTES_MAX {
        return answer(StatusCode::PAYLOAD_TOO_LARGE, TEXT, "the request is too large\n");
    }
    // Syncs a disk: not on a thread that others wait for.
    let judged = tokio::task::spawn_blocking(move || add_checkpoint(&shared, &body)).await;
    match judged {
        Ok(Ok(Ok(line))) => answer(StatusCode::OK, TEXT, line),
        Ok(Ok(Err(refusal))) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let (media_type, body) = refusal.body();
            answer(status, media_type, body)
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "nothing is cosigned");
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the witness cannot write: try again later\n")
        }
        Err(error) => {
            tracing::error!(%error, "a request was not judged");
            answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the witness failed\n")
        }
    }
}

fn add_checkpoint(shared: &Shared, body: &[u8]) -> Result<Result<String, Refusal>, gateway_store::WitnessStoreError> {
    let request = match shared.witness.authenticate(body) {
        Ok(request) => request,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // The gateway that this may run in holds its own clock back; a witness says what it sees.
    let now = clock::wall();
    // Before 1970 there is no log.
    let since = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    let (origin, note) = (request.origin(), request.checkpoint().to_text());
    let judged = shared.store.witness((origin, &note), now, |seen| shared.witness.step(seen, &request, since))?;
    let size = request.checkpoint().checkpoint().size;
    match &judged {
        Ok(_) => tracing::debug!(origin, size, "cosigned"),
        Err(refusal) if refusal.is_evidence() => {
            tracing::error!(origin, size, %refusal, "a log contradicts what was seen of it; its checkpoint is kept");
        }
        Err(refusal) => tracing::debug!(origin, size, %refusal, "not cosigned"),
    }
    Ok(judged.map(|cosigned| cosigned.line))
}

fn answer(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Waits for SIGINT or SIGTERM.
///
/// # Errors
///
/// The operating system does not let us hear signals.
pub fn interrupted() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
