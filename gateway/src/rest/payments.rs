//! `/v1/payments`: what came in outside of the gateway. The broker of an agreement says it and names the paper that shows
//! it; two officers of an authority take a wrong one back. Nothing is settled that is not owed.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::offer::Currency;
use catalog::{Agreement, AgreementId, Digest, Minor};
use gateway_api::catalog::Reason;
use gateway_api::payment::{PaymentList, PaymentState, PaymentView, RecordPayment};
use gateway_api::{Code, Problem};
use gateway_ledger::fx::Rate;
use gateway_ledger::payment::{Exchanged, Payment, PaymentError, Sum, settles};
use gateway_ledger::{Month, Transfer};
use gateway_store::{DocKind, PostingFilter, Write};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::change::{Change, execute, reason};
use super::dual::{Signature, sign};
use super::{Caller, Posted, Refused, fx, json_response};
use crate::authz::{Action, Scope, authorise};
use crate::clock;
use crate::gateway::Shared;
use crate::rest::path::Path;
use crate::snapshot::Snapshot;

/// What ids of payments begin with.
const PREFIX: &str = "pay-";

/// A payment as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recorded {
    /// What was paid.
    pub payment: Payment,
    /// When it was recorded.
    pub at: Timestamp,
    /// When it was taken back.
    pub reversed: Option<Timestamp>,
}

/// What payments have settled of an agreement: one document, so that two payments cannot both settle the same debt.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Settled {
    amount: Minor,
}

/// The payments that `scope` covers by their agreement, the oldest first.
pub fn all<'a>(snapshot: &'a Snapshot, scope: &'a Scope) -> impl Iterator<Item = (Recorded, &'a Agreement)> + use<'a> {
    let stored = snapshot.settings.range(PREFIX.to_owned()..).take_while(|(id, _)| id.starts_with(PREFIX));
    stored.filter_map(move |(_, doc)| {
        let recorded: Recorded = serde_json::from_value(doc.body.clone()).ok()?;
        let agreement = &snapshot.agreements.get(&recorded.payment.agreement)?.body;
        covers(scope, agreement).then_some((recorded, agreement))
    })
}

/// The months in whose books payments and reversals stand.
pub fn months(snapshot: &Snapshot) -> BTreeSet<Month> {
    let everybodys = Scope::Everything;
    let times = all(snapshot, &everybodys).flat_map(|(recorded, _)| [Some(recorded.at), recorded.reversed]);
    times.flatten().map(Month::of).collect()
}

fn covers(scope: &Scope, agreement: &Agreement) -> bool {
    scope.covers_any([&agreement.participant, &agreement.provider, &agreement.broker])
}

/// A payment as its parties see it.
pub fn view(recorded: &Recorded, agreement: &Agreement) -> PaymentView {
    PaymentView {
        payment: recorded.payment.clone(),
        state: if recorded.reversed.is_some() { PaymentState::Reversed } else { PaymentState::Recorded },
        dataset: agreement.dataset.clone(),
        provider: agreement.provider.clone(),
        period: Month::of(recorded.at).to_string(),
        at: clock::text(recorded.at),
    }
}

/// `GET /v1/payments`.
pub async fn list(State(_): State<Shared>, caller: Caller) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadStatements)?;
    let payments = all(&caller.snapshot, &scope).map(|(recorded, agreement)| view(&recorded, agreement)).collect();
    Ok(json_response(StatusCode::OK, &PaymentList { payments }))
}

fn refused(error: &PaymentError) -> Problem {
    Problem::new(Code::BadInput, error.to_string())
}

/// `POST /v1/payments`.
pub async fn record(
    State(gateway): State<Shared>,
    caller: Caller,
    posted: Posted<RecordPayment>,
) -> Result<Response, Refused> {
    let request = posted.value;
    let id = gateway.secrets.id(PREFIX, caller.now).map_err(crate::admission::unavailable)?;
    gateway.settler.settled().await;
    execute(&gateway, &caller, posted.request, |caller| {
        let scope = authorise(&caller.principal, Action::RecordPayment)?;
        let missing = || Problem::new(Code::NotFound, format!("there is no agreement `{}` for you", request.agreement));
        let agreement = &caller.snapshot.agreements.get(&request.agreement).ok_or_else(missing)?.body;
        if !scope.covers(&agreement.broker) {
            return Err(missing());
        }
        if request.on > clock::today(caller.now) {
            return Err(Problem::new(Code::BadInput, format!("`on` is {}: a day that has not come", request.on)));
        }
        let rate = request.rate.as_deref().map(|id| rate(caller, id)).transpose()?;
        let (paid, spread) = (Sum { amount: request.amount, currency: request.currency }, request.spread);
        let settled = settles(paid, agreement.terms.price.currency, rate.as_ref(), spread.unwrap_or_default());
        let payment = Payment {
            id: id.clone(),
            agreement: agreement.id.clone(),
            consumer: agreement.participant.clone(),
            broker: agreement.broker.clone(),
            paid,
            on: request.on,
            shown: request.shown.clone(),
            exchanged: request.rate.clone().map(|rate| Exchanged { rate, spread: spread.unwrap_or_default() }),
            settled: settled.map_err(|error| refused(&error))?,
        };
        let transfers = payment.transfers(rate.as_ref()).map_err(|error| refused(&error))?;
        let recorded = Recorded { payment, at: caller.now, reversed: None };
        let mut change = moved(&gateway, caller, &recorded.payment, agreement, ("payment", transfers))?;
        settle(&mut change, &gateway, caller, &recorded.payment)?;
        change.create(DocKind::Payment, id.clone(), &recorded);
        Ok(change.answer(StatusCode::CREATED, &view(&recorded, agreement)))
    })
    .await
}

