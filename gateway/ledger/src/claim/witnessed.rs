//! Which of the claimed postings were witnessed in time: those whose leaves lie below a checkpoint that the witnesses cosigned
//! before the base year closed. The log alone shows no time that its operator could not have made up later.

use std::collections::BTreeMap;

use catalog::offer::Currency;
use catalog::{AgreementId, ParticipantId, VersionName};
use gateway_audit::leaf::Leaf;
use gateway_audit::witness::PolicyError;
use gateway_audit::{SignedCheckpoint, WitnessPolicy};

use super::annex::account;
use super::contents::{Sold, Statements};
use super::shares::ppm;
use crate::book::{Batch, Code};
use crate::incentive::Side;
use crate::month::Month;

/// The groups or witnesses of a trust policy that stand for the sides of the border.
const SIDES: [&str; 2] = ["HK", "QH"];

/// Whether `policy`'s quorum and both sides of the border cosigned `checkpoint` before `base_year` closed, which is when its
/// last month does.
///
/// # Errors
/// A witness's line does not verify.
pub fn in_time(policy: &WitnessPolicy, checkpoint: &SignedCheckpoint, base_year: i16) -> Result<bool, PolicyError> {
    let closes = Month::last_of(base_year).map_or(0, |month| month.closes().as_second());
    policy.witnessed_until(checkpoint, u64::try_from(closes).unwrap_or(0), &SIDES)
}

pub(super) type Line<'a> = (Month, Currency, &'a AgreementId, &'a VersionName);

pub(super) const fn line(sold: &Sold) -> Line<'_> {
    (sold.period, sold.currency, &sold.agreement, &sold.version)
}

/// What a `ledger_batch` leaf posts to the claimant's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Posting {
    period: Month,
    pub(super) currency: Currency,
    agreement: AgreementId,
    version: VersionName,
    pub(super) amount: i128,
}

impl Posting {
    /// Which line it adds to.
    pub(super) const fn line(&self) -> Line<'_> {
        (self.period, self.currency, &self.agreement, &self.version)
    }

    /// Reads `leaf`; nothing if it posts nothing of `participant`'s.
    pub(super) fn of(leaf: &Leaf, side: Side, participant: &ParticipantId) -> Option<Self> {
        let batch = Batch::of(leaf)?;
        let own = account(side, participant);
        let amount = batch.transfers.iter().filter(|transfer| transfer.code == Code::Post).map(|transfer| {
            let (grows, shrinks) = match side {
                Side::Broker => (&transfer.credit, &transfer.debit),
                Side::Consumer => (&transfer.debit, &transfer.credit),
            };
            i128::from(transfer.amount.0) * (i128::from(*grows == own) - i128::from(*shrinks == own))
        });
        Some(Self {
            period: leaf.text("period")?.parse().ok()?,
            currency: batch.currency,
            agreement: AgreementId::parse(leaf.text("agreement")?).ok()?,
            version: leaf.text("version")?.parse().ok()?,
            amount: amount.sum(),
        })
        .filter(|posting| posting.amount != 0)
    }
}

impl Statements {
    /// The share of the participant's own amounts of `year` that `postings` are about, in parts per million. What a credit
    /// note has taken back is taken from what was posted last.
    pub(super) fn witnessed(&self, side: Side, year: i16, postings: &[Posting]) -> u32 {
        let mut posted: BTreeMap<Line<'_>, i128> = BTreeMap::new();
        for posting in postings {
            *posted.entry(posting.line()).or_default() += posting.amount;
        }
        let (mut all, mut shown) = (0, 0);
        for (sold, amount) in self.own(side, year) {
            let own = i128::from(amount.0);
            let witnessed = posted.get(&line(sold)).copied().unwrap_or(0).clamp(0, own);
            let worth = sold.worth(amount);
            all += u128::try_from(worth).unwrap_or(0);
            shown += (worth * witnessed).checked_div(own).and_then(|part| u128::try_from(part).ok()).unwrap_or(0);
        }
        ppm(shown, all)
    }
}
