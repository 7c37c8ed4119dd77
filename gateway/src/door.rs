//! The front doors: adapters from protocols onto the one flow. None has a path of its own.

pub mod data;
pub mod files;
pub mod flight;
pub mod query;
