//! The one flow from a request to an admitted export: resolve, gather, decide, record. Every front door calls this and
//! nothing else.

mod deny;
pub mod facts;
mod grounds;
pub mod judge;
mod quote;
mod record;
pub mod released;
pub mod resolve;
pub mod standing;
mod turn;

pub use judge::Judgement;
pub use quote::quote;
pub use record::{Admission, admit, live, uncut};
pub use released::Released;
pub use resolve::{Ask, Resolved, resolve, visible};
pub use turn::{Turned, turn};

use gateway_api::{Code, Problem, Viewer};
use policy::Effect;

use crate::gateway::Gateway;
use facts::{Contributions, Sources};

/// What would be decided now, without lease, counters or hold: for HEAD, plans, ListFlights and GetFlightInfo.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The judgement on everything that was asked for.
    pub asked: Judgement,
    /// With redaction: the judgement on the part that may go, or that a person may release.
    pub part: Option<Judgement>,
    /// The release that lets it go all the same.
    pub released: Option<Released>,
}

impl Preview {
    /// The judgement that would admit, if one does.
    pub fn admits(&self) -> Option<&Judgement> {
        if self.released.is_some() {
            return Some(self.undecided());
        }
        [Some(&self.asked), self.part.as_ref()]
            .into_iter()
            .flatten()
            .find(|judgement| judgement.outcome.effect == Effect::Allow)
    }

    /// The judgement to show: the one that would admit, else the refusal.
    pub fn shown(&self) -> &Judgement {
        self.admits().unwrap_or_else(|| self.refused())
    }

    /// The judgement to refuse with: of the part, if leaving out columns leaves it to a person.
    pub fn refused(&self) -> &Judgement {
        self.part.as_ref().unwrap_or(&self.asked)
    }

    /// The judgement that a release may be about: on everything that was asked for if that is left to a person, else on
    /// the part.
    pub fn undecided(&self) -> &Judgement {
        match &self.part {
            Some(part) if self.asked.outcome.effect != Effect::Review => part,
            _ => &self.asked,
        }
    }

    fn undecided_mut(&mut self) -> &mut Judgement {
        match &mut self.part {
            Some(part) if self.asked.outcome.effect != Effect::Review => part,
            _ => &mut self.asked,
        }
    }
}

/// Decides without recording anything.
pub fn preview(gateway: &Gateway, resolved: &Resolved, redact: bool) -> Result<Preview, Problem> {
    let contributions = contributions(gateway, resolved)?;
    decide(gateway, resolved, redact, &contributions)
}

fn decide(
    gateway: &Gateway,
    resolved: &Resolved,
    redact: bool,
    contributions: &Contributions,
) -> Result<Preview, Problem> {
    let sources = resolved.sources(contributions);
    let rules = gateway.rules_for(
        &resolved.snapshot.rulesets,
        resolved.provider.id.as_str(),
        resolved.consumer.id.as_str(),
        resolved.now,
    )?;
    let (asked, part) = if redact {
        judge::judge_redacted(&rules, &sources, &resolved.columns)?
    } else {
        (judge::judge(&rules, &sources, &resolved.columns)?, None)
    };
    released::apply(&rules, resolved, contributions, Preview { asked, part, released: None })
}

fn contributions(gateway: &Gateway, resolved: &Resolved) -> Result<Contributions, Problem> {
    contributions_of(gateway, &resolved.version, &resolved.leaves, resolved.now)
}

/// What the provider of `version`, whose leaf columns are `leaves`, has reserved in the year of `now`, and whom the version
/// concerns: [`crate::counting::ready`] has seen to it that this is known.
pub fn contributions_of(
    gateway: &Gateway,
    version: &catalog::Version,
    leaves: &[String],
    now: jiff::Timestamp,
) -> Result<Contributions, Problem> {
    let year = crate::clock::today(now).year();
    let keys = crate::counting::keys(gateway, version, leaves, year)?;
    let counted = gateway.look(|reader| reader.counted(&version.provider, year))?;
    Ok(Contributions { year, revision: counted.revision, reserved: counted.year, keys })
}

/// The problem of a refused judgement: 403 with the explanation for `viewer`.
pub fn refusal(viewer: Viewer, judgement: &Judgement) -> Problem {
    use std::fmt::Write as _;

    let (decision, explain) = judgement.explained(viewer);
    let code = if decision.effect == Effect::Review { Code::Review } else { Code::Denied };
    let mut detail = match decision.effect {
        Effect::Review => "a person has to decide this export".to_owned(),
        _ => "this export is denied".to_owned(),
    };
    for reason in &decision.reasons {
        let _ = write!(detail, "; {}: {}", reason.rule.as_str(), reason.message.en);
    }
    if !decision.columns_allowed.is_empty() {
        detail.push_str("; without some columns it would be allowed: ask with `redact=true`");
    }
    if let Some(unreleased) = &judgement.unreleased {
        detail.push_str("; ");
        detail.push_str(unreleased);
    }
    Problem::new(code, detail).explained(explain.to_value())
}

/// 503: the records do not answer, so nothing is decided (INV-2).
pub fn unavailable(error: impl std::fmt::Display) -> Problem {
    tracing::error!(error = %error, "the records do not answer");
    Problem::new(Code::Unavailable, "the records do not answer: try again")
}

impl Resolved {
    /// Who reads the answer: whoever asks is a consumer, unless the data are its own. An officer of an authority does not
    /// ask for data; it reads what is on record.
    pub fn viewer(&self) -> Viewer {
        if self.consumer.id == self.provider.id { Viewer::Provider } else { Viewer::Consumer }
    }

    /// What the facts are gathered from.
    fn sources<'a>(&'a self, contributions: &'a Contributions) -> Sources<'a> {
        Sources {
            snapshot: &self.snapshot,
            exporter: &self.provider,
            recipient: &self.consumer,
            accessed_from: &self.accessed_from,
            agreement: self.agreement.as_ref().map(|agreement| &agreement.body),
            version: &self.version,
            leaves: &self.leaves,
            purpose: self.purpose.as_str(),
            contributions,
            stated: None,
            now: self.now,
        }
    }
}
