//! Leases, their grants, and which of them are in doubt.

use std::ops::Range;

use catalog::{AgreementId, DatasetId, Digest, LeaseId, ParticipantId};
use gateway_ledger::Month;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params, params_from_iter};

use super::conditions::Conditions;
use super::{Reader, digest, number, optional, optional_number, parsed, time, wrong};
use crate::lease::{Lease, LeaseState};
use crate::lookup::{Kind, print};
use crate::records::{InDoubt, ReadError};

/// The most leases one call gives.
pub const LEASES_MAX: usize = 1000;

/// A lease with what the store adds to it.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseRow {
    /// The lease.
    pub lease: Lease,
    /// Its place in the order of leases; the cursor of a list.
    pub seq: u64,
    /// Bytes granted, representations added up.
    pub granted_bytes: u64,
    /// Those of them that provably did not leave. The rest is the egress meter: the upper bound of what left.
    pub unsent_bytes: u64,
    /// What is held for it and not posted, in minor units of its price's currency.
    pub held: i64,
    /// What was posted out of its hold.
    pub posted: i64,
    /// The period of its first data byte.
    pub first_period: Option<Month>,
    /// Its `lease_close` or `cut` leaf.
    pub closed_leaf: Option<u64>,
}

/// Which leases; every condition that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct LeaseFilter {
    /// As consumer or provider.
    pub party: Option<ParticipantId>,
    /// Keyed hash of the principal.
    pub principal: Option<String>,
    /// Keyed hash of the certificate.
    pub certificate: Option<String>,
    /// Under which agreement.
    pub agreement: Option<AgreementId>,
    /// Of which dataset.
    pub dataset: Option<DatasetId>,
    /// In which state.
    pub state: Option<LeaseState>,
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    /// Of which file, virtual file or stream.
    pub representation: String,
    /// Which bytes of it.
    pub range: Range<u64>,
    /// When.
    pub at: Timestamp,
}

const COLUMNS: &str = "id, key, principal, certificate, participant, agreement, provider, dataset, version, columns,
    redact, purpose, price, state, leaf, created, expires, reason, sent_bytes, unit_bytes,
    seq, granted_bytes, first_period, closed_leaf, mechanism, release, unsent_bytes,
    reserved - posted, posted";

