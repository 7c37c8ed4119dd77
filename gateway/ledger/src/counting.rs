//! Whom the exports of one exporter and year concern (POLICY.md, "Counting"): persons found by a subject key count once
//! across corpora; what no key tells apart counts by the declared number, the largest per dataset.
//!
//! INVARIANT (never too few): after every step, the totals are at least the number of distinct persons whose data were
//! reserved, whatever part of them the keys tell apart. Totals never fall while contributions are only added.

use std::collections::BTreeMap;

use crate::persons::PersonSet;

#[cfg(test)]
mod tests;

/// The persons of one file or version, as its subject key tells them apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keyset {
    /// Everybody with a key.
    pub persons: PersonSet,
    /// Those of them with a value in a sensitive column.
    pub sensitive: PersonSet,
    /// Rows without a key: nobody can tell whom they are about, so each is somebody else.
    pub blank_rows: u64,
}

impl Keyset {
    /// Adds another file of the same version.
    pub fn merge(&mut self, other: &Self) {
        self.persons.union_with(&other.persons);
        self.sensitive.union_with(&other.sensitive);
        self.blank_rows = self.blank_rows.saturating_add(other.blank_rows);
    }

    /// How many persons the version has at least, whatever is declared.
    pub fn floor(&self) -> u64 {
        self.persons.len().saturating_add(self.blank_rows)
    }
}

/// What one export is said to concern: `P` and `Q` of POLICY.md.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// `P`.
    pub persons: u64,
    /// `Q`.
    pub sensitive: u64,
    /// `subjects.sensitive`, when the selection has a sensitive column.
    pub with_sensitive_values: Option<u64>,
}

/// What an export adds to its exporter's year.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contribution {
    /// Whether the persons of the keyset are added.
    pub keyed: bool,
    /// Whether those with sensitive values are added as persons, not as a number.
    pub keyed_sensitive: bool,
    /// Persons beyond the keyset.
    pub persons: u64,
    /// Persons with sensitive information beyond the keyset's.
    pub sensitive: u64,
}

impl Contribution {
    /// What `share` adds when `keys` are the persons of its version. `keys` must have been taken into account in
    /// `share.persons` ([`Keyset::floor`]).
    pub fn of(share: Share, keys: Option<&Keyset>) -> Self {
        let Some(keys) = keys.filter(|_| share.persons > 0) else {
            return Self { persons: share.persons, sensitive: share.sensitive, ..Self::default() };
        };
        // Fewer declared than have such values: nobody can tell which of them are meant, so they count by number.
        let keyed_sensitive = share.with_sensitive_values.is_some_and(|declared| declared >= keys.sensitive.len());
        let known = if keyed_sensitive { keys.sensitive.len() } else { 0 };
        Self {
            keyed: true,
            keyed_sensitive,
            persons: share.persons.saturating_sub(keys.persons.len()),
            sensitive: share.sensitive.saturating_sub(known),
        }
    }

    /// Whether it adds nothing whatever was counted before.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Distinct persons, and those of them with sensitive information.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Distinct persons.
    pub persons: u64,
    /// Those with sensitive information.
    pub sensitive: u64,
}

/// Everything that one exporter has reserved in one year.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Year {
    /// Persons told apart by a key.
    pub persons: PersonSet,
    /// Those of them with sensitive information.
    pub sensitive: PersonSet,
    /// What no key tells apart: persons, and with sensitive information, by dataset.
    pub numbers: BTreeMap<String, Totals>,
}

impl Year {
    /// The year's totals.
    pub fn totals(&self) -> Totals {
        self.sum(self.persons.len(), self.sensitive.len(), None)
    }

    /// What the totals would be with `contribution` of `dataset`.
    pub fn after(&self, dataset: &str, contribution: &Contribution, keys: Option<&Keyset>) -> Totals {
        let union = |held: &PersonSet, added: Option<&PersonSet>| match added {
            Some(added) => held.union_len(added),
            None => held.len(),
        };
        let keys = keys.filter(|_| contribution.keyed);
        let sensitive = keys.filter(|_| contribution.keyed_sensitive);
        let persons = union(&self.persons, keys.map(|keys| &keys.persons));
        let sensitive = union(&self.sensitive, sensitive.map(|keys| &keys.sensitive));
        self.sum(persons, sensitive, Some((dataset, contribution)))
    }

    /// Adds `contribution` of `dataset`.
    pub fn add(&mut self, dataset: &str, contribution: &Contribution, keys: Option<&Keyset>) {
        if let Some(keys) = keys.filter(|_| contribution.keyed) {
            self.persons.union_with(&keys.persons);
            if contribution.keyed_sensitive {
                self.sensitive.union_with(&keys.sensitive);
            }
        }
        let number = self.numbers.entry(dataset.to_owned()).or_default();
        *number = larger(*number, contribution);
    }

    fn sum(&self, persons: u64, sensitive: u64, with: Option<(&str, &Contribution)>) -> Totals {
        let mut totals = Totals { persons, sensitive };
        let mut add = |number: Totals| {
            totals.persons = totals.persons.saturating_add(number.persons);
            totals.sensitive = totals.sensitive.saturating_add(number.sensitive);
        };
        for (dataset, number) in &self.numbers {
            match with.filter(|(with, _)| with == dataset) {
                Some((_, contribution)) => add(larger(*number, contribution)),
                None => add(*number),
            }
        }
        if let Some((_, contribution)) = with.filter(|(dataset, _)| !self.numbers.contains_key(*dataset)) {
            add(larger(Totals::default(), contribution));
        }
        totals
    }
}

/// A dataset counts with the largest number over its versions and recipients.
fn larger(number: Totals, contribution: &Contribution) -> Totals {
    Totals {
        persons: number.persons.max(contribution.persons),
        sensitive: number.sensitive.max(contribution.sensitive),
    }
}
