//! Records a decision, all in one commit: the leaf, the counters, the lease and its first grant; or the refusal.

use std::sync::Arc;

use catalog::{Digest, EvidenceKind, LeaseId};
use gateway_api::{Code, Problem};
use gateway_store::{
    CommitError, Expect, FirstStream, Lease, LeaseFilter, LeaseState, Terms, Transaction, Write, crashpoint,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::deny::deny;
use super::grounds::{Grounds, decision_leaf, put_grounds, relied_on, reserve};
use super::{Resolved, Turned, contributions, decide, quote, standing, turn, unavailable};
use crate::export::{Admitted, Counted, GrantPlan, Opened};
use crate::gateway::Shared;
use crate::identity::Principal;
use crate::leaf;
use crate::sessions::Stream;

/// How often a decision is made again because something changed between deciding and recording.
pub(super) const ATTEMPTS_MAX: usize = 16;

/// A lease that covers the request, and what it lets through.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The lease.
    pub lease: Arc<Lease>,
    fresh: bool,
}

impl Admission {
    /// The leaf columns that may go, in source order; fixed for the lease.
    pub fn columns(&self) -> &[String] {
        &self.lease.columns
    }

    /// Whether this request made the lease.
    pub const fn is_fresh(&self) -> bool {
        self.fresh
    }
}

/// Finds the live lease that covers the request, or decides and records one; then grants the first window of `plan`,
/// which is made for the lease's columns. Nothing has left yet when this returns.
///
/// # Errors
/// 403 with the explanation and the leaf of the recorded refusal; 409 `selection_changed`; 429; 503.
pub async fn admit(
    gateway: &Shared,
    principal: &Principal,
    resolved: &Resolved,
    redact: bool,
    plan: impl Fn(&[String]) -> Result<GrantPlan, Problem> + Send,
) -> Result<(Admission, Admitted), Problem> {
    if gateway.drain.is_draining() {
        return Err(Problem::new(Code::Unavailable, "the gateway is stopping: try again").with("retry_after", 5));
    }
    // No new lease and no further grant that nobody on the other side would ever see.
    gateway.witnessing.may_leave(tokio::time::Instant::now())?;
    gateway.clock.may_leave()?;
    gateway.scrubbing.may_leave()?;
    let key = lease_key(gateway, principal, resolved, redact)?;
    // Whoever finds the counter moved decides again with nobody in between: many exports at once would else keep each other
    // from ever being recorded.
    let mut alone = None;
    for _ in 0..ATTEMPTS_MAX {
        let live = gateway.look(|reader| reader.live_lease(&key, resolved.now))?;
        let recorded = match live {
            Some(row) => join(gateway, principal, resolved, row.lease, &plan).await?,
            None => make(gateway, principal, resolved, redact, key, &plan).await?,
        };
        match recorded {
            Ok(Recorded { lease, granted, plan, fresh, opened, turns }) => {
                crashpoint!("s4.before_stream");
                drop(alone.take());
                let lease = Arc::new(lease);
                let stream = Stream::new(Arc::clone(&lease), principal.connection.clone());
                let limits = &gateway.config.limits;
                let live = gateway
                    .sessions
                    .enter(stream, limits.streams_max, limits.streams_per_participant_max)
                    .map_err(|error| Problem::new(Code::RateLimited, error.to_string()))?;
                // A cut or drain that came between the grant and this registration found no stream: it is seen here, and
                // one that comes later finds us.
                let now_active = gateway.look(|reader| reader.lease(&lease.id))?;
                if now_active.is_none_or(|row| row.lease.state != LeaseState::Active) {
                    continue;
                }
                if gateway.drain.is_cutting() {
                    return Err(
                        Problem::new(Code::Unavailable, "the gateway is stopping: try again").with("retry_after", 5)
                    );
                }
                let principal = principal.clone();
                let needs_receipts = needs_receipts(resolved);
                let counted = Counted { principal, opened, turns };
                let admitted = Admitted::new(Arc::clone(&lease), (plan, granted), live, counted, needs_receipts);
                return Ok((Admission { lease, fresh }, admitted));
            }
            Err(CommitError::Conflict(Expect::Receipted { lease })) => {
                return Err(Problem::new(
                    Code::RateLimited,
                    format!(
                        "this offer asks for receipts, and {} MiB are out without one: acknowledge what you have with \
                         POST /v1/leases/{lease}/acks, then ask again",
                        gateway.config.limits.unreceipted_bytes_max >> 20
                    ),
                )
                .with("retry_after", 1));
            }
            Err(CommitError::Conflict(Expect::Contributions { .. })) if alone.is_none() => {
                alone = Some(gateway.counter_turn.lock().await);
            }
            // Something changed between deciding and recording: decide again on what is there now.
            Err(CommitError::Conflict(_)) => {}
            Err(CommitError::Full) => {
                return Err(Problem::new(Code::Unavailable, "the records are full: nothing new can leave"));
            }
            Err(error @ (CommitError::Leaf { .. } | CommitError::Invalid(_))) => {
                tracing::error!(%error, "a decision cannot be recorded");
                return Err(Problem::new(Code::Internal, "this decision cannot be recorded"));
            }
            Err(error) => return Err(unavailable(error)),
        }
    }
    Err(Problem::new(Code::Unavailable, "the records change faster than a decision can be made: try again"))
}

