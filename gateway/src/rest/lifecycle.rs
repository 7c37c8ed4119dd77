//! The life of a version: submit, approve (four eyes), publish, suspend, resume (two officers), withdraw.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{Digest, Version, VersionState};
use gateway_api::catalog::Reason;
use gateway_api::{Code, Problem};
use gateway_store::DocKind;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::change::{Change, execute, execute_value, reason};
use super::datasets::find;
use super::dual::{Signature, sign};
use super::{Caller, Posted, Refused, json_response};
use crate::authz::Action;
use crate::gateway::{Shared, version_key};
use crate::rest::path::Path;
use crate::sessions::Affected;

/// Nothing: an action without arguments.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

pub(super) type Target = Path<(String, String)>;

/// Finds the version for `action`, which must be in one of `from`.
pub(super) fn target(
    caller: &Caller,
    action: Action,
    path: &Target,
    from: &[VersionState],
) -> Result<(u64, Version), Problem> {
    let scope = crate::authz::authorise(&caller.principal, action)?;
    let doc = find(caller, &scope, &path.0.0, &path.0.1)?;
    // Brokers act on datasets of their own participant; seeing a published one of another is not enough.
    if !scope.covers_any([&doc.provider, &doc.registrant]) {
        return Err(Problem::new(
            Code::Forbidden,
            format!("dataset `{}` is `{}`'s: only its own principals may do this", doc.dataset, doc.registrant),
        ));
    }
    if from.contains(&doc.state) {
        return Ok((doc.revision, doc.body.clone()));
    }
    let wanted: Vec<&str> = from.iter().map(|state| state.as_str()).collect();
    Err(Problem::new(
        Code::Conflict,
        format!(
            "version `{}` of `{}` is {}; this needs it to be {}",
            doc.version,
            doc.dataset,
            doc.state.as_str(),
            wanted.join(" or ")
        ),
    )
    .with("state", doc.state.as_str()))
}

/// The change of a version's state, with its leaf.
pub(super) fn moved(
    caller: &Caller,
    gateway: &Shared,
    kind: &str,
    revision: u64,
    version: &Version,
) -> Result<Change, Problem> {
    let members = [
        ("dataset", json!(version.dataset)),
        ("version", json!(version.version)),
        ("manifest", json!(version.manifest_digest())),
        ("provider", json!(version.provider)),
        ("state", json!(version.state)),
    ];
    let mut change = Change::recorded(caller, &gateway.secrets, kind, members)?;
    change.replace(DocKind::Version, version_key(&version.dataset, &version.version), revision, version);
    let answer = json!({"dataset": version.dataset, "version": version.version, "state": version.state});
    Ok(change.answer(StatusCode::OK, &answer))
}

/// `POST …/submit`: nothing of it changes any more.
pub async fn submit(
    State(gateway): State<Shared>,
    caller: Caller,
    path: Target,
    posted: Posted<Nothing>,
) -> Result<Response, Refused> {
    execute(&gateway, &caller, posted.request, |caller| {
        let (revision, mut version) = target(caller, Action::Register, &path, &[VersionState::Inspected])?;
        super::findings::none_open(&version)?;
        version.state = VersionState::Submitted;
        version.submitted_by = Some(caller.principal.participant.clone());
        moved(caller, &gateway, "catalog_submit", revision, &version)
    })
    .await
}

/// `POST …/approve`: an officer of an authority that is another participant than the submitter.
pub async fn approve(
    State(gateway): State<Shared>,
    caller: Caller,
    path: Target,
    posted: Posted<Nothing>,
) -> Result<Response, Refused> {
    execute(&gateway, &caller, posted.request, |caller| {
        let (revision, mut version) = target(caller, Action::Approve, &path, &[VersionState::Submitted])?;
        let own = &caller.principal.participant;
        if [Some(&version.registrant), Some(&version.provider), version.submitted_by.as_ref()].contains(&Some(own)) {
            return Err(Problem::new(
                Code::Forbidden,
                format!("`{own}` submitted or provides this version: an officer of another participant approves it"),
            ));
        }
        version.state = VersionState::Approved;
        version.approved_by = Some(own.clone());
        moved(caller, &gateway, "catalog_approve", revision, &version)
    })
    .await
}

/// `POST …/publish`.
pub async fn publish(
    State(gateway): State<Shared>,
    caller: Caller,
    path: Target,
    posted: Posted<Nothing>,
) -> Result<Response, Refused> {
    execute(&gateway, &caller, posted.request, |caller| {
        let (revision, mut version) = target(caller, Action::Register, &path, &[VersionState::Approved])?;
        version.state = VersionState::Published;
        moved(caller, &gateway, "catalog_publish", revision, &version)
    })
    .await
}

