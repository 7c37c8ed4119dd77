//! Times of the facts: RFC 3339 and nothing looser.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use serde::Serialize;

/// An instant, kept as it was written so that recorded facts read as they were given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Moment {
    text: String,
    #[serde(skip)]
    at: Timestamp,
}

/// The text is not an RFC 3339 time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 time; write it as `2026-11-22T10:00:00+08:00`")]
pub struct MomentError(pub String);

impl Moment {
    /// Reads `YYYY-MM-DDThh:mm:ss[.f]` with `Z` or `±hh:mm` (RFC 3339 §5.6; `t` and `z` too).
    pub fn parse(text: &str) -> Result<Self, MomentError> {
        instant(text)
            .map(|at| Self { text: text.to_owned(), at })
            .ok_or_else(|| MomentError(text.chars().take(64).collect()))
    }

    /// The instant.
    pub fn timestamp(&self) -> Timestamp {
        self.at
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The calendar day in Asia/Shanghai, by which every date of the rules is read.
    pub fn today(&self) -> Date {
        // The zone is compiled in. Were it not, UTC+8 is what it has been since 1991.
        let zone = TimeZone::get("Asia/Shanghai").unwrap_or_else(|_| TimeZone::fixed(Offset::constant(8)));
        zone.to_datetime(self.at).date()
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self { text: at.to_string(), at }
    }
}

/// Checks the grammar, which is narrower than what the time library reads.
fn instant(text: &str) -> Option<Timestamp> {
    const DATE_TIME: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let bytes = text.as_bytes();
    let (head, rest) = bytes.split_at_checked(DATE_TIME.len())?;
    let shaped = head.iter().zip(DATE_TIME).all(|(b, p)| match p {
        b'd' => b.is_ascii_digit(),
        p => b.eq_ignore_ascii_case(p),
    });
    if !shaped {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix(b".") {
        Some(tail) => {
            let digits = tail.iter().take_while(|b| b.is_ascii_digit()).count();
            let (fraction, zone) = tail.split_at_checked(digits)?;
            (!fraction.is_empty()).then_some((fraction, zone))?
        }
        None => (&b""[..], rest),
    };
    match zone {
        b"Z" | b"z" => {}
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            let digits = [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit());
            if !digits || (*h1, *h2) > (b'2', b'3') || *m1 > b'5' {
                return None;
            }
        }
        _ => return None,
    }
    // Nanoseconds are the finest that is kept; more digits are legal and cut off.
    let head = std::str::from_utf8(head).ok()?;
    let fraction = std::str::from_utf8(fraction.get(..9).unwrap_or(fraction)).ok()?;
    let zone = std::str::from_utf8(zone).ok()?;
    let dot = if fraction.is_empty() { "" } else { "." };
    let at: Timestamp = format!("{head}{dot}{fraction}{zone}").parse().ok()?;
    // A leap second is only ever the last of a UTC day.
    if head.ends_with(":60") {
        let utc = Offset::UTC.to_datetime(at);
        if (utc.hour(), utc.minute()) != (23, 59) {
            return None;
        }
    }
    Some(at)
}

/// Reads `YYYY-MM-DD` (RFC 3339 full-date).
pub(super) fn date(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10
        && bytes.iter().enumerate().all(|(i, b)| match i {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        });
    if shaped { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rfc_3339_and_nothing_looser() {
        for good in [
            "2026-11-22T10:00:00+08:00",
            "2026-11-22T10:00:00Z",
            "2026-11-22t10:00:00z",
            "2026-11-22T10:00:00.1Z",
            "2026-11-22T10:00:00.123456789123Z",
            "2026-11-22T10:00:00-00:00",
            "2026-11-22T10:00:00+23:59",
            "2016-12-31T23:59:60Z",
            "2017-01-01T07:59:60+08:00",
            "2024-02-29T00:00:00Z",
        ] {
            assert_eq!(Moment::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "2026-11-22",
            "2026-11-22 10:00:00Z",
            "2026-11-22T10:00Z",
            "2026-11-22T10:00:00",
            "2026-11-22T10:00:00+0800",
            "2026-11-22T10:00:00+08",
            "2026-11-22T10:00:00.Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T10:60:00Z",
            "2026-11-22T10:00:61Z",
            "2026-11-22T10:00:60Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-22T10:00:00+24:00",
            "2026-11-22T10:00:00+08:60",
            "20261122T100000Z",
            "2026-11-22T10:00:00Z ",
            "2026-11-22T10:00:00+08:00[Asia/Shanghai]",
            "+002026-11-22T10:00:00Z",
            "2026-11-22T10:00:00,5Z",
            "1763777000",
        ] {
            assert!(Moment::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_day_is_shanghais() {
        let day = |text| Moment::parse(text).unwrap().today().to_string();
        assert_eq!(day("2026-11-22T15:59:59.999Z"), "2026-11-22");
        assert_eq!(day("2026-11-22T16:00:00Z"), "2026-11-23");
        assert_eq!(day("2026-11-22T23:00:00-12:00"), "2026-11-23");
        assert_eq!(Moment::from(Timestamp::UNIX_EPOCH).as_str(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_date_is_ten_characters() {
        assert!(date("2026-10-01").is_some());
        for bad in ["2026-1-01", "20261001", "2026-10-01T00:00:00Z", "2026-02-30", "2026/10/01", ""] {
            assert!(date(bad).is_none(), "{bad}");
        }
    }
}
