//! A gateway in this process: mutual TLS, ranges, strong ETags, chunk lists, and faults on demand.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use catalog::Digest;
use catalog::digest::Hasher;
use certs::dev::{DevParticipant, DevPki, ensure};
use certs::rustls_verifier::{ClientVerifier, SharedTrust};
use certs::tls::{ServerIdentity, server_config};
use certs::{Role, TrustDomain, TrustStoreBuilder};
use gateway_stream::chunks;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Length of what is uploaded in tests.
pub const UPLOAD: usize = 17 << 20;
pub const CHUNK: usize = 100_000;
pub const FILE: &str = "words.parquet";

/// A manifest of the version that takes uploads.
pub const MANIFEST: &str = r#"
[dataset]
id = "up-words"
version = "1"
title = { en = "Words" }
licence = "CC0-1.0"
source_statement = "written for this test"
collected_in = ["HK"]
place = "HK"
columns_default = "none"
class = "general"
important_status = "no"
controlled_item = false
genetic_resource = false
geospatial = false
state_secret = false
[offer]
purposes = ["academic-research"]
recipients = ["hku.hk"]
places = ["HK"]
price = { model = "free" }
"#;

/// What happens to a data response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset after so many bytes of the body.
    Cut(usize),
    /// Nothing more comes after so many bytes.
    Stall(usize),
    /// The byte at this offset of the file is wrong.
    Flip(u64),
    /// No response at all: 503 with `Retry-After: 0`.
    Unavailable,
}

#[derive(Debug, Clone)]
pub struct World {
    pub file: Vec<u8>,
    pub version: String,
    pub etag: String,
    pub effect: &'static str,
    pub agreed: bool,
    pub price: &'static str,
    pub lease_state: &'static str,
    /// One for each data response, in order; then `then`.
    pub faults: VecDeque<Option<Fault>>,
    pub then: Option<Fault>,
    /// `Range` of each data request.
    pub ranges: Vec<(u64, u64)>,
    /// Body bytes that were handed to connections.
    pub sent: u64,
    pub accepted: u32,
    pub plans: u32,
    /// The `/data` stream, and whether it ends as it should.
    pub stream: Vec<u8>,
    /// Bytes of an upload that are there, once its version is registered.
    pub upload: Option<Vec<u8>>,
    /// Requests that brought bytes of it.
    pub puts: u32,
    /// The slice that is lost on its way: the gateway goes away for it and all after.
    pub lost_put: Option<u32>,
    /// `POST` bodies and idempotency keys, by path.
    pub posts: Vec<(String, String, String)>,
}

impl World {
    pub fn new(bytes: usize) -> Self {
        Self {
            file: noise(bytes, 7),
            version: "1".to_owned(),
            etag: "\"one\"".to_owned(),
            effect: "allow",
            agreed: true,
            price: "500",
            lease_state: "active",
            faults: VecDeque::new(),
            then: None,
            ranges: Vec::new(),
            sent: 0,
            accepted: 0,
            plans: 0,
            stream: Vec::new(),
            upload: None,
            puts: 0,
            lost_put: None,
            posts: Vec::new(),
        }
    }

    pub fn sha256(&self) -> String {
        let mut hasher = Hasher::default();
        hasher.update(&self.file);
        hasher.finish().hex()
    }
}

/// Bytes that do not repeat.
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[1]
    };
    (0..bytes).map(|_| next()).collect()
}

pub type Shared = Arc<Mutex<World>>;

