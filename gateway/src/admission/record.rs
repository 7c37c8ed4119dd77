//! Records a decision, all in one commit: the leaf, the counters, the lease and its first grant; or the refusal.

use std::sync::Arc;

use catalog::{Digest, EvidenceKind, LeaseId};
use gateway_api::{Code, Problem};
use gateway_ledger::Contribution;
use gateway_store::{CommitError, DocKind, Expect, Lease, LeaseFilter, LeaseState, Transaction, Write};
use jiff::{SignedDuration, Timestamp};
use policy::Effect;
use serde_json::{Map, Value, json};

use super::facts::Contributions;
use super::{
    Judgement, Released, Resolved, Turned, contributions, decide, quote, refusal, standing, turn, unavailable,
};
use crate::export::{Admitted, Counted, GrantPlan, Opened};
use crate::gateway::{Shared, expect, version_key};
use crate::identity::Principal;
use crate::leaf;
use crate::rest::mechanisms::carries_until;
use crate::rulesets;
use crate::sessions::Stream;

/// How often a decision is made again because something changed between deciding and recording.
const ATTEMPTS_MAX: usize = 16;

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
    standing::none(&resolved.snapshot, standing_key(gateway, principal, resolved)?)
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
    let allowance = allowance(gateway, principal, resolved, redact, key, &grounds)?;
    let Allowance { mut transaction, mut lease, turns } = allowance;
    transaction.expect.push(uncut);
    transaction.writes.push(Write::StreamOpened { lease: lease.id.clone() });
    transaction.writes.extend(grants(&lease.id, &plan, granted));
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

/// On what an export leaves: an allow, or a review that was released.
pub(super) struct Grounds<'a> {
    pub(super) judgement: &'a Judgement,
    pub(super) released: Option<&'a Released>,
    pub(super) contributions: &'a Contributions,
}

impl Grounds<'_> {
    /// The judgement that says which mechanism carries the export and whether it counts.
    pub(super) fn counted(&self) -> &Judgement {
        self.released.map_or(self.judgement, |released| &released.counted)
    }

    /// A lease does not outlive the release or the mechanism that it rests on.
    fn carry_until(&self, resolved: &Resolved) -> Timestamp {
        let released = self.released.map_or(Timestamp::MAX, |released| released.release.until);
        let mechanism = self.counted().rests_on().and_then(|id| resolved.snapshot.mechanisms.get(id));
        let carried = mechanism.map(|doc| carries_until(&self.judgement.rules, doc, resolved.now));
        carried.unwrap_or(Timestamp::MAX).min(released)
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
    transaction.writes.extend(leaf::openings(leaf, openings));
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
    transaction.writes.push(Write::PutLease { lease: lease.clone(), leaf });
    transaction.writes.push(Write::Terms {
        lease: lease.id.clone(),
        quote: quote(resolved, &judgement.columns)?,
        unreceipted_bytes_max: (agreement.terms.evidence == EvidenceKind::Receipt)
            .then_some(gateway.config.limits.unreceipted_bytes_max),
    });

    transaction.expect = relied_on(principal, resolved, grounds)?;
    transaction.expect.push(Expect::NoLiveLease { key, at: now });
    let turns = reserve(&mut transaction, &lease.id, resolved, grounds);
    Ok(Allowance { transaction, lease, turns })
}

/// What a decision was made on must still be so when it is recorded: a suspension, a withdrawal or a revoked mechanism in
/// between means deciding again.
pub(super) fn relied_on(
    principal: &Principal,
    resolved: &Resolved,
    grounds: &Grounds<'_>,
) -> Result<Vec<Expect>, Problem> {
    let version = &resolved.version;
    let agreement =
        resolved.agreement.as_ref().ok_or_else(|| Problem::new(Code::NoAgreement, "no agreement covers it"))?;
    let mut expected = vec![
        expect(DocKind::Participant, principal.participant.to_string(), resolved.consumer.revision),
        expect(DocKind::Participant, resolved.provider.id.to_string(), resolved.provider.revision),
        expect(DocKind::Version, version_key(&version.dataset, &version.version), version.revision),
        expect(DocKind::Agreement, agreement.id.to_string(), agreement.revision),
    ];
    let (exporter, recipient) = (resolved.provider.id.as_str(), principal.participant.as_str());
    expected.extend(rulesets::expected(&resolved.snapshot, exporter, recipient));
    let mechanism = grounds.judgement.mechanism.as_ref();
    if let Some(doc) = mechanism.and_then(|id| resolved.snapshot.mechanisms.get(id)) {
        expected.push(expect(DocKind::Mechanism, doc.id.to_string(), doc.revision));
    }
    if let Some(Released { review, .. }) = grounds.released {
        expected.push(expect(DocKind::Review, review.id.to_string(), review.revision));
    }
    Ok(expected)
}

/// The members of a decision's leaf that say on what the export leaves.
pub(super) fn put_grounds(members: &mut Map<String, Value>, grounds: &Grounds<'_>) {
    if let Some(mechanism) = &grounds.judgement.mechanism {
        members.insert("mechanism".to_owned(), json!(mechanism));
    }
    if let Some(released) = grounds.released {
        members.insert("review".to_owned(), json!(released.review.id));
        members.insert("release".to_owned(), json!(released.release.id));
        if let Some(stated) = released.stated() {
            members.insert("subjects".to_owned(), json!(stated));
        }
    }
}

