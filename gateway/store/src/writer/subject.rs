//! Persons' wrapped keys. The key that wraps them lies in a file elsewhere: a copy of this database opens nothing.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Refusal;
use super::scope::Scope;
use crate::transaction::{CommitError, Expect, SubjectHandle, SubjectKey};

/// Whether persons' keys are wrapped with `kek`.
pub(super) fn is_current(connection: &Connection, kek: &str) -> Result<bool, rusqlite::Error> {
    connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM vault WHERE kek = ?1)")?.query_row([kek], |row| row.get(0))
}

pub(super) fn first_kek(connection: &Connection, kek: &str) -> Result<(), Refusal> {
    let added = connection.prepare_cached("INSERT OR IGNORE INTO vault (id, kek) VALUES (1, ?1)")?.execute([kek])?;
    if added == 1 { Ok(()) } else { Err(CommitError::Conflict(Expect::Kek { kek: kek.to_owned() }).into()) }
}

/// A key that was wrapped with a destroyed one must not come in: it may be that of a person who has been erased since.
pub(super) fn put(scope: &Scope<'_>, key: &SubjectKey) -> Result<(), Refusal> {
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