pub struct Gateway {
    pub world: Shared,
    pub url: String,
    pub pki: DevPki,
    pub dir: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

impl Gateway {
    pub async fn start(world: World) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let participants = [
            DevParticipant { id: "hku", trust_domain: "hku.hk", principals: &[(Role::Researcher, "alice")] },
            DevParticipant { id: "other", trust_domain: "other.hk", principals: &[(Role::Researcher, "eve")] },
        ];
        let pki = ensure(dir.path(), Timestamp::now(), &participants).unwrap();
        let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
        let hku = &pki.participants[0];
        let mut trust = TrustStoreBuilder::new();
        trust.add_domain("hku.hk".parse::<TrustDomain>().unwrap(), &read(&hku.ca), Some(&read(&hku.crl))).unwrap();
        let identity = ServerIdentity::from_pem(&read(&pki.server.certificate), &read(&pki.server.key)).unwrap();
        let verifier = ClientVerifier::new(SharedTrust::new(trust.build()));
        let acceptor = TlsAcceptor::from(server_config(identity, verifier).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let world = Arc::new(Mutex::new(world));
        let mut tasks = JoinSet::new();
        let served = Arc::clone(&world);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((tcp, _)) = listener.accept().await else {
                    break;
                };
                let (acceptor, world) = (acceptor.clone(), Arc::clone(&served));
                connections.spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else {
                        return;
                    };
                    let service = service_fn(move |request: Request<Incoming>| {
                        let world = Arc::clone(&world);
                        async move {
                            let (head, body) = request.into_parts();
                            let body = body.collect().await.map(Collected::to_bytes);
                            let request = Request::from_parts(head, body.unwrap_or_default());
                            Ok::<_, Infallible>(answer(&request, &world))
                        }
                    });
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), service).await;
                });
            }
        });
        Self { world, url, pki, dir, _tasks: tasks }
    }

    /// `words`, then JSON and what reaches this gateway as a principal of `participant`.
    pub fn words(&self, participant: usize, words: &[&str]) -> Vec<String> {
        let files = &self.pki.participants[participant].principals[0].paths;
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words.extend(["--json", "--timeout", "5", "--gateway"].map(str::to_owned));
        words.extend([self.url.clone(), "--cert".to_owned(), path(&files.certificate)]);
        words.extend(["--key".to_owned(), path(&files.key), "--ca".to_owned(), path(&self.pki.trust)]);
        words
    }

    /// Arguments of `kouan pull` as alice, into `DIR/out`.
    pub fn pull(&self, more: &[&str]) -> Vec<String> {
        self.pull_as(0, more)
    }

    pub fn pull_as(&self, participant: usize, more: &[&str]) -> Vec<String> {
        let mut words = self.words(participant, &["kouan", "pull", "yue-words"]);
        words.extend(["--out".to_owned(), self.out().to_string_lossy().into_owned()]);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words
    }

    pub fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    pub fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().unwrap());
    }

    pub fn seen(&self) -> World {
        self.world.lock().unwrap().clone()
    }
}

fn answer(request: &Request<Bytes>, world: &Shared) -> Response<Faulty> {
    let path = request.uri().path().to_owned();
    let mut state = world.lock().unwrap();
    if request.method() == Method::POST {
        let key = request.headers().get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
        let body = String::from_utf8_lossy(request.body()).into_owned();
        state.posts.push((path.clone(), body, key.unwrap()));
    }
    match path.as_str() {
        "/v1/datasets" if request.method() == Method::POST => register(&mut state),
        "/v1/datasets/up-words/versions/1" => json_body(StatusCode::OK, &uploaded(&state)),
        "/v1/datasets/up-words/versions/1/files/x.csv" => upload(request, &mut state),
        "/v1/whoami" => json_body(
            StatusCode::OK,
            &json!({"principal": "spiffe://hku.hk/researcher/alice", "participant": "hku", "role": "researcher",
                    "roles": ["researcher"], "authority": false, "certificate_expires": "2027-01-01T00:00:00Z"}),
        ),
        "/v1/plan" => {
            state.plans += 1;
            // The second plan of a refused pull asks for the redacted form.
            let effect = if state.plans.is_multiple_of(2) && state.effect != "allow" { "allow" } else { state.effect };
            json_body(StatusCode::OK, &plan(&state, effect))
        }
        "/v1/agreements" => {
            state.accepted += 1;
            state.agreed = true;
            json_body(
                StatusCode::CREATED,
                &json!({
                    "id": "a1", "participant": "hku", "dataset": "yue-words", "purpose": "academic-research",
                    "offer": Digest::of(b""), "state": "active", "at": "2026-11-22T10:00:00Z"
                }),
            )
        }
        "/v1/datasets/yue-words" => json_body(StatusCode::OK, &dataset(&state)),
        "/v1/datasets/yue-words/versions/1" => json_body(StatusCode::OK, &version(&state)),
        "/v1/leases/l1" => json_body(
            StatusCode::OK,
            &json!({
                "id": "l1", "agreement": "a1", "dataset": "yue-words", "version": "1", "columns": ["word"],
                "state": state.lease_state, "leaf": 3, "sent_bytes": 0, "unit_bytes": 0, "participant": "hku",
                "purpose": "academic-research", "created": "2026-11-22T10:00:00Z", "expires": "2026-11-23T10:00:00Z",
                "reason": "compliance stopped it"
            }),
        ),
        "/v1/datasets/yue-words/versions/1/data" => {
            let stream = state.stream.clone();
            let fault = state.then;
            data(StatusCode::OK, &stream, 0, fault, world)
        }
        _ if path.ends_with("/chunks") => json_body(StatusCode::OK, &chunk_list(&state.file)),
        _ if path.ends_with(FILE) => file(request, &mut state, world),
        _ => json_body(StatusCode::NOT_FOUND, &json!({"code": "not_found", "detail": "no such thing", "status": 404})),
    }
}

