//! What a consumer may see of a quality report (INTERFACE.md, "What a consumer never sees").

use serde_json::Value;

/// Takes out what comes from values of a hidden column: lengths and languages of its texts, the names of its labels, its
/// newest day. Shares and counts over all columns stay.
pub(crate) fn for_consumer(quality: &mut Value, is_hidden: &dyn Fn(&str) -> bool) {
    if let Some(texts) = quality.get_mut("text").and_then(Value::as_object_mut) {
        texts.retain(|path, _| !is_hidden(path));
    }
    if let Some(labels) = quality.get_mut("labels").and_then(Value::as_object_mut)
        && labels.get("column").and_then(Value::as_str).is_none_or(is_hidden)
    {
        labels.remove("values");
        labels.remove("others");
    }
    if let Some(newest) = quality.pointer_mut("/freshness/newest").and_then(Value::as_array_mut) {
        newest.retain(|column| column.get("column").and_then(Value::as_str).is_some_and(|path| !is_hidden(path)));
    }
}
