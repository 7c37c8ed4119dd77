//! `[witness]`: who has to have seen the log before more of it counts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Seconds without a quorum after which nothing new leaves, if the configuration says nothing.
pub const DEFAULT_LOST_AFTER_SECONDS: u64 = 15 * 60;
/// Entries that may wait for their witnesses, if the configuration says nothing.
pub const DEFAULT_BACKLOG_MAX: u64 = 100_000;

/// `[witness]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessSection {
    /// The trust policy (C2SP tlog-policy): this log, its witnesses, the quorum.
    pub policy: PathBuf,
    /// Seconds without a quorum after which no new lease and no further grant is issued.
    #[serde(default = "lost_after")]
    pub lost_after: u64,
    /// Entries that are published and not witnessed, after which no new lease and no further grant is issued.
    #[serde(default = "backlog_max")]
    pub backlog_max: u64,
    /// Configurations of witnesses that this process runs itself. For development only: who runs both the log and its
    /// witnesses is watched by nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub run: Vec<PathBuf>,
    /// Where each witness of the policy is, by its name there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub at: BTreeMap<String, WitnessAddress>,
}

/// `[witness.at.NAME]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessAddress {
    /// Submission prefix, `https://HOST[:PORT][/PATH]`; the policy's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What verifies the witness's server certificate, PEM.
    pub ca: PathBuf,
}

fn lost_after() -> u64 {
    DEFAULT_LOST_AFTER_SECONDS
}

fn backlog_max() -> u64 {
    DEFAULT_BACKLOG_MAX
}

impl WitnessSection {
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let cas = self.at.values_mut().map(|address| &mut address.ca);
        std::iter::once(&mut self.policy).chain(&mut self.run).chain(cas)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key, problem: &str| Err(ConfigError::Value { key, problem: problem.to_owned() });
        if self.lost_after == 0 || self.lost_after > 7 * 24 * 3600 {
            return wrong("witness.lost_after", "write seconds, 1 to a week; 900 are a quarter of an hour");
        }
        if self.backlog_max == 0 {
            return wrong("witness.backlog_max", "without any entry that waits nothing could be recorded");
        }
        Ok(())
    }

    /// How long the quorum may be missing.
    pub const fn lost_after(&self) -> Duration {
        Duration::from_secs(self.lost_after)
    }
}
