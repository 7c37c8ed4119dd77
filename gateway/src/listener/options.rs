//! The listener's limits and times. Every one has a default and says what breaks without it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// Open connections in all.
pub const DEFAULT_CONNECTIONS_MAX: usize = 2048;
/// Connections of one address that have not shown a valid certificate yet. A whole institution
/// may stand behind one address and reconnect at once.
pub const DEFAULT_UNVERIFIED_PER_ADDRESS_MAX: usize = 512;
/// Connections of one trust domain.
pub const DEFAULT_PER_TRUST_DOMAIN_MAX: usize = 1024;
/// From accept to the end of the TLS handshake.
pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the handshake to the 24 bytes of the HTTP/2 preface.
pub const DEFAULT_PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the first byte of an HTTP/1 request to the end of its header section.
pub const DEFAULT_HEADER_READ_TIMEOUT: Duration = Duration::from_secs(20);
/// Without a request in flight and without bytes moving.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_mins(3);
/// With a response in flight of which the peer takes nothing. At 1 KiB/s a kernel with the
/// buffers below moves something every 128 s at the latest.
pub const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_mins(5);
/// Of a connection that is closing in order but whose peer does not answer.
pub const DEFAULT_RETIRE_GRACE: Duration = Duration::from_secs(5);
/// Bytes of an HTTP/1 header section or an HTTP/2 header list.
pub const DEFAULT_HEADER_BYTES_MAX: usize = 32 << 10;
/// Fields of an HTTP/1 header section.
pub const DEFAULT_HEADERS_MAX: usize = 100;
/// Bytes of an HTTP/1 connection's read buffer.
pub const DEFAULT_HTTP1_BUFFER_BYTES_MAX: usize = 256 << 10;
/// Streams that one HTTP/2 connection may have open.
pub const DEFAULT_HTTP2_STREAMS_MAX: u32 = 256;
/// Bytes a peer may send on one HTTP/2 stream before the handler has read them.
pub const DEFAULT_HTTP2_STREAM_WINDOW: u32 = 1 << 20;
/// The same for a whole HTTP/2 connection: with the streams' window this bounds what an upload
/// can make us hold (INV-9).
pub const DEFAULT_HTTP2_CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of one HTTP/2 frame that a peer may send.
pub const DEFAULT_HTTP2_FRAME_BYTES_MAX: u32 = 64 << 10;
/// Bytes that HTTP/2 asks a response body for ahead of the peer's window.
pub const DEFAULT_HTTP2_SEND_BUFFER_BYTES_MAX: usize = 128 << 10;
/// How often an HTTP/2 peer is asked whether it lives (FAULTS, client vanishes).
pub const DEFAULT_HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it has to answer.
pub const DEFAULT_HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Streams that a peer may reset before we have looked at them: rapid reset, CVE-2023-44487.
pub const DEFAULT_HTTP2_PENDING_RESETS_MAX: usize = 20;
/// Streams that a peer may make us reset by its errors in one connection.
pub const DEFAULT_HTTP2_ERROR_RESETS_MAX: usize = 256;
/// What the kernel may hold of a connection's sent bytes, by its own (doubled) account: INV-8.
pub const DEFAULT_SEND_BUFFER_BYTES: usize = 1 << 20;
/// What the kernel takes beyond what is on its way (`TCP_NOTSENT_LOWAT`).
pub const DEFAULT_NOT_SENT_BYTES: u32 = 128 << 10;
/// How long sent bytes may stay unacknowledged, or a window closed. Not below the stall timeout:
/// Linux counts a closed window of a living peer too.
pub const DEFAULT_TCP_USER_TIMEOUT: Duration = Duration::from_mins(5);
/// When TCP asks an idle peer whether it lives.
pub const DEFAULT_TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Reads the wall clock, for certificate expiry.
pub type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
/// Names the front door of a request path, as a label for metrics.
pub type DoorOf = fn(&str) -> &'static str;