struct Recorded {
    lease: Lease,
    granted: u64,
    plan: GrantPlan,
    fresh: bool,
    opened: Opened,
    turns: Option<Timestamp>,
}

/// The live lease that covers the request, if there is one.
pub fn live(
    gateway: &Shared,
    principal: &Principal,
    resolved: &Resolved,
    redact: bool,
) -> Result<Option<Lease>, Problem> {
    let key = lease_key(gateway, principal, resolved, redact)?;
    Ok(gateway.look(|reader| reader.live_lease(&key, resolved.now))?.map(|row| row.lease))
}

/// Refuses what an officer has cut; else gives what a commit expects, so that no cut comes in between.
pub fn uncut(gateway: &Shared, principal: &Principal, resolved: &Resolved) -> Result<Expect, Problem> {
    standing::none(&resolved.snapshot, &gateway.secrets.vault, standing_key(gateway, principal, resolved)?)
}

fn standing_key(gateway: &Shared, principal: &Principal, resolved: &Resolved) -> Result<String, Problem> {
    let agreement =
        resolved.agreement.as_ref().ok_or_else(|| Problem::new(Code::NoAgreement, "no agreement covers it"))?;
    let version = &resolved.version;
    Ok(standing::key(&principal.keyed(&gateway.secrets), &agreement.id, &version.dataset, &version.version))
}

/// A lease is one per (principal, agreement, version, selection).
fn lease_key(gateway: &Shared, principal: &Principal, resolved: &Resolved, redact: bool) -> Result<Digest, Problem> {
    let agreement =
        resolved.agreement.as_ref().ok_or_else(|| Problem::new(Code::NoAgreement, "no agreement covers it"))?;
    let key = json!({
        "principal": principal.keyed(&gateway.secrets), "agreement": agreement.id, "dataset": resolved.version.dataset,
        "version": resolved.version.version, "columns": resolved.columns, "redact": redact,
    });
    Ok(Digest::of(key.to_string().as_bytes()))
}

