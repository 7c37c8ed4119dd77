//! A connection as the rest of the gateway knows it: who is at the other end, and the handle
//! that cuts it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use certs::{Serial, TrustDomain, Verified};
use metrics::Counter;
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::socket;

/// Flushes that a connection remembers. Of a forgotten one the next will do, only later.
const FLUSHES_KEPT: usize = 128;

/// Who sent a request: an extension of every request that the listener passes on.
#[derive(Clone)]
pub struct Peer {
    /// The verified certificate, as of the handshake.
    pub verified: Arc<Verified>,
    /// Where it connected from.
    pub addr: SocketAddr,
    /// The connection it came over.
    pub connection: Connection,
}

impl fmt::Debug for Peer {
    // Neither the name nor the address: they are a person's (INV-10).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("trust_domain", self.verified.spiffe().trust_domain())
            .field("connection", &self.connection.id())
            .finish_non_exhaustive()
    }
}

/// A handle to one connection; clones are the same connection. Holding one does not keep the
/// connection open.
#[derive(Clone)]
pub struct Connection(Arc<State>);

struct State {
    id: u64,
    addr: SocketAddr,
    identity: OnceLock<Identity>,
    killed: CancellationToken,
    retired: CancellationToken,
    read: AtomicU64,
    written: AtomicU64,
    handed: AtomicU64,
    acknowledged: AtomicU64,
    /// Data handed over and ciphertext written at the first flush after it, in order.
    flushes: Mutex<VecDeque<(u64, u64)>>,
    /// Open until the socket is dropped, which takes it out first.
    descriptor: Mutex<Option<RawFd>>,
    sent_total: Counter,
    received_total: Counter,
    activity: Activity,
}

/// What the handshake has brought to light.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) verified: Arc<Verified>,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) http2: bool,
}

impl Connection {
    pub(super) fn new(id: u64, addr: SocketAddr) -> Self {
        Self(Arc::new(State {
            id,
            addr,
            identity: OnceLock::new(),
            killed: CancellationToken::new(),
            retired: CancellationToken::new(),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            handed: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            flushes: Mutex::new(VecDeque::new()),
            descriptor: Mutex::new(None),
            sent_total: metrics::counter!("kouan_sent_bytes_total"),
            received_total: metrics::counter!("kouan_received_bytes_total"),
            activity: Activity::new(),
        }))
    }

    /// Its number, never used twice in one process.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The peer's address.
    pub fn addr(&self) -> SocketAddr {
        self.0.addr
    }

    /// The verified certificate; `None` until the handshake is done.
    pub fn identity(&self) -> Option<&Arc<Verified>> {
        self.0.identity.get().map(|identity| &identity.verified)
    }

