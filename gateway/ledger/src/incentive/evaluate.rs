//! Evaluation: who may have what of a programme in a year, and why.

mod counting;
mod trace;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::input::Input;
use super::programme::Programme;
use counting::{Account, accounts};

/// Fen, written as a decimal string. A sum of amounts: wider than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Fen(pub i128);

impl Serialize for Fen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The answer of `kouan incentive evaluate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evaluation {
    /// Which programme.
    pub programme: String,
    /// Which year, as it was asked for.
    pub year: i16,
    /// Whether the programme applies on any day of it.
    pub in_force: bool,
    /// One per participant with a transaction in the base year: the largest base first.
    pub lines: Vec<Line>,
}

/// What one participant may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The broker, or the consumer of a voucher.
    pub participant: String,
    /// What counts, net of reversals.
    pub base: Fen,
    /// Whether the text lets it ask.
    pub eligible: bool,
    /// What it may ask for at most.
    pub amount: Fen,
    /// Its place by base among the eligible, where a programme takes only so many; equal bases share a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// Whether it is among those the programme can take: a proposal. A tie or a pool that the text does not resolve
    /// selects nobody.
    pub selected: bool,
    /// Every step, in words.
    pub trace: Vec<String>,
    /// Places of the transactions that count, reversals among them.
    #[serde(skip)]
    pub counted: Vec<usize>,
}

/// Evaluates `programme` for `year` over the transactions in `input`.
///
/// Years are calendar years in Asia/Shanghai. A reversal reduces the base of the year it is posted in, as the books do;
/// one that is posted later is told, because the text does not say whether it claws back. It is counted exactly if its
/// original is.
pub fn evaluate(programme: &Programme, year: i16, input: &Input) -> Evaluation {
    let in_force = programme.terms.effective.touches(year);
    let accounts = accounts(programme, programme.base_year(year), input);
    let mut lines: Vec<Line> =
        accounts.into_iter().map(|(name, account)| line(programme, year, in_force, input, name, account)).collect();
    lines.sort_by(|a, b| b.base.cmp(&a.base).then_with(|| a.participant.cmp(&b.participant)));
    select(programme, &mut lines);
    for line in &mut lines {
        trace::unsaid(programme, line);
    }
    Evaluation { programme: programme.terms.id.clone(), year, in_force, lines }
}

fn line(programme: &Programme, year: i16, in_force: bool, input: &Input, participant: &str, account: Account) -> Line {
    let award = &programme.terms.award;
    let base = account.base;
    let threshold = award.threshold.map_or(1, |threshold| i128::from(threshold.0));
    let eligible = in_force && base >= threshold.max(1);
    let startup_rate = award.startup_rate_percent.unwrap_or(award.rate_percent);
    let of_base = |part: i128, rate: u8| part * i128::from(rate);
    let uncapped = (of_base(base - account.startups, award.rate_percent) + of_base(account.startups, startup_rate))
        .div_euclid(100);
    let amount = if eligible { uncapped.clamp(0, i128::from(award.cap.0)) } else { 0 };
    let mut line = Line {
        participant: participant.to_owned(),
        base: Fen(base),
        eligible,
        amount: Fen(amount),
        rank: None,
        selected: eligible,
        trace: Vec::new(),
        counted: Vec::new(),
    };
    trace::steps(programme, year, input, &account, &mut line, uncapped);
    line.counted = account.counted;
    line
}

/// Proposes whom the programme takes where it cannot take all.
fn select(programme: &Programme, lines: &mut [Line]) {
    if let Some(most) = programme.terms.award.selected_max {
        // How many are eligible with a base of at least this.
        let mut at_least: BTreeMap<Fen, usize> = BTreeMap::new();
        let mut seen = 0;
        let mut ties: BTreeMap<Fen, usize> = BTreeMap::new();
        for line in lines.iter().filter(|line| line.eligible) {
            seen += 1;
            at_least.insert(line.base, seen);
            *ties.entry(line.base).or_default() += 1;
        }
        for line in lines.iter_mut().filter(|line| line.eligible) {
            let last = at_least.get(&line.base).copied().unwrap_or(seen);
            let tied = ties.get(&line.base).copied().unwrap_or(1);
            let rank = last + 1 - tied;
            line.rank = Some(rank);
            line.selected = last <= most;
            trace::rank(line, rank, tied, most, seen);
        }
    }
    if let Some(pool) = programme.terms.award.pool {
        let asked: i128 = lines.iter().map(|line| line.amount.0).sum();
        let enough = asked <= i128::from(pool.0);
        for line in lines.iter_mut().filter(|line| line.eligible) {
            line.selected = line.selected && enough;
            trace::pool(line, asked, i128::from(pool.0));
        }
    }
}
