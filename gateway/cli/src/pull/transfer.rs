//! One representation on its way into one part: parallel segments, each chunk verified as it completes, progress made
//! durable every second, the final name only after everything holds.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use gateway_ledger::IntervalSet;
use gateway_stream::chunks::ChunkEntry;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use super::FileReport;
use super::fetch::{self, Event, FetchError, Shared};
use super::part::Part;
use super::progress::Progress;
use super::receipt::{self, Receipts};
use super::segments::segments;
use super::sidecar::{Identity, Sidecar};
use super::source::Representation;
use crate::error::CommandError;
use crate::output;
use crate::session::Session;

/// Events that may wait; then segments wait too.
const EVENTS_MAX: usize = 64;

/// One representation on its way into one part.
#[derive(Debug)]
pub struct Transfer {
    shared: Arc<Shared>,
    identity: Identity,
    chunks: Arc<Vec<ChunkEntry>>,
    /// Bytes in the part.
    done: IntervalSet,
    /// Chunks that hold, by place in the list.
    verified: BTreeSet<usize>,
    /// Chunks that a receipt covers.
    signed: BTreeSet<usize>,
    /// Chunks that were fetched a second time.
    refetched: BTreeSet<usize>,
    queue: VecDeque<Range<u64>>,
    resumed_bytes: u64,
    fetched_bytes: u64,
    lease: Option<String>,
    leaf: Option<u64>,
    /// `done` has grown since the last checkpoint began.
    dirty: bool,
    /// Why segments wait, as it was told last.
    waits: Option<String>,
}

/// How a transfer ended before its end.
#[derive(Debug)]
pub enum Ended {
    /// The representation is another one now.
    Changed,
    /// Nothing more can be done in this run.
    Failed(CommandError),
}

impl From<CommandError> for Ended {
    fn from(error: CommandError) -> Self {
        Self::Failed(error)
    }
}

impl Transfer {
    /// A transfer of which nothing is there yet.
    pub fn new(shared: Arc<Shared>, identity: Identity, chunks: Arc<Vec<ChunkEntry>>) -> Self {
        Self {
            shared,
            identity,
            chunks,
            done: IntervalSet::new(),
            verified: BTreeSet::new(),
            signed: BTreeSet::new(),
            refetched: BTreeSet::new(),
            queue: VecDeque::new(),
            resumed_bytes: 0,
            fetched_bytes: 0,
            lease: None,
            leaf: None,
            dirty: false,
            waits: None,
        }
    }

    /// Where it goes.
    pub fn part(&self) -> &Part {
        &self.shared.part
    }

    /// Bytes of an earlier run that are believed.
    pub const fn resumed_bytes(&self) -> u64 {
        self.resumed_bytes
    }

    /// Queues what is not there.
    pub fn queue_missing(&mut self, parallel: usize) {
        let whole = IntervalSet::from(0..self.identity.bytes);
        let missing = whole.difference(&self.done);
        self.queue = segments(&missing, &self.chunks, parallel, self.shared.tuning).into();
    }

    /// Believes of an earlier run what verifies now; a chunk that does not is fetched again.
    pub async fn resume(&mut self, done: IntervalSet) -> Result<(), CommandError> {
        self.done = done;
        let complete: Vec<usize> = (0..self.chunks.len())
            .filter(|number| self.chunk(*number).is_some_and(|c| self.done.covers(&c.range())))
            .collect();
        for number in complete {
            let Some(chunk) = self.chunk(number) else {
                continue;
            };
            if self.holds(chunk.clone()).await? {
                self.verified.insert(number);
            } else {
                self.done = self.done.difference(&IntervalSet::from(chunk.range()));
            }
        }
        self.resumed_bytes = self.done.len();
        Ok(())
    }

    fn chunk(&self, number: usize) -> Option<ChunkEntry> {
        self.chunks.get(number).cloned()
    }

    async fn holds(&self, chunk: ChunkEntry) -> Result<bool, CommandError> {
        let part = Arc::clone(&self.shared.part);
        blocking(move || part.verify(&chunk)).await
    }

    /// Fetches until every chunk is verified. Whatever the end, what is done is durable afterwards.
    pub async fn run(
        &mut self,
        session: &mut Session<'_>,
        parallel: usize,
        receipts: &mut Receipts,
    ) -> Result<(), Ended> {
        let mut progress = Progress::start(session, &self.identity.file, self.done.len(), Some(self.identity.bytes));
        let mut saving = None;
        let mut running = JoinSet::new();
        let (sender, mut events) = mpsc::channel(EVENTS_MAX);
        let ended = self
            .drive(session, parallel, &mut progress, (&mut running, &sender, &mut events), (&mut saving, receipts))
            .await;
        progress.end();
        running.shutdown().await;
        if matches!(ended, Err(Ended::Changed)) {
            settled(&mut saving).await?;
            return ended;
        }
        // Segments that were stopped may have told of bytes that nobody has looked at yet.
        while let Ok(event) = events.try_recv() {
            self.note_event(&event);
        }
        let saved = settled(&mut saving).await;
        let stored = self.checkpoint().await;
        ended?;
        saved?;
        stored?;
        Ok(())
    }

