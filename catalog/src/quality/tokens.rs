//! A row's text as tokens, and its sketch: the least hash of each sixty-fourth of its pairs of tokens.
//!
//! A token is a word in lower case, or one ideograph, kana or syllable; spaces and punctuation only part them, and full-width
//! letters are letters. Two rows share pairs of tokens in proportion to what they share of their text, in any script.

/// Parts of a sketch (one permutation hashing: Li, Owen, Zhang 2012).
pub(super) const PARTS: usize = 64;
/// Characters of a row that are looked at.
const ROW_CHARS_MAX: usize = 4096;
/// A part that no pair fell into.
pub(super) const EMPTY: u32 = u32::MAX;

/// The tokens of the row at hand.
#[derive(Debug)]
pub(super) struct RowTokens {
    row: Sketch,
    chars_left: usize,
    word: u64,
    previous: Option<u64>,
}

/// What is kept of a row to compare it with others.
#[derive(Debug, Clone)]
pub(super) struct Sketch {
    /// Tokens.
    pub(super) tokens: u64,
    /// Hash of all tokens in order.
    pub(super) text: u64,
    /// The least hash of its pairs: the same for two rows as probable as their pairs are the same.
    pub(super) least: u64,
    /// The least hash of each part; [`EMPTY`] where there is none.
    pub(super) parts: [u32; PARTS],
}

/// Spreads the bits of `value` (the finaliser of SplitMix64).
pub(super) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const BLANK: Sketch = Sketch { tokens: 0, text: 0, least: u64::MAX, parts: [EMPTY; PARTS] };

impl Default for RowTokens {
    fn default() -> Self {
        Self { row: BLANK, chars_left: ROW_CHARS_MAX, word: 0, previous: None }
    }
}

impl RowTokens {
    /// Begins a row.
    pub(super) fn start(&mut self) {
        *self = Self::default();
    }

    /// Adds a text of the row; its words end with it.
    pub(super) fn push(&mut self, text: &str) {
        for letter in text.chars().take(self.chars_left) {
            self.chars_left -= 1;
            match letter {
                'a'..='z' | '0'..='9' => self.letter(letter),
                'A'..='Z' => self.letter(letter.to_ascii_lowercase()),
                '\0'..='\u{7f}' => self.end(),
                // Each is a word by itself.
                '\u{3041}'..='\u{30ff}'
                | '\u{3400}'..='\u{9fff}'
                | '\u{ac00}'..='\u{d7af}'
                | '\u{f900}'..='\u{faff}'
                | '\u{20000}'..='\u{323af}' => {
                    self.end();
                    self.letter(letter);
                    self.end();
                }
                '\u{ff10}'..='\u{ff5a}' => {
                    let folded = char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(' ');
                    if folded.is_ascii_alphanumeric() { self.letter(folded.to_ascii_lowercase()) } else { self.end() }
                }
                letter if letter.is_alphanumeric() => self.letter(letter.to_lowercase().next().unwrap_or(letter)),
                _ => self.end(),
            }
        }
        self.end();
    }

    /// The row's sketch.
    pub(super) fn finish(&mut self) -> &Sketch {
        &self.row
    }

    fn letter(&mut self, letter: char) {
        self.word = (self.word.rotate_left(5) ^ u64::from(letter)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn end(&mut self) {
        if self.word == 0 {
            return;
        }
        let token = std::mem::take(&mut self.word);
        self.row.tokens += 1;
        self.row.text = mix(self.row.text.rotate_left(23) ^ token);
        if let Some(previous) = self.previous.replace(token) {
            let pair = mix(previous.rotate_left(29) ^ token);
            self.row.least = self.row.least.min(pair);
            // The first six bits choose the part, the last 32 are its value.
            let value = u32::try_from(pair & u64::from(u32::MAX)).unwrap_or(EMPTY);
            let part = usize::try_from(pair >> 58).ok().and_then(|part| self.row.parts.get_mut(part));
            if let Some(least) = part {
                *least = (*least).min(value);
            }
        }
    }
}
