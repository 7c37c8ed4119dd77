//! From `[witness]` to witnesses that can be asked, and the question that comes before anything is signed: have they seen
//! more of this log than is here?

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use gateway_audit::witness::Answer;
use gateway_audit::witness::policy::POLICY_BYTES_MAX;
use gateway_audit::{SignedCheckpoint, VerifierKey, WitnessPolicy};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::WitnessingError;
use super::ask::{Asked, Place};
use crate::config::WitnessSection;
use crate::witness::{WitnessConfig, WitnessServer};

/// How long a start waits for what the witnesses say. Whoever is silent is asked again by the rounds, which halt what a
/// start would have refused.
const COMPARE_TIMEOUT: Duration = Duration::from_secs(3);
const CA_BYTES_MAX: u64 = 1 << 20;

/// The witnesses of this log.
#[derive(Debug)]
pub struct Witnesses {
    /// The policy.
    pub policy: WitnessPolicy,
    /// Its text.
    pub policy_text: String,
    path: PathBuf,
    /// One for each witness of the policy, in its order.
    pub asked: Vec<Asked>,
    /// Those that this process runs.
    pub own: Own,
}

/// Witnesses that this process runs itself; they end when this is dropped.
#[derive(Debug, Default)]
pub struct Own {
    tasks: JoinSet<()>,
    stop: Option<watch::Sender<bool>>,
}

impl Own {
    /// Ends them; requests that are being answered get their answer.
    pub async fn stop(mut self) {
        if let Some(stop) = &self.stop {
            stop.send_replace(true);
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Witnesses {
    /// Reads the policy, and starts the witnesses that this process runs.
    ///
    /// # Errors
    ///
    /// [`WitnessingError`] names the file or witness, and what would be right.
    pub async fn open(section: &WitnessSection) -> Result<Self, WitnessingError> {
        let fault = |problem: String| WitnessingError::Policy { path: section.policy.clone(), problem };
        let policy_text = certs::files::read_text(&section.policy, POLICY_BYTES_MAX as u64);
        let policy_text = policy_text.map_err(|error| fault(error.to_string()))?;
        let policy = WitnessPolicy::parse(policy_text.as_bytes()).map_err(|error| fault(error.to_string()))?;
        if let Some(name) = section.at.keys().find(|name| policy.witnesses().iter().all(|one| one.name != **name)) {
            let problem = "[witness.at] names it, and the policy has no such witness".to_owned();
            return Err(WitnessingError::Witness { name: name.clone(), problem });
        }
        let mut servers = Vec::new();
        for path in &section.run {
            let config = WitnessConfig::load(path).map_err(crate::witness::WitnessError::from)?;
            servers.push(WitnessServer::bind(config).await?);
        }
        let mut asked = Vec::new();
        for witness in policy.witnesses() {
            let wrong = |problem: String| WitnessingError::Witness { name: witness.name.clone(), problem };
            let at = section.at.get(&witness.name).ok_or_else(|| {
                wrong(format!(
                    "say where it is: [witness.at.{}] with `ca`, and `url` if the policy has none",
                    witness.name
                ))
            })?;
            let own = servers.iter().find(|server| server.key() == &witness.key);
            let independent = own.is_none();
            let own = own.map(|server| format!("https://{}", server.address()));
            let url = own.or_else(|| at.url.clone()).or_else(|| witness.url.clone());
            let url = url.ok_or_else(|| wrong("neither [witness.at] nor the policy says its `url`".to_owned()))?;
            let place = Place::parse(&url).map_err(wrong)?;
            let ca = certs::files::read_text(&at.ca, CA_BYTES_MAX).map_err(|error| wrong(error.to_string()))?;
            let tls = certs::tls::anonymous_client_config(&ca, &[b"http/1.1"]);
            let tls = tls.map_err(|error| wrong(format!("`{}`: {error}", at.ca.display())))?;
            asked.push(Asked::new((witness.name.clone(), witness.key.clone()), place, tls, independent));
        }
        Ok(Self { policy, policy_text, path: section.policy.clone(), asked, own: run(servers) })
    }

    /// Checks that the policy names this log's key, so that whoever believes the policy believes the log.
    ///
    /// # Errors
    ///
    /// [`WitnessingError::Policy`].
    pub fn names(&self, log_key: &VerifierKey) -> Result<(), WitnessingError> {
        let logs = self.policy.logs();
        if logs.is_empty() || logs.iter().any(|log| log.key == *log_key) {
            return Ok(());
        }
        let problem = format!("it names no log with this gateway's key: add `log {log_key}`");
        Err(WitnessingError::Policy { path: self.path.clone(), problem })
    }

    /// Asks every witness about what was signed last, before anything else is signed.
    ///
    /// # Errors
    ///
    /// [`WitnessingError::Behind`], [`WitnessingError::Forked`].
    pub async fn compare(&mut self, folder: &Path, signed: &SignedCheckpoint) -> Result<(), WitnessingError> {
        let size = signed.checkpoint().size;
        let mut asking: FuturesUnordered<_> = self
            .asked
            .iter_mut()
            .map(|asked| async move {
                let name = asked.name.clone();
                let silent = Answer::Later { why: format!("no answer within {} s", COMPARE_TIMEOUT.as_secs()) };
                (name, timeout(COMPARE_TIMEOUT, asked.submit(folder, signed)).await.unwrap_or(silent))
            })
            .collect();
        while let Some((name, answer)) = asking.next().await {
            match answer {
                Answer::Ahead { seen } => return Err(WitnessingError::Behind { name, seen, size }),
                Answer::Fork { why } => return Err(WitnessingError::Forked { name, why }),
                Answer::Later { why } => tracing::warn!(witness = name, why, "a witness does not answer yet"),
                Answer::Cosigned { .. } | Answer::Resend { .. } => {}
            }
        }
        Ok(())
    }
}

fn run(servers: Vec<WitnessServer>) -> Own {
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for server in servers {
        tracing::warn!(key = %server.key(), address = %server.address(), "this process runs a witness of its own log: for development only");
        let mut stopping = stopping.clone();
        tasks.spawn(async move {
            let until = async move {
                let _ = stopping.wait_for(|stop| *stop).await;
            };
            if let Err(error) = server.run(until).await {
                tracing::error!(%error, "a witness ended");
            }
        });
    }
    Own { tasks, stop: Some(stop) }
}
