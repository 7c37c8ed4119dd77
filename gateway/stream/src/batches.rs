//! Decoding row groups for Arrow streams, CSV and JSON Lines.
//!
//! All blocks of the chosen column chunks are verified before the first page is decoded (INV-11). The batches of a row
//! group depend on the file and the selection alone, so that a stream can be resumed at a batch and billed the same.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_schema_by_columns};
use parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaDataBuilder};

use crate::footer::Footer;
use crate::frame::{IntegrityError, verify};
use crate::guard::guarded;
use crate::redact::hint;
use crate::representation::Delivered;

mod expansion;
mod size;
#[cfg(test)]
mod tests;

/// Most rows of a batch.
pub const BATCH_ROWS: usize = 65_536;

/// Encoded bytes that a batch aims for. gRPC clients refuse messages above 4 MiB unless told otherwise.
pub const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// Encoded bytes that a batch never exceeds, unless a single row does.
pub const BATCH_BYTES_MAX: usize = 3_500_000;

/// Rows or columns that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The stored bytes changed after inspection.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// No column is selected.
    #[error("no column is selected: name at least one")]
    EmptySelection,
    /// A leaf or row group that the file does not have.
    #[error("the file has no {0}")]
    NoSuch(String),
    /// The pages do not decode to what the footer promises.
    #[error("row group {row_group} does not decode: {detail}")]
    Malformed {
        /// Row group, from 0.
        row_group: usize,
        /// What the decoder said; never a value.
        detail: String,
    },
    /// The schema has no Arrow equivalent.
    #[error("the file's schema cannot be read as arrow: {0}")]
    Schema(String),
}

/// Some leaf columns of a file, ready to be decoded. Build once, use for every row group.
#[derive(Debug, Clone)]
pub struct Projection {
    footer: Arc<Footer>,
    leaves: Vec<usize>,
    mask: ProjectionMask,
    reader: ArrowReaderMetadata,
    schema: SchemaRef,
}

impl Projection {
    /// The leaves `leaves` of a file, in source order whatever their order here.
    pub fn new(footer: Arc<Footer>, leaves: &[usize]) -> Result<Self, BatchError> {
        let mut leaves = leaves.to_vec();
        leaves.sort_unstable();
        leaves.dedup();
        let Some(last) = leaves.last() else {
            return Err(BatchError::EmptySelection);
        };
        if *last >= footer.leaves() {
            return Err(BatchError::NoSuch(format!("leaf column {last}")));
        }
        let unreadable = |error: parquet::errors::ParquetError| BatchError::Schema(error.to_string());
        let gave_up = |_| BatchError::Schema("the decoder gave up".to_owned());

        // The stored hint, without metadata and with the types that streams carry well.
        let all: Vec<usize> = (0..footer.leaves()).collect();
        let key_values = hint::of(footer.metadata())
            .and_then(|schema| hint::project(&schema, &all, all.len(), hint::Adapt::Streams))
            .map(|schema| vec![KeyValue::new(hint::KEY.to_owned(), hint::encode(&schema))]);
        let source = footer.metadata().file_metadata();
        let file = FileMetaData::new(
            source.version(),
            source.num_rows(),
            source.created_by().map(str::to_owned),
            key_values,
            source.schema_descr_ptr(),
            source.column_orders().cloned(),
        );
        let groups = footer.metadata().row_groups().to_vec();
        let metadata = Arc::new(ParquetMetaDataBuilder::new(file).set_row_groups(groups).build());

        let mask = ProjectionMask::leaves(source.schema_descr(), leaves.iter().copied());
        let schema = guarded(|| {
            let key_values = metadata.file_metadata().key_value_metadata();
            parquet_to_arrow_schema_by_columns(source.schema_descr(), mask.clone(), key_values)
        });
        let schema = Arc::new(schema.map_err(gave_up)?.map_err(unreadable)?);
        let reader = guarded(|| ArrowReaderMetadata::try_new(Arc::clone(&metadata), ArrowReaderOptions::new()));
        let reader = reader.map_err(gave_up)?.map_err(unreadable)?;
        Ok(Self { footer, leaves, mask, reader, schema })
    }

    /// The Arrow schema of its batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The selected leaves in source order.
    pub fn leaves(&self) -> &[usize] {
        &self.leaves
    }

    /// The footer it was made from.
    pub fn footer(&self) -> &Arc<Footer> {
        &self.footer
    }
}

/// Rows of a row group.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The rows.
    pub records: RecordBatch,
    /// Number of its first row in the row group.
    pub first_row: u64,
    /// The part of each selected unit that these rows stand for: its stored bytes spread evenly over its rows.
    pub delivered: Vec<Delivered>,
}

