//! `kouan incentive …`.

use clap::{Args, Subcommand};

use super::node::LaterArgs;

/// `kouan incentive …`.
#[derive(Debug, Clone, Subcommand)]
pub enum IncentiveCommand {
    /// Programmes in this binary: dates, source, parameters
    List,
    /// What a programme gives whom in a year, with every step; offline
    Evaluate(EvaluateArgs),
    /// Claim bundle (in a later release)
    #[command(hide = true)]
    Claim(LaterArgs),
    /// Verify a claim bundle (in a later release)
    #[command(hide = true)]
    Verify(LaterArgs),
}

/// `kouan incentive evaluate`.
#[derive(Debug, Clone, Args)]
pub struct EvaluateArgs {
    /// Programme, as `kouan incentive list` names it
    #[arg(long, value_name = "ID")]
    pub programme: String,
    /// Award year of the Qianhai reward (its base is the year before); year of the transactions for the others
    #[arg(long, value_name = "YYYY", value_parser = clap::value_parser!(i16).range(1..=9999))]
    pub year: i16,
    /// Transactions as JSON; - is standard input
    #[arg(long, value_name = "FILE")]
    pub input: String,
}
