//! Gathers the facts of one decision from exactly the sources that POLICY.md lists: never from the request, which chooses
//! dataset, version, columns and purpose, nothing else.

use std::net::IpAddr;

use catalog::participant::AddressRange;
use catalog::{Agreement, Digest, Mechanism, MechanismState, Participant, Place, Version};
use gateway_api::{Code, Problem};
use gateway_ledger::{Contribution, Keyset, Share, Year};
use jiff::Timestamp;
use policy::Facts;
use serde_json::{Value, json};

use crate::clock;
use crate::snapshot::Snapshot;

/// What an exporter has exported in one year, as the counters of a decision see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Distinct persons, without what this export adds.
    pub persons: u64,
    /// Distinct persons with sensitive information, likewise.
    pub sensitive: u64,
    /// Whether the exporter's yearly baseline is confirmed.
    pub baseline: bool,
}

/// What one exporter has reserved in one year, and whom the version in question concerns.
#[derive(Debug, Clone, Default)]
pub struct Contributions {
    /// In Asia/Shanghai.
    pub year: i16,
    /// Bumped whenever a total changes; a commit expects it unchanged.
    pub revision: u64,
    /// What is reserved.
    pub reserved: Year,
    /// The persons of the version and their scope, if a key tells them apart.
    pub keys: Option<(Digest, Keyset)>,
}

impl Contributions {
    /// The persons of the version, if a key tells them apart.
    pub fn keyset(&self) -> Option<&Keyset> {
        self.keys.as_ref().map(|(_, keys)| keys)
    }

    /// The counters for an export of `dataset`, so that counters + export is the distinct total afterwards.
    pub fn counters(&self, exporter: &Participant, dataset: &str, share: Share) -> Counters {
        let baseline = exporter.baselines.get(&self.year).filter(|baseline| baseline.counts());
        let after = self.reserved.after(dataset, &Contribution::of(share, self.keyset()), self.keyset());
        let add = |baseline: u64, after: u64, adds: u64| baseline.saturating_add(after).saturating_sub(adds);
        Counters {
            persons: add(baseline.map_or(0, |baseline| baseline.persons), after.persons, share.persons),
            sensitive: add(baseline.map_or(0, |baseline| baseline.sensitive), after.sensitive, share.sensitive),
            baseline: baseline.is_some(),
        }
    }
}

/// Everything that the facts of one request are made from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The catalog at one moment.
    pub snapshot: &'a Snapshot,
    /// The provider of the dataset: the exporter.
    pub exporter: &'a Participant,
    /// The consumer.
    pub recipient: &'a Participant,
    /// Where the consumer reads from; see [`accessed_from`].
    pub accessed_from: &'a str,
    /// Flags of the agreement, if there is one yet.
    pub agreement: Option<&'a Agreement>,
    /// The version.
    pub version: &'a Version,
    /// Its leaf columns in source order.
    pub leaves: &'a [String],
    /// What for.
    pub purpose: &'a str,
    /// This exporter's year.
    pub contributions: &'a Contributions,
    /// How many persons it is, as an officer stated with a release; only asked where the manifest does not say.
    pub stated: Option<catalog::manifest::Subjects>,
    /// The moment of the decision.
    pub now: Timestamp,
}

impl<'a> Sources<'a> {
    /// The same with the numbers that an officer stated with a release.
    #[must_use]
    pub const fn with_stated(mut self, stated: catalog::manifest::Subjects) -> Self {
        self.stated = Some(stated);
        self
    }

    /// `P` and `Q` of POLICY.md for the selection `columns`: the persons that this export adds.
    pub fn adds(&self, columns: &[String]) -> Share {
        let classes = columns.iter().filter_map(|column| self.version.manifest.class_of(column));
        let strictest = classes.max().unwrap_or(catalog::ColumnClass::None);
        let (Some(subjects), true) = (self.subjects(), strictest.is_personal()) else { return Share::default() };
        let values = (strictest == catalog::ColumnClass::Sensitive).then_some(subjects.sensitive);
        let sensitive = values.unwrap_or(0).saturating_add(subjects.under_14);
        Share { persons: subjects.persons, sensitive: subjects.persons.min(sensitive), with_sensitive_values: values }
    }

