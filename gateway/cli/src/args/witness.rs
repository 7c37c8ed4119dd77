//! `kouan witness …`: run by the binary.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `kouan witness …`.
#[derive(Debug, Clone, Subcommand)]
pub enum WitnessCommand {
    /// Cosign the checkpoints of the logs that witness.toml names (C2SP tlog-witness), never two histories of one
    Serve(WitnessArgs),
    /// Print the witness's verifier key; made with its memory if it is not there yet
    Key(WitnessArgs),
}

/// A witness's configuration.
#[derive(Debug, Clone, Args)]
pub struct WitnessArgs {
    /// Configuration of the witness: listen, name, key, store, server, logs
    #[arg(long, value_name = "FILE", default_value = "witness.toml")]
    pub config: PathBuf,
}
