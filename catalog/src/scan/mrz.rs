//! Lines of the machine-readable zone of travel documents (ICAO 9303 parts 4 to 6).

/// Longest line.
pub(super) const LINE_MAX: usize = 44;

fn value(byte: u8) -> Option<u32> {
    match byte {
        b'<' => Some(0),
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'A'..=b'Z' => Some(u32::from(byte - b'A') + 10),
        _ => None,
    }
}

/// The check digit of `field`: weights 7, 3, 1, modulo 10 (part 3, 4.9).
fn check(field: &[u8]) -> Option<u8> {
    let mut sum = 0;
    for (byte, weight) in field.iter().zip([7, 3, 1].into_iter().cycle()) {
        sum += value(*byte)? * weight;
    }
    u8::try_from(sum % 10).ok().map(|digit| digit + b'0')
}

fn checked(line: &[u8], from: usize, to: usize) -> bool {
    line.get(from..to).and_then(check).zip(line.get(to)).is_some_and(|(want, found)| want == *found)
}

fn letters(field: Option<&[u8]>) -> bool {
    field.is_some_and(|field| {
        field.first().is_some_and(u8::is_ascii_uppercase)
            && field.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'<')
    })
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Holds a document number, which stands at this place.
    Number(usize),
    /// Holds a name, or dates without a number: part of a zone.
    Other,
}

/// Reads a line by its length and check digits.
pub(super) fn line(line: &[u8]) -> Option<Line> {
    let names = |from: usize| {
        line.get(from..).is_some_and(|names| {
            names.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'<')
                && names.windows(2).any(|two| two == b"<<")
        })
    };
    let dates = |birth: usize, expiry: usize| checked(line, birth, birth + 6) && checked(line, expiry, expiry + 6);
    match (line.len(), line.first()?) {
        // Passports and visas: line 1 has names, line 2 number, birth, expiry.
        (36 | 44, b'P' | b'V' | b'A' | b'C' | b'I') if letters(line.get(2..5)) && names(5) => Some(Line::Other),
        (36 | 44, _) if checked(line, 0, 9) && letters(line.get(10..13)) && dates(13, 21) => Some(Line::Number(0)),
        // Cards: line 1 has the number, line 2 the dates, line 3 names.
        (30, b'A' | b'C' | b'I') if letters(line.get(2..5)) && checked(line, 5, 14) => Some(Line::Number(5)),
        (30, b'0'..=b'9') if dates(0, 8) && letters(line.get(15..18)) => Some(Line::Other),
        (30, b'A'..=b'Z') if names(0) => Some(Line::Other),
        _ => None,
    }
}

/// A document number of nine characters and its check digit, alone.
pub(super) fn is_number(run: &[u8]) -> bool {
    run.len() == 10
        && checked(run, 0, 9)
        && run.iter().filter(|byte| byte.is_ascii_digit()).count() >= 6
        && run.iter().take(9).any(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specimens() {
        assert_eq!(line(b"P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<"), Some(Line::Other));
        assert_eq!(line(b"L898902C36UTO7408122F1204159ZE184226B<<<<<10"), Some(Line::Number(0)));
        assert_eq!(line(b"I<UTOD231458907<<<<<<<<<<<<<<<"), Some(Line::Number(5)));
        assert_eq!(line(b"7408122F1204159UTO<<<<<<<<<<<6"), Some(Line::Other));
        assert_eq!(line(b"ERIKSSON<<ANNA<MARIA<<<<<<<<<<"), Some(Line::Other));
        assert_eq!(line(b"D231458907UTO7408122F1204159<<<<<<<6"), Some(Line::Number(0)));
        assert!(is_number(b"L898902C36") && is_number(b"E000000019"));
        assert!(!is_number(b"E000000018") && !is_number(b"K000000012") && !is_number(b"1234567890"));
        assert_eq!(line(b"L898902C35UTO7408122F1204159ZE184226B<<<<<10"), None);
        assert_eq!(line(b""), None);
    }
}
