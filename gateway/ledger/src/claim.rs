//! Claims: what a participant asks of a programme, frozen with all it rests on, and the bundle that a stranger verifies
//! without a network.
//!
//! The gateway freezes [`Contents`] when a claim is filed and records the digest of [`Claim`] in the log; a second person
//! of another participant releases it. [`bundle::files`] puts contents, leaves, proofs, keys and a verifier of its own
//! (`verify.py`) together, [`zip::pack`] makes them one file, always the same, and [`verify::verify`] takes it apart.

mod annex;
pub mod bundle;
mod contents;
mod converted;
mod face;
mod opened;
mod shares;
mod verify;
mod witnessed;
pub mod zip;

pub use annex::{Annex, Closed, Contract, Signed, account};
pub use bundle::{Evidence, ProvenLeaf};
pub use contents::{Claim, ClaimError, Contents, Party, Sold, Statements};
pub use converted::{AtRate, RATE_KIND, rate};
pub use opened::{Opened, SignatureCheck};
pub use shares::Shares;
pub use verify::{Fault, Trust, Verified, verify};
pub use witnessed::in_time;