/// Reserves whom the export concerns in the commit of its decision, which no other export may come between. Gives the end
/// of the year in which it is then counted.
pub(super) fn reserve(
    transaction: &mut Transaction,
    lease: &LeaseId,
    resolved: &Resolved,
    grounds: &Grounds<'_>,
) -> Option<Timestamp> {
    if !grounds.counted().counts() {
        return None;
    }
    let contributions = grounds.contributions;
    let (version, year) = (&resolved.version, contributions.year);
    let exporter = version.provider.clone();
    let revision = contributions.revision;
    transaction.expect.push(Expect::Contributions { exporter: exporter.clone(), year, revision });
    let mut sources = resolved.sources(contributions);
    sources.stated = grounds.released.and_then(Released::stated);
    let contribution = Contribution::of(sources.adds(&grounds.judgement.columns), contributions.keyset());
    if contribution.is_nothing() {
        return None;
    }
    transaction.writes.push(Write::Contribution {
        lease: lease.clone(),
        exporter,
        year,
        dataset: version.dataset.clone(),
        version: version.version.clone(),
        contribution,
        keys: contributions.keys.as_ref().filter(|_| contribution.keyed).map(|(scope, _)| *scope),
    });
    Some(crate::clock::end_of_year(year))
}

fn expiry(gateway: &Shared, now: Timestamp) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(gateway.config.limits.lease_hours)).unwrap_or(Timestamp::MAX)
}

/// The members that every decision leaf has.
pub(super) fn decision_leaf(resolved: &Resolved, judgement: &Judgement) -> Map<String, Value> {
    let mut members = leaf::of("decision");
    let (digest, _) = judgement.recorded_facts();
    let outcome = &judgement.outcome;
    members.insert("dataset".to_owned(), json!(resolved.version.dataset));
    members.insert("version".to_owned(), json!(resolved.version.version));
    members.insert("manifest".to_owned(), json!(resolved.version.manifest_digest()));
    members.insert("provider".to_owned(), json!(resolved.version.provider));
    members.insert("columns".to_owned(), leaf::list(&judgement.columns));
    members.insert("purpose".to_owned(), json!(resolved.purpose));
    members.insert("effect".to_owned(), json!(outcome.effect));
    members.insert("needed".to_owned(), json!(outcome.needed));
    let rules: Vec<String> = outcome.rules.iter().map(ToString::to_string).collect();
    members.insert("rules".to_owned(), leaf::list(&rules));
    members.insert("policy".to_owned(), json!(judgement.policy()));
    members.insert("facts".to_owned(), json!(digest));
    members
}

/// Records a refusal, or counts its repetition, and gives the problem that says so.
async fn deny(
    gateway: &Shared,
    principal: &Principal,
    resolved: &Resolved,
    redact: bool,
    judgement: &Judgement,
) -> Problem {
    let problem = refusal(resolved.viewer(), judgement);
    let keyed = principal.keyed(&gateway.secrets);
    let now = resolved.now;
    if !gateway.denials.admit(&keyed, gateway.config.limits.denials_per_minute_max, now) {
        return Problem::new(Code::RateLimited, "denied too often within a minute: wait, then ask for something else")
            .with("retry_after", 60);
    }
    match record_denial(gateway, principal, resolved, redact, judgement, &keyed).await {
        Ok(leaf) if judgement.outcome.effect == Effect::Review => {
            let command = format!("kouan review request --leaf {leaf}");
            let call = json!({"method": "POST", "path": "/v1/reviews", "body": {"leaf": leaf}, "command": command});
            problem.at_leaf(leaf).with("review", call)
        }
        Ok(leaf) => problem.at_leaf(leaf),
        // A refusal that cannot be recorded is still a refusal, but the caller learns that it is not on record.
        Err(other) => other,
    }
}

async fn record_denial(
    gateway: &Shared,
    principal: &Principal,
    resolved: &Resolved,
    redact: bool,
    judgement: &Judgement,
    keyed: &str,
) -> Result<u64, Problem> {
    let now = resolved.now;
    let mut members = decision_leaf(resolved, judgement);
    // The same refusal: principal, request and facts, but for the moment.
    let mut timeless = serde_json::to_value(judgement.facts.gathered()).unwrap_or_default();
    if let Some(members) = timeless.as_object_mut() {
        members.remove("now");
    }
    let request = json!({"principal": keyed, "redact": redact, "facts": timeless});
    let key = Digest::of(request.to_string().as_bytes());
    for _ in 0..ATTEMPTS_MAX {
        let first = gateway.look(|reader| reader.denial(&key, now))?;
        let mut transaction = Transaction::new(now);
        if let Some(first) = first {
            transaction.writes.push(Write::DenialRepeat { key, at: now });
            match gateway.records.commit(transaction).await {
                Ok(_) => return Ok(first.leaf),
                Err(CommitError::Conflict(_)) => continue,
                Err(error) => return Err(unavailable(error)),
            }
        }
        let openings = leaf::by(&mut members, principal, &gateway.secrets).map_err(unavailable)?;
        let leaf = transaction.leaf(members.clone());
        transaction.facts = judgement.recorded();
        transaction.writes.extend(leaf::openings(leaf, openings));
        transaction.writes.push(Write::Denial { key, leaf, at: now });
        match gateway.records.commit(transaction).await {
            Ok(committed) => {
                let effect = judgement.outcome.effect.as_str();
                metrics::counter!("kouan_decisions_total", "effect" => effect).increment(1);
                return Ok(committed.index(leaf));
            }
            Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(unavailable(error)),
        }
    }
    Err(Problem::new(Code::Unavailable, "the refusal could not be recorded: try again"))
}
