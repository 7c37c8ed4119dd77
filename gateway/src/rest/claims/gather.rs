//! What a claim rests on, as the records have it now.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{AgreementId, ParticipantId};
use gateway_api::{Code, Problem};
use gateway_ledger::Month;
use gateway_ledger::claim::{Claim, Party, Sold, Statements};

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
    let mut lines = Vec::new();
    for period in months(base_year, Month::of(caller.now))? {
        for statement in made(gateway, &caller.snapshot, &participant, period).await? {
            let currency = statement.currency;
            lines.extend(statement.lines.into_iter().map(|line| Sold {
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
                sent: line.evidence.sent,
                receipt: line.evidence.receipt,
            }));
        }
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
