//! Identifiers that begin with a digit.

use super::mobile::Country;
use super::words::{self, Topics};
use super::{Column, Kind, Scanner, card, ip, mobile, resident};
use crate::scan::cluster::is_separator;

/// Digits of a chain that are counted: more than any identifier has.
const CHAIN_MAX: usize = 24;

/// A window of digits that may be an identifier.
#[derive(Clone, Copy)]
struct Window {
    at: usize,
    end: usize,
    /// In several groups.
    grouped: bool,
    /// Joined to more digits by a hyphen: part of something longer, unless check digits say otherwise.
    joined: bool,
}

impl Scanner {
    /// What begins with the digit at `at`, whose run ends before `to`; answers where it ends.
    pub(super) fn number(&mut self, column: Column, text: &[u8], at: usize, to: usize) -> Option<usize> {
        if at >= 2 && self.cluster.at(at - 1) == b'.' && self.cluster.is_digit(at - 2) {
            // A fraction.
            return None;
        }
        if self.cluster.at(to) == b'.' && self.cluster.is_digit(to + 1) {
            return self.dotted(text, at, to);
        }
        if !self.cluster.slice(at, to).iter().all(u8::is_ascii_digit) {
            return self
                .resident(column, at, to)
                .or_else(|| self.company(at, to))
                .or_else(|| self.zone_number(column, text, at, to));
        }
        if let Some(end) = self.with_country(column, text, at, to) {
            return Some(end);
        }
        let (total, chain_end) = self.chain(at);
        // Its check character tells where it begins, whatever number stands before it.
        if total > to - at
            && let Some(end) = self.resident(column, at, chain_end)
        {
            return Some(end);
        }
        let whole = total > to - at && !self.cluster.joined_before(at, true);
        if whole {
            let open = self.cluster.joined_after(chain_end, true);
            let window = Window { at, end: chain_end, grouped: true, joined: open };
            if let Some(end) = self.window(column, text, window) {
                return Some(end);
            }
        }
        let joined = self.cluster.joined_before(at, false) || self.cluster.joined_after(to, false);
        self.window(column, text, Window { at, end: to, grouped: false, joined })
    }

    /// How many digits follow from `at` in groups set off by single separators, and where they end.
    fn chain(&self, at: usize) -> (usize, usize) {
        let (mut count, mut place, mut end) = (0, at, at);
        while count < CHAIN_MAX {
            if self.cluster.is_digit(place) {
                (count, place, end) = (count + 1, place + 1, place + 1);
            } else if is_separator(self.cluster.at(place)) && self.cluster.is_digit(place + 1) {
                place += 1;
            } else {
                break;
            }
        }
        (count, end)
    }

    /// Digits with dots between: an address, or a decimal number, in which nothing else is looked for.
    fn dotted(&mut self, text: &[u8], at: usize, to: usize) -> Option<usize> {
        let mut end = to;
        while self.cluster.is_digit(end) || (self.cluster.at(end) == b'.' && self.cluster.is_digit(end + 1)) {
            end += 1;
        }
        if !self.cluster.ends(end) || !ip::is_v4(self.cluster.slice(at, end)) {
            return None;
        }
        let (from, until) = self.cluster.place(at, end);
        if words::near(text, from, until).any(Topics::SERIAL) {
            return None;
        }
        let value = self.cluster.slice(at, end).to_vec();
        self.add(Kind::Ip, (at, end), true, &value);
        Some(end)
    }

    /// A telephone number whose country code stands apart, or follows a plus.
    fn with_country(&mut self, column: Column, text: &[u8], at: usize, to: usize) -> Option<usize> {
        if !matches!(self.cluster.at(at), b'0' | b'8') {
            return None;
        }
        let run: Vec<u8> = self.cluster.slice(at, to).iter().map(|byte| byte - b'0').collect();
        let (country, len) = mobile::country(&run)?;
        let plus = at > 0 && self.cluster.at(at - 1) == b'+';
        let opened = at > 0 && matches!(self.cluster.at(at - 1), b'+' | b'(');
        let mut place = at + len;
        if len == run.len() {
            let gap = place;
            while place < gap + 2 && matches!(self.cluster.at(place), b' ' | b'-' | b')') {
                place += 1;
            }
            if place == gap {
                return None;
            }
        }
        let count = if country == Country::Mainland { 11 } else { 8 };
        let digits = self.cluster.digits(place, count)?;
        if !self.cluster.ends(digits.end)
            || self.cluster.joined_after(digits.end, digits.grouped)
            || !country.is_mobile(digits.as_slice())
        {
            return None;
        }
        let kind = if country == Country::Mainland { Kind::CnMobile } else { Kind::HkMobile };
        let spelled = plus || opened || run.starts_with(&[0, 0]);
        let certain = spelled || self.topics(column, text, (at, digits.end), Topics::PHONE).any(Topics::PHONE);
        if !certain && kind == Kind::HkMobile {
            return None;
        }
        let value: Vec<u8> = digits.as_slice().iter().map(|digit| digit + b'0').collect();
        let mut from = at;
        while from > 0 && matches!(self.cluster.at(from - 1), b'+') {
            from -= 1;
        }
        self.add(kind, (from, digits.end), certain, &value);
        Some(digits.end)
    }

