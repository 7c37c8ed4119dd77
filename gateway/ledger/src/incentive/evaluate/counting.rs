//! Which transactions count, and what they add up to.

use std::collections::{BTreeMap, HashMap};

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::incentive::input::{Input, Transaction};
use crate::incentive::programme::{Conditions, Programme, Side};

/// The mainland has had one offset and no summer time since 1991: no time zone data is needed.
const SHANGHAI: Offset = Offset::constant(8);

/// Why a transaction is not counted; where several hold, the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exclusion {
    /// Of another kind.
    Kind,
    /// In another currency, without a recorded rate.
    Currency,
    /// On a day on which the programme does not apply.
    Day,
    /// Between affiliated parties, or within one.
    Affiliated,
    /// The consumer sold to the broker shortly before or after.
    RoundTrip,
    /// The consumer is no enterprise.
    NotEnterprise,
    /// No trading platform is named.
    NoPlatform,
    /// Its contract is counted with an earlier transaction.
    ContractCounted,
}

/// What a participant has in the base year.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// What counts, net of reversals, fen.
    pub base: i128,
    /// The part of it that start-ups bought.
    pub startups: i128,
    /// What counts before reversals.
    pub sales: i128,
    /// What reversals take away.
    pub reversed: i128,
    /// Places of all that counts.
    pub counted: Vec<usize>,
    /// Places of what does not, by reason.
    pub excluded: BTreeMap<Exclusion, Vec<usize>>,
    /// Places of sales that count although the parties are affiliated.
    pub affiliated: Vec<usize>,
    /// Places of reversals, posted after the base year, of what counts in it.
    pub reversed_later: Vec<usize>,
}

/// The year in which `at` lies.
pub(super) fn year_of(at: Timestamp) -> i16 {
    at.to_zoned(TimeZone::fixed(SHANGHAI)).year()
}

/// The amount of `transaction` in fen, floored; `None` without a rate. A reversal without a rate has its original's.
pub(super) fn fen(transaction: &Transaction, original: Option<&Transaction>) -> Option<i128> {
    let amount = i128::from(transaction.amount);
    if transaction.currency == "CNY" {
        return Some(amount);
    }
    let rate = transaction.rate.as_ref().or(original.and_then(|original| original.rate.as_ref()))?;
    Some((amount * i128::from(rate.num)).div_euclid(i128::from(rate.den.max(1))))
}

/// The accounts of everybody who has a transaction in `base_year`.
pub(super) fn accounts<'a>(programme: &Programme, base_year: i16, input: &'a Input) -> BTreeMap<&'a str, Account> {
    let exclusions = exclusions(programme, input);
    let mut accounts: BTreeMap<&str, Account> = BTreeMap::new();
    for (place, transaction) in input.transactions().iter().enumerate() {
        let year = year_of(transaction.at);
        let original = transaction.reversal_of.and_then(|original| input.transactions().get(original));
        let exclusion = exclusions.get(transaction.reversal_of.unwrap_or(place)).copied().flatten();
        let participant = match programme.terms.base.participant {
            Side::Broker => &transaction.broker,
            Side::Consumer => &transaction.consumer,
        };
        if year != base_year {
            let later = original.is_some_and(|original| year > base_year && year_of(original.at) == base_year);
            if later && exclusion.is_none() {
                accounts.entry(participant).or_default().reversed_later.push(place);
            }
            continue;
        }
        let account = accounts.entry(participant).or_default();
        // A reversal in a currency without any rate is of a sale without one: excluded with it.
        let (None, Some(fen)) = (exclusion, fen(transaction, original)) else {
            account.excluded.entry(exclusion.unwrap_or(Exclusion::Currency)).or_default().push(place);
            continue;
        };
        account.counted.push(place);
        let signed = if original.is_some() {
            account.reversed += fen;
            -fen
        } else {
            account.sales += fen;
            fen
        };
        account.base += signed;
        if original.unwrap_or(transaction).startup {
            account.startups += signed;
        }
        if transaction.affiliated && original.is_none() {
            account.affiliated.push(place);
        }
    }
    accounts
}

/// For each transaction, why it does not count; of reversals nothing: they go with their originals.
fn exclusions(programme: &Programme, input: &Input) -> Vec<Option<Exclusion>> {
    let trips = programme.terms.conditions.round_trip_days.map(|days| RoundTrips::of(input, days));
    let mut exclusions: Vec<Option<Exclusion>> =
        input.transactions().iter().map(|transaction| alone(programme, transaction, trips.as_ref())).collect();
    if programme.terms.conditions.contract_once {
        count_contracts_once(input, &mut exclusions);
    }
    exclusions
}

