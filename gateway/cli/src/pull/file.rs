//! One file: its missing bytes in parallel segments, each chunk verified as it completes, progress made durable every
//! second, the final name only after everything holds.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use catalog::Digest;
use gateway_ledger::IntervalSet;
use gateway_stream::chunks::ChunkEntry;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use super::fetch::{self, Event, FetchError, Shared};
use super::part::{self, Found, Part};
use super::progress::Progress;
use super::sidecar::{Identity, Sidecar};
use super::source::{Representation, Source};
use super::{FileReport, Tuning};
use crate::client::Client;
use crate::error::CommandError;
use crate::output;
use crate::session::Session;

/// Events that may wait; then segments wait too.
const EVENTS_MAX: usize = 64;
/// How often a representation may change under one pull.
const RESTARTS_MAX: u32 = 3;

/// Pulls files into a folder.
#[derive(Debug)]
pub struct FilePull<'a> {
    /// The gateway.
    pub client: &'a Client,
    /// Connections at the same time.
    pub parallel: usize,
    /// The folder.
    pub out: &'a Path,
    /// Limits.
    pub tuning: Tuning,
}

/// One representation on its way into one part.
struct Transfer {
    shared: Arc<Shared>,
    identity: Identity,
    chunks: Arc<Vec<ChunkEntry>>,
    /// Bytes in the part.
    done: IntervalSet,
    /// Chunks that hold, by place in the list.
    verified: BTreeSet<usize>,
    /// Chunks that were fetched a second time.
    refetched: BTreeSet<usize>,
    queue: VecDeque<Range<u64>>,
    resumed_bytes: u64,
    fetched_bytes: u64,
    lease: Option<String>,
    leaf: Option<u64>,
    /// `done` has grown since the last checkpoint began.
    dirty: bool,
}

/// How a transfer ended before its end.
enum Ended {
    Changed,
    Failed(CommandError),
}

impl From<CommandError> for Ended {
    fn from(error: CommandError) -> Self {
        Self::Failed(error)
    }
}

impl FilePull<'_> {
    /// Pulls one file.
    ///
    /// # Errors
    ///
    /// [`super::pull`] says what is left behind.
    pub async fn run(
        &self,
        session: &mut Session<'_>,
        source: &Source,
    ) -> Result<FileReport, CommandError> {
        let interrupt = session.io.interrupt.clone();
        for _ in 0..RESTARTS_MAX {
            let representation = interrupt.guard(source.describe(self.client)).await?;
            let target = self.out.join(&source.name);
            if let Some(report) = already_there(&target, source, &representation).await? {
                session.note(&format!("{}  already there and verified", target.display()));
                return Ok(report);
            }
            let part = Arc::new(Part::open(&target)?);
            let mut transfer = self.take_up(session, source, &representation, part).await?;
            match transfer.run(session, self.parallel).await {
                Ok(()) => return transfer.finish(session, &target, &representation).await,
                Err(Ended::Failed(error)) => return Err(error),
                Err(Ended::Changed) => {
                    transfer.shared.part.empty()?;
                    session.note(&format!(
                        "{} has changed at the gateway; starting again",
                        source.name
                    ));
                }
            }
        }
        Err(CommandError::Unavailable(format!(
            "`{}` changes at the gateway again and again",
            source.name
        )))
    }

    async fn take_up(
        &self,
        session: &mut Session<'_>,
        source: &Source,
        representation: &Representation,
        part: Arc<Part>,
    ) -> Result<Transfer, CommandError> {
        let identity = Identity::of(source, representation);
        let found = part.take_up(&identity)?;
        let chunks = Arc::new(representation.chunks.clone());
        let shared = Shared {
            client: self.client.clone(),
            source: source.clone(),
            etag: representation.etag.clone(),
            bytes: representation.bytes,
            part,
            tuning: self.tuning,
        };
        let mut transfer = Transfer {
            shared: Arc::new(shared),
            identity,
            chunks,
            done: IntervalSet::new(),
            verified: BTreeSet::new(),
            refetched: BTreeSet::new(),
            queue: VecDeque::new(),
            resumed_bytes: 0,
            fetched_bytes: 0,
            lease: None,
            leaf: None,
            dirty: false,
        };
        match found {
            Found::Fresh => {}
            Found::Other => session.note(&format!(
                "`{}` was of another version or selection; starting again",
                transfer.shared.part.path().display()
            )),
            Found::Resumed(done) => {
                transfer.resume(done).await?;
                session.note(&format!(
                    "{}: going on after {}",
                    source.name,
                    output::bytes(transfer.resumed_bytes)
                ));
            }
        }
        let whole = IntervalSet::from(0..representation.bytes);
        let missing = whole.difference(&transfer.done);
        transfer.queue = segments(&missing, &transfer.chunks, self.parallel, self.tuning).into();
        Ok(transfer)
    }
}

