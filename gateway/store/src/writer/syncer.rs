//! Syncs what the writer has committed and then tells of it, while the writer makes the next group.
//!
//! With SQLite's own sync of each commit (`synchronous=FULL`) the writer would wait for the disk after every group. With
//! `NORMAL` a commit writes into the write-ahead log, and this thread syncs that file: several groups at once if they have come
//! meanwhile. A group relies on those before it and on no other, and is on disk after them or with them. SQLite still syncs
//! the log before any of it is copied into the database, and its header when it begins anew (sqlite.org/wal.html,
//! "Checkpointing"; `PRAGMA synchronous`).
//!
//! INVARIANT (durable): nobody but the writer sees what is not on disk. Answers, listeners and the number of recorded leaves
//! come from here, and a reader waits for [`Durable`].

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, ThreadId};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::watch;
use tokio::task::block_in_place;

use super::written::count;
use super::{Head, Listeners, Queue, Reply, Steps, Work, Written};
use crate::durable;
use crate::transaction::{Commit, CommitError};

/// Groups that may wait while one is synced: with more the writer would make small ones.
const WAITING: usize = 1;

/// A group that is committed.
pub(super) struct Unsynced {
    /// The revision before it.
    pub(super) before: u64,
    pub(super) head: Head,
    pub(super) steps: Steps,
    pub(super) jobs: Vec<(Work, Reply, Result<Commit, CommitError>)>,
}

/// Whoever is told.
pub(crate) struct Audience {
    pub(crate) listeners: Listeners,
    pub(crate) recorded: watch::Sender<u64>,
    pub(crate) durable: Arc<Durable>,
    pub(crate) written: Arc<Written>,
    pub(crate) queue: Arc<Queue>,
}

/// The thread.
pub(crate) struct Syncer {
    groups: Option<SyncSender<Unsynced>>,
    thread: Option<JoinHandle<()>>,
    id: ThreadId,
}

impl Syncer {
    /// `log` is the write-ahead log of a database that is open, and stays the same file until it is closed.
    pub(crate) fn new(log: &Path, audience: Audience) -> io::Result<Self> {
        let (file, path) = (File::open(log)?, log.to_owned());
        let (groups, handed) = sync_channel(WAITING);
        let run = move || audience.serve(&handed, || durable::sync_data(&file, &path));
        let thread = std::thread::Builder::new().name("kouan-syncer".to_owned()).spawn(run)?;
        let id = thread.thread().id();
        Ok(Self { groups: Some(groups), thread: Some(thread), id })
    }

    pub(crate) const fn id(&self) -> ThreadId {
        self.id
    }

    /// Waits while too much does. Whoever waits for a group that nobody syncs any more is told by its being dropped.
    pub(super) fn hand(&self, group: Unsynced) {
        if let Some(groups) = &self.groups {
            drop(groups.send(group));
        }
    }

    /// Ends it once all is told.
    pub(super) fn finish(&mut self) {
        self.groups = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Audience {
    fn serve(self, handed: &Receiver<Unsynced>, sync: impl Fn()) {
        // Whatever ends this thread, nobody may go on waiting for it.
        let _closer = CloseOnDrop { queue: Arc::clone(&self.queue), durable: Arc::clone(&self.durable) };
        while let Ok(first) = handed.recv() {
            let groups: Vec<Unsynced> = std::iter::once(first).chain(handed.try_iter().take(WAITING)).collect();
            sync();
            count(&self.written.syncs, 1);
            for group in groups {
                self.tell(group);
            }
        }
    }

    fn tell(&self, group: Unsynced) {
        let Unsynced { before, head, steps, jobs } = group;
        steps.after_fsync();
        // Before the listeners: whoever they wake looks here first.
        self.recorded.send_if_modified(|size| std::mem::replace(size, head.next_leaf) != head.next_leaf);
        // The guard's row is no transaction: it has no revision of its own.
        let mut told = before;
        let answers: Vec<_> = jobs
            .into_iter()
            .map(|(work, reply, result)| {
                let committed = result.map(|mut commit| {
                    if commit.committed.revision > told {
                        told = commit.committed.revision;
                        commit.hashes = work.hashes();
                        self.listeners.tell(&commit);
                    }
                    commit.committed
                });
                (work, reply, committed)
            })
            .collect();
        // After the listeners: whoever reads a commit finds that they have heard of it.
        self.durable.reach(head.revision);
        for (work, reply, committed) in answers {
            reply.send(committed, Some(work));
        }
    }
}

/// Up to where the store is on disk.
#[derive(Debug)]
pub(crate) struct Durable {
    revision: Mutex<Option<u64>>,
    moved: Condvar,
}

impl Durable {
    pub(crate) fn new(revision: u64) -> Self {
        Self { revision: Mutex::new(Some(revision)), moved: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<u64>> {
        self.revision.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self, revision: u64) {
        *self.lock() = Some(revision);
        self.moved.notify_all();
    }

    /// Waits until the state of `revision` is on disk. Whether it is: nobody syncs any more otherwise.
    pub(crate) fn wait(&self, revision: u64) -> bool {
        if self.lock().is_some_and(|reached| reached >= revision) {
            return true;
        }
        let many = Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        // Other tasks of this thread go on meanwhile.
        if many { block_in_place(|| self.wait_here(revision)) } else { self.wait_here(revision) }
    }

    fn wait_here(&self, revision: u64) -> bool {
        let mut reached = self.lock();
        while reached.is_some_and(|reached| reached < revision) {
            reached = self.moved.wait(reached).unwrap_or_else(PoisonError::into_inner);
        }
        reached.is_some()
    }

    /// What is not on disk by now will not be.
    fn end(&self) {
        *self.lock() = None;
        self.moved.notify_all();
    }
}

struct CloseOnDrop {
    queue: Arc<Queue>,
    durable: Arc<Durable>,
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.queue.close();
        // A thread that ends in order has told of everything.
        if std::thread::panicking() {
            self.durable.end();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc::RecvTimeoutError;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reader_waits_for_its_state_and_not_for_a_thread_that_is_gone() {
        let durable = Arc::new(Durable::new(7));
        assert!(durable.wait(7), "what is on disk needs no waiting");
        for (end, wanted) in [(false, true), (true, false)] {
            let revision = if end { 9 } else { 8 };
            let (told, waited) = std::sync::mpsc::channel();
            let waiting = Arc::clone(&durable);
            let thread = std::thread::spawn(move || told.send(waiting.wait(revision)));
            assert_eq!(waited.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout), "{revision}");
            if end {
                durable.end();
            } else {
                durable.reach(revision);
            }
            assert_eq!(waited.recv(), Ok(wanted), "{revision}");
            assert!(thread.join().is_ok());
        }
    }

    #[test]
    fn the_one_worker_of_a_runtime_that_waits_lets_others_go_on() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let durable = Arc::new(Durable::new(7));
        let (waiting, reaching) = (Arc::clone(&durable), Arc::clone(&durable));
        let waits = runtime.spawn(async move { waiting.wait(8) });
        let reaches = runtime.spawn(async move { reaching.reach(8) });
        let both = async { tokio::join!(waits, reaches) };
        let both = runtime.block_on(async { tokio::time::timeout(Duration::from_mins(1), both).await });
        // So that the runtime can end.
        durable.reach(8);
        assert!(matches!(both, Ok((Ok(true), Ok(())))));
    }
}
