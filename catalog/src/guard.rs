//! Keeps a panic of a third-party decoder, fed with bytes from outside, an error: the decoders of arrow and parquet
//! give up with `unimplemented!` or a failed assertion on some damaged files.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A decoder gave up on its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reader gave up on it")]
pub(crate) struct GaveUp;

/// Runs `decode`, which must not leave anything behind that is used after a panic.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> T) -> Result<T, GaveUp> {
    catch_unwind(AssertUnwindSafe(decode)).map_err(|_| GaveUp)
}
