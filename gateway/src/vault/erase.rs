//! Destroying a person's key, and with it everything that is sealed under it.
//!
//! Deleting the wrapped key from the store would leave it in every copy of the store. So the key that wraps it is replaced in
//! the same act, everybody else's is wrapped with the new one, and the old one is destroyed: from then on no copy of the data
//! directory made before opens anything.
//!
//! The order is what makes it safe to end anywhere. The new key is on disk before the commit that names it; until that commit
//! the old one counts, from then on the new one. The store remembers which key is still to be destroyed until it is.

use std::sync::Arc;

use gateway_store::{CommitError, Erasure, LeafRef, SubjectRow, Transaction, Write, crashpoint};
use jiff::Timestamp;
use ring::rand::SecureRandom as _;

use super::{Kek, Vault, unwrapped, wrapping};
use crate::secrets::{SecretsError, hex};

/// A new key that nothing in the store is wrapped with yet.
pub struct Rotation {
    next: Kek,
    /// To be committed; its leaf is the transaction's first.
    pub erasure: Erasure,
}

impl std::fmt::Debug for Rotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rotation(•••)")
    }
}

impl Vault {
    /// Makes the next key, and wraps everybody's with it but the one of `row`.
    pub fn prepare_erasure(&self, row: &SubjectRow, subject: &str) -> Result<Rotation, SecretsError> {
        let (kek, mut replacement) = (Arc::clone(&self.held().kek), [0; 16]);
        self.random.fill(&mut replacement).map_err(|_| SecretsError::Random)?;
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
        let everybody = self.records.read(|reader| reader.subjects())?;
        let answers = self.records.read(|reader| reader.answers_of(subject))?;
        let next = Kek::prepare(&self.folder, &self.random)?;
        crashpoint!("erase.next_synced");
        let mut rewrapped = Vec::with_capacity(everybody.len());
        for other in everybody.iter().filter(|other| other.handle != row.handle) {
            let Some(subject) = &other.subject else { continue };
            let bytes = unwrapped(&kek, other)?;
            let wrapped = self.encrypt(&next.key, &wrapping(&next.id, &other.handle, subject), &bytes)?;
            rewrapped.push((other.handle, wrapped));
        }
        let erasure = Erasure {
            handle: row.handle,
            subject: subject.to_owned(),
            replacement: format!("erased:{}", hex(&replacement)),
            leaf: LeafRef::This(0),
            from: kek.id.clone(),
            to: next.id.clone(),
            rewrapped,
            answers,
        };
        Ok(Rotation { next, erasure })
    }

    /// The erasure was not recorded: the next key is of no use. If nobody can say that it was not (the writer ended before it
    /// answered) the key stays, and the next start knows.
    pub fn abandon(&self, rotation: &Rotation, error: &CommitError) {
        if !matches!(error, CommitError::Unavailable(_)) {
            Kek::forget(&self.folder, &rotation.next.id);
        }
    }

    /// The erasure is recorded: from here on the next key counts. [`Vault::settle`] destroys the old one.
    pub fn turn(&self, rotation: Rotation) {
        let mut open = self.held();
        open.kek = Arc::new(rotation.next);
        // Keys that are not in the store yet are wrapped with the old one.
        open.authors.retain(|subject, author| author.row().is_none() && *subject != rotation.erasure.subject);
    }

    /// Destroys the key that an erasure has replaced, and empties the write-ahead log. Nothing happens if there is none.
    ///
    /// # Errors
    /// Something is in the way: the sweeper tries again.
    pub async fn settle(&self, now: Timestamp) -> Result<(), SecretsError> {
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
        let Some(retired) = self.records.read(|reader| reader.retired_kek())? else { return Ok(()) };
        let current = self.held().kek.id.clone();
        Kek::keep(&self.folder, &current)?;
        crashpoint!("erase.before_destroying");
        Kek::destroy(&self.folder, &retired)?;
        self.records.empty_wal().await?;
        crashpoint!("erase.wal_emptied");
        let mut transaction = Transaction::new(now);
        transaction.writes.push(Write::KekDestroyed { kek: retired });
        self.records.commit(transaction).await.map(drop).map_err(SecretsError::from)
    }
}

/// Whether an erasure that met this should be prepared again.
pub const fn moved_on(error: &CommitError) -> bool {
    matches!(error, CommitError::Conflict(gateway_store::Expect::Kek { .. }))
}
