//! `kouan policy …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::connect::ConnectArgs;

/// `kouan policy …`.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Decide facts, offline: exit 0 allow, 3 deny, 9 review, 2 bad input
    Decide(DecideArgs),
    /// Validate rules and try them on the worked cases, offline; without FILE the law in this binary
    Check(CheckArgs),
    /// Say what a rule, or a set of rules, means: offline
    Explain(ExplainArgs),
    /// Rules of the law in this binary; with a gateway, its rule sets too
    List {
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// One rule set of a gateway, with its texts
    Show {
        /// `law`, or OWNER@VERSION
        id: String,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Propose rules of your own participant: compliance
    Propose(ProposeArgs),
    /// Put a proposed set into force: two compliance officers of an authority
    Activate(ActivateArgs),
    /// Take a set back: a proposal alone, else two compliance officers of an authority
    Revoke {
        /// OWNER@VERSION
        id: String,
        /// Why: those it concerns will read it
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Decide recorded requests again, under the sets that decided them, or with new rules: compliance of an authority
    Replay(ReplayArgs),
}

/// `kouan policy decide`.
#[derive(Debug, Clone, Args)]
pub struct DecideArgs {
    /// Facts as JSON; - is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub facts: String,
    /// JSON Lines in, one decision a line out, exit 0
    #[arg(long)]
    pub batch: bool,
}

/// Local rules in files.
#[derive(Debug, Clone, Args)]
pub struct RuleFiles {
    /// Participant whose rules they are; by default what stands before the colon of the first rule id
    #[arg(long, value_name = "PARTICIPANT")]
    pub owner: Option<String>,
    /// The owner is an authority: its rules reach over everybody's exports
    #[arg(long)]
    pub authority: bool,
}

/// `kouan policy check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Cedar files with the rules of one participant: one set
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub rules: RuleFiles,
}

/// `kouan policy explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// Rule ids such as CN-06, and Cedar files; with files and no id, every rule of them
    #[arg(value_name = "RULE|FILE", required = true)]
    pub what: Vec<String>,
    #[command(flatten)]
    pub rules: RuleFiles,
}

/// `kouan policy propose`.
#[derive(Debug, Clone, Args)]
pub struct ProposeArgs {
    /// Cedar files: one set, which takes the place of the one in force when it is activated
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// What the set is for
    #[arg(long)]
    pub note: Option<String>,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan policy activate`.
#[derive(Debug, Clone, Args)]
pub struct ActivateArgs {
    /// OWNER@VERSION
    pub id: String,
    /// From when on it decides, such as 2026-12-01T00:00:00+08:00; both officers give the same. Default: at once
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `kouan policy replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// New rules of one participant, as Cedar files, or a set of the gateway, OWNER@VERSION. Without any, each decision
    /// is made again under the set that made it, and must come out as recorded
    #[arg(value_name = "NEW")]
    pub new: Vec<String>,
    /// Decisions since then: 30d, 12h, or a time
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// An exported log (`kouan audit export`) instead of a gateway: offline
    #[arg(long, value_name = "DIR")]
    pub log: Option<PathBuf>,
    #[command(flatten)]
    pub rules: RuleFiles,
    #[command(flatten)]
    pub connect: ConnectArgs,
}