    /// Declared or stated numbers; `persons` is never below what the subject key found, or inspection where there is none: its
    /// estimate knows neither spellings nor the difference between many and exactly how many.
    fn subjects(&self) -> Option<catalog::manifest::Subjects> {
        let mut subjects = self.version.manifest.dataset.subjects.or(self.stated)?;
        let estimate = || self.version.inspection.get("persons_estimate").and_then(Value::as_u64).unwrap_or(0);
        let found = self.contributions.keyset().map_or_else(estimate, Keyset::floor);
        subjects.persons = subjects.persons.max(found);
        Some(subjects)
    }

    /// The facts for `columns`, one set for each place that has to be decided: where the bytes lie, and where the provider
    /// is registered if that is another jurisdiction. The mechanism is left open.
    pub fn facts(&self, columns: &[String]) -> Result<Vec<Facts>, Problem> {
        let stored = &self.version.manifest.dataset.place;
        let mut places = vec![stored];
        if stored.side() != self.exporter.place.side() {
            places.push(&self.exporter.place);
        }
        places.into_iter().map(|place| self.facts_at(place, columns)).collect()
    }

    fn facts_at(&self, place: &Place, columns: &[String]) -> Result<Facts, Problem> {
        let entry = &self.version.manifest.dataset;
        let compliance = &self.version.manifest.compliance;
        let counters = self.contributions.counters(self.exporter, entry.id.as_str(), self.adds(columns));
        let classes: Vec<Value> = self
            .leaves
            .iter()
            // A leaf without a class cannot have been registered; were there one, it would be treated as sensitive.
            .map(|leaf| json!({"name": leaf, "class": self.version.manifest.class_of(leaf).unwrap_or(catalog::ColumnClass::Sensitive)}))
            .collect();
        let exemption = compliance.exemption.as_ref().filter(|_| self.version.exemption_confirmed);
        let facts = json!({
            "now": clock::text(self.now),
            "purpose": self.purpose,
            "exporter": {
                "id": self.exporter.id, "place": place, "ciio": self.exporter.ciio,
                "counters": {"persons": counters.persons, "sensitive": counters.sensitive, "baseline": counters.baseline},
            },
            "recipient": {
                "id": self.recipient.id, "place": self.recipient.place,
                "accessed_from": self.accessed_from,
                "restricted": self.recipient.restricted,
                "foreign_authority_request": self.recipient.foreign_authority_request
                    || self.agreement.is_some_and(|agreement| agreement.foreign_authority_request),
            },
            "dataset": {
                "id": entry.id, "version": entry.version, "class": entry.class,
                "important_status": entry.important_status, "state_secret": entry.state_secret,
                "controlled_item": entry.controlled_item, "genetic_resource": entry.genetic_resource,
                "geospatial": entry.geospatial, "source_statement": !entry.source_statement.trim().is_empty(),
                "collected_in": entry.collected_in, "domestic_pi_introduced": compliance.domestic_pi_introduced.unwrap_or(false),
                "columns": classes, "subjects": self.subjects(), "received_under": compliance.received_under,
            },
            "columns": columns,
            "licence": compliance.export_licence,
            "mechanism": null,
            "preconditions": {
                "notice": compliance.notice, "separate_consent": compliance.separate_consent, "pipia": compliance.pipia,
            },
            "exemption": exemption,
            "hk": compliance.dpp3.map(|dpp3| json!({"dpp3": dpp3})),
        });
        Facts::parse(&facts.to_string()).map_err(|error| {
            // Stored records that do not make facts are our fault; INV-2 fails closed.
            tracing::error!(dataset = %entry.id, version = %entry.version, error = %error, "facts cannot be gathered");
            Problem::new(Code::Internal, "the records of this dataset do not make a decision possible")
        })
    }

    /// The mechanisms to try, newest `effective` first: confirmed, for exactly this exporter and this recipient.
    pub fn mechanisms(&self) -> Vec<&'a Mechanism> {
        let mut found: Vec<&'a Mechanism> = self
            .snapshot
            .mechanisms
            .values()
            .map(|doc| &doc.body)
            .filter(|mechanism| {
                mechanism.state == MechanismState::Confirmed
                    && mechanism.exporter == self.exporter.id
                    && mechanism.recipient == self.recipient.id
            })
            .collect();
        found.sort_by(|a, b| b.effective.cmp(&a.effective).then_with(|| a.id.cmp(&b.id)));
        found
    }
}

