//! The virtual Parquet file of a column subset.
//!
//! Column chunks are copied byte for byte in file order after the magic; the footer is written anew from what is kept.
//! A dropped column's chunks, statistics, page indexes, bloom filters and key-value metadata are in no segment, so they
//! cannot leave. Page indexes and bloom filters of kept columns are left out too: readers do without them. Nothing is
//! decoded.

use std::sync::Arc;

use bytes::Bytes;
use catalog::RegionKind;
use catalog::file_index::Unit;
use parquet::basic::ColumnOrder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataWriter,
    RowGroupMetaData, SortingColumn,
};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor};

use crate::footer::Footer;
use crate::representation::{Representation, RepresentationError, Segment};

pub(crate) mod hint;
mod schema;
#[cfg(test)]
mod tests;

/// `created_by` of a virtual file. Readers parse `application version x.y.z (build …)`.
const CREATED_BY: &str = concat!("kouan version ", env!("CARGO_PKG_VERSION"), " (build virtual)");

/// A selection that cannot become a file, or a source that cannot be cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedactError {
    /// No column is selected.
    #[error("no column is left: a parquet file needs at least one")]
    EmptySelection,
    /// A leaf that the file does not have.
    #[error("leaf column {leaf} is selected, the file has {leaves}")]
    NoSuchLeaf {
        /// Number of the leaf, from 0.
        leaf: usize,
        /// Leaf columns of the file.
        leaves: usize,
    },
    /// Part of a group that means nothing in part.
    #[error("the columns of `{group}` cannot be told apart: select all of them or none")]
    Indivisible {
        /// Dotted path of the group.
        group: String,
    },
    /// The index and the footer describe different files.
    #[error("the parquet footer does not agree with the file's index: {0}")]
    Disagrees(&'static str),
    /// The new footer could not be written.
    #[error("the footer of the virtual file could not be written: {0}")]
    Footer(String),
}

impl From<ParquetError> for RedactError {
    fn from(error: ParquetError) -> Self {
        Self::Footer(error.to_string())
    }
}

impl From<RepresentationError> for RedactError {
    fn from(_: RepresentationError) -> Self {
        Self::Disagrees("a column chunk is not a region")
    }
}

/// `leaves` without those that would break a group: a map needs its whole key and some of its value, a Variant all of
/// its parts, a two-level list of structs more than one field. What a redaction may keep of what is allowed.
pub fn divisible(footer: &Footer, leaves: &[usize]) -> Vec<usize> {
    let mut kept = vec![false; footer.leaves()];
    for leaf in leaves {
        if let Some(kept) = kept.get_mut(*leaf) {
            *kept = true;
        }
    }
    schema::shrink(footer.metadata().file_metadata().schema(), &mut kept);
    kept.iter().enumerate().filter(|(_, kept)| **kept).map(|(leaf, _)| leaf).collect()
}

/// The representation of the file that has only `leaves`; the stored file itself if that is all of them.
///
/// The same footer and leaves always give the same bytes and entity tag, in any order of `leaves`.
pub fn build(footer: &Footer, leaves: &[usize]) -> Result<Representation, RedactError> {
    let kept = kept(footer, leaves)?;
    if kept.len() == footer.leaves() {
        return Ok(Representation::original(Arc::clone(footer.index())));
    }
    let magic = footer.index().regions.first().filter(|region| region.kind == RegionKind::Magic);
    let magic = magic.ok_or(RedactError::Disagrees("the file does not begin with its magic"))?.range();

    // Where each kept unit stands in the new file, by row group and leaf.
    let mut moved = vec![Vec::new(); footer.metadata().num_row_groups()];
    let mut at = magic.end - magic.start;
    let mut segments = vec![Segment::Source(magic)];
    for unit in in_file_order(footer, &kept) {
        let group = moved.get_mut(unit.row_group as usize);
        group.ok_or(RedactError::Disagrees("the index has a unit of no row group"))?.push((*unit, at));
        segments.push(Segment::Source(unit.offset..unit.offset.saturating_add(unit.bytes)));
        at = at.saturating_add(unit.bytes);
    }
    segments.push(Segment::Inline(write_footer(footer, &kept, &moved)?));
    Ok(Representation::of(Arc::clone(footer.index()), segments)?)
}

