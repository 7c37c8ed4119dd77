//! The client of a gateway: HTTP/1.1 over mutually authenticated TLS 1.3, several connections, no redirects.
//!
//! Every wait has an end and every body a maximum. A request is repeated only when that is safe: all methods used here
//! are idempotent, a POST by its key.

mod answer;
mod call;
mod failure;
mod url;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use certs::signature::{SignatureError, Signer};
use http::StatusCode;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::error::CommandError;
use crate::profile::{GatewayUrl, Profile};

pub use answer::Answer;
pub use call::Call;
pub use failure::TransportError;
pub use url::{path, with_query};

/// How long TCP and TLS may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a request is sent at most.
const ATTEMPTS_MAX: u32 = 4;
/// Wait before the second attempt; doubled for each further one.
const RETRY_BASE: Duration = Duration::from_millis(200);
/// Longest `Retry-After` that a command waits for by itself.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(15);
/// Largest JSON answer, in bytes.
pub const JSON_BYTES_MAX: usize = 64 << 20;
/// Largest certificate, key or trust file, in bytes.
const PEM_BYTES_MAX: u64 = 1 << 20;
/// hyper's read buffer: large, so that a pull makes few system calls.
const READ_BUFFER_BYTES: usize = 1 << 20;

/// A gateway as one principal sees it. Cheap to clone; connections are shared.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    url: GatewayUrl,
    server_name: ServerName<'static>,
    tls: TlsConnector,
    signer: Result<Signer, SignatureError>,
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

/// One connection and the task that drives it.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: Driver,
    /// A request went over it before: the gateway may have closed it meanwhile.
    used: bool,
}

