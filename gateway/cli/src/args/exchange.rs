//! `agreement`, `lease`, `plan`, `statement`.

use std::path::PathBuf;

use catalog::{AgreementId, LeaseId, Purpose, VersionName};
use clap::{Args, Subcommand, ValueEnum};

use super::connect::ConnectArgs;
use super::target::Target;

/// `kouan agreement …`.
#[derive(Debug, Clone, Subcommand)]
pub enum AgreementCommand {
    /// Take the offer of a dataset's newest version for a purpose
    Accept {
        /// Dataset
        #[arg(value_name = "DATASET")]
        target: Target,
        /// What for, as the offer says it
        #[arg(long, value_name = "PURPOSE")]
        purpose: Purpose,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Agreements of your participant
    List {
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// One agreement
    Show {
        /// Agreement id
        id: AgreementId,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// End an agreement; live streams under it are cut
    End {
        /// Agreement id
        id: AgreementId,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Take back a part of what was posted under it (two compliance officers of an authority)
    Credit {
        /// Agreement id
        id: AgreementId,
        /// Version of the dataset
        #[arg(long)]
        version: VersionName,
        /// Minor units (fen, cents)
        #[arg(long, value_name = "FEN")]
        amount: u64,
        /// Currency of the agreement
        #[arg(long, default_value = "CNY")]
        currency: String,
        /// The month whose postings are wrong, such as 2026-11
        #[arg(long, value_name = "MONTH")]
        period: String,
        /// Why; a commitment in the log
        #[arg(long)]
        reason: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Note that a foreign judicial or law-enforcement body asks for what is pulled under it (an authority's officer)
    ForeignAuthority {
        /// Agreement id
        id: AgreementId,
        /// It does no longer
        #[arg(long)]
        clear: bool,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// `kouan lease …`.
#[derive(Debug, Clone, Subcommand)]
pub enum LeaseCommand {
    /// Streams, newest first
    List {
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// One lease
    Show {
        /// Lease id
        id: LeaseId,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Lift a cut: two compliance officers of an authority, one after the other
    Restore {
        /// Lease id
        id: LeaseId,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// End its streams now; the cut stands until it is lifted
    Cut {
        /// Lease id
        id: LeaseId,
        /// Why; the consumer sees it
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// `kouan plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
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
    /// What for; needed unless one agreement covers the version
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: Option<Purpose>,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan statement`.
#[derive(Debug, Clone, Args)]
pub struct StatementArgs {
    /// Whose: id or trust domain
    #[arg(long, value_name = "PARTICIPANT")]
    pub participant: String,
    /// Month in Asia/Shanghai
    #[arg(long, value_name = "YYYY-MM")]
    pub period: String,
    /// A table if absent
    #[arg(long, value_enum)]
    pub format: Option<StatementFormat>,
    /// Write it to this file
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Instead of the lines: what stood on the accounts of a closed month, proven against the log
    #[arg(long, conflicts_with_all = ["format", "font"])]
    pub proof: bool,
    /// The log's verifier key, a file or the key itself; without it a proof only agrees with itself
    #[arg(long, value_name = "KEY", requires = "proof")]
    pub log_key: Option<String>,
    /// Font of a PDF, with Chinese characters; one that is installed if absent
    #[arg(long, value_name = "FILE")]
    pub font: Option<PathBuf>,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Forms of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatementFormat {
    /// As the API gives it.
    Json,
    /// For a spreadsheet; nothing in it can be taken for a formula.
    Csv,
    /// For printing, in English, 繁體 and 简体.
    Pdf,
}
