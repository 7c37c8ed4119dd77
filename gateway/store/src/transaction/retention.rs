//! What retention deletes.

use catalog::AgreementId;
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
    /// The kept answers in these rows. That their requests were answered stays, so that none runs twice.
    Answers {
        /// See [`crate::Reader::answers_before`].
        rows: Vec<u64>,
    },
    /// These leases, with their grants, acknowledgements and places in a year's count, unless one of them is still open. How
    /// many persons a year counts stays.
    Leases {
        /// See [`crate::Reader::past_leases`].
        rows: Vec<u64>,
    },
    /// Deliveries and postings of an agreement without leases whose months are all closed. Balances and the log stay.
    Accounts {
        /// Which.
        agreement: AgreementId,
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
