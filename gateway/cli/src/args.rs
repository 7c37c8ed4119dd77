//! The command line: every sub-command of INTERFACE.md, its flags and their meaning.

pub mod audit;
pub mod cert;
pub mod connect;
pub mod dataset;
pub mod exchange;
pub mod incentive;
pub mod mechanism;
pub mod node;
pub mod participant;
pub mod payment;
pub mod policy;
pub mod privacy;
pub mod pull;
pub mod review;
pub mod target;
pub mod witness;

use clap::{Parser, Subcommand};

use crate::lang::Lang;

/// Kouan: a border post for data.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "kouan",
    bin_name = "kouan",
    version,
    about = "Kouan 口岸: a border post for data. Datasets cross it only as the export policy allows; every crossing is recorded, metered and provable.",
    after_help = "A command finds its gateway and certificate in --gateway --cert --key --ca, else in KOUAN_GATEWAY, KOUAN_CERT, \
                  KOUAN_KEY, KOUAN_CA, else in a profile file (~/.config/kouan/profile.toml).\n\
                  Exit status: 0 ok, 2 usage or bad input, 3 denied, 4 authentication, 5 not found, 6 integrity, 7 incomplete and \
                  resumable, 8 temporarily unavailable, 9 awaiting review, 10 price or quota limit, 74 local I/O, 130 interrupted.",
    propagate_version = false,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 110
)]
pub struct Cli {
    /// Answer with exactly one JSON object on standard output, errors too
    #[arg(long, global = true)]
    pub json: bool,
    /// Language of decisions; from the locale if absent
    #[arg(long, global = true, value_enum, value_name = "LANG")]
    pub lang: Option<Lang>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Every sub-command.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// The whole story in one go, no configuration: a gateway, sample corpora, a pull, a refusal, a proof
    Quickstart(node::QuickstartArgs),
    /// Run the gateway
    Serve(node::ServeArgs),
    /// A participant's authority: certificates by SPIFFE id, revocation lists
    #[command(subcommand)]
    Cert(cert::CertCommand),
    /// Participants of this node
    #[command(subcommand)]
    Participant(participant::ParticipantCommand),
    /// The catalog: inspect, register, approve, publish, search
    #[command(subcommand)]
    Dataset(dataset::DatasetCommand),
    /// Offers taken
    #[command(subcommand)]
    Agreement(exchange::AgreementCommand),
    /// Refusals that a person may release
    #[command(subcommand)]
    Review(review::ReviewCommand),
    /// Live and past streams; the kill switch
    #[command(subcommand)]
    Lease(exchange::LeaseCommand),
    /// Filing and approval references: GBA contract, standard contract, certification, assessment
    #[command(subcommand)]
    Mechanism(mechanism::MechanismCommand),
    /// Dry run: decision, columns, rows, bytes, price; moves nothing
    Plan(exchange::PlanArgs),
    /// Pull a dataset: resumes by itself, verifies every digest
    Pull(pull::PullArgs),
    /// The export policy
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// The log: search, show, prove, verify offline
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// A witness of logs: cosigns what it has seen, on its own side of the border
    #[command(subcommand)]
    Witness(witness::WitnessCommand),
    /// Persons: erase what is kept of one
    #[command(subcommand)]
    Subject(privacy::SubjectCommand),
    /// Legal holds: what is on hold is neither erased nor deleted
    #[command(subcommand)]
    Hold(privacy::HoldCommand),
    /// Deleting what is past its time
    #[command(subcommand)]
    Retention(privacy::RetentionCommand),
    /// What is stored
    #[command(subcommand)]
    Store(privacy::StoreCommand),
    /// Metered statement of a month
    Statement(exchange::StatementArgs),
    /// What came in for agreements, and the paper that shows it
    #[command(subcommand)]
    Payment(payment::PaymentCommand),
    /// Rates of exchange on record
    #[command(subcommand)]
    Fx(payment::FxCommand),
    /// What stands on the accounts of the ledger
    Books(payment::BooksArgs),
    /// Shell completions on standard output
    Completions(node::CompletionsArgs),
    /// Check profile, certificate, clock and connection; name a fix for each fault
    Doctor(node::DoctorArgs),
    /// Push from Hong Kong into the compute centre (in a later release)
    #[command(hide = true)]
    Deliver(node::LaterArgs),
    /// Loopback agent (in a later release)
    #[command(hide = true)]
    Agent(node::LaterArgs),
    /// Incentive programmes: the Qianhai broker reward, the Shenzhen vouchers
    #[command(subcommand)]
    Incentive(incentive::IncentiveCommand),
}

#[cfg(test)]
mod tests;
