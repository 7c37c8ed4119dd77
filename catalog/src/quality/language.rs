//! Which language a text is probably in: by script, by the orthography of its Han characters, by the characters of
//! written Cantonese, and for English by its function words. Told as BCP 47 tags.

use serde_json::{Map, Value};

use super::variants::{CANTONESE, PAIRS};
use crate::inspect::ppm;

/// Characters of a text that are looked at.
const CHARS_MAX: usize = 512;
/// The first of the CJK unified ideographs, and their number.
const HAN_FIRST: u32 = 0x4e00;
const HAN_COUNT: usize = 0x5200;

/// What is told of a text. The order is that of the report.
const TAGS: [&str; 12] =
    ["yue", "zh-Hant", "zh-Hans", "zh", "en", "und-Latn", "ja", "ko", "und-Cyrl", "und", "mul", "zxx"];

/// A language, as its place in [`TAGS`], and the letters that were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    tag: usize,
    letters: u64,
}

const YUE: usize = 0;
const HANT: usize = 1;
const HANS: usize = 2;
const HAN: usize = 3;
const ENGLISH: usize = 4;
const LATIN: usize = 5;
const JAPANESE: usize = 6;
const KOREAN: usize = 7;
const CYRILLIC: usize = 8;
const OTHER: usize = 9;
const MIXED: usize = 10;
const NONE: usize = 11;

/// What each ideograph tells.
#[derive(Debug)]
pub(super) struct Table {
    marks: Vec<Mark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Neither,
    Simplified,
    Traditional,
    Cantonese,
}

#[derive(Debug, Default)]
struct Letters {
    simplified: u64,
    traditional: u64,
    cantonese: u64,
    han: u64,
    latin: u64,
    kana: u64,
    hangul: u64,
    cyrillic: u64,
    other: u64,
    words: u64,
    function_words: u64,
}

impl Table {
    pub(super) fn new() -> Self {
        let mut marks = vec![Mark::Neither; HAN_COUNT];
        let mut mark = |letter: char, what| {
            if let Some(place) = place(letter).and_then(|place| marks.get_mut(place)) {
                *place = what;
            }
        };
        for (number, letter) in PAIRS.chars().enumerate() {
            mark(letter, if number % 2 == 0 { Mark::Simplified } else { Mark::Traditional });
        }
        CANTONESE.chars().for_each(|letter| mark(letter, Mark::Cantonese));
        Self { marks }
    }

    /// The language of `text`, by its first 512 characters.
    pub(super) fn look_at(&self, text: &str) -> Found {
        let mut letters = Letters::default();
        let mut word = Word::default();
        for letter in text.chars().take(CHARS_MAX) {
            if letter.is_ascii_alphabetic() {
                letters.latin += 1;
                word.push(letter);
                continue;
            }
            word.end(&mut letters);
            self.count(letter, &mut letters);
        }
        word.end(&mut letters);
        letters.found()
    }

    fn count(&self, letter: char, letters: &mut Letters) {
        match letter {
            '\0'..='\u{7f}' => {}
            '\u{4e00}'..='\u{9fff}' => {
                letters.han += 1;
                match place(letter).and_then(|place| self.marks.get(place)) {
                    Some(Mark::Simplified) => letters.simplified += 1,
                    Some(Mark::Traditional) => letters.traditional += 1,
                    Some(Mark::Cantonese) => letters.cantonese += 1,
                    Some(Mark::Neither) | None => {}
                }
            }
            '\u{c0}'..='\u{24f}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => letters.latin += 1,
            '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}' => letters.han += 1,
            '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' => letters.kana += 1,
            '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7af}' => letters.hangul += 1,
            '\u{400}'..='\u{52f}' => letters.cyrillic += 1,
            letter if letter.is_alphabetic() => letters.other += 1,
            _ => {}
        }
    }
}

fn place(letter: char) -> Option<usize> {
    usize::try_from(u32::from(letter).checked_sub(HAN_FIRST)?).ok()
}

/// An English word so far, if it is short enough to be a function word.
#[derive(Debug, Default)]
struct Word {
    packed: u64,
    length: u32,
}

impl Word {
    fn push(&mut self, letter: char) {
        self.packed = (self.packed << 8) | u64::from(u32::from(letter) | 0x20);
        self.length += 1;
    }

    fn end(&mut self, letters: &mut Letters) {
        if self.length > 0 {
            letters.words += 1;
            letters.function_words += u64::from(self.length < 6 && is_function_word(self.packed));
            *self = Self::default();
        }
    }
}

const fn packed(word: &str) -> u64 {
    let mut bytes = word.as_bytes();
    let mut packed = 0;
    while let [first, rest @ ..] = bytes {
        packed = (packed << 8) | *first as u64;
        bytes = rest;
    }
    packed
}