/// The selected leaves in source order, each once; an error if they cut an indivisible group.
fn kept(footer: &Footer, leaves: &[usize]) -> Result<Vec<usize>, RedactError> {
    let mut flags = vec![false; footer.leaves()];
    for leaf in leaves {
        let flag = flags.get_mut(*leaf);
        *flag.ok_or(RedactError::NoSuchLeaf { leaf: *leaf, leaves: footer.leaves() })? = true;
    }
    let kept: Vec<usize> = flags.iter().enumerate().filter(|(_, kept)| **kept).map(|(leaf, _)| leaf).collect();
    if kept.is_empty() {
        return Err(RedactError::EmptySelection);
    }
    match schema::shrink(footer.metadata().file_metadata().schema(), &mut flags) {
        Some(group) => Err(RedactError::Indivisible { group }),
        None => Ok(kept),
    }
}

fn in_file_order<'a>(footer: &'a Footer, kept: &'a [usize]) -> impl Iterator<Item = &'a Unit> {
    let mut units: Vec<&Unit> =
        footer.index().units.iter().filter(|unit| kept.binary_search(&(unit.column as usize)).is_ok()).collect();
    units.sort_by_key(|unit| unit.offset);
    units.into_iter()
}

/// Metadata, length and magic of the new file.
fn write_footer(footer: &Footer, kept: &[usize], moved: &[Vec<(Unit, u64)>]) -> Result<Bytes, RedactError> {
    let source = footer.metadata().file_metadata();
    let root = schema::prune(source.schema(), kept)?;
    let descriptor: SchemaDescPtr = Arc::new(SchemaDescriptor::new(root));
    if descriptor.num_columns() != kept.len() {
        return Err(RedactError::Disagrees("the pruned schema has another number of leaves"));
    }
    let mut groups = Vec::with_capacity(moved.len());
    for (group, moved) in footer.metadata().row_groups().iter().zip(moved) {
        groups.push(row_group(source, group, &descriptor, kept, moved)?);
    }
    let key_values = hint::of(footer.metadata())
        .and_then(|schema| hint::project(&schema, kept, footer.leaves(), hint::Adapt::Nothing))
        .map(|schema| vec![KeyValue::new(hint::KEY.to_owned(), hint::encode(&schema))]);
    let metadata = FileMetaData::new(
        source.version(),
        source.num_rows(),
        Some(CREATED_BY.to_owned()),
        key_values,
        descriptor,
        None,
    );
    let metadata: ParquetMetaData = ParquetMetaDataBuilder::new(metadata).set_row_groups(groups).build();
    let mut bytes = Vec::new();
    ParquetMetaDataWriter::new(&mut bytes, &metadata).finish()?;
    Ok(Bytes::from(bytes))
}

fn row_group(
    file: &FileMetaData,
    source: &RowGroupMetaData,
    descriptor: &SchemaDescPtr,
    kept: &[usize],
    moved: &[(Unit, u64)],
) -> Result<RowGroupMetaData, RedactError> {
    let mut chunks = Vec::with_capacity(kept.len());
    for (number, leaf) in kept.iter().enumerate() {
        let unit = moved.iter().find(|(unit, _)| unit.column as usize == *leaf);
        let (unit, at) = unit.ok_or(RedactError::Disagrees("the index lacks a unit"))?;
        let chunk = source.columns().get(*leaf).ok_or(RedactError::Disagrees("the footer lacks a column chunk"))?;
        let ordered = matches!(file.column_order(*leaf), ColumnOrder::TYPE_DEFINED_ORDER(_));
        chunks.push(column_chunk(chunk, descriptor, number, &Place { unit: *unit, at: *at, ordered })?);
    }
    let first = moved.iter().map(|(_, at)| *at).min().unwrap_or_default();
    let mut builder = RowGroupMetaData::builder(Arc::clone(descriptor))
        .set_num_rows(source.num_rows())
        .set_total_byte_size(chunks.iter().map(ColumnChunkMetaData::uncompressed_size).sum())
        .set_file_offset(signed(first)?)
        .set_sorting_columns(sorting(source, kept))
        .set_column_metadata(chunks);
    if let Some(ordinal) = source.ordinal() {
        builder = builder.set_ordinal(ordinal);
    }
    Ok(builder.build()?)
}

