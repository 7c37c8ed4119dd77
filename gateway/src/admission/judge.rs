//! One decision from gathered facts: every place, every mechanism on file (POLICY.md, "Where each fact comes from").

use std::collections::BTreeSet;

use catalog::{Digest, Mechanism, MechanismId, MechanismKind};
use policy::{Count, Decision, Effect, Facts, Needed, Outcome, RuleId, RuleSet};

use gateway_api::{Explain, Problem, Viewer};

use super::facts::Sources;

/// The decision on one selection.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The columns that were judged, leaf paths in source order.
    pub columns: Vec<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// The facts that decided: of the place with the worse answer, with the mechanism that was tried.
    pub facts: Facts,
    /// That mechanism.
    pub mechanism: Option<MechanismId>,
    /// The rules that leave it to a person, in whichever place: what a release has to name. Empty unless the effect is
    /// `review`.
    pub held_by: Vec<String>,
    /// Why a release that is there does not apply, for whoever expected it to.
    pub unreleased: Option<String>,
    /// The rules that were in force for these parties.
    pub rules: RuleSet,
}

impl Judgement {
    /// Whether the export counts towards the exporter's year: out of the mainland, and not by an exemption of Art. 4 or
    /// 5(1)(1) to (3).
    pub fn counts(&self) -> bool {
        let exempted = |rule: &RuleId| matches!(rule.as_str(), "CN-10" | "CN-11" | "CN-12" | "CN-13");
        self.outcome.direction == policy::Direction::CnOut
            && !(self.outcome.needed == Needed::Exempt && self.outcome.basis.iter().any(exempted))
    }

    /// The mechanism that the export rests on, where it needs one: one that merely lay there carries nothing.
    pub fn rests_on(&self) -> Option<&MechanismId> {
        let needed = matches!(self.outcome.needed, Needed::ScOrCert | Needed::Sa);
        self.mechanism.as_ref().filter(|_| needed)
    }

    /// The canonical facts and their digest, as leaf and blob keep them.
    pub fn recorded_facts(&self) -> (Digest, Vec<u8>) {
        let canonical = self.facts.canonical().into_bytes();
        (Digest::of(&canonical), canonical)
    }

    /// The whole decision with reasons and tested remedies.
    pub fn decision(&self) -> Decision {
        policy::decide(&self.rules, &self.facts)
    }

    /// Digest of the rule set that decided: what leaves and releases name.
    pub fn policy(&self) -> &str {
        self.rules.digest()
    }

    /// What is stored beside the leaf, each under its digest, so that the decision can be replayed: the facts, and which
    /// rules the set was made of.
    pub fn recorded(&self) -> Vec<(Digest, Vec<u8>)> {
        let mut stored = vec![self.recorded_facts()];
        stored.extend(self.rules.manifest().map(|text| (Digest::of(text.as_bytes()), text.into_bytes())));
        stored
    }

    /// The decision, and its explanation for `viewer`.
    pub fn explained(&self, viewer: Viewer) -> (Decision, Explain) {
        let decision = self.decision();
        let explain = Explain::of(&self.rules, &self.facts, &decision, viewer);
        (decision, explain)
    }
}

/// Judges `columns`: each mechanism on file is tried, newest first; the first that allows is used, else the first with the
/// mildest effect. With two places the worse answer of a mechanism holds.
pub fn judge(rules: &RuleSet, sources: &Sources<'_>, columns: &[String]) -> Result<Judgement, Problem> {
    let mut on_file = sources.mechanisms();
    // The contract of the Greater Bay Area needs the provider's registered place too: where that is not in one of its
    // cities, the contract is left out of the facts, so that they replay to the same answer.
    if !gba_eligible(rules, sources) {
        on_file.retain(|mechanism| mechanism.kind != MechanismKind::GbaSc);
    }
    let candidates: Vec<Option<&Mechanism>> =
        if on_file.is_empty() { vec![None] } else { on_file.into_iter().map(Some).collect() };
    judge_under(rules, sources, columns, &candidates)
}

