//! Closing months: fifteen days after its end a month closes, with a leaf that commits to its postings and, by a Merkle-sum
//! root for each ledger, to what stood on every account (LEDGER.md, 2.2 and "Completeness").

use std::collections::{BTreeMap, BTreeSet};

use catalog::Digest;
use catalog::offer::Currency;
use gateway_api::Problem;
use gateway_ledger::sums::{Closing, Commitment};
use gateway_ledger::{Month, Split};
use gateway_store::{CommitError, DocKind, PostingFilter, PostingRow, Transaction, Write};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::gateway::{Shared, absent, put};
use crate::leaf;
use crate::rest::payments;

/// What is kept of a closed month, for whoever asks for a proof.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kept {
    /// What stood on every account.
    pub closing: Closing,
    /// The published checkpoint of that moment.
    pub checkpoint: Option<String>,
}

/// Closes the months whose time has come by `now`.
pub async fn close(gateway: &Shared, now: Timestamp) -> Result<(), Problem> {
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
    let open = gateway.scan(|reader| reader.open_periods()).await?;
    let mut due: BTreeSet<Month> = open.into_iter().filter(|period| period.closes() <= now).collect();
    for period in payments::months(&gateway.snapshot()).into_iter().filter(|period| period.closes() <= now) {
        // A month in which nothing was delivered, and something paid.
        if gateway.look(|reader| reader.closed_period(period))?.is_none() {
            due.insert(period);
        }
    }
    if due.is_empty() {
        return Ok(());
    }
    // Made of the log, not of balances: what is committed to is what anybody with a copy of the log works out.
    let (size, months) = gateway.scan(|reader| Ok((reader.log_size()?, reader.periods()?))).await?;
    let checkpoint = tokio::fs::read_to_string(gateway.config.data.join("log/checkpoint")).await.ok();
    for period in due {
        let filter = PostingFilter { period: Some(period), ..PostingFilter::default() };
        let postings = gateway.scan(move |reader| reader.postings(&filter)).await?;
        let mut transaction = Transaction::new(now);
        let wrong = || crate::admission::unavailable(format!("the sums of {period} do not fit"));
        let closing = months.closing(period).ok_or_else(wrong)?;
        let sums = closing.commitments(period).ok_or_else(wrong)?;
        let leaf = transaction.leaf(members(period, &postings, &sums));
        let postings = u64::try_from(postings.len()).unwrap_or(u64::MAX);
        transaction.writes.push(Write::PeriodClose { period, postings, size, leaf });
        let kept = Kept { closing, checkpoint: checkpoint.clone() };
        transaction.expect.push(absent(DocKind::Closing, period.to_string()));
        transaction.writes.push(put(DocKind::Closing, period.to_string(), &kept));
        match gateway.records.commit(transaction).await {
            // A posting was on its way: the next sweep counts it.
            Ok(_) | Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(crate::admission::unavailable(error)),
        }
    }
    Ok(())
}

/// The leaf: how many postings, their digest and sums; what stood on the accounts, by one root a ledger.
fn members(period: Month, postings: &[PostingRow], ledgers: &[Commitment]) -> Map<String, Value> {
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
    members.insert("sums".to_owned(), json!(ledgers));
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
