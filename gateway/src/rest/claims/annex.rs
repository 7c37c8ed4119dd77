//! What a claim freezes beside its statements, as the records have it now, and the leaves that hold it.

use std::collections::{BTreeMap, BTreeSet};

use catalog::offer::Currency;
use catalog::{AgreementId, Minor, ParticipantId};
use gateway_api::Problem;
use gateway_audit::Leaf;
use gateway_ledger::claim::{Annex, Contract, Signed, Statements, account};
use gateway_ledger::incentive::Side;
use gateway_ledger::{Ack, Month};
use gateway_store::{DocKind, PostingFilter, ReadError, Reader};
use jiff::Timestamp;

use super::evidence::leaf_at;
use super::{rates, witnessed};
use crate::authz::Scope;
use crate::gateway::Shared;
use crate::node::close::Kept;
use crate::rest::payments::{self, Recorded};
use crate::rest::{Caller, prove};

/// Most postings that a bundle holds the leaves of: a zip file without its 64-bit extension holds 65,535 files, and each leaf
/// is two.
const POSTINGS_MAX: usize = 16_384;

/// Whose amounts of which year are claimed.
#[derive(Clone)]
pub struct Asked {
    /// The claimant.
    pub participant: ParticipantId,
    /// What it is in the contracts.
    pub side: Side,
    /// The base year.
    pub year: i16,
}

