//! One witness over HTTPS: `add-checkpoint`, again from the size that it names.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_audit::tiles::{TilePath, TileReader};
use gateway_audit::tree::{tree_root, verify_consistency};
use gateway_audit::witness::client::ANSWER_BYTES_MAX;
use gateway_audit::witness::{Answer, Submission, WitnessReply};
use gateway_audit::{CosignerKey, NodeHash, SignedCheckpoint};
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How often a witness is asked within one submission: from what we know, from what it says, and once more if it moved.
const TRIES_MAX: usize = 4;
/// Of one request, with its connection.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a witness is.
#[derive(Debug, Clone)]
pub struct Place {
    host: String,
    port: u16,
    authority: String,
    path: String,
    name: ServerName<'static>,
}

impl Place {
    /// Reads a submission prefix, `https://HOST[:PORT][/PATH]`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = || format!("`{url}` is no submission prefix: write https://HOST[:PORT][/PATH]");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        if uri.scheme_str() != Some("https") || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
        let path = format!("{}/add-checkpoint", uri.path().trim_end_matches('/'));
        Ok(Self { port: authority.port_u16().unwrap_or(443), authority: authority.to_string(), host, path, name })
    }
}

/// One witness that can be asked.
#[derive(Debug)]
pub struct Asked {
    /// Its name in the policy.
    pub name: String,
    /// Whether it runs elsewhere, with a clock of its own.
    pub independent: bool,
    key: CosignerKey,
    place: Place,
    tls: Arc<rustls::ClientConfig>,
    /// The size that it is believed to have cosigned last.
    old: u64,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Asked {
    /// The witness with this name and key at `place`, whose certificate `tls` verifies.
    pub fn new(
        (name, key): (String, CosignerKey),
        place: Place,
        tls: Arc<rustls::ClientConfig>,
        independent: bool,
    ) -> Self {
        Self { name, independent, key, place, tls, old: 0, connection: None }
    }

    /// Has it cosign `checkpoint` of the log whose tiles are in `folder`. Whatever keeps it from answering is
    /// [`Answer::Later`]. Dropping this closes the connection; the witness may have cosigned.
    pub async fn submit(&mut self, folder: &Path, checkpoint: &SignedCheckpoint) -> Answer {
        let size = checkpoint.checkpoint().size;
        // It may have seen more than a start remembers; from a larger size nothing could be proven.
        self.old = self.old.min(size);
        for _ in 0..TRIES_MAX {
            let submission = Submission { old: self.old, checkpoint: checkpoint.clone() };
            let answer = match self.once(folder, &submission).await {
                Ok(answer) => answer,
                Err(why) => {
                    self.connection = None;
                    return Answer::Later { why };
                }
            };
            match answer {
                Answer::Resend { old } => self.old = old,
                Answer::Cosigned { .. } => {
                    self.old = size;
                    return answer;
                }
                answer => return answer,
            }
        }
        Answer::Later { why: "it names another size each time that it is asked".to_owned() }
    }

    async fn once(&mut self, folder: &Path, submission: &Submission) -> Result<Answer, String> {
        let proof = match submission.old {
            0 => Vec::new(),
            old => prove(folder.to_owned(), old, submission.checkpoint.checkpoint().clone()).await?,
        };
        let Ok(body) = submission.body(|_| Ok::<_, std::convert::Infallible>(proof));
        let exchanged = timeout(REQUEST_TIMEOUT, self.exchange(body)).await;
        let (status, media_type, body) =
            exchanged.map_err(|_| format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()))??;
        let reply = WitnessReply { status, media_type: media_type.as_deref(), body: &body };
        Ok(submission.judge(&self.key, &reply))
    }

    /// A kept connection that the witness has closed meanwhile says nothing about this request: it is sent again.
    async fn exchange(&mut self, body: String) -> Result<(u16, Option<String>, Bytes), String> {
        loop {
            let (mut connection, used) = match self.connection.take() {
                Some(connection) if connection.sender.is_ready() => (connection, true),
                _ => (self.connect().await?, false),
            };
            let request = Request::builder()
                .method(Method::POST)
                .uri(&self.place.path)
                .header(HOST, &self.place.authority)
                .header(USER_AGENT, concat!("kouan/", env!("CARGO_PKG_VERSION")))
                .header(CONTENT_TYPE, "text/plain; charset=utf-8")
                .body(Full::new(Bytes::from(body.clone())))
                .map_err(|error| error.to_string())?;
            let response = match connection.sender.send_request(request).await {
                Ok(response) => response,
                Err(_) if used => continue,
                Err(error) => return Err(format!("the connection broke: {error}")),
            };
            let status = response.status().as_u16();
            let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let media_type = media_type.map(str::to_owned);
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes();
            self.connection = Some(connection);
            return Ok((status, media_type, body));
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let place = &self.place;
        let tcp = TcpStream::connect((place.host.as_str(), place.port)).await;
        let tcp = tcp.map_err(|error| format!("cannot reach {}: {error}", place.authority))?;
        let _ = tcp.set_nodelay(true);
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(place.name.clone(), tcp).await;
        let tls = tls.map_err(|error| format!("TLS with {}: {error}", place.authority))?;
        let (sender, connection) = http1::handshake(TokioIo::new(tls))
            .await
            .map_err(|error| format!("HTTP with {}: {error}", place.authority))?;
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Connection { sender, driver })
    }
}

/// The proof that the first `old` entries are the beginning of the checkpoint's, checked: a witness that refuses it has
/// seen something else.
async fn prove(folder: PathBuf, old: u64, new: gateway_audit::Checkpoint) -> Result<Vec<NodeHash>, String> {
    let made = tokio::task::spawn_blocking(move || {
        let read = |path: &TilePath| match std::fs::read(folder.join(path.to_string())) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        // One reader for both: a tree of `old` entries may never have been published, and then has no tiles of its own.
        let mut tiles = TileReader::new(new.size, read);
        let proof = tiles.consistency(old).map_err(|error| error.to_string())?;
        let root = tree_root(&mut tiles, old).map_err(|error| error.to_string())?;
        verify_consistency(old, new.size, &proof, &root, &new.root).map_err(|error| error.to_string())?;
        Ok::<_, String>(proof)
    });
    let made = made.await.map_err(|error| error.to_string())?;
    made.map_err(|error| format!("the log's own tiles give no consistency proof: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn submission_prefixes() {
        let place = Place::parse("https://witness.example/kouan/").unwrap();
        assert_eq!((place.port, place.path.as_str()), (443, "/kouan/add-checkpoint"));
        let place = Place::parse("https://[::1]:8444").unwrap();
        assert_eq!((place.host.as_str(), place.authority.as_str()), ("::1", "[::1]:8444"));
        for wrong in ["", "witness.example", "http://witness.example", "https://", "https://a@b/", "https://a/?b"] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
    }
}
