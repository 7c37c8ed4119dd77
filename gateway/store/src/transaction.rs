//! One commit: what it writes, what it expects of the store, and how it fails.
//!
//! A transaction is all or nothing, and so is each one in a group: an expectation that fails undoes its own transaction
//! and no other.

use std::ops::Range;
use std::sync::Arc;

use catalog::{AgreementId, DatasetId, Digest, FileIndex, LeaseId, Minor, ParticipantId, VersionName};
use gateway_audit::LeafError;
use gateway_ledger::{Contribution, IntervalSet, Keyset, Month, Quote};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::lease::{Lease, LeaseState};

/// Most leaves of one transaction.
pub const LEAVES_MAX: usize = 64;

/// Most writes of one transaction.
pub const WRITES_MAX: usize = 4096;

/// Largest document, response or facts blob, in bytes.
pub const BLOB_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most that may be granted without a receipt where the offer asks for receipts (LEDGER.md, "Pay-as-you-ack").
pub const UNRECEIPTED_BYTES_MAX: u64 = 256 << 20;

/// Length of the window in which the same refusal answers with the first leaf (INTERFACE.md, "Log leaf").
pub const DENIAL_WINDOW: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// A keyed hash of a person's key, cut to 128 bits: equal for equal keys of one exporter and year, meaningless elsewhere.
pub type PersonKey = [u8; 16];

/// What is committed together.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// When it happens. Leaves never go back in time: theirs is the later of this and the last leaf's.
    pub at: Timestamp,
    /// What must hold, or nothing is written.
    pub expect: Vec<Expect>,
    /// Members of the new log entries, in order. The writer sets `v` and `at`.
    pub leaves: Vec<Map<String, Value>>,
    /// Canonical facts by digest; exported before the checkpoint that covers their leaf.
    pub facts: Vec<(Digest, Vec<u8>)>,
    /// What changes.
    pub writes: Vec<Write>,
    /// The request this answers, so that its retry gets the same answer for ever.
    pub idempotency: Option<Idempotency>,
}

impl Transaction {
    /// An empty transaction at `at`.
    pub const fn new(at: Timestamp) -> Self {
        Self { at, expect: Vec::new(), leaves: Vec::new(), facts: Vec::new(), writes: Vec::new(), idempotency: None }
    }

    /// Adds a leaf and gives the reference to it.
    pub fn leaf(&mut self, members: Map<String, Value>) -> LeafRef {
        let number = u32::try_from(self.leaves.len()).unwrap_or(u32::MAX);
        self.leaves.push(members);
        LeafRef::This(number)
    }
}

/// A log index, known or about to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafRef {
    /// The nth leaf of the same transaction, from 0.
    This(u32),
    /// A leaf that is in the log.
    Index(u64),
}

/// Kinds of JSON documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DocKind {
    /// A participant's record.
    Participant,
    /// A dataset.
    Dataset,
    /// A version of one.
    Version,
    /// An agreement.
    Agreement,
    /// A mechanism.
    Mechanism,
    /// A request for a review.
    Review,
    /// The release of a review.
    Release,
    /// A claim on an incentive programme.
    Claim,
    /// The frozen files of a claim.
    ClaimContents,
    /// The rule sets of one participant.
    RuleSet,
    /// Anything small that belongs to the node.
    Setting,
}

impl DocKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Participant,
        Self::Dataset,
        Self::Version,
        Self::Agreement,
        Self::Mechanism,
        Self::Review,
        Self::Release,
        Self::Claim,
        Self::ClaimContents,
        Self::RuleSet,
        Self::Setting,
    ];

    /// The spelling in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Participant => "participant",
            Self::Dataset => "dataset",
            Self::Version => "version",
            Self::Agreement => "agreement",
            Self::Mechanism => "mechanism",
            Self::Review => "review",
            Self::Release => "release",
            Self::Claim => "claim",
            Self::ClaimContents => "claim_contents",
            Self::RuleSet => "ruleset",
            Self::Setting => "setting",
        }
    }
}