/// Grants within a lease that is there: in a new year after it was decided and counted there too.
async fn join(
    gateway: &Shared,
    principal: &Principal,
    resolved: &Resolved,
    lease: Lease,
    plan: &(impl Fn(&[String]) -> Result<GrantPlan, Problem> + Send),
) -> Result<Result<Recorded, CommitError>, Problem> {
    // The plan is made from columns that a lease fixed: it was made before, so it can be made again.
    let plan = plan(&lease.columns)?;
    let granted = first_window(gateway, resolved, &plan);
    let now = crate::clock::now();
    let counted = gateway.look(|reader| reader.counted_year(&lease.id))?;
    let turns = counted.map(crate::clock::end_of_year);
    let (mut transaction, turns) = match turns.filter(|turns| now >= *turns) {
        None => (Transaction::new(now), turns),
        Some(_) => match turn(gateway, principal, &lease, now).await? {
            Turned::Counted { transaction, turns } => (transaction, turns),
            Turned::Refused { transaction, .. } => {
                // The lease has ended: the caller asks anew, and is told why by the decision on that.
                let ended = gateway.records.commit(transaction).await;
                let (key, at) = (lease.key, now);
                return Ok(Err(ended.err().unwrap_or(CommitError::Conflict(Expect::NoLiveLease { key, at }))));
            }
        },
    };
    transaction.writes.push(Write::StreamOpened { lease: lease.id.clone() });
    transaction.writes.extend(grants(&lease.id, &plan, granted));
    if let Err(error) = gateway.records.commit(transaction).await {
        return Ok(Err(error));
    }
    let opened = Opened::new(Arc::clone(&gateway.settler), lease.id.clone());
    Ok(Ok(Recorded { lease, granted, plan, fresh: false, opened, turns }))
}

fn needs_receipts(resolved: &Resolved) -> bool {
    resolved.agreement.as_ref().is_some_and(|agreement| agreement.terms.evidence == EvidenceKind::Receipt)
}

fn first_window(gateway: &Shared, resolved: &Resolved, plan: &GrantPlan) -> u64 {
    plan.bytes().min(gateway.config.limits.window(needs_receipts(resolved)))
}

fn grants(lease: &LeaseId, plan: &GrantPlan, granted: u64) -> Vec<Write> {
    plan.ranges(0, granted)
        .into_iter()
        .map(|range| Write::Grant { lease: lease.clone(), representation: plan.representation.clone(), range })
        .collect()
}

/// Decides, and records what was decided.
async fn make(
    gateway: &Shared,
    principal: &Principal,
    resolved: &Resolved,
    redact: bool,
    key: Digest,
    plan: &(impl Fn(&[String]) -> Result<GrantPlan, Problem> + Send),
) -> Result<Result<Recorded, CommitError>, Problem> {
    let contributions = contributions(gateway, resolved)?;
    let preview = decide(gateway, resolved, redact, &contributions)?;
    let uncut = uncut(gateway, principal, resolved)?;
    let Some(judgement) = preview.admits() else {
        return Err(deny(gateway, principal, resolved, redact, preview.refused()).await);
    };
    if redact {
        unchanged(gateway, principal, resolved, &key, &judgement.columns)?;
    }
    let plan = plan(&judgement.columns)?;
    let granted = first_window(gateway, resolved, &plan);
    let grounds = Grounds { judgement, released: preview.released.as_ref(), contributions: &contributions };
    let stream = FirstStream { representation: plan.representation.clone(), ranges: plan.ranges(0, granted) };
    let allowance = allowance(gateway, principal, resolved, redact, key, &grounds, stream)?;
    let Allowance { mut transaction, mut lease, turns } = allowance;
    transaction.expect.push(uncut);
    let opened = Opened::new(Arc::clone(&gateway.settler), lease.id.clone());
    Ok(gateway.records.commit(transaction).await.map(|committed| {
        let effect = if preview.released.is_some() { "released" } else { "allow" };
        metrics::counter!("kouan_decisions_total", "effect" => effect).increment(1);
        lease.leaf = committed.first_leaf;
        Recorded { lease, granted, plan, fresh: true, opened, turns }
    }))
}

