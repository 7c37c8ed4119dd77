//! Leases and grants.

use std::ops::Range;

use catalog::{Digest, LeaseId, Minor};
use gateway_ledger::Quote;
use gateway_ledger::book::Code;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::apply::{bounded, invalid, stored};
use super::entitlement::{self, parties};
use super::scope::Scope;
use super::{Refusal, counting};
use crate::lease::{Lease, LeaseState};
use crate::lookup::{Kind, Recent, forget_lease, print};
use crate::transaction::{CommitError, Expect, LeafRef, UNRECEIPTED_BYTES_MAX};

/// The active lease with a key, and when it expires. There is never more than one: the writer is alone, and looks here first.
pub(super) fn active(
    connection: &Connection,
    recent: &Recent,
    key: &Digest,
) -> Result<Option<(i64, i64)>, rusqlite::Error> {
    let mut query =
        connection.prepare_cached("SELECT seq, expires FROM lease WHERE seq = ?1 AND key = ?2 AND state = 'active'")?;
    for row in recent.view().rows(connection, Kind::Lease, print(key))? {
        let found = query.query_row(params![row, key.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

pub(super) fn put(scope: &Scope<'_>, lease: &Lease, leaf: LeafRef) -> Result<(), Refusal> {
    let connection = scope.connection;
    let json = |error: serde_json::Error| invalid(format!("the lease's JSON: {error}"));
    // Only one active lease has a key: an expired one makes room, and gets its leaf from the sweeper.
    match active(connection, scope.recent, &lease.key)? {
        None => {}
        Some((expired, expires)) if expires <= scope.at_ms => {
            connection
                .prepare_cached("UPDATE lease SET state = 'closed', reason = 'expired' WHERE seq = ?1")?
                .execute([expired])?;
            forget_lease(connection, &lease.key, expired)?;
            counting::release(connection, expired)?;
        }
        Some(_) => {
            let (key, at) = (lease.key, lease.created);
            return Err(CommitError::Conflict(Expect::NoLiveLease { key, at }).into());
        }
    }
    let columns = serde_json::to_string(&lease.columns).map_err(json)?;
    let price = lease.price.as_ref().map(serde_json::to_string).transpose().map_err(json)?;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO lease (id, key, principal, certificate, participant, agreement, provider, dataset, version,
                 columns, redact, purpose, price, state, leaf, created, expires, mechanism, release)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'active', ?14, ?15, ?16, ?17, ?18)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            lease.id.as_str(),
            lease.key.as_bytes(),
            lease.principal,
            lease.certificate,
            lease.participant.as_str(),
            lease.agreement.as_str(),
            lease.provider.as_str(),
            lease.dataset.as_str(),
            lease.version.as_str(),
            columns,
            lease.redact,
            lease.purpose.as_str(),
            price,
            scope.index(leaf)?,
            lease.created.as_millisecond(),
            lease.expires.as_millisecond(),
            lease.mechanism.as_ref().map(AsRef::<str>::as_ref),
            lease.release.as_ref().map(AsRef::<str>::as_ref),
        ])?;
    if inserted == 0 {
        return Err(invalid(format!("lease `{}` exists already", lease.id)));
    }
    let seq = connection.last_insert_rowid();
    scope.recent.add(Kind::Lease, print(&lease.key), seq);
    scope.found(&lease.id, seq);
    Ok(())
}

pub(super) fn grant(
    scope: &Scope<'_>,
    lease: &LeaseId,
    representation: &str,
    range: &Range<u64>,
) -> Result<(), Refusal> {
    if range.is_empty() {
        return Err(invalid(format!("a grant of {}..{} is empty", range.start, range.end)));
    }
    let (first, past) = (bounded("a grant's start", range.start)?, bounded("a grant's end", range.end)?);
    // INV-2: an expired lease grants nothing, even before the sweeper has closed it.
    let seq = scope.row_of(lease)?.ok_or_else(|| not_active(lease))?;
    let granted: Option<Granted> = scope
        .connection
        .prepare_cached(
            "UPDATE lease SET granted_bytes = granted_bytes + ?3 WHERE seq = ?1 AND state = 'active' AND expires > ?2
             RETURNING granted_bytes, quote, quote_bytes, unreceipted_max,
                 granted_bytes - sent_bytes - unsent_bytes - doubt_bytes",
        )?
        .query_row(params![seq, scope.at_ms, past - first], |row| {
            Ok(Granted {
                bytes: crate::reader::number(row, 0)?,
                quote: Quote { amount: Minor(row.get(1)?), bytes: crate::reader::number(row, 2)? },
                unreceipted_max: row.get(3)?,
                under_way: row.get(4)?,
            })
        })
        .optional()?;
    let Some(granted) = granted else {
        return Err(not_active(lease));
    };
    if granted.unreceipted_max > 0 {
        receipted(scope, lease, &granted)?;
    }
    if granted.quote.amount.0 > 0 {
        hold(scope, lease, &granted)?;
    }
    scope
        .connection
        .prepare_cached(
            "INSERT INTO egress_grant (lease, representation, first, past, at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![seq, representation, first, past, scope.at_ms])?;
    Ok(())
}

/// A lease after a grant.
struct Granted {
    bytes: u64,
    quote: Quote,
    /// How much may be out without a receipt; 0 where the offer asks for none.
    unreceipted_max: i64,
    /// Bytes granted that no settlement accounts for yet.
    under_way: i64,
}

/// Pay as you acknowledge: what was sent without a receipt and what is under way stay within a bound.
fn receipted(scope: &Scope<'_>, lease: &LeaseId, granted: &Granted) -> Result<(), Refusal> {
    let unreceipted: i64 = scope
        .connection
        .prepare_cached(
            "SELECT coalesce(sum(e.sent_bytes - e.receipt_bytes), 0) FROM entitlement AS e JOIN lease AS l
             ON e.agreement = l.agreement AND e.dataset = l.dataset AND e.version = l.version WHERE l.id = ?1",
        )?
        .query_row([lease.as_str()], |row| row.get(0))?;
    if unreceipted.saturating_add(granted.under_way.max(0)) <= granted.unreceipted_max {
        return Ok(());
    }
    Err(CommitError::Conflict(Expect::Receipted { lease: lease.clone() }).into())
}

/// Holds grow with grants.
fn hold(scope: &Scope<'_>, lease: &LeaseId, granted: &Granted) -> Result<(), Refusal> {
    let mut money = entitlement::lease(scope.connection, lease)?;
    let growth = money.hold.growth(granted.quote.held(granted.bytes));
    if growth.0 == 0 {
        return Ok(());
    }
    let agreement = entitlement::agreement(scope.connection, &money.agreement)?;
    money.reserve(scope, &agreement, growth)?;
    money.keep(scope.connection)
}

pub(super) fn terms(
    scope: &Scope<'_>,
    lease: &LeaseId,
    quote: &Quote,
    unreceipted_bytes_max: Option<u64>,
) -> Result<(), Refusal> {
    let bytes = bounded("a quote's bytes", quote.bytes)?;
    if unreceipted_bytes_max.is_some_and(|bytes| bytes == 0 || bytes > UNRECEIPTED_BYTES_MAX) {
        return Err(invalid(format!("1 to {UNRECEIPTED_BYTES_MAX} bytes may be out without a receipt")));
    }
    let most = unreceipted_bytes_max.map_or(0, stored);
    let set = scope
        .connection
        .prepare_cached(
            "UPDATE lease SET quote = ?2, quote_bytes = ?3, unreceipted_max = ?4 WHERE seq = ?1 AND granted_bytes = 0",
        )?
        .execute(params![scope.row_of(lease)?, quote.amount.0, bytes, most])?;
    if set == 0 { Err(invalid(format!("lease `{lease}` is not there or has its first grant"))) } else { Ok(()) }
}

pub(super) fn unsent(scope: &Scope<'_>, lease: &LeaseId, bytes: u64) -> Result<(), Refusal> {
    let bytes = bounded("a count of unsent bytes", bytes)?;
    let set = scope
        .connection
        .prepare_cached(
            "UPDATE lease SET unsent_bytes = unsent_bytes + ?2
             WHERE id = ?1 AND granted_bytes - sent_bytes - unsent_bytes >= ?2",
        )?
        .execute(params![lease.as_str(), bytes])?;
    // The egress meter never understates: what was sent cannot be said to be unsent.
    if set == 0 { Err(invalid(format!("lease `{lease}` has not {bytes} granted bytes left unsent"))) } else { Ok(()) }
}

pub(super) fn release(scope: &Scope<'_>, lease: &LeaseId) -> Result<(), Refusal> {
    let mut money = entitlement::lease(scope.connection, lease)?;
    if money.active {
        return Err(invalid(format!("lease `{lease}` is active: its hold stays")));
    }
    let left = money.hold.left();
    if left.0 > 0 {
        let agreement = entitlement::agreement(scope.connection, &money.agreement)?;
        let void = parties(&agreement).release(Code::Void, left);
        let members = money.members(&agreement);
        scope.enter(agreement.terms.price.currency, members, void.into_iter().collect())?;
        money.hold.reserved = money.hold.posted;
        money.keep(scope.connection)?;
    }
    Ok(())
}

pub(super) fn end(
    scope: &Scope<'_>,
    lease: &LeaseId,
    state: LeaseState,
    reason: Option<&str>,
    leaf: Option<LeafRef>,
) -> Result<(), Refusal> {
    if state == LeaseState::Active {
        return Err(invalid(format!("lease `{lease}` cannot be made active again")));
    }
    let leaf = leaf.map(|leaf| scope.index(leaf)).transpose()?;
    let ended: Option<(i64, Digest)> = scope
        .connection
        .prepare_cached(
            "UPDATE lease SET state = ?2, reason = ?3, closed_leaf = ?4 WHERE id = ?1 AND state = 'active'
             RETURNING seq, key",
        )?
        .query_row(params![lease.as_str(), state.as_str(), reason, leaf], |row| {
            Ok((row.get(0)?, crate::reader::digest(row, 1)?))
        })
        .optional()?;
    let (seq, key) = ended.ok_or_else(|| not_active(lease))?;
    forget_lease(scope.connection, &key, seq)?;
    counting::release(scope.connection, seq)
}

pub(super) fn set_closing_leaf(scope: &Scope<'_>, lease: &LeaseId, leaf: LeafRef) -> Result<(), Refusal> {
    let set = scope
        .connection
        .prepare_cached(
            "UPDATE lease SET closed_leaf = ?2 WHERE id = ?1 AND state <> 'active' AND closed_leaf IS NULL",
        )?
        .execute(params![lease.as_str(), scope.index(leaf)?])?;
    if set == 0 { Err(invalid(format!("lease `{lease}` has not ended or has its closing leaf"))) } else { Ok(()) }
}

fn not_active(lease: &LeaseId) -> Refusal {
    CommitError::Conflict(Expect::LeaseActive { lease: lease.clone() }).into()
}
