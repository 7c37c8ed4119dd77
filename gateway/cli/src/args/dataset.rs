//! `kouan dataset …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::connect::ConnectArgs;
use super::target::Target;

/// `kouan dataset …`.
#[derive(Debug, Clone, Subcommand)]
pub enum DatasetCommand {
    /// Look into Parquet, Arrow IPC, CSV or JSON Lines, or a folder of them; offline
    Inspect {
        /// File or folder
        path: PathBuf,
        /// Write a dataset card too: a page (.html) or JSON (.json)
        #[arg(long, value_name = "FILE")]
        card: Option<PathBuf>,
    },
    /// Register a version: manifest, then files; goes on where it was interrupted
    Register(RegisterArgs),
    /// Hand a version in for approval
    Submit(ActionArgs),
    /// Approve a version for export (compliance of another participant than the submitter)
    Approve(ActionArgs),
    /// Offer an approved version
    Publish(ActionArgs),
    /// Suspend a version: live streams end within a second
    Suspend(ReasonArgs),
    /// Withdraw a version for good: live streams end within a second
    Withdraw(ReasonArgs),
    /// Lift a suspension (two officers of an authority)
    Resume(ActionArgs),
    /// Accept what inspection found beyond the declared class of a column (compliance of an authority)
    AcceptFinding(AcceptFindingArgs),
    /// Confirm the exemption that a version declares (compliance of an authority)
    ConfirmExemption(ActionArgs),
    /// Confirm that derived data identify nobody any more (compliance of an authority)
    ConfirmAnonymisation(ActionArgs),
    /// Datasets that you may see
    List(ListArgs),
    /// One dataset, or one version of it: schema, files, offer
    Show(ActionArgs),
    /// The dataset card: quality, terms, classes, findings on one page
    Card(CardArgs),
    /// Search in English, Traditional and Simplified Chinese alike
    Search(SearchArgs),
}

/// What `register --help` says of the newer parts of a manifest.
const MANIFEST_HELP: &str = "\
In the manifest, beside the usual keys:
  label_column = \"topic\"       in [dataset]: the quality report tells how evenly its values are spread
  [[derived_from]]             once for each input of derived data, received through this gateway:
  dataset, version             which, and
  agreement or lease           under what; the limits of the strictest input are inherited
  anonymisation_report = { reference = \"…\", evidence = \"sha256:…\" }
                               in [compliance]: lifts limits of personal information once an officer confirms it";

/// `kouan dataset register`.
#[derive(Debug, Clone, Args)]
#[command(after_help = MANIFEST_HELP)]
pub struct RegisterArgs {
    /// The manifest, TOML
    pub manifest: PathBuf,
    /// Files, or folders of files, to upload
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Files to copy on the node, relative to your participant's own root there
    #[arg(long, value_name = "RELPATH", num_args = 1.., conflicts_with = "data")]
    pub from: Vec<String>,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// A dataset or version, nothing else.
#[derive(Debug, Clone, Args)]
pub struct ActionArgs {
    /// Dataset, and version if not the newest
    #[arg(value_name = "DATASET[@VERSION]")]
    pub target: Target,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan dataset card`.
#[derive(Debug, Clone, Args)]
pub struct CardArgs {
    /// Dataset, and version if not the newest
    #[arg(value_name = "DATASET[@VERSION]")]
    pub target: Target,
    /// Write the page (.html) or the JSON (.json) there
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// A version and why.
#[derive(Debug, Clone, Args)]
pub struct ReasonArgs {
    /// Dataset, and version if not the newest
    #[arg(value_name = "DATASET[@VERSION]")]
    pub target: Target,
    /// Why; those it concerns see it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan dataset accept-finding`.
#[derive(Debug, Clone, Args)]
pub struct AcceptFindingArgs {
    /// Dataset, and version if not the newest
    #[arg(value_name = "DATASET[@VERSION]")]
    pub target: Target,
    /// The column, as `kouan dataset show` lists it
    #[arg(long, value_name = "COLUMN")]
    pub column: String,
    /// Why what was found there is no reason to raise its class; recorded
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan dataset list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// What to look for.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan dataset search`.
#[derive(Debug, Clone, Args)]
pub struct SearchArgs {
    /// Words
    #[arg(value_name = "WORDS", required = true)]
    pub words: Vec<String>,
    /// What to look for.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Facets.
#[derive(Debug, Clone, Args)]
pub struct FilterArgs {
    /// Theme
    #[arg(long)]
    pub theme: Option<String>,
    /// Language of the content, BCP 47
    #[arg(long)]
    pub language: Option<String>,
    /// Data class: core, important, general
    #[arg(long)]
    pub class: Option<String>,
    /// Whose data: id or trust domain
    #[arg(long)]
    pub participant: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}
