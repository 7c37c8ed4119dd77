//! Hong Kong identity card numbers: one or two letters, six digits, a check digit that often stands in parentheses.

use super::cluster::{Cluster, is_separator};

/// What stands where a number could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) end: usize,
    /// The check digit is right.
    pub(super) valid: bool,
    /// Written as only identity card numbers are: the check digit in parentheses.
    pub(super) parenthesised: bool,
    /// Written with gaps, or in small letters: only context makes it one.
    pub(super) loose: bool,
}

/// The number that begins at `at`, and its characters without what separates them.
pub(super) fn shape(cluster: &Cluster, at: usize) -> Option<(Shape, [u8; 9], usize)> {
    let mut body = [0u8; 9];
    let mut len = 0;
    let mut place = at;
    let mut loose = false;
    let mut push = |byte: u8| {
        if let Some(slot) = body.get_mut(len) {
            *slot = byte.to_ascii_uppercase();
            len += 1;
        }
    };
    while place < at + 2 && cluster.at(place).is_ascii_alphabetic() {
        loose |= cluster.at(place).is_ascii_lowercase();
        push(cluster.at(place));
        place += 1;
    }
    if place == at {
        return None;
    }
    for _ in 0..6 {
        if is_separator(cluster.at(place)) {
            loose = true;
            place += 1;
        }
        if !cluster.is_digit(place) {
            return None;
        }
        push(cluster.at(place));
        place += 1;
    }
    let is_check = |byte: u8| byte.is_ascii_digit() || byte.eq_ignore_ascii_case(&b'A');
    let mut parenthesised = false;
    let bare = is_check(cluster.at(place)) && cluster.ends(place + 1);
    if !bare {
        let spaced = cluster.at(place) == b' ';
        let mut open = place;
        if is_separator(cluster.at(open)) {
            open += 1;
        }
        if cluster.at(open) == b'(' {
            place = open + 1;
            if cluster.at(place) == b' ' {
                place += 1;
            }
            let close = if cluster.at(place + 1) == b' ' { place + 2 } else { place + 1 };
            if !is_check(cluster.at(place)) || cluster.at(close) != b')' {
                return None;
            }
            parenthesised = true;
        } else if open > place && is_check(cluster.at(open)) && cluster.ends(open + 1) {
            loose |= spaced;
            place = open;
        } else {
            return None;
        }
    }
    push(cluster.at(place));
    let mut end = place + 1;
    if parenthesised {
        end = if cluster.at(end) == b')' { end + 1 } else { end + 2 };
    }
    let valid = body.get(..len).is_some_and(is_valid);
    Some((Shape { end, valid, parenthesised, loose }, body, len))
}

/// Whether letters, digits and check digit belong together. A = 10 … Z = 35, the place before a single letter counts 36.
pub(super) fn is_valid(number: &[u8]) -> bool {
    let Some((check, body)) = number.split_last() else { return false };
    let padding = std::iter::repeat_n(36, 8_usize.saturating_sub(body.len()));
    let values = body.iter().map(|byte| char::from(*byte).to_digit(36).unwrap_or(0));
    let sum: u32 = padding.chain(values).zip((2..=9).rev()).map(|(value, weight): (u32, u32)| value * weight).sum();
    let want = match sum % 11 {
        0 => b'0',
        1 => b'A',
        rest => b'0' + u8::try_from(11 - rest).unwrap_or(0),
    };
    *check == want
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rules() {
        for number in ["A1234563", "AB0000017", "G000000A"] {
            assert!(is_valid(number.as_bytes()), "{number}");
        }
        for number in ["A1234564", "AB0000018", "G0000000", ""] {
            assert!(!is_valid(number.as_bytes()), "{number}");
        }
    }
}
