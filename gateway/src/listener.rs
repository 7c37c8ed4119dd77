//! The one mTLS port: HTTP/1.1 and HTTP/2 for every front door, chosen by ALPN.
//!
//! The accept loop is our own because it is the product (DESIGN.md): identity per connection, a
//! limit for everything a peer may hold, a cut that reaches what is parked (INV-8), and a drain
//! that no peer can hold up (I22). A refused peer costs a handshake at most.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use certs::TrustDomain;
use certs::rustls_verifier::SharedTrust;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::drain::{Drain, Phase};

mod activity;
mod connection;
pub mod files;
mod handshake;
mod limits;
pub mod options;
mod preface;
mod problem;
mod requests;
pub mod rules;
mod serve;
mod socket;
mod watch;

pub use connection::{Connection, Connections, Peer};
pub use files::watch_files;
pub use options::ListenerOptions;
pub use requests::Handler;
pub use rules::{Rules, RulesLayer};

use limits::{Slot, Tally, neighbourhood};

/// The first pause after a failed accept(2), doubled up to [`ACCEPT_PAUSE_MAX`].
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long aborted tasks may take to let go. They hold no socket any more.
const ABORT_GRACE: Duration = Duration::from_millis(500);

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// The operating system refused the address or an option.
    #[error("cannot listen on `{addr}`: {source}")]
    Bind {
        /// What was asked for.
        addr: SocketAddr,
        /// Its answer.
        source: io::Error,
    },
}

/// Who may come in.
#[derive(Debug, Clone)]
pub struct Door {
    /// TLS 1.3 with a mandatory client certificate, no tickets, ALPN `h2` and `http/1.1`.
    pub tls: Arc<rustls::ServerConfig>,
    /// Who vouches for whom: the same as the verifier within `tls` asks.
    pub trust: Arc<SharedTrust>,
}

/// A bound port that does not accept yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    addr: SocketAddr,
    options: ListenerOptions,
    connections: Connections,
}

/// What the connections of one listener share.
struct Shared<M> {
    options: ListenerOptions,
    door: Door,
    make: M,
    drain: Drain,
    domains: Arc<Tally<TrustDomain>>,
}

impl Listener {
    /// Opens the port. Must be called within a runtime. Port 0 picks one.
    ///
    /// # Errors
    ///
    /// [`ListenerError::Bind`].
    pub fn bind(addr: SocketAddr, options: ListenerOptions) -> Result<Self, ListenerError> {
        let failed = |source| ListenerError::Bind { addr, source };
        let socket = socket::listen(addr, &options).map_err(failed)?;
        Ok(Self { addr: socket.local_addr().map_err(failed)?, socket, options, connections: Connections::default() })
    }

    /// The address really bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// The registry of its connections, to list and to cut them.
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }

    /// Serves until the drain has ended or, once it has begun, until the last connection has
    /// closed. `make` gives each new connection its handler.
    ///
    /// On return no connection is open. Dropping the future resets nothing but closes all.
    pub async fn run<M, S>(self, door: Door, make: M, drain: Drain)
    where
        M: Fn(&Peer) -> S + Send + Sync + 'static,
        S: Handler,
    {
        let Self { socket, options, connections, .. } = self;
        let all = Tally::new(options.connections_max);
        let unverified = Tally::new(options.unverified_per_address_max);
        let shared = Arc::new(Shared {
            domains: Tally::new(options.per_trust_domain_max),
            options,
            door,
            make,
            drain: drain.clone(),
        });
        let mut tasks = JoinSet::new();
        let mut number = 0;
        let mut draining = std::pin::pin!(drain.reached(Phase::Draining));
        let mut accepting = Accepting::new(socket);
        loop {
            let (stream, addr) = tokio::select! {
                biased;
                () = &mut draining => break,
                Some(ended) = tasks.join_next() => {
                    report(ended);
                    continue;
                }
                accepted = accepting.next() => accepted,
            };
            // Whoever is turned away here is closed before TLS: a flood costs no handshakes.
            let Some(slot) = all.take(()) else {
                refused("all");
                // Make room for the next one.
                connections.retire_idlest();
                continue;
            };
            let Some(unverified) = unverified.take(neighbourhood(addr.ip())) else {
                refused("address");
                continue;
            };
            number += 1;
            let connection = Connection::new(number, addr);
            let registered = connections.register(connection.clone());
            let shared = Arc::clone(&shared);
            tasks.spawn(async move {
                let _held = (Open::count(slot), registered);
                serve::connection(shared, stream, connection, unverified).await;
            });
        }
        // From here the kernel refuses new connections.
        drop(accepting);
        finish(tasks, &connections, &drain).await;
    }
}

/// Waits for the connections to end, and ends them at the deadline.
async fn finish(mut tasks: JoinSet<()>, connections: &Connections, drain: &Drain) {
    let mut ended = std::pin::pin!(drain.reached(Phase::Ended));
    loop {
        tokio::select! {
            biased;
            () = &mut ended => break,
            task = tasks.join_next() => match task {
                None => return,
                Some(result) => report(result),
            },
        }
    }
    let left = connections.kill_all();
    tracing::warn!(left, "drain deadline reached, connections reset");
    let gone = async { while tasks.join_next().await.is_some() {} };
    if timeout(ABORT_GRACE, gone).await.is_err() {
        tracing::error!(left = tasks.len(), "connections did not let go");
        tasks.abort_all();
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a connection panicked");
    }
}

fn refused(limit: &'static str) {
    metrics::counter!("kouan_connections_refused_total", "limit" => limit).increment(1);
}

/// A connection in the gauge.
struct Open {
    _slot: Slot<()>,
}

impl Open {
    fn count(slot: Slot<()>) -> Self {
        metrics::gauge!("kouan_connections").increment(1);
        Self { _slot: slot }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("kouan_connections").decrement(1);
    }
}

/// Whether accept(2) failed for that one connection, and not for ours.
fn is_the_peers(error: io::ErrorKind) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error, ConnectionAborted | ConnectionReset | Interrupted)
}

/// The listening socket with its manners: accept(2) fails when descriptors or memory run out,
/// and at once again, so it is retried more and more slowly.
struct Accepting {
    socket: TcpListener,
    pause: Duration,
}

impl Accepting {
    fn new(socket: TcpListener) -> Self {
        Self { socket, pause: ACCEPT_PAUSE }
    }

    /// Cancel safe: a pause that was interrupted is not made up for.
    async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let error = match self.socket.accept().await {
                Ok(accepted) => {
                    self.pause = ACCEPT_PAUSE;
                    return accepted;
                }
                Err(error) => error,
            };
            metrics::counter!("kouan_accept_errors_total").increment(1);
            if is_the_peers(error.kind()) {
                continue;
            }
            tracing::error!(%error, "cannot accept connections");
            let pause = self.pause;
            self.pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
            sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests;
