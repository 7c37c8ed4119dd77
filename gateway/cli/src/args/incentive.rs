//! `kouan incentive …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::connect::ConnectArgs;

/// `kouan incentive …`.
#[derive(Debug, Clone, Subcommand)]
pub enum IncentiveCommand {
    /// Programmes in this binary: dates, source, parameters
    List,
    /// What a programme gives whom in a year, with every step; offline
    Evaluate(EvaluateArgs),
    /// File a claim (exit 9: it awaits release), or, once it is released, write its bundle
    Claim(ClaimArgs),
    /// Verify a claim bundle without a network: exit 6 names the file that does not hold
    Verify(VerifyArgs),
    /// Claims of your participant
    Claims {
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Release a claim of another participant (an authority's compliance officer)
    Release {
        /// Claim id
        id: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Have the signatures and certificates of a claim's receipts opened for its bundle, which then names who signed: the claimant
    /// and an authority's compliance officer send the same, the officer last
    OpenReceipts {
        /// Claim id
        id: String,
        /// Who gets the bundle
        #[arg(long, value_name = "WHO")]
        to: String,
        /// What for
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Refuse a claim of another participant (an authority's compliance officer)
    Refuse {
        /// Claim id
        id: String,
        /// Why; the participant reads it
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
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

/// `kouan incentive claim`.
#[derive(Debug, Clone, Args)]
pub struct ClaimArgs {
    /// Programme, as `kouan incentive list` names it
    #[arg(long, value_name = "ID")]
    pub programme: String,
    /// Year, as `kouan incentive evaluate` takes it
    #[arg(long, value_name = "YYYY", value_parser = clap::value_parser!(i16).range(1..=9999))]
    pub year: i16,
    /// Font of the statement.pdf in it, with Chinese characters; one that is installed if absent
    #[arg(long, value_name = "FILE")]
    pub font: Option<PathBuf>,
    /// With the signatures and certificates of receipts, which name persons, once they are opened (`open-receipts`)
    #[arg(long)]
    pub receipts: bool,
    /// Where the bundle goes; claim-PROGRAMME-YEAR-PARTICIPANT.zip if absent
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan incentive verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// The log's verifier key, a file or the key itself; without it the bundle is only shown to agree with itself
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Trust policy (C2SP tlog-policy) of your own: the log must be one of its logs, and the checkpoints must meet its quorum;
    /// without it witnesses count as the bundle's own policy says
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}
