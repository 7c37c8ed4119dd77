//! What is wrong with facts, where, and what would be right.

use super::FACTS_BYTES_MAX;

/// Facts that are not usable, each with the path of the member and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// The text is longer than [`FACTS_BYTES_MAX`].
    #[error("`facts` has {bytes} bytes; at most {FACTS_BYTES_MAX} are read")]
    TooLong {
        /// Length.
        bytes: usize,
    },
    /// The text is not one JSON value.
    #[error("`facts` is not JSON: {detail}")]
    NotJson {
        /// What the parser said, with line and column.
        detail: String,
    },
    /// A member that must be there is not.
    #[error("`{path}` is missing; it must be {want}")]
    Missing {
        /// Path.
        path: String,
        /// What belongs there.
        want: String,
    },
    /// A member that does not exist.
    #[error("`{path}` is not a known member; known here are {known}")]
    Unknown {
        /// Path.
        path: String,
        /// The known ones.
        known: String,
    },
    /// A member that occurs twice in one object.
    #[error("`{path}` occurs more than once; state it once")]
    Duplicate {
        /// Path.
        path: String,
    },
    /// A value of the wrong kind or out of range.
    #[error("`{path}` is {found}; it must be {want}")]
    Wrong {
        /// Path.
        path: String,
        /// What is there, shortened.
        found: String,
        /// What belongs there.
        want: String,
    },
    /// A column name that occurs twice.
    #[error("`{path}` repeats `{name}` of position {first}; column names must be unique")]
    Repeated {
        /// Path of the second.
        path: String,
        /// Name.
        name: String,
        /// Position of the first.
        first: usize,
    },
    /// A selected column that the dataset lacks.
    #[error("`{path}` selects `{name}`, which is not in `facts.dataset.columns`; select columns that are")]
    NoSuchColumn {
        /// Path.
        path: String,
        /// Name.
        name: String,
    },
}
