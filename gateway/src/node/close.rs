//! Closing months: fifteen days after its end a month closes, with a leaf that commits to its postings (LEDGER.md, 2.2).

use std::collections::BTreeMap;

use catalog::Digest;
use catalog::offer::Currency;
use gateway_api::Problem;
use gateway_ledger::{Month, Split};
use gateway_store::{CommitError, PostingFilter, PostingRow, Transaction, Write};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::gateway::Shared;
use crate::leaf;

/// Closes the months whose time has come by `now`.
pub async fn close(gateway: &Shared, now: Timestamp) -> Result<(), Problem> {
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
    let open = gateway.scan(|reader| reader.open_periods()).await?;
    for period in open.into_iter().filter(|period| period.closes() <= now) {
        let filter = PostingFilter { period: Some(period), ..PostingFilter::default() };
        let postings = gateway.scan(move |reader| reader.postings(&filter)).await?;
        let mut transaction = Transaction::new(now);
        let leaf = transaction.leaf(members(period, &postings));
        let postings = u64::try_from(postings.len()).unwrap_or(u64::MAX);
        transaction.writes.push(Write::PeriodClose { period, postings, leaf });
        match gateway.records.commit(transaction).await {
            // A posting was on its way: the next sweep counts it.
            Ok(_) | Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(crate::admission::unavailable(error)),
        }
    }
    Ok(())
}

/// The leaf: how many postings, their digest, and the sums of each ledger.
fn members(period: Month, postings: &[PostingRow]) -> Map<String, Value> {
    let mut sums: BTreeMap<Currency, Split> = BTreeMap::new();
    for posting in postings {
        let sum = sums.entry(posting.currency).or_default();
        // A sum beyond 63 bits is not shown rather than shown wrong: the digest still covers every posting.
        *sum = sum.plus(&posting.split).unwrap_or(*sum);
    }
    let totals: Vec<Value> = sums
        .iter()
        .map(|(currency, split)| {
            json!({"currency": currency, "amount": split.amount, "fee": split.fee, "tax": split.tax})
        })
        .collect();
    let mut members = leaf::of("period_close");
    members.insert("period".to_owned(), json!(period));
    members.insert("postings".to_owned(), json!({"count": postings.len(), "digest": digest(postings)}));
    members.insert("totals".to_owned(), json!(totals));
    members
}

/// SHA-256 over the postings, one line each, in their order.
pub fn digest(postings: &[PostingRow]) -> Digest {
    let mut hasher = catalog::digest::Hasher::default();
    for posting in postings {
        let Split { amount, fee, tax } = posting.split;
        let line = format!(
            "{} {}@{} {} {} {} {} {} {} {} {} {}\n",
            posting.agreement,
            posting.dataset,
            posting.version,
            posting.reference,
            posting.period,
            posting.service_period,
            posting.currency.as_str(),
            amount.0,
            fee.0,
            tax.0,
            posting.unit_bytes,
            posting.leaf
        );
        hasher.update(line.as_bytes());
    }
    hasher.finish()
}
