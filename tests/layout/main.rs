//! The house rules that a compiler does not know: which crate may see which, and what a file may look like.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::case_sensitive_file_extension_comparisons
)]

mod arrows;
mod crashpoints;
mod tidy;
