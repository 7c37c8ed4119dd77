//! The books: every transfer changes two balances and stands in a `ledger_batch` leaf of the same commit, so that the
//! log alone gives every balance again (INV-5).

use std::cell::RefCell;
use std::collections::BTreeMap;

use catalog::offer::Currency;
use gateway_ledger::book::BATCH_KIND;
use gateway_ledger::{Month, Transfer};
use serde_json::{Map, Value, json};

use super::scope::Scope;
use super::{Refusal, entitlement};

/// Most transfers of one leaf, which has room for 8 KiB.
const TRANSFERS_MAX: usize = 32;

/// A leaf in the making.
pub(super) struct Batch {
    members: Map<String, Value>,
    currency: Currency,
    transfers: Vec<Transfer>,
}

impl Batch {
    /// The members of its leaf.
    pub(super) fn into_members(self) -> Map<String, Value> {
        let mut members = self.members;
        members.insert("kind".to_owned(), BATCH_KIND.into());
        members.insert("currency".to_owned(), self.currency.as_str().into());
        members.insert("transfers".to_owned(), json!(self.transfers));
        members
    }
}

/// The batches of a transaction, in order.
#[derive(Default)]
pub(super) struct Batches(RefCell<Vec<Batch>>);

impl Batches {
    pub(super) fn into_inner(self) -> Vec<Batch> {
        self.0.into_inner()
    }
}

impl Scope<'_, '_> {
    /// Enters `transfers`; gives the index that their leaf will have. `members` say what they are about.
    pub(super) fn enter(
        &self,
        currency: Currency,
        members: Map<String, Value>,
        transfers: Vec<Transfer>,
    ) -> Result<i64, Refusal> {
        self.balances.enter(self.connection, currency, &transfers)?;
        let mut batches = self.batches.0.borrow_mut();
        let joins = batches.last().is_some_and(|last| {
            last.members == members
                && last.currency == currency
                && last.transfers.len() + transfers.len() <= TRANSFERS_MAX
        });
        match batches.last_mut().filter(|_| joins) {
            Some(last) => last.transfers.extend(transfers),
            None => batches.push(Batch { members, currency, transfers }),
        }
        Ok(self.batch_index(batches.len() - 1))
    }
}

/// Enters linked transfers, each into its ledger: all of them, or the transaction fails. They belong to the month of now.
pub(super) fn enter(
    scope: &Scope<'_, '_>,
    about: &Map<String, Value>,
    transfers: &[(Currency, Transfer)],
) -> Result<(), Refusal> {
    let mut ledgers: BTreeMap<Currency, Vec<Transfer>> = BTreeMap::new();
    for (currency, transfer) in transfers {
        ledgers.entry(*currency).or_default().push(transfer.clone());
    }
    for (currency, transfers) in ledgers {
        let mut members = about.clone();
        members.insert("period".to_owned(), json!(Month::of(entitlement::at(scope))));
        scope.enter(currency, members, transfers)?;
    }
    Ok(())
}