    /// Seventeen digits and a check character, together or in groups.
    fn resident(&mut self, column: Column, at: usize, to: usize) -> Option<usize> {
        let body = self.cluster.digits(at, 17)?;
        let mut last_at = body.end;
        if is_separator(self.cluster.at(last_at)) {
            last_at += 1;
        }
        let last = self.cluster.at(last_at);
        if !(last.is_ascii_digit() || last.eq_ignore_ascii_case(&b'X')) || !self.cluster.ends(last_at + 1) {
            return None;
        }
        if !resident::is_resident_id(body.as_slice(), last, self.today) {
            if last_at < to {
                self.miss(Kind::CnResidentId);
            }
            return None;
        }
        let certain = column.topics.any(Topics::DOCUMENT);
        let mut value: Vec<u8> = body.as_slice().iter().map(|digit| digit + b'0').collect();
        value.push(last.to_ascii_uppercase());
        self.add(Kind::CnResidentId, (at, last_at + 1), certain, &value);
        Some(last_at + 1)
    }

    fn window(&mut self, column: Column, text: &[u8], window: Window) -> Option<usize> {
        let Window { at, end, grouped, joined } = window;
        if !self.cluster.ends(end) {
            return None;
        }
        let digits: Vec<u8> =
            self.cluster.slice(at, end).iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect();
        if !grouped
            && digits.len() == 18
            && let Some(end) = self.resident(column, at, end).or_else(|| self.company(at, end))
        {
            return Some(end);
        }
        if joined {
            return None;
        }
        let found = match digits.len() {
            8 => self.mobile(column, text, (at, end), Country::HongKong, &digits),
            11 => self.mobile(column, text, (at, end), Country::Mainland, &digits),
            len if card::is_length(len) => {
                self.old_resident(column, text, (at, end), &digits).or_else(|| self.card(column, text, window, &digits))
            }
            _ => None,
        };
        found.map(|()| end)
    }

    fn mobile(
        &mut self,
        column: Column,
        text: &[u8],
        (at, end): (usize, usize),
        country: Country,
        digits: &[u8],
    ) -> Option<()> {
        let mainland = country == Country::Mainland;
        if !country.is_mobile(digits) {
            if mainland {
                self.miss(Kind::CnMobile);
            }
            return None;
        }
        let (from, until) = self.cluster.place(at, end);
        if words::is_money(text, from, until) {
            return None;
        }
        let topics = self.topics(column, text, (at, end), Topics::PHONE);
        let certain = topics.any(Topics::PHONE);
        if !certain && (!mainland || topics.against() || column.topics.any(Topics::PRICE)) {
            return None;
        }
        let value: Vec<u8> = digits.iter().map(|digit| digit + b'0').collect();
        self.add(if mainland { Kind::CnMobile } else { Kind::HkMobile }, (at, end), certain, &value);
        Some(())
    }

    fn old_resident(&mut self, column: Column, text: &[u8], (at, end): (usize, usize), digits: &[u8]) -> Option<()> {
        let full = resident::upgrade(digits, self.today)?;
        let wanted = Topics::DOCUMENT.and(Topics::ID);
        if !self.topics(column, text, (at, end), wanted).any(wanted) {
            return None;
        }
        let certain = !column.topics.any(wanted) || column.topics.any(Topics::DOCUMENT);
        self.add(Kind::CnResidentId15, (at, end), certain, &full);
        Some(())
    }

    fn card(&mut self, column: Column, text: &[u8], window: Window, digits: &[u8]) -> Option<()> {
        let Window { at, end, grouped, .. } = window;
        let scheme = card::is_scheme(digits);
        let (from, until) = self.cluster.place(at, end);
        let topics = self.topics(column, text, (at, end), Topics::CARD);
        // Banks have the numbers that begin with 3 to 6 (ISO/IEC 7812-1).
        let bank = digits.first().is_some_and(|first| matches!(first, 3..=6));
        let named = topics.any(Topics::CARD) && (scheme || bank);
        if !named
            && (!scheme
                || topics.any(Topics::SERIAL)
                || column.topics.any(Topics::PRICE)
                || is_sum(text, (from, until), digits.len())
                // Thirteen digits: an article's number more often than an old card.
                || digits.len() == 13)
        {
            return None;
        }
        if !card::luhn(digits) {
            self.miss(Kind::BankCard);
            return None;
        }
        let certain = named && !column.topics.any(Topics::CARD);
        // In fours, as on the card.
        let fours = grouped && self.cluster.run(at) - at == 4;
        let value: Vec<u8> = digits.iter().map(|digit| digit + b'0').collect();
        self.add(Kind::BankCard, (at, end), certain || fours, &value);
        Some(())
    }
}

/// Whether `count` digits at `from..until` are a sum of money. Sixteen are none, whatever the unit: all the money of the world
/// is less than 10¹⁵ yuan, so a sign beside a card's number is an accident of the text.
fn is_sum(text: &[u8], (from, until): (usize, usize), count: usize) -> bool {
    count < 16 && words::is_money(text, from, until)
}