fn rate(caller: &Caller, id: &str) -> Result<Rate, Problem> {
    let shown: String = id.chars().take(64).collect();
    fx::find(&caller.snapshot, id)
        .ok_or_else(|| Problem::new(Code::NotFound, format!("there is no rate `{shown}`: `kouan fx list` shows them")))
}

/// The change that enters `transfers` and says so in a leaf of `kind`, which names the payment by digest.
fn moved(
    gateway: &Shared,
    caller: &Caller,
    payment: &Payment,
    agreement: &Agreement,
    (kind, transfers): (&'static str, Vec<(Currency, Transfer)>),
) -> Result<Change, Problem> {
    let text = payment.canonical().map_err(crate::admission::unavailable)?;
    let members = [
        ("payment", json!(payment.id)),
        ("payment_digest", json!(Digest::of(&text))),
        ("agreement", json!(agreement.id)),
        ("dataset", json!(agreement.dataset)),
        ("consumer", json!(agreement.participant)),
        ("provider", json!(agreement.provider)),
        ("broker", json!(agreement.broker)),
        ("money", json!(payment.paid)),
        ("settled", json!(payment.settled)),
        ("shown", json!({"kind": payment.shown.kind, "digest": payment.shown.digest})),
        ("fx_rate", json!(payment.exchanged.as_ref().map(|exchanged| &exchanged.rate))),
    ];
    let members = members.into_iter().filter(|(_, value)| !value.is_null());
    let mut change = Change::recorded(caller, &gateway.secrets, kind, members)?;
    let about = [
        (kind, json!(payment.id)),
        ("agreement", json!(agreement.id)),
        ("consumer", json!(agreement.participant)),
        ("provider", json!(agreement.provider)),
        ("broker", json!(agreement.broker)),
    ];
    let about: Map<String, Value> = about.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    change.write(Write::Enter { about, transfers });
    Ok(change)
}

fn settled_key(agreement: &AgreementId) -> String {
    format!("paid:{agreement}")
}

fn settled(caller: &Caller, agreement: &AgreementId) -> Result<(Option<u64>, Minor), Problem> {
    let Some(doc) = caller.snapshot.settings.get(&settled_key(agreement)) else { return Ok((None, Minor(0))) };
    let settled: Settled = serde_json::from_value(doc.body.clone()).map_err(crate::admission::unavailable)?;
    Ok((Some(doc.revision), settled.amount))
}

fn keep(change: &mut Change, agreement: &AgreementId, revision: Option<u64>, amount: Minor) {
    let key = settled_key(agreement);
    match revision {
        None => change.create(DocKind::Setting, key, &Settled { amount }),
        Some(revision) => change.replace(DocKind::Setting, key, revision, &Settled { amount }),
    }
}

/// Takes what the payment settles off what is owed under its agreement, which must be enough.
fn settle(change: &mut Change, gateway: &Shared, caller: &Caller, payment: &Payment) -> Result<(), Problem> {
    let filter = PostingFilter { agreement: Some(payment.agreement.clone()), period: None };
    let posted = gateway.look(|reader| reader.postings(&filter))?;
    let posted: i128 = posted.iter().map(|row| i128::from(row.split.amount.0)).sum();
    let (revision, before) = settled(caller, &payment.agreement)?;
    let left = (posted - i128::from(before.0)).max(0);
    let Some(after) = before.0.checked_add(payment.settled.amount.0).filter(|after| i128::from(*after) <= posted)
    else {
        let owed = payment.settled.currency.as_str();
        return Err(Problem::new(
            Code::BadInput,
            format!(
                "it settles {} {owed} minor units; {left} are posted under `{}` and not paid",
                payment.settled.amount.0, payment.agreement
            ),
        )
        .with("left", Value::from(left.to_string())));
    };
    keep(change, &payment.agreement, revision, Minor(after));
    Ok(())
}

/// `POST /v1/payments/{id}/reverse` `{reason}`: two officers of an authority take it back, whole.
pub async fn reverse(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<Reason>,
) -> Result<Response, Refused> {
    let why = reason(&posted.value.reason)?;
    execute(&gateway, &caller, posted.request, |caller| {
        authorise(&caller.principal, Action::Restore)?;
        let shown: String = id.chars().take(64).collect();
        let missing = || Problem::new(Code::NotFound, format!("there is no payment `{shown}`"));
        let (mut recorded, agreement) = all(&caller.snapshot, &Scope::Everything)
            .find(|(recorded, _)| recorded.payment.id == id)
            .ok_or_else(missing)?;
        if recorded.reversed.is_some() {
            return Err(Problem::new(Code::Conflict, format!("payment `{shown}` is taken back already")));
        }
        let close = match sign(caller, &gateway.secrets, "reverse-payment", &id, Digest::of(why.as_bytes()))? {
            Signature::First(change) => return Ok(*change),
            Signature::Second(close) => close,
        };
        let payment = &recorded.payment;
        let rate = payment.exchanged.as_ref().map(|exchanged| rate(caller, &exchanged.rate)).transpose()?;
        let transfers = payment.reversed(rate.as_ref()).map_err(crate::admission::unavailable)?;
        let mut change = moved(&gateway, caller, payment, agreement, ("payment_reversal", transfers))?;
        change.commit_to(&gateway.secrets, "reason", why)?;
        let (revision, before) = settled(caller, &payment.agreement)?;
        keep(&mut change, &payment.agreement, revision, Minor(before.0.saturating_sub(payment.settled.amount.0)));
        let revision = caller.snapshot.settings.get(&id).ok_or_else(missing)?.revision;
        recorded.reversed = Some(caller.now);
        change.replace(DocKind::Payment, id.clone(), revision, &recorded);
        close.with(&mut change);
        Ok(change.answer(StatusCode::OK, &view(&recorded, agreement)))
    })
    .await
}
