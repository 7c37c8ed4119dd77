//! A cluster: the stretch around a digit in which an identifier may stand, as ASCII, with the place of each character in
//! the text. Everything a recogniser asks about its surroundings is asked here.

use super::fold::{OTHER, UNSEEN, before, fold};

/// Characters of a cluster that are looked at together: more than twice the longest identifier that is looked for in it.
const CHARS_MAX: usize = 128;
/// Letters and digits in a row beyond which a run is a digest or a payload and no identifier.
const RUN_MAX: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Cluster {
    chars: Vec<u8>,
    /// Where each character starts in the text; one more for the end.
    places: Vec<usize>,
    /// It starts within a run that is too long to be looked at whole.
    cut: bool,
}

/// Whether a run of letters and digits is too long for an identifier.
pub(super) const fn is_long_run(from: usize, to: usize) -> bool {
    to - from > RUN_MAX
}

pub(super) const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-')
}

/// Digits in a row, with single spaces or hyphens between groups.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digits {
    values: [u8; 20],
    pub(super) len: usize,
    /// Past the last digit.
    pub(super) end: usize,
    /// More than one group.
    pub(super) grouped: bool,
}

impl Digits {
    pub(super) fn as_slice(&self) -> &[u8] {
        self.values.get(..self.len).unwrap_or_default()
    }
}

impl Cluster {
    /// Reads the cluster around the digit at `trigger`, not going back beyond `floor`. Answers where to look for the next
    /// trigger.
    pub(super) fn read(&mut self, text: &[u8], trigger: usize, floor: usize) -> usize {
        self.chars.clear();
        self.places.clear();
        let mut at = start(text, trigger, floor);
        self.cut = at > 0 && fold(text, before(text, at)).0.is_ascii_alphanumeric();
        // Where the last run that belongs to the cluster ended: what follows it is given back.
        let (mut kept, mut kept_at) = (0, at);
        let (mut run, mut run_digits, mut between) = (0, false, 0);
        loop {
            let (byte, len) = if at < text.len() { fold(text, at) } else { (OTHER, 0) };
            let alnum = byte.is_ascii_alphanumeric();
            if !alnum && byte != UNSEEN && run > 0 && !run_digits && kept > 0 {
                // One or two letters set off after digits: a check letter, or the tail of a plate.
                (kept, kept_at) = (self.chars.len(), at);
            }
            match byte {
                UNSEEN => at += len,
                _ if alnum => {
                    (run, between) = (run + 1, 0);
                    run_digits |= byte.is_ascii_digit();
                    if run > 2 && !run_digits && kept > 0 {
                        // A word: the cluster ends before it.
                        break;
                    }
                    self.push(byte, at);
                    at += len;
                    if run_digits {
                        (kept, kept_at) = (self.chars.len(), at);
                    }
                }
                b' ' | b'-' | b'(' | b')' | b'+' | b'.' if between < 3 => {
                    between += 1;
                    (run, run_digits) = (0, false);
                    self.push(byte, at);
                    at += len;
                    if byte == b')' && kept > 0 && between == 1 {
                        (kept, kept_at) = (self.chars.len(), at);
                    }
                }
                _ => break,
            }
            if self.chars.len() >= CHARS_MAX {
                // The second half is read again with what follows, so that nothing is missed at the seam.
                return self.seam().max(trigger + 1);
            }
        }
        self.chars.truncate(kept);
        self.places.truncate(kept);
        self.places.push(kept_at);
        kept_at.max(trigger + 1)
    }

    fn push(&mut self, byte: u8, at: usize) {
        self.chars.push(byte);
        self.places.push(at);
    }

    /// Ends a cluster that goes on at a boundary in its second half.
    fn seam(&mut self) -> usize {
        let half = CHARS_MAX / 2;
        let at = (half..CHARS_MAX).find(|at| !self.is_alnum(*at)).unwrap_or(CHARS_MAX - 1);
        let next = self.places.get(at).copied().unwrap_or_default();
        let end = self.places.pop().unwrap_or_default();
        self.chars.pop();
        self.places.push(end);
        next.max(1)
    }

    pub(super) fn len(&self) -> usize {
        self.chars.len()
    }

