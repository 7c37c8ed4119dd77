//! Decisions against the worked cases, against an oracle, and against what must hold of them all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "decisions/because.rs"]
mod because;
#[path = "decisions/fuzz.rs"]
mod fuzz;
#[path = "decisions/generator.rs"]
mod generator;
#[path = "decisions/local.rs"]
mod local;
#[path = "decisions/oracle.rs"]
mod oracle;
#[path = "decisions/properties.rs"]
mod properties;
#[path = "decisions/remedy.rs"]
mod remedy;
#[path = "decisions/vectors.rs"]
mod vectors;
