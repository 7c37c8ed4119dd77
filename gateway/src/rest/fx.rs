//! `/v1/fx-rates`: rates of exchange on record. A broker or an officer of an authority proposes one, a second person, an
//! officer, sends the same; from then on payments may name it. A rate is never changed: another one is recorded beside it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::Digest;
use catalog::offer::Currency;
use gateway_api::payment::{RateList, RateView};
use gateway_api::{Code, Problem};
use gateway_ledger::fx::Rate;
use gateway_store::DocKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::change::{Change, execute};
use super::dual::{Signature, sign};
use super::{Caller, Posted, Refused, json_response};
use crate::authz::{Action, authorise};
use crate::clock;
use crate::gateway::Shared;
use crate::snapshot::Snapshot;

/// What ids of rates begin with.
const PREFIX: &str = "fx-";

/// A rate as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Recorded {
    rate: Rate,
    at: Timestamp,
}

/// The recorded rate under `id`.
pub(super) fn find(snapshot: &Snapshot, id: &str) -> Option<Rate> {
    let doc = snapshot.settings.get(id).filter(|_| id.starts_with(PREFIX))?;
    serde_json::from_value::<Recorded>(doc.body.clone()).ok().map(|recorded| recorded.rate)
}

/// The ids of the recorded rates into CNY, and when each was recorded.
pub(super) fn into_cny(snapshot: &Snapshot) -> Vec<(String, Timestamp)> {
    let stored = snapshot.settings.range(PREFIX.to_owned()..).take_while(|(id, _)| id.starts_with(PREFIX));
    let recorded =
        stored.filter_map(|(id, doc)| Some((id, serde_json::from_value::<Recorded>(doc.body.clone()).ok()?)));
    recorded
        .filter(|(_, recorded)| recorded.rate.to == Currency::Cny)
        .map(|(id, recorded)| (id.clone(), recorded.at))
        .collect()
}

/// `GET /v1/fx-rates`.
pub async fn list(State(_): State<Shared>, caller: Caller) -> Result<Response, Refused> {
    caller.may(Action::ReadStatements)?;
    let stored = caller.snapshot.settings.range(PREFIX.to_owned()..).take_while(|(id, _)| id.starts_with(PREFIX));
    let rates = stored
        .filter_map(|(id, doc)| Some((id, serde_json::from_value::<Recorded>(doc.body.clone()).ok()?)))
        .map(|(id, Recorded { rate, at })| RateView { id: id.clone(), rate, at: clock::text(at) })
        .collect();
    Ok(json_response(StatusCode::OK, &RateList { rates }))
}

/// `POST /v1/fx-rates`: 202 for the first signature, 201 when the rate is recorded.
pub async fn record(State(gateway): State<Shared>, caller: Caller, posted: Posted<Rate>) -> Result<Response, Refused> {
    let rate = posted.value.checked().map_err(|error| Problem::new(Code::BadInput, error.to_string()))?;
    if rate.as_of > clock::today(caller.now) {
        let detail = format!("`as_of` is {}: a rate of a day that has not come", rate.as_of);
        return Err(Problem::new(Code::BadInput, detail).into());
    }
    let id = gateway.secrets.id(PREFIX, caller.now).map_err(crate::admission::unavailable)?;
    execute(&gateway, &caller, posted.request, |caller| {
        authorise(&caller.principal, Action::ProposeRate)?;
        let body = serde_json_canonicalizer::to_vec(&rate).map_err(crate::admission::unavailable)?;
        let target = format!("{}-{}@{}", rate.from.as_str(), rate.to.as_str(), rate.as_of);
        let close = match sign(caller, &gateway.secrets, "fx-rate", &target, Digest::of(&body))? {
            Signature::First(change) => return Ok(*change),
            Signature::Second(close) => close,
        };
        // Whoever sells may propose what its own sales are converted at, and never have the last word on it.
        authorise(&caller.principal, Action::Restore)?;
        let members = [
            ("fx_rate", json!(id)),
            ("source", json!(rate.source)),
            ("as_of", json!(rate.as_of)),
            ("from", json!(rate.from)),
            ("to", json!(rate.to)),
            ("num", json!(rate.num)),
            ("den", json!(rate.den)),
        ];
        let mut change = Change::recorded(caller, &gateway.secrets, "fx_rate", members)?;
        change.create(DocKind::FxRate, id.clone(), &Recorded { rate: rate.clone(), at: caller.now });
        close.with(&mut change);
        let view = RateView { id: id.clone(), rate: rate.clone(), at: clock::text(caller.now) };
        Ok(change.answer(StatusCode::CREATED, &view))
    })
    .await
}
