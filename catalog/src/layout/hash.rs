//! Hashes a file that was laid out into its [`FileIndex`].

use parquet::arrow::parquet_to_arrow_schema;

use super::{Depth, Layout, LayoutError, Limits, number, slice};
use crate::digest::Hasher;
use crate::file_index::{BLOCK_BYTES, Leaf, Unit};
use crate::guard::guarded;
use crate::{Digest, FileIndex, Region};

/// [`BLOCK_BYTES`] as a length in memory.
const BLOCK: usize = 64 * 1024;
const _: () = assert!(BLOCK as u64 == BLOCK_BYTES);

impl Layout {
    /// Hashes `file` into its index.
    ///
    /// # Errors
    /// [`LayoutError::Untrue`] at the first gap: a file with gaps has no index, it is packed first.
    pub fn index(&self, file: &[u8]) -> Result<FileIndex, LayoutError> {
        if let Some(gap) = self.gaps.first() {
            return Err(LayoutError::untrue(gap.offset, "bytes that no reader looks at: the file must be packed"));
        }
        let schema = self.metadata.file_metadata();
        let arrow = guarded(|| parquet_to_arrow_schema(schema.schema_descr(), schema.key_value_metadata()))
            .map_err(|error| LayoutError::damaged(0, format!("the schema cannot be read: {error}")))?
            .map_err(|error| LayoutError::damaged(0, format!("the schema cannot be read: {error}")))?;
        let leaves = schema.schema_descr().columns().iter().enumerate().map(|(leaf, descriptor)| {
            let root = schema.schema_descr().get_column_root_idx(leaf);
            let field = arrow.fields().get(root).map(|field| field.data_type().to_string());
            Leaf { path: descriptor.path().string(), r#type: field.unwrap_or_default() }
        });
        let mut regions = Vec::with_capacity(self.spans.len());
        let mut whole = Hasher::default();
        for (kind, range) in &self.spans {
            let bytes = slice(file, range)?;
            let mut hasher = Hasher::default();
            let mut blocks = Vec::with_capacity(bytes.len().div_ceil(BLOCK));
            for block in bytes.chunks(BLOCK) {
                let hash = blake3::hash(block);
                whole.update(block);
                hasher.update(hash.as_bytes());
                blocks.push(*hash.as_bytes());
            }
            let bytes = range.end - range.start;
            regions.push(Region { kind: *kind, offset: range.start, bytes, digest: hasher.finish(), blocks });
        }
        let mut units = Vec::new();
        for (row_group, group) in self.metadata.row_groups().iter().enumerate() {
            for (column, meta) in group.columns().iter().enumerate() {
                let range = self.chunk_range(row_group, column)?;
                units.push(Unit {
                    row_group: number(row_group),
                    column: number(column),
                    offset: range.start,
                    bytes: range.end - range.start,
                    uncompressed_bytes: meta.uncompressed_size().unsigned_abs(),
                });
            }
        }
        units.sort_by_key(|unit| (unit.offset, unit.row_group, unit.column));
        let row_groups = self.metadata.row_groups().iter().map(|group| group.num_rows().unsigned_abs()).collect();
        // The regions tile the file, so that their bytes one after the other are the file.
        let sha256: Digest = whole.finish();
        Ok(FileIndex { bytes: file.len() as u64, sha256, row_groups, leaves: leaves.collect(), units, regions })
    }
}

/// Lays `file` out down to every page and hashes it: what a stored file must pass.
pub fn index(file: &[u8], limits: &Limits) -> Result<FileIndex, LayoutError> {
    Layout::read(file, limits, Depth::Pages)?.index(file)
}