/// A consumer that resumes must never be given other bytes under the same request: a lease of the last 24 hours with the
/// same key fixed the columns, whatever became of it.
fn unchanged(
    gateway: &Shared,
    principal: &Principal,
    resolved: &Resolved,
    key: &Digest,
    columns: &[String],
) -> Result<(), Problem> {
    let filter = LeaseFilter {
        principal: Some(principal.keyed(&gateway.secrets)),
        dataset: Some(resolved.version.dataset.clone()),
        ..LeaseFilter::default()
    };
    let rows = gateway.look(|reader| reader.leases(&filter, None, 64))?;
    let earlier = rows.into_iter().map(|row| row.lease).find(|lease| lease.key == *key);
    let recent = earlier.filter(|lease| lease.created.duration_until(resolved.now) < SignedDuration::from_hours(24));
    match recent.filter(|lease| lease.columns != columns) {
        None => Ok(()),
        Some(lease) => Err(Problem::new(
            Code::SelectionChanged,
            format!(
                "what may leave has changed since lease `{}`: ask for the columns by name, `columns={}`",
                lease.id,
                columns.join(",")
            ),
        )
        .with("columns", json!(columns))),
    }
}

struct Allowance {
    transaction: Transaction,
    lease: Lease,
    turns: Option<Timestamp>,
}

fn allowance(
    gateway: &Shared,
    principal: &Principal,
    resolved: &Resolved,
    redact: bool,
    key: Digest,
    grounds: &Grounds<'_>,
    stream: FirstStream,
) -> Result<Allowance, Problem> {
    let (now, judgement, counted) = (resolved.now, grounds.judgement, grounds.counted());
    let version = &resolved.version;
    let agreement =
        resolved.agreement.as_ref().ok_or_else(|| Problem::new(Code::NoAgreement, "no agreement covers it"))?;
    let id = gateway.secrets.id("l-", now).map_err(unavailable)?;
    let id = LeaseId::parse(&id).map_err(unavailable)?;
    let mut members = decision_leaf(resolved, judgement);
    let openings = leaf::by(&mut members, principal, &gateway.secrets).map_err(unavailable)?;
    members.insert("lease".to_owned(), json!(id));
    members.insert("agreement".to_owned(), json!(agreement.id));
    members.insert("price".to_owned(), json!(version.manifest.offer.price));
    put_grounds(&mut members, grounds);

    let mut transaction = Transaction::new(now);
    let leaf = transaction.leaf(members);
    transaction.facts = judgement.recorded();
    transaction.writes.extend(openings.of_leaf(leaf));
    let lease = Lease {
        id,
        key,
        principal: principal.keyed(&gateway.secrets),
        certificate: principal.keyed_certificate(&gateway.secrets),
        participant: principal.participant.clone(),
        agreement: agreement.id.clone(),
        provider: version.provider.clone(),
        dataset: version.dataset.clone(),
        version: version.version.clone(),
        columns: judgement.columns.clone(),
        redact,
        purpose: resolved.purpose.clone(),
        price: serde_json::to_value(&version.manifest.offer.price).ok(),
        mechanism: counted.rests_on().cloned(),
        release: grounds.released.map(|released| released.release.id.clone()),
        state: LeaseState::Active,
        leaf: 0,
        created: now,
        expires: grounds.carry_until(resolved).min(expiry(gateway, now)),
        reason: None,
        sent_bytes: 0,
        unit_bytes: 0,
    };
    let terms = Terms {
        quote: quote(resolved, &judgement.columns)?,
        unreceipted_bytes_max: (agreement.terms.evidence == EvidenceKind::Receipt)
            .then_some(gateway.config.limits.unreceipted_bytes_max),
    };
    transaction.writes.push(Write::PutLease { lease: lease.clone(), terms, stream: Some(stream), leaf });

    transaction.expect = relied_on(principal, resolved, grounds)?;
    transaction.expect.push(Expect::NoLiveLease { key, at: now });
    let turns = reserve(&mut transaction, &lease.id, resolved, grounds);
    Ok(Allowance { transaction, lease, turns })
}

fn expiry(gateway: &Shared, now: Timestamp) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(gateway.config.limits.lease_hours)).unwrap_or(Timestamp::MAX)
}
