use super::*;
use crate::listener::preface::PREFACE;

async fn finished(mut gate: Gate) {
    let task = std::mem::replace(&mut gate.task, tokio::spawn(async {}));
    timeout(LONG, task).await.expect("must return").unwrap();
}

#[tokio::test]
async fn a_drain_ends_when_everybody_has_left() {
    let gate = gate(ListenerOptions::default());
    let (mut idle, _) = gate.ask("/hello").await;
    let mut body = [0; 5];
    idle.read_exact(&mut body).await.unwrap();
    let handshaking = gate.tcp().await;
    gate.until_open(2).await;
    let begun = Instant::now();
    gate.drain.begin();
    assert!(rest(&mut idle).await.1.is_ok(), "closed in order");
    let addr = gate.addr;
    finished(gate).await;
    assert!(begun.elapsed() < crate::drain::DEFAULT_DRAIN_SOFT);
    assert!(TcpStream::connect(addr).await.is_err(), "the port is closed");
    drop(handshaking);
}

#[tokio::test]
async fn a_running_response_may_end_within_the_drain() {
    let gate = gate(ListenerOptions::default());
    let mut tls = gate.dial(http1()).await.unwrap();
    tls.write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab").await.unwrap();
    let connection = gate.connections.list().pop().unwrap();
    until(|| connection.requests_in_flight() == 1).await;
    gate.drain.begin();
    sleep(Duration::from_millis(20)).await;
    tls.write_all(b"cd").await.unwrap();
    let head = read_head(&mut tls).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(rest(&mut tls).await.0, 4);
    finished(gate).await;
}

#[tokio::test]
async fn nobody_holds_the_drain_up() {
    let (soft, hard) = (Duration::from_millis(300), Duration::from_millis(600));
    let drain = Drain::new(soft, hard);
    let gate = gate_with(ListenerOptions::default(), drain.clone());
    // hyper#4170: a peer that shook hands and never sends the preface.
    let no_preface = gate.dial(h2()).await.unwrap();
    let mut half = gate.dial(h2()).await.unwrap();
    half.write_all(&PREFACE[..10]).await.unwrap();
    // One that has sent it and answers no ping.
    let mut silent = gate.dial(h2()).await.unwrap();
    silent.write_all(PREFACE).await.unwrap();
    silent.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let connecting = gate.tcp().await;
    let mut handling = gate.dial(http1()).await.unwrap();
    handling.write_all(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let (parked, _) = gate.ask("/flood").await;
    gate.until_open(6).await;
    let begun = Instant::now();
    drain.begin();
    finished(gate).await;
    // The deadline, plus what a busy machine needs to run this task.
    let took = begun.elapsed();
    assert!(took >= hard && took < hard + Duration::from_secs(2), "{took:?}");
    let mut tcp = parked.into_inner().0;
    let (_, ended) = rest(&mut tcp).await;
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    drop((no_preface, half, silent, connecting, handling));
}

#[tokio::test]
async fn only_silent_peers_are_no_reason_to_wait() {
    let gate = gate(ListenerOptions::default());
    let no_preface = gate.dial(h2()).await.unwrap();
    let connecting = gate.tcp().await;
    gate.until_open(2).await;
    let begun = Instant::now();
    gate.drain.begin();
    finished(gate).await;
    assert!(begun.elapsed() < crate::drain::DEFAULT_DRAIN_SOFT);
    drop((no_preface, connecting));
}
