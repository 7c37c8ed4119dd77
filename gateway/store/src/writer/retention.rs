//! Deleting what is past its time.

use rusqlite::{Connection, params};

use super::Refusal;
use super::apply::{invalid, stored};
use crate::transaction::{Expired, WRITES_MAX};

pub(super) fn delete(connection: &Connection, expired: &Expired) -> Result<(), Refusal> {
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

fn few(rows: usize) -> Result<(), Refusal> {
    if rows <= WRITES_MAX { Ok(()) } else { Err(invalid(format!("at most {WRITES_MAX} rows are deleted at once"))) }
}
