use super::*;

/// INV-8: a cut takes effect within this.
const CUT: Duration = Duration::from_secs(1);

/// Starts a flood that nobody reads and waits until it is parked.
async fn parked(gate: &Gate) -> (TcpStream, Connection) {
    let (tls, head) = gate.ask("/flood").await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let connection = gate.connections.list().pop().unwrap();
    until_parked(&connection).await;
    (tls.into_inner().0, connection)
}

#[tokio::test]
async fn a_parked_http1_stream_is_reset() {
    let gate = gate(ListenerOptions::default());
    let (mut tcp, connection) = parked(&gate).await;
    assert_eq!(connection.requests_in_flight(), 1);
    let written = connection.written();
    let begun = Instant::now();
    connection.kill();
    timeout(CUT, connection.killed()).await.unwrap();
    gate.until_open(0).await;
    // What the peer's kernel had already taken may still be read; then a reset, never an end.
    let (_, ended) = rest(&mut tcp).await;
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(begun.elapsed() < CUT, "{:?}", begun.elapsed());
    assert_eq!(connection.written(), written, "no byte after the cut");
    assert_eq!(connection.requests_in_flight(), 0);
}

#[tokio::test]
async fn what_the_kernel_holds_is_bounded() {
    let gate = gate(ListenerOptions::default());
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(32 << 10).unwrap();
    let tcp = socket.connect(gate.addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = TlsConnector::from(http1()).connect(name, tcp).await.unwrap();
    ask(&mut tls, "/flood").await.unwrap();
    let connection = gate.connections.list().pop().unwrap();
    until_parked(&connection).await;
    // INVARIANT (INV-8): at most 1 MiB, the peer's own buffer included here.
    assert!(connection.written() <= 1 << 20, "{}", connection.written());
}

#[tokio::test]
async fn connections_are_cut_by_what_is_known_of_them() {
    let gate = gate(ListenerOptions::default());
    let (mut hku, _) = gate.ask("/flood").await;
    let mut cuhk = gate.dial(client(1, &[b"http/1.1"])).await.unwrap();
    ask(&mut cuhk, "/hello").await.unwrap();
    let victim = gate.connections.list()[0].clone();
    let serial = victim.serial().unwrap().clone();
    assert_eq!(gate.connections.kill_where(|c| c.serial() == Some(&serial)), 1);
    assert!(rest(&mut hku).await.1.is_err());
    gate.until_open(1).await;
    let mut body = [0; 5];
    cuhk.read_exact(&mut body).await.unwrap();
    let head = ask(&mut cuhk, "/hello").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "the other one lives: {head}");
}

#[tokio::test]
async fn a_connection_does_not_outlive_its_certificate() {
    let not_after = PKI.participants[0].not_after;
    let begun = Instant::now();
    let clock = move || {
        let elapsed = SignedDuration::try_from(begun.elapsed()).unwrap();
        not_after - SignedDuration::from_millis(1500) + elapsed
    };
    let options = ListenerOptions { clock: Arc::new(clock), ..ListenerOptions::default() };
    let gate = gate(options);
    let (mut tcp, connection) = parked(&gate).await;
    assert!(!connection.is_killed());
    timeout(LONG, connection.killed()).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(1500));
    gate.until_open(0).await;
    let (_, ended) = rest(&mut tcp).await;
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let mut late = gate.dial(http1()).await.unwrap();
    assert!(ask(&mut late, "/hello").await.is_err(), "by our clock it has expired");
}

#[tokio::test]
async fn a_consumer_that_takes_nothing_is_cut() {
    let options = ListenerOptions { stall_timeout: Duration::from_millis(300), ..ListenerOptions::default() };
    let gate = gate(options);
    let (tls, _) = gate.ask("/flood").await;
    let connection = gate.connections.list().pop().unwrap();
    timeout(LONG, connection.killed()).await.expect("cut");
    let mut tcp = tls.into_inner().0;
    let (_, ended) = rest(&mut tcp).await;
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    // A handler that takes long is not the consumer's fault.
    let mut waiting = gate.dial(http1()).await.unwrap();
    waiting.write_all(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let kept = timeout(Duration::from_millis(1200), waiting.read_u8()).await;
    assert!(kept.is_err(), "{kept:?}");
}

#[tokio::test]
async fn a_kill_reaches_handshakes_too() {
    let gate = gate(ListenerOptions::default());
    let mut silent = gate.tcp().await;
    gate.until_open(1).await;
    assert_eq!(gate.connections.kill_where(|_| true), 0, "verified ones only");
    assert_eq!(gate.connections.kill_all(), 1);
    assert!(rest(&mut silent).await.1.is_err());
    gate.until_open(0).await;
}

#[tokio::test]
async fn newer_trust_is_asked_at_the_end_of_a_handshake_too() {
    let door = door();
    let trust = Arc::clone(&door.trust);
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = Listener::bind(addr, ListenerOptions::default()).unwrap();
    let gate = Gate {
        addr: listener.local_addr(),
        connections: listener.connections(),
        drain: Drain::default(),
        task: tokio::spawn(listener.run(door, |_: &Peer| router(), Drain::default())),
    };
    let (mut live, head) = gate.ask("/whoami").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    // Nobody is trusted any more: the live connection goes, and no new one comes.
    trust.store(TrustStoreBuilder::new().build());
    let (store, now) = (trust.load(), Timestamp::now());
    let fails = |c: &Connection| store.verify(c.chain(), now).is_err();
    assert_eq!(gate.connections.kill_where(fails), 1);
    assert!(rest(&mut live).await.1.is_err());
    let mut late = gate.dial(http1()).await.unwrap();
    assert!(ask(&mut late, "/whoami").await.is_err());
}
