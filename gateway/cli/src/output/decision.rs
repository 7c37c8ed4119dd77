//! A decision in words: rules, reasons, what would help.

use serde_json::Value;

use super::{clean, plain};
use crate::lang::Lang;

/// `allow`, `deny`, `review`, or nothing if it is no decision.
pub fn effect(decision: &Value) -> &str {
    decision.get("effect").and_then(Value::as_str).unwrap_or_default()
}

/// The names in a list member.
pub fn names(value: &Value, member: &str) -> Vec<String> {
    let items = value.get(member).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).map(clean).collect()
}

/// Reasons and remedies, two spaces in: what `explain` of a problem and a decision have in common.
pub fn explanation(explain: &Value, lang: Lang) -> Vec<String> {
    let mut lines = Vec::new();
    let list = |member| explain.get(member).and_then(Value::as_array).into_iter().flatten();
    let mut told: Vec<&str> = Vec::new();
    for reason in list("reasons") {
        let rule = reason.get("rule").and_then(Value::as_str).unwrap_or("?");
        told.push(rule);
        let citation = reason.get("citation").and_then(Value::as_str).unwrap_or_default();
        let message = reason.get("message").map_or("", |message| lang.text(message));
        lines.push(format!("  {}: {}", clean(rule), clean(message)));
        if !citation.is_empty() {
            lines.push(format!("    {}", clean(citation)));
        }
    }
    let rest: Vec<String> = names(explain, "rules").into_iter().filter(|rule| !told.contains(&rule.as_str())).collect();
    if !rest.is_empty() {
        lines.push(format!("  rules: {}", rest.join(", ")));
    }
    for remedy in list("remedies") {
        lines.push(format!("  would help: {}", remedy_text(remedy)));
    }
    lines
}

/// One remedy as a phrase.
fn remedy_text(remedy: &Value) -> String {
    match remedy.get("kind").and_then(Value::as_str) {
        Some("drop-columns") => {
            format!("leave out {} (`--redact` does)", names(remedy, "columns").join(", "))
        }
        Some("attach-mechanism") => {
            let kinds: Vec<&str> = remedy
                .get("any_of")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(mechanism_name)
                .collect();
            format!("a confirmed mechanism on file: {} (`kouan mechanism add`)", kinds.join(" or "))
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

fn mechanism_name(kind: &str) -> &str {
    match kind {
        "gba_sc" => "GBA standard contract (gba_sc)",
        "sc" => "standard contract (sc)",
        "cert" => "certification (cert)",
        "sa" => "security assessment (sa)",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_names_rule_reason_and_remedy() {
        let explain = json!({
            "rules": ["CN-06", "MECH-MISSING"],
            "reasons": [{"rule": "CN-06", "citation": "Provisions Art. 8",
                         "message": {"en": "a contract is needed", "zh-Hant": "需要合同"}}],
            "remedies": [{"kind": "drop-columns", "columns": ["id_no"]},
                         {"kind": "attach-mechanism", "any_of": ["sc", "gba_sc"]}],
        });
        let lines = explanation(&explain, Lang::English).join("\n");
        for part in ["CN-06: a contract is needed", "Art. 8", "rules: MECH-MISSING", "leave out id_no", "GBA standard"]
        {
            assert!(lines.contains(part), "{part} in {lines}");
        }
        assert!(explanation(&explain, Lang::Traditional).join("\n").contains("需要合同"));
        assert!(explanation(&json!(null), Lang::English).is_empty());
    }
}
