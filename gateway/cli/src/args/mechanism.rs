//! `kouan mechanism …`.

use std::path::PathBuf;

use catalog::{MechanismId, ParticipantId};
use clap::{Args, Subcommand, ValueEnum};

use super::connect::ConnectArgs;

/// `kouan mechanism …`.
#[derive(Debug, Clone, Subcommand)]
pub enum MechanismCommand {
    /// Put a mechanism on file; it counts once an authority has confirmed it
    Add(Box<AddMechanismArgs>),
    /// Mechanisms on file
    List {
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// One mechanism
    Show {
        /// Mechanism id
        id: MechanismId,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Record the day on which the contract was filed; it counts once it is confirmed
    Filed {
        /// Mechanism id
        id: MechanismId,
        /// Day of filing, YYYY-MM-DD
        #[arg(long, value_name = "DATE")]
        filed: jiff::civil::Date,
        /// A document of the filing: hashed here, only name and digest are sent
        #[arg(long = "document", value_name = "FILE")]
        documents: Vec<PathBuf>,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Confirm it, or the filing that was recorded since (compliance of an authority that is no party)
    Confirm {
        /// Mechanism id
        id: MechanismId,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Revoke it; live streams that rest on it are cut
    Revoke {
        /// Mechanism id
        id: MechanismId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// `kouan mechanism add`.
#[derive(Debug, Clone, Args)]
pub struct AddMechanismArgs {
    /// TOML file with the members of POST /v1/mechanisms, instead of the flags
    #[arg(value_name = "FILE", conflicts_with_all = ["kind", "reference", "exporter", "recipient", "effective"])]
    pub file: Option<PathBuf>,
    /// Which instrument
    #[arg(long, value_enum, required_unless_present = "file")]
    pub kind: Option<MechanismKindArg>,
    /// The authority's or the filing's reference
    #[arg(long, required_unless_present = "file")]
    pub reference: Option<String>,
    /// Participant whose data leave
    #[arg(long, value_name = "PARTICIPANT", required_unless_present = "file")]
    pub exporter: Option<ParticipantId>,
    /// Participant that receives them
    #[arg(long, value_name = "PARTICIPANT", required_unless_present = "file")]
    pub recipient: Option<ParticipantId>,
    /// First day in force, YYYY-MM-DD
    #[arg(long, value_name = "DATE", required_unless_present = "file")]
    pub effective: Option<jiff::civil::Date>,
    /// Day of filing
    #[arg(long, value_name = "DATE")]
    pub filed: Option<jiff::civil::Date>,
    /// Last day in force
    #[arg(long, value_name = "DATE")]
    pub expires: Option<jiff::civil::Date>,
    /// Dataset ids, or *
    #[arg(long = "dataset", value_name = "ID", value_delimiter = ',', default_value = "*")]
    pub datasets: Vec<String>,
    /// Purposes, or *
    #[arg(long = "purpose", value_name = "PURPOSE", value_delimiter = ',', default_value = "*")]
    pub purposes: Vec<String>,
    /// Approved number of persons
    #[arg(long, value_name = "N")]
    pub persons_max: Option<u64>,
    /// A document: hashed here, only name and digest are sent
    #[arg(long = "document", value_name = "FILE")]
    pub documents: Vec<PathBuf>,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Kinds of mechanism as they are spelled in POLICY.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MechanismKindArg {
    /// GBA standard contract
    #[value(name = "gba_sc", alias = "gba-sc")]
    GbaSc,
    /// Standard contract
    #[value(name = "sc")]
    Sc,
    /// Certification
    #[value(name = "cert")]
    Cert,
    /// Security assessment
    #[value(name = "sa")]
    Sa,
}
