#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Extension;
use axum::routing::{any, get};
use certs::authority::{Ca, ServerNames, Validity};
use certs::keys::{Algorithm, PrivateKey};
use certs::rustls_verifier::ClientVerifier;
use certs::tls::{ServerIdentity, client_config, server_config};
use certs::trust::TrustStoreBuilder;
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

mod cuts;
mod drains;
mod http;
mod http2;
mod limits;

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);
/// A timeout under test.
const SHORT: Duration = Duration::from_millis(200);

/// Three authorities and what they issued: a server, two principals.
struct Pki {
    servers: String,
    server: (String, String),
    participants: [Participant; 2],
}

struct Participant {
    trust_domain: TrustDomain,
    ca: Ca,
    crl: String,
    client: (String, String),
    not_after: Timestamp,
}

fn participant(trust_domain: &str) -> Participant {
    let validity = Validity::starting(Timestamp::now(), SignedDuration::from_hours(24)).unwrap();
    let trust_domain: TrustDomain = trust_domain.parse().unwrap();
    let (ca, _key) = Ca::create(&trust_domain, Algorithm::EcdsaP256, validity).unwrap();
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let name = format!("spiffe://{trust_domain}/researcher/canary");
    let issued = ca.issue_client(&name.parse().unwrap(), &key, validity).unwrap();
    Participant {
        crl: ca.sign_crl(1.into(), validity, &[]).unwrap(),
        client: (issued.pem, key.to_pem()),
        not_after: issued.validity.not_after,
        trust_domain,
        ca,
    }
}

static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let validity = Validity::starting(Timestamp::now(), SignedDuration::from_hours(24)).unwrap();
    let names = ServerNames { dns: vec!["localhost".to_owned()], ips: Vec::new() };
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let servers = Ca::self_sign_for_servers(&names, &key, validity).unwrap();
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let server = servers.issue_server(&names, &key, validity).unwrap();
    Pki {
        servers: servers.pem().to_owned(),
        server: (server.pem, key.to_pem()),
        participants: [participant("hku.hk"), participant("cuhk.edu.hk")],
    }
});

fn door() -> Door {
    let mut trust = TrustStoreBuilder::new();
    for participant in &PKI.participants {
        let domain = participant.trust_domain.clone();
        trust.add_domain(domain, participant.ca.pem(), Some(&participant.crl)).unwrap();
    }
    let trust = SharedTrust::new(trust.build());
    let identity = ServerIdentity::from_pem(&PKI.server.0, &PKI.server.1).unwrap();
    let tls = server_config(identity, ClientVerifier::new(Arc::clone(&trust))).unwrap();
    Door { tls, trust }
}

/// Client settings of one of the participants.
fn client(participant: usize, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let (pem, key) = &PKI.participants[participant].client;
    client_config(&PKI.servers, pem, key, alpn).unwrap()
}

fn http1() -> Arc<ClientConfig> {
    client(0, &[b"http/1.1"])
}

fn h2() -> Arc<ClientConfig> {
    client(0, &[b"h2"])
}

/// A running listener. Dropping it ends it.
struct Gate {
    addr: SocketAddr,
    connections: Connections,
    drain: Drain,
    task: JoinHandle<()>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A body without end, in pieces of 64 KiB.
fn flood() -> Body {
    let piece = Bytes::from(vec![b'x'; 64 << 10]);
    Body::from_stream(stream::repeat_with(move || Ok::<_, Infallible>(piece.clone())))
}

fn router() -> Router {
    let whoami = |Extension(peer): Extension<Peer>| async move {
        format!("{} {}", peer.verified.spiffe().trust_domain(), peer.connection.id())
    };
    Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/whoami", get(whoami))
        .route("/flood", get(|| async { flood() }))
        .route("/never", get(std::future::pending::<&'static str>))
        .route("/mebibyte", get(|| async { vec![b'm'; 1 << 20] }))
        .route("/panic", get(|| async { panic_now() }))
        .route("/echo", any(|body: Bytes| async { body }))
        .layer(RulesLayer::new(Rules::default()))
}

fn panic_now() -> &'static str {
    panic!("on purpose")
}

fn gate_with(options: ListenerOptions, drain: Drain) -> Gate {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = Listener::bind(addr, options).unwrap();
    let addr = listener.local_addr();
    let connections = listener.connections();
    let router = router();
    let serving = listener.run(door(), move |_: &Peer| router.clone(), drain.clone());
    Gate { addr, connections, drain, task: tokio::spawn(serving) }
}

fn gate(options: ListenerOptions) -> Gate {
    gate_with(options, Drain::default())
}

type Tls = TlsStream<TcpStream>;

impl Gate {
    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    async fn dial(&self, config: Arc<ClientConfig>) -> io::Result<Tls> {
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(config).connect(name, self.tcp().await).await
    }

    /// Asks over a fresh HTTP/1.1 connection and gives it with the answer's head.
    async fn ask(&self, path: &str) -> (Tls, String) {
        let mut tls = self.dial(http1()).await.unwrap();
        let head = ask(&mut tls, path).await.unwrap();
        (tls, head)
    }

    /// Waits until `count` connections are registered.
    async fn until_open(&self, count: usize) {
        until(|| self.connections.len() == count).await;
    }
}

/// Waits for another task to make something true.
async fn until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < LONG, "did not become true");
        sleep(Duration::from_millis(2)).await;
    }
}

async fn ask(tls: &mut Tls, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    say(tls, &request).await
}

/// Sends bytes and reads the head of the answer.
async fn say(tls: &mut Tls, bytes: &str) -> io::Result<String> {
    tls.write_all(bytes.as_bytes()).await?;
    read_head(tls).await
}

async fn read_head(tls: &mut Tls) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = timeout(LONG, tls.read_u8()).await.expect("no answer")?;
        head.push(byte);
    }
    Ok(String::from_utf8(head).unwrap())
}

/// Reads until the peer closes or breaks the connection; gives what came and how it ended.
async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> (usize, io::Result<()>) {
    let mut bytes = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = timeout(LONG, stream.read(&mut buffer));
        match read.await.expect("still open") {
            Ok(0) => return (bytes, Ok(())),
            Ok(some) => bytes += some,
            Err(error) => return (bytes, Err(error)),
        }
    }
}

/// Waits until a connection's writing has come to a standstill.
async fn until_parked(connection: &Connection) {
    let mut before = 0;
    loop {
        sleep(Duration::from_millis(50)).await;
        let written = connection.written();
        if written == before && written > 4096 {
            return;
        }
        before = written;
    }
}
