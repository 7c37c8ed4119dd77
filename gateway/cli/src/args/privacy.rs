//! `kouan subject …`, `kouan hold …`, `kouan retention …`, `kouan store …`.

use catalog::{DatasetId, LeaseId, ParticipantId};
use clap::{Args, Subcommand};

use super::connect::ConnectArgs;

/// `kouan subject …`.
#[derive(Debug, Clone, Subcommand)]
pub enum SubjectCommand {
    /// Destroy a person's key, and with it everything that is sealed under it (two compliance officers)
    #[command(
        after_help = "No entry of the log changes and every proof still verifies. What the key has sealed (the openings of \
                            commitments, receipts' certificates, reasons that the person wrote) opens nowhere any more, in no \
                            copy of the data directory made before either.\n\
                            The first officer asks, the second sends the same and it is done."
    )]
    Erase(EraseArgs),
}

/// `kouan subject erase`.
#[derive(Debug, Clone, Args)]
pub struct EraseArgs {
    /// The person's SPIFFE id; a person who acts in two roles has two
    #[arg(value_name = "SPIFFE_ID")]
    pub person: String,
    /// The legal basis, a token such as pipl-47: it stands in the log
    #[arg(long, value_name = "TOKEN")]
    pub basis: String,
    /// Why: the log only commits to it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan hold …`.
#[derive(Debug, Clone, Subcommand)]
pub enum HoldCommand {
    /// Keep something from being erased or deleted (two officers of an authority)
    Add(AddHoldArgs),
    /// Holds in force, then those that were lifted
    List {
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Lift one (two officers of an authority)
    Release {
        /// Hold id
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// `kouan hold add`.
#[derive(Debug, Clone, Args)]
pub struct AddHoldArgs {
    /// On what.
    #[command(flatten)]
    pub on: HoldOnArgs,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// What a hold is on: exactly one of these.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct HoldOnArgs {
    /// Everything that names a participant
    #[arg(long)]
    pub participant: Option<ParticipantId>,
    /// Everything about a dataset
    #[arg(long)]
    pub dataset: Option<DatasetId>,
    /// Everything about a lease
    #[arg(long)]
    pub lease: Option<LeaseId>,
    /// Everything of a person
    #[arg(long, value_name = "SPIFFE_ID")]
    pub person: Option<String>,
}

/// `kouan retention …`.
#[derive(Debug, Clone, Subcommand)]
pub enum RetentionCommand {
    /// Delete what is past its time and not on hold, as the gateway does once a day (operator, or compliance of an authority)
    Run {
        /// Only say what would be deleted
        #[arg(long)]
        dry_run: bool,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// `kouan store …`.
#[derive(Debug, Clone, Subcommand)]
pub enum StoreCommand {
    /// Read all that is stored again and name what is not what was written, as the gateway does once a day (operator, or
    /// compliance of an authority); exit status 6 if something is
    Scrub {
        /// Only say what the last one found
        #[arg(long)]
        last: bool,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Rows and bytes of every class, how long they are kept, what is due and what is held
    Report {
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
}
