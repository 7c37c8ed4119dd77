//! A decision in words: which rules, what decided, what would help, and who can do it.

use serde_json::Value;

use super::{clean, plain};
use crate::lang::Lang;

/// `allow`, `deny`, `review`, or nothing if it is no decision.
pub fn effect(decision: &Value) -> &str {
    decision.get("effect").and_then(Value::as_str).unwrap_or_default()
}

/// The names in a list member.
pub fn names(value: &Value, member: &str) -> Vec<String> {
    items(value, member).filter_map(Value::as_str).map(clean).collect()
}

/// What an effect means, beside its word.
pub fn verdict(effect: &str, lang: Lang) -> &'static str {
    let said = match effect {
        "allow" => ["it may leave", "可以放行", "可以放行"],
        "review" => ["a person has to decide", "須由人員審查", "须由人员审查"],
        _ => ["it may not leave", "不得放行", "不得放行"],
    };
    pick(said, lang)
}

/// Rules, facts, remedies and helpers, two spaces in: what `explain` of a problem and a decision have in common.
pub fn explanation(explain: &Value, lang: Lang) -> Vec<String> {
    let mut lines = Vec::new();
    let mut told: Vec<&str> = Vec::new();
    for reason in items(explain, "reasons") {
        let rule = reason.get("rule").and_then(Value::as_str).unwrap_or("?");
        told.push(rule);
        lines.push(format!("  {}: {}", clean(rule), localised(reason, "message", lang)));
        let citation = reason.get("citation").and_then(Value::as_str).unwrap_or_default();
        if !citation.is_empty() {
            lines.push(format!("    {}", clean(citation)));
        }
        let because =
            items(explain, "because").find(|because| because.get("rule").and_then(Value::as_str) == Some(rule));
        if let Some(because) = because {
            lines.extend(items(because, "facts").map(|fact| format!("    - {}", localised(fact, "text", lang))));
            lines.extend(who(because, lang).map(|who| format!("    {} {who}", pick(CAN_HELP, lang))));
        }
    }
    let rest: Vec<String> = names(explain, "rules").into_iter().filter(|rule| !told.contains(&rule.as_str())).collect();
    if !rest.is_empty() {
        lines.push(format!("  rules: {}", rest.join(", ")));
    }
    if items(explain, "help").next().is_some() {
        lines.push(format!("  {}", pick(WOULD_HELP, lang)));
        for (position, help) in items(explain, "help").enumerate() {
            helped(help, &format!("{}.", position + 1), 4, lang, &mut lines);
        }
    } else {
        lines.extend(items(explain, "remedies").map(|remedy| format!("  would help: {}", remedy_text(remedy))));
        let explained = items(explain, "because").next().is_some();
        if explained && effect(explain) == "deny" {
            lines.push(format!("  {}", pick(NOTHING_HELPS, lang)));
        }
    }
    if let Some(review) = explain.get("review").filter(|review| review.get("text").is_some()) {
        helped(review, "-", 2, lang, &mut lines);
    }
    lines
}

/// Puts the user's own command in the place of the one that the gateway made for a kind of remedy.
pub fn put_command(explain: &mut Value, kind: &str, command: &str) {
    let help = explain.get_mut("help").and_then(Value::as_array_mut);
    for help in help.into_iter().flatten().filter(|help| help.get("kind").and_then(Value::as_str) == Some(kind)) {
        if let Some(members) = help.as_object_mut() {
            members.insert("commands".to_owned(), serde_json::json!([command]));
        }
    }
}

const CAN_HELP: [&str; 3] = ["who can help:", "可以協助的人：", "可以协助的人："];
const WOULD_HELP: [&str; 3] = [
    "what would help (tried; each by itself is enough):",
    "可行的做法（均已驗證，任一即可）：",
    "可行的做法（均已验证，任一即可）：",
];
const NOTHING_HELPS: [&str; 3] = [
    "nothing that the parties can change by themselves would let it leave",
    "各方自行所能作出的更改均不足以放行",
    "各方自行所能作出的更改均不足以放行",
];

