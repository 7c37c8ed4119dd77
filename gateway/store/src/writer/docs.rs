//! What the writer knows of documents without asking the database.
//!
//! Every decision expects half a dozen documents unchanged, mostly the same ones, every one that costs money needs its
//! agreement, and every lease has parties to be found by; nobody else writes these.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use catalog::{Agreement, ParticipantId};
use foldhash::fast::RandomState;
use rusqlite::{OptionalExtension as _, params};

use super::Refusal;
use super::apply::invalid;
use super::database::Database;
use super::remembered::Remembered;
use crate::lease::Lease;
use crate::transaction::DocKind;

#[derive(Debug, Default)]
pub(super) struct Docs {
    /// None where there is no such document.
    revisions: RefCell<HashMap<DocKind, Remembered<String, Option<i64>>, RandomState>>,
    agreements: Remembered<String, Arc<Agreement>>,
    /// By agreement, consumer and provider of leases that can be found by them.
    parties: Remembered<String, Arc<[ParticipantId; 2]>>,
}

impl Docs {
    pub(super) fn revision(&self, connection: &Database<'_>, kind: DocKind, id: &str) -> rusqlite::Result<Option<i64>> {
        if let Some(held) = self.revisions.borrow().get(&kind).and_then(|ids| ids.get(id)) {
            return Ok(held);
        }
        let found = connection
            .prepare_cached("SELECT revision FROM doc WHERE kind = ?1 AND id = ?2")?
            .query_row(params![kind.as_str(), id], |row| row.get(0))
            .optional()?;
        self.hold(kind, id, found);
        Ok(found)
    }

    /// An agreement's document: terms and parties are facts of it, whoever reports a delivery.
    pub(super) fn agreement(&self, connection: &Database<'_>, id: &str) -> Result<Arc<Agreement>, Refusal> {
        if let Some(held) = self.agreements.get(id) {
            return Ok(held);
        }
        let body: Option<Vec<u8>> = connection
            .prepare_cached("SELECT body FROM doc WHERE kind = ?1 AND id = ?2")?
            .query_row([DocKind::Agreement.as_str(), id], |row| row.get(0))
            .optional()?;
        let body = body.ok_or_else(|| invalid(format!("there is no agreement `{id}`")))?;
        let agreement: Arc<Agreement> = serde_json::from_slice(&body)
            .map(Arc::new)
            .map_err(|error| invalid(format!("agreement `{id}` is damaged: {error}")))?;
        self.agreements.put(id.to_owned(), Arc::clone(&agreement));
        Ok(agreement)
    }

    /// Has a lease found by its parties, as [`crate::LeaseFilter::party`] does.
    pub(super) fn parties(&self, connection: &Database<'_>, lease: &Lease) -> rusqlite::Result<()> {
        let agreement = lease.agreement.as_str();
        let parties = [&lease.participant, &lease.provider];
        if self.parties.get(agreement).is_some_and(|held| held.each_ref() == parties) {
            return Ok(());
        }
        for party in parties {
            connection
                .prepare_cached("INSERT OR IGNORE INTO lease_party (participant, agreement) VALUES (?1, ?2)")?
                .execute([party.as_str(), agreement])?;
        }
        self.parties.put(agreement.to_owned(), Arc::new(parties.map(Clone::clone)));
        Ok(())
    }

    /// A document is written.
    pub(super) fn written(&self, kind: DocKind, id: &str, revision: i64) {
        if kind == DocKind::Agreement {
            self.agreements.remove(id);
        }
        self.hold(kind, id, Some(revision));
    }

    fn hold(&self, kind: DocKind, id: &str, revision: Option<i64>) {
        self.revisions.borrow_mut().entry(kind).or_default().put(id.to_owned(), revision);
    }

    /// Something was undone, or deleted: what was known of it does not hold.
    pub(super) fn forget(&self) {
        self.revisions.borrow_mut().clear();
        self.agreements.forget();
        self.parties.forget();
    }
}
