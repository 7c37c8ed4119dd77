//! `kouan review …`.

use catalog::{Purpose, ReviewId};
use clap::{Args, Subcommand, ValueEnum};

use super::connect::ConnectArgs;
use super::target::Target;

/// `kouan review …`.
#[derive(Debug, Clone, Subcommand)]
pub enum ReviewCommand {
    /// Ask an authority's officer to release what the policy leaves to a person
    Request(RequestArgs),
    /// Reviews, newest first: an officer's inbox, or those of your participant
    List {
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<StateArg>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// One review, with its reasons; an authority's officer sees the facts too (--json)
    Show {
        /// Review id
        id: ReviewId,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Release it until an end date (compliance of an authority that is no party of the export)
    Release(Box<ReleaseArgs>),
    /// Refuse it
    Refuse {
        /// Review id
        id: ReviewId,
        /// Why; the consumer sees it
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Take a release back, which cuts its streams (an authority's officer), or your own open request
    Withdraw {
        /// Review id
        id: ReviewId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// `kouan review request`.
#[derive(Debug, Clone, Args)]
pub struct RequestArgs {
    /// Dataset, and version if not the newest
    #[arg(value_name = "DATASET[@VERSION]", required_unless_present = "leaf")]
    pub target: Option<Target>,
    /// The refusal, by its log index, instead of dataset and flags
    #[arg(long, value_name = "INDEX", conflicts_with_all = ["target", "columns", "redact", "purpose"])]
    pub leaf: Option<u64>,
    /// Only these columns
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Leave out the columns that no person may release
    #[arg(long)]
    pub redact: bool,
    /// What for; needed when several agreements cover the version
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: Option<Purpose>,
    /// What the officer should know
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan review release`.
#[derive(Debug, Clone, Args)]
pub struct ReleaseArgs {
    /// Review id
    pub id: ReviewId,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The decision, confirmation or file that it rests on
    #[arg(long, value_name = "TEXT")]
    pub reference: String,
    /// Last day (YYYY-MM-DD in Asia/Shanghai), or an RFC 3339 time
    #[arg(long, value_name = "DATE")]
    pub until: String,
    /// How many persons it is, where the manifest does not say (UNK-SUBJECTS)
    #[arg(long, value_name = "N", requires_all = ["sensitive", "under_14"])]
    pub persons: Option<u64>,
    /// Of these, with sensitive information
    #[arg(long, value_name = "N", requires = "persons")]
    pub sensitive: Option<u64>,
    /// Of these, under 14
    #[arg(long = "under-14", value_name = "N", requires = "persons")]
    pub under_14: Option<u64>,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// States of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StateArg {
    /// Waits for an officer.
    Open,
    /// Released.
    Released,
    /// Refused.
    Refused,
    /// Taken back.
    Withdrawn,
}

impl StateArg {
    /// The spelling in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
        }
    }
}
