//! Figures and codes as people read them.

use serde_json::Value;

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest binary unit that leaves at least one.
pub(crate) fn bytes(number: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = u128::from(number) * 10;
    let mut unit = "B";
    for larger in units {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = larger;
    }
    if unit == "B" { format!("{number} B") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

/// Parts per million as a percentage. What is not all never reads as 100 %, what is not nothing never as 0 %.
pub(crate) fn percent(ppm: u64) -> String {
    match ppm {
        0 => "0 %".to_owned(),
        1..1000 => "< 0.1 %".to_owned(),
        999_000..1_000_000 => "> 99.9 %".to_owned(),
        ppm if ppm >= 1_000_000 => "100 %".to_owned(),
        ppm => format!("{}.{} %", ppm / 10_000, ppm % 10_000 / 1000),
    }
}

/// Days as people say them.
pub(crate) fn days(days: i64) -> String {
    match days {
        0 => "same day".to_owned(),
        1 => "1 day".to_owned(),
        days if days < 60 => format!("{days} days"),
        days if days < 730 => format!("{} months", days / 30),
        days => format!("{} years", days / 365),
    }
}

/// A language tag of the report as a person calls it.
pub(crate) fn language(tag: &str) -> &str {
    match tag {
        "yue" => "Cantonese 粵語",
        "zh-Hant" => "Traditional Chinese 繁體",
        "zh-Hans" => "Simplified Chinese 简体",
        "zh" => "Chinese, either script",
        "en" => "English",
        "und-Latn" => "other Latin script",
        "ja" => "Japanese 日本語",
        "ko" => "Korean 한국어",
        "und-Cyrl" => "Cyrillic script",
        "und" => "other scripts",
        "mul" => "several scripts in one text",
        other => other,
    }
}

/// The class of a language's colour: fixed, so that a language looks the same on every card.
pub(crate) fn tone(tag: &str) -> &'static str {
    match tag {
        "yue" => "t1",
        "zh-Hant" => "t2",
        "zh-Hans" => "t3",
        "zh" => "t4",
        "en" => "t5",
        "und-Latn" => "t6",
        "ja" => "t7",
        "ko" => "t8",
        _ => "t9",
    }
}

/// A kind of identifier as a person calls it.
pub(crate) fn identifier(kind: &str) -> &str {
    match kind {
        "cn_resident_id" => "Mainland resident ID number",
        "cn_resident_id_15" => "Mainland resident ID number, 15 digits",
        "hkid" => "Hong Kong identity card number",
        "cn_mobile" => "Mainland mobile number",
        "hk_mobile" => "Hong Kong mobile number",
        "mainland_travel_permit" => "Mainland travel permit (回鄉證)",
        "exit_entry_permit" => "Exit-entry permit (往來港澳通行證)",
        "cn_passport" => "Mainland passport number",
        "hk_passport" => "HKSAR passport number",
        "mrz" => "Passport, machine-readable zone",
        "bank_card" => "Bank card number",
        "uscc" => "Unified social credit code",
        "email" => "Email address",
        "cn_plate" => "Mainland vehicle plate",
        "hk_plate" => "Hong Kong vehicle plate",
        "ip" => "IP address",
        other => other,
    }
}

/// A price in words.
pub(crate) fn price(offer: &Value) -> String {
    let text = |pointer: &str| offer.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let amount = || {
        let minor: u64 = text("/price/amount").parse().unwrap_or_default();
        format!("{} {}.{:02}", text("/price/currency"), count(minor / 100), minor % 100)
    };
    match text("/price/model") {
        "" => String::new(),
        "free" => "free of charge".to_owned(),
        "per_pull" => format!("{} a pull", amount()),
        "per_gib" => format!("{} per GiB", amount()),
        "per_million_rows" => format!("{} per million rows", amount()),
        "subscription" => format!("{} a {}", amount(), text("/price/period")),
        other => format!("{} {}", amount(), other.replace('_', " ")),
    }
}

/// The members of a list of strings, parted by commas.
pub(crate) fn joined(value: &Value, member: &str) -> String {
    let items = value.get(member).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures() {
        assert_eq!([count(0), count(999), count(1_234_567)], ["0", "999", "1,234,567"]);
        assert_eq!([bytes(1023), bytes(1024), bytes(5_500_000)], ["1023 B", "1.0 KiB", "5.2 MiB"]);
        for (ppm, want) in [
            (0, "0 %"),
            (1, "< 0.1 %"),
            (1000, "0.1 %"),
            (123_456, "12.3 %"),
            (998_999, "99.8 %"),
            (999_999, "> 99.9 %"),
            (1_000_000, "100 %"),
        ] {
            assert_eq!(percent(ppm), want);
        }
        assert_eq!(
            [days(0), days(1), days(59), days(400), days(800)],
            ["same day", "1 day", "59 days", "13 months", "2 years"]
        );
    }

    #[test]
    fn prices() {
        let offer = |model: Value| price(&json!({"price": model}));
        assert_eq!(offer(json!({"model": "per_gib", "amount": "120005", "currency": "CNY"})), "CNY 1,200.05 per GiB");
        assert_eq!(offer(json!({"model": "free"})), "free of charge");
        assert_eq!(
            offer(json!({"model": "subscription", "amount": "900", "currency": "HKD", "period": "month"})),
            "HKD 9.00 a month"
        );
        assert_eq!(price(&Value::Null), "");
    }
}
