//! One transaction, inside its savepoint.

use std::sync::Arc;

use catalog::Digest;
use gateway_audit::NodeHash;
use rusqlite::{OptionalExtension as _, params};

use super::database::Database;
use super::entitlement::{self, Entitlement};
use super::entry::{Entry, stamp};
use super::prepared::Prepared;
use super::scope::{Context, Scope};
use super::{Head, Refusal, access, books, counting, expect, lease, meter, plain_commit, receipt, retention, subject};
use crate::lookup::{Kind, Print, Recent, print};
use crate::reader::{StoredResponse, answered, facts_row};
use crate::transaction::{
    BLOB_BYTES_MAX, Commit, CommitError, DENIAL_WINDOW, DocChange, DocKind, Expect, Idempotency, Write,
};

pub(super) fn apply(context: Context<'_, '_>, head: &mut Head, transaction: &mut Prepared) -> Result<Commit, Refusal> {
    let Context { connection, recent, .. } = context;
    let Prepared { at, expect, leaves, facts, writes, idempotency, batches } = transaction;
    // Of an attempt that was undone.
    batches.clear();
    // A retry is answered before its expectations are looked at: its own first run is what broke them.
    if let Some((print, idempotency)) = idempotency {
        check_idempotency(connection, recent, *print, idempotency)?;
    }
    let at_ms = head.at_ms.max(at.as_millisecond());
    let mut commit = plain_commit(*head, at_ms);
    let count = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
    let scope = Scope::new(context, head.next_leaf, count, at_ms);
    for expectation in expect.iter() {
        expect::check(&scope, expectation)?;
    }
    let stamp = stamp(commit.committed.at);
    let mut insert = connection.prepare_cached("INSERT INTO entry (idx, body) VALUES (?1, ?2)")?;
    for entry in leaves.iter_mut() {
        let body = entry.stamped(&stamp)?;
        insert.execute(params![stored(head.next_leaf), body])?;
        head.next_leaf += 1;
    }
    if count > 0 {
        head.at_ms = at_ms;
    }
    for (digest, body) in facts.iter() {
        put_facts(&scope, digest, body)?;
    }
    for write in writes.iter() {
        put(&scope, write, &mut commit.docs)?;
    }
    let first_leaf = scope.first_leaf;
    for batch in scope.batches.into_inner() {
        let mut entry = Entry::new(batch.into_members(), commit.committed.at)
            .map_err(|error| invalid(format!("a batch of transfers is no leaf: {error}")))?;
        let body = entry.stamped(&stamp)?;
        insert.execute(params![stored(head.next_leaf), body])?;
        head.next_leaf += 1;
        head.at_ms = at_ms;
        head.batches += 1;
        batches.push(entry);
    }
    if let Some((print, idempotency)) = idempotency {
        let leaf = (count > 0).then(|| stored(first_leaf));
        put_idempotency(connection, recent, (*print, idempotency), leaf)?;
    }
    head.revision += 1;
    commit.committed.leaves = count;
    commit.committed.revision = head.revision;
    Ok(commit)
}

