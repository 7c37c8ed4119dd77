//! What a claim rests on, as the records have it now.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{AgreementId, ParticipantId};
use gateway_api::{Code, Problem};
use gateway_ledger::Month;
use gateway_ledger::claim::{Claim, Party, Sold, Statements};
use gateway_ledger::statement::Line;

use crate::gateway::Shared;
use crate::rest::{Caller, statements::made};

/// Months beside the base year in which the other half of a round trip may lie.
const BESIDE: i8 = 3;

/// The months of `year` and those beside it, up to `now`.
fn months(year: i16, now: Month) -> Result<Vec<Month>, Problem> {
    let wrong = |error: &dyn std::fmt::Display| Problem::new(Code::BadInput, format!("`year`: {error}"));
    let mut months = Vec::new();
    for (year, from, to) in [(year - 1, 13 - BESIDE, 12), (year, 1, 12), (year + 1, 1, BESIDE)] {
        for month in from..=to {
            months.push(Month::parse(&format!("{year:04}-{month:02}")).map_err(|error| wrong(&error))?);
        }
    }
    months.retain(|month| *month <= now);
    Ok(months)
}

/// The statements of the caller's participant for `base_year`, and who everybody in them is.
pub async fn statements(gateway: &Shared, caller: &Caller, base_year: i16) -> Result<Statements, Problem> {
    if !(2000..=9000).contains(&base_year) {
        return Err(Problem::new(Code::BadInput, format!("`year` leads to the base year {base_year}")));
    }
    let participant = caller.principal.participant.clone();
    let (mut lines, mut credited) = (Vec::new(), Vec::new());
    for period in months(base_year, Month::of(caller.now))? {
        for statement in made(gateway, &caller.snapshot, &participant, period).await? {
            let currency = statement.currency;
            let (notes, sold): (Vec<_>, Vec<_>) =
                statement.lines.into_iter().partition(|line| line.credit_note.is_some());
            credited.extend(notes);
            lines.extend(sold.into_iter().map(|line| Sold {
                period,
                currency,
                agreement: line.agreement,
                dataset: line.dataset,
                version: line.version,
                provider: line.provider,
                consumer: line.consumer,
                broker: line.broker,
                units: line.units,
                rows: line.rows,
                unit_bytes: line.unit_bytes,
                wire_bytes: line.wire_bytes,
                amount: line.amount,
                fee: line.fee,
                tax: line.tax,
                vat: line.vat,
                sent: line.evidence.sent,
                receipt: line.evidence.receipt,
                rates: Vec::new(),
            }));
        }
    }
    for note in &credited {
        take_back(&mut lines, note)?;
    }
    let named: BTreeSet<&ParticipantId> =
        lines.iter().flat_map(|sold| [&sold.provider, &sold.consumer, &sold.broker]).chain([&participant]).collect();
    let parties: BTreeMap<ParticipantId, Party> = named
        .into_iter()
        .filter_map(|id| {
            let record = caller.snapshot.participants.get(id)?;
            let (names, registration) = (record.names.clone(), record.registration.clone());
            Some((id.clone(), Party { names, registration, affiliates: record.affiliates.clone() }))
        })
        .collect();
    Ok(Statements { participant, made: caller.now, platform: gateway.config.platform.clone(), parties, lines })
}

/// A credit note takes from the line that it corrects, then from others of its agreement and version: a claim counts what is
/// left. More than the year brought is for a person to look at.
fn take_back(lines: &mut [Sold], note: &Line) -> Result<(), Problem> {
    let (mut amount, mut fee) = (note.amount.0.saturating_abs(), note.fee.0.saturating_abs());
    let of_note = |sold: &Sold| sold.agreement == note.agreement && sold.version == note.version;
    let corrected = |sold: &Sold| Some(sold.period) == note.service_period;
    for first in [true, false] {
        for sold in lines.iter_mut().filter(|sold| of_note(sold) && corrected(sold) == first) {
            let (taken, of_fee) = (amount.min(sold.amount.0), fee.min(sold.fee.0));
            (sold.amount.0, sold.fee.0) = (sold.amount.0 - taken, sold.fee.0 - of_fee);
            (amount, fee) = (amount - taken, fee - of_fee);
        }
    }
    if (amount, fee) == (0, 0) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Conflict,
        format!(
            "a credit note under `{}` takes back more than the base year brought: no claim is made of it",
            note.agreement
        ),
    ))
}

/// The leaves of the leases under a claim's contracts in its base year: their decisions, and their ends where they have
/// ended.
pub async fn leaves(gateway: &Shared, claim: &Claim) -> Result<Vec<u64>, Problem> {
    let year = claim.base_year;
    let agreements: Vec<AgreementId> =
        claim.contracts.iter().filter_map(|contract| AgreementId::parse(contract).ok()).collect();
    gateway
        .scan(move |reader| {
            let mut leaves = BTreeSet::new();
            for agreement in agreements {
                for row in reader.billed_leases(&agreement)? {
                    if row.first_period.is_some_and(|period| period.year() == year) {
                        leaves.insert(row.lease.leaf);
                        leaves.extend(row.closed_leaf);
                    }
                }
            }
            Ok(leaves.into_iter().collect())
        })
        .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn sold(period: &str, amount: &str) -> Sold {
        serde_json::from_value(serde_json::json!({
            "period": period, "currency": "CNY", "agreement": "a-1", "dataset": "yue-speech", "version": "1",
            "provider": "qianhai", "consumer": "hku", "broker": "qianhai", "units": 1, "rows": 1, "unit_bytes": 1,
            "wire_bytes": 1, "amount": amount, "fee": "10", "sent": 1, "receipt": 0,
            "tax": "0", "vat": "unknown",
        }))
        .unwrap()
    }

    fn note(amount: i64) -> Line {
        let id = |id: &str| id.parse().unwrap();
        Line {
            agreement: "a-1".parse().unwrap(),
            dataset: "yue-speech".parse().unwrap(),
            version: "1".parse().unwrap(),
            provider: id("qianhai"),
            consumer: id("hku"),
            broker: id("qianhai"),
            units: 0,
            rows: 0,
            unit_bytes: 0,
            wire_bytes: 0,
            amount: catalog::Minor(-amount),
            fee: catalog::Minor(-5),
            tax: catalog::Minor(0),
            vat: gateway_ledger::statement::TaxKnown::Unknown,
            evidence: gateway_ledger::Evidence { sent: 0, receipt: 0 },
            credit_note: Some("cn-1".to_owned()),
            service_period: Some(Month::parse("2026-02").unwrap()),
        }
    }

    #[test]
    fn a_credit_note_reduces_the_line_it_corrects_first() {
        let year = || vec![sold("2026-01", "100"), sold("2026-02", "100"), sold("2026-03", "100")];
        let amounts = |lines: &[Sold]| lines.iter().map(|sold| (sold.amount.0, sold.fee.0)).collect::<Vec<_>>();
        let mut lines = year();
        take_back(&mut lines, &note(60)).unwrap();
        assert_eq!(amounts(&lines), [(100, 10), (40, 5), (100, 10)]);
        let mut lines = year();
        take_back(&mut lines, &note(130)).unwrap();
        assert_eq!(amounts(&lines), [(70, 10), (0, 5), (100, 10)]);
        assert_eq!(take_back(&mut year(), &note(301)).unwrap_err().code, Code::Conflict);
        assert_eq!(take_back(&mut [], &note(1)).unwrap_err().code, Code::Conflict);
    }
}
