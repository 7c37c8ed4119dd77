//! `GET /v1/store`: how much of what is stored, and what of it is due. `POST /v1/retention/runs`: deletes what is due.
//! `POST /v1/store/scrubs`: reads all of it again.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gateway_api::Problem;
use gateway_api::privacy::{ClassDue, RetentionRun, RunRetention, StoreClass, StoreFolder, StoreReport};
use gateway_store::Stored;

use super::lifecycle::Nothing;
use super::{Caller, Posted, Refused, json_response};
use crate::admission::unavailable;
use crate::authz::Action;
use crate::config::Retention;
use crate::gateway::Shared;
use crate::rest::holds::Holds;
use crate::{retention, scrub};

/// `GET /v1/store`: an operator, or an authority's officer.
pub async fn report(State(gateway): State<Shared>, caller: Caller) -> Result<Response, Refused> {
    caller.may(Action::ReadStore)?;
    let (shared, now) = (Arc::clone(&gateway), caller.now);
    let found = tokio::task::spawn_blocking(move || {
        let due = retention::find(&shared, now).map_err(unavailable)?;
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
        let stored = shared.records.read(|reader| reader.stored()).map_err(unavailable)?;
        Ok::<_, Problem>((due.counts(), stored, retention::sizes(&shared.config.data)))
    });
    let (due, stored, sizes) = found.await.map_err(unavailable)??;
    let folders: Vec<StoreFolder> = sizes
        .iter()
        .map(|sizes| StoreFolder { folder: sizes.folder.to_owned(), files: sizes.files, bytes: sizes.bytes })
        .collect();
    let mut classes: Vec<StoreClass> =
        stored.iter().map(|stored| class(&gateway.config.retention, stored, &due)).collect();
    for folder in folders.iter().filter(|folder| ["objects", "uploads"].contains(&folder.folder.as_str())) {
        let (class, rows, bytes) = (folder.folder.clone(), folder.files, folder.bytes);
        let ClassDue { due, held, next, .. } = counted(&due, &class);
        let kept = kept(&gateway.config.retention, &class);
        classes.push(StoreClass { class, rows, bytes, kept, due, held, next });
    }
    let last = caller.snapshot.settings.get("retention").and_then(|last| last.body.as_str().map(str::to_owned));
    let holds = u64::try_from(Holds::of(&caller.snapshot).len()).unwrap_or(u64::MAX);
    Ok(json_response(StatusCode::OK, &StoreReport { classes, folders, holds, last_run: last }))
}

/// `POST /v1/retention/runs`: the daily run, now; or what it would delete. A repeated request runs again: there is nothing left.
pub async fn run(
    State(gateway): State<Shared>,
    caller: Caller,
    posted: Posted<RunRetention>,
) -> Result<Response, Refused> {
    let dry_run = posted.value.dry_run;
    caller.may(if dry_run { Action::ReadStore } else { Action::Retain })?;
    let (classes, leaf) = if dry_run {
        let (shared, now) = (Arc::clone(&gateway), caller.now);
        let due = tokio::task::spawn_blocking(move || retention::find(&shared, now));
        (due.await.map_err(unavailable)?.map_err(unavailable)?.counts(), None)
    } else {
        let (classes, leaf) = retention::run(&gateway, Some(&caller.principal), caller.now).await?;
        (classes, Some(leaf))
    };
    Ok(json_response(StatusCode::OK, &RetentionRun { dry_run, classes, leaf }))
}

/// `POST /v1/store/scrubs`: begins one, unless one runs. A repeated request finds it running.
pub async fn scrub(State(gateway): State<Shared>, caller: Caller, _: Posted<Nothing>) -> Result<Response, Refused> {
    caller.may(Action::ReadStore)?;
    scrub::start(&gateway);
    Ok(json_response(StatusCode::ACCEPTED, &gateway.scrubbing.report()))
}

/// `GET /v1/store/scrubs`: whether one runs, and what the last one found.
pub async fn scrubbed(State(gateway): State<Shared>, caller: Caller) -> Result<Response, Refused> {
    caller.may(Action::ReadStore)?;
    Ok(json_response(StatusCode::OK, &gateway.scrubbing.report()))
}

fn class(retention: &Retention, stored: &Stored, due: &[ClassDue]) -> StoreClass {
    let ClassDue { class, due, held, next } = counted(due, stored.class);
    let kept = kept(retention, stored.class);
    StoreClass { class, rows: stored.rows, bytes: stored.bytes, kept, due, held, next }
}

fn counted(due: &[ClassDue], class: &str) -> ClassDue {
    let nothing = || ClassDue { class: class.to_owned(), due: 0, held: 0, next: None };
    due.iter().find(|due| due.class == class).cloned().unwrap_or_else(nothing)
}

/// For how long, in words.
fn kept(retention: &Retention, class: &str) -> String {
    match class {
        "log" => format!("{} years at least; nothing deletes it", retention.log_years),
        "documents" => "for good: the log and statements name them".to_owned(),
        "records" => format!("{} years after the last transfer and the end of the agreement", retention.records_years),
        "accounts" => format!("{} years after the last posting and the end of the agreement", retention.accounts_years),
        "evidence" => format!("{} years", retention.accounts_years),
        "openings" => {
            format!("{} months, under a contract after its last transfer and its end", retention.openings_months)
        }
        "answers" => format!("{} years; that a request was answered stays", retention.records_years),
        "operational" => format!("{} months", retention.operational_months),
        "persons" => format!("{} years after the year they were counted in", retention.records_years),
        "objects" => format!("{} days after the version was withdrawn", retention.withdrawn_days),
        _ => format!("{} days without another byte", retention.uploads_days),
    }
}
