//! `/v1/holds`: legal holds. What is on hold is neither erased nor deleted by retention, until two officers of an authority
//! lift the hold.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{Digest, ParticipantId};
use gateway_api::catalog::Reason;
use gateway_api::privacy::{AddHold, HoldOn, HoldView};
use gateway_api::{Code, Problem};
use gateway_audit::leaf::Leaf;
use gateway_audit::search::parties;
use gateway_store::{DocKind, SubjectHandle, SubjectRow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::change::{Change, execute, reason};
use super::dual::{Signature, sign};
use super::erasures::subject;
use super::{Caller, Posted, Refused, json_response};
use crate::authz::{Action, authorise};
use crate::clock;
use crate::gateway::Shared;
use crate::rest::path::Path;
use crate::secrets::hex;
use crate::snapshot::Snapshot;

const PREFIX: &str = "hold:";

/// A hold on record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// On what; a person by the handle of its key.
    pub on: HoldOn,
    reason: String,
    by: ParticipantId,
    at: Timestamp,
    released: Option<Timestamp>,
}

impl Hold {
    fn view(&self) -> HoldView {
        HoldView {
            id: self.id.clone(),
            on: self.on.clone(),
            reason: self.reason.clone(),
            by: self.by.clone(),
            at: clock::text(self.at),
            released: self.released.map(clock::text),
        }
    }
}

/// The holds in force at one moment.
#[derive(Debug, Clone, Default)]
pub struct Holds(Vec<Hold>);

impl Holds {
    /// Those of `snapshot`.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self(stored(snapshot).map(|(_, hold)| hold).filter(|hold| hold.released.is_none()).collect())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they are on.
    pub fn on(&self) -> impl Iterator<Item = &HoldOn> {
        self.0.iter().map(|hold| &hold.on)
    }

    /// Whether one of them is on something that `is`.
    pub fn any(&self, is: impl Fn(&HoldOn) -> bool) -> bool {
        self.0.iter().any(|hold| is(&hold.on))
    }

    /// One that is on what `leaf` is about, or on the person behind it.
    pub fn on_leaf(&self, leaf: &Leaf, subject: Option<&SubjectHandle>) -> Option<&Hold> {
        let parties = parties(leaf);
        self.0.iter().find(|hold| match &hold.on {
            HoldOn::Participant(id) => parties.contains(&id.as_str()),
            HoldOn::Dataset(id) => leaf.text("dataset") == Some(id.as_str()),
            HoldOn::Lease(id) => leaf.text("lease") == Some(id.as_str()),
            HoldOn::Person(handle) => subject.is_some_and(|subject| hex(subject) == *handle),
        })
    }

    /// One that is on the versions of a dataset, or on its provider.
    pub fn on_dataset(&self, dataset: &str, provider: &str) -> Option<&Hold> {
        self.0.iter().find(|hold| match &hold.on {
            HoldOn::Participant(id) => id.as_str() == provider,
            HoldOn::Dataset(id) => id.as_str() == dataset,
            HoldOn::Lease(_) | HoldOn::Person(_) => false,
        })
    }

    /// One that keeps the person of `row` from being erased: on the person, its participant, or any entry that it is behind.
    pub async fn on_person(&self, gateway: &Shared, row: &SubjectRow) -> Result<Option<&Hold>, Problem> {
        let direct = self.0.iter().find(|hold| match &hold.on {
            HoldOn::Participant(id) => *id == row.participant,
            HoldOn::Person(handle) => hex(&row.handle) == *handle,
            HoldOn::Dataset(_) | HoldOn::Lease(_) => false,
        });
        if direct.is_some() || self.is_empty() {
            return Ok(direct);
        }
        let handle = row.handle;
        let leaves = gateway.scan(move |reader| reader.leaves_of(&handle)).await?;
        for index in leaves {
            let Some(bytes) = gateway.look(|reader| reader.leaf(index))? else { continue };
            let leaf = Leaf::parse(&bytes).map_err(crate::admission::unavailable)?;
            if let Some(hold) = self.on_leaf(&leaf, Some(&handle)) {
                return Ok(Some(hold));
            }
        }
        Ok(None)
    }
}

fn stored(snapshot: &Snapshot) -> impl Iterator<Item = (u64, Hold)> + '_ {
    let from = PREFIX.to_owned()..;
    snapshot
        .settings
        .range(from)
        .take_while(|(key, _)| key.starts_with(PREFIX))
        .filter_map(|(_, doc)| Some((doc.revision, serde_json::from_value(doc.body.clone()).ok()?)))
}

