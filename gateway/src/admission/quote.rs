//! What a selection costs somebody who has had nothing of it yet: shown in plans, and the most that is held for a lease.

use std::collections::BTreeSet;

use gateway_api::{Code, Problem};
use gateway_ledger::Quote;
use gateway_ledger::price;

use super::Resolved;

/// The price of all units of `columns`, and their stored bytes.
pub fn quote(resolved: &Resolved, columns: &[String]) -> Result<Quote, Problem> {
    let wanted: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
    let mut units = Vec::new();
    for file in &resolved.files {
        let leaf = |column: u32| usize::try_from(column).ok().and_then(|column| file.index.leaves.get(column));
        let selected = file
            .index
            .units
            .iter()
            .filter(|unit| leaf(unit.column).is_some_and(|leaf| wanted.contains(leaf.path.as_str())));
        units.extend(selected.copied());
    }
    let rows = resolved.files.iter().map(|file| file.index.rows()).sum();
    let bytes = units.iter().fold(0_u64, |sum, unit| sum.saturating_add(unit.bytes));
    let amount = price::quote(&resolved.version.manifest.offer.price, &units, rows)
        .map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    Ok(Quote { amount, bytes })
}
