//! The TLS handshake of one connection, and who it turns out to be with.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use certs::TrustStore;
use certs::rustls_verifier::refusal_code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Shared;
use super::connection::{Connection, Identity, Peer};
use super::socket::Socket;

/// How long a refused peer may take to read the TLS alert that tells it why.
const ALERT_TIMEOUT: Duration = Duration::from_secs(1);
/// How many of its bytes are read meanwhile: unread ones would turn our close into a reset,
/// which overtakes the alert.
const ALERT_READ_BYTES_MAX: u64 = 64 << 10;
/// Why a connection did not get past the handshake.
#[derive(Debug)]
pub(super) enum Refused {
    Timeout,
    /// With the code of [`certs::Denied`].
    Certificate(&'static str),
    Tls,
    Io,
    Drained,
}

impl Refused {
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Certificate(code) => code,
            Self::Tls => "tls",
            Self::Io => "io",
            Self::Drained => "drained",
        }
    }
}

impl From<&io::Error> for Refused {
    fn from(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            None => Self::Io,
            Some(error) => refusal_code(error).map_or(Self::Tls, Self::Certificate),
        }
    }
}

/// Shakes hands within the handshake timeout and learns who the peer is.
pub(super) async fn handshake<M>(
    shared: &Shared<M>,
    stream: TcpStream,
    connection: &Connection,
) -> Result<(TlsStream<Socket>, Peer), Refused> {
    let socket = Socket::new(stream, connection.clone(), &shared.options).map_err(|error| Refused::from(&error))?;
    let acceptor = TlsAcceptor::from(Arc::clone(&shared.door.tls));
    let accept = acceptor.accept(socket).into_fallible();
    let tls = match timeout(shared.options.handshake_timeout, accept).await {
        Err(_) => return Err(Refused::Timeout),
        Ok(Ok(tls)) => tls,
        Ok(Err((error, socket))) => {
            let refused = Refused::from(&error);
            tracing::debug!(connection = connection.id(), %error, "handshake failed");
            drop(timeout(ALERT_TIMEOUT, let_read(socket)).await);
            return Err(refused);
        }
    };
    let (socket, session) = tls.get_ref();
    socket.acknowledge_at_once();
    let sent = session.peer_certificates().unwrap_or_default();
    let chain: Vec<_> = sent.iter().map(|certificate| certificate.clone().into_owned()).collect();
    let verify = |trust: &TrustStore| {
        trust.verify(&chain, (shared.options.clock)()).map_err(|denied| Refused::Certificate(denied.code()))
    };
    let trust = shared.door.trust.load();
    let verified = Arc::new(verify(&trust)?);
    connection.identify(Identity {
        verified: Arc::clone(&verified),
        chain: chain.clone(),
        http2: session.alpn_protocol() == Some(b"h2"),
    });
    // Whoever exchanged the trust since then may have walked the connections before this one
    // could be seen (INV-8): from here on it can, so one more look closes the gap.
    let newest = shared.door.trust.load();
    if !Arc::ptr_eq(&trust, &newest) {
        verify(&newest)?;
    }
    let peer = Peer { verified, addr: connection.addr(), connection: connection.clone() };
    Ok((tls, peer))
}

/// Ends our side and waits for the peer to end its own.
async fn let_read(mut socket: Socket) -> io::Result<()> {
    socket.shutdown().await?;
    let mut rest = socket.take(ALERT_READ_BYTES_MAX);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}
