//! `kouan pull`.

use std::path::PathBuf;

use catalog::Purpose;
use clap::{Args, ValueEnum};

use super::connect::ConnectArgs;
use super::target::Target;

/// What to pull, on what terms, and where to put it.
#[derive(Debug, Clone, Args)]
pub struct PullArgs {
    /// Dataset, and version if not the newest
    #[arg(value_name = "DATASET[@VERSION]")]
    pub target: Target,
    /// Only these columns
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Row filter (in a later release)
    #[arg(long = "where", value_name = "EXPR", hide = true)]
    pub filter: Option<String>,
    /// Leave out the columns that may not leave
    #[arg(long)]
    pub redact: bool,
    /// What for, as the offer says it
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: Option<Purpose>,
    /// Take the offer, if no agreement covers the version yet
    #[arg(long)]
    pub accept: bool,
    /// Stop if all of it costs more than this many minor units (fen, cents)
    #[arg(long, value_name = "FEN")]
    pub max_price: Option<u64>,
    /// Only this file of the version; may be repeated
    #[arg(long, value_name = "NAME")]
    pub file: Vec<String>,
    /// parquet: the stored files, verified and resumable; the others are one stream
    #[arg(long, value_enum, default_value_t = Format::Parquet)]
    pub format: Format,
    /// Folder for the files
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Connections at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub parallel: u16,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The stored Parquet files, or the virtual ones of a column subset.
    Parquet,
    /// An Arrow IPC stream.
    Arrow,
    /// Comma-separated values.
    Csv,
    /// JSON Lines.
    Jsonl,
}
