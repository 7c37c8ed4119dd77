//! The steps of an evaluation in words: what was counted, what was not and why, and what the text leaves open.

use super::counting::{Account, Exclusion, fen};
use super::{Fen, Line};
use crate::incentive::input::{Input, Transaction};
use crate::incentive::programme::{BaseYear, Programme};

/// Ids that a line of a trace names; of more it says how many.
const NAMED_MAX: usize = 8;

/// `500000000 fen (CNY 5000000.00)`.
fn money(fen: i128) -> String {
    let (sign, size) = (if fen < 0 { "-" } else { "" }, fen.unsigned_abs());
    format!("{fen} fen (CNY {sign}{}.{:02})", size / 100, size % 100)
}

fn named(input: &Input, places: &[usize]) -> String {
    let ids: Vec<&str> = places
        .iter()
        .take(NAMED_MAX)
        .filter_map(|place| input.transactions().get(*place))
        .map(|transaction| transaction.id.as_str())
        .collect();
    let more = places.len().saturating_sub(NAMED_MAX);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{rest}", ids.join(", "))
}

/// What `places` amount to: by currency where there is no rate.
fn sum(input: &Input, places: &[usize]) -> String {
    let mut by_currency = std::collections::BTreeMap::<&str, i128>::new();
    for transaction in places.iter().filter_map(|place| input.transactions().get(*place)) {
        let sign = if transaction.reversal_of.is_some() { -1 } else { 1 };
        match fen(transaction, original(input, transaction)) {
            Some(fen) => *by_currency.entry("CNY").or_default() += sign * fen,
            None => {
                *by_currency.entry(&transaction.currency).or_default() += sign * i128::from(transaction.amount);
            }
        }
    }
    let parts = by_currency.into_iter().map(|(currency, sum)| match currency {
        "CNY" => money(sum),
        other => format!("{sum} minor units of {other}"),
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn original<'a>(input: &'a Input, transaction: &Transaction) -> Option<&'a Transaction> {
    transaction.reversal_of.and_then(|original| input.transactions().get(original))
}

const fn because(exclusion: Exclusion) -> &'static str {
    match exclusion {
        Exclusion::Kind => "another kind of transaction",
        Exclusion::Currency => "not in CNY and without a recorded rate",
        Exclusion::Day => "on a day on which the programme does not apply",
        Exclusion::Affiliated => "between affiliated parties",
        Exclusion::RoundTrip => "a round trip: the buyer sold to the seller within the days that make one",
        Exclusion::NotEnterprise => "the buyer is no enterprise",
        Exclusion::NoPlatform => "no trading platform is named",
        Exclusion::ContractCounted => {
            "the contract is counted with an earlier transaction: a contract is claimed once, with its whole amount"
        }
    }
}

/// Everything up to the participant's own amount.
pub(super) fn steps(
    programme: &Programme,
    year: i16,
    input: &Input,
    account: &Account,
    line: &mut Line,
    uncapped: i128,
) {
    let terms = &programme.terms;
    let trace = &mut line.trace;
    trace.push(format!("programme: {} version {}, {}", terms.id, terms.version, programme.digest));
    trace
        .push(format!("source: {}, {}; passage {}", terms.source.document, terms.source.citation, terms.source.digest));
    let until = terms.effective.to.map_or_else(|| "no end known".to_owned(), |to| format!("to {to} included"));
    let touches = if terms.effective.touches(year) { "in force in" } else { "not in force in" };
    trace.push(format!("{touches} {year}: from {}, {until}", terms.effective.from));
    let which = match terms.base.year {
        BaseYear::Before => "the calendar year before the award year",
        BaseYear::Same => "the year asked for",
    };
    trace.push(format!("base year: {} in Asia/Shanghai, {which}", programme.base_year(year)));
    for (exclusion, places) in &account.excluded {
        let (count, sum, named) = (places.len(), sum(input, places), named(input, places));
        trace.push(format!("excluded, {}: {count}, {sum}: {named}", because(*exclusion)));
    }
    let foreign: Vec<usize> = account
        .counted
        .iter()
        .copied()
        .filter(|place| input.transactions().get(*place).is_some_and(|transaction| transaction.currency != "CNY"))
        .collect();
    if !foreign.is_empty() {
        trace.push(format!("converted at recorded rates, each floored: {}: {}", foreign.len(), named(input, &foreign)));
    }
    if !account.affiliated.is_empty() {
        let (sum, named) = (sum(input, &account.affiliated), named(input, &account.affiliated));
        trace.push(format!(
            "counted although between affiliated parties, which the text does not exclude: {sum}: {named}"
        ));
    }
    trace.push(format!("counted: {}, sales {}", account.counted.len(), money(account.sales)));
    trace.push(format!("reversals posted in the base year: {}", money(-account.reversed)));
    trace.push(format!("base: {}", money(account.base)));
    if !account.reversed_later.is_empty() {
        let (sum, named) = (sum(input, &account.reversed_later), named(input, &account.reversed_later));
        trace.push(format!("reversed after the base year, not taken from this base: {sum}: {named}"));
    }
    let award = &terms.award;
    if let Some(threshold) = award.threshold {
        let reached = if account.base >= i128::from(threshold.0) { "reached" } else { "not reached" };
        trace.push(format!("threshold: {} included: {reached}", money(i128::from(threshold.0))));
    }
    let rate = match award.startup_rate_percent {
        Some(startups) => format!(
            "{} % of {} and, of start-ups, {startups} % of {}",
            award.rate_percent,
            money(account.base - account.startups),
            money(account.startups)
        ),
        None => format!("{} % of the base", award.rate_percent),
    };
    trace.push(format!("rate: {rate}, floored: {}", money(uncapped)));
    let binds = if uncapped > i128::from(award.cap.0) { "binds" } else { "does not bind" };
    trace.push(format!("cap: {}: {binds}", money(i128::from(award.cap.0))));
    let Fen(amount) = line.amount;
    trace.push(format!("amount: {}", money(amount)));
}

/// The place among the eligible.
pub(super) fn rank(line: &mut Line, rank: usize, tied: usize, most: usize, eligible: usize) {
    let tie = if tied > 1 { format!(", shared by {tied} with the same base") } else { String::new() };
    line.trace.push(format!("rank by base: {rank} of {eligible} eligible{tie}; at most {most} a year: a proposal"));
    if !line.selected && rank <= most {
        line.trace.push("tie at the last place: who of them is taken is not said, so none is proposed".to_owned());
    }
}

/// Whether the pool is enough for everybody.
pub(super) fn pool(line: &mut Line, asked: i128, pool: i128) {
    let answer =
        if asked <= pool { "enough" } else { "not enough, and how it is shared is not said: none is proposed" };
    line.trace.push(format!("pool: {} for {} in these transactions: {answer}", money(pool), money(asked)));
}

/// What the text leaves open.
pub(super) fn unsaid(programme: &Programme, line: &mut Line) {
    line.trace.extend(programme.terms.source.unsaid.iter().map(|open| format!("not said by the text: {open}")));
}
