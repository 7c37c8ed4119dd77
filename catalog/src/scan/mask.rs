//! What is shown of an identifier to those who may see examples: enough to recognise one's own, not enough to learn it.

use super::Kind;

fn stars(count: usize) -> String {
    "*".repeat(count.clamp(1, 24))
}

/// `value` with all but a few of its characters replaced: never more than a third of it is shown.
pub fn masked(kind: Kind, value: &str) -> String {
    if kind == Kind::Email
        && let Some((local, domain)) = value.split_once('@')
    {
        let top = domain.rsplit('.').next().unwrap_or_default();
        let first = local.chars().next().filter(|_| local.len() > 1);
        return format!("{}***@***.{top}", first.map(String::from).unwrap_or_default());
    }
    let count = value.chars().count();
    let (first, last) = match count {
        0..=5 => (0, 0),
        6..=8 => (1, 1),
        9..=11 => (2, 1),
        _ => (3, 2),
    };
    let head: String = value.chars().take(first).collect();
    let tail: String = value.chars().skip(count - last).collect();
    format!("{head}{}{tail}", stars(count - first - last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_shown() {
        for (kind, value, want) in [
            (Kind::CnResidentId, "440305190102030017", "440*************17"),
            (Kind::Hkid, "A1234563", "A******3"),
            (Kind::HkPlate, "ZZ9", "***"),
            (Kind::Email, "li.test@example.hku.hk", "l***@***.hk"),
            (Kind::Email, "a@b.com", "***@***.com"),
            (Kind::CnPlate, "粤B12345", "粤*****5"),
        ] {
            assert_eq!(masked(kind, value), want);
        }
    }
}
