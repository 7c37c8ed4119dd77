//! The conditions of a filter as SQL: only those that are given, so that an index can serve them.

use rusqlite::types::Value;

#[derive(Default)]
pub(super) struct Conditions {
    clauses: Vec<&'static str>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds `clause`, whose every `?` is `value`, if there is one.
    pub(super) fn add(mut self, clause: &'static str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            let value = value.into();
            let places = clause.matches('?').count();
            self.values.extend(std::iter::repeat_n(value, places));
            self.clauses.push(clause);
        }
        self
    }

    /// `WHERE …`, or nothing, and the values of its places in order.
    pub(super) fn into_sql(self) -> (String, Vec<Value>) {
        let sql = if self.clauses.is_empty() { String::new() } else { format!("WHERE {}", self.clauses.join(" AND ")) };
        (sql, self.values)
    }
}