/// One change.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a transaction has a handful, and none is kept")]
pub enum Write {
    /// Stores a document; its revision goes up by one, from 1.
    PutDoc {
        /// Its kind.
        kind: DocKind,
        /// Its id within the kind.
        id: String,
        /// JSON.
        body: Vec<u8>,
    },
    /// Stores a new, active lease. An expired lease with the same key is closed first, with the reason `expired`; a
    /// live one is a conflict.
    PutLease {
        /// The lease.
        lease: Lease,
        /// The decision's leaf.
        leaf: LeafRef,
    },
    /// What a lease may cost and what it needs: before its first grant, in the commit that puts it.
    Terms {
        /// Which lease.
        lease: LeaseId,
        /// What is held as grants grow.
        quote: Quote,
        /// Where the offer asks for receipts: how many bytes may be granted beyond them.
        unreceipted_bytes_max: Option<u64>,
    },
    /// Lets `range` of a representation leave (INV-1). A conflict unless the lease is active and not expired.
    Grant {
        /// Under which lease.
        lease: LeaseId,
        /// Which file, virtual file or stream of it.
        representation: String,
        /// Bytes of that representation, not empty.
        range: Range<u64>,
    },
    /// Unit bytes were delivered. What no earlier delivery of the entitlement (agreement × version) covered is added
    /// to `period`; the rest only counts as sent. Allowed in every state of the lease: bytes may precede a cut. Where the
    /// offer asks for no receipts, what falls due is posted in the same commit.
    Delivered {
        /// Under which lease.
        lease: LeaseId,
        /// The lease's agreement.
        agreement: AgreementId,
        /// The lease's dataset.
        dataset: DatasetId,
        /// The lease's version.
        version: VersionName,
        /// SHA-256 of the stored file.
        file: Digest,
        /// Its index; needed where there are intervals.
        index: Option<Arc<FileIndex>>,
        /// Month in Asia/Shanghai.
        period: Month,
        /// Bytes of the stored file, of units only.
        intervals: IntervalSet,
        /// Rows that reached the consumer, where the stream counted them.
        rows: Option<u64>,
        /// Bytes on the wire, retries included.
        wire_bytes: u64,
    },
    /// Granted bytes that provably did not leave: the egress meter is what was granted less these.
    Unsent {
        /// Under which lease.
        lease: LeaseId,
        /// How many.
        bytes: u64,
    },
    /// A consumer's verified acknowledgement. A conflict unless it is the lease's next and everything it names was
    /// delivered. Where the offer asks for receipts, what falls due is posted in the same commit.
    Receipt(Box<Receipt>),
    /// Releases what is held for a lease that has ended and is not posted.
    Release {
        /// Which lease.
        lease: LeaseId,
    },
    /// Takes back a part of what an entitlement has posted.
    CreditNote {
        /// Its id, which postings refer to.
        id: String,
        /// Under which agreement.
        agreement: AgreementId,
        /// Of which dataset.
        dataset: DatasetId,
        /// Which version.
        version: VersionName,
        /// How much.
        amount: Minor,
        /// The month whose postings are wrong; the note itself is posted to the open one.
        service_period: Month,
    },
    /// Closes a month after its time has come; a conflict if its postings are not `postings`.
    PeriodClose {
        /// Which month.
        period: Month,
        /// How many postings the leaf commits to.
        postings: u64,
        /// The `period_close` leaf.
        leaf: LeafRef,
    },
    /// Ends an active lease; a conflict if it is not.
    LeaseState {
        /// Which.
        lease: LeaseId,
        /// `Closed` or `Cut`.
        state: LeaseState,
        /// Why.
        reason: Option<String>,
        /// The `lease_close` or `cut` leaf.
        leaf: Option<LeafRef>,
    },
    /// Gives its `lease_close` leaf to a lease that a successor closed; see [`crate::Reader::unclosed_leases`].
    LeaseLeaf {
        /// Which.
        lease: LeaseId,
        /// The leaf.
        leaf: LeafRef,
    },
    /// Gives each key that an exporter's year does not know yet the next number: two keys never share one.
    Persons {
        /// Whose year.
        exporter: ParticipantId,
        /// Year in Asia/Shanghai.
        year: i16,
        /// The keys; each may come again.
        keys: Vec<PersonKey>,
    },
    /// Keeps who is in a file or version. What is kept under a scope never changes.
    Keyset {
        /// Whose year.
        exporter: ParticipantId,
        /// Year in Asia/Shanghai.
        year: i16,
        /// What it was made from.
        scope: Digest,
        /// Who.
        keys: Keyset,
    },
    /// Reserves, for a lease that was put before, whom its export concerns: counted from here on. Given back when the lease
    /// ends without an open or used stream.
    Contribution {
        /// Under which lease.
        lease: LeaseId,
        /// Whose counter.
        exporter: ParticipantId,
        /// Year in Asia/Shanghai.
        year: i16,
        /// Which dataset.
        dataset: DatasetId,
        /// Which version.
        version: VersionName,
        /// What it adds.
        contribution: Contribution,
        /// The scope of its keyset, if the contribution is keyed.
        keys: Option<Digest>,
    },
    /// A stream may begin under this lease: from here on its bytes are taken to have left.
    StreamOpened {
        /// Which.
        lease: LeaseId,
    },
    /// A stream that was opened under this lease has ended, and no byte of it was handed to anybody. Nothing happens if
    /// there is no such lease.
    StreamUntouched {
        /// Which.
        lease: LeaseId,
    },
    /// Opens a window of [`DENIAL_WINDOW`] in which the same refusal answers with this leaf; a conflict if one is open.
    Denial {
        /// Digest of principal, request and facts.
        key: Digest,
        /// The refusal's leaf.
        leaf: LeafRef,
        /// When the window opens.
        at: Timestamp,
    },
    /// Counts a repeat in the open window; a conflict if none is open.
    DenialRepeat {
        /// Digest of principal, request and facts.
        key: Digest,
        /// When.
        at: Timestamp,
    },
    /// Marks a window's count as recorded; see [`crate::Reader::denials_due`].
    DenialClosed {
        /// Digest of principal, request and facts.
        key: Digest,
        /// The window's first leaf.
        first: u64,
    },
    /// The sealed opening of a commitment in a leaf.
    Opening {
        /// Which leaf.
        leaf: LeafRef,
        /// Which member.
        field: String,
        /// Salt and value, encrypted by the caller.
        sealed: Vec<u8>,
    },
    /// The number of the newest revocation list of an issuer; a smaller one than stored is a conflict.
    CrlNumber {
        /// The issuer.
        issuer: String,
        /// Big-endian, at most 20 bytes (RFC 5280 §5.2.3).
        number: Vec<u8>,
    },
}

