//! `kouan policy …`.

use clap::{Args, Subcommand};

use super::node::LaterArgs;

/// `kouan policy …`.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Decide facts, offline: exit 0 allow, 3 deny, 9 review, 2 bad input
    Decide(DecideArgs),
    /// Validate the rule set in this binary, or a folder of rules
    Check(CheckArgs),
    /// Say what a rule means
    Explain {
        /// Rule id, such as CN-06
        rule: String,
    },
    /// Rules of the set in this binary
    List,
    /// Re-decide recorded requests under another set (in a later release)
    #[command(hide = true)]
    Replay(LaterArgs),
    /// Put a set into force (in a later release)
    #[command(hide = true)]
    Activate(LaterArgs),
}

/// `kouan policy decide`.
#[derive(Debug, Clone, Args)]
pub struct DecideArgs {
    /// Facts as JSON; - is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub facts: String,
    /// JSON Lines in, one decision a line out, exit 0
    #[arg(long)]
    pub batch: bool,
}

/// `kouan policy check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Rule files to validate with the built-in ones (in a later release)
    #[arg(value_name = "PATH", hide = true)]
    pub path: Option<std::path::PathBuf>,
}
