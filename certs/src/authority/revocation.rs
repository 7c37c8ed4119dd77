//! What a revocation list says of a certificate, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::AuthorityError;
use crate::identifiers::Serial;

/// Why a certificate was revoked (RFC 5280 §5.3.1; those that make sense for a leaf).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    /// Not said.
    #[default]
    Unspecified,
    /// The key is or may be in other hands.
    KeyCompromise,
    /// The person left or changed role.
    AffiliationChanged,
    /// Replaced by a new certificate.
    Superseded,
    /// No longer needed.
    CessationOfOperation,
    /// The right to it was taken back.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// All of them, for a command line's help.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The name by which flags and JSON know it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }

    pub(super) const fn to_rcgen(self) -> Option<rcgen::RevocationReason> {
        match self {
            // RFC 5280 §5.3.1: an unspecified reason is left out.
            Self::Unspecified => None,
            Self::KeyCompromise => Some(rcgen::RevocationReason::KeyCompromise),
            Self::AffiliationChanged => Some(rcgen::RevocationReason::AffiliationChanged),
            Self::Superseded => Some(rcgen::RevocationReason::Superseded),
            Self::CessationOfOperation => Some(rcgen::RevocationReason::CessationOfOperation),
            Self::PrivilegeWithdrawn => Some(rcgen::RevocationReason::PrivilegeWithdrawn),
        }
    }
}

impl std::fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for RevocationReason {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| AuthorityError::UnknownReason(text.to_owned()))
    }
}

/// One line of a revocation list to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Whose certificate.
    pub serial: Serial,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}
