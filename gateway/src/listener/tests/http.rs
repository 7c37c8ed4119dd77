use super::*;

#[tokio::test]
async fn both_versions_know_their_peer() {
    let gate = gate(ListenerOptions::default());
    for config in [http1(), client(0, &[])] {
        let mut tls = gate.dial(config).await.unwrap();
        let head = ask(&mut tls, "/whoami").await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        let mut body = [0; 6];
        tls.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"hku.hk");
    }
    let tls = gate.dial(client(1, &[b"http/1.1", b"h2"])).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()), "the server's preference");
    let connection = gate.connections.list().pop().unwrap();
    until(|| connection.identity().is_some()).await;
    let peer = &PKI.participants[1];
    assert_eq!(connection.trust_domain(), Some(&peer.trust_domain));
    assert!(connection.serial().is_some());
    assert!(!format!("{connection:?}").contains("canary"));
    drop(tls);
    gate.until_open(0).await;
}

#[tokio::test]
async fn strangers_learn_why_from_tls_and_get_no_answer() {
    let gate = gate(ListenerOptions::default());
    let stranger = participant("hku.hk");
    let (pem, key) = &stranger.client;
    let unknown = client_config(&PKI.servers, pem, key, &[b"http/1.1"]).unwrap();
    let mut nobody = (*http1()).clone();
    nobody.client_auth_cert_resolver = Arc::new(Nobody);
    for (config, alert) in
        [(unknown, "fatal alert: Certificate"), (Arc::new(nobody), "fatal alert: CertificateRequired")]
    {
        // With TLS 1.3 a client is done before the server has seen its certificate.
        let mut tls = gate.dial(config).await.unwrap();
        let error = ask(&mut tls, "/hello").await.unwrap_err();
        assert!(error.to_string().contains(alert), "{error}");
    }
}

/// Has no certificate.
#[derive(Debug)]
struct Nobody;

impl rustls::client::ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn requests_that_mean_two_things_are_refused() {
    let gate = gate(ListenerOptions::default());
    for (request, status) in [
        ("GET /hello HTTP/1.1\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET http://b/hello HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    ] {
        let mut tls = gate.dial(http1()).await.unwrap();
        let head = say(&mut tls, request).await.unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {head}");
    }
}

#[tokio::test]
async fn http2_without_alpn_is_closed_without_an_answer() {
    let gate = gate(ListenerOptions::default());
    let mut tls = gate.dial(http1()).await.unwrap();
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    assert_eq!(rest(&mut tls).await.0, 0);
}

#[tokio::test]
async fn a_length_beside_chunks_does_not_smuggle_a_request() {
    let gate = gate(ListenerOptions::default());
    let mut tls = gate.dial(http1()).await.unwrap();
    // By Content-Length the second request would be the first one's body.
    let head = say(
        &mut tls,
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 48\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyy\r\n\r\n",
    )
    .await
    .unwrap();
    // RFC 9112 §6.1: refuse, or answer and close. Two answers would be a smuggled request.
    let mut answers = head.into_bytes();
    drop(timeout(LONG, tls.read_to_end(&mut answers)).await.expect("must close"));
    let answers = String::from_utf8_lossy(&answers);
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
}

#[tokio::test]
async fn header_floods_are_refused() {
    let options = ListenerOptions { headers_max: 20, header_bytes_max: 4096, ..ListenerOptions::default() };
    let gate = gate(options);
    let many = "X: y\r\n".repeat(30);
    let large = format!("X: {}\r\n", "y".repeat(5000));
    for headers in [many, large] {
        let mut tls = gate.dial(http1()).await.unwrap();
        let request = format!("GET /hello HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let head = say(&mut tls, &request).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    }
    // Without an end: closed or refused long before memory matters.
    let mut tls = gate.dial(http1()).await.unwrap();
    let piece = "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(100);
    tls.write_all(b"GET /hello HTTP/1.1\r\n").await.unwrap();
    let mut sent = 0;
    while tls.write_all(piece.as_bytes()).await.is_ok() && sent < 64 << 20 {
        sent += piece.len();
    }
    assert!(sent < 16 << 20, "took {sent} bytes");
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_connection_lives() {
    let gate = gate(ListenerOptions::default());
    let (mut tls, head) = gate.ask("/panic").await;
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert!(head.contains("application/problem+json"), "{head}");
    let length = head.split("content-length: ").nth(1).unwrap();
    let length: usize = length.split('\r').next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    tls.read_exact(&mut body).await.unwrap();
    let body = String::from_utf8(body).unwrap();
    assert!(!body.contains("on purpose"), "{body}");
    let head = ask(&mut tls, "/hello").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[tokio::test]
async fn a_foreign_page_is_refused_over_the_wire() {
    let gate = gate(ListenerOptions::default());
    for header in ["Sec-Fetch-Site: cross-site", "Origin: https://evil.example"] {
        let mut tls = gate.dial(http1()).await.unwrap();
        let request = format!("GET /v1/x HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n");
        let head = say(&mut tls, &request).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        assert!(!head.contains("access-control"), "{head}");
    }
}

#[tokio::test]
async fn what_happens_is_counted_under_documented_names_and_names_nobody() {
    use crate::admin::Metrics;
    use crate::admin::metrics::LISTENER_METRICS;

    // Other parts of the gateway count in the same process.
    const OURS: [&str; 6] =
        ["kouan_connection", "kouan_handshake", "kouan_request", "kouan_sent", "kouan_received", "kouan_accept"];
    let metrics = Metrics::install(&[]).unwrap();
    let gate = gate(ListenerOptions::default());
    let (mut tls, _) = gate.ask("/hello").await;
    let mut body = [0; 5];
    tls.read_exact(&mut body).await.unwrap();
    drop(tls);
    gate.until_open(0).await;
    let text = metrics.render();
    for line in [
        "kouan_requests_total{door=\"other\",status=\"200\"} ",
        "kouan_handshakes_total{result=\"ok\"} ",
        "kouan_request_seconds_count{door=\"other\"} ",
        "kouan_sent_bytes_total ",
        "kouan_connections ",
    ] {
        let value = text.lines().find_map(|found| found.strip_prefix(line));
        assert!(value.is_some(), "{line} is missing in\n{text}");
    }
    let of_ours = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter(|line| OURS.iter().any(|prefix| line.starts_with(prefix)));
    for line in of_ours {
        let name = line.split(' ').next().unwrap();
        assert!(LISTENER_METRICS.iter().any(|metric| metric.name == name), "{name} is in no table");
    }
    for secret in ["canary", "hku.hk", "127.0.0.1", "spiffe"] {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
}