/// `GET /v1/holds`: those in force, then those that were lifted.
pub async fn list(State(_): State<Shared>, caller: Caller) -> Result<Response, Refused> {
    caller.may(Action::Hold)?;
    let mut holds: Vec<HoldView> = stored(&caller.snapshot).map(|(_, hold)| hold.view()).collect();
    holds.sort_by_key(|hold| hold.released.is_some());
    Ok(json_response(StatusCode::OK, &json!({"holds": holds})))
}

/// `POST /v1/holds`: two officers of an authority. The first signature holds nothing yet.
pub async fn add(State(gateway): State<Shared>, caller: Caller, posted: Posted<AddHold>) -> Result<Response, Refused> {
    let AddHold { on, reason: why } = posted.value;
    let id = gateway.secrets.id("h-", caller.now).map_err(crate::admission::unavailable)?;
    execute(&gateway, &caller, posted.request, |caller| {
        authorise(&caller.principal, Action::Hold)?;
        let why = reason(&why)?;
        let on = known(&gateway, caller, &on)?;
        let body = serde_json::to_vec(&json!({"on": on, "reason": why})).map_err(crate::admission::unavailable)?;
        let target = gateway.secrets.keyed("hold target", &body);
        let target = target.get(..16).unwrap_or_default();
        let close = match sign(caller, &gateway.secrets, "hold", target, Digest::of(&body))? {
            Signature::First(change) => return Ok(*change),
            Signature::Second(close) => close,
        };
        let mut change = Change::recorded(caller, &gateway.secrets, "hold", members(&id, &on))?;
        change.commit_to(&gateway.secrets, "reason", why)?;
        let hold = Hold {
            id: id.clone(),
            on,
            reason: Change::prose(caller, &gateway.secrets, why)?,
            by: caller.principal.participant.clone(),
            at: caller.now,
            released: None,
        };
        change.create(DocKind::Setting, format!("{PREFIX}{id}"), &hold);
        close.with(&mut change);
        Ok(change.answer(StatusCode::CREATED, &hold.view()))
    })
    .await
}

/// `POST /v1/holds/{id}/release`: two officers of an authority.
pub async fn release(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Reason>,
) -> Result<Response, Refused> {
    execute(&gateway, &caller, posted.request, |caller| {
        authorise(&caller.principal, Action::Hold)?;
        let why = reason(&posted.value.reason)?;
        let found = stored(&caller.snapshot).find(|(_, hold)| hold.id == id && hold.released.is_none());
        let missing = || Problem::new(Code::NotFound, "there is no such hold in force");
        let (revision, mut hold) = found.ok_or_else(missing)?;
        let digest = Digest::of(id.as_bytes());
        let close = match sign(caller, &gateway.secrets, "release-hold", &hold.id, digest)? {
            Signature::First(change) => return Ok(*change),
            Signature::Second(close) => close,
        };
        hold.released = Some(caller.now);
        let mut change = Change::recorded(caller, &gateway.secrets, "hold_release", members(&hold.id, &hold.on))?;
        change.commit_to(&gateway.secrets, "reason", why)?;
        change.replace(DocKind::Setting, format!("{PREFIX}{}", hold.id), revision, &hold);
        close.with(&mut change);
        Ok(change.answer(StatusCode::OK, &hold.view()))
    })
    .await
}

/// What a leaf says of a hold: of a person nothing but that it is one.
fn members(id: &str, on: &HoldOn) -> Vec<(&'static str, serde_json::Value)> {
    let (kind, about) = match on {
        HoldOn::Participant(id) => ("participant", Some(("parties", json!([id])))),
        HoldOn::Dataset(id) => ("dataset", Some(("dataset", json!(id)))),
        HoldOn::Lease(id) => ("lease", Some(("lease", json!(id)))),
        HoldOn::Person(_) => ("person", None),
    };
    [("hold", json!(id)), ("on", json!(kind))].into_iter().chain(about).collect()
}

/// What is to be held exists; a person becomes the handle of its key.
fn known(gateway: &Shared, caller: &Caller, on: &HoldOn) -> Result<HoldOn, Problem> {
    let missing = |what: String| Problem::new(Code::NotFound, format!("there is no {what}"));
    let snapshot = &caller.snapshot;
    match on {
        HoldOn::Participant(id) if !snapshot.participants.contains_key(id) => {
            Err(missing(format!("participant `{id}`")))
        }
        HoldOn::Dataset(id) if !snapshot.datasets.contains_key(id) => Err(missing(format!("dataset `{id}`"))),
        HoldOn::Lease(id) if gateway.look(|reader| reader.lease(id))?.is_none() => {
            Err(missing(format!("lease `{id}`")))
        }
        HoldOn::Person(person) => Ok(HoldOn::Person(hex(&subject(gateway, caller, Action::Hold, person)?.0.handle))),
        other => Ok(other.clone()),
    }
}
