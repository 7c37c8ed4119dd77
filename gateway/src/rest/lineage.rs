//! What a derived version inherits: the inputs that its manifest names, as the records show them.
//!
//! An input counts only if the registrant's participant received it through this gateway, under an agreement of its own.
//! What it may say of itself is then at least as strict as they are (RULES.md, GBA-08 to GBA-10, A5, A7).

use axum::extract::State;
use axum::response::Response;
use catalog::lineage::{Input, Limits, Terms, inherit, weaker};
use catalog::manifest::{DerivedFrom, ReceivedDirection};
use catalog::place::Side;
use catalog::{Agreement, ColumnClass, FileEntry, Manifest, MechanismKind, ParticipantId, Version};
use gateway_api::{Code, Problem};
use gateway_audit::Leaf;
use gateway_store::{Lease, LeaseFilter};
use serde_json::json;

use super::change::execute;
use super::lifecycle::{Nothing, Target, confirmable, moved};
use super::{Caller, Posted, Refused};
use crate::gateway::Shared;

/// Leases of one input that are looked at.
const LEASES_MAX: usize = 1000;

/// The inputs of `manifest` with their limits.
///
/// # Errors
/// 400 naming the input that the caller's participant has not received, and 400 naming every declaration that is weaker
/// than an input's, with the input and the rule.
pub fn inputs(gateway: &Shared, caller: &Caller, manifest: &Manifest) -> Result<Vec<Input>, Problem> {
    let found: Result<Vec<Input>, Problem> =
        manifest.derived_from.iter().map(|named| input(gateway, caller, named)).collect();
    let found = found?;
    let reported = manifest.compliance.anonymisation_report.is_some();
    let weaker: Vec<_> = found.iter().flat_map(|input| weaker(manifest, input, reported)).collect();
    if !weaker.is_empty() {
        let told: Vec<String> = weaker.iter().take(8).map(ToString::to_string).collect();
        let more = weaker.len().saturating_sub(8);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let detail = format!(
            "the manifest says less than what it was made from: {}{more}. Declare at least that, or attach an \
             `anonymisation_report` where the limit is one of personal information",
            told.join("; ")
        );
        return Err(Problem::new(Code::BadInput, detail).with("weaker", json!(weaker)));
    }
    Ok(found)
}

/// Refuses a file that the registrant received through this gateway as a version that `version` does not name: a copy
/// under another name carries the limits of the original (GBA-08).
///
/// # Errors
/// 400 naming the version and how to name it.
pub fn not_a_silent_copy(caller: &Caller, version: &Version, file: &FileEntry) -> Result<(), Problem> {
    let own = &version.registrant;
    let is_input = |other: &Version| {
        version.lineage.iter().any(|input| input.dataset == other.dataset && input.version == other.version)
    };
    let received = |other: &Version| {
        caller.snapshot.agreements.values().any(|agreement| {
            agreement.participant == *own
                && agreement.dataset == other.dataset
                && agreement.offer == other.manifest.offer_digest()
        })
    };
    // Only what the registrant may know of is named; the same file of a stranger's is a coincidence.
    let original = caller.snapshot.versions.values().find(|other| {
        other.provider != *own
            && other.registrant != *own
            && other.files.iter().any(|theirs| theirs.sha256 == file.sha256)
            && received(other)
            && !is_input(other)
    });
    match original {
        None => Ok(()),
        Some(other) => Err(Problem::new(
            Code::BadInput,
            format!(
                "`{}` is a file of `{}@{}`, which `{own}` has an agreement for: register a version that names it in \
                 [[derived_from]], so that its limits go with it",
                file.name, other.dataset, other.version
            ),
        )
        .with("input", json!(format!("{}@{}", other.dataset, other.version)))),
    }
}

/// Raises `manifest` to what its inputs say.
pub fn raised(manifest: &Manifest, inputs: &[Input], anonymised: bool) -> Result<Manifest, Problem> {
    let mut raised = manifest.clone();
    inherit(&mut raised, inputs, anonymised).map_err(|error| Problem::new(Code::BadInput, error.to_string()))?;
    Ok(raised)
}

fn input(gateway: &Shared, caller: &Caller, named: &DerivedFrom) -> Result<Input, Problem> {
    let own = &caller.principal.participant;
    let name = format!("{}@{}", named.dataset, named.version);
    // Whether it is not there or not theirs is nobody's business.
    let missing = |what: String| {
        Problem::new(
            Code::BadInput,
            format!("[[derived_from]] `{name}`: {what}; name what `{own}` received through this gateway"),
        )
        .with("input", json!(name))
    };
    let version = caller.snapshot.version(&named.dataset, &named.version);
    let covered = |agreement: &Agreement| {
        agreement.participant == *own
            && agreement.dataset == named.dataset
            && version.is_some_and(|version| version.manifest.offer_digest() == agreement.offer)
    };
    let lease = match &named.lease {
        None => None,
        Some(id) => {
            let row = gateway.look(|reader| reader.lease(id))?.map(|row| row.lease);
            let row = row.filter(|lease| {
                lease.participant == *own && lease.dataset == named.dataset && lease.version == named.version
            });
            Some(row.ok_or_else(|| missing(format!("`{own}` has no lease `{id}` of it")))?)
        }
    };
    let id = lease.as_ref().map(|lease| &lease.agreement).or(named.agreement.as_ref());
    let id = id.ok_or_else(|| missing("neither agreement nor lease is named".to_owned()))?;
    let agreement = caller.snapshot.agreements.get(id).filter(|agreement| covered(agreement));
    let agreement = agreement.ok_or_else(|| missing(format!("`{own}` has no agreement `{id}` that covers it")))?;
    let version = version.ok_or_else(|| missing("it is not there".to_owned()))?;
    let leases = match &lease {
        Some(lease) => vec![lease.clone()],
        None => leases_of(gateway, agreement, version)?,
    };
    let limits = Limits::of(&version.manifest, received(version, &leases), crossed(gateway, caller, version, &leases)?);
    Ok(Input {
        dataset: named.dataset.clone(),
        version: named.version.clone(),
        agreement: agreement.id.clone(),
        lease: named.lease.clone(),
        limits,
        terms: Terms::from(&agreement.terms),
    })
}

