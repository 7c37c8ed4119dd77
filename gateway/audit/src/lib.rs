//! The audit log's pure core: what a log entry is, how entries become an RFC 6962 tree in
//! C2SP tlog-tiles form, how a checkpoint is signed, and how a third party checks all of it
//! without a network.
//!
//! Nothing here reads a clock, draws randomness or touches a file. Entries, keys, salts and
//! the bytes of tiles come in as arguments; files to be written go out as values. The store
//! makes them durable.
//!
//! | module | does |
//! |---|---|
//! | [`leaf`] | builds and parses entries: RFC 8785 canonical JSON, at most 8 KiB, persons only as commitments |
//! | [`tree`] | RFC 6962 hashing, inclusion and consistency proofs |
//! | [`tiles`] | tile paths, entry bundles, the files that an append adds, reading hashes back from tiles |
//! | [`note`], [`checkpoint`] | signed notes, Ed25519 keys, the signed tree head |
//! | [`proof`] | a self-contained `.tlog-proof` of one entry |
//! | [`verify`] | the offline verifier of a whole log |
//! | [`search`] | filters, and which participants an entry names |

pub mod checkpoint;
pub mod leaf;
pub mod note;
pub mod proof;
pub mod search;
pub mod tiles;
pub mod tree;
pub mod verify;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use leaf::{Leaf, LeafDraft, LeafError, LeafKind};
pub use note::{Ed25519Signer, Note, NoteError, Signer, VerifierKey};
pub use proof::LogProof;
pub use search::LeafFilter;
pub use tiles::{TileBuilder, TilePath, TileReader};
pub use tree::NodeHash;
pub use verify::{LogFiles, VerifyFinding, VerifyReport};