/// Decodes one row group, batch by batch. Holds at most one decoded stretch of rows.
pub struct RowGroupReader {
    projection: Arc<Projection>,
    row_group: usize,
    rows: u64,
    next_row: u64,
    reader: Option<ParquetRecordBatchReader>,
    ready: VecDeque<RecordBatch>,
}

impl std::fmt::Debug for RowGroupReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowGroupReader")
            .field("row_group", &self.row_group)
            .field("next_row", &self.next_row)
            .finish_non_exhaustive()
    }
}

impl RowGroupReader {
    /// Verifies the selected column chunks of a row group of `file`, the whole stored file, and prepares to decode them.
    ///
    /// Hashes all of their bytes: call it where blocking is allowed.
    pub fn open(projection: Arc<Projection>, file: &Bytes, row_group: usize) -> Result<Self, BatchError> {
        let no_such = || BatchError::NoSuch(format!("row group {row_group}"));
        let footer = &projection.footer;
        let rows = footer.index().row_groups.get(row_group).copied().ok_or_else(no_such)?;
        for leaf in &projection.leaves {
            let unit = footer.unit(row_group, *leaf).ok_or_else(no_such)?;
            verify(footer.index(), file, &(unit.offset..unit.offset.saturating_add(unit.bytes)))?;
        }
        let malformed = |detail: String| BatchError::Malformed { row_group, detail };
        let decode_rows = expansion::rows_at_once(&projection, file, row_group).map_err(malformed)?;
        let reader = guarded(|| {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), projection.reader.clone())
                .with_projection(projection.mask.clone())
                .with_row_groups(vec![row_group])
                .with_batch_size(decode_rows)
                .build()
        });
        let reader = reader
            .map_err(|_| malformed("the decoder gave up".to_owned()))?
            .map_err(|error| malformed(error.to_string()))?;
        Ok(Self { projection, row_group, rows, next_row: 0, reader: Some(reader), ready: VecDeque::new() })
    }

    /// Rows of the row group.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn step(&mut self) -> Result<Option<Batch>, BatchError> {
        let malformed = |row_group: usize, detail: &str| BatchError::Malformed { row_group, detail: detail.to_owned() };
        while self.ready.is_empty() {
            let Some(reader) = self.reader.as_mut() else {
                return Ok(None);
            };
            let Some(decoded) =
                guarded(|| reader.next()).map_err(|_| malformed(self.row_group, "the decoder gave up"))?
            else {
                self.reader = None;
                if self.next_row != self.rows {
                    return Err(malformed(self.row_group, "it has fewer rows than the footer states"));
                }
                return Ok(None);
            };
            let decoded = decoded.map_err(|error| malformed(self.row_group, &error.to_string()))?;
            let columns = decoded.columns().to_vec();
            let records = RecordBatch::try_new(Arc::clone(&self.projection.schema), columns)
                .map_err(|error| BatchError::Schema(error.to_string()))?;
            size::cut(&records, &mut self.ready).map_err(|error| malformed(self.row_group, &error.to_string()))?;
        }
        let Some(records) = self.ready.pop_front() else {
            return Ok(None);
        };
        let first_row = self.next_row;
        self.next_row = first_row.saturating_add(records.num_rows() as u64);
        if self.next_row > self.rows {
            return Err(malformed(self.row_group, "it has more rows than the footer states"));
        }
        let delivered = self.delivered(first_row);
        Ok(Some(Batch { records, first_row, delivered }))
    }

    /// The parts of the units from row `first` to the next one to come.
    fn delivered(&self, first: u64) -> Vec<Delivered> {
        let units = self.projection.leaves.iter().filter_map(|leaf| self.projection.footer.unit(self.row_group, *leaf));
        units
            .map(|unit| {
                let at = |row: u64| {
                    let share = u128::from(unit.bytes) * u128::from(row) / u128::from(self.rows.max(1));
                    unit.offset.saturating_add(u64::try_from(share).unwrap_or(unit.bytes))
                };
                Delivered { row_group: unit.row_group, column: unit.column, range: at(first)..at(self.next_row) }
            })
            .filter(|part| !part.range.is_empty())
            .collect()
    }
}

impl Iterator for RowGroupReader {
    type Item = Result<Batch, BatchError>;

    /// The next batch. After an error nothing follows.
    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().transpose();
        if matches!(step, Some(Err(_))) {
            self.reader = None;
            self.ready.clear();
        }
        step
    }
}
