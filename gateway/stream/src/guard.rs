//! A wall around third-party decoders.
//!
//! The Arrow and Parquet readers return errors for most damage but still panic on some (an Arrow schema message whose
//! type has no children, a page that disagrees with its header). A peer's file must only ever cause an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The decoder panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs `decode`; a panic inside it becomes an error. Whatever `decode` was changing must be dropped after an error.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(decode)).map_err(|_| Panicked)
}
