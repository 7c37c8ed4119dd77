//! Bank cards (ISO/IEC 7812): the ranges of the card schemes, and the check digit of Luhn.

fn number(digits: &[u8], count: usize) -> u32 {
    digits.iter().take(count).fold(0, |number, digit| number * 10 + u32::from(*digit))
}

/// Whether the check digit is right.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (u32::from(*digit), place % 2) {
            (digit, 0) => digit,
            (digit, _) if digit > 4 => digit * 2 - 9,
            (digit, _) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether a scheme has cards of this range and length.
pub(super) fn is_scheme(digits: &[u8]) -> bool {
    let len = digits.len();
    let (two, three, four) = (number(digits, 2), number(digits, 3), number(digits, 4));
    match two {
        // UnionPay.
        62 => (16..=19).contains(&len),
        // Visa.
        40..=49 => matches!(len, 13 | 16 | 19),
        // Mastercard; Discover.
        51..=55 | 65 => len == 16,
        22..=27 => len == 16 && (2221..=2720).contains(&four),
        // American Express.
        34 | 37 => len == 15,
        // JCB.
        35 => len == 16 && (3528..=3589).contains(&four),
        21 | 18 => len == 15 && matches!(four, 2131 | 1800),
        // Diners Club.
        30 => len == 14 && (300..=305).contains(&three),
        36 | 38 | 39 => matches!(len, 14 | 16),
        // Discover.
        60 => (16..=19).contains(&len) && four == 6011,
        64 => len == 16 && (644..=649).contains(&three),
        _ => false,
    }
}

/// Lengths of a card number.
pub(super) const fn is_length(len: usize) -> bool {
    matches!(len, 12..=19)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|byte| byte - b'0').collect()
    }

    #[test]
    fn the_examples_of_the_rules() {
        for text in ["6200000000000005", "6222000000000000012", "4111111111111111", "378282246310005"] {
            assert!(luhn(&digits(text)) && is_scheme(&digits(text)), "{text}");
        }
        for text in ["6200000000000006", "6217000000000000005"] {
            assert!(!luhn(&digits(text)), "{text}");
        }
        for text in ["620000000000005", "9787111123453", "1700000000000", "2026081512345678"] {
            assert!(!is_scheme(&digits(text)), "{text}");
        }
    }
}