fn leases_of(gateway: &Shared, agreement: &Agreement, version: &Version) -> Result<Vec<Lease>, Problem> {
    let filter = LeaseFilter {
        agreement: Some(agreement.id.clone()),
        dataset: Some(version.dataset.clone()),
        ..LeaseFilter::default()
    };
    let rows = gateway.look(|reader| reader.leases(&filter, None, LEASES_MAX))?;
    // More than can be looked at: as if every column had gone.
    if rows.len() == LEASES_MAX {
        return Ok(Vec::new());
    }
    Ok(rows.into_iter().map(|row| row.lease).filter(|lease| lease.version == version.version).collect())
}

/// The strictest class among the columns that the leases let through. Without a lease every column of the version counts:
/// what is not on record may have been anything.
fn received(version: &Version, leases: &[Lease]) -> ColumnClass {
    let class = |column: &str| version.manifest.class_of(column).unwrap_or(ColumnClass::Sensitive);
    if leases.is_empty() {
        let named = version.manifest.columns.values().map(|column| column.class);
        return named.chain(version.manifest.dataset.columns_default).max().unwrap_or(ColumnClass::Sensitive);
    }
    leases.iter().flat_map(|lease| &lease.columns).map(|column| class(column)).max().unwrap_or(ColumnClass::None)
}

/// In which direction the version crossed under the contract of the Greater Bay Area, if it did: by the mechanism that the
/// decision of a lease names; without a lease, by whether there is such a contract between the two.
fn crossed(
    gateway: &Shared,
    caller: &Caller,
    version: &Version,
    leases: &[Lease],
) -> Result<Option<ReceivedDirection>, Problem> {
    let recipient = &caller.principal.record.place;
    let provider = caller.snapshot.participants.get(&version.provider).map(|provider| provider.place.side());
    let from = [Some(version.manifest.dataset.place.side()), provider];
    let direction = match recipient.side() {
        Side::HongKong if from.contains(&Some(Side::Mainland)) => ReceivedDirection::CnToHk,
        Side::Mainland if from.contains(&Some(Side::HongKong)) => ReceivedDirection::HkToCn,
        _ => return Ok(None),
    };
    let under = if leases.is_empty() {
        contract(caller, &version.provider)
    } else {
        let mut under = false;
        for lease in leases {
            under |= by_contract(gateway, caller, lease)?;
        }
        under
    };
    Ok(under.then_some(direction))
}

/// Whether the provider has, or had, such a contract with the caller's participant.
fn contract(caller: &Caller, provider: &ParticipantId) -> bool {
    caller.snapshot.mechanisms.values().any(|mechanism| {
        mechanism.kind == MechanismKind::GbaSc
            && mechanism.exporter == *provider
            && mechanism.recipient == caller.principal.participant
    })
}

fn by_contract(gateway: &Shared, caller: &Caller, lease: &Lease) -> Result<bool, Problem> {
    let bytes = gateway.look(|reader| reader.leaf(lease.leaf))?;
    let leaf = bytes.and_then(|bytes| Leaf::parse(&bytes).ok());
    // A decision that cannot be read may have been under the contract.
    let Some(leaf) = leaf else { return Ok(true) };
    let Some(id) = leaf.members().get("mechanism").and_then(serde_json::Value::as_str) else { return Ok(false) };
    let mechanism = caller.snapshot.mechanisms.values().find(|mechanism| mechanism.id.as_str() == id);
    Ok(mechanism.is_none_or(|mechanism| mechanism.kind == MechanismKind::GbaSc))
}

/// `POST …/confirm-anonymisation`: an officer of an authority, who belongs to another participant than those whose data
/// these are, confirms the report; from then on the limits of personal information are those that the manifest declares.
pub async fn confirm(
    State(gateway): State<Shared>,
    caller: Caller,
    path: Target,
    posted: Posted<Nothing>,
) -> Result<Response, Refused> {
    execute(&gateway, &caller, posted.request, |caller| {
        let (revision, mut version) = confirmable(caller, &path)?;
        let own = &caller.principal.participant;
        if [&version.registrant, &version.provider].contains(&own) {
            return Err(Problem::new(
                Code::Forbidden,
                format!("`{own}` registered or provides this version: an officer of another participant confirms it"),
            ));
        }
        let Some(report) = version.manifest.compliance.anonymisation_report.clone() else {
            return Err(Problem::new(Code::Conflict, "the manifest names no report: there is nothing to confirm"));
        };
        if version.lineage.is_empty() {
            return Err(Problem::new(Code::Conflict, "the version names no input: a report has nothing to lift"));
        }
        // What was declared, not what was made of it: the manifest as sent.
        let declared = Manifest::parse(&version.manifest_text).map_err(crate::admission::unavailable)?;
        version.manifest = raised(&declared, &version.lineage, true)?;
        version.anonymisation_confirmed = true;
        let mut change = moved(caller, &gateway, "anonymisation_confirm", revision, &version)?;
        if let Some(leaf) = change.transaction.leaves.first_mut() {
            leaf.insert("report".to_owned(), json!(report.evidence));
        }
        Ok(change)
    })
    .await
}
