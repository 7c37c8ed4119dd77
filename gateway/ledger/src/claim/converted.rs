//! Sales in another currency: each posting counts at the rate that was in force when it was posted, and one without such a rate
//! does not count.

use std::collections::{BTreeMap, BTreeSet};

use catalog::offer::{Currency, Minor};
use gateway_audit::leaf::Leaf;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::contents::{Sold, Statements};
use super::witnessed::{Line, Posting, line};
use crate::fx::Rate;
use crate::incentive::Side;

/// The kind of leaf that records a rate.
pub const RATE_KIND: &str = "fx_rate";

/// The part of a line that was posted at one rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtRate {
    /// The leaf that records it.
    pub leaf: u64,
    /// The rate.
    pub rate: Rate,
    /// How much of the participant's own amount was posted at it.
    pub amount: Minor,
}

/// The rate that a leaf records.
pub fn rate(leaf: &Leaf) -> Option<Rate> {
    let members = leaf.members();
    let names = ["from", "to", "num", "den", "source", "as_of"];
    let rate = names.map(|name| (name.to_owned(), members.get(name).cloned().unwrap_or_default()));
    let rate = || serde_json::from_value(Value::Object(rate.into_iter().collect())).ok();
    (leaf.kind() == RATE_KIND).then(rate)?
}

/// The rate into CNY in force for what was posted at `index`: of those that were recorded before it that of the latest day, and
/// of several of one day the last.
fn in_force(rates: &BTreeMap<u64, Rate>, currency: Currency, index: u64) -> Option<u64> {
    let into = |(_, rate): &(&u64, &Rate)| (rate.from, rate.to) == (currency, Currency::Cny);
    rates.range(..index).filter(into).max_by_key(|(index, rate)| (rate.as_of, **index)).map(|(index, _)| *index)
}

type AtRates<'a> = BTreeMap<(Line<'a>, u64), i128>;

/// What `postings` bring to each line in another currency, by the leaf of the rate.
fn at_rates<'a>(postings: &'a [(u64, Posting)], rates: &BTreeMap<u64, Rate>) -> AtRates<'a> {
    let mut sums = AtRates::new();
    for (index, posting) in postings.iter().filter(|(_, posting)| posting.currency != Currency::Cny) {
        if let Some(rate) = in_force(rates, posting.currency, *index) {
            *sums.entry((posting.line(), rate)).or_default() += posting.amount;
        }
    }
    sums
}

/// `amount` at `rate`, floored.
fn at(rate: &Rate, amount: i128) -> i128 {
    (amount * i128::from(rate.num)).div_euclid(i128::from(rate.den.max(1)))
}

impl Sold {
    /// What `own`, the participant's own amount of it, is in fen: what is not in CNY and has no rate is nothing.
    pub(super) fn worth(&self, own: Minor) -> i128 {
        if self.currency == Currency::Cny {
            return i128::from(own.0);
        }
        self.rates.iter().map(|part| at(&part.rate, i128::from(part.amount.0))).sum()
    }
}