/// The row that a checkpoint of this size and root is about to be signed (INV-6): never a smaller one, nor another
/// root for the same size.
pub(super) fn guard(
    connection: &Database<'_>,
    head: Head,
    size: u64,
    root: NodeHash,
    facts: u64,
) -> Result<Commit, Refusal> {
    let held: Option<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT size, root FROM guard")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((held, held_root)) = held
        && (stored(size) < held || (stored(size) == held && held_root != root.as_bytes()))
    {
        return Err(invalid(format!("a checkpoint of size {held} was signed, {size} with root {root} must not be")));
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO guard (id, size, root, facts) VALUES (1, ?1, ?2, ?3)")?
        .execute(params![stored(size), root.as_bytes(), stored(facts)])?;
    Ok(plain_commit(head, head.at_ms))
}

fn put_facts(scope: &Scope<'_, '_>, digest: &Digest, body: &[u8]) -> Result<(), Refusal> {
    let (connection, recent) = (scope.connection, scope.recent);
    if facts_row(connection, &recent.view(), digest)?.is_none() {
        let seq = connection
            .prepare_cached("INSERT INTO facts (digest, body) VALUES (?1, ?2)")?
            .insert(params![digest.as_bytes(), body])?;
        recent.add(Kind::Facts, print(digest), seq);
    }
    Ok(())
}

fn put(scope: &Scope<'_, '_>, write: &Write, docs: &mut Vec<DocChange>) -> Result<(), Refusal> {
    let connection = scope.connection;
    match write {
        Write::PutDoc { kind, id, body } => docs.push(put_doc(scope, *kind, id, body)?),
        Write::PutLease { lease, terms, stream, leaf } => lease::put(scope, lease, terms, stream.as_ref(), *leaf)?,
        Write::Grant { lease, representation, range } => lease::grant(scope, lease, representation, range)?,
        Write::LeaseState { lease, state, reason, leaf } => lease::end(scope, lease, *state, reason.as_deref(), *leaf)?,
        Write::LeaseLeaf { lease, leaf } => lease::set_closing_leaf(scope, lease, *leaf)?,
        Write::Delivered { lease, agreement, dataset, version, file, index, period, intervals, rows, wire_bytes } => {
            let entitlement = meter::Entitlement { agreement, dataset, version };
            let index = index.as_deref();
            let (file, period, rows, wire_bytes) = (*file, *period, *rows, *wire_bytes);
            let delivery = meter::Delivery { file, index, period, intervals, rows, wire_bytes };
            meter::deliver(scope, lease, &entitlement, &delivery)?;
        }
        Write::Unsent { lease, bytes } => lease::unsent(scope, lease, *bytes)?,
        Write::Receipt(receipt) => receipt::put(scope, receipt)?,
        Write::Release { lease } => lease::release(scope, lease)?,
        Write::CreditNote { id, agreement, dataset, version, amount, service_period } => {
            let agreement = scope.docs.agreement(connection, agreement.as_str())?;
            let id_of = agreement.id.as_str();
            let mut entitled = Entitlement::of(connection, id_of, dataset.as_str(), version.as_str())?;
            entitled.credit_note(scope, &agreement, id, *amount, *service_period)?;
            entitled.keep(connection)?;
        }
        Write::Enter { about, transfers } => books::enter(scope, about, transfers)?,
        Write::PeriodClose { period, postings, size, leaf } => {
            entitlement::close(scope, *period, (*postings, *size), scope.index(*leaf)?)?;
        }
        Write::Persons { exporter, year, keys } => counting::put_persons(connection, exporter, *year, keys)?,
        Write::Keyset { exporter, year, scope, keys } => {
            counting::put_keyset(connection, exporter, *year, *scope, keys)?;
        }
        Write::Contribution { lease, exporter, year, dataset, version, contribution, keys } => {
            let share = counting::Share { dataset, version, contribution, keys: *keys };
            counting::reserve(scope, lease, exporter, *year, &share)?;
        }
        Write::StreamOpened { lease } => counting::open_stream(connection, lease)?,
        Write::StreamUntouched { lease } => counting::close_untouched(scope, lease)?,
        Write::Denial { key, leaf, at } => {
            if open_denial(connection, *key, at.as_millisecond())?.is_some() {
                return Err(CommitError::Conflict(Expect::NoDenial { key: *key, at: *at }).into());
            }
            let (leaf, at) = (scope.index(*leaf)?, at.as_millisecond());
            connection
                .prepare_cached("INSERT INTO denial (key, leaf, opened, latest) VALUES (?1, ?2, ?3, ?3)")?
                .execute(params![key.as_bytes(), leaf, at])?;
        }
        Write::DenialRepeat { key, at } => {
            let Some(seq) = open_denial(connection, *key, at.as_millisecond())? else {
                return Err(CommitError::Conflict(Expect::Denied { key: *key, at: *at }).into());
            };
            connection
                .prepare_cached("UPDATE denial SET repeats = repeats + 1, latest = max(latest, ?2) WHERE seq = ?1")?
                .execute(params![seq, at.as_millisecond()])?;
        }
        Write::DenialClosed { key, first } => {
            connection
                .prepare_cached("UPDATE denial SET closed = 1 WHERE key = ?1 AND leaf = ?2")?
                .execute(params![key.as_bytes(), stored(*first)])?;
        }
        Write::Access { key, leaf, ends, members, range } => {
            access::open(connection, *key, scope.index(*leaf)?, *ends, (members, *range))?;
        }
        Write::AccessMore { key, reads, range } => access::more(connection, *key, *reads, *range)?,
        Write::AccessClosed { key, reads } => access::close(connection, *key, *reads)?,
        Write::Opening { leaf, field, subject, sealed } => {
            limit("an opening", sealed)?;
            connection
                .prepare_cached("INSERT INTO opening (leaf, field, sealed, subject) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![scope.index(*leaf)?, field, sealed, subject])?;
        }
        Write::FirstKek { kek } => subject::first_kek(connection, kek)?,
        Write::SubjectKey(key) => subject::put(scope, key)?,
        Write::Erase(erasure) => subject::erase(scope, erasure)?,
        Write::KekDestroyed { kek } => subject::kek_destroyed(connection, kek)?,
        Write::Expired(expired) => {
            scope.docs.forget();
            retention::delete(connection, expired)?;
        }
        Write::Resealed(resealed) => subject::reseal(connection, resealed)?,
        Write::CrlNumber { issuer, number } => put_crl(connection, issuer, number)?,
    }
    Ok(())
}

fn put_doc(scope: &Scope<'_, '_>, kind: DocKind, id: &str, body: &[u8]) -> Result<DocChange, Refusal> {
    limit("a document", body)?;
    let revision = scope
        .connection
        .prepare_cached(
            "INSERT INTO doc (kind, id, revision, body) VALUES (?1, ?2, 1, ?3)
             ON CONFLICT (kind, id) DO UPDATE SET revision = revision + 1, body = excluded.body RETURNING revision",
        )?
        .query_row(params![kind.as_str(), id, body], |row| crate::reader::number(row, 0))?;
    scope.docs.written(kind, id, stored(revision));
    Ok(DocChange { kind, id: id.to_owned(), revision, body: Arc::from(body) })
}

/// The row of the window that is open for this refusal at `at`.
pub(super) fn open_denial(connection: &Database<'_>, key: Digest, at_ms: i64) -> Result<Option<i64>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT seq FROM denial WHERE key = ?1 AND opened > ?2 ORDER BY opened DESC LIMIT 1")?
        .query_row(params![key.as_bytes(), at_ms.saturating_sub(window_ms())], |row| row.get(0))
        .optional()
}

pub(crate) fn window_ms() -> i64 {
    DENIAL_WINDOW.as_secs() * 1000
}

fn put_crl(connection: &Database<'_>, issuer: &str, number: &[u8]) -> Result<(), Refusal> {
    if number.len() > 20 {
        return Err(invalid(format!("a CRL number of {} bytes; RFC 5280 allows 20", number.len())));
    }
    let bare = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    let held: Option<Vec<u8>> = connection
        .prepare_cached("SELECT number FROM crl WHERE issuer = ?1")?
        .query_row([issuer], |row| row.get(0))
        .optional()?;
    let new = bare(number);
    if let Some(held) = held
        && (new.len(), &new) < (held.len(), &held)
    {
        let (issuer, number) = (issuer.to_owned(), number.to_owned());
        return Err(CommitError::Conflict(Expect::CrlNotNewer { issuer, number }).into());
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO crl (issuer, number) VALUES (?1, ?2)")?
        .execute(params![issuer, new])?;
    Ok(())
}

fn check_idempotency(
    connection: &Database<'_>,
    recent: &Recent,
    print: Print,
    idempotency: &Idempotency,
) -> Result<(), Refusal> {
    match answered(connection, &recent.view(), print, (&idempotency.scope, &idempotency.key))? {
        None => Ok(()),
        Some(StoredResponse { body, response, leaf }) if body == idempotency.body => {
            Err(CommitError::Replayed { response, leaf }.into())
        }
        Some(first) => Err(CommitError::KeyReused { first: first.body, second: idempotency.body }.into()),
    }
}

fn put_idempotency(
    connection: &Database<'_>,
    recent: &Recent,
    (print, idempotency): (Print, &Idempotency),
    leaf: Option<i64>,
) -> Result<(), Refusal> {
    limit("a response", &idempotency.response)?;
    let Idempotency { scope, key, body, response } = idempotency;
    let seq = connection
        .prepare_cached("INSERT INTO idempotency (scope, key, body, leaf, response) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .insert(params![scope, key, body.as_bytes(), leaf, response])?;
    recent.add(Kind::Idempotency, print, seq);
    Ok(())
}

fn limit(what: &str, bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.len() <= BLOB_BYTES_MAX {
        return Ok(());
    }
    Err(invalid(format!("{what} of {} bytes is too large, at most {BLOB_BYTES_MAX}", bytes.len())))
}

pub(super) fn invalid(why: String) -> Refusal {
    Refusal::Refused(CommitError::Invalid(why))
}

/// SQLite's integers are signed. Counts of bytes and leaves never reach 2^63; a number from outside that does was
/// refused by [`bounded`] before.
pub(crate) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from a caller that must fit.
pub(super) fn bounded(what: &str, number: u64) -> Result<i64, Refusal> {
    i64::try_from(number).map_err(|_| invalid(format!("{what} {number} is beyond 2^63")))
}
