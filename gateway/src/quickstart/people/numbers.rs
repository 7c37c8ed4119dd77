//! Identity numbers with right check digits (RULES.md §7).

/// Completes the first 17 characters of a resident identity number (GB 11643) with its check character.
pub fn cn_resident_id(body: &str) -> String {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
    let digits = body.chars().filter_map(|character| character.to_digit(10));
    let sum: usize = digits.zip(WEIGHTS).map(|(digit, weight)| (digit * weight) as usize).sum();
    let check = CHECKS.get(sum % CHECKS.len()).copied().unwrap_or('X');
    format!("{body}{check}")
}

/// A Hong Kong identity card number: one or two capital letters, six digits, and the check digit in parentheses.
pub fn hkid(prefix: &str, digits: u32) -> String {
    let body = format!("{prefix}{digits:06}");
    // A = 10 … Z = 35; the place before a single letter counts as 36.
    let values = body.chars().map(|character| character.to_digit(36).unwrap_or(36));
    let padding = std::iter::repeat_n(36, 8_usize.saturating_sub(body.len()));
    let sum: u32 = padding.chain(values).zip((2..=9).rev()).map(|(value, weight): (u32, u32)| value * weight).sum();
    let check = match sum % 11 {
        0 => '0',
        1 => 'A',
        rest => char::from_digit(11 - rest, 10).unwrap_or('A'),
    };
    format!("{body}({check})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_those_of_the_rules() {
        assert_eq!(cn_resident_id("44030519010203001"), "440305190102030017");
        assert_eq!(cn_resident_id("44030519010204008"), "44030519010204008X");
        assert_eq!(cn_resident_id("81000019050607002"), "810000190506070024");
        assert_eq!(hkid("A", 123_456), "A123456(3)");
        assert_eq!(hkid("AB", 1), "AB000001(7)");
        assert_eq!(hkid("G", 0), "G000000(A)");
    }
}
