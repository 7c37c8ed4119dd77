#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::metrics::{Kind, LISTENER_METRICS, Metric};
use super::*;

const LONG: Duration = Duration::from_secs(30);

const OTHER: &[Metric] =
    &[Metric { name: "kouan_test_seconds", kind: Kind::Histogram, labels: &[], help: "Of a test." }];

async fn send(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    drop(timeout(LONG, read).await.expect("must close"));
    answer
}

async fn get(addr: SocketAddr, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    let answer = send(addr, &request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn only_loopback_is_bound() {
    for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:0.0.0.0]:0"] {
        let error = Admin::bind(addr.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, AdminError::NotLoopback { .. }), "{error}");
    }
    let first = Admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let error = Admin::bind(first.local_addr()).await.unwrap_err();
    assert!(matches!(error, AdminError::Bind { .. }), "{error}");
}

#[tokio::test]
async fn probes_and_scrapes_are_answered_until_the_end() {
    let admin = Admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = admin.local_addr();
    let metrics = Metrics::install(&[OTHER]).unwrap();
    Metrics::install(&[]).expect("a second time gives the same");
    ::metrics::histogram!("kouan_test_seconds").record(0.02);
    ::metrics::counter!("kouan_accept_errors_total").increment(3);
    let open = Arc::new(AtomicBool::new(false));
    let checked = Arc::clone(&open);
    let readiness = Readiness::new().with("config", || Ok(())).with("records", move || {
        if checked.load(Ordering::SeqCst) { Ok(()) } else { Err("store is not open".to_owned()) }
    });
    let (end, until) = oneshot::channel::<()>();
    let running = tokio::spawn(admin.run(readiness, metrics, async move { drop(until.await) }));

    assert_eq!(get(addr, "/healthz").await, (200, "ok\n".to_owned()));
    let (status, body) = get(addr, "/readyz").await;
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 503);
    let want = serde_json::json!({
        "ready": false,
        "checks": {"config": "ok", "records": "store is not open"},
    });
    assert_eq!(report, want);
    open.store(true, Ordering::SeqCst);
    assert_eq!(get(addr, "/readyz").await.0, 200);

    let (status, text) = get(addr, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "# HELP kouan_accept_errors_total Failed accept(2) calls.",
        "# TYPE kouan_accept_errors_total counter",
        "# TYPE kouan_test_seconds histogram",
        "kouan_test_seconds_bucket{le=\"0.025\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }

    for path in ["/", "/metrics/", "/v1/whoami", "/healthz/../metrics"] {
        assert_eq!(get(addr, path).await.0, 404, "{path}");
    }
    for (request, status) in [
        ("POST /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "405"),
        ("GET /metrics HTTP/1.1\r\nHost: [::1]:9\r\nConnection: close\r\n\r\n", "200"),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", "403"),
        ("GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n", "403"),
        ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\nConnection: close\r\n\r\n", "403"),
    ] {
        let answer = send(addr, request).await;
        assert_eq!(&answer[9..12], status, "{request}");
    }
    let answer = send(addr, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(answer, "", "HTTP/1.1 only");
    let large = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(20_000));
    let answer = send(addr, &large).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");

    let mut held = TcpStream::connect(addr).await.unwrap();
    end.send(()).unwrap();
    timeout(LONG, running).await.unwrap().unwrap();
    assert!(TcpStream::connect(addr).await.is_err());
    drop(timeout(LONG, held.read_u8()).await.expect("closed"));
}

/// The naming rules of `promtool check metrics`.
#[test]
fn names_are_what_prometheus_expects() {
    let mut names = BTreeSet::new();
    for metric in LISTENER_METRICS {
        let name = metric.name;
        assert!(names.insert(name), "{name} twice");
        assert!(name.starts_with("kouan_"), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        for unit in ["milliseconds", "minutes", "kilobytes", "_ms", "count", "counter", "gauge"] {
            assert!(!name.ends_with(unit), "{name}");
        }
        let histogram = metric.kind == Kind::Histogram;
        assert!(!histogram || name.ends_with("_seconds") || name.ends_with("_bytes"), "{name}");
        assert!(metric.help.ends_with('.'), "{name}");
    }
}