/// Words that make up about four of ten words of English, and that hardly any other language in Latin letters has.
const fn is_function_word(word: u64) -> bool {
    const WORDS: [u64; 32] = [
        packed("the"),
        packed("of"),
        packed("and"),
        packed("to"),
        packed("is"),
        packed("that"),
        packed("it"),
        packed("for"),
        packed("was"),
        packed("are"),
        packed("with"),
        packed("as"),
        packed("his"),
        packed("they"),
        packed("be"),
        packed("at"),
        packed("this"),
        packed("have"),
        packed("from"),
        packed("or"),
        packed("by"),
        packed("not"),
        packed("but"),
        packed("what"),
        packed("we"),
        packed("you"),
        packed("your"),
        packed("will"),
        packed("can"),
        packed("has"),
        packed("its"),
        packed("which"),
    ];
    let mut words: &[u64] = &WORDS;
    while let [first, rest @ ..] = words {
        if *first == word {
            return true;
        }
        words = rest;
    }
    false
}

impl Letters {
    fn found(&self) -> Found {
        let letters = self.han + self.latin + self.kana + self.hangul + self.cyrillic + self.other;
        let most = |part: u64| part * 5 >= letters * 3;
        let tag = if letters == 0 {
            NONE
        } else if most(self.han + self.kana) && self.kana * 10 >= self.han + self.kana {
            JAPANESE
        } else if most(self.han) {
            self.chinese()
        } else if most(self.latin) {
            if self.function_words * 6 >= self.words && self.words > 2 { ENGLISH } else { LATIN }
        } else if most(self.hangul) {
            KOREAN
        } else if most(self.cyrillic) {
            CYRILLIC
        } else if most(self.other) {
            OTHER
        } else {
            MIXED
        };
        Found { tag, letters }
    }

    fn chinese(&self) -> usize {
        if self.cantonese * 25 >= self.han {
            YUE
        } else if self.traditional > 0 && self.traditional >= self.simplified * 3 {
            HANT
        } else if self.simplified > 0 && self.simplified >= self.traditional * 3 {
            HANS
        } else {
            HAN
        }
    }
}

/// Letters by language.
#[derive(Debug, Clone, Default)]
pub(super) struct Languages {
    letters: [u64; TAGS.len()],
}

impl Languages {
    /// Adds a text that stands for `weight` of them.
    pub(super) fn add(&mut self, found: Found, weight: u64) {
        if let Some(letters) = self.letters.get_mut(found.tag) {
            *letters = letters.saturating_add(found.letters.saturating_mul(weight));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (letters, more) in self.letters.iter_mut().zip(other.letters) {
            *letters = letters.saturating_add(more);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.letters.iter().all(|letters| *letters == 0)
    }

    /// The share of each language among the letters that were looked at, in parts per million; those below one part are
    /// left out.
    pub(super) fn shares(&self) -> Value {
        let total = self.letters.iter().fold(0, |total: u64, letters| total.saturating_add(*letters));
        let shares: Map<String, Value> = TAGS
            .iter()
            .zip(self.letters)
            .map(|(tag, letters)| (*tag, if total == 0 { 0 } else { ppm(letters, total) }))
            .filter(|(_, share)| *share > 0)
            .map(|(tag, share)| (tag.to_owned(), share.into()))
            .collect();
        shares.into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn languages_of_sentences() {
        let table = Table::new();
        for (text, want) in [
            ("數據跨境流動須符合出口政策，每次傳輸都留有記錄。", "zh-Hant"),
            ("数据跨境流动须符合出口政策，每次传输都留有记录。", "zh-Hans"),
            ("佢哋而家喺度食緊飯，唔該等一陣。", "yue"),
            ("天地玄黄", "zh-Hans"),
            ("人山人海", "zh"),
            ("The gateway checks a catalog entry against the export policy and records it.", "en"),
            ("Der Zug nach Zürich fährt heute leider erst am Nachmittag", "und-Latn"),
            ("SKU-1234-ABCD", "und-Latn"),
            ("データは国境を越える前に検査される", "ja"),
            ("데이터는 국경을 넘기 전에 검사된다", "ko"),
            ("Данные проверяются до отправки", "und-Cyrl"),
            ("البيانات تعبر الحدود", "und"),
            ("hello 你好世界", "mul"),
            ("2026-11-28 12:00", "zxx"),
            ("", "zxx"),
        ] {
            assert_eq!(TAGS[table.look_at(text).tag], want, "{text}");
        }
    }

    #[test]
    fn no_character_is_on_both_sides() {
        let letters: std::collections::BTreeSet<char> = PAIRS.chars().collect();
        assert_eq!(letters.len(), PAIRS.chars().count());
        assert!(PAIRS.chars().count() > 1000 && PAIRS.chars().count().is_multiple_of(2));
        assert!(CANTONESE.chars().all(|letter| !letters.contains(&letter)));
    }
}
