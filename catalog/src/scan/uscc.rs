//! Unified social credit codes (GB 32100-2015).

const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

fn value(byte: u8) -> Option<u32> {
    ALPHABET.iter().position(|letter| *letter == byte).and_then(|place| u32::try_from(place).ok())
}

/// Whether `run` has the form of a code: department and category, six digits of an area, ten characters.
pub(super) fn is_shaped(run: &[u8]) -> bool {
    run.len() == 18
        && run.iter().all(|byte| value(*byte).is_some())
        && matches!(run, [b'1'..=b'9' | b'A' | b'N' | b'Y', second, ..] if *second != b'0')
        && run.get(2..8).is_some_and(|area| area.iter().all(u8::is_ascii_digit))
        // Provinces as of resident identity numbers; 10 is the state's own registry.
        && run.get(2..4).is_some_and(|province| {
            matches!(province, b"10" | [b'1', b'1'..=b'5'] | [b'2', b'1'..=b'3'] | [b'3', b'1'..=b'7'])
                || matches!(province, [b'4', b'1'..=b'6'] | [b'5', b'0'..=b'4'] | [b'6', b'1'..=b'5'])
                || matches!(province, b"71" | b"81" | b"82" | b"83")
        })
}

/// Whether the check character is right.
pub(super) fn is_valid(run: &[u8]) -> bool {
    let mut weight = 1;
    let mut sum = 0;
    for byte in run.iter().take(17) {
        let Some(value) = value(*byte) else { return false };
        sum += value * weight;
        weight = weight * 3 % 31;
    }
    run.len() == 18 && run.last().and_then(|last| value(*last)) == Some((31 - sum % 31) % 31)
}

/// Whether the organisation code within it carries its own check character (GB 11714): digits only would pass otherwise
/// too often.
pub(super) fn has_organisation_check(run: &[u8]) -> bool {
    let Some((last, body)) = run.get(8..17).and_then(<[u8]>::split_last) else { return false };
    let values = body.iter().map(|byte| char::from(*byte).to_digit(36).unwrap_or(0));
    let sum: u32 = values.zip([3, 7, 9, 10, 5, 8, 4, 2]).map(|(value, weight)| value * weight).sum();
    let want = match 11 - sum % 11 {
        10 => b'X',
        11 => b'0',
        digit => b'0' + u8::try_from(digit).unwrap_or(0),
    };
    *last == want
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rules() {
        for code in ["91440300MA5FAKE086", "12440300MB0DEMA02D"] {
            assert!(is_shaped(code.as_bytes()) && is_valid(code.as_bytes()), "{code}");
        }
        assert!(!is_valid(b"91440300MA5FAKE087") && is_shaped(b"91440300MA5FAKE087"));
        assert!(!is_shaped(b"91440300MI5FAKE086") && !is_shaped(b"91440300MA5FAKE08"));
        // Tencent's public code has both checks.
        assert!(is_valid(b"9144030071526726XG") && has_organisation_check(b"9144030071526726XG"));
        assert!(!has_organisation_check(b"9144030071526727XG") && !has_organisation_check(b""));
    }
}