/// How a listener behaves. Fields are what the constants of the same name document.
#[derive(Clone)]
#[expect(missing_docs, reason = "each constant above documents its field")]
pub struct ListenerOptions {
    pub connections_max: usize,
    pub unverified_per_address_max: usize,
    pub per_trust_domain_max: usize,
    pub handshake_timeout: Duration,
    pub preface_timeout: Duration,
    pub header_read_timeout: Duration,
    pub idle_timeout: Duration,
    pub stall_timeout: Duration,
    pub retire_grace: Duration,
    pub header_bytes_max: usize,
    pub headers_max: usize,
    pub http1_buffer_bytes_max: usize,
    pub http2_streams_max: u32,
    pub http2_stream_window: u32,
    pub http2_connection_window: u32,
    pub http2_frame_bytes_max: u32,
    pub http2_send_buffer_bytes_max: usize,
    pub http2_ping_interval: Duration,
    pub http2_ping_timeout: Duration,
    pub http2_pending_resets_max: usize,
    pub http2_error_resets_max: usize,
    pub send_buffer_bytes: usize,
    pub not_sent_bytes: u32,
    pub tcp_user_timeout: Duration,
    pub tcp_keepalive: Duration,
    /// The wall clock; tests set their own.
    pub clock: WallClock,
    /// Which front door a path belongs to.
    pub door_of: DoorOf,
}

impl std::fmt::Debug for ListenerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListenerOptions")
            .field("connections_max", &self.connections_max)
            .field("per_trust_domain_max", &self.per_trust_domain_max)
            .field("idle_timeout", &self.idle_timeout)
            .field("stall_timeout", &self.stall_timeout)
            .finish_non_exhaustive()
    }
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self {
            connections_max: DEFAULT_CONNECTIONS_MAX,
            unverified_per_address_max: DEFAULT_UNVERIFIED_PER_ADDRESS_MAX,
            per_trust_domain_max: DEFAULT_PER_TRUST_DOMAIN_MAX,
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            preface_timeout: DEFAULT_PREFACE_TIMEOUT,
            header_read_timeout: DEFAULT_HEADER_READ_TIMEOUT,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            stall_timeout: DEFAULT_STALL_TIMEOUT,
            retire_grace: DEFAULT_RETIRE_GRACE,
            header_bytes_max: DEFAULT_HEADER_BYTES_MAX,
            headers_max: DEFAULT_HEADERS_MAX,
            http1_buffer_bytes_max: DEFAULT_HTTP1_BUFFER_BYTES_MAX,
            http2_streams_max: DEFAULT_HTTP2_STREAMS_MAX,
            http2_stream_window: DEFAULT_HTTP2_STREAM_WINDOW,
            http2_connection_window: DEFAULT_HTTP2_CONNECTION_WINDOW,
            http2_frame_bytes_max: DEFAULT_HTTP2_FRAME_BYTES_MAX,
            http2_send_buffer_bytes_max: DEFAULT_HTTP2_SEND_BUFFER_BYTES_MAX,
            http2_ping_interval: DEFAULT_HTTP2_PING_INTERVAL,
            http2_ping_timeout: DEFAULT_HTTP2_PING_TIMEOUT,
            http2_pending_resets_max: DEFAULT_HTTP2_PENDING_RESETS_MAX,
            http2_error_resets_max: DEFAULT_HTTP2_ERROR_RESETS_MAX,
            send_buffer_bytes: DEFAULT_SEND_BUFFER_BYTES,
            not_sent_bytes: DEFAULT_NOT_SENT_BYTES,
            tcp_user_timeout: DEFAULT_TCP_USER_TIMEOUT,
            tcp_keepalive: DEFAULT_TCP_KEEPALIVE,
            clock: Arc::new(Timestamp::now),
            door_of,
        }
    }
}

/// The front doors by path: a fixed set, because every label value costs memory for ever.
pub fn door_of(path: &str) -> &'static str {
    const PREFIXES: [(&str, &str); 5] = [
        ("/arrow.flight.", "flight"),
        ("/v1/audit", "audit"),
        ("/v1/", "rest"),
        ("/log/", "log"),
        ("/console", "console"),
    ];
    if path.starts_with("/v1/datasets/") {
        if path.contains("/files/") {
            return "files";
        }
        if path.ends_with("/data") {
            return "data";
        }
    }
    PREFIXES.iter().find(|(prefix, _)| path.starts_with(prefix)).map_or("other", |(_, door)| door)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors() {
        for (path, door) in [
            ("/v1/datasets", "rest"),
            ("/v1/datasets/a/versions/1/files/x.parquet", "files"),
            ("/v1/datasets/a/versions/1/data", "data"),
            ("/v1/audit?from=1", "audit"),
            ("/arrow.flight.protocol.FlightService/DoGet", "flight"),
            ("/log/checkpoint", "log"),
            ("/console", "console"),
            ("/", "other"),
            ("/v10", "other"),
        ] {
            assert_eq!(door_of(path), door, "{path}");
        }
    }
}
