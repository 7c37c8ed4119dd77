//! How much a file on its way in may ask of us.

/// How much a file may ask of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest footer. 64 MiB.
    pub footer_bytes: u64,
    /// Largest uncompressed page. 256 MiB.
    pub page_bytes: u64,
    /// Most uncompressed bytes of a file. 1 TiB.
    pub uncompressed_bytes: u64,
    /// A column chunk, and a file, may expand to so many times its stored bytes … 1,000.
    pub expansion: u64,
    /// … or to so many bytes, whichever is more. 256 MiB; a file four times that.
    pub expansion_floor_bytes: u64,
    /// Most values of one column in one row. 16 Mi.
    pub row_values: u64,
    /// Most leaf columns. 4,096.
    pub columns: usize,
    /// Longest line or value of a text file on its way in. 16 MiB.
    pub line_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            footer_bytes: 64 << 20,
            page_bytes: 256 << 20,
            uncompressed_bytes: 1 << 40,
            expansion: 1000,
            expansion_floor_bytes: 256 << 20,
            row_values: 16 << 20,
            columns: 4096,
            line_bytes: 16 << 20,
        }
    }
}
