//! What this log's witnesses have seen of it, and what follows: without a quorum for too long nothing new leaves.
//!
//! | module | does |
//! |---|---|
//! | [`open`] | from the configuration to witnesses that can be asked; asks them before anything is signed |
//! | [`ask`] | one witness over HTTPS |
//! | [`rounds`] | each new checkpoint to all of them |
//! | [`rule`] | whether anything may leave |

pub mod ask;
pub mod open;
pub mod rounds;
pub mod rule;

pub use open::Witnesses;
pub use rule::{Stop, Witnessing};

/// Why a node with witnesses does not start.
#[derive(Debug, thiserror::Error)]
pub enum WitnessingError {
    /// The policy.
    #[error("`{}`: {problem}", path.display())]
    Policy {
        /// Which file.
        path: std::path::PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A witness of the policy that cannot be asked.
    #[error("the witness `{name}`: {problem}")]
    Witness {
        /// Its name in the policy.
        name: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A witness that this process should run.
    #[error(transparent)]
    Run(#[from] crate::witness::WitnessError),
    /// The log lost its end.
    #[error(
        "log_behind_witness: the witness `{name}` has cosigned {seen} entries of this log, and here it has {size}: it was \
         restored from a backup or lost its end. Restore the newer log; a smaller one is never signed again"
    )]
    Behind {
        /// The witness's name in the policy.
        name: String,
        /// What it has seen.
        seen: u64,
        /// Ours.
        size: u64,
    },
    /// The log is another one than the witness knows.
    #[error(
        "log_forked: the witness `{name}` says: {why}. This log was altered, or the witness errs: nothing is signed"
    )]
    Forked {
        /// The witness's name in the policy.
        name: String,
        /// In plain words.
        why: String,
    },
    /// The signed checkpoint cannot be read.
    #[error("the log: {0}")]
    Log(#[from] gateway_store::PublishError),
}