    pub(super) fn at(&self, at: usize) -> u8 {
        self.chars.get(at).copied().unwrap_or(0)
    }

    pub(super) fn slice(&self, from: usize, to: usize) -> &[u8] {
        self.chars.get(from..to).unwrap_or_default()
    }

    pub(super) fn is_alnum(&self, at: usize) -> bool {
        self.at(at).is_ascii_alphanumeric()
    }

    pub(super) fn is_digit(&self, at: usize) -> bool {
        self.at(at).is_ascii_digit()
    }

    /// The bytes of the text from character `from` to before character `to`.
    pub(super) fn place(&self, from: usize, to: usize) -> (usize, usize) {
        let start = self.places.get(from).copied().unwrap_or_default();
        let end = self.places.get(to).copied().unwrap_or(start);
        (start, end.max(start))
    }

    /// Whether an identifier may begin here: an ASCII letter or digit, and none before it.
    pub(super) fn begins(&self, at: usize) -> bool {
        self.is_alnum(at) && if at == 0 { !self.cut } else { !self.is_alnum(at - 1) }
    }

    /// Whether an identifier may end before `at`.
    pub(super) fn ends(&self, at: usize) -> bool {
        !self.is_alnum(at)
    }

    /// Past the run of letters and digits that stands at `at`.
    pub(super) fn run(&self, at: usize) -> usize {
        (at..self.len()).find(|at| !self.is_alnum(*at)).unwrap_or(self.len())
    }

    /// A digit is joined to `at` from before by a hyphen, or a dot, or a group before it by a space.
    pub(super) fn joined_before(&self, at: usize, by_space: bool) -> bool {
        let Some(before) = at.checked_sub(1) else { return false };
        let joins = matches!(self.at(before), b'-' | b'.') || (by_space && self.at(before) == b' ');
        joins && before.checked_sub(1).is_some_and(|digit| self.is_digit(digit))
    }

    /// The same after `end`.
    pub(super) fn joined_after(&self, end: usize, by_space: bool) -> bool {
        let joins = matches!(self.at(end), b'-' | b'.') || (by_space && self.at(end) == b' ');
        joins && self.is_digit(end + 1)
    }

    /// Up to `count` digits from `at` in groups; `None` if they do not end at a boundary after exactly `count`.
    pub(super) fn digits(&self, at: usize, count: usize) -> Option<Digits> {
        let mut found = Digits { values: [0; 20], len: 0, end: at, grouped: false };
        let mut place = at;
        while found.len < count {
            let byte = self.at(place);
            if byte.is_ascii_digit() {
                *found.values.get_mut(found.len)? = byte - b'0';
                found.len += 1;
                place += 1;
                found.end = place;
            } else if is_separator(byte) && found.len > 0 && self.is_digit(place + 1) {
                found.grouped = true;
                place += 1;
            } else {
                return None;
            }
        }
        Some(found)
    }
}

/// Where the cluster around `trigger` starts: with the run it stands in, one or two letters set off before that, a plus.
fn start(text: &[u8], trigger: usize, floor: usize) -> usize {
    let mut at = run_start(text, trigger, floor);
    let previous = |at: usize| (at > floor).then(|| before(text, at)).map(|place| (place, fold(text, place).0));
    if let Some((place, byte)) = previous(at)
        && is_separator(byte)
        && let Some((_, letter)) = previous(place)
        && letter.is_ascii_alphabetic()
    {
        let letters = run_start(text, place, floor);
        let count = text.get(letters..place).map_or(0, |run| run.iter().filter(|byte| **byte & 0xc0 != 0x80).count());
        if count <= 2 {
            at = letters;
        }
    }
    while let Some((place, b'+' | b'(' | UNSEEN)) = previous(at) {
        at = place;
    }
    at
}

/// Goes back to the start of the run, but not further than would matter.
fn run_start(text: &[u8], from: usize, floor: usize) -> usize {
    let mut at = from;
    for _ in 0..CHARS_MAX / 2 {
        if at <= floor {
            break;
        }
        let place = before(text, at);
        let (byte, _) = fold(text, place);
        if place < floor || (!byte.is_ascii_alphanumeric() && byte != UNSEEN) {
            break;
        }
        at = place;
    }
    at
}
