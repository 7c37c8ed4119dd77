//! Live streams, and how they end when somebody or something ends them (INV-8).
//!
//! A cut wakes the stream, whose body then fails: HTTP/1.1 closes without the final bytes, HTTP/2 gets RST_STREAM, Flight
//! a status. A stream that is parked because its consumer does not read is not polled by hyper, so nothing would happen:
//! what is still there after `GRACE` loses its connection, with a reset.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use catalog::{AgreementId, DatasetId, LeaseId, MechanismId, ParticipantId, ReleaseId, VersionName};
use futures::task::AtomicWaker;
use gateway_store::Lease;

use crate::listener::Connection;

/// How long a cut stream may take to end by itself. HTTP/2 only: an HTTP/1.1 connection carries nothing else.
const GRACE: Duration = Duration::from_millis(250);

/// What a cut is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Affected {
    /// Every lease of one principal for one version under one agreement.
    Access {
        /// The principal, keyed.
        principal: String,
        /// The agreement.
        agreement: AgreementId,
        /// The dataset.
        dataset: DatasetId,
        /// The version.
        version: VersionName,
    },
    /// Every lease of a version.
    Version(DatasetId, VersionName),
    /// Every lease under an agreement.
    Agreement(AgreementId),
    /// Every lease that a participant is a party of.
    Party(ParticipantId),
    /// Every lease that rests on a mechanism.
    Mechanism(MechanismId),
    /// Every lease that rests on a release.
    Release(ReleaseId),
    /// These leases.
    Leases(BTreeSet<LeaseId>),
}

impl Affected {
    /// Whether `lease` is one of them.
    pub fn covers(&self, lease: &Lease) -> bool {
        match self {
            Self::Access { principal, agreement, dataset, version } => {
                lease.principal == *principal
                    && lease.agreement == *agreement
                    && lease.dataset == *dataset
                    && lease.version == *version
            }
            Self::Leases(leases) => leases.contains(&lease.id),
            Self::Version(dataset, version) => lease.dataset == *dataset && lease.version == *version,
            Self::Agreement(agreement) => lease.agreement == *agreement,
            Self::Party(party) => lease.participant == *party || lease.provider == *party,
            Self::Mechanism(mechanism) => lease.mechanism.as_ref() == Some(mechanism),
            Self::Release(release) => lease.release.as_ref() == Some(release),
        }
    }
}

/// One response that carries data.
#[derive(Debug)]
pub struct Stream {
    lease: Arc<Lease>,
    connection: Connection,
    reason: OnceLock<Arc<str>>,
    waker: AtomicWaker,
}

impl Stream {
    /// A stream under `lease` on `connection` that nobody has cut.
    pub fn new(lease: Arc<Lease>, connection: Connection) -> Self {
        Self { lease, connection, reason: OnceLock::new(), waker: AtomicWaker::new() }
    }

    /// The connection that carries it.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Why it was cut, if it was; else `waker` is woken when it is.
    pub fn cut(&self, waker: &std::task::Waker) -> Option<Arc<str>> {
        self.waker.register(waker);
        self.reason.get().cloned()
    }
}

/// A place in the registry; dropping it takes the stream out.
#[derive(Debug)]
pub struct Live {
    sessions: Arc<Sessions>,
    number: u64,
    stream: Arc<Stream>,
}

impl std::ops::Deref for Live {
    type Target = Stream;
    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.number);
        metrics::gauge!("kouan_streams").decrement(1);
    }
}

/// Every live stream.
#[derive(Debug, Default)]
pub struct Sessions {
    streams: Mutex<HashMap<u64, Arc<Stream>>>,
    next: AtomicU64,
}

/// Too many streams at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} streams are open, which is the most at once: wait for one to end")]
pub struct TooManyStreams(pub usize);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Stream>>> {
        // A panic while the lock was held leaves a map that is still a map.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers `stream` unless the node or its participant has too many.
    pub fn enter(
        self: &Arc<Self>,
        stream: Stream,
        max: usize,
        per_participant_max: usize,
    ) -> Result<Live, TooManyStreams> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let stream = Arc::new(stream);
        let mut streams = self.lock();
        if streams.len() >= max {
            return Err(TooManyStreams(max));
        }
        if streams.values().filter(|other| other.lease.participant == stream.lease.participant).count()
            >= per_participant_max
        {
            return Err(TooManyStreams(per_participant_max));
        }
        streams.insert(number, Arc::clone(&stream));
        metrics::gauge!("kouan_streams").increment(1);
        drop(streams);
        Ok(Live { sessions: Arc::clone(self), number, stream })
    }

    /// How many streams are live.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Ends every stream that is `affected`; when this returns, none of them writes any more. Gives how many there were.
    ///
    /// The caller has recorded the cut before: no grant follows it.
    pub async fn cut(&self, affected: &Affected, reason: &str) -> usize {
        self.end(|stream| affected.covers(&stream.lease), reason).await
    }

    /// Ends every stream: the node stops.
    pub async fn end_all(&self, reason: &str) -> usize {
        self.end(|_| true, reason).await
    }

    async fn end(&self, which: impl Fn(&Stream) -> bool, reason: &str) -> usize {
        let reason: Arc<str> = Arc::from(reason);
        let picked: Vec<(u64, Arc<Stream>)> = self
            .lock()
            .iter()
            .filter(|(_, stream)| which(stream))
            .map(|(number, stream)| (*number, Arc::clone(stream)))
            .collect();
        for (_, stream) in &picked {
            let _ = stream.reason.set(Arc::clone(&reason));
            stream.waker.wake();
            if !stream.connection.is_http2() {
                stream.connection.kill();
            }
        }
        if picked.iter().any(|(_, stream)| stream.connection.is_http2()) {
            tokio::time::sleep(GRACE).await;
            let streams = self.lock();
            for (_, stream) in
                picked.iter().filter(|(number, stream)| stream.connection.is_http2() && streams.contains_key(number))
            {
                stream.connection.kill();
            }
        }
        metrics::counter!("kouan_cuts_total").increment(picked.len() as u64);
        picked.len()
    }
}
