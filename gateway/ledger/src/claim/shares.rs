//! How much of what is claimed is shown by what, in parts per million of the participant's own amounts, in fen.

use std::collections::BTreeMap;

use catalog::offer::{Currency, Minor};
use catalog::{AgreementId, ParticipantId};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::annex::{Annex, Closed};
use super::contents::{Sold, Statements};
use crate::incentive::Side;

/// Days within which a sale back makes a round trip.
const ROUND_TRIP_DAYS: i64 = 90;

/// Parties whose part is the concentration.
const LARGEST: usize = 5;

/// The shares on the face of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// By receipts that consumers signed.
    pub receipted: u32,
    /// Between parties that are not affiliated.
    pub non_affiliated: u32,
    /// By payments with a bank's slip or a fapiao.
    pub payment_matched: u32,
    /// Without a sale back within ninety days.
    pub no_round_trip: u32,
    /// Of the five largest other parties.
    pub top_five: u32,
    /// Within months that are closed, under the roots of their leaves.
    pub closed: u32,
}

/// Parts per million, floored.
pub(super) fn ppm(part: u128, all: u128) -> u32 {
    let share = (part * 1_000_000).checked_div(all).unwrap_or(0);
    u32::try_from(share).unwrap_or(1_000_000)
}

/// What payments settle, by agreement.
fn paid(annex: &Annex) -> BTreeMap<AgreementId, u128> {
    let mut paid: BTreeMap<AgreementId, u128> = BTreeMap::new();
    for payment in &annex.payments {
        let settled = u128::try_from(payment.settled.amount.0).unwrap_or(0);
        *paid.entry(payment.agreement.clone()).or_default() += settled;
    }
    paid
}

impl Sold {
    /// The part of `amount` that receipts show. A line of which nothing new was delivered has nothing that one could show.
    fn receipted(&self, amount: u128) -> u128 {
        let shown = u128::from(self.receipt.min(self.unit_bytes));
        (amount * shown).checked_div(u128::from(self.unit_bytes)).unwrap_or(0)
    }
}

impl Statements {
    /// The share of the participant's own amounts of `year` that receipts show whose signatures are verified: of the bytes
    /// that receipts name, `opened` says by agreement how many those do, and how many there are.
    pub(super) fn verified_by_signature(
        &self,
        side: Side,
        year: i16,
        opened: &BTreeMap<&AgreementId, (u128, u128)>,
    ) -> u32 {
        let (mut all, mut shown) = (0, 0);
        for (sold, amount) in self.own(side, year) {
            let amount = u128::try_from(sold.worth(amount)).unwrap_or(0);
            let (part, of) = opened.get(&sold.agreement).copied().unwrap_or_default();
            all += amount;
            shown += (sold.receipted(amount) * part).checked_div(of).unwrap_or(0);
        }
        ppm(shown, all)
    }

    /// The lines of `year` that are the participant's own sales or purchases, with its own amount of each.
    pub fn own(&self, side: Side, year: i16) -> impl Iterator<Item = (&Sold, Minor)> {
        let of_year = self.lines.iter().filter(move |sold| sold.period.year() == year);
        of_year.filter_map(move |sold| Some((sold, sold.own(side, &self.participant)?)))
    }

    /// What shows the participant's own sales (or purchases) of `year`.
    pub fn shares(&self, side: Side, year: i16, annex: &Annex, closed: &Closed) -> Shares {
        let paid = paid(annex);
        let amounts = self.amounts(side, year);
        let (mut all, mut receipted, mut apart, mut matched, mut one_way, mut in_closed) = (0, 0, 0, 0, 0, 0);
        let mut others: BTreeMap<&ParticipantId, u128> = BTreeMap::new();
        for (sold, amount) in self.own(side, year) {
            let amount = u128::try_from(sold.worth(amount)).unwrap_or(0);
            all += amount;
            receipted += sold.receipted(amount);
            apart += if self.affiliated(sold) { 0 } else { amount };
            one_way += if self.sold_back(sold) { 0 } else { amount };
            in_closed += if closed.covers(sold.period) && sold.currency == Currency::Cny { amount } else { 0 };
            let due = amounts.get(&sold.agreement).and_then(|due| u128::try_from(*due).ok()).unwrap_or(0);
            let paid = paid.get(&sold.agreement).copied().unwrap_or(0).min(due);
            matched += (amount * paid).checked_div(due).unwrap_or(0);
            let other = if side == Side::Broker { &sold.consumer } else { &sold.broker };
            *others.entry(other).or_default() += amount;
        }
        let mut largest: Vec<u128> = others.into_values().collect();
        largest.sort_unstable_by(|a, b| b.cmp(a));
        Shares {
            receipted: ppm(receipted, all),
            non_affiliated: ppm(apart, all),
            payment_matched: ppm(matched, all),
            no_round_trip: ppm(one_way, all),
            top_five: ppm(largest.iter().take(LARGEST).sum(), all),
            closed: ppm(in_closed, all),
        }
    }

    /// Whether its consumer has sold to its broker within ninety days of it: A→B→A.
    fn sold_back(&self, sold: &Sold) -> bool {
        let near = SignedDuration::from_hours(24 * ROUND_TRIP_DAYS);
        self.lines.iter().any(|other| {
            (&other.broker, &other.consumer) == (&sold.consumer, &sold.broker)
                && self.at(other.period).duration_since(self.at(sold.period)).abs() <= near
        })
    }
}
