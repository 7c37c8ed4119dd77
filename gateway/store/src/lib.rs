//! Durable records: the one writer over SQLite, the published log, and the files of corpora.
//!
//! | module | does |
//! |---|---|
//! | [`transaction`] | what one commit may contain, what it may expect, and how it fails |
//! | [`records`] | opening a data directory; committing and reading |
//! | [`reader`] | what can be read back |
//! | [`publisher`] | new leaves into tiles, a signed checkpoint within a second |
//! | [`objects`], [`uploads`] | content-addressed files, and files on their way in |
//! | [`mod@crashpoint`] | where tests kill the process |
//! | [`scrub`] | reads all of it again, and names what is not what was written |
//! | [`witness`] | what a witness has seen of each log: a database of its own |
//! | [`durable`] | files that are whole and on disk, or not there |
//!
//! *Recorded* means: the future of [`Records::commit`] resolved, so the transaction is synced under leaf indices that
//! are never reused. Nothing else counts as recorded. A failed sync ends the process with status 74: what the kernel
//! dropped cannot be asked for again, and the next start recovers from what is really there.

mod ballast;
pub mod crashpoint;
pub mod durable;
mod folders;
pub mod lease;
mod lookup;
pub mod objects;
pub mod publisher;
pub mod reader;
pub mod records;
mod schema;
pub mod scrub;
pub mod transaction;
pub mod uploads;
pub mod witness;
mod writer;

pub use ballast::BALLAST_FILE;
pub use lease::{FirstStream, Lease, LeaseState, Terms};
pub use objects::{ObjectError, Objects, Spool};
pub use publisher::{
    KeyPeriod, PublishError, Published, Publisher, PublisherOptions, Resumed, WITNESSED_FILE, WitnessedSink,
    witnessed_kept,
};
pub use reader::{
    AccessRow, AccountsRow, AnswerRow, Counted, CrlRow, DatasetCount, DeliveredFilter, DeliveredRow, DenialRow, DocRow,
    EarlierAnswer, EarlierEvidence, EarlierOpening, Erased, EvidenceRow, GrantRow, LeaseFilter, LeaseRow, OpenedLeaf,
    OpeningRow, PastLease, PostingFilter, PostingRow, Reader, ReceiptRow, SealedCount, SealedEvidence, Stored,
    StoredResponse, SubjectRow,
};
pub use records::{InDoubt, OpenError, OpenOptions, ReadError, Records, Recovered};
pub use scrub::{Flaw, Place, ScrubError, Scrubbed};
pub use transaction::{
    Commit, CommitError, Committed, DocChange, DocKind, Erasure, Expect, Expired, Idempotency, LeafRef, PersonKey,
    Receipt, Resealed, SubjectHandle, SubjectKey, Transaction, Write,
};
pub use uploads::{UploadError, Uploads};
pub use witness::{WitnessStore, WitnessStoreError};
pub use writer::Written;