/// Ends its task when dropped: no connection outlives the client.
struct Driver(JoinHandle<Option<hyper::Error>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("gateway", &self.0.url.to_string()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client with the certificate of `profile`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`CommandError::LocalIo`] and [`CommandError::Input`] name the file that is missing or wrong.
    pub fn open(profile: &Profile) -> Result<Self, CommandError> {
        let read = |path: &Path| crate::files::read_text(path, PEM_BYTES_MAX);
        let (trust, cert, key) = (read(&profile.ca)?, read(&profile.cert)?, read(&profile.key)?);
        let config = certs::tls::client_config(&trust, &cert, &key, &[b"http/1.1"]).map_err(|error| {
            CommandError::Input(format!(
                "{error} (certificate `{}`, key `{}`, trust bundle `{}`)",
                profile.cert.display(),
                profile.key.display(),
                profile.ca.display()
            ))
        })?;
        let server_name = ServerName::try_from(profile.gateway.host.clone()).map_err(|_| {
            CommandError::Usage(format!("`{}` is neither a host name nor an address", profile.gateway.host))
        })?;
        Ok(Self(Arc::new(Inner {
            url: profile.gateway.clone(),
            server_name,
            tls: TlsConnector::from(config),
            // A key of another kind can still pull: it is told when it should sign.
            signer: Signer::from_pem(&key),
            timeout: profile.timeout,
            idle: Mutex::default(),
        })))
    }

    /// The gateway's address.
    pub fn url(&self) -> &GatewayUrl {
        &self.0.url
    }

    /// Signs `message` with the certificate's key; base64.
    ///
    /// # Errors
    ///
    /// [`CommandError::Input`] if it is a key that does not sign receipts.
    pub fn sign(&self, message: &[u8]) -> Result<String, CommandError> {
        let signer = self.0.signer.as_ref().map_err(|error| CommandError::Input(error.to_string()))?;
        let signature = signer.sign(message).map_err(|error| CommandError::Input(error.to_string()))?;
        Ok(base64::engine::general_purpose::STANDARD.encode(signature))
    }

    /// Sends a request once. Any status is an answer; on an error the request may or may not have arrived.
    ///
    /// Cancel safe in that dropping it closes its connection.
    pub async fn send_once(&self, call: &Call) -> Result<Answer, TransportError> {
        loop {
            let mut connection = match self.take_idle() {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            let request = call.request(&self.0.url)?;
            let head_timeout = call.head_timeout.unwrap_or(self.0.timeout);
            let sent = tokio::time::timeout(head_timeout, connection.sender.send_request(request)).await;
            match sent {
                Ok(Ok(response)) => {
                    connection.used = true;
                    return Ok(Answer::new(self.clone(), response, connection, self.0.timeout));
                }
                // A kept connection that the gateway has closed meanwhile says nothing about this request.
                Ok(Err(_)) if connection.used => {}
                Ok(Err(error)) => return Err(connection.why(error).await),
                Err(_) => {
                    let seconds = head_timeout.as_secs();
                    return Err(TransportError::Broken(format!("no answer from {} within {seconds} s", self.0.url)));
                }
            }
        }
    }

    /// Sends a request, again if the connection fails or the gateway is unavailable for a moment. Any other status is
    /// an answer.
    pub async fn send(&self, call: &Call) -> Result<Answer, CommandError> {
        let mut attempt = 1;
        loop {
            let wait = RETRY_BASE * 2_u32.saturating_pow(attempt - 1);
            let wait = match self.send_once(call).await {
                Ok(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE => match answer.retry_after() {
                    Some(after) if attempt < ATTEMPTS_MAX && after <= RETRY_AFTER_MAX => after.max(wait),
                    _ => return Ok(answer),
                },
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_final() || attempt >= ATTEMPTS_MAX => {
                    return Err(error.into());
                }
                Err(_) => wait,
            };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// Sends a request and gives the answer if its status is a success.
    ///
    /// # Errors
    ///
    /// [`CommandError::Gateway`] with the problem document.
    pub async fn accepted(&self, call: &Call) -> Result<Answer, CommandError> {
        let answer = self.send(call).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(answer.into_error().await) }
    }

    /// Sends a request whose answer is JSON; an empty answer is `null`.
    pub async fn json(&self, call: &Call) -> Result<Value, CommandError> {
        let bytes = self.accepted(call).await?.bytes(JSON_BYTES_MAX).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| CommandError::Unavailable(format!("{} did not answer with JSON: {error}", self.0.url)))
    }

    /// Sends a request whose answer is a `T`.
    pub async fn typed<T: DeserializeOwned>(&self, call: &Call) -> Result<T, CommandError> {
        let value = self.json(call).await?;
        serde_json::from_value(value).map_err(|error| {
            CommandError::Unavailable(format!("{} answered with an unexpected shape: {error}", self.0.url))
        })
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Takes a connection back whose answer was read to its end.
    fn keep(&self, connection: Connection) {
        if !connection.sender.is_closed() {
            self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }

    async fn connect(&self) -> Result<Connection, TransportError> {
        let url = &self.0.url;
        let connecting = async {
            let tcp = TcpStream::connect((url.host.as_str(), url.port))
                .await
                .map_err(|error| TransportError::Unreachable(format!("cannot reach {url}: {error}")))?;
            // Requests are small and waited for; Nagle would only delay them.
            let _ = tcp.set_nodelay(true);
            let tls = self.0.tls.connect(self.0.server_name.clone(), tcp).await;
            let tls = tls.map_err(|error| failure::of_io(url, &error))?;
            http1::Builder::new()
                .max_buf_size(READ_BUFFER_BYTES)
                .handshake(TokioIo::new(tls))
                .await
                .map_err(|error| failure::of_error(url, &error))
        };
        let timed = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        let (sender, connection) = timed.map_err(|_| {
            TransportError::Unreachable(format!(
                "cannot reach {url}: no connection within {} s",
                CONNECT_TIMEOUT.as_secs()
            ))
        })??;
        let task = Driver(tokio::spawn(async move { connection.await.err() }));
        Ok(Connection { sender, task, used: false })
    }
}

impl Connection {
    /// Why a request on it failed. With TLS 1.3 a refusal of our certificate arrives after the handshake, and
    /// sometimes only the connection's own task sees it.
    async fn why(mut self, error: hyper::Error) -> TransportError {
        let told = failure::of_error_text("connection to the gateway failed", &error);
        if told.is_final() {
            return told;
        }
        match tokio::time::timeout(Duration::from_secs(1), &mut self.task.0).await {
            Ok(Ok(Some(cause))) => {
                let deeper = failure::of_error_text("connection to the gateway failed", &cause);
                if deeper.is_final() { deeper } else { told }
            }
            _ => told,
        }
    }
}
