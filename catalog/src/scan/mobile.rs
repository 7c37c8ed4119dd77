//! Mobile numbers of the mainland and of Hong Kong.

/// Eleven digits: 13 to 19 and nine more.
pub(super) const fn is_mainland(digits: &[u8]) -> bool {
    matches!(digits, [1, 3..=9, ..]) && digits.len() == 11
}

/// Eight digits of a mobile range (4, 7 and 8 since 2018); 800 and 900 are services.
pub(super) const fn is_hong_kong(digits: &[u8]) -> bool {
    matches!(digits, [4..=9, ..]) && !matches!(digits, [8 | 9, 0, 0, ..]) && digits.len() == 8
}

/// How a number with its country code begins, and how long that is: `00` or nothing, then 86 or 852.
pub(super) fn country(digits: &[u8]) -> Option<(Country, usize)> {
    let zeros = if digits.starts_with(&[0, 0]) { 2 } else { 0 };
    let rest = digits.get(zeros..)?;
    if rest.starts_with(&[8, 6]) {
        Some((Country::Mainland, zeros + 2))
    } else if rest.starts_with(&[8, 5, 2]) {
        Some((Country::HongKong, zeros + 3))
    } else {
        None
    }
}

/// Whose country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Country {
    Mainland,
    HongKong,
}

impl Country {
    pub(super) const fn is_mobile(self, digits: &[u8]) -> bool {
        match self {
            Self::Mainland => is_mainland(digits),
            Self::HongKong => is_hong_kong(digits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|byte| byte - b'0').collect()
    }

    #[test]
    fn the_examples_of_the_rules() {
        assert!(is_mainland(&digits("13000000000")) && is_mainland(&digits("19900000001")));
        assert!(!is_mainland(&digits("12000000000")) && !is_mainland(&digits("1300000000")));
        assert!(is_hong_kong(&digits("51234567")) && is_hong_kong(&digits("46000001")));
        for text in ["21234567", "5123456", "80012345", "90012345", "31234567"] {
            assert!(!is_hong_kong(&digits(text)), "{text}");
        }
        assert_eq!(country(&digits("008613000000000")), Some((Country::Mainland, 4)));
        assert_eq!(country(&digits("85246000001")), Some((Country::HongKong, 3)));
        assert_eq!(country(&digits("81")), None);
    }
}
