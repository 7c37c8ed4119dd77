//! Whether a manifest and a file's columns fit together.

use crate::{FileIndex, Manifest};

/// A manifest that does not fit the columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeclaredError {
    /// Leaf columns without a class.
    #[error(
        "no class is declared for {}: add a [columns.<name>] table for each with `class`, or `columns_default`",
        quoted(.0)
    )]
    Missing(Vec<String>),
    /// `[columns.…]` tables that name no column.
    #[error("[columns] names {}, but the file has {}", quoted(.unknown), quoted(.leaves))]
    Unknown {
        /// The names.
        unknown: Vec<String>,
        /// What the file has.
        leaves: Vec<String>,
    },
    /// `subject_key` or `label_column` names no leaf column.
    #[error("`{member}` names `{key}`, but the file has {}", quoted(.leaves))]
    Named {
        /// The manifest's key.
        member: &'static str,
        /// The name.
        key: String,
        /// What the file has.
        leaves: Vec<String>,
    },
}

/// Names for a message; past the first twenty only their number.
fn quoted(names: &[String]) -> String {
    let mut text = names.iter().take(20).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > 20 {
        use std::fmt::Write as _;
        let _ = write!(text, " and {} more", names.len() - 20);
    }
    text
}

/// Every leaf column has a class (its own, its group's or the default), and every name in `[columns]`, the subject key and
/// the label column name a column.
pub fn check_columns(manifest: &Manifest, index: &FileIndex) -> Result<(), DeclaredError> {
    let leaves: Vec<String> = index.leaves.iter().map(|leaf| leaf.path.clone()).collect();
    let names = |name: &String| {
        leaves
            .iter()
            .any(|leaf| leaf == name || leaf.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.')))
    };
    let unknown: Vec<String> = manifest.columns.keys().filter(|name| !names(name)).cloned().collect();
    if !unknown.is_empty() {
        return Err(DeclaredError::Unknown { unknown, leaves });
    }
    let entry = &manifest.dataset;
    for (member, key) in [("subject_key", &entry.subject_key), ("label_column", &entry.label_column)] {
        if let Some(key) = key.as_ref().filter(|key| !leaves.contains(key)) {
            return Err(DeclaredError::Named { member, key: key.clone(), leaves });
        }
    }
    let missing: Vec<String> = leaves.into_iter().filter(|leaf| manifest.class_of(leaf).is_none()).collect();
    if missing.is_empty() { Ok(()) } else { Err(DeclaredError::Missing(missing)) }
}
