//! What releases sealed that had no keys for persons comes under the keys of those whose it is, a slice at a time, so that
//! erasing a person reaches it; then the one key that opened all of it is destroyed.
//!
//! Whose an opening is says the opening beside it, of the member `person`; whose evidence is, its lease; whose an answer is,
//! the request. Where that cannot be known it comes under a key that bears the name of nobody ([`nobody`]) and can be
//! destroyed like anybody's.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::ParticipantId;
use gateway_audit::leaf::Leaf;
use gateway_store::{
    CommitError, EarlierAnswer, EarlierEvidence, EarlierOpening, ReadError, Records, Resealed, Transaction, Write,
};
use jiff::Timestamp;

use super::{Author, Vault};
use crate::gateway::Shared;
use crate::leaf;
use crate::rest::{acks, change};
use crate::secrets::{Secrets, SecretsError};
use crate::snapshot::Snapshot;

/// Leaves or rows of one commit.
const AT_ONCE: usize = 200;

/// How often a slice is made again because somebody's key came in, or was destroyed, in between.
const ATTEMPTS_MAX: usize = 16;

/// Salt before the value of an opening.
const SALT_BYTES: usize = 32;

/// Why what was sealed before is not under persons' keys yet. The next start goes on.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Keys or randomness.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A slice was not recorded.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The task was cancelled.
    #[error("it was interrupted")]
    Interrupted,
    /// There is no participant whose key it could come under.
    #[error("there are no participants")]
    Nobody,
    /// The file cannot be removed.
    #[error("the key of before cannot be destroyed: {0}")]
    Destroy(std::io::Error),
}

/// What has come under persons' keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Openings, evidence and answers.
    pub rows: u64,
    /// What did not open, and stays as it is.
    pub unopened: u64,
}

/// The name that stands for whoever it was, at a trust domain.
pub fn nobody(trust_domain: &str) -> String {
    format!("spiffe://{trust_domain}/researcher/earlier-release")
}

/// Does all of it, if an earlier release has left a key.
pub async fn run(gateway: Shared) {
    if gateway.secrets.vault.before.is_none() {
        return;
    }
    match all(&gateway).await {
        Ok(done) if done.unopened == 0 => match gateway.secrets.vault.destroy_before() {
            Ok(()) => {
                tracing::info!(rows = done.rows, "what was sealed before is under persons' keys; the old key is gone");
            }
            Err(error) => tracing::error!(%error, "the next start tries again"),
        },
        Ok(done) => tracing::error!(
            unopened = done.unopened,
            "some of what an earlier release sealed does not open: its key `seal.key` is kept"
        ),
        Err(error) => {
            tracing::error!(%error, "not everything of before is under persons' keys; the next start goes on");
        }
    }
}

async fn all(gateway: &Shared) -> Result<Done, ResealError> {
    let mut done = Done::default();
    for kind in [Kind::Openings, Kind::Evidence, Kind::Answers] {
        let mut after = None;
        loop {
            // A key must not be destroyed while something is on its way under it.
            let turn = gateway.erasing.lock().await;
            let shared = Arc::clone(gateway);
            let slice = tokio::task::spawn_blocking(move || {
                let now = crate::clock::now();
                slice(&shared.records, &shared.secrets, &shared.snapshot(), (kind, after), now)
            });
            let slice = slice.await.map_err(|_| ResealError::Interrupted)??;
            drop(turn);
            done.rows += slice.done.rows;
            done.unopened += slice.done.unopened;
            let Some(last) = slice.last else { break };
            after = Some(last);
            tokio::task::yield_now().await;
        }
    }
    Ok(done)
}

/// What is walked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Openings,
    Evidence,
    Answers,
}

/// One slice, recorded.
#[derive(Debug, Default)]
pub(super) struct Slice {
    pub(super) done: Done,
    /// The last leaf or row that was looked at; none at the end.
    pub(super) last: Option<u64>,
}