    async fn drive(
        &mut self,
        session: &mut Session<'_>,
        parallel: usize,
        progress: &mut Progress,
        (running, sender, events): (
            &mut JoinSet<Result<(), FetchError>>,
            &mpsc::Sender<Event>,
            &mut mpsc::Receiver<Event>,
        ),
        (saving, receipts): (&mut Option<JoinHandle<Result<(), CommandError>>>, &mut Receipts),
    ) -> Result<(), Ended> {
        let interrupt = session.io.interrupt.clone();
        let mut due = tokio::time::interval(receipt::LOOK_EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tick = tokio::time::interval(self.shared.tuning.checkpoint_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while running.len() < parallel
                && let Some(range) = self.queue.pop_front()
            {
                running.spawn(fetch::segment(Arc::clone(&self.shared), range, sender.clone()));
            }
            if running.is_empty() {
                match events.try_recv() {
                    Ok(event) => self.take(session, progress, event).await?,
                    Err(_) if self.queue.is_empty() => return self.all_verified(),
                    Err(_) => {}
                }
                continue;
            }
            tokio::select! {
                biased;
                () = interrupt.wait() => return Err(Ended::Failed(self.interrupted())),
                Some(event) = events.recv() => self.take(session, progress, event).await?,
                Some(finished) = running.join_next() => match finished {
                    Ok(Ok(())) => {}
                    Ok(Err(FetchError::Changed)) => return Err(Ended::Changed),
                    Ok(Err(FetchError::Lost(why))) => {
                        return Err(Ended::Failed(self.lost_or_cut(&why).await));
                    }
                    Ok(Err(FetchError::Final(error))) => return Err(Ended::Failed(error)),
                    Err(error) => return Err(Ended::Failed(self.lost(&error.to_string()))),
                },
                saved = settled(saving), if saving.is_some() => saved?,
                // On the way, so that a stream that waits for receipts goes on. One that is not taken is tried again.
                _ = due.tick(), if self.unsigned_bytes() >= receipt::EVERY_BYTES => drop(self.sign(receipts).await),
                _ = tick.tick(), if self.dirty && saving.is_none() => {
                    self.dirty = false;
                    let (part, sidecar) = (Arc::clone(&self.shared.part), self.sidecar());
                    *saving = Some(tokio::task::spawn_blocking(move || part.checkpoint(&sidecar)));
                }
            }
        }
    }

    /// Takes an event, and verifies the chunks that it completes.
    async fn take(&mut self, session: &mut Session<'_>, progress: &mut Progress, event: Event) -> Result<(), Ended> {
        self.note_event(&event);
        let range = match event {
            Event::Written(range) => range,
            Event::Lease { .. } => return Ok(()),
            Event::Waits { why, wait } => {
                // Segments wait for the same thing side by side, and again: once is enough until something comes.
                if self.waits.as_ref() != Some(&why) {
                    progress.say(session, &format!("{why}: waiting {} s", wait.as_secs()));
                    self.waits = Some(why);
                }
                return Ok(());
            }
        };
        let first = self.chunks.partition_point(|chunk| chunk.range().end <= range.start);
        let touched: Vec<usize> = self
            .chunks
            .iter()
            .enumerate()
            .skip(first)
            .take_while(|(_, chunk)| chunk.offset < range.end)
            .filter(|(number, chunk)| !self.verified.contains(number) && self.done.covers(&chunk.range()))
            .map(|(number, _)| number)
            .collect();
        for number in touched {
            let Some(chunk) = self.chunk(number) else {
                continue;
            };
            if self.holds(chunk.clone()).await? {
                self.verified.insert(number);
                continue;
            }
            self.done = self.done.difference(&IntervalSet::from(chunk.range()));
            if !self.refetched.insert(number) {
                return Err(Ended::Failed(CommandError::Integrity(format!(
                    "{} does not have the digest that the gateway gave, twice; nothing was given a final name",
                    described(&self.identity.file, &chunk)
                ))));
            }
            progress
                .say(session, &format!("{} came damaged; fetching it again", described(&self.identity.file, &chunk)));
            self.queue.push_back(chunk.range());
        }
        progress.set(session, self.done.len());
        Ok(())
    }

    fn note_event(&mut self, event: &Event) {
        match event {
            Event::Written(range) => {
                self.fetched_bytes += range.end - range.start;
                self.done.insert(range.clone());
                self.dirty = true;
                self.waits = None;
            }
            Event::Waits { .. } => {}
            Event::Lease { id, leaf } => {
                self.lease = Some(id.clone());
                self.leaf = leaf.or(self.leaf);
            }
        }
    }

    /// Verified chunks that no receipt covers yet.
    fn unsigned(&self) -> Vec<usize> {
        self.verified.difference(&self.signed).copied().collect()
    }

    fn unsigned_bytes(&self) -> u64 {
        self.unsigned().into_iter().filter_map(|number| self.chunks.get(number)).map(|chunk| chunk.bytes).sum()
    }

    async fn sign(&mut self, receipts: &mut Receipts) -> Result<(), CommandError> {
        let Some(lease) = self.lease.clone() else { return Ok(()) };
        let numbers = self.unsigned();
        let chunks = numbers.iter().filter_map(|number| self.chunks.get(*number));
        receipts.give(&lease, receipt::units(self.shared.source.stored, chunks)).await?;
        self.signed.extend(numbers);
        Ok(())
    }

    /// Signs for the rest, once everything is verified. That it is not taken is said, and is no fault of the data.
    pub async fn sign_at_last(&mut self, session: &mut Session<'_>, receipts: &mut Receipts) {
        let Some(lease) = self.lease.clone() else { return };
        let numbers = self.unsigned();
        let chunks = numbers.iter().filter_map(|number| self.chunks.get(*number));
        let units = receipt::units(self.shared.source.stored, chunks);
        receipts.give_at_last(session, &lease, &units).await;
    }

    /// Chunks may be empty and touched by no byte: they are verified here.
    fn all_verified(&self) -> Result<(), Ended> {
        let left =
            self.chunks.iter().enumerate().find(|(number, chunk)| chunk.bytes > 0 && !self.verified.contains(number));
        match left {
            None => Ok(()),
            Some((_, chunk)) => {
                Err(Ended::Failed(self.lost(&format!("{} is missing", described(&self.identity.file, chunk)))))
            }
        }
    }

    fn sidecar(&self) -> Sidecar {
        Sidecar::new(self.identity.clone(), self.done.clone())
    }

    async fn checkpoint(&self) -> Result<(), CommandError> {
        let (part, sidecar) = (Arc::clone(&self.shared.part), self.sidecar());
        blocking(move || part.checkpoint(&sidecar)).await
    }

    fn kept(&self) -> String {
        format!(
            "{} of {} are kept in `{}`; the same command goes on from there",
            output::bytes(self.done.len()),
            output::bytes(self.identity.bytes),
            self.shared.part.path().display()
        )
    }

    fn interrupted(&self) -> CommandError {
        CommandError::Interrupted(format!("interrupted: {}", self.kept()))
    }

    /// A cut may reset a connection before it says under which lease: another one has said so.
    async fn lost_or_cut(&self, why: &str) -> CommandError {
        if let Some(lease) = &self.lease
            && let Some(reason) = fetch::cut_reason(&self.shared.client, lease).await
        {
            return fetch::cut(lease, &reason);
        }
        self.lost(why)
    }

    fn lost(&self, why: &str) -> CommandError {
        CommandError::Incomplete(format!("{why}; {}", self.kept()))
    }

    /// Verifies the whole and gives it its name.
    pub async fn finish(
        self,
        session: &mut Session<'_>,
        target: &Path,
        representation: &Representation,
    ) -> Result<FileReport, CommandError> {
        let part = Arc::clone(&self.shared.part);
        let bytes = representation.bytes;
        let sha256 = blocking(move || part.sha256(bytes)).await?;
        if let Some(promised) = representation.sha256
            && promised != sha256
        {
            // Every chunk held: only starting from nothing can help.
            self.shared.part.empty()?;
            return Err(CommandError::Integrity(format!(
                "`{}` has {sha256}, the catalog says {promised}; nothing was given a final name",
                self.identity.file
            )));
        }
        if target.exists() {
            session.note(&format!("replacing `{}`", target.display()));
        }
        let part = Arc::clone(&self.shared.part);
        blocking(move || part.finish()).await?;
        Ok(FileReport {
            name: self.identity.file.clone(),
            path: target.to_owned(),
            bytes,
            sha256: sha256.hex(),
            fetched_bytes: self.fetched_bytes,
            resumed_bytes: self.resumed_bytes,
            verified: representation.vouchers(),
            lease: self.lease.clone(),
            leaf: self.leaf,
            receipt: None,
        })
    }
}

fn described(file: &str, chunk: &ChunkEntry) -> String {
    match (&chunk.column, chunk.row_group) {
        (Some(column), Some(row_group)) => {
            format!("`{file}`, column `{}`, row group {row_group}", output::clean(column))
        }
        _ => format!("`{file}`, bytes {} to {}", chunk.offset, chunk.range().end),
    }
}

/// Runs file work on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CommandError> + Send + 'static,
) -> Result<T, CommandError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| Err(CommandError::Incomplete(format!("a file task ended: {error}"))))
}

/// Waits for a checkpoint that is being written, if one is. Cancel safe.
async fn settled(saving: &mut Option<JoinHandle<Result<(), CommandError>>>) -> Result<(), CommandError> {
    let Some(handle) = saving else { return Ok(()) };
    let joined = handle.await;
    *saving = None;
    joined.unwrap_or_else(|error| Err(CommandError::Incomplete(format!("a file task ended: {error}"))))
}
