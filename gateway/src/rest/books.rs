//! `/v1/ledger/balances`: what stands on the accounts. `/v1/credit-notes`: two officers of an authority take a posting back.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog::offer::Currency;
use catalog::{AgreementId, Digest, Minor, VersionName};
use gateway_api::{Code, Problem};
use gateway_ledger::{Book, Month};
use gateway_store::{PostingFilter, Write};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::change::{Change, execute, reason};
use super::dual::{Signature, sign};
use super::{Caller, Posted, Refused, json_response};
use crate::authz::{Action, Scope, authorise};
use crate::gateway::Shared;

/// `GET /v1/ledger/balances`: of one state of the store, with the log's size at it. Whoever sees every account also gets the
/// digest that `kouan audit rebuild` makes of the log's entries.
pub async fn balances(State(gateway): State<Shared>, caller: Caller) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadStatements)?;
    gateway.settler.settled().await;
    let (size, book) = gateway.scan(|reader| Ok((reader.log_size()?, reader.book()?))).await?;
    let mut body = Map::from_iter([("size".to_owned(), json!(size))]);
    let shown = match &scope {
        Scope::Everything => {
            body.insert("digest".to_owned(), json!(book.digest()));
            book
        }
        Scope::Participant(own) => {
            let mut own_book = Book::new();
            for (currency, account, balance) in book.iter().filter(|(_, account, _)| account.owner() == Some(own)) {
                own_book.set(currency, account.clone(), *balance);
            }
            own_book
        }
    };
    let balances: Value = serde_json::from_slice(&shown.canonical()).map_err(crate::admission::unavailable)?;
    body.insert("balances".to_owned(), balances);
    Ok(json_response(StatusCode::OK, &body))
}

/// What `POST /v1/credit-notes` takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditNote {
    agreement: AgreementId,
    version: VersionName,
    /// Minor units, above zero.
    amount: Minor,
    currency: Currency,
    /// The month whose postings are wrong.
    period: Month,
    /// Free text: a commitment in the log.
    reason: String,
}

/// `POST /v1/credit-notes`: the first officer asks, another one sends the same and it is posted.
pub async fn credit_note(
    State(gateway): State<Shared>,
    caller: Caller,
    posted: Posted<CreditNote>,
) -> Result<Response, Refused> {
    let note = posted.value;
    let id = gateway.secrets.id("cn-", caller.now).map_err(crate::admission::unavailable)?;
    execute(&gateway, &caller, posted.request, |caller| {
        authorise(&caller.principal, Action::Restore)?;
        let why = reason(&note.reason)?;
        let agreement = caller
            .snapshot
            .agreements
            .get(&note.agreement)
            .ok_or_else(|| Problem::new(Code::NotFound, format!("there is no agreement `{}`", note.agreement)))?;
        left(&gateway, &note)?;
        let body = serde_json_canonicalizer::to_vec(&note).map_err(crate::admission::unavailable)?;
        let target = format!("{}@{}", note.agreement, note.version);
        let close = match sign(caller, &gateway.secrets, "credit-note", &target, Digest::of(&body))? {
            Signature::First(change) => return Ok(*change),
            Signature::Second(close) => close,
        };
        let members = [
            ("credit_note", json!(id)),
            ("agreement", json!(agreement.id)),
            ("dataset", json!(agreement.dataset)),
            ("version", json!(note.version)),
            ("consumer", json!(agreement.body.participant)),
            ("provider", json!(agreement.provider)),
            ("broker", json!(agreement.broker)),
            ("money", json!({"amount": note.amount, "currency": note.currency})),
            ("service_period", json!(note.period)),
        ];
        let mut change = Change::recorded(caller, &gateway.secrets, "credit_note", members)?;
        change.commit_to(&gateway.secrets, "reason", why)?;
        change.write(Write::CreditNote {
            id: id.clone(),
            agreement: agreement.id.clone(),
            dataset: agreement.dataset.clone(),
            version: note.version.clone(),
            amount: note.amount,
            service_period: note.period,
        });
        close.with(&mut change);
        let answer = json!({
            "id": id, "agreement": agreement.id, "version": note.version, "amount": note.amount,
            "currency": note.currency, "service_period": note.period, "state": "posted",
        });
        Ok(change.answer(StatusCode::CREATED, &answer))
    })
    .await
}

/// What is posted and not taken back must be enough. The writer looks again.
fn left(gateway: &Shared, note: &CreditNote) -> Result<(), Problem> {
    let filter = PostingFilter { agreement: Some(note.agreement.clone()), period: None };
    let rows = gateway.look(|reader| reader.postings(&filter))?;
    let of_version = rows.iter().filter(|row| row.version == note.version);
    let Some(first) = of_version.clone().find(|row| !row.is_credit_note && row.service_period == note.period) else {
        return Err(Problem::new(
            Code::NotFound,
            format!("nothing of version {} was posted for {} under `{}`", note.version, note.period, note.agreement),
        ));
    };
    if first.currency != note.currency {
        return Err(Problem::new(
            Code::BadInput,
            format!("`currency` is {}, the agreement's is {}", note.currency.as_str(), first.currency.as_str()),
        ));
    }
    let left: i128 = of_version.map(|row| i128::from(row.split.amount.0)).sum();
    if note.amount.0 > 0 && i128::from(note.amount.0) <= left {
        return Ok(());
    }
    Err(Problem::new(
        Code::BadInput,
        format!(
            "`amount` is {}: a credit note takes 1 to {left} here, what is posted and not taken back",
            note.amount.0
        ),
    )
    .with("left", Value::from(left.to_string())))
}
