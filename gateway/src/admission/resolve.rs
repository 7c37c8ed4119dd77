//! From a request's words to the records it is about: dataset, version, agreement, columns.

use std::sync::Arc;

use catalog::{
    Agreement, AgreementState, Dataset, DatasetId, Participant, ParticipantId, Purpose, Version, VersionName,
    VersionState,
};
use gateway_api::{Code, Problem};
use jiff::Timestamp;
use serde_json::json;

use super::facts::accessed_from;
use crate::counting;
use crate::files::{FileError, StoredFile};
use crate::gateway::Shared;
use crate::identity::Principal;
use crate::snapshot::{Doc, Snapshot};

/// What a request chooses: dataset, version, columns and purpose, nothing else.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Dataset.
    pub dataset: DatasetId,
    /// Version; the newest published one if absent.
    pub version: Option<VersionName>,
    /// Column names; all if absent.
    pub columns: Option<Vec<String>>,
    /// Purpose; needed when several agreements cover the version.
    pub purpose: Option<Purpose>,
    /// Whether an agreement must cover the version: not for a plan.
    pub needs_agreement: bool,
}

/// The records that a request is about, at one moment.
#[derive(Debug)]
pub struct Resolved {
    /// The catalog at that moment.
    pub snapshot: Arc<Snapshot>,
    /// That moment.
    pub now: Timestamp,
    /// The version.
    pub version: Arc<Doc<Version>>,
    /// Its files, open, in order of name.
    pub files: Vec<Arc<StoredFile>>,
    /// Whose data.
    pub provider: Arc<Doc<Participant>>,
    /// Who asks.
    pub consumer: Arc<Doc<Participant>>,
    /// From which place: never the address itself.
    pub accessed_from: String,
    /// The agreement that covers it.
    pub agreement: Option<Arc<Doc<Agreement>>>,
    /// What for.
    pub purpose: Purpose,
    /// Leaf columns of the version, dotted paths in source order.
    pub leaves: Vec<String>,
    /// Those asked for, in source order.
    pub columns: Vec<String>,
}

/// Whether `participant` may know of `version`: its own, or published and offered to it, or covered once by an agreement
/// of it (then a suspension or withdrawal is told, not hidden).
pub fn visible(snapshot: &Snapshot, participant: &Participant, version: &Version) -> bool {
    if version.provider == participant.id || version.registrant == participant.id {
        return true;
    }
    let offered = offered_to(&version.manifest.offer, participant);
    let agreed = || {
        let offer = version.manifest.offer_digest();
        snapshot.agreements.values().any(|agreement| {
            agreement.participant == participant.id && agreement.dataset == version.dataset && agreement.offer == offer
        })
    };
    match version.state {
        VersionState::Published => offered || agreed(),
        VersionState::Suspended | VersionState::Withdrawn | VersionState::Quarantined => agreed(),
        VersionState::Draft | VersionState::Inspected | VersionState::Submitted | VersionState::Approved => false,
    }
}

/// Whether an offer is made to `participant`.
pub fn offered_to(offer: &catalog::Offer, participant: &Participant) -> bool {
    offer.recipients.iter().any(|recipient| recipient == "*" || *recipient == participant.trust_domain)
}

fn no_such(dataset: &DatasetId) -> Problem {
    Problem::new(Code::NotFound, format!("there is no dataset `{dataset}` for you"))
}

/// Finds what `ask` is about.
///
/// # Errors
/// 404 for what the principal may not see; 403 `no_agreement`; 409 `purpose_required`; 403 for a version that is not
/// published; 400 for an unknown column; 500 `integrity` when stored files are not what was inspected.
pub async fn resolve(
    gateway: &Shared,
    snapshot: Arc<Snapshot>,
    principal: &Principal,
    ask: &Ask,
    now: Timestamp,
) -> Result<Resolved, Problem> {
    let dataset = snapshot.datasets.get(&ask.dataset).ok_or_else(|| no_such(&ask.dataset))?;
    let version = choose_version(&snapshot, principal, dataset, ask.version.as_ref())?;
    if version.state != VersionState::Published {
        let reason = gateway.secrets.vault.prose(version.reason.as_deref().unwrap_or("no reason on record"));
        return Err(Problem::new(
            Code::Forbidden,
            format!("version `{}` of `{}` is {}: {reason}", version.version, ask.dataset, version.state.as_str()),
        ));
    }
    let (agreement, purpose) = choose_agreement(&snapshot, &principal.participant, &version, ask)?;
    let provider = snapshot.participants.get(&version.provider).ok_or_else(|| no_such(&ask.dataset))?;
    if !provider.is_active() {
        return Err(Problem::new(Code::Forbidden, format!("the provider `{}` is suspended", provider.id)));
    }
    let provider = Arc::clone(provider);

    let mut files = Vec::with_capacity(version.files.len());
    for entry in &version.files {
        match gateway.files.open(entry).await {
            Ok(file) => files.push(file),
            Err(FileError::Integrity(finding)) => {
                gateway.quarantine(&version.dataset, &version.version, &finding).await;
                return Err(Problem::new(
                    Code::Integrity,
                    "the stored bytes are not what was inspected; the version is quarantined",
                ));
            }
            Err(error) => return Err(super::unavailable(error)),
        }
    }
    let leaves = files.first().map(|file| file.leaf_names()).unwrap_or_default();
    let columns = choose_columns(&files, &leaves, ask.columns.as_deref())?;
    counting::ready(gateway, &version, &leaves, now).await?;
    Ok(Resolved {
        snapshot,
        now,
        version,
        files,
        provider,
        consumer: Arc::clone(&principal.record),
        accessed_from: accessed_from(&principal.record, principal.address),
        agreement,
        purpose,
        leaves,
        columns,
    })
}

