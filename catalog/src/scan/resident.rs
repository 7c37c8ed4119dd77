//! Mainland resident identity numbers (GB 11643-1999) and their 15-digit form before 1999.

use jiff::civil::Date;

/// Weights of the first 17 digits: powers of two modulo 11.
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: &[u8; 11] = b"10X98765432";

/// First two digits of an area (GB/T 2260); 81 to 83 are residence permits for Hong Kong, Macau and Taiwan residents.
const fn is_province(code: u32) -> bool {
    matches!(code, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83)
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| number * 10 + u32::from(*digit))
}

/// The check character of 17 digits.
pub(super) fn check(digits: &[u8]) -> u8 {
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    CHECKS.get(sum as usize % CHECKS.len()).copied().unwrap_or(b'0')
}

fn area(digits: &[u8]) -> bool {
    // Permanent residence cards of foreigners since 2023 have a 9 before the province.
    matches!(digits, [9, a, b, ..] | [a, b, ..] if is_province(number(&[*a, *b])))
}

fn born(year: u32, month_day: &[u8], today: Date) -> bool {
    let [a, b, c, d] = month_day else { return false };
    let date = i16::try_from(year)
        .ok()
        .zip(i8::try_from(number(&[*a, *b])).ok())
        .zip(i8::try_from(number(&[*c, *d])).ok())
        .and_then(|((year, month), day)| Date::new(year, month, day).ok());
    date.is_some_and(|date| year >= 1900 && date <= today)
}

/// Whether 17 digits and a check character are a resident identity number of somebody born by `today`.
pub(super) fn is_resident_id(digits: &[u8], last: u8, today: Date) -> bool {
    digits.len() == 17
        && check(digits) == last.to_ascii_uppercase()
        && area(digits)
        && born(number(digits.get(6..10).unwrap_or_default()), digits.get(10..14).unwrap_or_default(), today)
}

/// The 15-digit form as the number of 18 that it became: the century inserted, the check character appended.
pub(super) fn upgrade(digits: &[u8], today: Date) -> Option<[u8; 18]> {
    let (area, rest) = digits.split_at_checked(6).filter(|_| digits.len() == 15)?;
    let province = number(area.get(..2)?);
    let year = 1900 + number(rest.get(..2)?);
    if !is_province(province) || !born(year, rest.get(2..6)?, today) {
        return None;
    }
    let mut full = [0; 18];
    let body = area.iter().chain(&[1, 9]).chain(rest);
    for (place, digit) in full.iter_mut().zip(body) {
        *place = *digit;
    }
    let last = check(full.get(..17)?);
    for place in full.iter_mut().take(17) {
        *place += b'0';
    }
    *full.last_mut()? = last;
    Some(full)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn today() -> Date {
        Date::new(2026, 11, 28).unwrap()
    }

    fn valid(text: &str) -> bool {
        let (digits, last) = text.split_at(text.len() - 1);
        let digits: Vec<u8> = digits.bytes().map(|byte| byte - b'0').collect();
        is_resident_id(&digits, *last.as_bytes().first().unwrap(), today())
    }

    #[test]
    fn the_examples_of_the_rules() {
        for text in ["440305190102030017", "44030519010204008X", "44030519010204008x", "810000190506070024"] {
            assert!(valid(text), "{text}");
        }
        // Check character; a day that never was; a province that is none; not born yet.
        for text in ["440305190102030018", "440305190002290014", "24030519010203001", "440305209901010010"] {
            assert!(!valid(text), "{text}");
        }
        let old: Vec<u8> = b"440305010203001".iter().map(|byte| byte - b'0').collect();
        assert_eq!(&upgrade(&old, today()).unwrap(), b"440305190102030017");
        let bad: Vec<u8> = b"440305013203001".iter().map(|byte| byte - b'0').collect();
        assert_eq!(upgrade(&bad, today()), None);
        assert_eq!(upgrade(old.get(1..).unwrap(), today()), None);
    }
}
