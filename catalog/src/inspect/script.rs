//! In which scripts text is written.

use serde_json::{Map, Value};

/// Characters of a value that are looked at: enough to tell its script.
const CHARS_MAX: usize = 256;

/// Letters by script.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scripts {
    han: u64,
    latin: u64,
    kana: u64,
    hangul: u64,
    cyrillic: u64,
    other: u64,
}

impl Scripts {
    pub(super) fn add(&mut self, text: &str) {
        for letter in text.chars().take(CHARS_MAX) {
            match letter {
                'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => self.latin += 1,
                '\u{3400}'..='\u{4dbf}'
                | '\u{4e00}'..='\u{9fff}'
                | '\u{f900}'..='\u{faff}'
                | '\u{20000}'..='\u{323af}' => {
                    self.han += 1;
                }
                '\u{3040}'..='\u{30ff}' => self.kana += 1,
                '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7af}' => self.hangul += 1,
                '\u{400}'..='\u{52f}' => self.cyrillic += 1,
                letter if letter.is_alphabetic() => self.other += 1,
                _ => {}
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.han += other.han;
        self.latin += other.latin;
        self.kana += other.kana;
        self.hangul += other.hangul;
        self.cyrillic += other.cyrillic;
        self.other += other.other;
    }

    /// Share of each script among the letters, in parts per million; scripts that do not occur are left out.
    pub(super) fn shares(&self) -> Value {
        let scripts = [
            ("han", self.han),
            ("latin", self.latin),
            ("kana", self.kana),
            ("hangul", self.hangul),
            ("cyrillic", self.cyrillic),
            ("other", self.other),
        ];
        let total: u64 = scripts.iter().map(|(_, letters)| letters).sum();
        let shares = scripts.into_iter().filter(|(_, letters)| *letters > 0);
        let shares: Map<String, Value> =
            shares.map(|(name, letters)| (name.to_owned(), super::ppm(letters, total).into())).collect();
        shares.into()
    }
}
