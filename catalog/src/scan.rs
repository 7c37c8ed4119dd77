//! The scan for identifiers of persons and organisations in text (RULES.md §7): every kind of the interface, with its real
//! check digits, in full-width and spaced spellings, beside Chinese as beside English.
//!
//! One pass: a [`Scanner`] stops where a digit, an `@`, a colon or a `<` stands, reads the stretch around it as ASCII
//! (`cluster`), and asks the recognisers, one file a family. What a number without meaning would pass too needs a word
//! beside it, or a column's name (`words`). What passes without such a word is told apart from chance by whoever sees
//! the whole column: for that the scanner also counts what had the form of a kind and failed its check.

mod card;
mod cluster;
mod document;
mod email;
mod fold;
mod hkid;
mod ip;
mod kind;
mod letters;
mod mask;
mod mobile;
mod mrz;
mod numbers;
mod plate;
mod resident;
mod uscc;
mod words;

#[cfg(test)]
mod tests;

use std::ops::Range;

use jiff::civil::Date;

use self::cluster::Cluster;
use self::words::Topics;

pub use kind::Kind;
pub use mask::masked;

/// What a column's name says about its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Column {
    topics: Topics,
}

impl Column {
    /// From the dotted path of a column.
    pub fn named(path: &str) -> Self {
        Self { topics: words::of_name(path) }
    }
}

/// An identifier in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Its bytes in the text.
    pub place: Range<usize>,
    /// Its form or the words beside it leave no doubt; otherwise the column has to be looked at as a whole.
    pub certain: bool,
    value: Range<usize>,
}

/// Finds identifiers; keeps its buffers from one text to the next.
#[derive(Debug)]
pub struct Scanner {
    today: Date,
    cluster: Cluster,
    found: Vec<Found>,
    values: Vec<u8>,
    missed: [u32; Kind::ALL.len()],
}

/// What to do at a byte.
const PLAIN: u8 = 0;
const DIGIT: u8 = 1;
const AT: u8 = 2;
const COLON: u8 = 3;
const LESS: u8 = 4;
/// The first byte of characters some of which stand for digits or `@`.
const MAYBE: u8 = 5;

const ACTIONS: [u8; 256] = actions();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse an index out of bounds")]
const fn actions() -> [u8; 256] {
    let mut actions = [PLAIN; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        actions[digit as usize] = DIGIT;
        digit += 1;
    }
    actions[b'@' as usize] = AT;
    actions[b':' as usize] = COLON;
    actions[b'<' as usize] = LESS;
    actions[0xc2] = MAYBE;
    actions[0xe2] = MAYBE;
    actions[0xef] = MAYBE;
    actions[0xf0] = MAYBE;
    actions
}

impl Scanner {
    /// `today`: nobody is born later.
    pub fn new(today: Date) -> Self {
        Self { today, cluster: Cluster::default(), found: Vec::new(), values: Vec::new(), missed: [0; Kind::ALL.len()] }
    }

    /// The identifiers of `text`, a value of `column`, in order and without overlap. The text need not be UTF-8.
    pub fn scan(&mut self, column: Column, text: &[u8]) -> &[Found] {
        self.found.clear();
        self.values.clear();
        self.missed = [0; Kind::ALL.len()];
        // `at` is where to look next, `floor` before what no later cluster may begin.
        let (mut at, mut floor) = (0, 0);
        while let Some(byte) = text.get(at) {
            let action = ACTIONS.get(usize::from(*byte)).copied().unwrap_or(PLAIN);
            if action == PLAIN {
                at += 1;
                continue;
            }
            let folded = if action == MAYBE { fold::fold(text, at) } else { (*byte, 1) };
            let end = match folded.0 {
                b'0'..=b'9' => {
                    let end = self.cluster.read(text, at, floor);
                    self.clusters(column, text);
                    Some(end)
                }
                b'@' => self.email(text, at),
                b':' if action == COLON => self.address(text, at),
                b'<' => self.zone(text, at),
                _ => None,
            };
            at = end.unwrap_or(at + folded.1);
            floor = end.unwrap_or(floor);
        }
        &self.found
    }

