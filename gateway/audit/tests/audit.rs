//! The audit core from outside: public vectors, tampering with every byte, and properties.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod audit {
    pub mod memory_log;
    pub mod vectors;

    mod golden;
    mod merkle;
    mod policy;
    mod properties;
    mod tamper;
    mod verifier;
    mod witness;
}
