//! Why a Parquet file is refused.

/// Why a Parquet file is refused. Every reason names the offset of the byte at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Not Parquet, cut off, or bytes that do not decode.
    #[error("at byte {offset}: {what}")]
    Damaged {
        /// Offset in the file.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The footer, or a page header, says what the bytes do not bear out.
    #[error("at byte {offset}: {what}")]
    Untrue {
        /// Offset in the file.
        offset: u64,
        /// What is claimed and what is so.
        what: String,
    },
    /// Two regions claim the same bytes.
    #[error("at byte {offset}: {second} overlaps {first}")]
    Overlap {
        /// Where the second one begins.
        offset: u64,
        /// The region that comes first.
        first: String,
        /// The region that begins inside it.
        second: String,
    },
    /// Encrypted modules or footer: nothing in it could be inspected.
    #[error("at byte {offset}: the file is encrypted, so that it cannot be inspected: upload it decrypted")]
    Encrypted {
        /// Offset in the file.
        offset: u64,
    },
    /// More than [`super::Limits`] allow.
    #[error("at byte {offset}: {what}, more than the limit of {limit}")]
    TooLarge {
        /// Offset in the file.
        offset: u64,
        /// What is too large.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// Legal Parquet that we do not read.
    #[error("at byte {offset}: {what}")]
    Unsupported {
        /// Offset in the file.
        offset: u64,
        /// What it is, and what to do instead.
        what: String,
    },
}

impl LayoutError {
    pub(super) fn damaged(offset: u64, what: impl Into<String>) -> Self {
        Self::Damaged { offset, what: what.into() }
    }

    pub(super) fn untrue(offset: u64, what: impl Into<String>) -> Self {
        Self::Untrue { offset, what: what.into() }
    }

    /// The byte at fault.
    pub const fn offset(&self) -> u64 {
        match self {
            Self::Damaged { offset, .. }
            | Self::Untrue { offset, .. }
            | Self::Overlap { offset, .. }
            | Self::Encrypted { offset }
            | Self::TooLarge { offset, .. }
            | Self::Unsupported { offset, .. } => *offset,
        }
    }
}