impl Transfer {
    /// Believes of an earlier run what verifies now; a chunk that does not is fetched again.
    async fn resume(&mut self, done: IntervalSet) -> Result<(), CommandError> {
        self.done = done;
        let complete: Vec<usize> = (0..self.chunks.len())
            .filter(|number| {
                self.chunk(*number)
                    .is_some_and(|c| self.done.covers(&c.range()))
            })
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
    async fn run(&mut self, session: &mut Session<'_>, parallel: usize) -> Result<(), Ended> {
        let mut progress = Progress::start(
            session,
            &self.identity.file,
            self.done.len(),
            Some(self.identity.bytes),
        );
        let mut saving = None;
        let mut running = JoinSet::new();
        let (sender, mut events) = mpsc::channel(EVENTS_MAX);
        let ended = self
            .drive(
                session,
                parallel,
                &mut progress,
                (&mut running, &sender, &mut events),
                &mut saving,
            )
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
        saving: &mut Option<JoinHandle<Result<(), CommandError>>>,
    ) -> Result<(), Ended> {
        let interrupt = session.io.interrupt.clone();
        let mut tick = tokio::time::interval(self.shared.tuning.checkpoint_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while running.len() < parallel
                && let Some(range) = self.queue.pop_front()
            {
                running.spawn(fetch::segment(
                    Arc::clone(&self.shared),
                    range,
                    sender.clone(),
                ));
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
                    Ok(Err(FetchError::Lost(why))) => return Err(Ended::Failed(self.lost(&why))),
                    Ok(Err(FetchError::Final(error))) => return Err(Ended::Failed(error)),
                    Err(error) => return Err(Ended::Failed(self.lost(&error.to_string()))),
                },
                saved = settled(saving), if saving.is_some() => saved?,
                _ = tick.tick(), if self.dirty && saving.is_none() => {
                    self.dirty = false;
                    let (part, sidecar) = (Arc::clone(&self.shared.part), self.sidecar());
                    *saving = Some(tokio::task::spawn_blocking(move || part.checkpoint(&sidecar)));
                }
            }
        }
    }

    /// Takes an event, and verifies the chunks that it completes.
    async fn take(
        &mut self,
        session: &mut Session<'_>,
        progress: &mut Progress,
        event: Event,
    ) -> Result<(), Ended> {
        self.note_event(&event);
        let Event::Written(range) = event else {
            return Ok(());
        };
        let first = self
            .chunks
            .partition_point(|chunk| chunk.range().end <= range.start);
        let touched: Vec<usize> = self
            .chunks
            .iter()
            .enumerate()
            .skip(first)
            .take_while(|(_, chunk)| chunk.offset < range.end)
            .filter(|(number, chunk)| {
                !self.verified.contains(number) && self.done.covers(&chunk.range())
            })
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
            progress.say(
                session,
                &format!(
                    "{} came damaged; fetching it again",
                    described(&self.identity.file, &chunk)
                ),
            );
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
            }
            Event::Lease { id, leaf } => {
                self.lease = Some(id.clone());
                self.leaf = leaf.or(self.leaf);
            }
        }
    }

    /// Chunks may be empty and touched by no byte: they are verified here.
    fn all_verified(&self) -> Result<(), Ended> {
        let left = self
            .chunks
            .iter()
            .enumerate()
            .find(|(number, chunk)| chunk.bytes > 0 && !self.verified.contains(number));
        match left {
            None => Ok(()),
            Some((_, chunk)) => Err(Ended::Failed(self.lost(&format!(
                "{} is missing",
                described(&self.identity.file, chunk)
            )))),
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

    fn lost(&self, why: &str) -> CommandError {
        CommandError::Incomplete(format!("{why}; {}", self.kept()))
    }

    /// Verifies the whole and gives it its name.
    async fn finish(
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
            verified: vouchers(representation),
            lease: self.lease.clone(),
            leaf: self.leaf,
        })
    }
}

fn described(file: &str, chunk: &ChunkEntry) -> String {
    match (&chunk.column, chunk.row_group) {
        (Some(column), Some(row_group)) => format!(
            "`{file}`, column `{}`, row group {row_group}",
            output::clean(column)
        ),
        _ => format!("`{file}`, bytes {} to {}", chunk.offset, chunk.range().end),
    }
}

fn vouchers(representation: &Representation) -> Vec<&'static str> {
    let mut vouchers = vec!["chunks"];
    if representation.sha256.is_some() {
        vouchers.push("sha256");
    }
    vouchers
}

