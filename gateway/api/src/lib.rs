//! The wire types of the REST API and of the command line's JSON: what INTERFACE.md fixes, in one place.
//!
//! Members are snake_case; money is a decimal string of minor units with a currency; times are RFC 3339 with offset.

pub mod audit;
pub mod card;
pub mod catalog;
pub mod claim;
pub mod exchange;
pub mod explain;
pub mod mechanism;
pub mod participant;
pub mod payment;
pub mod privacy;
pub mod problem;
pub mod review;
pub mod ruleset;
pub mod statement;

pub use explain::{Explain, Viewer};
pub use problem::{Code, Problem};

/// Media types and header names of the API.
pub mod names {
    /// RFC 9457.
    pub const PROBLEM_JSON: &str = "application/problem+json";
    /// Arrow IPC stream.
    pub const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";
    /// Parquet.
    pub const PARQUET: &str = "application/vnd.apache.parquet";
    /// JSON Lines.
    pub const JSON_LINES: &str = "application/jsonl";
    /// Comma-separated values.
    pub const CSV: &str = "text/csv";
    /// A dataset manifest.
    pub const TOML: &str = "application/toml";
    /// The lease of a data response.
    pub const LEASE: &str = "kouan-lease";
    /// Log index of the decision of a data response.
    pub const LEAF: &str = "kouan-leaf";
    /// `<minor units> <currency>`: what the selection costs when all of it is delivered.
    pub const PRICE: &str = "kouan-price";
    /// Chooses the agreement when there are several.
    pub const PURPOSE: &str = "x-kouan-purpose";
    /// First byte that an interrupted upload still needs.
    pub const UPLOAD_OFFSET: &str = "upload-offset";
    /// Makes a POST safe to repeat.
    pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
}
