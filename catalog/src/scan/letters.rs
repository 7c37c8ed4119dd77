//! Identifiers that begin with a letter.

use super::words::Topics;
use super::{Column, Kind, Scanner, document, hkid, mrz, plate, uscc};

impl Scanner {
    /// What begins with the letter at `at`, whose run ends before `to`; answers where it ends.
    pub(super) fn lettered(&mut self, column: Column, text: &[u8], at: usize, to: usize) -> Option<usize> {
        self.document(column, text, at, to)
            .or_else(|| self.company(at, to))
            .or_else(|| self.zone_number(column, text, at, to))
            .or_else(|| self.hkid(column, text, at))
            .or_else(|| self.plate(column, text, at, to))
    }

    fn document(&mut self, column: Column, text: &[u8], at: usize, to: usize) -> Option<usize> {
        let run = self.cluster.slice(at, to).to_ascii_uppercase();
        if document::patterns(&run).is_empty() {
            return None;
        }
        let wanted = Topics::PASSPORT.and(Topics::PERMIT).and(Topics::DOCUMENT);
        let topics = self.topics(column, text, (at, to), wanted);
        let kind = document::kind(&run, topics)?;
        self.add(kind, (at, to), true, &run);
        Some(to)
    }

    /// A unified social credit code; digits only are also called by their organisation code.
    pub(super) fn company(&mut self, at: usize, to: usize) -> Option<usize> {
        let run = self.cluster.slice(at, to);
        let digits = run.iter().all(u8::is_ascii_digit);
        // A date where resident identity numbers have one: rather such a number with a wrong check digit.
        if digits && matches!(run.get(6..8), Some(b"19" | b"20")) {
            return None;
        }
        if !uscc::is_shaped(run) || (digits && !uscc::has_organisation_check(run)) {
            return None;
        }
        let run = run.to_vec();
        if !uscc::is_valid(&run) {
            self.miss(Kind::Uscc);
            return None;
        }
        self.add(Kind::Uscc, (at, to), false, &run);
        Some(to)
    }

    /// Number and check digit of a machine-readable zone without the rest of it.
    pub(super) fn zone_number(&mut self, column: Column, text: &[u8], at: usize, to: usize) -> Option<usize> {
        if !mrz::is_number(self.cluster.slice(at, to)) {
            return None;
        }
        if !self.topics(column, text, (at, to), Topics::MRZ).any(Topics::MRZ) {
            return None;
        }
        let number = self.cluster.slice(at, to - 1).to_vec();
        self.add(Kind::Mrz, (at, to), true, &number);
        Some(to)
    }

    fn hkid(&mut self, column: Column, text: &[u8], at: usize) -> Option<usize> {
        let (shape, body, len) = hkid::shape(&self.cluster, at)?;
        let named = Topics::HKID.and(Topics::DOCUMENT);
        let topics = if shape.parenthesised {
            Topics::default()
        } else {
            self.topics(column, text, (at, shape.end), named.and(Topics::PASSPORT).and(Topics::PERMIT))
        };
        let certain = shape.parenthesised || topics.any(named);
        // Beside `passport` it would be one whose series we do not know.
        let document = !certain && topics.any(Topics::PASSPORT.and(Topics::PERMIT));
        if document {
            return None;
        }
        if (shape.loose && !certain) || topics.any(Topics::SERIAL) {
            return None;
        }
        if !shape.valid {
            self.miss(Kind::Hkid);
            return None;
        }
        self.add(Kind::Hkid, (at, shape.end), certain, body.get(..len).unwrap_or_default());
        Some(shape.end)
    }

    fn plate(&mut self, column: Column, text: &[u8], at: usize, to: usize) -> Option<usize> {
        let (start, _) = self.cluster.place(at, to);
        // `粤B·12345`: the rest of the plate is a run of its own.
        let parted = matches!(self.cluster.at(to), b' ' | b'-') && self.cluster.is_alnum(to + 1);
        let (tail_at, end) = if parted { (to + 1, self.cluster.run(to + 1)) } else { (to, to) };
        let mut run = self.cluster.slice(at, to).to_vec();
        if let Some(province) = plate::province(text, start) {
            if run.len() == 1 && parted {
                run.extend_from_slice(self.cluster.slice(tail_at, end));
            }
            let end = if run.len() > to - at { end } else { to };
            let (_, place_end) = self.cluster.place(at, end);
            let last = plate::last(text, place_end);
            let with_last = last.is_some() && plate::is_mainland(&run, true);
            if !with_last && !plate::is_mainland(&run, false) {
                return None;
            }
            if !self.topics(column, text, (at, end), Topics::PLATE).any(Topics::PLATE) {
                return None;
            }
            let last = last.filter(|_| with_last).unwrap_or_default();
            let value = [province.as_bytes(), &run, last.as_bytes()].concat();
            let place = start - province.len()..place_end + last.len();
            self.add_at(Kind::CnPlate, place, true, &value);
            return Some(end);
        }
        let letters = run.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let spaced = letters == run.len() && parted;
        if letters != 2 {
            return None;
        }
        let (digits_at, end) = if spaced { (tail_at, end) } else { (at + 2, to) };
        let digits = self.cluster.slice(digits_at, end).to_vec();
        if !plate::is_hong_kong(run.get(..2)?, &digits) {
            return None;
        }
        if !self.topics(column, text, (at, end), Topics::PLATE).any(Topics::PLATE) {
            return None;
        }
        self.add(Kind::HkPlate, (at, end), true, &[run.get(..2)?, &digits].concat());
        Some(end)
    }
}
