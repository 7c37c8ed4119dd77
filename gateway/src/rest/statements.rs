//! `GET /v1/statements`: what was delivered in a month and what it costs; a participant sees the lines it is a party of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use catalog::{AgreementId, Digest, FileIndex, Offer, ParticipantId};
use gateway_api::{Code, Problem};
use gateway_ledger::statement::{AgreementUse, Delivery, PostedLine, Statement, TaxKnown, statements};
use gateway_ledger::{Month, Split, Taxes, UnitSet, UnitSetError};
use gateway_store::{DeliveredFilter, DeliveredRow, PostingFilter};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::{Caller, Refused, json_response, payments};
use crate::access::{self, Read};
use crate::authz::{Action, Scope};
use crate::clock;
use crate::gateway::Shared;
use crate::snapshot::Snapshot;

/// Query of `GET /v1/statements`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    participant: Option<String>,
    period: Option<String>,
}

/// `GET /v1/statements?participant=&period=`.
pub async fn get(
    State(gateway): State<Shared>,
    caller: Caller,
    query: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refused> {
    let Query(query) = query.map_err(|error| Problem::new(Code::BadInput, error.body_text()))?;
    let scope = caller.may(Action::ReadStatements)?;
    let participant = match &query.participant {
        None => caller.principal.participant.clone(),
        Some(name) => caller
            .snapshot
            .participant(name)
            .map(|doc| doc.id.clone())
            .filter(|id| scope.covers(id))
            .ok_or_else(|| Problem::new(Code::NotFound, "there is no statement of that participant for you"))?,
    };
    let month = match &query.period {
        None => Month::of(caller.now),
        Some(text) => Month::parse(text).map_err(|error| Problem::new(Code::BadInput, error.to_string()))?,
    };
    // Own statements only, but the lines of an agreement name all of its parties.
    debug_assert!(matches!(scope, Scope::Everything) || participant == caller.principal.participant);

    let made = made(&gateway, &caller.snapshot, &participant, month).await?;
    if participant != caller.principal.participant {
        access::record(&gateway, &caller.principal, &Read::Statement(participant.clone()), None).await?;
    }
    let named: BTreeSet<&ParticipantId> = made
        .iter()
        .flat_map(|statement| &statement.lines)
        .flat_map(|line| [&line.provider, &line.consumer, &line.broker])
        .chain([&participant])
        .collect();
    // The parties of an agreement know each other's legal names.
    let parties: serde_json::Map<String, serde_json::Value> = named
        .into_iter()
        .filter_map(|id| Some((id.to_string(), caller.snapshot.participants.get(id)?)))
        .map(|(id, record)| (id, json!({"names": record.names, "registration": record.registration})))
        .collect();
    let own = Scope::Participant(participant.clone());
    let paid: Vec<_> = payments::all(&caller.snapshot, &own)
        .filter(|(recorded, _)| Month::of(recorded.at) == month)
        .map(|(recorded, agreement)| payments::view(&recorded, agreement))
        .collect();
    let body = json!({
        "participant": participant, "period": month, "statements": made, "payments": paid, "parties": parties,
        "made": clock::text(caller.now),
        "evidence": "sent: acknowledged by the kernel of the consumer's side; receipt: signed for by the consumer",
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// Whether the tax of all that was posted in `month` is known: a rate that begins or ends within it leaves a part unknown,
/// and so does what was posted before anybody configured the rate of its day.
fn known<'a>(
    taxes: &Taxes,
    terms: &Offer,
    month: Month,
    mut posted: impl Iterator<Item = (Timestamp, &'a Split)>,
) -> TaxKnown {
    let last = month.next().begins().checked_sub(SignedDuration::from_secs(1)).unwrap_or_else(|_| month.begins());
    let ends = [month.begins(), last].map(|at| taxes.vat(terms, at).is_some());
    let all =
        ends == [true, true] && posted.all(|(at, split)| taxes.vat(terms, at).is_some_and(|vat| split.has_tax_of(vat)));
    if all { TaxKnown::Included } else { TaxKnown::Unknown }
}

/// The statements of `participant` for `month`: the lines it is a party of.
pub async fn made(
    gateway: &Shared,
    snapshot: &Snapshot,
    participant: &ParticipantId,
    month: Month,
) -> Result<Vec<Statement>, Problem> {
    gateway.settler.settled().await;
    let agreements: Vec<_> = snapshot
        .agreements
        .values()
        .filter(|agreement| [&agreement.participant, &agreement.provider, &agreement.broker].contains(&participant))
        .cloned()
        .collect();
    let ids: Vec<AgreementId> = agreements.iter().map(|agreement| agreement.id.clone()).collect();
    let rows = gateway
        .scan(move |reader| {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let filter =
                    DeliveredFilter { agreement: Some(id.clone()), through: Some(month), ..DeliveredFilter::default() };
                let posted = PostingFilter { agreement: Some(id.clone()), period: Some(month) };
                found.push((id, reader.delivered(&filter)?, reader.postings(&posted)?));
            }
            Ok(found)
        })
        .await?;

    let mut indexes: BTreeMap<Digest, Arc<FileIndex>> = BTreeMap::new();
    for (_, delivered, _) in &rows {
        for row in delivered {
            if let std::collections::btree_map::Entry::Vacant(slot) = indexes.entry(row.file) {
                let entry = snapshot
                    .version(&row.dataset, &row.version)
                    .and_then(|version| version.files.iter().find(|file| file.sha256 == row.file.hex()).cloned());
                let Some(entry) = entry else { continue };
                slot.insert(gateway.files.index(&entry).await.map_err(crate::admission::unavailable)?);
            }
        }
    }
    let taxes = gateway.config.taxes().map_err(crate::admission::unavailable)?;
    let mut uses: Vec<AgreementUse<'_>> = Vec::with_capacity(rows.len());
    for (id, delivered, posted) in &rows {
        let Some(agreement) = agreements.iter().find(|agreement| agreement.id == *id) else { continue };
        let deliveries = delivered.iter().filter_map(|row| delivery(row, indexes.get(&row.file).map(AsRef::as_ref)));
        uses.push(AgreementUse {
            tax: known(&taxes, &agreement.terms, month, posted.iter().map(|row| (row.at, &row.split))),
            agreement: &agreement.body,
            deliveries: deliveries.collect::<Result<_, _>>().map_err(crate::admission::unavailable)?,
            postings: posted
                .iter()
                .map(|row| PostedLine {
                    version: row.version.clone(),
                    period: row.period,
                    service_period: row.service_period,
                    split: row.split,
                    credit_note: row.is_credit_note.then(|| row.reference.clone()),
                })
                .collect(),
        });
    }
    statements(month, &uses, |digest| indexes.get(digest).map(AsRef::as_ref)).map_err(|error| {
        tracing::error!(%error, "a statement cannot be made");
        Problem::new(Code::Internal, "the statement cannot be made")
    })
}

/// A row of the meter; nothing if it has units of a file that is not known any more.
fn delivery(row: &DeliveredRow, index: Option<&FileIndex>) -> Option<Result<Delivery, UnitSetError>> {
    let units = match index {
        Some(index) => row.units(index),
        // A broken stream may have sent bytes that count for no unit: they belong to no file.
        None if row.unit_bytes == 0 => Ok(UnitSet::new()),
        None => return None,
    };
    Some(units.map(|units| Delivery {
        version: row.version.clone(),
        file: row.file,
        period: row.period,
        units,
        receipt_bytes: row.receipt_bytes,
        wire_bytes: row.wire_bytes,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use catalog::Minor;
    use gateway_ledger::TaxRate;

    use super::*;

    #[test]
    fn tax_is_known_only_where_it_was_posted() {
        let terms: Offer = serde_json::from_value(json!({
            "purposes": ["research"], "recipients": ["*"], "places": ["HK"],
            "price": {"model": "per_pull", "amount": "1", "currency": "CNY"},
        }))
        .unwrap();
        let rate: TaxRate =
            serde_json::from_value(json!({"currency": "CNY", "rate_ppm": 60_000, "from": "2026-11-01"})).unwrap();
        let taxes = Taxes::new(vec![rate]).unwrap();
        let split = |amount, tax| Split { amount: Minor(amount), fee: Minor(0), tax: Minor(tax) };
        let at: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
        let told = |month: &str, splits: &[Split]| {
            let posted = splits.iter().map(|split| (at, split));
            known(&taxes, &terms, Month::parse(month).unwrap(), posted)
        };
        // 6 % within 10,600 is 600; parts are floored together, and credit notes take floored parts back.
        for right in [split(10_600, 600), split(10_600, 601), split(10_617, 600), split(-530, -29), split(0, 0)] {
            assert_eq!(told("2026-11", &[split(10_600, 600), right]), TaxKnown::Included, "{right:?}");
        }
        // Posted while nobody had configured a rate, which now names the day.
        assert_eq!(told("2026-11", &[split(10_600, 600), split(230, 0)]), TaxKnown::Unknown);
        assert_eq!(told("2026-10", &[]), TaxKnown::Unknown);
        assert_eq!(told("2026-11", &[]), TaxKnown::Included);
    }
}
