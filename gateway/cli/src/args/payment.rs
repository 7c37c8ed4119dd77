//! `payment`, `fx`, `books`.

use std::path::PathBuf;

use catalog::AgreementId;
use clap::{ArgGroup, Args, Subcommand};

use super::connect::ConnectArgs;

/// `kouan payment …`.
#[derive(Debug, Clone, Subcommand)]
pub enum PaymentCommand {
    /// Say that an agreement was paid, and what shows it (the agreement's broker)
    Record(RecordPaymentArgs),
    /// Payments of your participant's agreements
    List {
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Take a wrong payment back (two compliance officers of an authority, one after the other)
    Reverse {
        /// Payment id
        id: String,
        /// Why; a commitment in the log
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// `kouan payment record`.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("paper").required(true).args(["bank", "fapiao"]))]
pub struct RecordPaymentArgs {
    /// Agreement id: the contract that was paid
    pub agreement: AgreementId,
    /// What was paid, minor units (fen, cents)
    #[arg(long, value_name = "FEN")]
    pub amount: String,
    /// In which currency
    #[arg(long, default_value = "CNY")]
    pub currency: String,
    /// On which day
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub on: String,
    /// The bank's slip: its SHA-256 is recorded, the file stays here
    #[arg(long, value_name = "FILE")]
    pub bank: Option<PathBuf>,
    /// The fapiao: its SHA-256 is recorded, the file stays here
    #[arg(long, value_name = "FILE")]
    pub fapiao: Option<PathBuf>,
    /// Number of the slip or fapiao
    #[arg(long, value_name = "NUMBER")]
    pub reference: String,
    /// Recorded rate, where it was paid in another currency than the agreement's (kouan fx list)
    #[arg(long, value_name = "ID")]
    pub rate: Option<String>,
    /// What the broker keeps of the exchange, minor units of the agreement's currency
    #[arg(long, value_name = "FEN", requires = "rate")]
    pub spread: Option<String>,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan fx …`.
#[derive(Debug, Clone, Subcommand)]
pub enum FxCommand {
    /// Record a rate: a broker or officer proposes it, a compliance officer of an authority sends the same
    Add(AddRateArgs),
    /// Rates on record
    List {
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// `kouan fx add`.
#[derive(Debug, Clone, Args)]
pub struct AddRateArgs {
    /// What is given, CNY or HKD
    #[arg(long, value_name = "CURRENCY")]
    pub from: String,
    /// What is got, CNY or HKD
    #[arg(long, value_name = "CURRENCY")]
    pub to: String,
    /// How much of TO one of FROM is, as a fraction
    #[arg(long, value_name = "NUM/DEN")]
    pub rate: String,
    /// Who publishes it
    #[arg(long, value_name = "TEXT")]
    pub source: String,
    /// Of which day
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub as_of: String,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan books`.
#[derive(Debug, Clone, Args)]
pub struct BooksArgs {
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}
