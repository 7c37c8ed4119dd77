//! One spelling for all ways to write an identifier: full-width forms, letter case, separators.
//!
//! Two spellings of one person come out the same where that is certain, and two persons never do: a separator is dropped
//! where it cannot tell two values apart (at the ends, between a letter and a digit, inside an identifier whose form is
//! known), and is otherwise kept as a hyphen, so that `1-23` and `12-3` stay two persons.

use unicode_normalization::UnicodeNormalization as _;

/// The comparable spelling: NFKC, lower case, invisible characters gone, separators as told above. Empty if no letter or
/// digit is in it.
pub fn comparable(value: &str) -> String {
    // Lower case may undo NFKC (U+0130), so it is done once more.
    let folded: String = value.nfkc().flat_map(char::to_lowercase).nfkc().filter(|c| !is_invisible(*c)).collect();
    let parts: Vec<&str> = folded.split(is_separator).filter(|part| !part.is_empty()).collect();
    if !parts.iter().any(|part| part.chars().any(char::is_alphanumeric)) {
        return String::new();
    }
    let joined = parts.concat();
    if is_identifier(&joined, &parts) {
        return joined;
    }
    let mut spelling = String::with_capacity(folded.len());
    for part in parts {
        let tells_apart = match (spelling.chars().next_back(), part.chars().next()) {
            (Some(before), Some(after)) => before.is_ascii_digit() == after.is_ascii_digit(),
            _ => false,
        };
        if tells_apart {
            spelling.push('-');
        }
        spelling.push_str(part);
    }
    spelling
}

/// Characters that nobody sees: controls, zero-width and direction marks, soft hyphens, variation selectors.
fn is_invisible(c: char) -> bool {
    let control = c.is_control() && !c.is_whitespace();
    control
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// White space, dashes of any length, brackets around a check digit.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '-' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{30fb}' | '\u{b7}' | '(' | ')' | '[' | ']'
        )
}

/// Whether the value without its separators has the form of an identifier, of which grouping is no part: resident numbers,
/// Hong Kong identity cards, travel permits and passports, bank cards, telephone numbers (RULES.md §7).
fn is_identifier(joined: &str, parts: &[&str]) -> bool {
    let letters = joined.bytes().take_while(u8::is_ascii_lowercase).count();
    let (Some(head), Some(rest)) = (joined.get(..letters), joined.get(letters..)) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let body = rest.strip_suffix(['x', 'a']).filter(|body| !body.is_empty());
    match (head, rest.len()) {
        ("", 18) => digits(rest) || (rest.ends_with('x') && body.is_some_and(digits)),
        ("", 15 | 16 | 19) => digits(rest),
        // Mobile numbers of the mainland, with or without the country's code.
        ("", 11) => digits(rest) && rest.starts_with('1'),
        ("", 13) => digits(rest) && rest.starts_with("861"),
        // Of Hong Kong: eight digits are too few to take any grouping for one of theirs.
        ("", 8) => digits(rest) && parts.iter().all(|part| part.len() == 4),
        // `A123456(3)`: the check digit may be an A.
        (_, 7) if letters == 1 || letters == 2 => digits(rest) || (rest.ends_with('a') && body.is_some_and(digits)),
        (_, 8 | 10) if letters == 1 => digits(rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::comparable;

    #[test]
    fn one_person_in_many_spellings() {
        for (spellings, want) in [
            (
                &[
                    "11010519491231002X",
                    "１１０１０５１９４９１２３１００２Ｘ",
                    " 110105 19491231 002x ",
                    "110105-1949-1231-002x",
                ][..],
                "11010519491231002x",
            ),
            (&["A123456(3)", "Ａ１２３４５６（３）", "a1234563", "A 123456 3", "A123456(3)\u{200b}"], "a1234563"),
            (&["AB987654(A)", "ab 987654 a"], "ab987654a"),
            (&["13912345678", "139 1234 5678", "139-1234-5678"], "13912345678"),
            (&["9123 4567", "91234567", "9123-4567"], "91234567"),
            (&["H01234567", "h 0123 4567"], "h01234567"),
            (&["P-17", "p17", "Ｐ　１７", "p\u{2013}17"], "p17"),
            (&["İ1", "i\u{307}1"], "i\u{307}1"),
            (&["學生 7", "學生7"], "學生7"),
        ] {
            for spelling in spellings {
                assert_eq!(comparable(spelling), want, "{spelling}");
            }
        }
    }

    #[test]
    fn two_persons_never_become_one() {
        for (a, b) in [
            ("1-23", "12-3"),
            ("1-23", "123"),
            ("ab-c", "a-bc"),
            ("a.b@example.com", "ab@example.com"),
            ("u_1", "u1"),
            ("1/23", "12/3"),
            ("912-34567", "9123-4567"),
            ("é", "e"),
            ("0017", "17"),
        ] {
            assert_ne!(comparable(a), comparable(b), "{a} {b}");
        }
        assert_eq!(comparable("1 23"), comparable("1—23"), "one separator is as good as another");
    }

    #[test]
    fn what_says_nothing_is_nobody() {
        for value in ["", "  ", "-", "（　）", "\u{200b}", "."] {
            assert_eq!(comparable(value), "", "{value:?}");
        }
    }
}
