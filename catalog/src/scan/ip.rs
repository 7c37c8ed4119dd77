//! Internet addresses, parsed and not matched.

use core::net::{Ipv4Addr, Ipv6Addr};

/// Characters of the longest address of version 6.
const V6_MAX: usize = 45;

/// Whether `text` is an address of version 4.
pub(super) fn is_v4(text: &[u8]) -> bool {
    str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv4Addr>().is_ok())
}

/// The address of version 6 around the colon at `at`. Paths of programming languages (`a::b`) look like one, so it has
/// digits, and either a group that is not a word or more than one pair of colons' worth of groups.
pub(super) fn v6_around(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let start = (at.saturating_sub(V6_MAX)..at).rev().take_while(|at| text.get(*at).is_some_and(part)).last();
    let start = start.unwrap_or(at);
    let mut end = (at..text.len().min(at + V6_MAX)).find(|at| !text.get(*at).is_some_and(part));
    let end = end.get_or_insert(text.len().min(at + V6_MAX));
    while *end > start && matches!(text.get(*end - 1), Some(b'.')) {
        *end -= 1;
    }
    let bounded = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    if !bounded(start.checked_sub(1).and_then(|at| text.get(at))) || !bounded(text.get(*end)) {
        return None;
    }
    let address = text.get(start..*end)?;
    let colons = address.split(|byte| *byte == b':').count() - 1;
    let digits = address.iter().any(u8::is_ascii_digit);
    let mixed =
        address.split(|byte| *byte == b':').any(|group| group.len() >= 3 && group.iter().any(u8::is_ascii_digit));
    let good = colons >= 2
        && digits
        && (mixed || colons >= 4 || address.starts_with(b"::"))
        && str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    good.then_some((start, *end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        let at = text.find(':')?;
        let (start, end) = v6_around(text.as_bytes(), at)?;
        text.get(start..end)
    }

    #[test]
    fn the_examples_of_the_rules() {
        assert!(is_v4(b"203.0.113.7") && !is_v4(b"256.1.1.1") && !is_v4(b"1.2.3") && !is_v4(b"01.2.3.4"));
        assert_eq!(found("从2001:db8::1来"), Some("2001:db8::1"));
        assert_eq!(found("fe80::1."), Some("fe80::1"));
        assert_eq!(found("2001:db8:0:1:2:3:4:5"), Some("2001:db8:0:1:2:3:4:5"));
        for text in ["2001:db8:::1", "12:30:45", "a::b", "dead::beef", "std::f64", "00:1A:2B:3C:4D:5E", ":"] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
