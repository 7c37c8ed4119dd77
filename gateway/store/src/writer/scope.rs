//! The transaction in progress.

use std::cell::{Cell, RefCell};
use std::ops::Deref;

use catalog::{Digest, LeaseId};
use gateway_ledger::Taxes;
use rusqlite::OptionalExtension as _;

use super::Refusal;
use super::apply::{invalid, stored};
use super::balances::Balances;
use super::books::Batches;
use super::counting::Shares;
use super::database::Database;
use super::docs::Docs;
use super::lease::{self, LiveLease};
use crate::lookup::Recent;
use crate::transaction::LeafRef;

/// What all transactions of a group work with.
#[derive(Clone, Copy)]
pub(super) struct Context<'a, 'c> {
    pub(super) connection: &'a Database<'c>,
    pub(super) recent: &'a Recent,
    pub(super) docs: &'a Docs,
    pub(super) balances: &'a Balances,
    pub(super) shares: &'a Shares,
    /// What the node knows of taxes.
    pub(super) taxes: &'a Taxes,
}

impl Context<'_, '_> {
    /// Something was undone: what was remembered of it does not hold.
    pub(super) fn undone(&self) {
        self.docs.forget();
        self.balances.forget();
        self.shares.forget();
    }
}

/// The transaction in progress, for what its writes refer to.
pub(super) struct Scope<'a, 'c> {
    context: Context<'a, 'c>,
    /// Index of the transaction's first leaf.
    pub(super) first_leaf: u64,
    leaves: u32,
    /// The time its leaves bear.
    pub(super) at_ms: i64,
    /// Its `ledger_batch` leaves, which follow its own.
    pub(super) batches: Batches,
    /// The lease that it has looked for last, and its row.
    lease: RefCell<Option<(LeaseId, i64)>>,
    /// The key whose live lease it has looked for last, and what there was.
    live: Cell<Option<(Digest, Option<LiveLease>)>>,
}

impl<'a, 'c> Deref for Scope<'a, 'c> {
    type Target = Context<'a, 'c>;

    fn deref(&self) -> &Context<'a, 'c> {
        &self.context
    }
}

impl<'a, 'c> Scope<'a, 'c> {
    pub(super) fn new(context: Context<'a, 'c>, first_leaf: u64, leaves: u32, at_ms: i64) -> Self {
        let batches = Batches::default();
        let (lease, live) = (RefCell::default(), Cell::default());
        Self { context, first_leaf, leaves, at_ms, batches, lease, live }
    }

    /// The active lease with a key.
    pub(super) fn live_lease(&self, key: &Digest) -> Result<Option<LiveLease>, rusqlite::Error> {
        if let Some((last, found)) = self.live.get()
            && last == *key
        {
            return Ok(found);
        }
        let found = lease::active(self.connection, self.recent, key)?;
        self.live.set(Some((*key, found)));
        Ok(found)
    }

    /// A lease is put or ended: what was looked for may no longer be so.
    pub(super) fn leases_change(&self) {
        self.live.set(None);
    }

    /// Remembers the row of a lease: the writes that follow are mostly about the same one.
    pub(super) fn found(&self, lease: &LeaseId, seq: i64) {
        *self.lease.borrow_mut() = Some((lease.clone(), seq));
    }

    /// The row of a lease, if there is one.
    pub(super) fn row_of(&self, lease: &LeaseId) -> Result<Option<i64>, rusqlite::Error> {
        if let Some((last, seq)) = &*self.lease.borrow()
            && last == lease
        {
            return Ok(Some(*seq));
        }
        let seq: Option<i64> = self
            .connection
            .prepare_cached("SELECT seq FROM lease WHERE id = ?1")?
            .query_row([lease.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(seq) = seq {
            self.found(lease, seq);
        }
        Ok(seq)
    }

    /// The index that a batch's leaf will have.
    pub(super) fn batch_index(&self, number: usize) -> i64 {
        stored(self.first_leaf + u64::from(self.leaves) + u64::try_from(number).unwrap_or(u64::MAX))
    }

    /// The index that `leaf` stands for; it must be in the log once this transaction is.
    pub(super) fn index(&self, leaf: LeafRef) -> Result<i64, Refusal> {
        let index = match leaf {
            LeafRef::This(number) if number < self.leaves => self.first_leaf + u64::from(number),
            LeafRef::Index(index) if index < self.first_leaf + u64::from(self.leaves) => index,
            LeafRef::This(_) | LeafRef::Index(_) => {
                return Err(invalid(format!("{leaf:?} is neither in the log nor a leaf of this transaction")));
            }
        };
        Ok(stored(index))
    }
}
