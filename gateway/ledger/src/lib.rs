//! The meter's arithmetic: sets of delivered bytes, prices, and the statements made of them.
//!
//! Pure: what was delivered, the agreements and the files' units come in as arguments; amounts are exact rationals in
//! 128-bit integers, floored once per entitlement (agreement × version), never rounded in between.

pub mod interval;

pub use interval::{IntervalError, IntervalSet};
