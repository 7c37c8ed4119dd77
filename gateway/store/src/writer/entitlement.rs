//! What an entitlement (agreement × version) has used and posted, and what it posts next.

use catalog::offer::{Currency, Period};
use catalog::{Agreement, LeaseId, Minor, PriceModel};
use gateway_ledger::book::{Code, is_batch};
use gateway_ledger::charge::{charge, credit};
use gateway_ledger::price::{Usage, due};
use gateway_ledger::{Hold, Month, Parties, Posted, Split};
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Refusal;
use super::apply::{invalid, stored};
use super::database::Database;
use super::scope::Scope;
use crate::lease::Lease;
use crate::transaction::{CommitError, Expect};

/// A lease as far as money is concerned.
pub(super) struct LeaseMoney {
    pub(super) seq: i64,
    pub(super) id: LeaseId,
    pub(super) agreement: String,
    pub(super) dataset: String,
    pub(super) version: String,
    pub(super) participant: String,
    pub(super) provider: String,
    pub(super) active: bool,
    pub(super) hold: Hold,
    /// Counted by `per_pull`.
    pub(super) pulled: bool,
}

/// Reads a lease; the caller's mistake if there is none.
pub(super) fn lease(connection: &Database<'_>, id: &LeaseId) -> Result<LeaseMoney, Refusal> {
    let found = connection
        .prepare_cached(
            "SELECT seq, agreement, dataset, version, participant, provider, state, reserved, posted, pulled
             FROM lease WHERE id = ?1",
        )?
        .query_row([id.as_str()], |row| {
            Ok(LeaseMoney {
                seq: row.get(0)?,
                id: id.clone(),
                agreement: row.get(1)?,
                dataset: row.get(2)?,
                version: row.get(3)?,
                participant: row.get(4)?,
                provider: row.get(5)?,
                active: row.get_ref(6)?.as_str().is_ok_and(|state| state == "active"),
                hold: Hold { reserved: Minor(row.get(7)?), posted: Minor(row.get(8)?) },
                pulled: row.get(9)?,
            })
        })
        .optional()?;
    found.ok_or_else(|| invalid(format!("there is no lease `{id}`")))
}

impl LeaseMoney {
    /// Of a lease that is about to be put.
    pub(super) fn fresh(lease: &Lease) -> Self {
        Self {
            seq: 0,
            id: lease.id.clone(),
            agreement: lease.agreement.to_string(),
            dataset: lease.dataset.to_string(),
            version: lease.version.to_string(),
            participant: lease.participant.to_string(),
            provider: lease.provider.to_string(),
            active: true,
            hold: Hold::default(),
            pulled: false,
        }
    }

    /// What leaves about its money name.
    pub(super) fn members(&self, agreement: &Agreement) -> Map<String, Value> {
        let mut members = about(agreement, &self.version);
        members.insert("lease".to_owned(), json!(self.id));
        members
    }

    pub(super) fn keep(&self, connection: &Database<'_>) -> Result<(), Refusal> {
        connection
            .prepare_cached("UPDATE lease SET reserved = ?2, posted = ?3, pulled = ?4 WHERE seq = ?1")?
            .execute(params![self.seq, self.hold.reserved.0, self.hold.posted.0, self.pulled])?;
        Ok(())
    }

    /// Reserves `amount` more.
    pub(super) fn reserve(
        &mut self,
        scope: &Scope<'_, '_>,
        agreement: &Agreement,
        amount: Minor,
    ) -> Result<(), Refusal> {
        if let Some(transfer) = parties(agreement).reserve(amount) {
            scope.enter(agreement.terms.price.currency, self.members(agreement), vec![transfer])?;
            self.hold.reserved = add(self.hold.reserved, amount)?;
        }
        Ok(())
    }
}

