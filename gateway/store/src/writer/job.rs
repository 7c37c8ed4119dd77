//! What is asked of the writer, and who waits for it.

use gateway_audit::NodeHash;
use tokio::sync::oneshot;

use super::Prepared;
use crate::transaction::{CommitError, Committed, Write};

/// What a job asks for.
pub(crate) enum Work {
    Commit(Box<Prepared>),
    Guard {
        size: u64,
        root: NodeHash,
        facts: u64,
    },
    /// Copies the write-ahead log into the database and empties it: what was overwritten is then in neither.
    EmptyWal,
}

impl Work {
    /// The hashes of its leaves as they were written.
    pub(super) fn hashes(&self) -> Vec<NodeHash> {
        match self {
            Self::Commit(transaction) => transaction.hashes(),
            Self::Guard { .. } | Self::EmptyWal => Vec::new(),
        }
    }
}

/// What became of a job.
pub(crate) struct Answer {
    pub(crate) result: Result<Committed, CommitError>,
    /// What was asked: freed by whoever made it, because everybody waits for the writer.
    _spent: Option<Work>,
}

/// Who waits for a job.
pub(crate) enum Reply {
    Async(oneshot::Sender<Answer>),
    Blocking(std::sync::mpsc::SyncSender<Answer>),
    /// The writer's own.
    Nobody,
}

impl Reply {
    pub(super) fn send(self, result: Result<Committed, CommitError>, spent: Option<Work>) {
        let answer = Answer { result, _spent: spent };
        // Whoever no longer waits has given up; what is recorded stays recorded.
        match self {
            Self::Async(sender) => drop(sender.send(answer)),
            Self::Blocking(sender) => drop(sender.send(answer)),
            Self::Nobody => {}
        }
    }
}

pub(crate) struct Job {
    work: Work,
    reply: Reply,
    pub(super) bytes: usize,
}

impl Job {
    pub(crate) fn new(work: Work, reply: Reply) -> Self {
        let bytes = match &work {
            Work::Commit(transaction) => payload(transaction),
            Work::Guard { .. } | Work::EmptyWal => 64,
        };
        Self { work, reply, bytes }
    }

    pub(super) const fn work(&self) -> &Work {
        &self.work
    }

    pub(super) fn into_parts(self) -> (Work, Reply) {
        (self.work, self.reply)
    }
}

/// A rough size: leaves count as a kilobyte, blobs as they are.
fn payload(transaction: &Prepared) -> usize {
    let facts: usize = transaction.facts.iter().map(|(_, body)| body.len()).sum();
    let bodies: usize = transaction
        .writes
        .iter()
        .map(|write| match write {
            Write::PutDoc { body, .. } => body.len(),
            Write::Opening { sealed, .. } => sealed.len(),
            Write::Erase(erasure) => erasure.rewrapped.len() * 256,
            // A row each in a table of its own.
            Write::Persons { keys, .. } => keys.len() * 64,
            _ => 256,
        })
        .sum();
    let response = transaction.idempotency.as_ref().map_or(0, |(_, idempotency)| idempotency.response.len());
    transaction.leaves.len() * 1024 + facts + bodies + response + 256
}
