//! The running node: everything that a request may need, shared by all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use catalog::{DatasetId, Digest, VersionName, VersionState};
use gateway_api::Problem;
use gateway_store::{
    CommitError, DocKind, Expect, KeyPeriod, LeaseState, ReadError, Reader, Records, Transaction, Uploads, Write,
};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::access::Accesses;
use crate::admission::unavailable;
use crate::clock;
use crate::clock::Watch;
use crate::config::Config;
use crate::drain::Drain;
use crate::export::Settler;
use crate::files::Files;
use crate::identity::Principal;
use crate::leaf;
use crate::rulesets::RuleSets;
use crate::scrub::Scrubbing;
use crate::secrets::Secrets;
use crate::sessions::{Affected, Sessions};
use crate::snapshot::{Catalog, Snapshot};
use crate::trust::Trust;
use crate::witnessing::Witnessing;

/// The node, as requests hold it.
pub type Shared = Arc<Gateway>;

/// Everything that a request may need.
#[derive(Debug)]
pub struct Gateway {
    /// As loaded.
    pub config: Config,
    /// The durable records.
    pub records: Records,
    /// Open files and the object store.
    pub files: Arc<Files>,
    /// Files on their way in.
    pub uploads: Uploads,
    /// The catalog in memory.
    pub catalog: Arc<Catalog>,
    /// The law, and local rules as they are needed; see [`Gateway::rules_for`].
    pub rules: RuleSets,
    /// The node's own secrets.
    pub secrets: Secrets,
    /// Live streams.
    pub sessions: Arc<Sessions>,
    /// Writes deliveries of streams that end.
    pub settler: Arc<Settler>,
    /// Work that outlives the request that started it; drain awaits it.
    pub tasks: TaskTracker,
    /// Held while a file is inspected.
    pub intake: tokio::sync::Mutex<()>,
    /// Held while the persons of a version are read.
    pub counting: tokio::sync::Mutex<()>,
    /// Held from decision to record by exports whose counter keeps moving.
    pub counter_turn: tokio::sync::Mutex<()>,
    /// Held while what is past its time is deleted.
    pub retaining: tokio::sync::Mutex<()>,
    /// Held while a person is erased.
    pub erasing: tokio::sync::Mutex<()>,
    /// Whether the node is stopping.
    pub drain: Drain,
    /// Whose certificates count.
    pub trust: Trust,
    /// The log's verifier key.
    pub log_vkey: String,
    /// Every key that has signed the log.
    pub log_keys: Vec<KeyPeriod>,
    /// What the log's witnesses have seen, and whether anything may leave.
    pub witnessing: Witnessing,
    /// Whether what is stored is what was written, as far as scrubs know.
    pub scrubbing: Scrubbing,
    /// Whether the wall clock can be believed.
    pub clock: Watch,
    /// How often each principal was denied in the current minute.
    pub denials: Denials,
    /// Reads of the log that are counted and not yet written.
    pub accesses: Accesses,
    /// Told whenever a review or a mechanism was recorded: the gauges follow.
    pub gauges: Arc<Notify>,
}