/// A report of the file under its final name, if it is exactly this representation.
async fn already_there(
    target: &Path,
    source: &Source,
    representation: &Representation,
) -> Result<Option<FileReport>, CommandError> {
    let (path, wanted) = (target.to_owned(), representation.clone());
    let check = move || -> Result<Option<Digest>, CommandError> {
        let Ok(file) = File::open(&path) else {
            return Ok(None);
        };
        let metadata = file
            .metadata()
            .map_err(CommandError::io(&path, "look at"))?;
        if !metadata.is_file() {
            return Err(CommandError::Usage(format!(
                "`{}` is there and is no file",
                path.display()
            )));
        }
        if metadata.len() != wanted.bytes {
            return Ok(None);
        }
        for chunk in &wanted.chunks {
            if !part::verify(&file, &path, chunk)? {
                return Ok(None);
            }
        }
        let sha256 = part::sha256(&file, &path, wanted.bytes)?;
        Ok(wanted
            .sha256
            .is_none_or(|promised| promised == sha256)
            .then_some(sha256))
    };
    let found = blocking(check).await?;
    Ok(found.map(|sha256| FileReport {
        name: source.name.clone(),
        path: target.to_owned(),
        bytes: representation.bytes,
        sha256: sha256.hex(),
        fetched_bytes: 0,
        resumed_bytes: representation.bytes,
        verified: vouchers(representation),
        lease: None,
        leaf: None,
    }))
}

/// Runs file work on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CommandError> + Send + 'static,
) -> Result<T, CommandError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| {
        Err(CommandError::Incomplete(format!(
            "a file task ended: {error}"
        )))
    })
}

/// Waits for a checkpoint that is being written, if one is. Cancel safe.
async fn settled(
    saving: &mut Option<JoinHandle<Result<(), CommandError>>>,
) -> Result<(), CommandError> {
    let Some(handle) = saving else { return Ok(()) };
    let joined = handle.await;
    *saving = None;
    joined.unwrap_or_else(|error| {
        Err(CommandError::Incomplete(format!(
            "a file task ended: {error}"
        )))
    })
}

/// Cuts what is missing into segments: about a fair share for each connection, within the limits, and cut at the edges
/// of chunks or of their 64 KiB blocks, so that the gateway verifies no block twice.
fn segments(
    missing: &IntervalSet,
    chunks: &[ChunkEntry],
    parallel: usize,
    tuning: Tuning,
) -> Vec<Range<u64>> {
    let share = missing.len().div_ceil(parallel.max(1) as u64);
    let length = share.clamp(
        tuning.segment_bytes_min.max(1),
        tuning.segment_bytes_max.max(1),
    );
    let mut segments = Vec::new();
    for range in missing.iter() {
        let mut at = range.start;
        while at < range.end {
            let mut end = range.end.min(at.saturating_add(length));
            if end < range.end {
                end = aligned(chunks, end)
                    .filter(|edge| *edge > at)
                    .unwrap_or(end);
            }
            segments.push(at..end);
            at = end;
        }
    }
    segments
}

/// The last edge of a block at or before `at`.
fn aligned(chunks: &[ChunkEntry], at: u64) -> Option<u64> {
    let place = chunks.partition_point(|chunk| chunk.range().end <= at);
    let chunk = chunks.get(place)?;
    let block = catalog::file_index::BLOCK_BYTES;
    Some(chunk.offset + at.checked_sub(chunk.offset)? / block * block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cover_what_is_missing_and_nothing_else() {
        let chunk = |offset, bytes| ChunkEntry {
            row_group: None,
            column: None,
            offset,
            bytes,
            digest: Digest::of(b""),
        };
        let chunks = [chunk(0, 4), chunk(4, 1_000_000), chunk(1_000_004, 96)];
        let tuning = Tuning {
            segment_bytes_min: 100_000,
            segment_bytes_max: 300_000,
            ..Tuning::default()
        };
        let missing: IntervalSet = [10..500, 70_000..1_000_100].into_iter().collect();
        let cut = segments(&missing, &chunks, 2, tuning);
        assert_eq!(cut.iter().cloned().collect::<IntervalSet>(), missing);
        assert_eq!(
            cut.iter().map(|range| range.end - range.start).sum::<u64>(),
            missing.len()
        );
        assert!(cut.len() >= 4, "{cut:?}");
        // Inner edges lie on blocks of the chunk that starts at byte 4.
        assert!(
            cut.iter()
                .skip(1)
                .take(2)
                .all(|range| (range.end - 4) % 65_536 == 0),
            "{cut:?}"
        );
        assert!(segments(&IntervalSet::new(), &chunks, 4, tuning).is_empty());
    }
}
