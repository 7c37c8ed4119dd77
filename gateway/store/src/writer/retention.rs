//! Deleting what is past its time.

use rusqlite::params;

use super::Refusal;
use super::apply::{invalid, stored};
use super::database::Database;
use crate::transaction::{Expired, WRITES_MAX};

pub(super) fn delete(connection: &Database<'_>, expired: &Expired) -> Result<(), Refusal> {
    match expired {
        Expired::Openings { leaves } => {
            few(leaves.len())?;
            let mut delete = connection.prepare_cached("DELETE FROM opening WHERE leaf = ?1")?;
            for leaf in leaves {
                delete.execute([stored(*leaf)])?;
            }
        }
        Expired::Evidence { receipts } => {
            few(receipts.len())?;
            let mut clear =
                connection.prepare_cached("UPDATE receipt SET evidence = x'', subject = NULL WHERE seq = ?1")?;
            for receipt in receipts {
                clear.execute([stored(*receipt)])?;
            }
        }
        Expired::Answers { rows } => {
            few(rows.len())?;
            let mut clear = connection.prepare_cached("UPDATE idempotency SET response = x'' WHERE seq = ?1")?;
            for row in rows {
                clear.execute([stored(*row)])?;
            }
        }
        Expired::Leases { rows } => {
            few(rows.len())?;
            for row in rows {
                lease(connection, *row)?;
            }
        }
        Expired::Accounts { agreement } => accounts(connection, agreement.as_str())?,
        Expired::Denials { before } => {
            connection
                .prepare_cached("DELETE FROM denial WHERE latest < ?1 AND (repeats = 0 OR closed = 1)")?
                .execute([before.as_millisecond()])?;
        }
        Expired::Persons { before } => {
            connection
                .prepare_cached("DELETE FROM person WHERE tally IN (SELECT id FROM tally WHERE year < ?1)")?
                .execute(params![before])?;
        }
    }
    Ok(())
}

/// A lease that is over for good, and what hangs on it. The newest stays: its number must not be given again.
fn lease(connection: &Database<'_>, row: u64) -> Result<(), Refusal> {
    let over: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM lease WHERE seq = ?1 AND state <> 'active' AND closed_leaf IS NOT NULL
                 AND reserved <= posted AND seq < (SELECT max(seq) FROM lease))",
        )?
        .query_row([stored(row)], |row| row.get(0))?;
    if over {
        for delete in [
            "DELETE FROM reservation WHERE lease = ?1",
            "DELETE FROM egress_grant WHERE lease = ?1",
            "DELETE FROM receipt WHERE lease = ?1",
            "DELETE FROM lease WHERE seq = ?1",
        ] {
            connection.prepare_cached(delete)?.execute([stored(row)])?;
        }
    }
    Ok(())
}

fn accounts(connection: &Database<'_>, agreement: &str) -> Result<(), Refusal> {
    let open: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM lease WHERE agreement = ?1) OR EXISTS (
                 SELECT 1 FROM posting JOIN entitlement ON entitlement.seq = posting.entitlement
                 WHERE agreement = ?1 AND period NOT IN (SELECT period FROM closed_period))",
        )?
        .query_row([agreement], |row| row.get(0))?;
    if !open {
        for delete in [
            "DELETE FROM posting WHERE entitlement IN (SELECT seq FROM entitlement WHERE agreement = ?1)",
            "DELETE FROM entitlement WHERE agreement = ?1",
            "DELETE FROM delivered WHERE agreement = ?1",
            "DELETE FROM subscribed WHERE agreement = ?1",
            "DELETE FROM lease_party WHERE agreement = ?1",
        ] {
            connection.prepare_cached(delete)?.execute([agreement])?;
        }
    }
    Ok(())
}

fn few(rows: usize) -> Result<(), Refusal> {
    if rows <= WRITES_MAX { Ok(()) } else { Err(invalid(format!("at most {WRITES_MAX} rows are deleted at once"))) }
}
