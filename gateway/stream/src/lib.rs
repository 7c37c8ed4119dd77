//! The data plane as values: what bytes a consumer may range over, and how they become frames.
//!
//! Pure: the stored file comes in as [`bytes::Bytes`] (a mapping of our own read-only copy), frames go out as slices of
//! it. Nothing here opens, waits or logs. Every block is verified against the [`catalog::FileIndex`] before a byte of it
//! leaves (INV-11), and every frame names the source intervals it delivers, for the meter (INV-4).

pub mod batches;
pub mod chunks;
pub mod footer;
pub mod frame;
pub mod ipc;
pub mod range;
pub mod redact;
pub mod representation;
pub mod select;
pub mod text;

mod guard;

pub use batches::{Batch, BatchError, Projection, RowGroupReader};
pub use chunks::ChunkEntry;
pub use footer::{Footer, FooterError};
pub use frame::{Frame, FrameReader, IntegrityError};
pub use redact::RedactError;
pub use representation::{Delivered, Piece, Representation, RepresentationError};
pub use select::SelectError;

#[cfg(test)]
mod sample;