fn alone(programme: &Programme, transaction: &Transaction, trips: Option<&RoundTrips<'_>>) -> Option<Exclusion> {
    let (base, conditions) = (&programme.terms.base, &programme.terms.conditions);
    let Conditions { non_affiliated, enterprise, platform, .. } = *conditions;
    let kind = &transaction.kind;
    let other_kind = (!base.kinds.is_empty() && !base.kinds.contains(kind)) || base.other_kinds.contains(kind);
    let day = transaction.at.to_zoned(TimeZone::fixed(SHANGHAI)).date();
    let same = base.year == crate::incentive::programme::BaseYear::Same;
    let affiliated = transaction.affiliated || transaction.broker == transaction.consumer;
    [
        (other_kind, Exclusion::Kind),
        (fen(transaction, None).is_none(), Exclusion::Currency),
        // Where the year before counts, the days are those of the award, not of the sale.
        (same && !programme.terms.effective.holds(day), Exclusion::Day),
        (non_affiliated && affiliated, Exclusion::Affiliated),
        (trips.is_some_and(|trips| trips.closes(transaction)), Exclusion::RoundTrip),
        (enterprise && !transaction.enterprise, Exclusion::NotEnterprise),
        (platform && transaction.platform.is_none(), Exclusion::NoPlatform),
    ]
    .into_iter()
    .find_map(|(holds, exclusion)| holds.then_some(exclusion))
}

/// Of the sales on one contract in one year the earliest counts; one that was wholly reversed in that year does not
/// stand in the way of what replaced it.
fn count_contracts_once(input: &Input, exclusions: &mut [Option<Exclusion>]) {
    let transactions = input.transactions();
    let mut reversed: HashMap<usize, i64> = HashMap::new();
    for reversal in transactions {
        if let Some((original, sale)) = reversal.reversal_of.and_then(|place| Some((place, transactions.get(place)?)))
            && year_of(sale.at) == year_of(reversal.at)
        {
            *reversed.entry(original).or_default() += reversal.amount;
        }
    }
    let mut order: Vec<(usize, &Transaction)> = transactions.iter().enumerate().collect();
    order.sort_by_key(|(_, transaction)| (transaction.at, transaction.id.as_str()));
    let mut holders: HashMap<(&str, i16), usize> = HashMap::new();
    for (place, transaction) in order {
        let whole = reversed.get(&place).is_some_and(|reversed| *reversed >= transaction.amount);
        let Some(exclusion) = exclusions.get_mut(place) else { continue };
        if transaction.reversal_of.is_some() || exclusion.is_some() || whole {
            continue;
        }
        let key = (transaction.contract.as_str(), year_of(transaction.at));
        if *holders.entry(key).or_insert(place) != place {
            *exclusion = Some(Exclusion::ContractCounted);
        }
    }
}

/// When each pair of parties dealt, so that sales and counter-sales are found.
struct RoundTrips<'a> {
    sales: HashMap<(&'a str, &'a str), Vec<Timestamp>>,
    within: SignedDuration,
}

impl<'a> RoundTrips<'a> {
    fn of(input: &'a Input, days: u16) -> Self {
        let mut sales: HashMap<(&str, &str), Vec<Timestamp>> = HashMap::new();
        for sale in input.transactions().iter().filter(|transaction| transaction.reversal_of.is_none()) {
            sales.entry((&sale.broker, &sale.consumer)).or_default().push(sale.at);
        }
        for times in sales.values_mut() {
            times.sort_unstable();
        }
        Self { sales, within: SignedDuration::from_hours(24 * i64::from(days)) }
    }

    /// Whether the consumer sold to the broker at most so many days before or after.
    fn closes(&self, sale: &Transaction) -> bool {
        let Some(times) = self.sales.get(&(sale.consumer.as_str(), sale.broker.as_str())) else { return false };
        let after = times.partition_point(|time| *time < sale.at);
        let near =
            |time: Option<&Timestamp>| time.is_some_and(|time| time.duration_since(sale.at).abs() <= self.within);
        near(times.get(after)) || after.checked_sub(1).is_some_and(|before| near(times.get(before)))
    }
}
