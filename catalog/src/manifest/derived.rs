//! Reads `[[derived_from]]`: the inputs that a version was made from.

use super::DerivedFrom;
use super::section::{Section, clipped};
use crate::{AgreementId, DatasetId, LeaseId, VersionName};

/// Most inputs of a version.
const INPUTS_MAX: usize = 64;

/// `key`, an array of tables; absent: none.
pub(super) fn derived_from(top: &mut Section<'_, '_>) -> Option<Vec<DerivedFrom>> {
    let fix = "write [[derived_from]] with dataset, version, and agreement or lease, once for each input";
    let sections = top.sections("derived_from", INPUTS_MAX, fix)?;
    let mut inputs: Vec<DerivedFrom> = Vec::with_capacity(sections.len());
    let mut whole = true;
    for section in sections {
        match input(section, &inputs) {
            Some(input) => inputs.push(input),
            None => whole = false,
        }
    }
    whole.then_some(inputs)
}

fn input(mut at: Section<'_, '_>, before: &[DerivedFrom]) -> Option<DerivedFrom> {
    let dataset = at.parsed("dataset", "write the id of a dataset of this gateway", DatasetId::parse);
    let version = at.parsed("version", "write the version that was received", VersionName::parse);
    let reference = "write the agreement or the lease under which it was received";
    let agreement = at.optional("agreement", reference, AgreementId::parse);
    let lease = at.optional("lease", reference, LeaseId::parse);
    match (at.table().contains_key("agreement"), at.table().contains_key("lease")) {
        (true, true) => {
            at.fault("lease", "stands beside agreement", "keep one of the two: a lease names its agreement");
        }
        (false, false) => at.fault("agreement", "is missing", reference),
        _ => {}
    }
    let input = DerivedFrom { dataset: dataset?, version: version?, agreement, lease };
    let twice = before.contains(&input);
    if twice {
        at.fault("dataset", format!("names the input `{}` twice", clipped(input.dataset.as_str())), "keep one of them");
    }
    at.finish();
    let named = input.agreement.is_some() != input.lease.is_some();
    (named && !twice).then_some(input)
}
