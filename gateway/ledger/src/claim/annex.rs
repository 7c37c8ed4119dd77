//! What stands beside the statements of a claim: contracts, payments, receipts, and the closed months whose roots its sales
//! are under. None of it names a natural person: signatures and certificates of receipts stay sealed with the gateway, and
//! handing them over is for the participant whose person signed.

use std::collections::{BTreeMap, BTreeSet};

use catalog::offer::{Currency, Minor};
use catalog::{AgreementId, DatasetId, Digest, ParticipantId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::contents::Statements;
use crate::account::{Account, DATA_TRANSACTION_SERVICE};
use crate::ack::Ack;
use crate::incentive::Side;
use crate::month::Month;
use crate::payment::Payment;
use crate::sums::{Sides, SumProof};

/// An agreement as the claim rests on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Its id: the exchange's transaction number.
    pub agreement: AgreementId,
    /// Of which dataset.
    pub dataset: DatasetId,
    /// Digest of the accepted offer.
    pub offer: Digest,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Who buys.
    pub consumer: ParticipantId,
    /// Whose data.
    pub provider: ParticipantId,
    /// Who sells.
    pub broker: ParticipantId,
    /// What fell due under it in the base year.
    pub amount: Minor,
    /// ISO 4217.
    pub currency: Currency,
    /// Whether one of the parties has declared the other affiliated.
    pub affiliated: bool,
}

/// An acknowledgement and the leaf that holds its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// Under which agreement.
    pub agreement: AgreementId,
    /// The `receipt` leaf.
    pub leaf: u64,
    /// What was signed.
    pub ack: Ack,
}

/// Everything that is frozen beside the statements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annex {
    /// `contracts/contracts.json`: those with sales or purchases of the participant in the base year.
    pub contracts: Vec<Contract>,
    /// `payments/payments.json`: those that count.
    pub payments: Vec<Payment>,
    /// `receipts/receipts.json`.
    pub receipts: Vec<Signed>,
    /// `sums/sums.json`: the participant's account in the base year's closed months, oldest first.
    pub sums: Vec<SumProof>,
    /// `checkpoints/opening`: the published one when the month before the base year closed, or the oldest that was kept.
    pub opening: String,
    /// `checkpoints/witnessed`: the last one that was witnessed before the base year closed, if any was.
    pub witnessed: Option<String>,
    /// `tools.json`: versions of the programs that froze it.
    pub tools: BTreeMap<String, String>,
}

/// The account whose sums a claim of `participant` rests on.
pub fn account(side: Side, participant: &ParticipantId) -> Account {
    match side {
        Side::Broker => Account::Revenue { broker: participant.clone(), class: DATA_TRANSACTION_SERVICE.to_owned() },
        Side::Consumer => Account::Receivable(participant.clone()),
    }
}

/// What closed months say of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closed {
    /// Months whose closing shows it, or whose absence from the log the next one's opening shows.
    pub through: Option<(Month, Month)>,
    /// What was posted to it in them: earned by a broker, owed by a consumer.
    pub posted: i128,
}

impl Closed {
    /// Reads `sums`, which are verified already.
    ///
    /// # Errors
    /// They are not of this account and year, or a month between them is left out.
    pub fn of(sums: &[SumProof], side: Side, participant: &ParticipantId, year: i16) -> Result<Self, &'static str> {
        let wanted = account(side, participant);
        let own = |proof: &SumProof| {
            proof.account == wanted && proof.currency == Currency::Cny && proof.period.year() == year
        };
        if !sums.iter().all(own) {
            return Err("it holds another account, currency or year than the claim is about");
        }
        let chained = |pair: &[SumProof]| match pair {
            [one, two] => one.period < two.period && one.sums.closing == two.sums.opening,
            _ => true,
        };
        if !sums.windows(2).all(chained) {
            return Err("a month does not open with what the one before closed with: something is left out");
        }
        let (Some(first), Some(last)) = (sums.first(), sums.last()) else { return Ok(Self::default()) };
        let posted = |sides: Sides| if side == Side::Broker { sides.credits } else { sides.debits };
        let posted = posted(last.sums.closing) - posted(first.sums.opening);
        Ok(Self { through: Some((first.period, last.period)), posted })
    }

    /// Whether a month is one of them.
    pub fn covers(&self, month: Month) -> bool {
        self.through.is_some_and(|(first, last)| first <= month && month <= last)
    }
}

impl Statements {
    /// What fell due in `year` under each agreement of the participant's own.
    pub(super) fn amounts(&self, side: Side, year: i16) -> BTreeMap<&AgreementId, i128> {
        let mut amounts = BTreeMap::new();
        for (sold, _) in self.own(side, year) {
            *amounts.entry(&sold.agreement).or_default() += i128::from(sold.amount.0);
        }
        amounts
    }

    /// That `contracts` are those of the statements: nothing left out, amounts and affiliation as they are.
    pub fn contracts_hold(&self, contracts: &[Contract], side: Side, year: i16) -> bool {
        let amounts = self.amounts(side, year);
        let named: BTreeSet<&AgreementId> = contracts.iter().map(|contract| &contract.agreement).collect();
        named.len() == contracts.len()
            && named.iter().eq(amounts.keys())
            && contracts.iter().all(|contract| {
                let line = self.own(side, year).find(|(sold, _)| sold.agreement == contract.agreement);
                line.is_some_and(|(sold, _)| {
                    (&contract.consumer, &contract.provider, &contract.broker)
                        == (&sold.consumer, &sold.provider, &sold.broker)
                        && contract.dataset == sold.dataset
                        && contract.affiliated == self.affiliated(sold)
                }) && amounts.get(&contract.agreement) == Some(&i128::from(contract.amount.0))
            })
    }

    /// That no more is shown as signed for than `signed` bytes by agreement add up to.
    pub fn signed_for(&self, signed: &BTreeMap<AgreementId, u128>, side: Side, year: i16) -> bool {
        let mut shown: BTreeMap<&AgreementId, u128> = BTreeMap::new();
        for (sold, _) in self.own(side, year) {
            *shown.entry(&sold.agreement).or_default() += u128::from(sold.receipt);
        }
        shown.into_iter().all(|(agreement, bytes)| bytes <= signed.get(agreement).copied().unwrap_or(0))
    }

    /// The participant's own part of the base year that closed months hold.
    pub fn in_closed(&self, side: Side, year: i16, closed: &Closed) -> i128 {
        let covered = |(sold, amount): (&super::Sold, Minor)| {
            if closed.covers(sold.period) && sold.currency == Currency::Cny { i128::from(amount.0) } else { 0 }
        };
        self.own(side, year).map(covered).sum()
    }
}
