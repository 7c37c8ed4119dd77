//! Releases at the gate: a `review` whose every rule an officer has released may leave (POLICY.md, "Releasing a review").
//! The decision itself stays what it is; this only says whether somebody has answered for it.

use std::sync::Arc;

use catalog::manifest::Subjects;
use catalog::review::Wanted;
use catalog::{Mechanism, Misfit, Release, Review};
use gateway_api::Problem;
use policy::{Effect, RuleSet};

use super::facts::Contributions;
use super::judge::{Judgement, judge, judge_under};
use super::{Preview, Resolved};
use crate::snapshot::Doc;

/// A release that applies, and what it lets leave.
#[derive(Debug, Clone)]
pub struct Released {
    /// The review that was released.
    pub review: Arc<Doc<Review>>,
    /// The release in it.
    pub release: Release,
    /// The judgement with the numbers that the officer stated, or the same again where the manifest has them: which
    /// mechanism carries the export, and whether it counts.
    pub counted: Judgement,
}

impl Released {
    /// The numbers that came with the release.
    pub const fn stated(&self) -> Option<Subjects> {
        self.release.subjects
    }
}

/// Looks for a release of what `preview` leaves to a person. Where one applies, the preview admits; where one is there and
/// does not apply, the preview says why.
pub fn apply(
    rules: &RuleSet,
    resolved: &Resolved,
    contributions: &Contributions,
    mut preview: Preview,
) -> Result<Preview, Problem> {
    let Some(agreement) = &resolved.agreement else { return Ok(preview) };
    if preview.undecided().outcome.effect != Effect::Review {
        return Ok(preview);
    }
    let judgement = preview.undecided().clone();
    let wanted = Wanted {
        agreement: &agreement.id,
        dataset: &resolved.version.dataset,
        version: &resolved.version.version,
        manifest: resolved.version.manifest_digest(),
        columns: &judgement.columns,
        rules: &judgement.held_by,
        policy: rules.digest(),
        now: resolved.now,
    };
    // The newest first: what a later officer said is told, if nothing fits.
    let mut misfit: Option<(&Review, Misfit)> = None;
    for review in resolved.snapshot.reviews.values().rev() {
        match review.fits(&wanted) {
            Ok(release) => {
                let standing = check(rules, resolved, contributions, &judgement, release)?;
                match standing {
                    Checked::Released { judgement, counted } => {
                        let (review, release) = (Arc::clone(review), release.clone());
                        *preview.undecided_mut() = *judgement;
                        preview.released = Some(Released { review, release, counted: *counted });
                    }
                    // With the numbers it is another decision, and that one is refused.
                    Checked::Barred(counted) => *preview.undecided_mut() = *counted,
                }
                return Ok(preview);
            }
            Err(Misfit::Other | Misfit::NotReleased) => {}
            Err(other) => misfit = misfit.or(Some((review, other))),
        }
    }
    preview.undecided_mut().unreleased =
        misfit.map(|(review, misfit)| format!("the release of review `{}` does not apply: {misfit}", review.id));
    Ok(preview)
}

enum Checked {
    Released { judgement: Box<Judgement>, counted: Box<Judgement> },
    Barred(Box<Judgement>),
}

/// UNK-SUBJECTS: with the numbers that the officer stated, the thresholds are asked again. A release lets a person answer
/// what the policy leaves open; it never lifts what the numbers then forbid.
fn check(
    rules: &RuleSet,
    resolved: &Resolved,
    contributions: &Contributions,
    judgement: &Judgement,
    release: &Release,
) -> Result<Checked, Problem> {
    let Some(stated) = release.subjects else {
        let judgement = Box::new(judgement.clone());
        return Ok(Checked::Released { counted: judgement.clone(), judgement });
    };
    let sources = resolved.sources(contributions);
    let counted = judge(rules, &sources.with_stated(stated), &judgement.columns)?;
    let covered = |judged: &Judgement| judged.held_by.iter().all(|rule| release.rules.contains(rule));
    if counted.outcome.effect == Effect::Deny || !covered(&counted) {
        return Ok(Checked::Barred(Box::new(counted)));
    }
    // The decision on record names the mechanism that carries the export with these numbers.
    let mechanism: Option<&Mechanism> =
        counted.mechanism.as_ref().and_then(|id| resolved.snapshot.mechanisms.get(id)).map(|doc| &doc.body);
    let recorded = judge_under(rules, &sources, &judgement.columns, &[mechanism])?;
    if recorded.outcome.effect != Effect::Review || !covered(&recorded) {
        return Ok(Checked::Barred(Box::new(recorded)));
    }
    Ok(Checked::Released { judgement: Box::new(recorded), counted: Box::new(counted) })
}
