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
//! | [`witness`] | cosignatures, trust policies, both sides of the witness protocol |
//! | [`rotation`] | one key of a log vouches for the next |
//! | [`search`] | filters, and which participants an entry names |
//!
//! What the store does with it, from a decision to a proof:
//!
//! ```
//! use std::collections::BTreeMap;
//! use gateway_audit::{
//!     Checkpoint, Ed25519Signer, LeafDraft, LeafKind, LogProof, Signer, TileBuilder, TilePath,
//!     TileReader,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut files = BTreeMap::new(); // stands for the log's folder
//! let signer = Ed25519Signer::from_seed("gw.example/audit", &[1; 32])?;
//!
//! // Record: the bytes go into the store's transaction, with the sealed openings.
//! let at = "2026-11-22T08:13:45Z".parse()?;
//! let salt = [2; 32]; // fresh and random in truth
//! let built = LeafDraft::new(LeafKind::Decision, at)
//!     .participant("hku")
//!     .person("spiffe://hku.hk/researcher/alice", salt)
//!     .dataset("yue-speech")
//!     .effect("allow")
//!     .build()?;
//! assert_eq!(built.openings.len(), 1);
//!
//! // Integrate: write and sync the files, in this order.
//! let mut builder = TileBuilder::new(); // or `TileBuilder::resume` after a start
//! let writes = builder.append(&[built.leaf.bytes()])?;
//! for file in writes.files {
//!     files.insert(file.path.to_string(), file.bytes);
//! }
//!
//! // Publish: first make durable that this size and root are signed, then sign.
//! let checkpoint =
//!     Checkpoint { origin: "gw.example/audit".into(), size: writes.size, root: writes.root };
//! let checkpoint = checkpoint.sign(&[&signer])?;
//! files.insert("checkpoint".into(), checkpoint.to_text().into_bytes());
//!
//! // Prove.
//! let read = |path: &TilePath| Ok::<_, std::io::Error>(files.get(&path.to_string()).cloned());
//! let hashes = TileReader::new(checkpoint.checkpoint().size, read).inclusion(0)?;
//! let proof = LogProof { extra: None, index: 0, hashes, checkpoint };
//! proof.verify(built.leaf.bytes(), Some(signer.verifier()))?;
//! # Ok(())
//! # }
//! ```

pub mod checkpoint;
pub mod disclosure;
pub mod leaf;
pub mod note;
pub mod proof;
pub mod rotation;
pub mod search;
pub mod tiles;
pub mod tree;
pub mod verify;
pub mod witness;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use disclosure::{DisclosedField, Disclosure, DisclosureError};
pub use leaf::{Leaf, LeafDraft, LeafError, LeafKind};
pub use note::{Ed25519Signer, Note, NoteError, Signer, VerifierKey};
pub use proof::LogProof;
pub use search::LeafFilter;
pub use tiles::{TileBuilder, TilePath, TileReader};
pub use tree::NodeHash;
pub use verify::{LogFiles, VerifyFinding, VerifyReport};
pub use witness::{Cosigner, CosignerKey, WitnessPolicy, Witnessed};
