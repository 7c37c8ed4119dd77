//! Expectations, checked inside the transaction that depends on them.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::apply::{open_denial, stored};
use super::{Refusal, access, lease};
use crate::lookup::Recent;
use crate::transaction::{CommitError, Expect};

pub(super) fn check(connection: &Connection, recent: &Recent, expect: &Expect) -> Result<(), Refusal> {
    if holds(connection, recent, expect)? { Ok(()) } else { Err(CommitError::Conflict(expect.clone()).into()) }
}

fn holds(connection: &Connection, recent: &Recent, expect: &Expect) -> Result<bool, rusqlite::Error> {
    match expect {
        Expect::Doc { kind, id, revision } => {
            let held: Option<i64> = connection
                .prepare_cached("SELECT revision FROM doc WHERE kind = ?1 AND id = ?2")?
                .query_row(params![kind.as_str(), id], |row| row.get(0))
                .optional()?;
            Ok(held == revision.map(stored))
        }
        Expect::Contributions { exporter, year, revision } => {
            let held: Option<i64> = connection
                .prepare_cached("SELECT revision FROM tally WHERE exporter = ?1 AND year = ?2")?
                .query_row(params![exporter.as_str(), year], |row| row.get(0))
                .optional()?;
            Ok(held.unwrap_or(0) == stored(*revision))
        }
        Expect::NoLiveLease { key, at } => {
            Ok(lease::active(connection, recent, key)?.is_none_or(|(_, expires)| expires <= at.as_millisecond()))
        }
        Expect::LeaseActive { lease } => connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM lease WHERE id = ?1 AND state = 'active')")?
            .query_row([lease.as_str()], |row| row.get(0)),
        Expect::NoDenial { key, at } => Ok(open_denial(connection, *key, at.as_millisecond())?.is_none()),
        Expect::Denied { key, at } => Ok(open_denial(connection, *key, at.as_millisecond())?.is_some()),
        Expect::NoAccess { key } => Ok(access::reads(connection, key)?.is_none()),
        Expect::Access { key, reads: None } => Ok(access::reads(connection, key)?.is_some()),
        Expect::Access { key, reads: Some(reads) } => Ok(access::reads(connection, key)? == Some(*reads)),
        // Conditions of single writes: each is looked at where it is applied.
        Expect::Receipted { .. } | Expect::NextAck { .. } | Expect::Delivered { .. } | Expect::Postings { .. } => {
            Ok(true)
        }
        Expect::SubjectKey { .. } | Expect::NoLease { .. } => Ok(true),
        Expect::Kek { kek } => super::subject::is_current(connection, kek),
        Expect::CrlNotNewer { issuer, number } => {
            let held: Option<Vec<u8>> = connection
                .prepare_cached("SELECT number FROM crl WHERE issuer = ?1")?
                .query_row([issuer], |row| row.get(0))
                .optional()?;
            let bare: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
            Ok(held.is_none_or(|held| (held.len(), &held) <= (bare.len(), &bare)))
        }
    }
}
