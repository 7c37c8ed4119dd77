//! What a manifest says that is weaker than what its inputs say.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Input, strict};
use crate::manifest::ReceivedDirection;
use crate::{ColumnClass, Manifest};

/// One declaration that an input forbids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weaker {
    /// The manifest's key.
    pub member: String,
    /// What it says.
    pub declared: String,
    /// What the input says.
    pub inherited: String,
    /// Which input, `dataset@version`.
    pub input: String,
    /// The rule behind it: an id of the rule set, or `terms` for the accepted offer.
    pub rule: String,
}

impl fmt::Display for Weaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { member, declared, inherited, input, rule } = self;
        write!(f, "`{member}` is {declared}, weaker than {inherited} of the input `{input}` ({rule})")
    }
}

/// Everything that `manifest` declares weaker than `input`. What it leaves open is not weaker: it is inherited. With an
/// anonymisation report (`reported`) the limits of personal information may be declared away; they hold until an officer
/// confirms the report.
pub fn weaker(manifest: &Manifest, input: &Input, reported: bool) -> Vec<Weaker> {
    let mut found = Found { input, weaker: Vec::new() };
    found.class(manifest);
    if !reported {
        found.personal(manifest);
    }
    found.terms(manifest);
    found.weaker
}

struct Found<'a> {
    input: &'a Input,
    weaker: Vec<Weaker>,
}

/// The spelling of a word of the manifest.
fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => format!("`{text}`"),
        Ok(other) => format!("`{other}`"),
        Err(_) => String::new(),
    }
}

impl Found<'_> {
    fn add(&mut self, member: impl Into<String>, declared: String, inherited: String, rule: &str) {
        self.weaker.push(Weaker {
            member: member.into(),
            declared,
            inherited,
            input: self.input.name(),
            rule: rule.to_owned(),
        });
    }

    fn class(&mut self, manifest: &Manifest) {
        let input = self.input;
        let (entry, limits) = (&manifest.dataset, &input.limits);
        if strict::class(entry.class) < strict::class(limits.class) {
            self.add("dataset.class", word(&entry.class), word(&limits.class), "A5");
        }
        if strict::status(entry.important_status) < strict::status(limits.important_status) {
            let declared = word(&entry.important_status);
            self.add("dataset.important_status", declared, word(&limits.important_status), "A5");
        }
        for (member, declared, inherited) in [
            ("dataset.state_secret", entry.state_secret, limits.state_secret),
            ("dataset.controlled_item", entry.controlled_item, limits.controlled_item),
            ("dataset.genetic_resource", entry.genetic_resource, limits.genetic_resource),
            ("dataset.geospatial", entry.geospatial, limits.geospatial),
        ] {
            if inherited && !declared {
                self.add(member, word(&declared), word(&inherited), "A5");
            }
        }
    }

    fn personal(&mut self, manifest: &Manifest) {
        let input = self.input;
        let (entry, compliance, limits) = (&manifest.dataset, &manifest.compliance, &input.limits);
        let below = |class: ColumnClass| class < limits.columns;
        if let Some(class) = entry.columns_default.filter(|class| below(*class)) {
            self.add("dataset.columns_default", word(&class), word(&limits.columns), "A5");
        }
        for (name, column) in manifest.columns.iter().filter(|(_, column)| below(column.class)) {
            self.add(format!("columns.{name}.class"), word(&column.class), word(&limits.columns), "A5");
        }
        if let Some(subjects) = entry.subjects.filter(|subjects| !limits.subjects.is_said_by(Some(*subjects))) {
            self.add("dataset.subjects", word(&subjects), format!("the presence {}", word(&limits.subjects)), "A5");
        }
        if let (Some(declared), Some(inherited)) = (compliance.received_under, limits.received_under)
            && declared != inherited
        {
            let rule = match inherited.direction {
                ReceivedDirection::CnToHk => "GBA-09",
                ReceivedDirection::HkToCn => "GBA-10",
            };
            self.add("compliance.received_under", word(&declared), word(&inherited), rule);
        }
        if compliance.domestic_pi_introduced == Some(false) && limits.domestic_pi_introduced {
            self.add("compliance.domestic_pi_introduced", "`false`".to_owned(), "`true`".to_owned(), "A7");
        }
    }

    fn terms(&mut self, manifest: &Manifest) {
        let input = self.input;
        let (offer, terms) = (&manifest.offer, &input.terms);
        // What came under the contract of the Greater Bay Area is bound by the contract beside the offer.
        let rule = if input.limits.received_under.is_some() { "GBA-08" } else { "terms" };
        for place in &offer.places {
            if !terms.places.iter().any(|allowed| allowed.covers(place)) {
                self.add("offer.places", word(place), word(&terms.places), rule);
            }
        }
        if offer.onward != "none" && offer.onward != terms.onward {
            self.add("offer.onward", word(&offer.onward), word(&terms.onward), rule);
        }
        // May it not be passed on, then those whom its provider has named may have what was made of it, nobody else.
        let named = |domain: &String| terms.recipients.iter().any(|allowed| allowed == domain || allowed == "*");
        if terms.onward == "none" {
            for domain in offer.recipients.iter().filter(|domain| !named(domain)) {
                self.add("offer.recipients", word(domain), word(&terms.recipients), rule);
            }
        }
    }
}
