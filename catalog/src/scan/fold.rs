//! One character at a time to the ASCII it stands for (NFKC, Unicode UAX 15): full-width, mathematical, circled and raised
//! digits and letters, and every sort of space and dash.

/// A character that is no ASCII under NFKC: for identifiers, a boundary.
pub(super) const OTHER: u8 = 0xff;
/// A character without width: nobody sees it, so it separates nothing.
pub(super) const UNSEEN: u8 = 0xfe;

/// What stands at `at`, and its length in bytes; bytes that are not UTF-8 are boundaries of their own.
pub(super) fn fold(text: &[u8], at: usize) -> (u8, usize) {
    let byte = |offset: usize| text.get(at + offset).copied().unwrap_or(0);
    let tail = |offset: usize| u32::from(byte(offset) & 0x3f);
    let follows = |count: usize| (1..=count).all(|offset| byte(offset) & 0xc0 == 0x80);
    let first = byte(0);
    match first {
        0..=0x7f => (first, 1),
        0xc2..=0xdf if follows(1) => (ascii((u32::from(first & 0x1f) << 6) | tail(1)), 2),
        0xe0..=0xef if follows(2) => (ascii((u32::from(first & 0x0f) << 12) | (tail(1) << 6) | tail(2)), 3),
        0xf0..=0xf4 if follows(3) => {
            (ascii((u32::from(first & 0x07) << 18) | (tail(1) << 12) | (tail(2) << 6) | tail(3)), 4)
        }
        _ => (OTHER, 1),
    }
}

/// Where the character before `at` starts; `at` is past the start.
pub(super) fn before(text: &[u8], at: usize) -> usize {
    let mut start = at.saturating_sub(1);
    while start > 0 && at - start < 4 && text.get(start).is_some_and(|byte| byte & 0xc0 == 0x80) {
        start -= 1;
    }
    // A stray continuation byte is a character of its own.
    if fold(text, start).1 == at - start { start } else { at.saturating_sub(1) }
}

fn from(base: u8, offset: u32) -> u8 {
    base.saturating_add(u8::try_from(offset).unwrap_or(0))
}

fn ascii(point: u32) -> u8 {
    // Han and the rest of the plane: by far the most of what comes here.
    if (0x3001..0xfb29).contains(&point) && point != 0x30fb {
        return OTHER;
    }
    match point {
        0xff01..=0xff5e => from(b'!', point - 0xff01),
        0xa0 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000 => b' ',
        // Dashes, and the dots of number plates and names, separate as a hyphen does.
        0xb7 | 0x2010..=0x2015 | 0x2022 | 0x2027 | 0x2212 | 0x30fb | 0xfe58 | 0xfe63 => b'-',
        0xad | 0x200b..=0x200f | 0x2060 | 0xfeff => UNSEEN,
        0xb2 | 0xb3 => from(b'2', point - 0xb2),
        0xb9 => b'1',
        0x2024 | 0xfe52 => b'.',
        0x2070 | 0x2074..=0x2079 => from(b'0', point - 0x2070),
        0x2080..=0x2089 => from(b'0', point - 0x2080),
        0x207a | 0x208a | 0xfb29 => b'+',
        0x207d | 0x208d | 0xfe59 => b'(',
        0x207e | 0x208e | 0xfe5a => b')',
        0x2169 => b'X',
        0x2460..=0x2468 => from(b'1', point - 0x2460),
        0x24b6..=0x24cf => from(b'A', point - 0x24b6),
        0x24d0..=0x24e9 => from(b'a', point - 0x24d0),
        0x24ea => b'0',
        0xfe55 => b':',
        0xfe64 => b'<',
        0xfe6b => b'@',
        0x1d400..=0x1d6a3 => match (point - 0x1d400) % 52 {
            capital @ 0..=25 => from(b'A', capital),
            small => from(b'a', small - 26),
        },
        0x1d7ce..=0x1d7ff => from(b'0', (point - 0x1d7ce) % 10),
        0x1f130..=0x1f149 => from(b'A', point - 0x1f130),
        0x1fbf0..=0x1fbf9 => from(b'0', point - 0x1fbf0),
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_looks_like_a_digit_is_one() {
        for (text, want) in [
            ("７", b'7'),
            ("𝟕", b'7'),
            ("𝟽", b'7'),
            ("⑦", b'7'),
            ("⁷", b'7'),
            ("₇", b'7'),
            ("²", b'2'),
            ("Ａ", b'A'),
            ("𝐙", b'Z'),
            ("𝓩", b'Z'),
            ("ⓩ", b'z'),
            ("Ⅹ", b'X'),
            ("＠", b'@'),
            ("（", b'('),
            ("－", b'-'),
            ("—", b'-'),
            ("\u{3000}", b' '),
            ("\u{a0}", b' '),
            ("\u{200b}", UNSEEN),
            ("香", OTHER),
            ("é", OTHER),
            ("😀", OTHER),
            ("٧", OTHER),
        ] {
            assert_eq!(fold(text.as_bytes(), 0), (want, text.len()), "{text}");
            assert_eq!(before(text.as_bytes(), text.len()), 0, "{text}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_a_boundary() {
        for bytes in [&[0x80u8][..], &[0xff], &[0xe9, 0xa6], &[0xf0, 0x9f], &[0xc2]] {
            assert_eq!(fold(bytes, 0), (OTHER, 1));
            assert_eq!(before(bytes, bytes.len()), bytes.len() - 1);
        }
        assert_eq!(fold(b"", 0), (0, 1));
    }
}