fn about(agreement: &Agreement, version: &str) -> Map<String, Value> {
    Map::from_iter([
        ("agreement".to_owned(), json!(agreement.id)),
        ("dataset".to_owned(), json!(agreement.dataset)),
        ("version".to_owned(), json!(version)),
        ("consumer".to_owned(), json!(agreement.participant)),
        ("provider".to_owned(), json!(agreement.provider)),
        ("broker".to_owned(), json!(agreement.broker)),
    ])
}

pub(super) const fn parties(agreement: &Agreement) -> Parties<'_> {
    Parties { consumer: &agreement.participant, provider: &agreement.provider, broker: &agreement.broker }
}

fn add(a: Minor, b: Minor) -> Result<Minor, Refusal> {
    a.0.checked_add(b.0).map(Minor).ok_or_else(|| invalid("an amount beyond 2^63 minor units".to_owned()))
}

/// The row of an entitlement.
pub(super) struct Entitlement {
    seq: i64,
    version: String,
    pub(super) usage: Usage,
    posted: Split,
    credited: Split,
    pub(super) sent_bytes: i64,
    pub(super) receipt_bytes: i64,
}

impl Entitlement {
    /// Reads it; a new one has used nothing.
    pub(super) fn of(
        connection: &Database<'_>,
        agreement: &str,
        dataset: &str,
        version: &str,
    ) -> Result<Self, Refusal> {
        let split = |row: &rusqlite::Row<'_>, first: usize| -> rusqlite::Result<Split> {
            let at = |column| row.get(column).map(Minor);
            Ok(Split { amount: at(first)?, fee: at(first + 1)?, tax: at(first + 2)? })
        };
        let found: Option<(Self, String)> = connection
            .prepare_cached(
                "SELECT seq, usage, amount, fee, tax, credited_amount, credited_fee, credited_tax, sent_bytes,
                     receipt_bytes
                 FROM entitlement WHERE agreement = ?1 AND dataset = ?2 AND version = ?3",
            )?
            .query_row([agreement, dataset, version], |row| {
                let entitlement = Self {
                    seq: row.get(0)?,
                    version: version.to_owned(),
                    usage: Usage::default(),
                    posted: split(row, 2)?,
                    credited: split(row, 5)?,
                    sent_bytes: row.get(8)?,
                    receipt_bytes: row.get(9)?,
                };
                Ok((entitlement, row.get(1)?))
            })
            .optional()?;
        if let Some((entitlement, usage)) = found {
            let usage = serde_json::from_str(&usage)
                .map_err(|error| invalid(format!("what {agreement} has used is damaged: {error}")))?;
            return Ok(Self { usage, ..entitlement });
        }
        let usage = Usage::default();
        let text = serde_json::to_string(&usage).map_err(|error| invalid(format!("a usage's JSON: {error}")))?;
        let seq = connection
            .prepare_cached(
                "INSERT INTO entitlement (agreement, dataset, version, usage) VALUES (?1, ?2, ?3, ?4) RETURNING seq",
            )?
            .query_row([agreement, dataset, version, &text], |row| row.get(0))?;
        let version = version.to_owned();
        let (posted, credited) = (Split::default(), Split::default());
        Ok(Self { seq, version, usage, posted, credited, sent_bytes: 0, receipt_bytes: 0 })
    }

    pub(super) fn keep(&self, connection: &Database<'_>) -> Result<(), Refusal> {
        let usage = serde_json::to_string(&self.usage).map_err(|error| invalid(format!("a usage's JSON: {error}")))?;
        let Split { amount, fee, tax } = self.posted;
        let credited = self.credited;
        connection
            .prepare_cached(
                "UPDATE entitlement SET usage = ?2, amount = ?3, fee = ?4, tax = ?5, credited_amount = ?6,
                     credited_fee = ?7, credited_tax = ?8, sent_bytes = ?9, receipt_bytes = ?10
                 WHERE seq = ?1",
            )?
            .execute(params![
                self.seq,
                usage,
                amount.0,
                fee.0,
                tax.0,
                credited.amount.0,
                credited.fee.0,
                credited.tax.0,
                self.sent_bytes,
                self.receipt_bytes,
            ])?;
        Ok(())
    }

    /// Counts a lease that brought its first data byte, and the subscription period that it falls into.
    pub(super) fn begin(
        &mut self,
        scope: &Scope<'_, '_>,
        lease: &mut LeaseMoney,
        agreement: &Agreement,
        service: Month,
    ) -> Result<(), Refusal> {
        if !std::mem::replace(&mut lease.pulled, true) {
            self.usage.pulls += 1;
        }
        let price = &agreement.terms.price;
        if price.model == PriceModel::Subscription {
            let period = match price.period.unwrap_or(Period::Month) {
                Period::Month => service.to_string(),
                Period::Year => format!("{:04}", service.year()),
            };
            let new = scope
                .connection
                .prepare_cached("INSERT OR IGNORE INTO subscribed (agreement, period) VALUES (?1, ?2)")?
                .execute([agreement.id.as_str(), &period])?;
            self.usage.periods += u64::try_from(new).unwrap_or(0);
        }
        Ok(())
    }

    /// Posts what has fallen due and is not posted, out of the lease's hold. `unit_bytes` are those that made it due.
    pub(super) fn bill(
        &mut self,
        scope: &Scope<'_, '_>,
        lease: &mut LeaseMoney,
        agreement: &Agreement,
        service: Month,
        unit_bytes: u64,
    ) -> Result<Split, Refusal> {
        let wrong = |error: &dyn std::fmt::Display| invalid(format!("what {} owes: {error}", agreement.id));
        let period = service.posted_at(at(scope));
        let total = due(&agreement.terms.price, &self.usage).map_err(|error| wrong(&error))?;
        let vat = scope.taxes.vat(&agreement.terms, at(scope));
        let posted = Posted { total: self.posted, period: self.in_period(scope.connection, period)? };
        let made = charge(&agreement.terms, vat, total, &posted).map_err(|error| wrong(&error))?;
        if made.is_zero() {
            return Ok(made);
        }
        let shortfall = lease.hold.shortfall(made.amount);
        let parties = parties(agreement);
        let mut transfers: Vec<_> = parties.reserve(shortfall).into_iter().collect();
        lease.hold.reserved = add(lease.hold.reserved, shortfall)?;
        lease.hold.posted = add(lease.hold.posted, made.amount)?;
        transfers.extend(parties.release(Code::Settle, made.amount));
        transfers.extend(parties.post(&made));

        let mut members = lease.members(agreement);
        members.insert("period".to_owned(), json!(period));
        members.insert("service_period".to_owned(), json!(service));
        members.insert("unit_bytes".to_owned(), json!(unit_bytes.to_string()));
        let leaf = scope.enter(agreement.terms.price.currency, members, transfers)?;
        self.posted = self.posted.plus(&made).map_err(|error| wrong(&error))?;
        let of = Of { code: "post", reference: lease.id.as_str(), period, service, leaf, unit_bytes };
        self.record(scope, agreement.terms.price.currency, &of, &made)?;
        Ok(made)
    }

    /// Takes `amount` back.
    pub(super) fn credit_note(
        &mut self,
        scope: &Scope<'_, '_>,
        agreement: &Agreement,
        id: &str,
        amount: Minor,
        service: Month,
    ) -> Result<(), Refusal> {
        let back = credit(&self.posted, &self.credited, amount).map_err(|error| invalid(error.to_string()))?;
        self.credited = self.credited.plus(&back).map_err(|error| invalid(error.to_string()))?;
        let period = Month::of(at(scope)).max(service);
        let currency = agreement.terms.price.currency;
        let mut members = about(agreement, &self.version);
        members.insert("credit_note".to_owned(), json!(id));
        members.insert("period".to_owned(), json!(period));
        members.insert("service_period".to_owned(), json!(service));
        let leaf = scope.enter(currency, members, parties(agreement).credit_note(&back))?;
        let negative = Split::default().minus(&back).map_err(|error| invalid(error.to_string()))?;
        let of = Of { code: "credit_note", reference: id, period, service, leaf, unit_bytes: 0 };
        self.record(scope, currency, &of, &negative)
    }

    /// What is posted in a period; credit notes are lines of their own.
    fn in_period(&self, connection: &Database<'_>, period: Month) -> Result<Split, Refusal> {
        let sums = connection
            .prepare_cached(
                "SELECT coalesce(sum(amount), 0), coalesce(sum(fee), 0), coalesce(sum(tax), 0) FROM posting
                 WHERE entitlement = ?1 AND period = ?2 AND code = 'post'",
            )?
            .query_row(params![self.seq, period.to_string()], |row| {
                Ok(Split { amount: Minor(row.get(0)?), fee: Minor(row.get(1)?), tax: Minor(row.get(2)?) })
            })?;
        Ok(sums)
    }

    fn record(&self, scope: &Scope<'_, '_>, currency: Currency, of: &Of<'_>, split: &Split) -> Result<(), Refusal> {
        let connection = scope.connection;
        let closed: bool = connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM closed_period WHERE period = ?1)")?
            .query_row([of.period.to_string()], |row| row.get(0))?;
        if closed {
            // INVARIANT (I10): nothing of a closed month changes.
            return Err(CommitError::Conflict(Expect::Postings { period: of.period, postings: 0 }).into());
        }
        connection
            .prepare_cached(
                "INSERT INTO posting (entitlement, code, reference, period, service_period, currency, amount, fee, tax,
                     unit_bytes, leaf, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                self.seq,
                of.code,
                of.reference,
                of.period.to_string(),
                of.service.to_string(),
                currency.as_str(),
                split.amount.0,
                split.fee.0,
                split.tax.0,
                stored(of.unit_bytes),
                of.leaf,
                scope.at_ms,
            ])?;
        Ok(())
    }
}

