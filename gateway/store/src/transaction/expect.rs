//! What a commit expects of the store.

use catalog::{Digest, LeaseId, ParticipantId};
use gateway_ledger::Month;
use jiff::Timestamp;

use super::{DocKind, SubjectHandle};

/// A condition under which a transaction may be written. When it fails, read again and decide again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// A document has this revision.
    Doc {
        /// Its kind.
        kind: DocKind,
        /// Its id.
        id: String,
        /// `None`: it must not exist.
        revision: Option<u64>,
    },
    /// An exporter's counter has this revision. It goes up only when a stored number changes.
    Contributions {
        /// Whose counter.
        exporter: ParticipantId,
        /// Which year.
        year: i16,
        /// 0 before the first contribution.
        revision: u64,
    },
    /// No active lease with this key is unexpired at `at`.
    NoLiveLease {
        /// The lease key.
        key: Digest,
        /// When.
        at: Timestamp,
    },
    /// The lease is active (and, for a grant, not expired).
    LeaseActive {
        /// Which.
        lease: LeaseId,
    },
    /// Enough of what was granted is receipted for another grant.
    Receipted {
        /// Which lease.
        lease: LeaseId,
    },
    /// The next acknowledgement of the lease has this number.
    NextAck {
        /// Which lease.
        lease: LeaseId,
        /// The number.
        number: u64,
    },
    /// The units were delivered under the lease's entitlement.
    Delivered {
        /// Which lease.
        lease: LeaseId,
        /// Of which file.
        file: Digest,
    },
    /// A month is open and has so many postings.
    Postings {
        /// Which month.
        period: Month,
        /// How many.
        postings: u64,
    },
    /// No window for this refusal is open at `at`.
    NoDenial {
        /// Digest of principal, request and facts.
        key: Digest,
        /// When.
        at: Timestamp,
    },
    /// A window for this refusal is open at `at`.
    Denied {
        /// Digest of principal, request and facts.
        key: Digest,
        /// When.
        at: Timestamp,
    },
    /// No such window of reads is open.
    NoAccess {
        /// Digest of principal, kind of read and window.
        key: Digest,
    },
    /// A window of reads is open.
    Access {
        /// Digest of principal, kind of read and window.
        key: Digest,
        /// How many reads it has, where that matters.
        reads: Option<u64>,
    },
    /// Persons' keys are wrapped with this one.
    Kek {
        /// Its id.
        kek: String,
    },
    /// No lease of the person with this key is active.
    NoLease {
        /// Which key.
        handle: SubjectHandle,
    },
    /// The person has this key or none.
    SubjectKey {
        /// Which key.
        handle: SubjectHandle,
    },
    /// No newer revocation list of this issuer is known.
    CrlNotNewer {
        /// The issuer.
        issuer: String,
        /// The number that was offered.
        number: Vec<u8>,
    },
}
