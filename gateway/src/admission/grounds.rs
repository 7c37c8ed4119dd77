//! What a recorded decision rests on: the grounds, what must still hold when it is recorded, whom it counts, and its leaf.

use catalog::LeaseId;
use gateway_api::{Code, Problem};
use gateway_ledger::Contribution;
use gateway_store::{DocKind, Expect, Transaction, Write};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::facts::Contributions;
use super::{Judgement, Released, Resolved};
use crate::gateway::{expect, version_key};
use crate::identity::Principal;
use crate::leaf;
use crate::rest::mechanisms::carries_until;
use crate::rulesets;

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
    pub(super) fn carry_until(&self, resolved: &Resolved) -> Timestamp {
        let released = self.released.map_or(Timestamp::MAX, |released| released.release.until);
        let mechanism = self.counted().rests_on().and_then(|id| resolved.snapshot.mechanisms.get(id));
        let carried = mechanism.map(|doc| carries_until(&self.judgement.rules, doc, resolved.now));
        carried.unwrap_or(Timestamp::MAX).min(released)
    }
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
