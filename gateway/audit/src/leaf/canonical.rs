//! A recogniser of RFC 8785 canonical JSON without floats, in one pass and without building
//! values: the offline verifier runs it over every leaf of the log.
//!
//! Since all numbers are integers that every reader agrees on, canonical form can be read off
//! the bytes: no white space, members in strictly rising order of their UTF-16 code units,
//! shortest escapes, plain decimal numbers. Nothing has to be written out again to compare.

use super::{DEPTH_MAX, INTEGER_MAX, LIST_ENTRIES_MAX, LeafError};

/// Checks that `text` is one canonical object and calls `visit` with the raw name and raw value
/// of each of its own members.
pub(super) fn scan_object<'a>(text: &'a str, visit: &mut dyn FnMut(&'a str, &'a str)) -> Result<(), LeafError> {
    let mut scanner = Scanner { text, at: 0 };
    if scanner.peek() != Some(b'{') {
        return Err(scanner.fault("an object"));
    }
    scanner.object(1, visit)?;
    if scanner.at == text.len() { Ok(()) } else { Err(scanner.fault("the end")) }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn fault(&self, why: &'static str) -> LeafError {
        LeafError::NotCanonical { at: self.at, why }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over `byte` if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn value(&mut self, depth: usize) -> Result<(), LeafError> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(self.deeper(depth)?, &mut |_, _| ()),
            Some(b'[') => self.list(self.deeper(depth)?),
            Some(b'-' | b'0'..=b'9') => self.integer(),
            _ => self.literal(),
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, LeafError> {
        if depth < DEPTH_MAX { Ok(depth + 1) } else { Err(self.fault("less nesting")) }
    }

    fn object(&mut self, depth: usize, visit: &mut dyn FnMut(&'a str, &'a str)) -> Result<(), LeafError> {
        self.at += 1;
        if self.take(b'}') {
            return Ok(());
        }
        let mut last: Option<&str> = None;
        loop {
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.fault("a member name"));
            }
            let name = self.string()?;
            if last.is_some_and(|last| !precedes(last, name)) {
                self.at = start;
                return Err(self.fault("member names in rising order, each once"));
            }
            last = Some(name);
            if !self.take(b':') {
                return Err(self.fault("`:`"));
            }
            let start = self.at;
            self.value(depth)?;
            visit(name, self.since(start));
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.fault("`,` or `}`"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<(), LeafError> {
        self.at += 1;
        if self.take(b']') {
            return Ok(());
        }
        for _ in 0..LIST_ENTRIES_MAX {
            self.value(depth)?;
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.fault("`,` or `]`"));
            }
        }
        Err(self.fault("a list of at most 64 entries"))
    }

    /// Steps over a string and gives what is between its quotes, as written.
    fn string(&mut self) -> Result<&'a str, LeafError> {
        self.at += 1;
        let start = self.at;
        loop {
            self.at += plain_length(self.rest());
            match self.peek() {
                Some(b'"') => {
                    let content = self.since(start);
                    self.at += 1;
                    return Ok(content);
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(self.fault("a string without control characters, and its end")),
            }
        }
    }

    /// RFC 8785 §3.2.2.2: two-character escapes where they exist, `\u00xx` for the other control
    /// characters, and no escape for anything else.
    fn escape(&mut self) -> Result<(), LeafError> {
        let length = match self.rest() {
            [_, b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [_, b'u', b'0', b'0', high, low, ..] if escaped_control(*high, *low) => 6,
            _ => return Err(self.fault("a canonical escape")),
        };
        self.at += length;
        Ok(())
    }

    fn integer(&mut self) -> Result<(), LeafError> {
        let start = self.at;
        let negative = self.take(b'-');
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let first = self.peek();
        self.at += digits;
        let number = self.since(start + usize::from(negative));
        let shortest = first != Some(b'0') || (digits == 1 && !negative);
        let ends = !matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        let in_range = number.parse::<u64>().is_ok_and(|number| number <= INTEGER_MAX);
        if shortest && ends && in_range {
            return Ok(());
        }
        self.at = start;
        Err(self.fault("an integer of at most 2^53 - 1, without point, exponent or leading zero"))
    }

    fn literal(&mut self) -> Result<(), LeafError> {
        let words: [&[u8]; 3] = [b"true", b"false", b"null"];
        let word = words.into_iter().find(|word| self.rest().starts_with(word));
        self.at += word.ok_or_else(|| self.fault("a value"))?.len();
        Ok(())
    }
}

/// How many bytes come before the next quote, backslash or control character.
///
/// Eight at a time, since most of a leaf is strings: a byte below `n` borrows when `n` is taken
/// from it, which sets its top bit. Bytes above the first hit may be wrong, so the lowest counts.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word;
    let equal = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let (mut rest, mut plain) = (bytes, 0);
    while let Some((block, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*block);
        let hits = (below(word, 0x20) | equal(word, b'"') | equal(word, b'\\')) & TOPS;
        if hits != 0 {
            return plain + (hits.trailing_zeros() / 8) as usize;
        }
        (rest, plain) = (after, plain + 8);
    }
    let special = |byte: &u8| matches!(byte, 0..=0x1f | b'"' | b'\\');
    plain + rest.iter().position(special).unwrap_or(rest.len())
}

/// Whether `\u00` and these two digits are how a control character has to be written.
fn escaped_control(high: u8, low: u8) -> bool {
    match high {
        b'0' => matches!(low, b'0'..=b'7' | b'b' | b'e' | b'f'),
        b'1' => matches!(low, b'0'..=b'9' | b'a'..=b'f'),
        _ => false,
    }
}

/// Whether one raw member name stands before another: by UTF-16 code units (RFC 8785 §3.2.3).
fn precedes(first: &str, second: &str) -> bool {
    let simple = |name: &str| name.bytes().all(|byte| byte.is_ascii() && byte != b'\\');
    if simple(first) && simple(second) {
        return first < second;
    }
    match (unescape(first), unescape(second)) {
        (Some(first), Some(second)) => first.encode_utf16().lt(second.encode_utf16()),
        _ => false,
    }
}

fn unescape(name: &str) -> Option<String> {
    serde_json::from_str(&format!("\"{name}\"")).ok()
}
