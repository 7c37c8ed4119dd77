//! Number plates of the mainland (GA 36) and of Hong Kong.

/// Abbreviations of provinces, Simplified and Traditional.
const PROVINCES: [&str; 38] = [
    "京", "津", "冀", "晋", "蒙", "辽", "吉", "黑", "沪", "苏", "浙", "皖", "闽", "赣", "鲁", "豫", "鄂", "湘", "粤",
    "桂", "琼", "渝", "川", "贵", "云", "藏", "陕", "甘", "青", "宁", "新", "粵", "滬", "蘇", "閩", "魯", "遼", "瓊",
];
/// Last characters of plates for Hong Kong and Macau, police, driving schools, trailers.
const LAST: [&str; 5] = ["挂", "学", "警", "港", "澳"];

/// The province character right before `start`, and its length.
pub(super) fn province(text: &[u8], start: usize) -> Option<&'static str> {
    let before = text.get(..start)?;
    PROVINCES.into_iter().find(|province| before.ends_with(province.as_bytes()))
}

/// The last character of some plates right after `end`.
pub(super) fn last(text: &[u8], end: usize) -> Option<&'static str> {
    let after = text.get(end..)?;
    LAST.into_iter().find(|last| after.starts_with(last.as_bytes()))
}

const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_uppercase() && !matches!(byte, b'I' | b'O')
}

/// Whether `run` after the province is a plate; `with_last` if one of the special characters follows.
pub(super) fn is_mainland(run: &[u8], with_last: bool) -> bool {
    let Some((city, rest)) = run.split_first().filter(|(city, _)| is_letter(**city)) else { return false };
    let mixed = |rest: &[u8]| rest.iter().all(|byte| byte.is_ascii_digit() || is_letter(*byte));
    let digits = |rest: &[u8]| rest.iter().all(u8::is_ascii_digit);
    let some = rest.iter().any(u8::is_ascii_digit);
    let _ = city;
    match rest {
        _ if with_last => rest.len() == 4 && mixed(rest) && some,
        [_, _, _, _, _] => mixed(rest) && some,
        // New energy: D or F first for small, last for large vehicles.
        [b'D' | b'F', second, tail @ ..] if rest.len() == 6 => {
            (second.is_ascii_digit() || is_letter(*second)) && digits(tail)
        }
        [body @ .., b'D' | b'F'] if rest.len() == 6 => digits(body),
        _ => false,
    }
}

/// Two letters without I, O and Q, then one to four digits that do not start with 0.
pub(super) fn is_hong_kong(letters: &[u8], digits: &[u8]) -> bool {
    letters.len() == 2
        && letters.iter().all(|letter| is_letter(*letter) && *letter != b'Q')
        && matches!(digits, [b'1'..=b'9', ..])
        && digits.len() <= 4
        && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rules() {
        for run in ["B12345", "BD12345", "B12345D", "BA1234"] {
            assert!(is_mainland(run.as_bytes(), false), "{run}");
        }
        assert!(is_mainland(b"Z1234", true));
        for run in ["I12345", "B1234", "BABCDE", "B1234567", "", "BG12345"] {
            assert!(!is_mainland(run.as_bytes(), false), "{run}");
        }
        assert!(is_hong_kong(b"AB", b"1234") && is_hong_kong(b"ZZ", b"9"));
        for (letters, digits) in [("AI", "1234"), ("AB", "0123"), ("A", "12"), ("AB", "12345"), ("AB", "")] {
            assert!(!is_hong_kong(letters.as_bytes(), digits.as_bytes()), "{letters}{digits}");
        }
        assert_eq!(province("车牌粤".as_bytes(), 9), Some("粤"));
        assert_eq!(province(b"abc", 3), None);
        assert_eq!(last("港".as_bytes(), 0), Some("港"));
        assert_eq!(last(b"", 7), None);
    }
}
