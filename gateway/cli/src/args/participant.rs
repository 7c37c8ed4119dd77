//! `kouan participant …`.

use std::path::PathBuf;

use catalog::{ParticipantId, Place};
use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;

use super::connect::ConnectArgs;

/// `kouan participant …`.
#[derive(Debug, Clone, Subcommand)]
pub enum ParticipantCommand {
    /// Add a participant, from a TOML file or from flags
    Add(Box<AddParticipantArgs>),
    /// Participants of this node
    List {
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// One participant
    Show {
        /// Id or trust domain
        id: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Suspend it: its live streams end within a second
    Suspend {
        /// Id or trust domain
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Lift a suspension
    Resume {
        /// Id or trust domain
        id: String,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Put a fresh revocation list into force: valid, with a higher number than the one before
    Crl {
        /// Id or trust domain
        id: String,
        /// The list, PEM
        file: PathBuf,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Put another set of CA certificates into force
    Ca {
        /// Id or trust domain
        id: String,
        /// The certificates, PEM
        file: PathBuf,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Sign and hand in what it exported in a year by other ways; counts once an authority has confirmed it
    Baseline(BaselineArgs),
    /// Whom its exports of a year concern, dataset by dataset
    Counters {
        /// Id or trust domain
        id: String,
        /// Which year; the current one in Asia/Shanghai if absent
        #[arg(long)]
        year: Option<i16>,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Confirm the yearly baseline of an exporter (compliance of an authority)
    ConfirmBaseline {
        /// Id or trust domain
        id: String,
        /// Which year
        #[arg(long)]
        year: i16,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// `kouan participant baseline`.
#[derive(Debug, Clone, Args)]
pub struct BaselineArgs {
    /// Id or trust domain
    pub id: String,
    /// Which year
    #[arg(long)]
    pub year: i16,
    /// Distinct persons whose data left in that year by other ways than this gateway
    #[arg(long, value_name = "N")]
    pub persons: u64,
    /// Of those, with sensitive information
    #[arg(long, value_name = "N")]
    pub sensitive: u64,
    /// The day to whose end the numbers run; today in Asia/Shanghai if absent
    #[arg(long, value_name = "DATE")]
    pub as_of: Option<Date>,
    /// Certificate to sign with, of the participant's own authority; the one of the connection if absent
    #[arg(long, value_name = "FILE", requires = "signer_key")]
    pub signer_cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "signer_cert")]
    pub signer_key: Option<PathBuf>,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan participant add`.
#[derive(Debug, Clone, Args)]
pub struct AddParticipantArgs {
    /// TOML file with the members of POST /v1/participants; `ca` and `crl` may be files, as `ca_file`, `crl_file`
    #[arg(value_name = "FILE.toml", conflicts_with_all = ["id", "trust_domain", "place", "role"])]
    pub file: Option<PathBuf>,
    /// Short id
    #[arg(long, required_unless_present = "file")]
    pub id: Option<ParticipantId>,
    /// Its trust domain, such as hku.hk
    #[arg(long, value_name = "NAME", required_unless_present = "file")]
    pub trust_domain: Option<String>,
    /// Legal name, LANG=NAME (en, zh-Hant, zh-Hans); may be repeated
    #[arg(long, value_name = "LANG=NAME")]
    pub name: Vec<String>,
    /// Registered place: HK, CN-440300, …
    #[arg(long, value_parser = |text: &str| Place::parse(text), required_unless_present = "file")]
    pub place: Option<Place>,
    /// Roles: researcher, broker, compliance, operator, compute, witness
    #[arg(long, value_delimiter = ',', required_unless_present = "file")]
    pub role: Vec<String>,
    /// It is an authority
    #[arg(long)]
    pub authority: bool,
    /// USCC or business registration number
    #[arg(long, value_name = "NUMBER")]
    pub registration: Option<String>,
    /// Operator of critical information infrastructure
    #[arg(long, value_enum, default_value_t = TristateArg::Unknown)]
    pub ciio: TristateArg,
    /// Affiliated participants
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub affiliate: Vec<ParticipantId>,
    /// It is on the list of restricted recipients
    #[arg(long)]
    pub restricted: bool,
    /// CA certificates, PEM
    #[arg(long, value_name = "FILE", required_unless_present = "file")]
    pub ca_file: Option<PathBuf>,
    /// Revocation list, PEM
    #[arg(long, value_name = "FILE")]
    pub crl_file: Option<PathBuf>,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Yes, no, or not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TristateArg {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// Nobody has said; treated as yes.
    Unknown,
}
