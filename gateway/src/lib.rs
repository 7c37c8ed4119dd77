//! The gateway: listeners, identity, the one flow, its front doors, and the node that ties them together.
//!
//! `gateway/ARCHITECTURE.md` tells how data walks through it.

pub mod access;
pub mod admin;
pub mod admission;
pub mod authz;
pub mod clock;
pub mod config;
pub mod counting;
pub mod door;
pub mod drain;
pub mod export;
pub mod files;
pub mod gateway;
pub mod identity;
pub mod leaf;
pub mod listener;
pub mod metrics;
pub mod node;
pub mod quickstart;
pub mod rest;
pub mod retention;
pub mod rulesets;
pub mod scrub;
pub mod secrets;
pub mod sessions;
pub mod snapshot;
pub mod trust;
pub mod vault;
pub mod witness;
pub mod witnessing;