/// The annex of a claim, and the indices of the leaves that it rests on. Lines in another currency get their rates.
pub async fn gather(
    gateway: &Shared,
    caller: &Caller,
    statements: &mut Statements,
    asked: &Asked,
) -> Result<(Annex, Vec<u64>), Problem> {
    let contracts = contracts(caller, statements, asked);
    let agreements: Vec<AgreementId> = contracts.iter().map(|contract| contract.agreement.clone()).collect();
    let everybody = Scope::Everything;
    let paid: Vec<Recorded> = payments::all(&caller.snapshot, &everybody)
        .filter(|(recorded, agreement)| recorded.reversed.is_none() && agreements.contains(&agreement.id))
        .map(|(recorded, _)| recorded)
        .collect();
    let folder = gateway.config.data.join("log");
    let published = tokio::task::spawn_blocking(move || prove::published(&folder).map(|note| note.to_text()));
    let published = published.await.map_err(crate::admission::unavailable)??;
    let posted = {
        let (agreements, asked) = (agreements.clone(), asked.clone());
        gateway.scan(move |reader| postings(reader, &agreements, &asked)).await?
    };
    let rates = rates::convert(gateway, caller, statements, asked, &posted).await?;
    let witnessed = witnessed::in_time(gateway, &posted, asked.year).await?;
    let asked = asked.clone();
    gateway
        .scan(move |reader| {
            let mut leaves = BTreeSet::new();
            for recorded in &paid {
                leaves.insert(payment_leaf(reader, &recorded.payment.id, recorded.at)?);
            }
            let mut receipts = Vec::new();
            for agreement in &agreements {
                receipts.extend(signed(reader, agreement)?);
            }
            leaves.extend(receipts.iter().map(|receipt| receipt.leaf));
            let (sums, opening, closed) = months(reader, &asked)?;
            leaves.extend(closed);
            leaves.extend(posted);
            leaves.extend(rates);
            let payments = paid.into_iter().map(|recorded| recorded.payment).collect();
            let tools = BTreeMap::from([("kouan".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
            let opening = opening.unwrap_or(published);
            let annex = Annex { contracts, payments, receipts, sums, opening, witnessed, tools };
            Ok((annex, leaves.into_iter().collect()))
        })
        .await
}

/// The agreements under which the statements have the claimant's own lines in the base year.
fn contracts(caller: &Caller, statements: &Statements, asked: &Asked) -> Vec<Contract> {
    let mut amounts: BTreeMap<&AgreementId, (i64, bool)> = BTreeMap::new();
    for (sold, _) in statements.own(asked.side, asked.year) {
        let entry = amounts.entry(&sold.agreement).or_insert((0, statements.affiliated(sold)));
        entry.0 = entry.0.saturating_add(sold.amount.0);
    }
    let contract = |(id, (amount, affiliated)): (&AgreementId, (i64, bool))| {
        let agreement = caller.snapshot.agreements.get(id)?;
        Some(Contract {
            agreement: id.clone(),
            dataset: agreement.dataset.clone(),
            offer: agreement.offer,
            accepted: agreement.at,
            consumer: agreement.participant.clone(),
            provider: agreement.provider.clone(),
            broker: agreement.broker.clone(),
            amount: Minor(amount),
            currency: agreement.terms.price.currency,
            affiliated,
        })
    };
    amounts.into_iter().filter_map(contract).collect()
}

fn payment_leaf(reader: &Reader<'_>, id: &str, at: Timestamp) -> Result<u64, ReadError> {
    let own = |leaf: &Leaf| leaf.kind() == "payment" && leaf.text("payment") == Some(id);
    let found = leaf_at(reader, at, own)?.map(|(index, _)| index);
    found.ok_or_else(|| ReadError::Damaged { what: format!("payment {id}: its leaf is missing") })
}

/// The leaves of what was posted for the base year to the claimant's account: of more than a bundle takes the largest.
fn postings(reader: &Reader<'_>, agreements: &[AgreementId], asked: &Asked) -> Result<BTreeSet<u64>, ReadError> {
    let mut amounts: BTreeMap<u64, i64> = BTreeMap::new();
    for agreement in agreements {
        let filter = PostingFilter { agreement: Some(agreement.clone()), period: None };
        for row in reader.postings(&filter)?.into_iter().filter(|row| row.period.year() == asked.year) {
            let own = if asked.side == Side::Broker { row.split.fee.0 } else { row.split.amount.0 };
            if !row.is_credit_note && own != 0 {
                let amount = amounts.entry(row.leaf).or_default();
                *amount = amount.saturating_add(own.saturating_abs());
            }
        }
    }
    let mut largest: Vec<(u64, i64)> = amounts.into_iter().collect();
    largest.sort_by_key(|(leaf, amount)| (std::cmp::Reverse(*amount), *leaf));
    Ok(largest.into_iter().take(POSTINGS_MAX).map(|(leaf, _)| leaf).collect())
}

/// The acknowledgements under an agreement. Signatures and certificates stay sealed: they name persons.
fn signed(reader: &Reader<'_>, agreement: &AgreementId) -> Result<Vec<Signed>, ReadError> {
    let mut found = Vec::new();
    for row in reader.billed_leases(agreement)? {
        for (leaf, body) in reader.acknowledgements(&row.lease.id)? {
            let ack: Ack = serde_json::from_slice(&body)?;
            found.push(Signed { agreement: agreement.clone(), leaf, ack });
        }
    }
    Ok(found)
}

type Months = (Vec<gateway_ledger::sums::SumProof>, Option<String>, Vec<u64>);

/// The claimant's account in the closed months of the base year; the checkpoint that was published when the one before
/// closed, or the oldest after it; the leaves that closed them.
fn months(reader: &Reader<'_>, asked: &Asked) -> Result<Months, ReadError> {
    let damaged = |month: Month| ReadError::Damaged { what: format!("what {month} closed with") };
    let wanted = account(asked.side, &asked.participant);
    let (mut sums, mut opening, mut leaves) = (Vec::new(), None, Vec::new());
    let before = format!("{:04}-12", asked.year.saturating_sub(1));
    let of_year = (1..=12).map(|month| format!("{:04}-{month:02}", asked.year));
    for name in std::iter::once(before).chain(of_year) {
        let Some(doc) = reader.doc(DocKind::Closing, &name)? else { continue };
        let kept: Kept = serde_json::from_slice(&doc.body)?;
        opening = opening.or(kept.checkpoint);
        let Ok(month) = Month::parse(&name) else { continue };
        if month.year() != asked.year {
            continue;
        }
        let trees = kept.closing.trees(month).ok_or_else(|| damaged(month))?;
        let proofs = trees.iter().filter_map(|tree| tree.proof(&wanted));
        // Before its first posting the account is nowhere, and there is nothing to show.
        if let Some(proof) = proofs.into_iter().find(|proof| proof.currency == Currency::Cny) {
            sums.push(proof);
            leaves.push(reader.closed_period(month)?.ok_or_else(|| damaged(month))?);
        }
    }
    Ok((sums, opening, leaves))
}
