//! Column classes: what a column says about people.

use serde::{Deserialize, Serialize};

/// How sensitive a column is (PIPL Art. 4 and 28). Ordered: a higher class is the stricter one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnClass {
    /// Says nothing about an identifiable person.
    None,
    /// Personal information.
    Personal,
    /// Sensitive personal information.
    Sensitive,
}

impl ColumnClass {
    /// Whether the column is about people at all.
    pub const fn is_personal(self) -> bool {
        !matches!(self, Self::None)
    }

    /// The manifest's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Personal => "personal",
            Self::Sensitive => "sensitive",
        }
    }
}
