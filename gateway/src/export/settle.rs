//! What was delivered, on its way into the store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog::{Digest, FileIndex, LeaseId};
use gateway_ledger::{IntervalSet, Month};
use gateway_store::{CommitError, Lease, Records, Transaction, Write};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::Handed;
use super::evidence::Unacknowledged;
use crate::clock;

/// How long a reader of totals waits for streams that have just ended.
const SETTLED_WAIT_MAX: Duration = Duration::from_millis(500);

/// How often a delivery is tried again when there was no room, and when.
const FULL_ATTEMPTS: u32 = 20;
const FULL_RETRY: Duration = Duration::from_millis(100);

/// Deliveries under one lease that are not yet written.
#[derive(Debug, Clone)]
pub struct Settlement {
    lease: Arc<Lease>,
    units: BTreeMap<Digest, (Arc<FileIndex>, IntervalSet)>,
    wire_bytes: u64,
    unsent_bytes: u64,
}

impl Settlement {
    /// Nothing delivered yet.
    pub const fn new(lease: Arc<Lease>) -> Self {
        Self { lease, units: BTreeMap::new(), wire_bytes: 0, unsent_bytes: 0 }
    }

    /// Adds what a frame handed over.
    pub fn add(&mut self, handed: Handed) {
        for (index, intervals) in handed.units {
            let (_, units) = self.units.entry(index.sha256).or_insert_with(|| (index, IntervalSet::new()));
            units.union_with(&intervals);
        }
        self.wire_bytes = self.wire_bytes.saturating_add(handed.bytes);
    }

    /// Adds bytes that were sent but count for nothing.
    pub fn add_wire(&mut self, bytes: u64) {
        self.wire_bytes = self.wire_bytes.saturating_add(bytes);
    }

    /// Adds granted bytes that were never handed over: they provably did not leave.
    pub fn add_unsent(&mut self, bytes: u64) {
        self.unsent_bytes = self.unsent_bytes.saturating_add(bytes);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.wire_bytes == 0 && self.units.is_empty() && self.unsent_bytes == 0
    }

    /// Forgets everything; gives how many bytes were sent.
    pub fn clear(&mut self) -> u64 {
        self.units.clear();
        std::mem::take(&mut self.wire_bytes)
    }

    /// Takes everything out.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let empty = Self::new(Arc::clone(&self.lease));
        std::mem::replace(self, empty)
    }

    /// The writes that record it, in `period`.
    pub fn writes(&self, period: Month) -> Vec<Write> {
        let mut writes = Vec::new();
        let mut wire_bytes = self.wire_bytes;
        let mut units: Vec<_> = self
            .units
            .iter()
            .map(|(file, (index, intervals))| (*file, Some(Arc::clone(index)), intervals.clone()))
            .collect();
        if units.is_empty() && wire_bytes > 0 {
            units.push((Digest::from_bytes([0; 32]), None, IntervalSet::new()));
        }
        for (file, index, intervals) in units {
            writes.push(Write::Delivered {
                lease: self.lease.id.clone(),
                agreement: self.lease.agreement.clone(),
                dataset: self.lease.dataset.clone(),
                version: self.lease.version.clone(),
                file,
                index,
                period,
                intervals,
                rows: None,
                // Wire bytes belong to the response, not to a file: they go with the first.
                wire_bytes: std::mem::take(&mut wire_bytes),
            });
        }
        if self.unsent_bytes > 0 {
            writes.push(Write::Unsent { lease: self.lease.id.clone(), bytes: self.unsent_bytes });
        }
        writes
    }
}

/// Records a delivery. A full disk has room a moment later: the ballast's.
async fn record(records: &Records, transaction: Transaction) -> Result<(), CommitError> {
    for _ in 0..FULL_ATTEMPTS {
        match records.commit(transaction.clone()).await {
            Err(CommitError::Full) => tokio::time::sleep(FULL_RETRY).await,
            recorded => return recorded.map(drop),
        }
    }
    records.commit(transaction).await.map(drop)
}

/// Takes settlements from streams that end, and writes them. Its queue is bounded by the number of streams: each ends
/// once, and settles at most once more when a grant fails.
#[derive(Debug)]
pub struct Settler {
    queue: Mutex<Option<mpsc::UnboundedSender<Message>>>,
    /// Streams that have ended and wait for their last acknowledgement.
    waiting: AtomicUsize,
}

#[derive(Debug)]
enum Message {
    Settle(Settlement),
    /// A stream under this lease ended unused.
    Untouched(LeaseId),
    /// Answered when everything before it is written.
    Mark(oneshot::Sender<()>),
}

impl Settler {
    /// A settler, and the task that runs until [`Settler::finish`]: drain awaits it.
    pub fn new(records: Records) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Message>();
        let task = async move {
            while let Some(message) = receiver.recv().await {
                let settlement = match message {
                    Message::Settle(settlement) => settlement,
                    Message::Untouched(lease) => {
                        let mut transaction = Transaction::new(clock::now());
                        transaction.writes.push(Write::StreamUntouched { lease: lease.clone() });
                        if let Err(error) = records.commit(transaction).await {
                            // Never too few: what was reserved then stays counted.
                            tracing::error!(%lease, %error, "an unused stream was not recorded");
                        }
                        continue;
                    }
                    Message::Mark(reached) => {
                        let _ = reached.send(());
                        continue;
                    }
                };
                let now = clock::now();
                let mut transaction = Transaction::new(now);
                transaction.writes = settlement.writes(Month::of(now));
                if transaction.writes.is_empty() {
                    continue;
                }
                if let Err(error) = record(&records, transaction).await {
                    // Never over: what cannot be recorded as delivered is not billed.
                    tracing::error!(lease = %settlement.lease.id, error = %error, "a delivery was not recorded");
                }
            }
        };
        (Arc::new(Self { queue: Mutex::new(Some(sender)), waiting: AtomicUsize::new(0) }), task)
    }

    /// Queues `settlement` once what is under way has been acknowledged or is lost.
    pub fn settle_when_acknowledged(
        self: &Arc<Self>,
        tasks: &TaskTracker,
        mut settlement: Settlement,
        under_way: Unacknowledged,
    ) {
        let settler = Arc::clone(self);
        settler.waiting.fetch_add(1, Ordering::AcqRel);
        tasks.spawn(async move {
            under_way.settle(&mut settlement).await;
            settler.settle(settlement);
            settler.waiting.fetch_sub(1, Ordering::AcqRel);
        });
    }

    /// Queues `settlement`; never blocks, never fails while the node runs.
    pub fn settle(&self, settlement: Settlement) {
        if let Some(sender) = self.queue.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = sender.send(Message::Settle(settlement));
        }
    }

    /// Queues that a stream under `lease` ended unused; never blocks.
    pub fn untouched(&self, lease: LeaseId) {
        if let Some(sender) = self.queue.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = sender.send(Message::Untouched(lease));
        }
    }

    /// Waits until the streams that have ended are written, so that whoever reads a statement sees them; not for long on
    /// those whose consumer does not acknowledge.
    pub async fn settled(&self) {
        let started = tokio::time::Instant::now();
        while self.waiting.load(Ordering::Acquire) > 0 && started.elapsed() < SETTLED_WAIT_MAX {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (reached, reaching) = oneshot::channel();
        if let Some(sender) = self.queue.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = sender.send(Message::Mark(reached));
        }
        // Without a task to answer there is nothing to wait for.
        let _ = reaching.await;
    }

    /// No stream is left: the task ends when it has written what is queued.
    pub fn finish(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
