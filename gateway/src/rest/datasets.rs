//! `GET /v1/datasets/{id}` and `…/versions/{v}`: catalog entries, without a cell value of a personal column for those who
//! may only consume (INTERFACE.md, "What a consumer never sees").

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::inspect::{headline_for_consumer, inspection_for_consumer};
use catalog::{ColumnClass, Dataset, DatasetId, Version, VersionName};
use gateway_api::catalog::{
    AnonymisationView, ColumnView, DatasetSummary, DatasetView, FileView, InputView, VersionRef, VersionView,
};
use gateway_api::{Code, Problem};
use serde_json::Value;

use super::{Caller, Refused, json_response};
use crate::admission::visible;
use crate::authz::{Action, Scope};
use crate::gateway::Shared;
use crate::rest::path::Path;
use crate::snapshot::Doc;

/// Parses an id from a path; what is not an id does not exist.
pub fn dataset_id(text: &str) -> Result<DatasetId, Problem> {
    DatasetId::parse(text).map_err(|error| Problem::new(Code::NotFound, error.to_string()))
}

/// Parses a version name from a path.
pub fn version_name(text: &str) -> Result<VersionName, Problem> {
    VersionName::parse(text).map_err(|error| Problem::new(Code::NotFound, error.to_string()))
}

/// Whether the caller, within `scope`, may see `version`.
pub fn sees(caller: &Caller, scope: &Scope, version: &Version) -> bool {
    match scope {
        Scope::Everything => true,
        Scope::Participant(_) if caller.principal.role == catalog::Role::Broker => {
            scope.covers_any([&version.provider, &version.registrant])
        }
        Scope::Participant(_) => visible(&caller.snapshot, &caller.principal.record, version),
    }
}

/// The versions of a dataset that the caller may see; empty means that it does not exist for the caller.
pub fn seen<'a>(caller: &'a Caller, scope: &Scope, dataset: &'a Dataset) -> Vec<&'a Arc<Doc<Version>>> {
    caller.snapshot.versions_of(dataset).filter(|version| sees(caller, scope, version)).collect()
}

/// Whether the caller is shown cell values: the provider's side and an authority.
fn sees_values(caller: &Caller, version: &Version) -> bool {
    let own = [&version.provider, &version.registrant].contains(&&caller.principal.participant);
    let authority = caller.principal.authority && caller.principal.role == catalog::Role::Compliance;
    own || authority
}

/// A dataset as it stands in a list: its newest version that the caller may see, a published one first.
pub fn summary(versions: &[&Arc<Doc<Version>>]) -> Option<DatasetSummary> {
    let published = versions.iter().rev().find(|version| version.state == catalog::VersionState::Published);
    let version = published.or(versions.last())?;
    let entry = &version.manifest.dataset;
    let named = version.manifest.columns.values().map(|column| column.class);
    let columns_class = named.chain(entry.columns_default).max().unwrap_or(ColumnClass::None);
    Some(DatasetSummary {
        id: version.dataset.clone(),
        latest_version: version.version.clone(),
        title: entry.title.clone(),
        description: entry.description.clone(),
        state: version.state,
        class: entry.class.as_str().to_owned(),
        columns_class,
        provider: version.provider.clone(),
        theme: entry.theme.clone(),
        language: entry.language.clone(),
        licence: entry.licence.clone(),
        rows: version.files.iter().map(|file| file.rows).sum(),
        bytes: version.files.iter().map(|file| file.bytes).sum(),
        offer: version.manifest.offer.clone(),
        quality: headline_for_consumer(&version.inspection, &version.manifest),
    })
}

/// `GET /v1/datasets/{id}`.
pub async fn show(State(_): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<Response, Refused> {
    let scope = caller.may(Action::Browse)?;
    let id = dataset_id(&id)?;
    let missing = || Problem::new(Code::NotFound, format!("there is no dataset `{id}` for you"));
    let dataset = caller.snapshot.datasets.get(&id).ok_or_else(missing)?;
    let versions = seen(&caller, &scope, dataset);
    let summary = summary(&versions).ok_or_else(missing)?;
    let versions =
        versions.iter().map(|version| VersionRef { version: version.version.clone(), state: version.state }).collect();
    Ok(json_response(StatusCode::OK, &DatasetView { summary, versions }))
}

/// `GET /v1/datasets/{id}/versions/{v}`.
pub async fn version(
    State(gateway): State<Shared>,
    caller: Caller,
    Path((id, name)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let scope = caller.may(Action::Browse)?;
    let version = find(&caller, &scope, &id, &name)?;
    let view = view(&gateway, &caller, &version);
    Ok(json_response(StatusCode::OK, &view))
}

/// A version that the caller may see.
///
/// # Errors
/// 404 for what is not there or not visible.
pub fn find(caller: &Caller, scope: &Scope, id: &str, name: &str) -> Result<Arc<Doc<Version>>, Problem> {
    let (id, name) = (dataset_id(id)?, version_name(name)?);
    caller
        .snapshot
        .version(&id, &name)
        .filter(|version| sees(caller, scope, version))
        .cloned()
        .ok_or_else(|| Problem::new(Code::NotFound, format!("there is no version `{name}` of `{id}` for you")))
}

/// A version as the caller may see it.
pub fn view(_: &Shared, caller: &Caller, version: &Version) -> VersionView {
    let own = sees_values(caller, version);
    let inspection =
        if own { version.inspection.clone() } else { inspection_for_consumer(&version.inspection, &version.manifest) };
    VersionView {
        dataset: version.dataset.clone(),
        version: version.version.clone(),
        state: version.state,
        reason: version.reason.clone(),
        provider: version.provider.clone(),
        registrant: version.registrant.clone(),
        manifest: version.manifest_digest(),
        files: version
            .files
            .iter()
            .map(|file| FileView {
                name: file.name.clone(),
                sha256: file.sha256.clone(),
                bytes: file.bytes,
                rows: file.rows,
                source: file.source.clone(),
            })
            .collect(),
        lineage: lineage(version, sees_values(caller, version)),
        anonymisation: version
            .manifest
            .compliance
            .anonymisation_report
            .clone()
            .map(|report| AnonymisationView { report, confirmed: version.anonymisation_confirmed }),
        schema: schema(version),
        quality: headline_for_consumer(&version.inspection, &version.manifest),
        inspection,
        findings: if own { version.open_findings() } else { Vec::new() },
        accepted_findings: if own { version.accepted.clone() } else { Vec::new() },
        offer: version.manifest.offer.clone(),
        offer_digest: version.manifest.offer_digest(),
        entry: serde_json::to_value(&version.manifest.dataset).unwrap_or_default(),
    }
}

/// What the version was made from. Under which agreement and lease its registrant received that is between the parties.
fn lineage(version: &Version, own: bool) -> Vec<InputView> {
    version
        .lineage
        .iter()
        .map(|input| InputView {
            dataset: input.dataset.clone(),
            version: input.version.clone(),
            agreement: own.then(|| input.agreement.clone()),
            lease: input.lease.clone().filter(|_| own),
            limits: input.limits.clone(),
        })
        .collect()
}

fn schema(version: &Version) -> Vec<ColumnView> {
    let columns = version.inspection.get("columns").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    columns
        .iter()
        .filter_map(|column| {
            let name = column.get("name")?.as_str()?;
            Some(ColumnView {
                name: name.to_owned(),
                r#type: column.get("type").and_then(Value::as_str).unwrap_or("").to_owned(),
                class: version.manifest.class_of(name)?,
                title: version.manifest.columns.get(name).map(|column| column.title.clone()).unwrap_or_default(),
            })
        })
        .collect()
}
