//! Answers for people: dense tables, amounts, decisions in words.

pub mod decision;
pub mod table;

use serde_json::Value;

/// `120000` fen as `1,200.00 CNY`. An amount that is not a number is shown as it came.
pub fn money(amount: &str, currency: &str) -> String {
    let (sign, digits) = amount.strip_prefix('-').map_or(("", amount), |digits| ("-", digits));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return clean(&format!("{amount} {currency}"));
    }
    let padded = format!("{digits:0>3}");
    let (whole, minor) = padded.split_at(padded.len() - 2);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    format!("{sign}{}.{minor} {}", grouped(whole), clean(currency))
}

/// Decimal digits with a comma every three.
fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with a comma every three digits.
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// `3.2 MiB`.
pub fn bytes(number: u64) -> String {
    indicatif::HumanBytes(number).to_string()
}

/// A JSON value as a cell: strings without quotes, lists joined, nothing for null.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => clean(text),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => clean(&other.to_string()),
    }
}

/// Without control characters: what a peer wrote must not move the cursor of a terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_minor_units() {
        assert_eq!(money("120000", "CNY"), "1,200.00 CNY");
        assert_eq!(money("5", "HKD"), "0.05 HKD");
        assert_eq!(money("0", "CNY"), "0.00 CNY");
        assert_eq!(money("-100", "CNY"), "-1.00 CNY");
        assert_eq!(money("123456789012", "CNY"), "1,234,567,890.12 CNY");
        assert_eq!(money("x", "CNY"), "x CNY");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
    }

    #[test]
    fn a_peer_cannot_move_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\n"), "a [2Jb ");
    }
}