fn choose_version(
    snapshot: &Snapshot,
    principal: &Principal,
    dataset: &Dataset,
    named: Option<&VersionName>,
) -> Result<Arc<Doc<Version>>, Problem> {
    let seen: Vec<&Arc<Doc<Version>>> =
        snapshot.versions_of(dataset).filter(|version| visible(snapshot, &principal.record, version)).collect();
    if seen.is_empty() {
        return Err(no_such(&dataset.id));
    }
    let chosen = match named {
        Some(name) => seen.iter().find(|version| version.version == *name),
        None => seen.iter().rev().find(|version| version.state == VersionState::Published).or_else(|| seen.last()),
    };
    chosen.map(|version| Arc::clone(version)).ok_or_else(|| {
        let names: Vec<&str> = seen.iter().map(|version| version.version.as_str()).collect();
        Problem::new(
            Code::NotFound,
            format!(
                "dataset `{}` has no version `{}` for you; it has {}",
                dataset.id,
                named.map_or("", VersionName::as_str),
                names.join(", ")
            ),
        )
    })
}

/// The agreement that covers the request, if one does, and the purpose.
type Chosen = (Option<Arc<Doc<Agreement>>>, Purpose);

fn choose_agreement(
    snapshot: &Snapshot,
    participant: &ParticipantId,
    version: &Version,
    ask: &Ask,
) -> Result<Chosen, Problem> {
    let offer = version.manifest.offer_digest();
    let covering: Vec<&Arc<Doc<Agreement>>> = snapshot
        .agreements
        .values()
        .filter(|agreement| {
            agreement.participant == *participant
                && agreement.dataset == version.dataset
                && agreement.offer == offer
                && agreement.state == AgreementState::Active
        })
        .collect();
    let chosen = match (&ask.purpose, covering.as_slice()) {
        (Some(purpose), covering) => covering.iter().find(|agreement| agreement.purpose == *purpose).copied(),
        (None, [only]) => Some(*only),
        (None, []) => None,
        (None, several) => {
            let purposes: Vec<&str> = several.iter().map(|agreement| agreement.purpose.as_str()).collect();
            return Err(Problem::new(
                Code::PurposeRequired,
                format!("several agreements cover it: name a `purpose`, one of {}", purposes.join(", ")),
            )
            .with("purposes", json!(purposes)));
        }
    };
    if let Some(agreement) = chosen {
        return Ok((Some(Arc::clone(agreement)), agreement.purpose.clone()));
    }
    let purposes = &version.manifest.offer.purposes;
    let purpose = ask.purpose.clone().or_else(|| purposes.first().cloned());
    if !ask.needs_agreement
        && let Some(purpose) = purpose
    {
        return Ok((None, purpose));
    }
    // What is suggested must be what the offer takes.
    let asked = ask.purpose.as_ref().filter(|purpose| purposes.contains(purpose));
    let purpose = asked.or(purposes.first()).map_or("", Purpose::as_str);
    Err(Problem::new(
        Code::NoAgreement,
        format!(
            "no agreement of `{participant}` covers version `{}` of `{}`: accept its offer first",
            version.version, version.dataset
        ),
    )
    .with(
        "accept",
        json!({
            "method": "POST", "path": "/v1/agreements",
            "body": {"dataset": version.dataset, "version": version.version, "purpose": purpose},
            "command": format!("kouan agreement accept {}@{} --purpose {purpose}", version.dataset, version.version),
        }),
    ))
}

fn choose_columns(
    files: &[Arc<StoredFile>],
    leaves: &[String],
    named: Option<&[String]>,
) -> Result<Vec<String>, Problem> {
    let (Some(names), Some(file)) = (named, files.first()) else { return Ok(leaves.to_vec()) };
    let chosen = gateway_stream::select::select(&file.index.leaves, names)
        .map_err(|error| Problem::new(Code::BadInput, error.to_string()))?;
    Ok(chosen.into_iter().filter_map(|leaf| leaves.get(leaf).cloned()).collect())
}
