//! Expectations, checked inside the transaction that depends on them.

use rusqlite::{OptionalExtension as _, params};

use super::apply::{open_denial, stored};
use super::scope::Scope;
use super::{Refusal, access};
use crate::transaction::{CommitError, Expect};

pub(super) fn check(scope: &Scope<'_, '_>, expect: &Expect) -> Result<(), Refusal> {
    if holds(scope, expect)? { Ok(()) } else { Err(CommitError::Conflict(expect.clone()).into()) }
}

fn holds(scope: &Scope<'_, '_>, expect: &Expect) -> Result<bool, rusqlite::Error> {
    let connection = scope.connection;
    match expect {
        Expect::Doc { kind, id, revision } => Ok(scope.docs.revision(connection, *kind, id)? == revision.map(stored)),
        Expect::Contributions { exporter, year, revision } => {
            let held: Option<i64> = connection
                .prepare_cached("SELECT revision FROM tally WHERE exporter = ?1 AND year = ?2")?
                .query_row(params![exporter.as_str(), year], |row| row.get(0))
                .optional()?;
            Ok(held.unwrap_or(0) == stored(*revision))
        }
        Expect::NoLiveLease { key, at } => {
            Ok(scope.live_lease(key)?.is_none_or(|lease| lease.expires <= at.as_millisecond()))
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
