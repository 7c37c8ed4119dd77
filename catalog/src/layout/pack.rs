//! Rewrites a Parquet file without the bytes that nobody looks at: chunks byte for byte, the footer made anew.
//!
//! Page indexes and bloom filters are dropped: they only speed readers up, and theirs are the offsets that a rewrite
//! makes untrue. Chunk statistics and key-value metadata stay.

use std::io::Write;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaDataBuilder, ParquetMetaDataWriter, RowGroupMetaData};

use super::{Layout, LayoutError};

/// Why a file was not packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Writing failed: ours, not the file's.
    #[error("the packed file cannot be written")]
    Write(#[from] std::io::Error),
    /// The footer cannot be made anew.
    #[error("the footer cannot be made anew: {0}")]
    Footer(#[from] ParquetError),
    /// The file is not the one that was laid out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// Writes the packed form of `file`, whose layout is `layout`, to `out`.
pub fn pack<W: Write>(file: &[u8], layout: &Layout, mut out: W) -> Result<(), PackError> {
    out.write_all(b"PAR1")?;
    let mut at = 4u64;
    let mut row_groups = Vec::with_capacity(layout.metadata.num_row_groups());
    for (number, row_group) in layout.metadata.row_groups().iter().enumerate() {
        let start = at;
        let mut columns = Vec::with_capacity(row_group.num_columns());
        for (column, meta) in row_group.columns().iter().enumerate() {
            let range = layout.chunk_range(number, column)?;
            let bytes = super::slice(file, &range)?;
            out.write_all(bytes)?;
            let moved = |offset: i64| offset - range.start.cast_signed() + at.cast_signed();
            let dictionary = meta.dictionary_page_offset().filter(|offset| *offset > 0).map(moved);
            let packed = meta
                .clone()
                .into_builder()
                .set_data_page_offset(moved(meta.data_page_offset()))
                .set_dictionary_page_offset(dictionary)
                .set_index_page_offset(None)
                .set_bloom_filter_offset(None)
                .set_bloom_filter_length(None)
                .set_offset_index_offset(None)
                .set_offset_index_length(None)
                .set_column_index_offset(None)
                .set_column_index_length(None)
                .build()?;
            columns.push(packed);
            at += range.end - range.start;
        }
        row_groups.push(moved_group(row_group, columns, start, number)?);
    }
    let metadata =
        ParquetMetaDataBuilder::new(layout.metadata.file_metadata().clone()).set_row_groups(row_groups).build();
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &metadata).finish()?;
    out.write_all(&footer)?;
    out.flush()?;
    Ok(())
}

fn moved_group(
    row_group: &RowGroupMetaData,
    columns: Vec<parquet::file::metadata::ColumnChunkMetaData>,
    start: u64,
    number: usize,
) -> Result<RowGroupMetaData, ParquetError> {
    let mut builder = RowGroupMetaData::builder(row_group.schema_descr_ptr())
        .set_num_rows(row_group.num_rows())
        .set_total_byte_size(row_group.total_byte_size())
        .set_sorting_columns(row_group.sorting_columns().cloned())
        .set_column_metadata(columns)
        .set_file_offset(start.cast_signed());
    if let Ok(ordinal) = i16::try_from(number) {
        builder = builder.set_ordinal(ordinal);
    }
    builder.build()
}