fn plan(world: &World, effect: &str) -> Value {
    json!({
        "dataset": "yue-words", "version": world.version, "columns": ["word"], "rows": 1, "bytes": world.file.len(),
        "unit_bytes": world.file.len(), "price": {"amount": world.price, "currency": "CNY"},
        "agreement": if world.agreed { json!("a1") } else { Value::Null },
        "decision": {
            "effect": effect, "rules": ["CN-06"], "columns_allowed": ["word"],
            "reasons": [{"rule": "CN-06", "citation": "Art. 8", "message": {"en": "a contract is needed"}}],
            "remedies": [{"kind": "drop-columns", "columns": ["id_no"]}]
        }
    })
}

fn offer() -> Value {
    json!({"purposes": ["academic-research"], "recipients": ["hku.hk"], "places": ["HK"], "price": {"model": "free"}})
}

fn dataset(world: &World) -> Value {
    json!({
        "id": "yue-words", "latest_version": "1", "title": {"en": "Words"}, "description": {}, "state": "published",
        "class": "general", "columns_class": "none", "provider": "qianhai", "theme": [], "language": [], "licence": "CC0-1.0",
        "rows": 1, "bytes": world.file.len(), "offer": offer(), "versions": [{"version": "1", "state": "published"}]
    })
}

fn version(world: &World) -> Value {
    json!({
        "dataset": "yue-words", "version": "1", "state": "published", "provider": "qianhai", "registrant": "qianhai",
        "manifest": Digest::of(b""), "schema": [], "inspection": {}, "offer": offer(), "offer_digest": Digest::of(b""),
        "entry": {}, "files": [{"name": FILE, "sha256": world.sha256(), "bytes": world.file.len(), "rows": 1}]
    })
}

fn register(world: &mut World) -> Response<Faulty> {
    if world.upload.is_some() {
        return json_body(StatusCode::CONFLICT, &json!({"code": "conflict", "detail": "this version is registered"}));
    }
    world.upload = Some(Vec::new());
    json_body(StatusCode::CREATED, &uploaded(world))
}

/// The version of [`MANIFEST`].
fn uploaded(world: &World) -> Value {
    let whole = world.upload.as_ref().filter(|bytes| bytes.len() == UPLOAD);
    let files: Vec<Value> = whole
        .map(|bytes| {
            json!({"name": "x.parquet", "sha256": "", "bytes": 1, "rows": 1,
                   "source": {"name": "x.csv", "sha256": Digest::of(bytes).hex()}})
        })
        .into_iter()
        .collect();
    let manifest = catalog::Manifest::parse(MANIFEST).unwrap();
    json!({
        "dataset": "up-words", "version": "1", "state": "draft", "provider": "hku", "registrant": "hku",
        "manifest": Digest::of(b""), "schema": [], "inspection": {}, "offer": manifest.offer,
        "offer_digest": manifest.offer.digest(), "entry": manifest.dataset, "files": files
    })
}

fn upload(request: &Request<Bytes>, world: &mut World) -> Response<Faulty> {
    let Some(there) = &mut world.upload else {
        return json_body(StatusCode::NOT_FOUND, &json!({"code": "not_found", "detail": "no such version"}));
    };
    if request.method() == Method::HEAD {
        let head = Response::builder().header("upload-offset", there.len());
        return head.body(Faulty::empty()).unwrap();
    }
    world.puts += 1;
    if world.lost_put.is_some_and(|lost| world.puts >= lost) {
        return json_body(StatusCode::BAD_GATEWAY, &json!({"code": "unavailable", "detail": "away"}));
    }
    let range = request.headers().get("content-range").unwrap().to_str().unwrap().to_owned();
    let first: usize = range.strip_prefix("bytes ").unwrap().split_once('-').unwrap().0.parse().unwrap();
    if first != there.len() {
        let offset = there.len();
        return json_body(
            StatusCode::CONFLICT,
            &json!({"code": "wrong_offset", "detail": "continue elsewhere", "offset": offset}),
        );
    }
    there.extend_from_slice(request.body());
    json_body(StatusCode::OK, &json!({}))
}