    /// The chain that the peer sent, leaf first, to verify it again against newer trust. Empty
    /// until the handshake is done.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        self.0.identity.get().map_or(&[], |identity| identity.chain.as_slice())
    }

    /// Whether it speaks HTTP/2. False until the handshake is done.
    pub fn is_http2(&self) -> bool {
        self.0.identity.get().is_some_and(|identity| identity.http2)
    }

    /// The trust domain of the peer; `None` until the handshake is done.
    pub fn trust_domain(&self) -> Option<&TrustDomain> {
        self.identity().map(|verified| verified.spiffe().trust_domain())
    }

    /// The serial of the peer's certificate; `None` until the handshake is done. Serials are
    /// unique per issuer only: compare [`Verified::issuer_key`] too.
    pub fn serial(&self) -> Option<&Serial> {
        self.identity().map(|verified| verified.serial())
    }

    /// Bytes written to the socket so far, TLS and framing included.
    pub fn written(&self) -> u64 {
        self.0.written.load(Ordering::Acquire)
    }

    /// Counts `bytes` of data that a stream hands to HTTP; gives the total of all streams of the connection.
    pub fn hand(&self, bytes: u64) -> u64 {
        self.0.handed.fetch_add(bytes, Ordering::AcqRel).saturating_add(bytes)
    }

    /// Data handed to HTTP so far, by all streams.
    pub fn handed(&self) -> u64 {
        self.0.handed.load(Ordering::Acquire)
    }

    /// Bytes that the peer's kernel has acknowledged so far, TLS and framing included: of those that were
    /// [`Self::written`], the ones that have certainly left this machine and arrived.
    pub fn acknowledged(&self) -> u64 {
        let descriptor = self.0.descriptor.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = descriptor.and_then(socket::bytes_acknowledged) {
            self.0.acknowledged.fetch_max(bytes, Ordering::AcqRel);
        }
        self.0.acknowledged.load(Ordering::Acquire)
    }

    /// Everything that HTTP and TLS held has been written to the socket.
    pub(super) fn flushed(&self) {
        let (handed, written) = (self.handed(), self.written());
        let mut flushes = self.0.flushes.lock().unwrap_or_else(PoisonError::into_inner);
        // The first flush after new data: what is written later (an alert, say) is not its business.
        if flushes.back().is_none_or(|(last, _)| *last < handed) {
            flushes.push_back((handed, written));
            if flushes.len() > FLUSHES_KEPT {
                flushes.pop_front();
            }
        }
    }

    /// The ciphertext that was written at the first flush after `handed` bytes of data; nothing if there was none yet.
    /// Over HTTP/2 a flush leaves behind what the peer's window does not admit.
    pub fn flushed_after(&self, handed: u64) -> Option<u64> {
        let flushes = self.0.flushes.lock().unwrap_or_else(PoisonError::into_inner);
        flushes.iter().find(|(at, _)| *at >= handed).map(|(_, written)| *written)
    }

    /// Whether the socket is gone: [`Self::acknowledged`] stays what it is.
    pub fn is_closed(&self) -> bool {
        self.0.descriptor.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The socket under the connection.
    pub(super) fn attach(&self, descriptor: RawFd) {
        *self.0.descriptor.lock().unwrap_or_else(PoisonError::into_inner) = Some(descriptor);
    }

    /// The socket is about to be closed: takes the last count.
    pub(super) fn detach(&self) {
        self.acknowledged();
        *self.0.descriptor.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Bytes read from the socket so far, TLS and framing included.
    pub fn read(&self) -> u64 {
        self.0.read.load(Ordering::Acquire)
    }

    /// Requests whose response is not finished.
    pub fn requests_in_flight(&self) -> usize {
        self.0.activity.in_flight()
    }

    /// Cuts the connection (INV-8). At most a write(2) that is under way on another thread still
    /// completes. The connection's task then drops everything that is parked in HTTP and TLS,
    /// and the socket is reset, so that what the kernel still holds is discarded as well and no
    /// peer can take the response for complete.
    pub fn kill(&self) {
        self.0.killed.cancel();
    }

    /// Whether [`Self::kill`] was called.
    pub fn is_killed(&self) -> bool {
        self.0.killed.is_cancelled()
    }

    /// Returns once the connection has been killed. Cancel safe.
    pub async fn killed(&self) {
        self.0.killed.cancelled().await;
    }

    /// Closes in order: no new requests (`Connection: close`, GOAWAY), running ones finish.
    pub fn retire(&self) {
        self.0.retired.cancel();
    }

    pub(super) async fn retired(&self) {
        self.0.retired.cancelled().await;
    }

    /// Once per connection, at the end of its handshake.
    pub(super) fn identify(&self, identity: Identity) {
        // A second time cannot happen, and must not change who it is if it does.
        drop(self.0.identity.set(identity));
    }

    pub(super) fn count_written(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.0.written.fetch_add(bytes, Ordering::Release);
        self.0.sent_total.increment(bytes);
    }

    pub(super) fn count_read(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.0.read.fetch_add(bytes, Ordering::Release);
        self.0.received_total.increment(bytes);
    }

    pub(super) fn activity(&self) -> &Activity {
        &self.0.activity
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("trust_domain", &self.trust_domain())
            .field("killed", &self.is_killed())
            .finish_non_exhaustive()
    }
}

/// The open connections of a listener, those in their handshake too. Clones share one registry.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    open: Arc<Mutex<BTreeMap<u64, Connection>>>,
}

impl Connections {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Connection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a connection until the returned value is dropped.
    pub(super) fn register(&self, connection: Connection) -> Registered {
        self.open().insert(connection.id(), connection.clone());
        Registered { registry: self.clone(), connection }
    }

    /// A snapshot, oldest first.
    pub fn list(&self) -> Vec<Connection> {
        self.open().values().cloned().collect()
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open().len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open().is_empty()
    }

    /// Kills every verified connection that `which` selects and says how many.
    ///
    /// Connections in their handshake are left alone: a handshake that ends after newer trust
    /// was put in force is judged by that. So put the trust in force first, then call this.
    pub fn kill_where(&self, which: impl Fn(&Connection) -> bool) -> usize {
        self.kill(|connection| connection.identity().is_some() && which(connection))
    }

    /// Kills every connection, those in their handshake too, and says how many.
    pub fn kill_all(&self) -> usize {
        self.kill(|_| true)
    }

    fn kill(&self, which: impl Fn(&Connection) -> bool) -> usize {
        let chosen: Vec<Connection> = self.list().into_iter().filter(|c| which(c)).collect();
        for connection in &chosen {
            connection.kill();
        }
        chosen.len()
    }

    /// Retires the connection that has been idle longest, to make room. Returns whether there
    /// was one.
    pub fn retire_idlest(&self) -> bool {
        let idlest = self
            .list()
            .into_iter()
            .filter(|c| c.identity().is_some() && !c.0.retired.is_cancelled())
            .filter_map(|c| Some((c.activity().idle_since()?, c)))
            .min_by_key(|(since, _)| *since);
        if let Some((_, connection)) = &idlest {
            connection.retire();
        }
        idlest.is_some()
    }
}

/// A connection's place in the registry.
#[derive(Debug)]
pub(super) struct Registered {
    registry: Connections,
    connection: Connection,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.open().remove(&self.connection.id());
    }
}
