//! Persons' wrapped keys. The key that wraps them lies in a file elsewhere: a copy of this database opens nothing.

use rusqlite::{OptionalExtension as _, params};

use super::Refusal;
use super::apply::stored;
use super::database::Database;
use super::scope::Scope;
use crate::transaction::{CommitError, Erasure, Expect, Resealed, SubjectHandle, SubjectKey};

/// Whether persons' keys are wrapped with `kek`.
pub(super) fn is_current(connection: &Database<'_>, kek: &str) -> Result<bool, rusqlite::Error> {
    connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM vault WHERE kek = ?1)")?.query_row([kek], |row| row.get(0))
}

pub(super) fn first_kek(connection: &Database<'_>, kek: &str) -> Result<(), Refusal> {
    let added = connection.prepare_cached("INSERT OR IGNORE INTO vault (id, kek) VALUES (1, ?1)")?.execute([kek])?;
    if added == 1 { Ok(()) } else { Err(CommitError::Conflict(Expect::Kek { kek: kek.to_owned() }).into()) }
}

/// A key that was wrapped with a destroyed one must not come in: it may be that of a person who has been erased since.
pub(super) fn put(scope: &Scope<'_, '_>, key: &SubjectKey) -> Result<(), Refusal> {
    let connection = scope.connection;
    if !is_current(connection, &key.kek)? {
        return Err(CommitError::Conflict(Expect::Kek { kek: key.kek.clone() }).into());
    }
    let held: Option<SubjectHandle> = connection
        .prepare_cached("SELECT handle FROM subject_key WHERE subject = ?1")?
        .query_row([&key.subject], |row| row.get(0))
        .optional()?;
    match held {
        Some(held) if held == key.handle => Ok(()),
        Some(_) => Err(CommitError::Conflict(Expect::SubjectKey { handle: key.handle }).into()),
        None => {
            connection
                .prepare_cached(
                    "INSERT INTO subject_key (handle, subject, participant, kek, wrapped, created)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    key.handle,
                    key.subject,
                    key.participant.as_str(),
                    key.kek,
                    key.wrapped,
                    scope.at_ms
                ])?;
            Ok(())
        }
    }
}

/// Everything of it in one transaction: whoever reads the store sees the key and nothing erased, or the erasure and no key.
pub(super) fn erase(scope: &Scope<'_, '_>, erasure: &Erasure) -> Result<(), Refusal> {
    let connection = scope.connection;
    let Erasure { handle, subject, replacement, leaf, from, to, rewrapped, answers } = erasure;
    let other_key = || Refusal::from(CommitError::Conflict(Expect::Kek { kek: from.clone() }));
    // A key that is yet to be destroyed must not be forgotten.
    let moved = connection
        .prepare_cached("UPDATE vault SET kek = ?2, retired = ?1 WHERE kek = ?1 AND retired IS NULL")?
        .execute([from, to])?;
    if moved == 0 {
        return Err(other_key());
    }
    let participant: Option<String> = connection
        .prepare_cached(
            "UPDATE subject_key SET subject = NULL, kek = NULL, wrapped = NULL, erased_leaf = ?3, erased_at = ?4
             WHERE handle = ?1 AND subject = ?2 RETURNING participant",
        )?
        .query_row(params![handle, subject, scope.index(*leaf)?, scope.at_ms], |row| row.get(0))
        .optional()?;
    let Some(participant) = participant else {
        return Err(CommitError::Conflict(Expect::SubjectKey { handle: *handle }).into());
    };
    let mut rewrap =
        connection.prepare_cached("UPDATE subject_key SET kek = ?3, wrapped = ?4 WHERE handle = ?1 AND kek = ?2")?;
    for (handle, wrapped) in rewrapped {
        rewrap.execute(params![handle, from, to, wrapped])?;
    }
    // Somebody's key has come in since: it would be lost with the key that wraps it.
    let left: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM subject_key WHERE kek = ?1)")?
        .query_row([from], |row| row.get(0))?;
    if left {
        return Err(other_key());
    }
    let active: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM lease WHERE participant = ?1 AND principal = ?2 AND state = 'active'
                 AND agreement IN (SELECT agreement FROM lease_party WHERE participant = ?1))",
        )?
        .query_row([&participant, subject], |row| row.get(0))?;
    if active {
        return Err(CommitError::Conflict(Expect::NoLease { handle: *handle }).into());
    }
    connection
        .prepare_cached(
            "UPDATE lease SET principal = ?3, certificate = ?3 WHERE participant = ?1 AND principal = ?2
                 AND agreement IN (SELECT agreement FROM lease_party WHERE participant = ?1)",
        )?
        .execute([&participant, subject, replacement])?;
    // Nobody looks through years of answers on this thread: the caller has, and only what came in since is left.
    let (rows, seen) = answers;
    let mut clear =
        connection.prepare_cached("UPDATE idempotency SET scope = ?2, response = x'' WHERE seq = ?3 AND scope = ?1")?;
    for row in rows {
        clear.execute(params![subject, replacement, stored(*row)])?;
    }
    connection
        .prepare_cached("UPDATE idempotency SET scope = ?2, response = x'' WHERE seq > ?3 AND scope = ?1")?
        .execute(params![subject, replacement, stored(*seen)])?;
    Ok(())
}

pub(super) fn reseal(connection: &Database<'_>, resealed: &Resealed) -> Result<(), Refusal> {
    match resealed {
        Resealed::Opening { leaf, field, subject, sealed } => connection
            .prepare_cached(
                "UPDATE opening SET sealed = ?4, subject = ?3 WHERE leaf = ?1 AND field = ?2 AND subject IS NULL",
            )?
            .execute(params![stored(*leaf), field, subject, sealed])?,
        Resealed::Evidence { row, subject, sealed } => connection
            .prepare_cached(
                "UPDATE receipt SET evidence = ?3, subject = ?2
                 WHERE seq = ?1 AND subject IS NULL AND length(evidence) > 0",
            )?
            .execute(params![stored(*row), subject, sealed])?,
        Resealed::Answer { row, clear, response } => connection
            .prepare_cached("UPDATE idempotency SET response = ?3 WHERE seq = ?1 AND response = ?2")?
            .execute(params![stored(*row), clear, response])?,
    };
    Ok(())
}

pub(super) fn kek_destroyed(connection: &Database<'_>, kek: &str) -> Result<(), Refusal> {
    connection.prepare_cached("UPDATE vault SET retired = NULL WHERE retired = ?1")?.execute([kek])?;
    Ok(())
}
