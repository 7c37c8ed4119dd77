//! What a consumer may see of an inspection (INTERFACE.md, "What a consumer never sees").

use serde_json::Value;

use crate::{ColumnClass, Manifest};

/// `inspection` without any cell value of a personal or sensitive column. A column that is not declared, or whose name
/// suggests more than was declared, is treated as the stricter one; file key-value metadata stay names and lengths.
pub fn inspection_for_consumer(inspection: &Value, manifest: &Manifest) -> Value {
    let mut inspection = inspection.clone();
    for column in inspection.get_mut("columns").and_then(Value::as_array_mut).into_iter().flatten() {
        let name = column.get("name").and_then(Value::as_str).unwrap_or_default();
        let declared = manifest.class_of(name).unwrap_or(ColumnClass::Sensitive);
        let suggested = column.get("suggested").and_then(|class| serde_json::from_value(class.clone()).ok());
        let found = column.get("identifiers").and_then(Value::as_array).is_some_and(|found| !found.is_empty());
        let class: ColumnClass = declared.max(suggested.unwrap_or(ColumnClass::Sensitive));
        if !class.is_personal() && !found {
            continue;
        }
        let Some(members) = column.as_object_mut() else {
            continue;
        };
        members.remove("values");
        for identifier in members.get_mut("identifiers").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(identifier) = identifier.as_object_mut() {
                identifier.remove("examples");
            }
        }
    }
    inspection
}