/// What a posting is about.
struct Of<'a> {
    code: &'static str,
    reference: &'a str,
    period: Month,
    service: Month,
    leaf: i64,
    unit_bytes: u64,
}

/// The time that the transaction bears.
pub(super) fn at(scope: &Scope<'_, '_>) -> Timestamp {
    Timestamp::from_millisecond(scope.at_ms).unwrap_or(Timestamp::MAX)
}

#[derive(Deserialize)]
struct PostedTo {
    period: Option<Month>,
}

/// Whether a batch at or behind entry `size` belongs to `period` or one before it: the closing was made without it.
fn posts_behind(scope: &Scope<'_, '_>, size: u64, period: Month) -> Result<bool, Refusal> {
    let mut query = scope.connection.prepare_cached("SELECT body FROM entry WHERE idx >= ?1 AND idx < ?2")?;
    let mut rows = query.query([stored(size), stored(scope.first_leaf)])?;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?;
        let posted = || serde_json::from_slice::<PostedTo>(body).ok().and_then(|leaf| leaf.period);
        if is_batch(body) && posted().is_some_and(|month| month <= period) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Closes a month.
pub(super) fn close(
    scope: &Scope<'_, '_>,
    period: Month,
    (postings, size): (u64, u64),
    leaf: i64,
) -> Result<(), Refusal> {
    if at(scope) < period.closes() {
        return Err(invalid(format!("{period} closes at {}, not before", period.closes())));
    }
    let connection = scope.connection;
    let open: bool = connection
        .prepare_cached(
            "SELECT count(*) = ?2 AND NOT EXISTS (SELECT 1 FROM closed_period WHERE period = ?1)
             FROM posting WHERE period = ?1",
        )?
        .query_row(params![period.to_string(), stored(postings)], |row| row.get(0))?;
    if !open || posts_behind(scope, size, period)? {
        return Err(CommitError::Conflict(Expect::Postings { period, postings }).into());
    }
    connection
        .prepare_cached("INSERT INTO closed_period (period, leaf) VALUES (?1, ?2)")?
        .execute(params![period.to_string(), leaf])?;
    Ok(())
}