impl Gateway {
    /// The catalog at this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.catalog.snapshot()
    }

    /// A point look-up in the records. SQLite answers from its page cache within microseconds, so it is done where it is
    /// asked; whatever walks many rows goes through [`Gateway::scan`].
    pub fn look<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T, ReadError>) -> Result<T, Problem> {
        self.records.read(read).map_err(unavailable)
    }

    /// A read of many rows, on a thread that may block.
    pub async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Problem> {
        let records = self.records.clone();
        tokio::task::spawn_blocking(move || records.read(read)).await.map_err(unavailable)?.map_err(unavailable)
    }

    /// Ends the affected leases and their streams (INV-8). Gives how many leases were still active.
    ///
    /// # Errors
    /// The end of a lease could not be recorded. Streams are ended all the same: that needs no record.
    pub async fn cut(&self, affected: &Affected, reason: &str, by: Option<&Principal>) -> Result<usize, Problem> {
        // What is recorded already (a suspension, say) lets no new lease begin: streams need not wait for the leaves.
        self.sessions.cut(affected, reason).await;
        let recorded = self.record_cut(affected, reason, by).await;
        // Those that began under a lease that was still active in between.
        self.sessions.cut(affected, reason).await;
        recorded
    }

    async fn record_cut(&self, affected: &Affected, reason: &str, by: Option<&Principal>) -> Result<usize, Problem> {
        let now = clock::now();
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
        let active = self.scan(|reader| reader.active_leases()).await?;
        let active = active.into_iter().map(|row| row.lease).filter(|lease| affected.covers(lease));
        // What an officer wrote is kept sealed, like everything that a person wrote.
        let author = by.map(|by| self.secrets.author(by)).transpose().map_err(unavailable)?;
        let kept = match &author {
            Some(author) => self.secrets.vault.seal_prose(author, reason).map_err(unavailable)?,
            None => reason.to_owned(),
        };
        let commits = active.map(|lease| {
            let mut transaction = Transaction::new(now);
            let mut members = leaf::of("cut");
            members.insert("lease".to_owned(), json!(lease.id));
            members.insert("dataset".to_owned(), json!(lease.dataset));
            members.insert("version".to_owned(), json!(lease.version));
            members.insert("participant".to_owned(), json!(lease.participant));
            members.insert("provider".to_owned(), json!(lease.provider));
            members.insert("sent_bytes".to_owned(), json!(lease.sent_bytes.to_string()));
            if let Some(by) = by {
                members.insert("by".to_owned(), json!(by.participant));
            }
            let leaf = transaction.leaf(members);
            transaction.writes.push(Write::LeaseState {
                lease: lease.id,
                state: LeaseState::Cut,
                reason: Some(kept.clone()),
                leaf: Some(leaf),
            });
            transaction.writes.extend(author.as_ref().and_then(|author| author.key()));
            self.records.commit(transaction)
        });
        // Together, so that they share their syncs.
        let mut cut = 0;
        for outcome in futures::future::join_all(commits).await {
            match outcome {
                Ok(_) => cut += 1,
                // It ended by itself in the meantime.
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        Ok(cut)
    }

    /// Takes a version out: its stored bytes are not what was inspected (INV-11). Safe to call twice.
    pub async fn quarantine(&self, dataset: &DatasetId, version: &VersionName, finding: &str) {
        metrics::counter!("kouan_quarantines_total").increment(1);
        tracing::error!(%dataset, %version, finding, "a stored file is not what was inspected; the version is quarantined");
        // The finding names our files: it is for the log, not for consumers.
        let reason = "its stored bytes are not what was inspected".to_owned();
        for _ in 0..8 {
            let snapshot = self.snapshot();
            let Some(doc) = snapshot.version(dataset, version) else { return };
            if doc.state == VersionState::Quarantined {
                break;
            }
            for file in &doc.files {
                if let Ok(sha256) = Digest::parse(&file.sha256) {
                    self.files.forget(&sha256);
                }
            }
            let mut body = doc.body.clone();
            body.state = VersionState::Quarantined;
            body.reason = Some(reason.clone());
            let mut transaction = Transaction::new(clock::now());
            let mut members = leaf::of("quarantine");
            members.insert("dataset".to_owned(), json!(dataset));
            members.insert("version".to_owned(), json!(version));
            members.insert("provider".to_owned(), json!(body.provider));
            members.insert("manifest".to_owned(), json!(body.manifest_digest()));
            transaction.leaf(members);
            transaction.expect.push(expect(DocKind::Version, version_key(dataset, version), doc.revision));
            transaction.writes.push(put(DocKind::Version, version_key(dataset, version), &body));
            match self.records.commit(transaction).await {
                Ok(_) => break,
                Err(CommitError::Conflict(_)) => {}
                Err(error) => {
                    tracing::error!(%dataset, %version, %error, "the quarantine was not recorded");
                    break;
                }
            }
        }
        let affected = Affected::Version(dataset.clone(), version.clone());
        if let Err(error) = self.cut(&affected, &reason, None).await {
            let error = error.detail;
            tracing::error!(%dataset, %version, %error, "the cut was not recorded");
        }
    }
}

/// A document write.
pub fn put<T: serde::Serialize>(kind: DocKind, id: String, body: &T) -> Write {
    // Our own documents are maps with string keys: they always serialise. Were one not to, the empty body would be
    // refused by the store as not being JSON.
    Write::PutDoc { kind, id, body: serde_json::to_vec(body).unwrap_or_default() }
}

/// The document has the revision that the caller decided on.
pub const fn expect(kind: DocKind, id: String, revision: u64) -> Expect {
    Expect::Doc { kind, id, revision: Some(revision) }
}

/// The document does not exist yet.
pub const fn absent(kind: DocKind, id: String) -> Expect {
    Expect::Doc { kind, id, revision: None }
}

/// A version's id in the store.
pub fn version_key(dataset: &DatasetId, version: &VersionName) -> String {
    format!("{dataset}@{version}")
}

/// Counts denied requests per principal and minute: a principal that is denied again and again is told to wait.
#[derive(Debug, Default)]
pub struct Denials {
    minute: Mutex<(i64, HashMap<String, u32>)>,
}

impl Denials {
    /// Counts one more denial of `principal` (a keyed hash); false when there were `max` already in this minute.
    pub fn admit(&self, principal: &str, max: u32, now: Timestamp) -> bool {
        let minute = now.as_second() / 60;
        let mut counts = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.0 != minute {
            *counts = (minute, HashMap::new());
        }
        let count = counts.1.entry(principal.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count <= max
    }
}