/// [`judge`] with only these mechanisms to try.
pub(super) fn judge_under(
    rules: &RuleSet,
    sources: &Sources<'_>,
    columns: &[String],
    candidates: &[Option<&Mechanism>],
) -> Result<Judgement, Problem> {
    let places = sources.facts(columns)?;
    let mut best: Option<Judgement> = None;
    for mechanism in candidates {
        let offered = mechanism.map(offered);
        let mut worst: Option<(Outcome, Facts)> = None;
        let mut held_by: BTreeSet<RuleId> = BTreeSet::new();
        for facts in &places {
            let facts = facts.with_mechanism(offered.clone());
            let outcome = policy::evaluate(rules, &facts);
            if outcome.effect == Effect::Review {
                held_by.extend(outcome.rules.iter().cloned());
            }
            if worst.as_ref().is_none_or(|(worst, _)| outcome.effect > worst.effect) {
                worst = Some((outcome, facts));
            }
        }
        let Some((outcome, facts)) = worst else { continue };
        if best.as_ref().is_none_or(|best| outcome.effect < best.outcome.effect) {
            let allowed = outcome.effect == Effect::Allow;
            if outcome.effect != Effect::Review {
                held_by.clear();
            }
            best = Some(Judgement {
                columns: columns.to_vec(),
                outcome,
                facts,
                mechanism: mechanism.map(|mechanism| mechanism.id.clone()),
                held_by: held_by.iter().map(ToString::to_string).collect(),
                unreleased: None,
                rules: rules.clone(),
            });
            if allowed {
                break;
            }
        }
    }
    best.ok_or_else(|| Problem::new(gateway_api::Code::Internal, "no decision could be made"))
}

fn gba_eligible(rules: &RuleSet, sources: &Sources<'_>) -> bool {
    policy::Place::parse(sources.exporter.place.as_str())
        .is_ok_and(|place| policy::is_gba_eligible(rules, &place, crate::clock::today(sources.now)))
}

/// Judges `columns`, and if they may not all go, the largest part of them that may; if no part may but one is left to a
/// person, that one. The second judgement, if there is one, does not deny.
pub fn judge_redacted(
    rules: &RuleSet,
    sources: &Sources<'_>,
    columns: &[String],
) -> Result<(Judgement, Option<Judgement>), Problem> {
    let whole = judge(rules, sources, columns)?;
    if whole.outcome.effect == Effect::Allow {
        return Ok((whole, None));
    }
    let allowed = whole.decision().columns_allowed;
    if allowed.is_empty() {
        let part = reviewable_part(rules, sources, columns, &whole)?;
        return Ok((whole, part));
    }
    // The part is judged by itself: with fewer columns another mechanism may serve, another place may object.
    let part = judge(rules, sources, &allowed)?;
    let part = (part.outcome.effect == Effect::Allow).then_some(part);
    Ok((whole, part))
}

/// The part of a denied selection that a person may release: without the sensitive columns, or without any personal one.
fn reviewable_part(
    rules: &RuleSet,
    sources: &Sources<'_>,
    columns: &[String],
    whole: &Judgement,
) -> Result<Option<Judgement>, Problem> {
    if whole.outcome.effect != Effect::Deny {
        return Ok(None);
    }
    let mut tried = columns.len();
    for most in [policy::ColumnClass::Personal, policy::ColumnClass::None] {
        let kept = whole.facts.selected().filter(|column| column.class <= most);
        let part: Vec<String> = kept.map(|column| column.name.clone()).collect();
        if part.is_empty() || part.len() == tried {
            continue;
        }
        tried = part.len();
        let judged = judge(rules, sources, &part)?;
        if judged.outcome.effect == Effect::Review {
            return Ok(Some(judged));
        }
    }
    Ok(None)
}

/// A mechanism on file as the policy sees it.
pub fn offered(mechanism: &Mechanism) -> policy::Mechanism {
    policy::Mechanism {
        kind: match mechanism.kind {
            MechanismKind::GbaSc => policy::MechanismKind::GbaSc,
            MechanismKind::Sc => policy::MechanismKind::Sc,
            MechanismKind::Cert => policy::MechanismKind::Cert,
            MechanismKind::Sa => policy::MechanismKind::Sa,
        },
        reference: mechanism.reference.clone(),
        effective: mechanism.effective,
        filed: mechanism.filed,
        expires: mechanism.expires,
        datasets: mechanism.datasets.clone(),
        purposes: mechanism.purposes.clone(),
        // A stored number above 2^53 − 1 cannot be: the API refuses it. Zero binds, so it would fail closed.
        persons_max: mechanism.persons_max.map(|persons| Count::try_from(persons).unwrap_or(Count::ZERO)),
    }
}