/// Takes a version out and ends its live streams.
async fn take_out(
    gateway: &Shared,
    caller: &Caller,
    path: &Target,
    posted: &Posted<Reason>,
    how: (Action, &str, VersionState, &[VersionState]),
) -> Result<Response, Refused> {
    let (action, kind, state, from) = how;
    let why = reason(&posted.value.reason)?.to_owned();
    let request = posted.request.clone();
    let (dataset, version) = (super::datasets::dataset_id(&path.0.0)?, super::datasets::version_name(&path.0.1)?);
    let affected = Affected::Version(dataset, version);
    let text = format!("version {}: {why}", state.as_str());
    let (status, body) = execute_value(gateway, caller, request, |caller| {
        let (revision, mut version) = target(caller, action, path, from)?;
        version.state = state;
        version.withdrawn_at = (state == VersionState::Withdrawn).then_some(caller.now);
        version.reason = Some(Change::prose(caller, &gateway.secrets, &why)?);
        let mut change = moved(caller, gateway, kind, revision, &version)?;
        change.cut(gateway, &affected, &text)?;
        Ok(change)
    })
    .await?;
    gateway.cut(&affected, &text, Some(&caller.principal)).await?;
    Ok(json_response(status, &body))
}

/// `POST …/suspend`.
pub async fn suspend(
    State(gateway): State<Shared>,
    caller: Caller,
    path: Target,
    posted: Posted<Reason>,
) -> Result<Response, Refused> {
    let how = (Action::Cut, "catalog_suspend", VersionState::Suspended, &[VersionState::Published][..]);
    take_out(&gateway, &caller, &path, &posted, how).await
}

/// `POST …/withdraw`: for good.
pub async fn withdraw(
    State(gateway): State<Shared>,
    caller: Caller,
    path: Target,
    posted: Posted<Reason>,
) -> Result<Response, Refused> {
    use VersionState as S;
    let from = [S::Draft, S::Inspected, S::Submitted, S::Approved, S::Published, S::Suspended, S::Quarantined];
    let how = (Action::Register, "catalog_withdraw", S::Withdrawn, &from[..]);
    take_out(&gateway, &caller, &path, &posted, how).await
}

/// `POST …/resume`: lifts a suspension; two officers of an authority.
pub async fn resume(
    State(gateway): State<Shared>,
    caller: Caller,
    path: Target,
    posted: Posted<Nothing>,
) -> Result<Response, Refused> {
    execute(&gateway, &caller, posted.request, |caller| {
        let (revision, mut version) = target(caller, Action::Restore, &path, &[VersionState::Suspended])?;
        let key = version_key(&version.dataset, &version.version);
        match sign(caller, &gateway.secrets, "resume-version", &key, Digest::of(key.as_bytes()))? {
            Signature::First(change) => Ok(*change),
            Signature::Second(close) => {
                version.state = VersionState::Published;
                version.reason = None;
                let mut change = moved(caller, &gateway, "catalog_resume", revision, &version)?;
                close.with(&mut change);
                Ok(change)
            }
        }
    })
    .await
}

/// The version of which an authority's officer confirms something: any that is inspected and not withdrawn.
pub(super) fn confirmable(caller: &Caller, path: &Target) -> Result<(u64, Version), Problem> {
    use VersionState as S;
    target(caller, Action::Approve, path, &[S::Inspected, S::Submitted, S::Approved, S::Published, S::Suspended])
}

/// `POST …/confirm-exemption`: an exemption that a manifest claims counts only from here on.
pub async fn confirm_exemption(
    State(gateway): State<Shared>,
    caller: Caller,
    path: Target,
    posted: Posted<Nothing>,
) -> Result<Response, Refused> {
    execute(&gateway, &caller, posted.request, |caller| {
        let (revision, mut version) = confirmable(caller, &path)?;
        let Some(exemption) = &version.manifest.compliance.exemption else {
            return Err(Problem::new(Code::Conflict, "the manifest claims no exemption: there is nothing to confirm"));
        };
        if exemption.evidence.as_deref().unwrap_or("").is_empty() {
            return Err(Problem::new(Code::Conflict, "the exemption names no evidence: without it, it cannot count"));
        }
        version.exemption_confirmed = true;
        moved(caller, &gateway, "exemption_confirm", revision, &version)
    })
    .await
}
