//! Deleting what is due: recorded first, in the commit that deletes rows; files go right after the entry that counts them. What a
//! crash leaves is due again the next time.

use std::sync::Arc;

use gateway_api::Problem;
use gateway_api::privacy::ClassDue;
use gateway_store::{DocKind, Expired, Transaction, Write};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Cutoffs, Due, find};
use crate::admission::unavailable;
use crate::gateway::{Shared, absent, expect, put};
use crate::identity::Principal;
use crate::{clock, leaf};

/// Under which setting the day of the last run stands.
const LAST: &str = "retention";

/// Rows that one commit deletes.
const AT_ONCE: usize = 2000;

/// Runs once a day, at the first sweep of a day in Asia/Shanghai.
pub async fn daily(gateway: &Shared, now: Timestamp) -> Result<(), Problem> {
    let today = json!(clock::today(now).to_string());
    if gateway.snapshot().settings.get(LAST).is_some_and(|last| last.body == today) {
        return Ok(());
    }
    run(gateway, None, now).await.map(drop)
}

/// Deletes what is due and says how much of each class it was.
pub async fn run(gateway: &Shared, by: Option<&Principal>, now: Timestamp) -> Result<(Vec<ClassDue>, u64), Problem> {
    let _turn = gateway.retaining.lock().await;
    let shared = Arc::clone(gateway);
    let due =
        tokio::task::spawn_blocking(move || find(&shared, now)).await.map_err(unavailable)?.map_err(unavailable)?;
    let counts = due.counts();
    for rows in due.openings.chunks(AT_ONCE) {
        let expired = Expired::Openings { leaves: rows.to_vec() };
        part(gateway, by, now, ("openings", rows.len()), expired).await?;
    }
    for rows in due.evidence.chunks(AT_ONCE) {
        let expired = Expired::Evidence { receipts: rows.to_vec() };
        part(gateway, by, now, ("evidence", rows.len()), expired).await?;
    }
    for rows in due.leases.chunks(AT_ONCE) {
        let expired = Expired::Leases { rows: rows.to_vec() };
        part(gateway, by, now, ("leases", rows.len()), expired).await?;
    }
    // Their leases are gone by now.
    for agreement in &due.accounts {
        let expired = Expired::Accounts { agreement: agreement.clone() };
        part(gateway, by, now, ("accounts", 1), expired).await?;
    }
    for rows in due.answers.chunks(AT_ONCE) {
        let expired = Expired::Answers { rows: rows.to_vec() };
        part(gateway, by, now, ("answers", rows.len()), expired).await?;
    }
    let leaf = close(gateway, by, now, &counts).await?;
    let shared = Arc::clone(gateway);
    tokio::task::spawn_blocking(move || remove(&shared, &due)).await.map_err(unavailable)?;
    if let Err(error) = gateway.records.empty_wal().await {
        // The rows are gone from the tables; what is left of them in the write-ahead log goes with its next copying.
        tracing::warn!(%error, "the write-ahead log was not emptied after retention");
    }
    Ok((counts, leaf))
}

/// Deletes some rows, with an entry that counts them.
async fn part(
    gateway: &Shared,
    by: Option<&Principal>,
    now: Timestamp,
    what: (&str, usize),
    expired: Expired,
) -> Result<(), Problem> {
    let members = Map::from_iter([("deleted".to_owned(), json!({ what.0: what.1 }))]);
    let mut transaction = entry(gateway, by, now, members)?;
    transaction.writes.push(Write::Expired(expired));
    gateway.records.commit(transaction).await.map(drop).map_err(unavailable)
}

/// The entry of the whole run, and what is deleted with it.
async fn close(gateway: &Shared, by: Option<&Principal>, now: Timestamp, counts: &[ClassDue]) -> Result<u64, Problem> {
    let cutoffs = Cutoffs::of(&gateway.config.retention, now);
    let of = |pick: fn(&ClassDue) -> u64| -> Map<String, Value> {
        counts.iter().map(|class| (class.class.clone(), json!(pick(class)))).collect()
    };
    let members = Map::from_iter([
        ("run".to_owned(), json!(of(|class| class.due))),
        ("held".to_owned(), json!(of(|class| class.held))),
    ]);
    let mut transaction = entry(gateway, by, now, members)?;
    transaction.writes.push(Write::Expired(Expired::Denials { before: cutoffs.operational }));
    transaction.writes.push(Write::Expired(Expired::Persons { before: cutoffs.year }));
    let snapshot = gateway.snapshot();
    transaction.expect.push(match snapshot.settings.get(LAST) {
        Some(last) => expect(DocKind::Setting, LAST.to_owned(), last.revision),
        None => absent(DocKind::Setting, LAST.to_owned()),
    });
    transaction.writes.push(put(DocKind::Setting, LAST.to_owned(), &clock::today(now).to_string()));
    let committed = gateway.records.commit(transaction).await.map_err(unavailable)?;
    Ok(committed.first_leaf)
}

fn entry(
    gateway: &Shared,
    by: Option<&Principal>,
    now: Timestamp,
    more: Map<String, Value>,
) -> Result<Transaction, Problem> {
    let mut transaction = Transaction::new(now);
    let mut members = leaf::of("retention");
    members.extend(more);
    let openings = by.map(|by| leaf::by(&mut members, by, &gateway.secrets)).transpose().map_err(unavailable)?;
    let leaf = transaction.leaf(members);
    transaction.writes.extend(openings.into_iter().flat_map(|openings| openings.of_leaf(leaf)));
    Ok(transaction)
}

fn remove(gateway: &Shared, due: &Due) {
    for (sha256, _) in &due.objects {
        gateway.files.forget(sha256);
        if let Err(error) = gateway.files.objects().discard(sha256) {
            tracing::error!(%error, "a file of a withdrawn version could not be deleted");
        }
    }
    for leftover in &due.uploads {
        if let Err(error) = std::fs::remove_file(&leftover.path) {
            tracing::error!(%error, "an upload that nobody goes on with could not be deleted");
        }
    }
}
