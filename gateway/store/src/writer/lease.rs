//! Leases and grants.

use std::ops::Range;

use catalog::{Digest, LeaseId, Minor};
use gateway_ledger::Quote;
use gateway_ledger::book::Code;
use rusqlite::{OptionalExtension as _, params};

use super::apply::{bounded, invalid, stored};
use super::database::Database;
use super::entitlement::{self, LeaseMoney, parties};
use super::scope::Scope;
use super::{Refusal, counting};
use crate::lease::{FirstStream, Lease, LeaseState, Terms};
use crate::lookup::{Kind, Recent, print};
use crate::transaction::{CommitError, Expect, LeafRef, UNRECEIPTED_BYTES_MAX};

/// An active lease's row, and when it expires.
#[derive(Debug, Clone, Copy)]
pub(super) struct LiveLease {
    seq: i64,
    pub(super) expires: i64,
}

/// The active lease with a key. There is never more than one: the writer is alone, and looks here first.
pub(super) fn active(
    connection: &Database<'_>,
    recent: &Recent,
    key: &Digest,
) -> Result<Option<LiveLease>, rusqlite::Error> {
    for row in recent.view().rows(connection, Kind::Lease, print(key))? {
        let mut query = connection
            .prepare_cached("SELECT seq, expires FROM lease WHERE seq = ?1 AND key = ?2 AND state = 'active'")?;
        let found = query
            .query_row(params![row, key.as_bytes()], |row| Ok(LiveLease { seq: row.get(0)?, expires: row.get(1)? }));
        let found = found.optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

pub(super) fn put(
    scope: &Scope<'_, '_>,
    lease: &Lease,
    terms: &Terms,
    stream: Option<&FirstStream>,
    leaf: LeafRef,
) -> Result<(), Refusal> {
    let connection = scope.connection;
    let json = |error: serde_json::Error| invalid(format!("the lease's JSON: {error}"));
    make_way(scope, lease)?;
    let unreceipted_max = match terms.unreceipted_bytes_max {
        None => 0,
        Some(bytes @ 1..=UNRECEIPTED_BYTES_MAX) => stored(bytes),
        Some(_) => {
            return Err(invalid(format!("1 to {UNRECEIPTED_BYTES_MAX} bytes may be out without a receipt")));
        }
    };
    let granted = stream.map_or(Ok(0), |stream| first_grant(scope, lease, stream))?;
    let held = first_hold(scope, lease, terms, granted)?;
    let columns = serde_json::to_string(&lease.columns).map_err(json)?;
    let price = lease.price.as_ref().map(serde_json::to_string).transpose().map_err(json)?;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO lease (id, key, principal, certificate, participant, agreement, provider, dataset, version,
                 columns, redact, purpose, price, state, leaf, created, expires, mechanism, release, quote, quote_bytes,
                 unreceipted_max, streams, granted_bytes, reserved)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'active', ?14, ?15, ?16, ?17, ?18, ?19,
                 ?20, ?21, ?22, ?23, ?24)
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
            terms.quote.amount.0,
            bounded("a quote's bytes", terms.quote.bytes)?,
            unreceipted_max,
            stream.is_some(),
            granted,
            held.0,
        ])?;
    if inserted == 0 {
        return Err(invalid(format!("lease `{}` exists already", lease.id)));
    }
    let seq = connection.last_insert_rowid();
    scope.docs.parties(connection, lease)?;
    scope.recent.add(Kind::Lease, print(&lease.key), seq);
    scope.found(&lease.id, seq);
    let Some(stream) = stream else { return Ok(()) };
    if unreceipted_max > 0 {
        receipted(scope, &lease.id, granted, unreceipted_max)?;
    }
    for (number, range) in (0..).zip(&stream.ranges) {
        put_grant(scope, (seq, number), &stream.representation, range)?;
    }
    Ok(())
}

/// Only one active lease has a key: an expired one makes room, and gets its leaf from the sweeper.
fn make_way(scope: &Scope<'_, '_>, lease: &Lease) -> Result<(), Refusal> {
    let connection = scope.connection;
    let live = scope.live_lease(&lease.key)?;
    scope.leases_change();
    match live {
        None => Ok(()),
        Some(LiveLease { seq, expires }) if expires <= scope.at_ms => {
            connection
                .prepare_cached("UPDATE lease SET state = 'closed', reason = 'expired' WHERE seq = ?1")?
                .execute([seq])?;
            counting::release(scope, seq)
        }
        Some(_) => {
            let (key, at) = (lease.key, lease.created);
            Err(CommitError::Conflict(Expect::NoLiveLease { key, at }).into())
        }
    }
}

/// Bytes of a lease's first grant. INV-2 holds for it as for any other.
fn first_grant(scope: &Scope<'_, '_>, lease: &Lease, stream: &FirstStream) -> Result<i64, Refusal> {
    if lease.expires.as_millisecond() <= scope.at_ms {
        return Err(not_active(&lease.id));
    }
    stream.ranges.iter().try_fold(0_i64, |sum, range| Ok(sum.saturating_add(bytes_of(range)?)))
}

/// What is held for it: written with the lease, which has nobody else's hold to add to.
fn first_hold(scope: &Scope<'_, '_>, lease: &Lease, terms: &Terms, granted: i64) -> Result<Minor, Refusal> {
    if terms.quote.amount.0 <= 0 || granted == 0 {
        return Ok(Minor(0));
    }
    let mut money = LeaseMoney::fresh(lease);
    let growth = money.hold.growth(terms.quote.held(u64::try_from(granted).unwrap_or(0)));
    let agreement = scope.docs.agreement(scope.connection, lease.agreement.as_str())?;
    money.reserve(scope, &agreement, growth)?;
    Ok(money.hold.reserved)
}

