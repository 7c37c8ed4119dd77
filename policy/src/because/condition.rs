//! The facts that a condition reads: what is shown of a rule that does not say what decides it.

use cedar_policy::Policy;
use serde_json::Value;

use super::check::Check;
use super::fact::Fact;

/// A check for each fact that the conditions of `policy` mention, in the order of the facts.
pub(crate) fn mentioned(policy: &Policy) -> Vec<Check> {
    let mut facts = Vec::new();
    if let Ok(json) = policy.to_json()
        && let Some(conditions) = json.get("conditions")
    {
        walk(conditions, &mut facts);
    }
    facts.sort_unstable();
    facts.dedup();
    facts.into_iter().map(Check::otherwise).collect()
}

fn walk(value: &Value, facts: &mut Vec<Fact>) {
    // `context.mechanism.kind` is asked for as a whole; its beginning, `context.mechanism`, is not meant.
    if let Some(path) = read(value) {
        facts.extend(Fact::of_attribute(&path));
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, facts)),
        Value::Object(members) => members.values().for_each(|member| walk(member, facts)),
        _ => {}
    }
}

/// The path of `context.a.b` or `context.a has b`; Cedar writes both as a `left` and an `attr`.
fn read(value: &Value) -> Option<String> {
    let access = value.get(".").or_else(|| value.get("has"))?;
    let attribute = access.get("attr").and_then(Value::as_str)?;
    let left = access.get("left")?;
    if left.get("Var").and_then(Value::as_str) == Some("context") {
        return Some(attribute.to_owned());
    }
    Some(format!("{}.{attribute}", read(left)?))
}