    /// The identifiers of the text last scanned.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// An identifier as it is written without separators; letters are capitals, but in mailboxes.
    pub fn value(&self, found: &Found) -> &str {
        self.values.get(found.value.clone()).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// How often the text last scanned had the form of each kind (by [`Kind::index`]) but failed its check.
    pub const fn missed(&self) -> &[u32; Kind::ALL.len()] {
        &self.missed
    }

    fn clusters(&mut self, column: Column, text: &[u8]) {
        let mut at = 0;
        while at < self.cluster.len() {
            if !self.cluster.begins(at) {
                at += 1;
                continue;
            }
            let run_end = self.cluster.run(at);
            let found = if cluster::is_long_run(at, run_end) {
                self.bare_zone(at, run_end)
            } else if self.cluster.is_digit(at) {
                self.number(column, text, at, run_end)
            } else {
                self.lettered(column, text, at, run_end)
            };
            at = found.unwrap_or(run_end).max(at + 1);
        }
    }

    /// Notes an identifier at characters `from..to` of the cluster.
    fn add(&mut self, kind: Kind, (from, to): (usize, usize), certain: bool, value: &[u8]) {
        let (start, end) = self.cluster.place(from, to);
        self.add_at(kind, start..end, certain, value);
    }

    fn add_at(&mut self, kind: Kind, place: Range<usize>, certain: bool, value: &[u8]) {
        // What is found later reaches further: the digits of a mailbox are not a telephone number.
        while let Some(last) = self.found.last().filter(|last| last.place.end > place.start) {
            self.values.truncate(last.value.start);
            self.found.pop();
        }
        let from = self.values.len();
        self.values.extend_from_slice(value);
        self.found.push(Found { kind, place, certain, value: from..self.values.len() });
    }

    fn miss(&mut self, kind: Kind) {
        if let Some(missed) = self.missed.get_mut(kind.index()) {
            *missed += 1;
        }
    }

    /// What is known about the characters `from..to`: from the column's name if that speaks of `wanted`, or else from the
    /// text around them.
    fn topics(&self, column: Column, text: &[u8], (from, to): (usize, usize), wanted: Topics) -> Topics {
        if column.topics.any(wanted) {
            return column.topics;
        }
        let (start, end) = self.cluster.place(from, to);
        words::near(text, start, end)
    }

    fn email(&mut self, text: &[u8], at: usize) -> Option<usize> {
        let mut value = Vec::new();
        let (start, end) = email::around(text, at, &mut value)?;
        self.add_at(Kind::Email, start..end, true, &value);
        Some(end)
    }

    fn address(&mut self, text: &[u8], at: usize) -> Option<usize> {
        let near = |offset: usize| text.get(offset).is_some_and(|byte| byte.is_ascii_hexdigit() || *byte == b':');
        if !near(at + 1) {
            return None;
        }
        let (start, end) = ip::v6_around(text, at)?;
        let value = text.get(start..end).unwrap_or_default().to_ascii_lowercase();
        self.add_at(Kind::Ip, start..end, true, &value);
        Some(end)
    }

    /// The line of a machine-readable zone around the `<` at `at`.
    fn zone(&mut self, text: &[u8], at: usize) -> Option<usize> {
        let part = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'<';
        let mut start = at;
        let mut count = 0;
        while start > 0 && count < mrz::LINE_MAX {
            let place = fold::before(text, start);
            if !part(fold::fold(text, place).0) {
                break;
            }
            (start, count) = (place, count + 1);
        }
        let mut line = [0u8; mrz::LINE_MAX + 1];
        let (mut end, mut len) = (start, 0);
        while let Some(slot) = line.get_mut(len).filter(|_| end < text.len()) {
            let (byte, bytes) = fold::fold(text, end);
            if !part(byte) {
                break;
            }
            *slot = byte;
            (len, end) = (len + 1, end + bytes);
        }
        let line = line.get(..len)?;
        let read = mrz::line(line)?;
        self.add_zone(read, start..end, line);
        Some(end)
    }

    /// A long run in a cluster may be a line of a zone without a single filler.
    fn bare_zone(&mut self, from: usize, to: usize) -> Option<usize> {
        let line = self.cluster.slice(from, to).to_vec();
        let read @ mrz::Line::Number(_) = mrz::line(&line)? else { return None };
        let (start, end) = self.cluster.place(from, to);
        self.add_zone(read, start..end, &line);
        Some(to)
    }

    /// The lines of one zone are one finding, whose value is the document's number.
    fn add_zone(&mut self, read: mrz::Line, place: Range<usize>, line: &[u8]) {
        let number = match read {
            mrz::Line::Number(at) => line.get(at..at + 9),
            mrz::Line::Other => None,
        };
        let above = self.found.last().filter(|last| last.kind == Kind::Mrz && last.place.end + 4 >= place.start);
        if let Some(above) = above.cloned() {
            let kept = self.values.get(above.value.clone()).unwrap_or_default().to_vec();
            let value = number.map_or(kept, <[u8]>::to_vec);
            self.add_at(Kind::Mrz, above.place.start..place.end, true, &value);
        } else {
            self.add_at(Kind::Mrz, place, true, number.unwrap_or(line));
        }
    }
}