pub(super) fn grant(
    scope: &Scope<'_, '_>,
    lease: &LeaseId,
    representation: &str,
    range: &Range<u64>,
) -> Result<(), Refusal> {
    let bytes = bytes_of(range)?;
    // INV-2: an expired lease grants nothing, even before the sweeper has closed it.
    let seq = scope.row_of(lease)?.ok_or_else(|| not_active(lease))?;
    let granted: Option<Granted> = scope
        .connection
        .prepare_cached(
            "UPDATE lease SET granted_bytes = granted_bytes + ?3 WHERE seq = ?1 AND state = 'active' AND expires > ?2
             RETURNING granted_bytes, quote, quote_bytes, unreceipted_max,
                 granted_bytes - sent_bytes - unsent_bytes - doubt_bytes",
        )?
        .query_row(params![seq, scope.at_ms, bytes], |row| {
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
        receipted(scope, lease, granted.under_way, granted.unreceipted_max)?;
    }
    if granted.quote.amount.0 > 0 {
        hold(scope, lease, &granted)?;
    }
    let number: i64 = scope
        .connection
        .prepare_cached("SELECT coalesce(max(number), -1) + 1 FROM egress_grant WHERE lease = ?1")?
        .query_row([seq], |row| row.get(0))?;
    put_grant(scope, (seq, number), representation, range)
}

fn bytes_of(range: &Range<u64>) -> Result<i64, Refusal> {
    if range.is_empty() {
        return Err(invalid(format!("a grant of {}..{} is empty", range.start, range.end)));
    }
    let (first, past) = (bounded("a grant's start", range.start)?, bounded("a grant's end", range.end)?);
    Ok(past - first)
}

fn put_grant(
    scope: &Scope<'_, '_>,
    (lease, number): (i64, i64),
    representation: &str,
    range: &Range<u64>,
) -> Result<(), Refusal> {
    let (first, past) = (bounded("a grant's start", range.start)?, bounded("a grant's end", range.end)?);
    scope
        .connection
        .prepare_cached(
            "INSERT INTO egress_grant (lease, number, representation, first, past, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![lease, number, representation, first, past, scope.at_ms])?;
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
fn receipted(scope: &Scope<'_, '_>, lease: &LeaseId, under_way: i64, most: i64) -> Result<(), Refusal> {
    let unreceipted: i64 = scope
        .connection
        .prepare_cached(
            "SELECT coalesce(sum(e.sent_bytes - e.receipt_bytes), 0) FROM entitlement AS e JOIN lease AS l
             ON e.agreement = l.agreement AND e.dataset = l.dataset AND e.version = l.version WHERE l.id = ?1",
        )?
        .query_row([lease.as_str()], |row| row.get(0))?;
    if unreceipted.saturating_add(under_way.max(0)) <= most {
        return Ok(());
    }
    Err(CommitError::Conflict(Expect::Receipted { lease: lease.clone() }).into())
}

/// Holds grow with grants.
fn hold(scope: &Scope<'_, '_>, lease: &LeaseId, granted: &Granted) -> Result<(), Refusal> {
    let mut money = entitlement::lease(scope.connection, lease)?;
    let growth = money.hold.growth(granted.quote.held(granted.bytes));
    if growth.0 == 0 {
        return Ok(());
    }
    let agreement = scope.docs.agreement(scope.connection, &money.agreement)?;
    money.reserve(scope, &agreement, growth)?;
    money.keep(scope.connection)
}

pub(super) fn unsent(scope: &Scope<'_, '_>, lease: &LeaseId, bytes: u64) -> Result<(), Refusal> {
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

pub(super) fn release(scope: &Scope<'_, '_>, lease: &LeaseId) -> Result<(), Refusal> {
    let mut money = entitlement::lease(scope.connection, lease)?;
    if money.active {
        return Err(invalid(format!("lease `{lease}` is active: its hold stays")));
    }
    let left = money.hold.left();
    if left.0 > 0 {
        let agreement = scope.docs.agreement(scope.connection, &money.agreement)?;
        let void = parties(&agreement).release(Code::Void, left);
        let members = money.members(&agreement);
        scope.enter(agreement.terms.price.currency, members, void.into_iter().collect())?;
        money.hold.reserved = money.hold.posted;
        money.keep(scope.connection)?;
    }
    Ok(())
}

pub(super) fn end(
    scope: &Scope<'_, '_>,
    lease: &LeaseId,
    state: LeaseState,
    reason: Option<&str>,
    leaf: Option<LeafRef>,
) -> Result<(), Refusal> {
    if state == LeaseState::Active {
        return Err(invalid(format!("lease `{lease}` cannot be made active again")));
    }
    scope.leases_change();
    let leaf = leaf.map(|leaf| scope.index(leaf)).transpose()?;
    let ended: Option<i64> = scope
        .connection
        .prepare_cached(
            "UPDATE lease SET state = ?2, reason = ?3, closed_leaf = ?4 WHERE id = ?1 AND state = 'active'
             RETURNING seq",
        )?
        .query_row(params![lease.as_str(), state.as_str(), reason, leaf], |row| row.get(0))
        .optional()?;
    counting::release(scope, ended.ok_or_else(|| not_active(lease))?)
}

pub(super) fn set_closing_leaf(scope: &Scope<'_, '_>, lease: &LeaseId, leaf: LeafRef) -> Result<(), Refusal> {
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
