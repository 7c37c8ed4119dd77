//! The Parquet that conversions write: zstd, statistics, row groups of bounded size, nothing that depends on the day.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::ConvertError;
use crate::guard::guarded;

/// Rows of a batch on its way into the writer.
pub(super) const BATCH_ROWS: usize = 8192;
/// Text bytes after which a batch is written even if it has fewer rows.
pub(super) const BATCH_BYTES: usize = 16 << 20;
/// Most rows of a row group.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// About the stored size of a row group.
const ROW_GROUP_BYTES: usize = 64 << 20;

pub(super) struct Sink<W: Write + Send> {
    writer: ArrowWriter<W>,
    rows: u64,
}

impl<W: Write + Send> Sink<W> {
    pub(super) fn new(schema: SchemaRef, out: W) -> Result<Self, ConvertError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            // The same input gives the same bytes, whatever version of the writer we use is called.
            .set_created_by("kouan".to_owned())
            .build();
        let writer = guarded(|| ArrowWriter::try_new(out, schema, Some(properties)))
            .map_err(|error| ConvertError::Columns(error.to_string()))?
            .map_err(|error| ConvertError::Columns(error.to_string()))?;
        Ok(Self { writer, rows: 0 })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ConvertError> {
        guarded(|| self.writer.write(batch)).map_err(|error| ConvertError::Columns(error.to_string()))??;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Writes the footer; answers the number of rows.
    pub(super) fn finish(mut self) -> Result<u64, ConvertError> {
        guarded(|| self.writer.finish()).map_err(|error| ConvertError::Columns(error.to_string()))??;
        Ok(self.rows)
    }
}
