//! Witnesses: third parties that cosign a log's checkpoints, so that its operator alone cannot rewrite it.
//!
//! | module | C2SP | does |
//! |---|---|---|
//! | [`cosignature`] | tlog-cosignature | timestamped Ed25519 cosignatures (cosignature/v1) and their keys |
//! | [`policy`] | tlog-policy | whose cosignatures make a quorum; judges a checkpoint |
//! | [`request`] | tlog-witness | the body of `add-checkpoint` |
//! | [`server`] | tlog-witness | a witness's step: what it has seen, a request and the time give an answer |
//! | [`client`] | tlog-witness | what a log does about a witness's answer |
//!
//! Neither step keeps anything: the caller makes what was seen durable before it lets the cosignature go.

pub mod client;
pub mod cosignature;
pub mod policy;
pub mod request;
pub mod server;

pub use client::{Answer, Submission, WitnessReply};
pub use cosignature::{Cosigner, CosignerKey};
pub use policy::{PolicyError, WitnessPolicy, Witnessed};
pub use request::{AddCheckpoint, AddCheckpointError};
pub use server::{Refusal, Seen, Witness};

/// Media type of a 409 answer: the size that the witness has seen.
pub const SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";
