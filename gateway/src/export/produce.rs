//! Decoded streams: the batches of a version, encoded one by one on threads that may block, a bounded few ahead of the
//! consumer.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use catalog::{Digest, FileIndex};
use gateway_ledger::IntervalSet;
use gateway_stream::batches::{Batch, BatchError, Projection, RowGroupReader};
use gateway_stream::frame::IntegrityError;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::files::StoredFile;

/// Encoded batches that wait for the consumer: with 1 to 3 MiB each, a stream's memory (INV-9).
const AHEAD: usize = 2;

/// An encoded batch.
#[derive(Debug)]
pub struct Encoded<M> {
    /// What is sent.
    pub messages: Vec<M>,
    /// Stored bytes of units that it stands for.
    pub units: Vec<(Arc<FileIndex>, IntervalSet)>,
}

/// Why a stream cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The stored bytes are not what was inspected.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// They are, but they cannot be decoded or encoded.
    #[error("the stored data cannot be streamed: {0}")]
    Broken(String),
}

impl From<BatchError> for ProduceError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Integrity(error) => Self::Integrity(error),
            error => Self::Broken(error.to_string()),
        }
    }
}

/// Row groups to be decoded, in order.
#[derive(Debug, Clone)]
pub struct Task {
    /// Of which file.
    pub file: Arc<StoredFile>,
    /// Which row groups.
    pub row_groups: std::ops::Range<usize>,
}

struct Producer<F> {
    leaves: Vec<usize>,
    tasks: VecDeque<Task>,
    open: Option<(Arc<FileIndex>, RowGroupReader)>,
    /// Of the file that is being read: making one costs as much as its footer is long.
    projection: Option<(Digest, Arc<Projection>)>,
    encode: F,
}

impl<M, F: FnMut(&Batch) -> Result<Vec<M>, ProduceError>> Producer<F> {
    fn next(&mut self) -> Option<Result<Encoded<M>, ProduceError>> {
        loop {
            if let Some((index, reader)) = self.open.as_mut() {
                match reader.next() {
                    Some(batch) => {
                        let index = Arc::clone(index);
                        return Some(batch.map_err(Into::into).and_then(|batch| self.encoded(index, &batch)));
                    }
                    None => self.open = None,
                }
            }
            let task = self.tasks.front_mut()?;
            let Some(row_group) = task.row_groups.next() else {
                self.tasks.pop_front();
                continue;
            };
            let file = Arc::clone(&task.file);
            let opened =
                self.projection(&file).and_then(|projection| RowGroupReader::open(projection, &file.bytes, row_group));
            match opened {
                Ok(reader) => self.open = Some((Arc::clone(&file.index), reader)),
                Err(error) => {
                    self.tasks.clear();
                    return Some(Err(error.into()));
                }
            }
        }
    }

    fn projection(&mut self, file: &StoredFile) -> Result<Arc<Projection>, BatchError> {
        let sha256 = file.index.sha256;
        if let Some((_, kept)) = self.projection.as_ref().filter(|(of, _)| *of == sha256) {
            return Ok(Arc::clone(kept));
        }
        let made = Arc::new(Projection::new(Arc::clone(&file.footer), &self.leaves)?);
        self.projection = Some((sha256, Arc::clone(&made)));
        Ok(made)
    }

    fn encoded(&mut self, index: Arc<FileIndex>, batch: &Batch) -> Result<Encoded<M>, ProduceError> {
        let messages = (self.encode)(batch)?;
        let mut units = IntervalSet::default();
        for part in &batch.delivered {
            units.insert(part.range.clone());
        }
        Ok(Encoded { messages, units: vec![(index, units)] })
    }
}

/// Decodes `tasks`, keeping the leaf columns `leaves`, and encodes each batch with `encode`. The stream ends after its
/// first error. When the receiver is dropped, the work stops.
pub fn produce<M, F>(
    tracker: &TaskTracker,
    leaves: Vec<usize>,
    tasks: Vec<Task>,
    encode: F,
) -> mpsc::Receiver<Result<Encoded<M>, ProduceError>>
where
    M: Send + 'static,
    F: FnMut(&Batch) -> Result<Vec<M>, ProduceError> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(AHEAD);
    let mut producer = Producer { leaves, tasks: tasks.into(), open: None, projection: None, encode };
    tracker.spawn(async move {
        // A place is reserved before a batch is decoded: a consumer that does not read costs no thread and no work.
        while let Ok(place) = sender.reserve().await {
            let step = tokio::task::spawn_blocking(move || {
                let item = producer.next();
                (producer, item)
            });
            let Ok((returned, item)) = step.await else {
                place.send(Err(ProduceError::Broken("the decoder stopped".to_owned())));
                return;
            };
            producer = returned;
            let Some(item) = item else { return };
            let failed = item.is_err();
            place.send(item);
            if failed {
                return;
            }
        }
    });
    receiver
}

/// Joins small pieces: a frame on the wire costs the same whether it carries 8 bytes or 8 KiB.
pub fn joined(parts: Vec<Bytes>) -> VecDeque<Bytes> {
    const SMALL: usize = 16 * 1024;
    let mut frames = VecDeque::new();
    let mut small = bytes::BytesMut::new();
    for part in parts {
        if part.len() < SMALL {
            small.extend_from_slice(&part);
            if small.len() < SMALL {
                continue;
            }
            frames.push_back(small.split().freeze());
        } else {
            if !small.is_empty() {
                frames.push_back(small.split().freeze());
            }
            frames.push_back(part);
        }
    }
    if !small.is_empty() {
        frames.push_back(small.freeze());
    }
    frames
}
