//! HTTP/2 in order, through hyper's client, and out of order, in raw frames (RFC 9113 §6).

use ::http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;
use crate::listener::preface::PREFACE;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `GET /hello`, https, authority `a`, in HPACK: static indices and literals without indexing.
const GET_HELLO: &[u8] = b"\x82\x87\x04\x06/hello\x01\x01a";
const GET_FLOOD: &[u8] = b"\x82\x87\x04\x06/flood\x01\x01a";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A connection with the preface and `settings` sent.
async fn raw(gate: &Gate, settings: &[u8]) -> Tls {
    let mut tls = gate.dial(h2()).await.unwrap();
    let hello = [PREFACE.as_slice(), &frame(SETTINGS, 0, 0, settings)].concat();
    tls.write_all(&hello).await.unwrap();
    tls
}

/// Reads frames until one of `kind` comes; `None` if the connection ends before.
async fn next_of(tls: &mut Tls, kind: u8) -> Option<Vec<u8>> {
    loop {
        let mut head = [0; 9];
        timeout(LONG, tls.read_exact(&mut head)).await.expect("no frame").ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length.try_into().unwrap()];
        timeout(LONG, tls.read_exact(&mut payload)).await.expect("no frame").ok()?;
        if head[3] == kind {
            return Some(payload);
        }
    }
}

async fn session(gate: &Gate) -> SendRequest<Empty<Bytes>> {
    let tls = gate.dial(h2()).await.unwrap();
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(256 << 10)
        .handshake(TokioIo::new(tls))
        .await
        .unwrap();
    tokio::spawn(async move { drop(connection.await) });
    sender
}

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::builder().version(Version::HTTP_2).uri(format!("https://localhost{path}")).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn streams_share_a_connection_and_a_panic_is_only_its_own() {
    let gate = gate(ListenerOptions::default());
    let mut sender = session(&gate).await;
    let all = ["/hello", "/panic", "/whoami", "/hello"].map(|path| sender.send_request(request(path)));
    let answers = futures::future::join_all(all).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.as_ref().unwrap().status().as_u16()).collect();
    assert_eq!(statuses, [200, 500, 200, 200]);
    assert_eq!(gate.connections.len(), 1);
    drop(answers);
    let connection = gate.connections.list().pop().unwrap();
    until(|| connection.requests_in_flight() == 0).await;
}

#[tokio::test]
async fn parked_streams_are_cut_with_their_connection() {
    let gate = gate(ListenerOptions::default());
    let mut sender = session(&gate).await;
    let mut first = sender.send_request(request("/flood")).await.unwrap();
    let mut second = sender.send_request(request("/flood")).await.unwrap();
    // Both windows are used up: nothing reads.
    let connection = gate.connections.list().pop().unwrap();
    until_parked(&connection).await;
    assert_eq!(connection.requests_in_flight(), 2);
    let written = connection.written();
    let begun = Instant::now();
    connection.kill();
    for body in [first.body_mut(), second.body_mut()] {
        let ended = async {
            loop {
                match body.frame().await {
                    Some(Ok(_)) => {}
                    other => return other.map(|frame| frame.map(drop)),
                }
            }
        };
        let ended = timeout(Duration::from_secs(1), ended).await.expect("cut");
        assert!(matches!(ended, Some(Err(_))), "a cut never looks complete");
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    gate.until_open(0).await;
    assert_eq!(connection.written(), written, "no byte after the cut");
    until(|| connection.requests_in_flight() == 0).await;
}

#[tokio::test]
async fn a_drain_says_goaway_and_lets_streams_end() {
    let gate = gate(ListenerOptions::default());
    let mut sender = session(&gate).await;
    let answer = sender.send_request(request("/mebibyte")).await.unwrap();
    gate.drain.begin();
    until(|| gate.drain.phase() > Phase::Serving).await;
    let body = timeout(LONG, answer.into_body().collect()).await.unwrap().unwrap();
    assert_eq!(body.to_bytes().len(), 1 << 20);
    gate.until_open(0).await;
    assert!(sender.ready().await.is_err(), "no new streams");
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection_and_no_other() {
    let gate = gate(ListenerOptions::default());
    let mut honest = session(&gate).await;
    let mut tls = raw(&gate, &[]).await;
    let mut burst = Vec::new();
    for stream in (1..4001).step_by(2) {
        burst.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, GET_HELLO));
        burst.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    // The connection may be closed before all of it is taken.
    drop(tls.write_all(&burst).await);
    if let Some(goaway) = next_of(&mut tls, GOAWAY).await {
        assert_eq!(goaway[4..8], 11_u32.to_be_bytes(), "ENHANCE_YOUR_CALM");
    }
    let answer = honest.send_request(request("/hello")).await.unwrap();
    assert_eq!(answer.status(), 200);
    gate.until_open(1).await;
}

#[tokio::test]
async fn a_header_block_without_end_is_refused() {
    let gate = gate(ListenerOptions::default());
    let mut tls = raw(&gate, &[]).await;
    tls.write_all(&frame(HEADERS, END_STREAM, 1, GET_HELLO)).await.unwrap();
    // Literals without indexing: `x: 16,000 times y`, again and again.
    let mut field = b"\x00\x01x\x7f\x81\x7c".to_vec();
    field.extend(vec![b'y'; 16_000]);
    let mut sent = 0;
    while tls.write_all(&frame(CONTINUATION, 0, 1, &field)).await.is_ok() {
        sent += field.len();
        assert!(sent < 64 << 20, "takes headers without end");
    }
    gate.until_open(0).await;
}

#[tokio::test]
async fn a_large_header_list_gets_431() {
    let options = ListenerOptions { header_bytes_max: 4096, ..ListenerOptions::default() };
    let gate = gate(options);
    let mut sender = session(&gate).await;
    let mut large = request("/hello");
    let value = "y".repeat(6000).parse().unwrap();
    large.headers_mut().insert("x", value);
    let answer = sender.send_request(large).await.unwrap();
    assert_eq!(answer.status(), 431);
}

#[tokio::test]
async fn a_window_that_stays_shut_is_cut() {
    let options = ListenerOptions { stall_timeout: Duration::from_millis(300), ..ListenerOptions::default() };
    let gate = gate(options);
    // SETTINGS_INITIAL_WINDOW_SIZE = 1000: one piece of a frame, and no WINDOW_UPDATE ever.
    let mut tls = raw(&gate, &[0, 4, 0, 0, 3, 0xe8]).await;
    tls.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, GET_FLOOD)).await.unwrap();
    assert_eq!(next_of(&mut tls, DATA).await.unwrap().len(), 1000);
    let connection = gate.connections.list().pop().unwrap();
    timeout(LONG, connection.killed()).await.expect("cut");
    assert!(rest(&mut tls).await.1.is_err());
}

#[tokio::test]
async fn hosts_must_agree() {
    let gate = gate(ListenerOptions::default());
    let mut sender = session(&gate).await;
    for (host, status) in [("localhost", 200), ("elsewhere", 400)] {
        let mut asked = request("/hello");
        asked.headers_mut().insert("host", host.parse().unwrap());
        let answer = sender.send_request(asked).await.unwrap();
        assert_eq!(answer.status(), status, "{host}");
    }
}