fn pick(said: [&'static str; 3], lang: Lang) -> &'static str {
    let [english, traditional, simplified] = said;
    match lang {
        Lang::English => english,
        Lang::Traditional => traditional,
        Lang::Simplified => simplified,
    }
}

fn items<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    value.get(member).and_then(Value::as_array).into_iter().flatten()
}

fn localised(value: &Value, member: &str, lang: Lang) -> String {
    value.get(member).map(|text| clean(lang.text(text))).unwrap_or_default()
}

/// Those who can help, as one phrase.
fn who(value: &Value, lang: Lang) -> Option<String> {
    let who: Vec<String> = items(value, "who").map(|who| localised(who, "text", lang)).collect();
    let between = if lang == Lang::English { ", " } else { "、" };
    (!who.is_empty()).then(|| who.join(between))
}

fn helped(help: &Value, mark: &str, indent: usize, lang: Lang, lines: &mut Vec<String>) {
    let spaces = " ".repeat(indent);
    lines.push(format!("{spaces}{mark} {}", localised(help, "text", lang)));
    lines.extend(who(help, lang).map(|who| match lang {
        Lang::English => format!("{spaces}   by {who}"),
        Lang::Traditional => format!("{spaces}   由{who}辦理"),
        Lang::Simplified => format!("{spaces}   由{who}办理"),
    }));
    lines.extend(names(help, "commands").into_iter().map(|command| format!("{spaces}   $ {command}")));
    for step in items(help, "steps") {
        helped(step, "-", indent + 3, lang, lines);
    }
}

/// One remedy as a phrase, of a gateway that does not explain its remedies.
fn remedy_text(remedy: &Value) -> String {
    match remedy.get("kind").and_then(Value::as_str) {
        Some("drop-columns") => {
            format!("leave out {} (`--redact` does)", names(remedy, "columns").join(", "))
        }
        Some(kind) => {
            let members = remedy.as_object().into_iter().flatten().filter(|(name, _)| *name != "kind");
            let rest: Vec<String> = members.map(|(name, value)| format!("{} {}", clean(name), plain(value))).collect();
            let kind = clean(kind).replace('-', " ");
            if rest.is_empty() { kind } else { format!("{kind} ({})", rest.join("; ")) }
        }
        None => plain(remedy),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use super::*;
    use serde_json::json;

    fn refusal() -> Value {
        let text = |en: &str, hant: &str| json!({"en": en, "zh-Hant": hant});
        json!({
            "effect": "deny", "rules": ["CN-06", "MECH-MISSING"],
            "reasons": [{"rule": "CN-06", "citation": "Provisions Art. 8", "message": text("a contract is needed", "需要合同")}],
            "because": [{"rule": "CN-06", "facts": [{"text": text("sensitive columns: id_no; would pass: none", "敏感欄位：id_no")}],
                         "who": [{"text": text("the provider (qianhai)", "提供方（qianhai）")}]}],
            "remedies": [{"kind": "drop-columns", "columns": ["id_no"]}],
            "help": [{"kind": "drop-columns", "text": text("Leave out id_no.", "不要 id_no。"), "commands": ["kouan pull x --redact"],
                      "who": [{"text": text("you", "您")}]},
                     {"kind": "all-of", "text": text("All of these.", "以下各項。"),
                      "steps": [{"kind": "name-licence", "text": text("Name it.", "填寫。"), "who": []}]}],
        })
    }

    #[test]
    fn a_refusal_names_rule_fact_helper_and_remedy() {
        let lines = explanation(&refusal(), Lang::English);
        assert_eq!(
            lines,
            [
                "  CN-06: a contract is needed",
                "    Provisions Art. 8",
                "    - sensitive columns: id_no; would pass: none",
                "    who can help: the provider (qianhai)",
                "  rules: MECH-MISSING",
                "  what would help (tried; each by itself is enough):",
                "    1. Leave out id_no.",
                "       by you",
                "       $ kouan pull x --redact",
                "    2. All of these.",
                "       - Name it.",
            ]
        );
        let lines = explanation(&refusal(), Lang::Traditional).join("\n");
        for part in ["需要合同", "- 敏感欄位：id_no", "可以協助的人： 提供方（qianhai）", "1. 不要 id_no。", "由您辦理"]
        {
            assert!(lines.contains(part), "{part} in {lines}");
        }
    }

    #[test]
    fn the_command_is_the_users_own() {
        let mut explain = refusal();
        put_command(&mut explain, "drop-columns", "kouan pull x --out there --redact");
        assert_eq!(explain["help"][0]["commands"], json!(["kouan pull x --out there --redact"]));
        assert!(explain["help"][1].get("commands").is_none());
        put_command(&mut json!(null), "drop-columns", "x");
    }

    #[test]
    fn nothing_helps_is_said_and_silence_is_not() {
        let mut explain = refusal();
        explain["help"] = json!([]);
        explain["remedies"] = json!([]);
        assert!(explanation(&explain, Lang::English).join("\n").contains("nothing that the parties can change"));
        explain["effect"] = json!("allow");
        assert!(!explanation(&explain, Lang::English).join("\n").contains("nothing that"));
        assert!(explanation(&json!(null), Lang::English).is_empty());
        // A gateway that explains no remedy still names it.
        explain["remedies"] = json!([{"kind": "drop-columns", "columns": ["id_no"]}]);
        assert!(explanation(&explain, Lang::English).join("\n").contains("leave out id_no"));
    }
}
