//! The nouns of the border post: participants, datasets and their versions, column classes, offers,
//! agreements, mechanisms, jurisdictions; and the inspection of a corpus.
//!
//! Pure: no clock, no files, no network. Bytes and `now` come in as arguments.

pub mod admit;
pub mod agreement;
pub mod column;
pub mod convert;
pub mod dataset;
pub mod digest;
pub mod file_index;
mod guard;
pub mod id;
pub mod inspect;
pub mod layout;
pub mod lineage;
pub mod manifest;
pub mod mechanism;
pub mod offer;
pub mod participant;
pub mod place;
pub mod quality;
pub mod review;
pub mod scan;
pub mod subject;

pub use agreement::{Agreement, AgreementState};
pub use column::ColumnClass;
pub use dataset::{Dataset, FileEntry, SourceFile, Version, VersionState};
pub use digest::Digest;
pub use file_index::{FileIndex, Region, RegionKind};
pub use id::{
    AgreementId, DatasetId, IdError, LeaseId, MechanismId, ParticipantId, Purpose, ReleaseId, ReviewId, VersionName,
};
pub use manifest::{Manifest, ManifestError};
pub use mechanism::{Document, Filing, Mechanism, MechanismKind, MechanismState};
pub use offer::{EvidenceKind, Fee, Minor, Offer, Price, PriceModel, Vat};
pub use participant::{Participant, ParticipantState, Role};
pub use place::{Place, PlaceError};
pub use review::{Misfit, Release, Review, ReviewAnswer, ReviewState};