/// Records the slice of `kind` after leaf or row `after`.
pub(super) fn slice(
    records: &Records,
    secrets: &Secrets,
    snapshot: &Snapshot,
    (kind, after): (Kind, Option<u64>),
    now: Timestamp,
) -> Result<Slice, ResealError> {
    let mut attempts = 0;
    loop {
        let mut writing =
            Writing { records, secrets, snapshot, transaction: Transaction::new(now), slice: Slice::default() };
        match kind {
            Kind::Openings => writing.openings(after.map_or(0, |leaf| leaf + 1))?,
            Kind::Evidence => writing.evidence(after.unwrap_or(0))?,
            Kind::Answers => writing.answers(after.unwrap_or(0))?,
        }
        attempts += 1;
        if writing.transaction.writes.is_empty() {
            return Ok(writing.slice);
        }
        match records.commit_blocking(writing.transaction) {
            Ok(_) => return Ok(writing.slice),
            Err(CommitError::Conflict(_)) if attempts < ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

struct Writing<'a> {
    records: &'a Records,
    secrets: &'a Secrets,
    snapshot: &'a Snapshot,
    transaction: Transaction,
    slice: Slice,
}

impl Writing<'_> {
    fn openings(&mut self, from: u64) -> Result<(), ResealError> {
        let mut leaves = BTreeMap::<u64, Vec<EarlierOpening>>::new();
        for row in self.records.read(|reader| reader.earlier_openings(from, AT_ONCE))? {
            leaves.entry(row.leaf).or_default().push(row);
        }
        for (index, rows) in leaves {
            self.slice.last = Some(index);
            let parsed = rows.first().and_then(|row| Leaf::parse(&row.body).ok());
            let opened: Vec<_> = rows.into_iter().map(|row| (self.open(&row.field, &row.sealed), row)).collect();
            let person = opened.iter().find(|(_, row)| row.field == "person").and_then(|(plain, _)| {
                let value = plain.as_ref()?.get(SALT_BYTES..)?;
                String::from_utf8(value.to_vec()).ok()
            });
            let author = self.author_of(person, parsed.as_ref())?;
            for (plain, row) in opened {
                let commitment = parsed.as_ref().and_then(|leaf| leaf.text(&row.field));
                let (Some(plain), Some(commitment)) = (plain, commitment) else {
                    self.slice.done.unopened += 1;
                    continue;
                };
                let place = leaf::place(commitment, &row.field);
                let sealed = self.secrets.vault.seal(&author, &place, &plain)?;
                let (leaf, field, subject) = (row.leaf, row.field, author.handle());
                self.put(&author, Resealed::Opening { leaf, field, subject, sealed });
            }
        }
        Ok(())
    }

    fn evidence(&mut self, after: u64) -> Result<(), ResealError> {
        for row in self.records.read(|reader| reader.earlier_evidence(after, AT_ONCE))? {
            self.slice.last = Some(row.row);
            let EarlierEvidence { row, lease, ack, principal, participant, sealed } = row;
            let Some(plain) = self.open("receipt", &sealed) else {
                self.slice.done.unopened += 1;
                continue;
            };
            let author = if principal.starts_with("erased:") {
                self.author_of(None, None)?
            } else {
                self.secrets.vault.author(&principal, &participant)?
            };
            let sealed = self.secrets.vault.seal(&author, &acks::place(&lease, &ack), &plain)?;
            let subject = author.handle();
            self.put(&author, Resealed::Evidence { row, subject, sealed });
        }
        Ok(())
    }

    fn answers(&mut self, after: u64) -> Result<(), ResealError> {
        for row in self.records.read(|reader| reader.earlier_answers(after, AT_ONCE))? {
            self.slice.last = Some(row.row);
            let EarlierAnswer { row, scope, key, leaf, response: clear } = row;
            let known = self.records.read(|reader| {
                let leaf = leaf.map(|leaf| reader.leaf(leaf)).transpose()?.flatten();
                Ok((reader.participant_behind(&scope)?, leaf))
            })?;
            let leaf = known.1.and_then(|body| Leaf::parse(&body).ok());
            let participant = known.0.or_else(|| participant_in(leaf.as_ref()?));
            let Some(participant) = participant.or_else(|| self.anybody()) else {
                self.slice.done.unopened += 1;
                continue;
            };
            let author = self.secrets.vault.author(&scope, &participant)?;
            let response = change::kept_answer(&self.secrets.vault, &author, (&scope, &key), &clear)?;
            self.put(&author, Resealed::Answer { row, clear, response });
        }
        Ok(())
    }

    /// What an earlier release bound to `earlier` and sealed with its one key.
    fn open(&self, earlier: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.secrets.vault.unseal(None, "", earlier, sealed).ok()
    }

    /// Whoever has this SPIFFE id; nobody at the leaf's participant, or at any, if it is not known.
    fn author_of(&self, person: Option<String>, leaf: Option<&Leaf>) -> Result<Arc<Author>, ResealError> {
        let at = person.as_deref().and_then(|person| person.strip_prefix("spiffe://")?.split_once('/'));
        let participant = at.and_then(|(domain, _)| self.snapshot.participant_of(domain)).map(|doc| doc.id.clone());
        let participant = participant.or_else(|| participant_in(leaf?)).or_else(|| self.anybody());
        let participant = participant.ok_or(ResealError::Nobody)?;
        let known = self.snapshot.participants.get(&participant);
        let name = person.unwrap_or_else(|| nobody(known.map_or("", |doc| doc.trust_domain.as_str())));
        let subject = self.secrets.keyed("principal", name.as_bytes());
        Ok(self.secrets.vault.author(&subject, &participant)?)
    }

    fn anybody(&self) -> Option<ParticipantId> {
        self.snapshot.participants.keys().next().cloned()
    }

    fn put(&mut self, author: &Author, resealed: Resealed) {
        let key = author.key();
        let brought = |write: &Write| matches!(write, Write::SubjectKey(key) if key.handle == author.handle());
        if key.is_some() && !self.transaction.writes.iter().any(brought) {
            self.transaction.writes.extend(key);
        }
        self.transaction.writes.push(Write::Resealed(resealed));
        self.slice.done.rows += 1;
    }
}

fn participant_in(leaf: &Leaf) -> Option<ParticipantId> {
    leaf.text("participant").and_then(|id| ParticipantId::parse(id).ok())
}

impl Vault {
    /// Overwrites and removes the one key of before: nothing that is kept needs it any more.
    pub(super) fn destroy_before(&self) -> Result<(), ResealError> {
        super::kek::destroy_file(&self.before_file).map_err(ResealError::Destroy)
    }
}

#[cfg(test)]
mod tests;
