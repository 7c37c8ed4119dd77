//! What a commit changes.

use std::ops::Range;
use std::sync::Arc;

use catalog::offer::Currency;
use catalog::{AgreementId, DatasetId, Digest, FileIndex, LeaseId, Minor, ParticipantId, VersionName};
use gateway_ledger::{Contribution, IntervalSet, Keyset, Month, Transfer};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{DocKind, Expired, LeafRef, PersonKey, SubjectHandle};
use crate::lease::{FirstStream, Lease, LeaseState, Terms};

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
        /// What it may cost and what it needs.
        terms: Terms,
        /// The stream that it is made for.
        stream: Option<FirstStream>,
        /// The decision's leaf.
        leaf: LeafRef,
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
    /// Linked transfers that a person has recorded: a payment, its reversal. Each stands in a `ledger_batch` leaf of its
    /// ledger, with `about`, in the month of the commit.
    Enter {
        /// What they are about.
        about: Map<String, Value>,
        /// By ledger.
        transfers: Vec<(Currency, Transfer)>,
    },
    /// Closes a month after its time has come; a conflict if its postings are not `postings`.
    PeriodClose {
        /// Which month.
        period: Month,
        /// How many postings the leaf commits to.
        postings: u64,
        /// Of how many entries of the log it is made: a batch of the month behind them is a conflict.
        size: u64,
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
    /// Opens a window of [`super::DENIAL_WINDOW`] in which the same refusal answers with this leaf; a conflict if one is open.
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
    /// Opens a window in which one principal's reads of the log are counted; a conflict if it is open.
    Access {
        /// Digest of principal, kind of read and window.
        key: Digest,
        /// The leaf of the first read.
        leaf: LeafRef,
        /// When the window ends.
        ends: Timestamp,
        /// What the closing leaf says besides the count; JSON.
        members: String,
        /// First and last entry that were read, if entries were.
        range: Option<(u64, u64)>,
    },
    /// Counts further reads in an open window; a conflict if it is not open.
    AccessMore {
        /// Digest of principal, kind of read and window.
        key: Digest,
        /// How many more.
        reads: u64,
        /// First and last entry among them.
        range: Option<(u64, u64)>,
    },
    /// Ends a window whose count is recorded in this commit; a conflict if the window has another count.
    AccessClosed {
        /// Digest of principal, kind of read and window.
        key: Digest,
        /// The count.
        reads: u64,
    },
    /// The sealed opening of a commitment in a leaf.
    Opening {
        /// Which leaf.
        leaf: LeafRef,
        /// Which member.
        field: String,
        /// Under whose key it is sealed.
        subject: SubjectHandle,
        /// Salt and value, encrypted by the caller.
        sealed: Vec<u8>,
    },
    /// The first key that wraps those of persons; a conflict if there is one.
    FirstKek {
        /// Its id.
        kek: String,
    },
    /// A person's key. The same one may come again; a conflict if the person has another, or the keys are not wrapped with
    /// `kek` (any more).
    SubjectKey(SubjectKey),
    /// Destroys a person's key, and wraps all others with another; a conflict if a lease of the person is active, or the keys
    /// are not those of the store (any more).
    Erase(Box<Erasure>),
    /// The key that an erasure replaced is destroyed.
    KekDestroyed {
        /// Its id.
        kek: String,
    },
    /// Deletes what is past its time.
    Expired(Expired),
    /// Puts what an earlier release sealed, or left in the clear, under a person's key.
    Resealed(Resealed),
    /// The number of the newest revocation list of an issuer; a smaller one than stored is a conflict.
    CrlNumber {
        /// The issuer.
        issuer: String,
        /// Big-endian, at most 20 bytes (RFC 5280 §5.2.3).
        number: Vec<u8>,
    },
}

/// A person's wrapped key on its way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectKey {
    /// What sealed rows name it by.
    pub handle: SubjectHandle,
    /// Keyed hash of the person.
    pub subject: String,
    /// The person's participant.
    pub participant: ParticipantId,
    /// What it is wrapped with.
    pub kek: String,
    /// The key, encrypted by the caller.
    pub wrapped: Vec<u8>,
}

/// What an erasure changes.
#[derive(Debug, Clone)]
pub struct Erasure {
    /// Whose key.
    pub handle: SubjectHandle,
    /// Keyed hash of the person.
    pub subject: String,
    /// What stands in place of the keyed hash from here on: says nothing about anybody.
    pub replacement: String,
    /// The `erasure` leaf.
    pub leaf: LeafRef,
    /// What persons' keys are wrapped with before.
    pub from: String,
    /// And after.
    pub to: String,
    /// Everybody else's key, wrapped with the latter.
    pub rewrapped: Vec<(SubjectHandle, Vec<u8>)>,
    /// The rows of answers kept for the person, among those up to the second number: see [`crate::Reader::answers_of`]. The
    /// writer looks through later ones itself.
    pub answers: (Vec<u64>, u64),
}

/// Something that is sealed under a person's key from here on. Nothing happens if it is already.
#[derive(Debug, Clone)]
pub enum Resealed {
    /// An opening.
    Opening {
        /// Of which leaf.
        leaf: u64,
        /// The member of the leaf.
        field: String,
        /// Under whose key.
        subject: SubjectHandle,
        /// Salt and value, encrypted.
        sealed: Vec<u8>,
    },
    /// The evidence of an acknowledgement.
    Evidence {
        /// Its row.
        row: u64,
        /// Under whose key.
        subject: SubjectHandle,
        /// Signature and certificate, encrypted.
        sealed: Vec<u8>,
    },
    /// A kept answer.
    Answer {
        /// Its row.
        row: u64,
        /// What it was.
        clear: Vec<u8>,
        /// The answer, sealed by the caller.
        response: Vec<u8>,
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
    /// Under whose key.
    pub subject: SubjectHandle,
    /// Stored bytes of the units it names, each file once.
    pub units: Vec<(Arc<FileIndex>, IntervalSet)>,
    /// The `receipt` leaf.
    pub leaf: LeafRef,
}
