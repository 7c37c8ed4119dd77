//! What a consumer may see of an inspection (INTERFACE.md, "What a consumer never sees").

use std::collections::BTreeSet;

use serde_json::Value;

use crate::quality::{Headline, headline_of};
use crate::{ColumnClass, Manifest};

/// `inspection` without any cell value of a personal or sensitive column. A column that is not declared, or whose name
/// suggests more than was declared, is treated as the stricter one; file key-value metadata stay names and lengths.
pub fn inspection_for_consumer(inspection: &Value, manifest: &Manifest) -> Value {
    without_values(inspection, |name| manifest.class_of(name).unwrap_or(ColumnClass::Sensitive))
}

/// The same before there is a manifest: only what names and values suggest hides a column.
pub fn inspection_undeclared(inspection: &Value) -> Value {
    without_values(inspection, |_| ColumnClass::None)
}

/// The headline of the quality report as a consumer may see it.
pub fn headline_for_consumer(inspection: &Value, manifest: &Manifest) -> Option<Headline> {
    let columns = || inspection.get("columns").and_then(Value::as_array).into_iter().flatten();
    let declared = |path: &str| manifest.class_of(path).unwrap_or(ColumnClass::Sensitive);
    headline_of(inspection, &|path| {
        columns().find(|column| name(column) == Some(path)).is_some_and(|column| !is_hidden(column, &declared))
    })
}

fn without_values(inspection: &Value, declared: impl Fn(&str) -> ColumnClass) -> Value {
    let mut inspection = inspection.clone();
    let columns = || inspection.get("columns").and_then(Value::as_array).into_iter().flatten();
    // Only a column that is known and says nothing about people is open.
    let open: BTreeSet<String> =
        columns().filter(|column| !is_hidden(column, &declared)).filter_map(name).map(str::to_owned).collect();
    for column in inspection.get_mut("columns").and_then(Value::as_array_mut).into_iter().flatten() {
        if name(column).is_some_and(|name| open.contains(name)) {
            continue;
        }
        let Some(members) = column.as_object_mut() else {
            continue;
        };
        members.remove("values");
        for identifier in members.get_mut("identifiers").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(identifier) = identifier.as_object_mut() {
                identifier.remove("examples");
                identifier.remove("positions");
            }
        }
    }
    if let Some(quality) = inspection.get_mut("quality") {
        crate::quality::for_consumer(quality, &|path| !open.contains(path));
    }
    inspection
}

fn name(column: &Value) -> Option<&str> {
    column.get("name").and_then(Value::as_str)
}

fn is_hidden(column: &Value, declared: &impl Fn(&str) -> ColumnClass) -> bool {
    let declared = name(column).map_or(ColumnClass::Sensitive, declared);
    let suggested = column.get("suggested").and_then(|class| serde_json::from_value(class.clone()).ok());
    let found = column.get("identifiers").and_then(Value::as_array).is_some_and(|found| !found.is_empty());
    let class: ColumnClass = declared.max(suggested.unwrap_or(ColumnClass::Sensitive));
    class.is_personal() || found
}
