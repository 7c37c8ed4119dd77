//! What retention deletes.

use jiff::Timestamp;

/// Rows that are past their time. Who deletes has looked at what is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expired {
    /// The openings of these leaves.
    Openings {
        /// At most as many as fit one transaction, see [`super::WRITES_MAX`].
        leaves: Vec<u64>,
    },
    /// The sealed evidence of these acknowledgements; what they acknowledge stays.
    Evidence {
        /// Their numbers in the store, see [`crate::Reader::evidence_before`].
        receipts: Vec<u64>,
    },
    /// Windows of refusals that have closed, are counted, and were last used before this time.
    Denials {
        /// When.
        before: Timestamp,
    },
    /// The hashed persons of years before this one. How many they were stays.
    Persons {
        /// Which year.
        before: i16,
    },
}