/// An acknowledgement on its way into the store.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Under which lease.
    pub lease: LeaseId,
    /// Its number under the lease, from 1.
    pub number: u64,
    /// Digest of the signed bytes.
    pub ack: Digest,
    /// The acknowledgement, canonical JSON.
    pub body: Vec<u8>,
    /// Signature and certificate, sealed by the caller.
    pub evidence: Vec<u8>,
    /// Stored bytes of the units it names, each file once.
    pub units: Vec<(Arc<FileIndex>, IntervalSet)>,
    /// The `receipt` leaf.
    pub leaf: LeafRef,
}

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
    /// No newer revocation list of this issuer is known.
    CrlNotNewer {
        /// The issuer.
        issuer: String,
        /// The number that was offered.
        number: Vec<u8>,
    },
}

/// Ties a transaction to the request that caused it.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// Keyed hash of the principal: keys of two principals never meet.
    pub scope: String,
    /// The request's `Idempotency-Key`.
    pub key: String,
    /// Digest of the request.
    pub body: Digest,
    /// The answer. Where it must hold the leaf's index, leave that out here: it is stored beside it.
    pub response: Vec<u8>,
}

/// What a recorded transaction was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Index of its first leaf, or of the next leaf to come if it has none.
    pub first_leaf: u64,
    /// How many leaves.
    pub leaves: u32,
    /// Its place in the order of all transactions, from 1.
    pub revision: u64,
    /// The time its leaves bear.
    pub at: Timestamp,
}

impl Committed {
    /// The log index that `leaf` became.
    pub fn index(&self, leaf: LeafRef) -> u64 {
        match leaf {
            LeafRef::This(number) => self.first_leaf.saturating_add(u64::from(number)),
            LeafRef::Index(index) => index,
        }
    }
}

/// Why a transaction was not recorded. Nothing of it is in the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Something changed since the caller read it.
    #[error("the store no longer meets the expectation {0:?}")]
    Conflict(Expect),
    /// The request was answered before.
    #[error("this request has its answer already")]
    Replayed {
        /// The stored answer.
        response: Vec<u8>,
        /// Index of its transaction's first leaf, if that had any.
        leaf: Option<u64>,
    },
    /// The idempotency key was used for another request.
    #[error("the idempotency key was first used for {first}, and now for {second}")]
    KeyReused {
        /// Digest of the first request.
        first: Digest,
        /// Digest of this one.
        second: Digest,
    },
    /// A leaf cannot stand in the log. The caller's mistake.
    #[error("leaf {number} of the transaction: {source}")]
    Leaf {
        /// Which, from 0.
        number: usize,
        /// What is wrong.
        source: LeafError,
    },
    /// The transaction contradicts itself or exceeds a limit. The caller's mistake.
    #[error("the transaction cannot be recorded: {0}")]
    Invalid(String),
    /// The disk or the database's quota is full. Nothing of this group is recorded; a later commit may succeed.
    #[error("the disk is full")]
    Full,
    /// The store is closed or cannot be written.
    #[error("the records are not available: {0}")]
    Unavailable(String),
}

/// A stored document.
#[derive(Debug, Clone)]
pub struct DocChange {
    /// Its kind.
    pub kind: DocKind,
    /// Its id.
    pub id: String,
    /// Its revision now.
    pub revision: u64,
    /// JSON.
    pub body: Arc<[u8]>,
}

/// What a listener hears of a recorded transaction.
#[derive(Debug, Clone)]
pub struct Commit {
    /// What it was given.
    pub committed: Committed,
    /// Its documents, in the order of its writes.
    pub docs: Vec<DocChange>,
}
