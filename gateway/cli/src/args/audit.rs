//! `kouan audit …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::connect::{ConnectArgs, ConnectWithLogKeyArgs};

/// `kouan audit …`.
#[derive(Debug, Clone, Subcommand)]
pub enum AuditCommand {
    /// Find entries (compliance)
    Search(SearchArgs),
    /// One entry
    Show {
        /// Index of the entry
        index: u64,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Why a recorded decision came out as it did: rules, the facts that decided, what would have passed
    Explain {
        /// Index of the entry
        index: u64,
        /// Gateway and certificate.
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Proof that an entry is in the log (.tlog-proof); verified if the log's key is given
    Proof(ProofArgs),
    /// Verify a log offline and name the first thing that is wrong; with --policy also who has witnessed it
    Verify(WitnessedArgs),
    /// Make the ledger's balances again from a log's entries, offline, and say their digest
    Rebuild(VerifyArgs),
    /// Copy the log for an auditor, so that `verify` works without the gateway
    Export(ExportArgs),
    /// Keep a full copy of the log: fetch what is new, and refuse a log that is shorter or another than the copy
    Mirror(MirrorArgs),
    /// Make the log's next signing key, offline: the first step of changing it
    RotateKey(RotateKeyArgs),
    /// Open chosen members of an entry for an auditor (compliance of an authority); that it was done is an entry too
    Disclose(DiscloseArgs),
    /// Check a disclosure offline against what its entry commits to
    VerifyDisclosure(VerifyDisclosureArgs),
    /// The last entries
    Tail(TailArgs),
}

/// Conditions on entries.
#[derive(Debug, Clone, Default, Args)]
pub struct EntryFilterArgs {
    /// Not before, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Before, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Participant named in any role
    #[arg(long)]
    pub participant: Option<String>,
    /// Dataset
    #[arg(long)]
    pub dataset: Option<String>,
    /// Rule that decided
    #[arg(long)]
    pub rule: Option<String>,
    /// allow, deny or review
    #[arg(long)]
    pub effect: Option<String>,
    /// Kind of entry, such as decision, access or lease_close
    #[arg(long)]
    pub kind: Option<String>,
}

/// `kouan audit search`.
#[derive(Debug, Clone, Args)]
pub struct SearchArgs {
    /// Conditions.
    #[command(flatten)]
    pub filter: EntryFilterArgs,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan audit proof`.
#[derive(Debug, Clone, Args)]
pub struct ProofArgs {
    /// Index of the entry
    pub index: u64,
    /// Write the proof here (by convention NAME.tlog-proof); standard output if absent
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Trust policy (C2SP tlog-policy): the proof must be witnessed as it asks; its log keys count if --key names none
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Gateway, certificate, log key.
    #[command(flatten)]
    pub connect: ConnectWithLogKeyArgs,
}

/// `kouan audit verify`.
#[derive(Debug, Clone, Args)]
pub struct WitnessedArgs {
    /// The log.
    #[command(flatten)]
    pub log: VerifyArgs,
    /// Trust policy (C2SP tlog-policy): the log must be witnessed as it asks; its log keys count if --key is absent
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// A log offline.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Folder that holds `checkpoint`
    pub dir: PathBuf,
    /// The log's verifier key: a file (a log whose key was changed has several, one a line), or the key itself
    #[arg(long, value_name = "FILE")]
    pub key: Option<String>,
    /// An older checkpoint that this log must extend
    #[arg(long, value_name = "CHECKPOINT")]
    pub since: Option<PathBuf>,
}

/// `kouan audit export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Folder for the copy; an earlier export is brought up to date
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan audit mirror`.
#[derive(Debug, Clone, Args)]
pub struct MirrorArgs {
    /// Folder of the copy; `kouan audit verify DIR` verifies it
    pub dir: PathBuf,
    /// Look again every so many seconds, until stopped (not with --json)
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub follow: Option<u64>,
    /// Gateway, certificate, log key.
    #[command(flatten)]
    pub connect: ConnectWithLogKeyArgs,
}

/// `kouan audit rotate-key`.
#[derive(Debug, Clone, Args)]
pub struct RotateKeyArgs {
    /// The signing key of now, `log_key` of kouan.toml
    pub key: PathBuf,
    /// Write the next signing key here (mode 0600), for `next_log_key` of kouan.toml
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Write both verifier keys here, for auditors; printed if absent
    #[arg(long, value_name = "FILE")]
    pub vkeys: Option<PathBuf>,
}

/// `kouan audit tail`.
#[derive(Debug, Clone, Args)]
pub struct TailArgs {
    /// How many entries
    #[arg(short = 'n', value_name = "N", default_value_t = 20)]
    pub number: usize,
    /// Wait for further entries (not with --json)
    #[arg(long, short = 'f')]
    pub follow: bool,
    /// Conditions.
    #[command(flatten)]
    pub filter: EntryFilterArgs,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan audit disclose`.
#[derive(Debug, Clone, Args)]
pub struct DiscloseArgs {
    /// Index of the entry
    pub index: u64,
    /// Members to open, such as person,certificate
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    pub fields: Vec<String>,
    /// Who gets it: the log commits to it
    #[arg(long, value_name = "TEXT")]
    pub to: String,
    /// What for: the log commits to it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Write it here; standard output if absent
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan audit verify-disclosure`.
#[derive(Debug, Clone, Args)]
pub struct VerifyDisclosureArgs {
    /// What `disclose` wrote
    pub file: PathBuf,
    /// The entry's .tlog-proof: shows that it stands in the log
    #[arg(long, value_name = "FILE")]
    pub proof: Option<PathBuf>,
    /// The log's verifier key: a file, or the key itself
    #[arg(long, value_name = "FILE", requires = "proof")]
    pub key: Option<String>,
}