impl Reader<'_> {
    /// One lease.
    pub fn lease(&self, id: &LeaseId) -> Result<Option<LeaseRow>, ReadError> {
        let mut query = self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM lease WHERE id = ?1"))?;
        Ok(query.query_row([id.as_str()], lease).optional()?)
    }

    /// The active, unexpired lease with this key.
    pub fn live_lease(&self, key: &Digest, now: Timestamp) -> Result<Option<LeaseRow>, ReadError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM lease WHERE seq = ?1 AND key = ?2 AND state = 'active' AND expires > ?3"
        ))?;
        for row in self.lookup.rows(self.connection, Kind::Lease, print(key))? {
            let found = query.query_row(params![row, key.as_bytes(), now.as_millisecond()], lease).optional()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Leases from the newest, at most `limit` (and `LEASES_MAX`); `cursor` is the `seq` of the last one seen.
    pub fn leases(&self, filter: &LeaseFilter, cursor: Option<u64>, limit: usize) -> Result<Vec<LeaseRow>, ReadError> {
        let text = |id: Option<&str>| id.map(str::to_owned);
        let limit = i64::try_from(limit.min(LEASES_MAX)).unwrap_or(i64::MAX);
        let (conditions, mut values) = Conditions::default()
            .add(
                "(participant = ? OR provider = ?) AND agreement IN (SELECT agreement FROM lease_party WHERE participant = ?)",
                text(filter.party.as_ref().map(AsRef::as_ref)),
            )
            .add("principal = ?", filter.principal.clone())
            .add("certificate = ?", filter.certificate.clone())
            .add("agreement = ?", text(filter.agreement.as_ref().map(AsRef::as_ref)))
            .add("dataset = ?", text(filter.dataset.as_ref().map(AsRef::as_ref)))
            .add("state = ?", text(filter.state.map(LeaseState::as_str)))
            .add("seq < ?", cursor.map(crate::writer::stored))
            .into_sql();
        values.push(limit.into());
        let mut query = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM lease {conditions} ORDER BY seq DESC LIMIT ?"))?;
        Ok(query.query_map(params_from_iter(values), lease)?.collect::<Result<_, _>>()?)
    }

    /// Every lease that is active, expired or not.
    pub fn active_leases(&self) -> Result<Vec<LeaseRow>, ReadError> {
        let mut query = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM lease WHERE state = 'active' ORDER BY seq"))?;
        Ok(query.query_map([], lease)?.collect::<Result<_, _>>()?)
    }

    /// Active leases that expired at or before `now`, for the sweeper that closes them.
    pub fn expired_leases(&self, now: Timestamp, limit: usize) -> Result<Vec<LeaseRow>, ReadError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM lease WHERE state = 'active' AND expires <= ?1 ORDER BY expires LIMIT ?2"
        ))?;
        let limit = i64::try_from(limit.min(LEASES_MAX)).unwrap_or(i64::MAX);
        Ok(query.query_map(params![now.as_millisecond(), limit], lease)?.collect::<Result<_, _>>()?)
    }

    /// Leases that ended without a closing leaf, for the sweeper that writes it.
    pub fn unclosed_leases(&self, limit: usize) -> Result<Vec<LeaseRow>, ReadError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM lease WHERE state <> 'active' AND closed_leaf IS NULL ORDER BY seq LIMIT ?1"
        ))?;
        let limit = i64::try_from(limit.min(LEASES_MAX)).unwrap_or(i64::MAX);
        Ok(query.query_map([limit], lease)?.collect::<Result<_, _>>()?)
    }

    /// Leases that ended while something is held for them, for the sweeper that releases it.
    pub fn held_leases(&self, limit: usize) -> Result<Vec<LeaseId>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT id FROM lease WHERE state <> 'active' AND reserved > posted ORDER BY seq LIMIT ?1",
        )?;
        let limit = i64::try_from(limit.min(LEASES_MAX)).unwrap_or(i64::MAX);
        Ok(query.query_map([limit], |row| parsed(row, 0))?.collect::<Result<_, _>>()?)
    }

    /// Leases of an agreement that sent a data byte, each with the period of the first: what `per_pull` bills.
    pub fn billed_leases(&self, agreement: &AgreementId) -> Result<Vec<LeaseRow>, ReadError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM lease WHERE agreement = ?1 AND first_period IS NOT NULL ORDER BY seq"
        ))?;
        Ok(query.query_map([agreement.as_str()], lease)?.collect::<Result<_, _>>()?)
    }

    /// The grants of a lease, in order.
    pub fn grants(&self, lease: &LeaseId) -> Result<Vec<GrantRow>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT representation, first, past, at FROM egress_grant
             WHERE lease = (SELECT seq FROM lease WHERE id = ?1) ORDER BY number",
        )?;
        let rows = query.query_map([lease.as_str()], |row| {
            let range = number(row, 1)?..number(row, 2)?;
            Ok(GrantRow { representation: row.get(0)?, range, at: time(row, 3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Active leases granted beyond what was recorded as sent.
    pub fn in_doubt(&self) -> Result<Vec<InDoubt>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT id, granted_bytes - unsent_bytes, sent_bytes FROM lease
             WHERE state = 'active' AND granted_bytes - unsent_bytes > sent_bytes ORDER BY seq",
        )?;
        let rows = query.query_map([], |row| {
            Ok(InDoubt { lease: parsed(row, 0)?, granted_bytes: number(row, 1)?, sent_bytes: number(row, 2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn lease(row: &Row<'_>) -> rusqlite::Result<LeaseRow> {
    let columns: String = row.get(9)?;
    let price: Option<String> = row.get(12)?;
    let state: String = row.get(13)?;
    let first_period: Option<String> = row.get(22)?;
    let lease = Lease {
        id: parsed(row, 0)?,
        key: digest(row, 1)?,
        principal: row.get(2)?,
        certificate: row.get(3)?,
        participant: parsed(row, 4)?,
        agreement: parsed(row, 5)?,
        provider: parsed(row, 6)?,
        dataset: parsed(row, 7)?,
        version: parsed(row, 8)?,
        columns: serde_json::from_str(&columns).map_err(|error| wrong(9, error))?,
        redact: row.get(10)?,
        purpose: parsed(row, 11)?,
        price: price.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| wrong(12, error))?,
        mechanism: optional(row, 24)?,
        release: optional(row, 25)?,
        state: LeaseState::parse(&state)
            .ok_or_else(|| rusqlite::Error::InvalidColumnType(13, "state".to_owned(), rusqlite::types::Type::Text))?,
        leaf: number(row, 14)?,
        created: time(row, 15)?,
        expires: time(row, 16)?,
        reason: row.get(17)?,
        sent_bytes: number(row, 18)?,
        unit_bytes: number(row, 19)?,
    };
    Ok(LeaseRow {
        lease,
        seq: number(row, 20)?,
        granted_bytes: number(row, 21)?,
        first_period: first_period.map(|text| Month::parse(&text)).transpose().map_err(|error| wrong(22, error))?,
        closed_leaf: optional_number(row, 23)?,
        unsent_bytes: number(row, 26)?,
        held: row.get(27)?,
        posted: row.get(28)?,
    })
}
