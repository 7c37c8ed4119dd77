//! How many persons the identifiers of a version speak of, at least.

use super::distinct::Distinct;
use super::identify::{EXACT_MAX, Finding, Identifiers, person_family};
use crate::scan::Kind;

/// Kinds of which a person has one: both forms of a resident identity number are one kind.
const fn group(kind: Kind) -> Kind {
    match kind {
        Kind::CnResidentId15 => Kind::CnResidentId,
        kind => kind,
    }
}

/// Different numbers of each group among `findings`.
fn groups<'a>(findings: impl Iterator<Item = &'a Finding<'a>>) -> Vec<(Kind, Distinct)> {
    let mut groups: Vec<(Kind, Distinct)> = Vec::new();
    for finding in findings.filter(|finding| finding.kind.counts_persons()) {
        let kind = group(finding.kind);
        if let Some((_, distinct)) = groups.iter_mut().find(|(other, _)| *other == kind) {
            distinct.merge(finding.persons);
        } else {
            let mut distinct = Distinct::new(EXACT_MAX);
            distinct.merge(finding.persons);
            groups.push((kind, distinct));
        }
    }
    groups
}

/// The most different numbers of one kind over all columns; or of one family in one column, if that column never holds two
/// in a value: one with identity cards for some and passports for others has as many persons as both together. `None`
/// without any.
pub(super) fn found(columns: &[Identifiers]) -> Option<u64> {
    let findings: Vec<Vec<Finding<'_>>> = columns.iter().map(Identifiers::findings).collect();
    let over_all = groups(findings.iter().flatten()).into_iter().map(|(_, distinct)| distinct.estimate()).max();
    let in_one =
        columns.iter().zip(&findings).filter(|(column, _)| column.one_a_value()).filter_map(|(_, findings)| {
            let groups = groups(findings.iter());
            let family = |number: u8| -> u64 {
                let members = groups.iter().filter(|(kind, _)| person_family(*kind) == Some(number));
                members.map(|(_, distinct)| distinct.estimate()).sum()
            };
            (0..3).map(family).max()
        });
    over_all.max(in_one.max()).filter(|persons| *persons > 0)
}