/// Where the consumer reads from: the registered range that holds the peer address; `unknown` when it has ranges and none
/// holds it; its place when it has none.
pub fn accessed_from(recipient: &Participant, address: IpAddr) -> String {
    if recipient.address_ranges.is_empty() {
        return recipient.place.to_string();
    }
    recipient
        .address_ranges
        .iter()
        .find(|range| holds(range, address))
        .map_or_else(|| "unknown".to_owned(), |range| range.place.to_string())
}

fn holds(range: &AddressRange, address: IpAddr) -> bool {
    let Some((network, prefix)) = parse_range(&range.range) else { return false };
    match (network, address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

/// `192.0.2.0/24` as network and prefix length.
pub fn parse_range(text: &str) -> Option<(IpAddr, u32)> {
    let (network, prefix) = text.split_once('/')?;
    let network: IpAddr = network.parse().ok()?;
    let prefix: u32 = prefix.parse().ok()?;
    let bits = if network.is_ipv4() { 32 } else { 128 };
    (prefix <= bits).then_some((network, prefix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn range(text: &str) -> AddressRange {
        AddressRange { range: text.to_owned(), place: Place::parse("HK").unwrap() }
    }

    fn exporter(baseline: Option<(u64, u64, bool)>) -> Participant {
        let baselines = baseline.map(|(persons, sensitive, confirmed)| {
            let document = Digest::of(b"signed");
            serde_json::json!({"2026": {
                "persons": persons, "sensitive": sensitive, "confirmed": confirmed, "document": document,
            }})
        });
        serde_json::from_value(serde_json::json!({
            "id": "qianhai", "trust_domain": "qianhai.example", "place": "CN-440300", "roles": ["broker"], "ca": "",
            "added": "2026-01-01T00:00:00Z", "baselines": baselines.unwrap_or_else(|| serde_json::json!({})),
        }))
        .unwrap()
    }

    /// Counters plus export is the distinct total afterwards: a dataset counts once, with its largest number.
    #[test]
    fn counters_leave_out_what_the_export_adds_again() {
        let mut counted = Contributions { year: 2026, ..Contributions::default() };
        let share = |persons, sensitive| Share { persons, sensitive, with_sensitive_values: Some(sensitive) };
        for (dataset, share) in [("a", share(12_000, 300)), ("b", share(5_000, 0))] {
            counted.reserved.add(dataset, &Contribution::of(share, None), None);
        }
        let of = |dataset, persons, sensitive| {
            let counters = counted.counters(&exporter(None), dataset, share(persons, sensitive));
            (counters.persons + persons, counters.sensitive + sensitive)
        };
        assert_eq!(of("a", 12_000, 300), (17_000, 300), "the same again");
        assert_eq!(of("a", 20_000, 400), (25_000, 400), "a larger version replaces the smaller");
        assert_eq!(of("a", 4_000, 0), (17_000, 300), "a smaller one adds nothing and takes nothing away");
        assert_eq!(of("c", 1_000, 10), (18_000, 310), "another dataset adds");
    }

    #[test]
    fn a_baseline_counts_once_it_is_confirmed() {
        let counters = |baseline| {
            let counted = Contributions { year: 2026, ..Contributions::default() };
            let counters = counted.counters(&exporter(baseline), "a", Share::default());
            (counters.persons, counters.baseline)
        };
        assert_eq!(counters(None), (0, false));
        assert_eq!(counters(Some((900, 9, false))), (0, false));
        assert_eq!(counters(Some((900, 9, true))), (900, true));
    }

    #[test]
    fn ranges_hold_their_edges_only() {
        for (text, address, want) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("192.0.2.7/32", "192.0.2.7", true),
            ("192.0.2.7/32", "192.0.2.8", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("192.0.2.0/33", "192.0.2.1", false),
            ("nonsense", "192.0.2.1", false),
        ] {
            assert_eq!(holds(&range(text), address.parse().unwrap()), want, "{text} {address}");
        }
    }
}