impl Statements {
    /// Puts the rates of `postings`, by leaf, beside the participant's own lines that are not in CNY. `rates` are those on record,
    /// by leaf. Of what a credit note has taken back the dearest part goes first.
    pub fn convert<'a>(
        &mut self,
        side: Side,
        leaves: impl Iterator<Item = (u64, &'a Leaf)>,
        rates: &BTreeMap<u64, Rate>,
    ) {
        let participant = self.participant.clone();
        let postings: Vec<(u64, Posting)> =
            leaves.filter_map(|(index, leaf)| Some((index, Posting::of(leaf, side, &participant)?))).collect();
        let sums = at_rates(&postings, rates);
        for sold in self.lines.iter_mut().filter(|sold| sold.currency != Currency::Cny) {
            let Some(own) = sold.own(side, &participant) else { continue };
            let key = line(sold);
            let of_line = sums.iter().filter(|((line, _), _)| *line == key);
            let mut parts: Vec<AtRate> = of_line
                .filter_map(|((_, leaf), amount)| {
                    let (rate, amount) = (rates.get(leaf)?.clone(), Minor(i64::try_from(*amount).ok()?));
                    (amount.0 > 0).then_some(AtRate { leaf: *leaf, rate, amount })
                })
                .collect();
            let posted: i64 = parts.iter().fold(0, |sum, part| sum.saturating_add(part.amount.0));
            let mut over = posted.saturating_sub(own.0).max(0);
            parts.sort_by_key(|part| (std::cmp::Reverse(at(&part.rate, 1_000_000_000_000)), part.leaf));
            for part in &mut parts {
                let taken = over.min(part.amount.0);
                (part.amount.0, over) = (part.amount.0 - taken, over - taken);
            }
            parts.retain(|part| part.amount.0 > 0);
            parts.sort_by_key(|part| part.leaf);
            sold.rates = parts;
        }
    }

    /// That each part at a rate is what leaves of the log bring at that rate, or less, and no part counts twice.
    pub(super) fn rates_hold(&self, side: Side, leaves: &BTreeMap<u64, Leaf>) -> Result<(), String> {
        let rates: BTreeMap<u64, Rate> =
            leaves.iter().filter_map(|(index, leaf)| Some((*index, rate(leaf)?))).collect();
        let own = |(index, leaf): (&u64, &Leaf)| Some((*index, Posting::of(leaf, side, &self.participant)?));
        let postings: Vec<(u64, Posting)> = leaves.iter().filter_map(own).collect();
        let sums = at_rates(&postings, &rates);
        for sold in self.lines.iter().filter(|sold| !sold.rates.is_empty()) {
            let wrong = |why: &str| format!("{} of {}, `{}`: {why}", sold.period, sold.agreement, sold.version);
            let own = sold.own(side, &self.participant).ok_or_else(|| wrong("it is no line of the claimant's"))?;
            let (mut seen, mut all) = (BTreeSet::new(), 0);
            for part in &sold.rates {
                if rates.get(&part.leaf) != Some(&part.rate) || !seen.insert(part.leaf) {
                    return Err(wrong(&format!("leaf {} does not record its rate, or stands there twice", part.leaf)));
                }
                let posted = sums.get(&(line(sold), part.leaf)).copied().unwrap_or(0);
                if part.amount.0 <= 0 || i128::from(part.amount.0) > posted {
                    return Err(wrong(&format!("the log has {posted} posted at the rate of leaf {}", part.leaf)));
                }
                all += i128::from(part.amount.0);
            }
            if all > i128::from(own.0) || sold.currency == Currency::Cny {
                return Err(wrong("more has a rate than was sold"));
            }
        }
        Ok(())
    }
}

/// One rate for what was posted at several: what the parts are worth in fen, each floored, over their amount.
pub(super) fn of_all(parts: &[&AtRate]) -> Option<(Minor, Value)> {
    let amount: i128 = parts.iter().map(|part| i128::from(part.amount.0)).sum();
    let (num, den) = match parts {
        [] => return None,
        [one] => (i128::from(one.rate.num), i128::from(one.rate.den)),
        several => (several.iter().map(|part| at(&part.rate, i128::from(part.amount.0))).sum(), amount),
    };
    let sources: BTreeSet<&str> = parts.iter().map(|part| part.rate.source.as_str()).collect();
    let days: BTreeSet<String> = parts.iter().map(|part| part.rate.as_of.to_string()).collect();
    let joined = |names: Vec<&str>| names.join(", ");
    let num = u64::try_from(num).ok().filter(|num| *num > 0)?;
    let rate = json!({
        "num": num, "den": u64::try_from(den).ok()?,
        "source": joined(sources.into_iter().collect()), "as_of": joined(days.iter().map(String::as_str).collect()),
    });
    Some((Minor(i64::try_from(amount).ok()?), rate))
}
