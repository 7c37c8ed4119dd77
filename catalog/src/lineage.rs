//! Derived data: from which inputs a version was made, and the limits that come with them.
//!
//! Data that crossed the border carry their limits into whatever is made of them (RULES.md §4, GBA-08 to GBA-10; §9, A5
//! and A7). A derived version says at least what its most restricted input says; what its manifest leaves open it inherits.

mod limits;
mod strict;
mod weaker;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::{AgreementId, DatasetId, LeaseId, Manifest, Offer, Place, VersionName};

pub use limits::{Limits, Presence};
pub use weaker::{Weaker, weaker};

/// An input that a version was made from, as the records show it when the version is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Of which dataset.
    pub dataset: DatasetId,
    /// Which version.
    pub version: VersionName,
    /// Under which agreement it was received.
    pub agreement: AgreementId,
    /// By which lease, when the manifest names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseId>,
    /// What comes with it.
    pub limits: Limits,
    /// On what terms it was received.
    pub terms: Terms,
}

/// What an accepted offer says about passing on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Trust domains.
    pub recipients: Vec<String>,
    /// Places.
    pub places: Vec<Place>,
    /// `none`, or what the licence says.
    pub onward: String,
}

impl From<&Offer> for Terms {
    fn from(offer: &Offer) -> Self {
        Self { recipients: offer.recipients.clone(), places: offer.places.clone(), onward: offer.onward.clone() }
    }
}

impl Input {
    /// `dataset@version`.
    pub fn name(&self) -> String {
        format!("{}@{}", self.dataset, self.version)
    }
}

/// Two inputs whose limits no facts can hold together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{first}` came from the mainland to Hong Kong and `{second}` from Hong Kong to the mainland, each under the contract of \
     the Greater Bay Area: what is made of both may go on to neither side (GBA-09, GBA-10); register two sets"
)]
pub struct BothWays {
    /// Received in Hong Kong.
    pub first: String,
    /// Received in the mainland.
    pub second: String,
}

/// Raises what `manifest` says to what its inputs say. `anonymised` says that an authority's officer has confirmed the
/// report that the data identify nobody: then the limits of personal information end (PIPL Art. 4), the others stay.
///
/// # Errors
/// [`BothWays`]; the manifest is then as it was.
pub fn inherit(manifest: &mut Manifest, inputs: &[Input], anonymised: bool) -> Result<(), BothWays> {
    if !anonymised {
        limits::one_way(inputs)?;
    }
    for input in inputs {
        input.limits.raise(manifest, anonymised);
    }
    Ok(())
}
