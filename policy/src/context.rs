//! Facts as Cedar sees them. Names and types are those of `rules/schema.cedarschema`.

use std::collections::BTreeSet;

use cedar_policy::{Context, RestrictedExpression};
use jiff::civil::Date;

use crate::calendar::day_number;
use crate::evaluate::{Acceptance, Derived, Direction, Ladder, Needed};
use crate::facts::{Exemption, Gathered, Mechanism, MechanismKind};
use crate::place::Place;
use crate::rules::RuleSet;

/// Attributes being gathered; `None` in the end if a record names one twice, which ours do not.
struct Attributes(Vec<(String, RestrictedExpression)>);

impl Attributes {
    fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.put(name, RestrictedExpression::new_string(value.to_owned()))
    }

    fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.put(name, RestrictedExpression::new_bool(value))
    }

    /// Counts stay below 2^54, so they always fit.
    fn count(&mut self, name: &str, value: u64) -> &mut Self {
        self.put(name, RestrictedExpression::new_long(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn day(&mut self, name: &str, value: Date) -> &mut Self {
        self.put(name, RestrictedExpression::new_long(day_number(value)))
    }

    fn texts<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) -> &mut Self {
        let values = values.into_iter().map(|value| RestrictedExpression::new_string(value.to_owned()));
        self.put(name, RestrictedExpression::new_set(values))
    }

    fn put(&mut self, name: &str, value: RestrictedExpression) -> &mut Self {
        self.0.push((name.to_owned(), value));
        self
    }

    fn record(self) -> Option<RestrictedExpression> {
        RestrictedExpression::new_record(self.0).ok()
    }

    fn context(self) -> Option<Context> {
        Context::from_pairs(self.0).ok()
    }
}

/// For the ladder.
pub(crate) fn basis(facts: &Gathered, derived: &Derived) -> Option<Context> {
    let mut all = Attributes::with_capacity(14);
    all.text("direction", derived.direction.as_str())
        .text("class", facts.dataset.class.as_str())
        .text("important_status", facts.dataset.important_status.as_str())
        .text("ciio", facts.exporter.ciio.as_str())
        .flag("domestic_pi_introduced", facts.dataset.domestic_pi_introduced);
    collected_in(&mut all, facts);
    amounts(&mut all, derived);
    if let Some(exemption) = &facts.exemption {
        all.put("exemption", exemption_record(exemption)?);
    }
    all.context()
}

/// For the mechanism on file.
pub(crate) fn accept(facts: &Gathered, derived: &Derived, ladder: &Ladder, kind: MechanismKind) -> Option<Context> {
    let mut all = Attributes::with_capacity(8);
    all.text("direction", derived.direction.as_str())
        .flag("has_personal", derived.presence.personal)
        .text("needed", ladder.needed.as_str())
        .count("step", u64::from(ladder.step))
        .text("kind", kind.as_str());
    places(&mut all, facts);
    all.context()
}

/// For a GBA contract below the numbers of an assessment, from `exporter` into Hong Kong.
pub(crate) fn accept_gba_from(exporter: &Place) -> Option<Context> {
    let mut all = Attributes::with_capacity(8);
    all.text("direction", Direction::CnOut.as_str())
        .flag("has_personal", true)
        .text("needed", Needed::ScOrCert.as_str())
        .count("step", 0)
        .text("kind", MechanismKind::GbaSc.as_str())
        .text("exporter_place", exporter.as_str())
        .text("recipient_place", "HK")
        .text("accessed_from", "HK");
    all.context()
}

/// For whatever speaks against the export: every fact but the columns.
pub(crate) fn export(
    rules: &RuleSet,
    facts: &Gathered,
    derived: &Derived,
    ladder: &Ladder,
    acceptance: Acceptance,
) -> Option<Context> {
    let (exporter, recipient, dataset) = (&facts.exporter, &facts.recipient, &facts.dataset);
    let mut all = Attributes::with_capacity(44);
    all.text("direction", derived.direction.as_str())
        .day("today", derived.today)
        .text("purpose", &facts.purpose)
        .text("recipient", &recipient.id)
        .text("ciio", exporter.ciio.as_str())
        .flag("baseline", exporter.counters.baseline)
        .flag("restricted", recipient.restricted)
        .flag("foreign_authority_request", recipient.foreign_authority_request)
        .text("dataset", &dataset.id)
        .text("class", dataset.class.as_str())
        .text("important_status", dataset.important_status.as_str())
        .flag("state_secret", dataset.state_secret)
        .flag("controlled_item", dataset.controlled_item)
        .flag("genetic_resource", dataset.genetic_resource)
        .flag("geospatial", dataset.geospatial)
        .flag("source_statement", dataset.source_statement)
        .flag("domestic_pi_introduced", dataset.domestic_pi_introduced)
        .flag("subjects_known", dataset.subjects.is_some())
        .text("licence", facts.licence.as_deref().unwrap_or_default())
        .flag("notice", facts.preconditions.notice)
        .flag("separate_consent", facts.preconditions.separate_consent)
        .text("pipia", facts.preconditions.pipia.as_deref().unwrap_or_default())
        .texts("basis", ladder.basis.iter().map(super::RuleId::as_str))
        .count("step", u64::from(ladder.step))
        .text("needed", ladder.needed.as_str())
        .text("acceptance", acceptance.as_str());
    collected_in(&mut all, facts);
    amounts(&mut all, derived);
    places(&mut all, facts);
    if let Some(received) = &dataset.received_under {
        let mut record = Attributes::with_capacity(2);
        record.text("kind", received.kind.as_str()).text("direction", received.direction.as_str());
        all.put("received_under", record.record()?);
    }
    if let Some(exemption) = &facts.exemption {
        all.put("exemption", exemption_record(exemption)?);
    }
    if let Some(hk) = &facts.hk {
        all.text("dpp3", hk.dpp3.as_str());
    }
    if let Some(mechanism) = &facts.mechanism {
        all.put("mechanism", mechanism_record(rules, mechanism)?);
    }
    all.context()
}

fn amounts(all: &mut Attributes, derived: &Derived) {
    all.flag("has_personal", derived.presence.personal)
        .flag("has_sensitive", derived.presence.sensitive)
        .count("persons", derived.persons)
        .count("sensitive", derived.sensitive)
        .count("persons_year", derived.persons_year)
        .count("sensitive_year", derived.sensitive_year);
}

fn places(all: &mut Attributes, facts: &Gathered) {
    all.text("exporter_place", facts.exporter.place.as_str())
        .text("recipient_place", facts.recipient.place.as_str())
        .text("accessed_from", facts.recipient.accessed_from.as_str());
}

/// Jurisdictions only: Cedar cannot look into the members of a set.
fn collected_in(all: &mut Attributes, facts: &Gathered) {
    let jurisdictions: BTreeSet<_> = facts.dataset.collected_in.iter().map(Place::jurisdiction).collect();
    all.texts("collected_in", jurisdictions);
}

fn exemption_record(exemption: &Exemption) -> Option<RestrictedExpression> {
    let mut record = Attributes::with_capacity(2);
    record.text("kind", exemption.kind.as_str()).text("evidence", exemption.evidence.as_deref().unwrap_or_default());
    record.record()
}

fn mechanism_record(rules: &RuleSet, mechanism: &Mechanism) -> Option<RestrictedExpression> {
    let mut record = Attributes::with_capacity(9);
    record
        .text("kind", mechanism.kind.as_str())
        .text("reference", &mechanism.reference)
        .day("effective", mechanism.effective)
        .texts("datasets", mechanism.datasets.iter().map(String::as_str))
        .texts("purposes", mechanism.purposes.iter().map(String::as_str));
    if let Some(filed) = mechanism.filed {
        record.day("filed", filed);
    }
    if let Some(expires) = mechanism.expires {
        record.day("expires", expires);
    }
    if let Some(persons_max) = mechanism.persons_max {
        record.put("persons_max", RestrictedExpression::new_long(persons_max.long()));
    }
    // Only contracts are filed; a certificate or an assessment is issued by the authority itself.
    if matches!(mechanism.kind, MechanismKind::Sc | MechanismKind::GbaSc)
        && let Some(deadline) = rules.calendars().filing_deadline(mechanism.effective)
    {
        record.day("filing_deadline", deadline);
    }
    record.record()
}
