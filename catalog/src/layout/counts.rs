//! What a footer says of counts and sizes, checked before any page is looked at.

use super::{Layout, LayoutError, Limits, expand};

impl Layout {
    /// Counts and sizes of the footer that need no page to be looked at.
    pub(super) fn counts(&self, footer: u64, limits: &Limits) -> Result<(), LayoutError> {
        let file = self.metadata.file_metadata();
        let columns = file.schema_descr().num_columns();
        if columns > limits.columns {
            let what = format!("{columns} leaf columns");
            return Err(LayoutError::TooLarge { offset: footer, what, limit: limits.columns as u64 });
        }
        if columns == 0 {
            return Err(LayoutError::damaged(footer, "the file has no columns"));
        }
        let (mut rows, mut stored, mut expanded) = (0u64, 0u64, 0u64);
        for (number, group) in self.metadata.row_groups().iter().enumerate() {
            let untrue = |what: String| LayoutError::untrue(footer, format!("row group {number} {what}"));
            let group_rows =
                u64::try_from(group.num_rows()).map_err(|_| untrue("has a negative number of rows".to_owned()))?;
            rows = rows.saturating_add(group_rows);
            let (mut group_stored, mut group_expanded) = (0u64, 0u64);
            for meta in group.columns() {
                let path = meta.column_path().string();
                let sizes = (u64::try_from(meta.compressed_size()), u64::try_from(meta.uncompressed_size()));
                let (Ok(small), Ok(large)) = sizes else {
                    return Err(untrue(format!("says that column `{path}` has a negative size")));
                };
                if meta.file_path().is_some() {
                    return Err(untrue(format!("keeps column `{path}` in another file")));
                }
                if !expand::known(meta.compression()) {
                    let codec = meta.compression();
                    let what = format!(
                        "column `{path}` is compressed with {codec}: write it with zstd, snappy, gzip, brotli or LZ4_RAW"
                    );
                    return Err(LayoutError::Unsupported { offset: footer, what });
                }
                let limit = small.saturating_mul(limits.expansion).max(limits.expansion_floor_bytes);
                if large > limit {
                    let what = format!("column `{path}` would unpack {small} bytes to {large}");
                    return Err(LayoutError::TooLarge { offset: footer, what, limit });
                }
                group_stored = group_stored.saturating_add(small);
                group_expanded = group_expanded.saturating_add(large);
            }
            // Some writers put the stored size here; any other number is made up.
            let total = u64::try_from(group.total_byte_size());
            if total != Ok(group_expanded) && total != Ok(group_stored) {
                let said = group.total_byte_size();
                return Err(untrue(format!("says it has {said} bytes, its columns {group_expanded}")));
            }
            stored = stored.saturating_add(group_stored);
            expanded = expanded.saturating_add(group_expanded);
        }
        if u64::try_from(file.num_rows()) != Ok(rows) {
            let what = format!("the footer says {} rows, its row groups {rows}", file.num_rows());
            return Err(LayoutError::untrue(footer, what));
        }
        let limit = stored.saturating_mul(limits.expansion).max(limits.expansion_floor_bytes.saturating_mul(4));
        let limit = limit.min(limits.uncompressed_bytes);
        if expanded > limit {
            return Err(LayoutError::TooLarge {
                offset: footer,
                what: format!("the file would unpack to {expanded} bytes"),
                limit,
            });
        }
        Ok(())
    }
}
