use super::*;
use crate::listener::preface::PREFACE;

#[tokio::test]
async fn a_silent_peer_is_closed_at_the_handshake_timeout() {
    let options = ListenerOptions { handshake_timeout: SHORT, ..ListenerOptions::default() };
    let gate = gate(options);
    let mut silent = gate.tcp().await;
    let mut half = gate.tcp().await;
    half.write_all(&[22, 3, 1]).await.unwrap();
    for stream in [&mut silent, &mut half] {
        assert_eq!(rest(stream).await.0, 0);
    }
    gate.until_open(0).await;
}

#[tokio::test]
async fn the_preface_has_a_timeout() {
    let options = ListenerOptions { preface_timeout: SHORT, ..ListenerOptions::default() };
    let gate = gate(options);
    for sent in [&PREFACE[..0], &PREFACE[..23], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut tls = gate.dial(h2()).await.unwrap();
        tls.write_all(sent).await.unwrap();
        assert_eq!(rest(&mut tls).await.0, 0, "{sent:?}");
    }
    gate.until_open(0).await;
}

#[tokio::test]
async fn half_a_head_has_a_timeout() {
    let options = ListenerOptions { header_read_timeout: SHORT, ..ListenerOptions::default() };
    let gate = gate(options);
    let mut first = gate.dial(http1()).await.unwrap();
    first.write_all(b"GET /hello HTTP/1.1\r\nHo").await.unwrap();
    assert_eq!(rest(&mut first).await.0, 0);
    // A second head on a connection that has served one, a byte at a time.
    let (mut second, _) = gate.ask("/hello").await;
    let mut body = [0; 5];
    second.read_exact(&mut body).await.unwrap();
    let dribble = async {
        for byte in b"GET /hello HTTP/1.1\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy".iter().cycle() {
            if second.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, dribble).await.expect("cut while it dribbles");
    gate.until_open(0).await;
}

#[tokio::test]
async fn a_slow_tail_outlives_the_header_and_idle_timeouts() {
    let options = ListenerOptions {
        header_read_timeout: Duration::from_millis(100),
        idle_timeout: Duration::from_millis(400),
        retire_grace: Duration::from_millis(400),
        ..ListenerOptions::default()
    };
    let gate = gate(options);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let tcp = socket.connect(gate.addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = TlsConnector::from(http1()).connect(name, tcp).await.unwrap();
    ask(&mut tls, "/mebibyte").await.unwrap();
    // The body is in hyper's hands at once; what is left of it takes several timeouts.
    let mut left = 1 << 20;
    let mut piece = vec![0; 32 << 10];
    while left > 0 {
        let read = tls.read(&mut piece).await.unwrap();
        assert!(read > 0, "{left} bytes are missing");
        left -= read;
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn idle_connections_are_closed_in_order() {
    let options = ListenerOptions { idle_timeout: SHORT, retire_grace: SHORT, ..ListenerOptions::default() };
    let gate = gate(options);
    let fresh = &mut gate.dial(http1()).await.unwrap();
    let (ref mut used, _) = gate.ask("/hello").await;
    let mut body = [0; 5];
    used.read_exact(&mut body).await.unwrap();
    for tls in [fresh, used] {
        let (bytes, ended) = rest(tls).await;
        assert_eq!((bytes, ended.is_ok()), (0, true));
    }
    // HTTP/2: GOAWAY; a peer that does not answer it is dropped.
    let mut silent = gate.dial(h2()).await.unwrap();
    silent.write_all(PREFACE).await.unwrap();
    silent.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    assert!(rest(&mut silent).await.0 > 0);
    // A busy one is left alone.
    let mut busy = gate.dial(http1()).await.unwrap();
    busy.write_all(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let kept = timeout(6 * SHORT, busy.read_u8()).await;
    assert!(kept.is_err(), "{kept:?}");
}

#[tokio::test]
async fn connections_are_limited_in_all() {
    let options = ListenerOptions { connections_max: 2, ..ListenerOptions::default() };
    let gate = gate(options);
    let mut busy = gate.dial(http1()).await.unwrap();
    busy.write_all(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let (mut idle, _) = gate.ask("/hello").await;
    let mut body = [0; 5];
    idle.read_exact(&mut body).await.unwrap();
    assert!(gate.dial(http1()).await.is_err(), "the third is turned away");
    // That made room: the idle one has been retired, the busy one has not.
    assert!(rest(&mut idle).await.1.is_ok());
    gate.until_open(1).await;
    let (_, head) = gate.ask("/hello").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(gate.connections.list()[0].requests_in_flight(), 1);
}

#[tokio::test]
async fn unverified_connections_of_an_address_are_limited() {
    let options = ListenerOptions { unverified_per_address_max: 2, ..ListenerOptions::default() };
    let gate = gate(options);
    let first = gate.dial(http1()).await.unwrap();
    let connection = gate.connections.list().pop().unwrap();
    until(|| connection.identity().is_some()).await;
    let silent = [gate.tcp().await, gate.tcp().await];
    gate.until_open(3).await;
    assert!(gate.dial(http1()).await.is_err(), "a third unverified one");
    drop(silent);
    gate.until_open(1).await;
    assert!(gate.dial(http1()).await.is_ok());
    drop(first);
}

#[tokio::test]
async fn connections_of_a_trust_domain_are_limited() {
    let options = ListenerOptions { per_trust_domain_max: 1, ..ListenerOptions::default() };
    let gate = gate(options);
    let (first, _) = gate.ask("/hello").await;
    let mut second = gate.dial(http1()).await.unwrap();
    assert!(ask(&mut second, "/hello").await.is_err());
    let mut other = gate.dial(client(1, &[b"http/1.1"])).await.unwrap();
    let head = ask(&mut other, "/hello").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "another domain is not affected: {head}");
    drop(first);
    gate.until_open(1).await;
    let (_, head) = gate.ask("/hello").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[tokio::test]
async fn the_address_in_use_is_an_error_that_names_it() {
    let gate = gate(ListenerOptions::default());
    let error = Listener::bind(gate.addr, ListenerOptions::default()).unwrap_err();
    assert!(error.to_string().contains(&gate.addr.to_string()), "{error}");
}
