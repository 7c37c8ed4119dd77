//! When the oldest of what is kept, and is not due yet, may fall due. What is under a contract that goes on may be kept
//! longer than that; nothing falls due earlier.

use std::collections::BTreeMap;

use catalog::{AgreementState, Digest, VersionState};
use gateway_audit::leaf::LeafHead;
use gateway_store::{ReadError, Reader};
use jiff::civil::Date;
use jiff::{Span, Timestamp};

use super::files::oldest_upload;
use super::{Cutoffs, spans};
use crate::clock;
use crate::config::Retention;
use crate::gateway::Gateway;
use crate::snapshot::Snapshot;

/// The first day of each class, in Asia/Shanghai.
#[derive(Debug, Default)]
pub(super) struct Next(BTreeMap<&'static str, Date>);

impl Next {
    /// The day of `class`.
    pub(super) fn of(&self, class: &str) -> Option<String> {
        self.0.get(class).map(Date::to_string)
    }

    fn set(&mut self, class: &'static str, from: Option<Timestamp>, span: Span) {
        let day = from.and_then(|from| clock::shanghai(from).checked_add(span).ok()).map(|at| at.date());
        if let Some(day) = day {
            self.0.insert(class, day);
        }
    }

    /// Those of files.
    pub(super) fn files(&mut self, gateway: &Gateway, snapshot: &Snapshot, cutoffs: &Cutoffs) {
        let spans = spans(&gateway.config.retention);
        let stored = |sha256: &str| Digest::parse(sha256).is_ok_and(|sha256| gateway.files.objects().contains(&sha256));
        let withdrawn = snapshot.versions.values().filter(|version| version.state == VersionState::Withdrawn);
        let withdrawn = withdrawn.filter(|version| version.files.iter().any(|file| stored(&file.sha256)));
        let withdrawn = withdrawn.filter_map(|version| version.withdrawn_at).filter(|at| *at >= cutoffs.withdrawn);
        self.set("objects", withdrawn.min(), spans.withdrawn);
        self.set("uploads", oldest_upload(&gateway.config.data, cutoffs.uploads), spans.uploads);
    }
}

/// Those of rows.
pub(super) fn rows(
    reader: &Reader<'_>,
    snapshot: &Snapshot,
    kept: &Retention,
    cutoffs: &Cutoffs,
) -> Result<Next, ReadError> {
    let (mut next, spans) = (Next::default(), spans(kept));
    let oldest = reader.oldest_since(cutoffs.operational, cutoffs.year, cutoffs.accounts)?;
    next.set("operational", oldest.denial, spans.operational);
    next.set("evidence", oldest.evidence, spans.accounts);
    let years = i16::try_from(kept.records_years).unwrap_or(i16::MAX);
    let persons = oldest.persons.and_then(|year| Date::new(year.checked_add(years)?.checked_add(1)?, 1, 1).ok());
    next.0.extend(persons.map(|day| ("persons", day)));

    let opened = reader.opened_leaves(reader.first_leaf_since(cutoffs.openings)?, u64::MAX, 1)?.pop();
    let opened = opened.map(|opened| head(&opened.body, opened.index)).transpose()?;
    next.set("openings", opened, spans.openings);
    let answer = reader.answer_since(reader.first_leaf_since(cutoffs.records)?)?.and_then(|row| row.leaf);
    let answer = match answer {
        Some(index) => reader.leaf(index)?.map(|body| head(&body, index)).transpose()?,
        None => None,
    };
    next.set("answers", answer, spans.records);

    let (mut leases, mut accounts) = (None::<Timestamp>, None::<Timestamp>);
    let earlier = |held: Option<Timestamp>, at: Timestamp| Some(held.map_or(at, |held| held.min(at)));
    for (id, agreement) in snapshot.agreements.iter() {
        let Some(ended) = agreement.ended_at.filter(|_| agreement.state == AgreementState::Ended) else { continue };
        let kept = reader.accounts_of(id)?;
        let last = reader.last_lease(id)?.map_or(ended, |last| last.max(ended));
        if kept.leases > 0 && last >= cutoffs.records {
            leases = earlier(leases, last);
        }
        let last = kept.last.map_or(last, |posted| posted.max(last));
        if kept.rows > 0 && last >= cutoffs.accounts {
            accounts = earlier(accounts, last);
        }
    }
    next.set("records", leases, spans.records);
    next.set("accounts", accounts, spans.accounts);
    Ok(next)
}

fn head(body: &[u8], index: u64) -> Result<Timestamp, ReadError> {
    let head = LeafHead::read(body);
    head.map(|head| head.at).map_err(|error| ReadError::Damaged { what: format!("log entry {index}: {error}") })
}
