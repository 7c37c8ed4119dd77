//! What was delivered, on its way into the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use catalog::Digest;
use gateway_ledger::{IntervalSet, Month};
use gateway_store::{Lease, Records, Transaction, Write};
use tokio::sync::{mpsc, oneshot};

use super::Handed;
use crate::clock;

/// Deliveries under one lease that are not yet written.
#[derive(Debug, Clone)]
pub struct Settlement {
    lease: Arc<Lease>,
    units: BTreeMap<Digest, IntervalSet>,
    wire_bytes: u64,
}

impl Settlement {
    /// Nothing delivered yet.
    pub const fn new(lease: Arc<Lease>) -> Self {
        Self { lease, units: BTreeMap::new(), wire_bytes: 0 }
    }

    /// Adds what a frame handed over.
    pub fn add(&mut self, handed: Handed) {
        for (file, intervals) in handed.units {
            self.units.entry(file).or_default().union_with(&intervals);
        }
        self.wire_bytes = self.wire_bytes.saturating_add(handed.bytes);
    }

    /// Adds bytes that were sent but count for nothing.
    pub fn add_wire(&mut self, bytes: u64) {
        self.wire_bytes = self.wire_bytes.saturating_add(bytes);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.units.clear();
        self.wire_bytes = 0;
    }

    /// Takes everything out.
    pub fn take(&mut self) -> Self {
        let taken = self.clone();
        self.clear();
        taken
    }

    /// The writes that record it, in `period`.
    pub fn writes(&self, period: Month) -> Vec<Write> {
        let mut wire_bytes = self.wire_bytes;
        if wire_bytes == 0 && self.units.is_empty() {
            return Vec::new();
        }
        let mut writes = Vec::new();
        let empty = BTreeMap::from([(Digest::from_bytes([0; 32]), IntervalSet::default())]);
        let units = if self.units.is_empty() { &empty } else { &self.units };
        for (file, intervals) in units {
            writes.push(Write::Delivered {
                lease: self.lease.id.clone(),
                agreement: self.lease.agreement.clone(),
                dataset: self.lease.dataset.clone(),
                version: self.lease.version.clone(),
                file: *file,
                period,
                intervals: intervals.clone(),
                rows: None,
                // Wire bytes belong to the response, not to a file: they go with the first.
                wire_bytes: std::mem::take(&mut wire_bytes),
            });
        }
        writes
    }
}

/// Takes settlements from streams that end, and writes them. Its queue is bounded by the number of streams: each ends
/// once, and settles at most once more when a grant fails.
#[derive(Debug)]
pub struct Settler(Mutex<Option<mpsc::UnboundedSender<Message>>>);

#[derive(Debug)]
enum Message {
    Settle(Settlement),
    /// Answered when everything before it is written.
    Mark(oneshot::Sender<()>),
}

impl Settler {
    /// A settler, and the task that runs until [`Settler::finish`]: drain awaits it.
    pub fn new(records: Records) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Message>();
        let task = async move {
            while let Some(message) = receiver.recv().await {
                let settlement = match message {
                    Message::Settle(settlement) => settlement,
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
                if let Err(error) = records.commit(transaction).await {
                    // Never over: what cannot be recorded as delivered is not billed.
                    tracing::error!(lease = %settlement.lease.id, error = %error, "a delivery was not recorded");
                }
            }
        };
        (Self(Mutex::new(Some(sender))), task)
    }

    /// Queues `settlement`; never blocks, never fails while the node runs.
    pub fn settle(&self, settlement: Settlement) {
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = sender.send(Message::Settle(settlement));
        }
    }

    /// Waits until what has been queued so far is written: whoever reads a statement sees the streams that ended before.
    pub async fn settled(&self) {
        let (reached, reaching) = oneshot::channel();
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = sender.send(Message::Mark(reached));
        }
        // Without a task to answer there is nothing to wait for.
        let _ = reaching.await;
    }

    /// No stream is left: the task ends when it has written what is queued.
    pub fn finish(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
