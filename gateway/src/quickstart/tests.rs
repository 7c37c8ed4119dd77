#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

#[test]
fn a_client_on_this_machine_finds_the_listener() {
    for (bound, url) in [
        ("127.0.0.1:8443", "https://127.0.0.1:8443"),
        ("0.0.0.0:1", "https://127.0.0.1:1"),
        ("[::]:2", "https://[::1]:2"),
        ("[::1]:3", "https://[::1]:3"),
    ] {
        assert_eq!(base_url(bound.parse().unwrap()), url);
    }
}

#[test]
fn every_failure_has_its_exit_status() {
    let listen = LayoutError::Listen { text: "x".to_owned(), why: "no port".to_owned() };
    for (error, exit, code) in [
        (QuickstartError::Layout(listen), Exit::Usage, "bad_input"),
        (QuickstartError::NotRefused { dataset: "x" }, Exit::Integrity, "integrity"),
        (QuickstartError::NotMetered { period: "2026-11".to_owned() }, Exit::Unavailable, "unavailable"),
        (QuickstartError::Interrupted, Exit::Interrupted, "interrupted"),
        (QuickstartError::Unreadable { path: "x".into(), problem: "gone".to_owned() }, Exit::LocalIo, "local_io"),
    ] {
        assert_eq!((error.exit(), error.code().as_str()), (exit, code), "{error}");
    }
}