fn chunk_list(file: &[u8]) -> Value {
    let pieces = file.chunks(CHUNK).enumerate();
    pieces
        .map(|(number, piece)| {
            json!({"row_group": number, "column": "word", "offset": number * CHUNK, "bytes": piece.len(),
                   "digest": chunks::digest(piece)})
        })
        .collect()
}

fn file(request: &Request<Bytes>, world: &mut World, shared: &Shared) -> Response<Faulty> {
    let length = world.file.len() as u64;
    if request.method() == Method::HEAD {
        let head = Response::builder().header("etag", &world.etag).header("content-length", length);
        return head.body(Faulty::empty()).unwrap();
    }
    if world.effect != "allow" && !request.uri().query().is_some_and(|query| query.contains("redact=true")) {
        let code = if world.effect == "review" { "review" } else { "denied" };
        return json_body(
            StatusCode::FORBIDDEN,
            &json!({"code": code, "detail": "no", "leaf": 18, "explain": {"rules": ["CN-06"]}}),
        );
    }
    let fault = world.faults.pop_front().unwrap_or(world.then);
    if fault == Some(Fault::Unavailable) {
        let mut response =
            json_body(StatusCode::SERVICE_UNAVAILABLE, &json!({"code": "unavailable", "detail": "draining"}));
        response.headers_mut().insert("retry-after", "0".parse().unwrap());
        return response;
    }
    let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let range = text("range").unwrap();
    let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
    let matches = text("if-range").is_none_or(|etag| etag == world.etag);
    let mut bytes = world.file.clone();
    if let Some(Fault::Flip(at)) = fault {
        bytes[usize::try_from(at).unwrap()] ^= 1;
    }
    let body = if matches {
        world.ranges.push((first, last));
        &bytes[usize::try_from(first).unwrap()..=usize::try_from(last).unwrap()]
    } else {
        &bytes[..]
    };
    let status = if matches { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = data(status, body, first, fault, shared);
    let headers = response.headers_mut();
    headers.insert("etag", world.etag.parse().unwrap());
    if matches {
        headers.insert("content-range", format!("bytes {first}-{last}/{length}").parse().unwrap());
    }
    response
}

fn data(status: StatusCode, bytes: &[u8], _first: u64, fault: Option<Fault>, world: &Shared) -> Response<Faulty> {
    let body = Faulty {
        length: bytes.len() as u64,
        pieces: bytes.chunks(10_000).map(Bytes::copy_from_slice).collect(),
        given: 0,
        fault,
        paused: false,
        world: Some(Arc::clone(world)),
    };
    let response = Response::builder().status(status).header("kouan-lease", "l1").header("kouan-leaf", "3");
    response.body(body).unwrap()
}

fn json_body(status: StatusCode, value: &Value) -> Response<Faulty> {
    let bytes = Bytes::from(value.to_string());
    let body = Faulty {
        length: bytes.len() as u64,
        pieces: VecDeque::from([bytes]),
        given: 0,
        fault: None,
        paused: false,
        world: None,
    };
    Response::builder().status(status).body(body).unwrap()
}

/// A body that breaks off or stalls on demand.
pub struct Faulty {
    length: u64,
    pieces: VecDeque<Bytes>,
    given: usize,
    fault: Option<Fault>,
    paused: bool,
    world: Option<Shared>,
}

impl Faulty {
    fn empty() -> Self {
        Self { length: 0, pieces: VecDeque::new(), given: 0, fault: None, paused: false, world: None }
    }
}

impl Body for Faulty {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.fault {
            Some(Fault::Cut(after)) if self.given >= after => {
                // hyper flushes what it has only when a body pauses.
                if !std::mem::replace(&mut self.paused, true) {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                return Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())));
            }
            // Never woken: the connection lives as long as the test wants.
            Some(Fault::Stall(after)) if self.given >= after => return Poll::Pending,
            _ => {}
        }
        let Some(piece) = self.pieces.pop_front() else {
            return Poll::Ready(None);
        };
        self.given += piece.len();
        if let Some(world) = &self.world {
            world.lock().unwrap().sent += piece.len() as u64;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length - self.given as u64)
    }
}
