//! Sentences about a fact: what it is, and what would pass.

use policy::{Fact, FactValue, Message, Passes, Passing, Weight};

use super::words::{self, say};

/// Longer lists are counted after so many names.
const NAMES_MAX: usize = 8;

/// What the fact is, and what passes; for a basis, what it has passed. `None` if the value is withheld.
pub(super) fn fact(fact: Fact, value: Option<&FactValue>, passes: &Passes, level: Weight) -> Message {
    let name = words::fact(fact);
    let is = match value {
        Some(value) => self::value(fact, value),
        None if level == Weight::Basis => {
            say("below the mark (not shown here)", "未達標準（此處不顯示）", "未达标准（此处不显示）")
        }
        None => withheld(fact),
    };
    let subject = say(
        format!("{}: {}", name.en, is.en),
        format!("{}：{}", name.zh_hant, is.zh_hant),
        format!("{}：{}", name.zh_hans, is.zh_hans),
    );
    let Some(wanted) = wanted(fact, passes) else {
        return subject;
    };
    if level == Weight::Basis {
        return say(
            format!("{} (this basis: {})", subject.en, wanted.en),
            format!("{}（此項依據：{}）", subject.zh_hant, wanted.zh_hant),
            format!("{}（此项依据：{}）", subject.zh_hans, wanted.zh_hans),
        );
    }
    say(
        format!("{}; would pass: {}", subject.en, wanted.en),
        format!("{}；可通過的情形：{}", subject.zh_hant, wanted.zh_hant),
        format!("{}；可通过的情形：{}", subject.zh_hans, wanted.zh_hans),
    )
}

/// What a consumer reads instead of a value.
fn withheld(fact: Fact) -> Message {
    if fact == Fact::Ciio {
        return say(
            "not declared that it does not (only the provider and an authority see more)",
            "未聲明其不是（詳情僅提供方及主管機構可見）",
            "未声明其不是（详情仅提供方及主管机构可见）",
        );
    }
    say(
        "the mark is reached (only the provider and an authority see the number)",
        "已達標準（人數僅提供方及主管機構可見）",
        "已达标准（人数仅提供方及主管机构可见）",
    )
}

/// A value as a person reads it.
pub(super) fn value(fact: Fact, value: &FactValue) -> Message {
    match value {
        FactValue::Missing(()) => say("missing", "沒有", "没有"),
        FactValue::Flag(true) => say("yes", "是", "是"),
        FactValue::Flag(false) => say("no", "否", "否"),
        FactValue::Count(count) => same(&number(*count)),
        FactValue::Day(day) => same(&day.to_string()),
        FactValue::Text(word) => words::value(fact, word).unwrap_or_else(|| same(word)),
        FactValue::List(items) => list(fact, items, true),
    }
}

/// What would pass; `None` where a rule does not say.
fn wanted(fact: Fact, passes: &Passes) -> Option<Message> {
    let bound = value(fact, &passes.value);
    let around = |en: [&str; 2], hant: [&str; 2], hans: [&str; 2]| {
        say(
            format!("{}{}{}", en[0], bound.en, en[1]),
            format!("{}{}{}", hant[0], bound.zh_hant, hant[1]),
            format!("{}{}{}", hans[0], bound.zh_hans, hans[1]),
        )
    };
    Some(match passes.test {
        Passing::Is => either(fact, &passes.value),
        Passing::IsNot => {
            let none = either(fact, &passes.value);
            say(format!("anything but {}", none.en), format!("不是{}", none.zh_hant), format!("不是{}", none.zh_hans))
        }
        Passing::Within => {
            let places = either(fact, &passes.value);
            say(format!("in {}", places.en), format!("位於{}", places.zh_hant), format!("位于{}", places.zh_hans))
        }
        Passing::Below => around(["below ", ""], ["少於 ", " 人"], ["少于 ", " 人"]),
        Passing::AtLeast => around([" ", " or more"], ["", " 人或以上"], ["", " 人及以上"]),
        Passing::AtMost if passes.value == FactValue::Count(0) => say("none", "沒有", "没有"),
        Passing::AtMost => around(["at most ", ""], ["不超過 ", " 人"], ["不超过 ", " 人"]),
        Passing::Given if matches!(fact, Fact::PersonalColumns | Fact::SensitiveColumns) => {
            say("there are some", "含有此類欄位", "含有此类列")
        }
        Passing::Given => say("it is given", "已提供", "已提供"),
        Passing::None => say("none", "沒有", "没有"),
        Passing::OnOrAfter => around(["", " or later"], ["", " 或之後"], ["", " 或之后"]),
        Passing::OnOrBefore => around(["", " or earlier"], ["", " 或之前"], ["", " 或之前"]),
        Passing::Covers => around(["it names ", " or *"], ["列有 ", " 或 *"], ["列有 ", " 或 *"]),
        Passing::Otherwise => return None,
    })
}

/// One of several values.
fn either(fact: Fact, wanted: &FactValue) -> Message {
    match wanted {
        FactValue::List(items) => list(fact, items, false),
        one => value(fact, one),
    }
}

fn list(fact: Fact, items: &[String], all: bool) -> Message {
    if items.is_empty() {
        return say("none", "沒有", "没有");
    }
    let words: Vec<Message> =
        items.iter().take(NAMES_MAX).map(|item| words::value(fact, item).unwrap_or_else(|| same(item))).collect();
    let mut text = if all { words::all_of(&words) } else { words::one_of(&words) };
    if let Some(more) = items.len().checked_sub(NAMES_MAX).filter(|more| *more > 0) {
        text = words::then(
            &text,
            &say(format!(" and {more} more"), format!("等另外 {more} 個"), format!("等另外 {more} 个")),
        );
    }
    text
}

fn same(text: &str) -> Message {
    say(text, text, text)
}

/// `12300` as `12,300`.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_300, "12,300"), (1_234_567, "1,234,567")] {
            assert_eq!(number(count), text);
        }
    }
}
