//! The rates at which a claim's sales in another currency count.

use std::collections::{BTreeMap, BTreeSet};

use catalog::offer::Currency;
use gateway_api::Problem;
use gateway_audit::Leaf;
use gateway_ledger::claim::{RATE_KIND, Statements, rate};
use gateway_ledger::fx::Rate;
use gateway_store::{ReadError, Reader};
use jiff::Timestamp;

use super::annex::Asked;
use super::evidence::leaf_at;
use crate::gateway::Shared;
use crate::rest::{Caller, fx};

/// Puts beside each line of the claimant's own that is not in CNY the rates that were in force when its postings, the leaves of
/// `posted`, were made. Gives the leaves that record rates into CNY.
pub async fn convert(
    gateway: &Shared,
    caller: &Caller,
    statements: &mut Statements,
    asked: &Asked,
    posted: &BTreeSet<u64>,
) -> Result<Vec<u64>, Problem> {
    if statements.own(asked.side, asked.year).all(|(sold, _)| sold.currency == Currency::Cny) {
        return Ok(Vec::new());
    }
    let recorded = fx::into_cny(&caller.snapshot);
    let posted = posted.clone();
    let found = gateway.scan(move |reader| Ok((batches(reader, &posted)?, rates(reader, &recorded)?))).await?;
    let (batches, rates) = found;
    statements.convert(asked.side, batches.iter().map(|(index, leaf)| (*index, leaf)), &rates);
    Ok(rates.into_keys().collect())
}

fn damaged(index: u64) -> ReadError {
    ReadError::Damaged { what: format!("leaf {index}") }
}

fn batches(reader: &Reader<'_>, posted: &BTreeSet<u64>) -> Result<BTreeMap<u64, Leaf>, ReadError> {
    let read = |index: &u64| {
        let bytes = reader.leaf(*index)?.ok_or_else(|| damaged(*index))?;
        Ok((*index, Leaf::parse(&bytes).map_err(|_| damaged(*index))?))
    };
    posted.iter().map(read).collect()
}

/// By leaf.
fn rates(reader: &Reader<'_>, recorded: &[(String, Timestamp)]) -> Result<BTreeMap<u64, Rate>, ReadError> {
    let mut rates = BTreeMap::new();
    for (id, at) in recorded {
        let own = |leaf: &Leaf| leaf.kind() == RATE_KIND && leaf.text("fx_rate") == Some(id);
        let (index, bytes) = leaf_at(reader, *at, own)?
            .ok_or_else(|| ReadError::Damaged { what: format!("rate {id}: its leaf is missing") })?;
        let leaf = Leaf::parse(&bytes).map_err(|_| damaged(index))?;
        rates.insert(index, rate(&leaf).ok_or_else(|| damaged(index))?);
    }
    Ok(rates)
}
