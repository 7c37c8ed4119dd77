//! What an agreement that has ended leaves behind: leases, and later what was delivered and posted under it.

use std::collections::HashMap;

use catalog::{Agreement, AgreementId, AgreementState};
use gateway_api::privacy::HoldOn;
use gateway_audit::leaf::Leaf;
use gateway_store::{PastLease, ReadError, Reader};
use jiff::Timestamp;

use super::Cutoffs;
use super::due::{AT_ONCE, Due};
use crate::rest::claims;
use crate::rest::holds::Holds;
use crate::secrets::{handle, hex};
use crate::snapshot::Snapshot;

/// Which agreements are over for so long that what happened under them is past its time.
pub struct Contracts<'a> {
    snapshot: &'a Snapshot,
    pub(super) cutoff: Timestamp,
    known: HashMap<AgreementId, bool>,
}

impl<'a> Contracts<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, cutoff: Timestamp) -> Self {
        Self { snapshot, cutoff, known: HashMap::new() }
    }

    /// Whether the time has passed since the last transfer under the agreement, and its end.
    pub(super) fn over(&mut self, reader: &Reader<'_>, id: &AgreementId) -> Result<bool, ReadError> {
        if let Some(over) = self.known.get(id) {
            return Ok(*over);
        }
        let over = match self.snapshot.agreements.get(id) {
            // It was never stored, or belongs to another node.
            None => true,
            Some(agreement) if agreement.state != AgreementState::Ended => false,
            Some(agreement) => {
                let ended = agreement.ended_at.is_some_and(|ended| ended < self.cutoff);
                ended && reader.last_lease(id)?.is_none_or(|last| last < self.cutoff)
            }
        };
        self.known.insert(id.clone(), over);
        Ok(over)
    }

    /// The same for the agreement that `leaf` names; what names none is over.
    pub(super) fn over_for(&mut self, reader: &Reader<'_>, leaf: &Leaf) -> Result<bool, ReadError> {
        match leaf.text("agreement").and_then(|id| id.parse::<AgreementId>().ok()) {
            Some(id) => self.over(reader, &id),
            None => Ok(true),
        }
    }
}

/// Leases and accounts that are due.
pub(super) fn past(
    reader: &Reader<'_>,
    snapshot: &Snapshot,
    holds: &Holds,
    cutoffs: &Cutoffs,
    due: &mut Due,
) -> Result<(), ReadError> {
    let mut records = Contracts::new(snapshot, cutoffs.records);
    let mut accounts = Contracts::new(snapshot, cutoffs.accounts);
    // What a claim rests on stays until it is decided.
    let claimed = claims::undecided(snapshot);
    let (mut after, mut going) = (0, HashMap::<AgreementId, u64>::new());
    loop {
        let page = reader.past_leases(cutoffs.records, after, AT_ONCE)?;
        let Some(last) = page.last() else { break };
        after = last.row;
        for row in page {
            let contracts = if row.has_receipts { &mut accounts } else { &mut records };
            if claimed.contains(row.agreement.as_str()) || !contracts.over(reader, &row.agreement)? {
                continue;
            }
            if is_held(holds, &row) {
                due.held.leases += 1;
            } else {
                due.leases.push(row.row);
                *going.entry(row.agreement).or_default() += 1;
            }
        }
    }
    for (id, agreement) in snapshot.agreements.iter() {
        if claimed.contains(id.as_str()) || !accounts.over(reader, id)? {
            continue;
        }
        let kept = reader.accounts_of(id)?;
        let stays = kept.is_open || kept.leases > going.get(id).copied().unwrap_or(0);
        if kept.rows == 0 || stays || kept.last.is_some_and(|last| last >= cutoffs.accounts) {
            continue;
        }
        if are_held(reader, holds, id, agreement)? {
            due.held.accounts += kept.rows;
        } else {
            due.accounts.push(id.clone());
            due.account_rows += kept.rows;
        }
    }
    Ok(())
}

fn is_held(holds: &Holds, row: &PastLease) -> bool {
    holds.any(|on| match on {
        HoldOn::Participant(id) => *id == row.participant || *id == row.provider,
        HoldOn::Dataset(id) => *id == row.dataset,
        HoldOn::Lease(id) => *id == row.lease,
        HoldOn::Person(handle) => row.subject.is_some_and(|subject| hex(&subject) == *handle),
    })
}

fn are_held(reader: &Reader<'_>, holds: &Holds, id: &AgreementId, agreement: &Agreement) -> Result<bool, ReadError> {
    let parties = [&agreement.participant, &agreement.provider, &agreement.broker];
    for on in holds.on() {
        let held = match on {
            HoldOn::Participant(id) => parties.contains(&id),
            HoldOn::Dataset(id) => *id == agreement.dataset,
            HoldOn::Lease(lease) => reader.lease(lease)?.is_some_and(|row| row.lease.agreement == *id),
            HoldOn::Person(text) => match handle(text) {
                Some(handle) => reader.took_part(id, &handle)?,
                None => false,
            },
        };
        if held {
            return Ok(true);
        }
    }
    Ok(false)
}
