//! The one flow from a request to an admitted export: resolve, gather, decide, record. Every front door calls this and
//! nothing else.

pub mod facts;
pub mod judge;
mod record;
pub mod resolve;
pub mod standing;

pub use judge::{Judgement, explain};
pub use record::{Admission, admit, live, uncut};
pub use resolve::{Ask, Resolved, resolve, visible};

use gateway_api::{Code, Problem};
use policy::Effect;

use crate::gateway::Gateway;
use facts::{Contributions, Sources};

/// What would be decided now, without lease, counters or hold: for HEAD, plans, ListFlights and GetFlightInfo.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The judgement on everything that was asked for.
    pub asked: Judgement,
    /// With redaction: the judgement on the part that may go.
    pub part: Option<Judgement>,
}

impl Preview {
    /// The judgement that would admit, if one does.
    pub fn admits(&self) -> Option<&Judgement> {
        let asked = (self.asked.outcome.effect == Effect::Allow).then_some(&self.asked);
        asked.or(self.part.as_ref())
    }

    /// The judgement to show: the one that would admit, else the refusal.
    pub fn shown(&self) -> &Judgement {
        self.admits().unwrap_or(&self.asked)
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
    if redact {
        let (asked, part) = judge::judge_redacted(&gateway.rules, &sources, &resolved.columns)?;
        return Ok(Preview { asked, part });
    }
    Ok(Preview { asked: judge::judge(&gateway.rules, &sources, &resolved.columns)?, part: None })
}

fn contributions(gateway: &Gateway, resolved: &Resolved) -> Result<Contributions, Problem> {
    let exporter = &resolved.version.provider;
    let year = crate::clock::today(resolved.now).year();
    let stored = gateway.look(|reader| reader.contributions(exporter, year))?;
    let rows = stored.rows.into_iter().map(|row| (row.dataset.to_string(), row.persons, row.sensitive)).collect();
    Ok(Contributions { revision: stored.revision, rows })
}

/// The problem of a refused judgement: 403 with the explanation.
pub fn refusal(gateway: &Gateway, judgement: &Judgement) -> Problem {
    use std::fmt::Write as _;

    let decision = judgement.decision(&gateway.rules);
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
    Problem::new(code, detail).explained(explain(&decision))
}

/// 503: the records do not answer, so nothing is decided (INV-2).
pub fn unavailable(error: impl std::fmt::Display) -> Problem {
    tracing::error!(error = %error, "the records do not answer");
    Problem::new(Code::Unavailable, "the records do not answer: try again")
}

impl Resolved {
    /// What the facts are gathered from.
    fn sources<'a>(&'a self, contributions: &'a Contributions) -> Sources<'a> {
        Sources {
            snapshot: &self.snapshot,
            exporter: &self.provider,
            recipient: &self.consumer,
            address: self.address,
            agreement: self.agreement.as_ref().map(|agreement| &agreement.body),
            version: &self.version,
            leaves: &self.leaves,
            purpose: self.purpose.as_str(),
            contributions,
            now: self.now,
        }
    }
}