/// Where a column chunk was and will be.
struct Place {
    unit: Unit,
    at: u64,
    /// Its statistics are in the order that the new footer states for every column.
    ordered: bool,
}

impl Place {
    /// An offset of the source as one of the new file; `None` if it points out of the chunk (old writers leave zeros).
    fn moved(&self, offset: i64) -> Result<Option<i64>, RedactError> {
        let within = u64::try_from(offset).ok().and_then(|offset| offset.checked_sub(self.unit.offset));
        within
            .filter(|within| *within < self.unit.bytes)
            .map(|within| signed(self.at.saturating_add(within)))
            .transpose()
    }
}

fn column_chunk(
    source: &ColumnChunkMetaData,
    descriptor: &SchemaDescPtr,
    number: usize,
    place: &Place,
) -> Result<ColumnChunkMetaData, RedactError> {
    let data = place.moved(source.data_page_offset())?;
    let data = match data {
        Some(data) => data,
        // A chunk of no values has no data page, though it may have a dictionary.
        None if place.unit.bytes == 0 || source.num_values() == 0 => signed(place.at)?,
        None => {
            return Err(RedactError::Disagrees("a data page lies outside its column chunk"));
        }
    };
    let moved = |offset: Option<i64>| offset.map_or(Ok(None), |offset| place.moved(offset));
    // A fresh builder, not the source's: what is not named here is not copied.
    let mut builder = ColumnChunkMetaData::builder(descriptor.column(number))
        .set_encodings_mask(*source.encodings_mask())
        .set_compression_codec(source.compression_codec())
        .set_num_values(source.num_values())
        .set_total_compressed_size(source.compressed_size())
        .set_total_uncompressed_size(source.uncompressed_size())
        .set_data_page_offset(data)
        .set_dictionary_page_offset(moved(source.dictionary_page_offset())?)
        .set_index_page_offset(moved(source.index_page_offset())?)
        .set_unencoded_byte_array_data_bytes(source.unencoded_byte_array_data_bytes())
        .set_repetition_level_histogram(source.repetition_level_histogram().cloned())
        .set_definition_level_histogram(source.definition_level_histogram().cloned());
    // Deprecated bounds of old writers are ordered by signed bytes; readers distrust them by the writer's name, which
    // the new footer no longer bears.
    if let Some(statistics) = source.statistics()
        && place.ordered
        && !statistics.is_min_max_deprecated()
    {
        builder = builder.set_statistics(statistics.clone());
    }
    if let Some(statistics) = source.geo_statistics() {
        builder = builder.set_geo_statistics(Box::new(statistics.clone()));
    }
    if let Some(encodings) = source.page_encoding_stats() {
        builder = builder.set_page_encoding_stats(encodings.clone());
    }
    Ok(builder.build()?)
}

/// The sort order that is left: rows sorted by (a, b, c) are, without b, sorted by (a).
fn sorting(source: &RowGroupMetaData, kept: &[usize]) -> Option<Vec<SortingColumn>> {
    let sorted: Vec<SortingColumn> = source
        .sorting_columns()?
        .iter()
        .map_while(|column| {
            let number = kept.binary_search(&usize::try_from(column.column_idx).ok()?).ok()?;
            Some(SortingColumn { column_idx: i32::try_from(number).ok()?, ..column.clone() })
        })
        .collect();
    (!sorted.is_empty()).then_some(sorted)
}

fn signed(offset: u64) -> Result<i64, RedactError> {
    i64::try_from(offset).map_err(|_| RedactError::Disagrees("an offset exceeds 63 bits"))
}
