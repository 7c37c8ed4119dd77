//! What is past its time, and what of it is held. Reads only.

use std::collections::BTreeSet;

use catalog::{AgreementId, Digest, VersionState};
use gateway_api::privacy::{ClassDue, HoldOn};
use gateway_audit::leaf::Leaf;
use gateway_store::{ReadError, Reader};
use jiff::Timestamp;

use super::Cutoffs;
use super::contracts::{self, Contracts};
use super::files::{Leftover, leftovers};
use super::next::{self, Next};
use crate::gateway::Gateway;
use crate::rest::holds::Holds;
use crate::secrets::hex;
use crate::snapshot::Snapshot;

/// Rows read at a time.
pub(super) const AT_ONCE: usize = 4096;

/// Everything that is due at one moment.
#[derive(Debug, Default)]
pub struct Due {
    /// Leaves whose openings are due.
    pub openings: Vec<u64>,
    /// Acknowledgements whose evidence is due.
    pub evidence: Vec<u64>,
    /// Rows of leases.
    pub leases: Vec<u64>,
    /// Agreements whose accounts are due.
    pub accounts: Vec<AgreementId>,
    /// Rows of kept answers.
    pub answers: Vec<u64>,
    /// Windows of refusals.
    pub operational: u64,
    /// Hashed persons.
    pub persons: u64,
    /// Stored files that only withdrawn versions have, and their bytes.
    pub objects: Vec<(Digest, u64)>,
    /// Uploads that nobody goes on with.
    pub uploads: Vec<Leftover>,
    /// Rows of those accounts.
    pub(super) account_rows: u64,
    pub(super) held: Held,
    next: Next,
}

#[derive(Debug, Default)]
pub(super) struct Held {
    openings: u64,
    evidence: u64,
    pub(super) leases: u64,
    pub(super) accounts: u64,
    pub(super) answers: u64,
    objects: u64,
    uploads: u64,
}

impl Due {
    /// How much of each class, and how much of it is held.
    pub fn counts(&self) -> Vec<ClassDue> {
        let of = |class: &str, due: u64, held: u64| ClassDue {
            class: class.to_owned(),
            due,
            held,
            next: self.next.of(class),
        };
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        vec![
            of("openings", count(self.openings.len()), self.held.openings),
            of("evidence", count(self.evidence.len()), self.held.evidence),
            of("records", count(self.leases.len()), self.held.leases),
            of("accounts", self.account_rows, self.held.accounts),
            of("answers", count(self.answers.len()), self.held.answers),
            of("operational", self.operational, 0),
            of("persons", self.persons, 0),
            of("objects", count(self.objects.len()), self.held.objects),
            of("uploads", count(self.uploads.len()), self.held.uploads),
        ]
    }
}

/// Looks for everything that is due at `now`. It blocks: call it where that is fine.
pub fn find(gateway: &Gateway, now: Timestamp) -> Result<Due, ReadError> {
    let snapshot = gateway.snapshot();
    let (cutoffs, holds) = (Cutoffs::of(&gateway.config.retention, now), Holds::of(&snapshot));
    let mut due = Due::default();
    gateway.records.read(|reader| {
        openings(reader, &holds, &mut Contracts::new(&snapshot, cutoffs.openings), &mut due)?;
        evidence(reader, &holds, cutoffs.accounts, &mut due)?;
        contracts::past(reader, &snapshot, &holds, &cutoffs, &mut due)?;
        answers(reader, &holds, cutoffs.records, &mut due)?;
        due.next = next::rows(reader, &snapshot, &gateway.config.retention, &cutoffs)?;
        due.operational = reader.denials_before(cutoffs.operational)?;
        due.persons = reader.persons_before(cutoffs.year)?;
        Ok(())
    })?;
    objects(gateway, &snapshot, &holds, cutoffs.withdrawn, &mut due);
    for leftover in leftovers(&gateway.config.data, &snapshot, cutoffs.uploads) {
        if holds.on_dataset(&leftover.dataset, "").is_some() {
            due.held.uploads += 1;
        } else {
            due.uploads.push(leftover);
        }
    }
    due.next.files(gateway, &snapshot, &cutoffs);
    Ok(due)
}

fn openings(reader: &Reader<'_>, holds: &Holds, contracts: &mut Contracts<'_>, due: &mut Due) -> Result<(), ReadError> {
    let before = reader.first_leaf_since(contracts.cutoff)?;
    let mut from = 0;
    loop {
        let page = reader.opened_leaves(from, before, AT_ONCE)?;
        let Some(last) = page.last() else { return Ok(()) };
        from = last.index + 1;
        for opened in page {
            let leaf = Leaf::parse(&opened.body)
                .map_err(|error| ReadError::Damaged { what: format!("log entry {}: {error}", opened.index) })?;
            if holds.on_leaf(&leaf, opened.subject.as_ref()).is_some() {
                due.held.openings += 1;
            } else if contracts.over_for(reader, &leaf)? {
                due.openings.push(opened.index);
            }
        }
    }
}

fn evidence(reader: &Reader<'_>, holds: &Holds, cutoff: Timestamp, due: &mut Due) -> Result<(), ReadError> {
    let mut after = 0;
    loop {
        let page = reader.evidence_before(cutoff, after, AT_ONCE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.receipt;
        for row in page {
            let held = holds.any(|on| match on {
                HoldOn::Participant(id) => *id == row.participant || *id == row.provider,
                HoldOn::Dataset(id) => *id == row.dataset,
                HoldOn::Lease(id) => *id == row.lease,
                HoldOn::Person(handle) => row.subject.is_some_and(|subject| hex(&subject) == *handle),
            });
            if held { due.held.evidence += 1 } else { due.evidence.push(row.receipt) }
        }
    }
}

fn answers(reader: &Reader<'_>, holds: &Holds, cutoff: Timestamp, due: &mut Due) -> Result<(), ReadError> {
    let (before, mut after) = (reader.first_leaf_since(cutoff)?, 0);
    loop {
        let page = reader.answers_before(before, after, AT_ONCE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.row;
        for row in page {
            let held = row.author.as_ref().is_some_and(|(participant, subject)| {
                holds.any(|on| match on {
                    HoldOn::Participant(id) => id == participant,
                    HoldOn::Person(handle) => hex(subject) == *handle,
                    HoldOn::Dataset(_) | HoldOn::Lease(_) => false,
                })
            });
            if held { due.held.answers += 1 } else { due.answers.push(row.row) }
        }
    }
}

/// Files are shared by content: one goes only if no version that stays has it.
fn objects(gateway: &Gateway, snapshot: &Snapshot, holds: &Holds, cutoff: Timestamp, due: &mut Due) {
    let (mut kept, mut past) = (BTreeSet::new(), BTreeSet::new());
    for version in snapshot.versions.values() {
        let withdrawn = version.state == VersionState::Withdrawn && version.withdrawn_at.is_some_and(|at| at < cutoff);
        let held = withdrawn && holds.on_dataset(version.dataset.as_str(), version.provider.as_str()).is_some();
        for file in &version.files {
            let Ok(sha256) = Digest::parse(&file.sha256) else { continue };
            if withdrawn && !held {
                past.insert((sha256, file.bytes));
            } else {
                kept.insert(sha256);
            }
            if held && gateway.files.objects().contains(&sha256) {
                due.held.objects += 1;
            }
        }
    }
    past.retain(|(sha256, _)| !kept.contains(sha256) && gateway.files.objects().contains(sha256));
    due.objects = past.into_iter().collect();
}
