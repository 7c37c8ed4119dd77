//! The kinds of entry this version writes.

use std::fmt;
use std::str::FromStr;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What an entry records; the member `kind`.
        ///
        /// Readers meet kinds of later versions too, so a parsed leaf keeps its kind as text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum LeafKind { $($(#[$doc])* $name,)* }

        impl LeafKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The text in the leaf.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// An export decision, whatever its effect.
    Decision = "decision",
    /// A live stream was ended.
    Cut = "cut",
    /// A lease ended; commits to its grants and totals.
    LeaseClose = "lease_close",
    /// An operator's act on the node.
    Admin = "admin",
    /// A participant was added, suspended or resumed.
    Participant = "participant",
    /// A dataset version was registered.
    CatalogRegister = "catalog_register",
    /// A version was submitted for approval.
    CatalogSubmit = "catalog_submit",
    /// A version was approved.
    CatalogApprove = "catalog_approve",
    /// A version was published.
    CatalogPublish = "catalog_publish",
    /// A version was suspended.
    CatalogSuspend = "catalog_suspend",
    /// A version was withdrawn.
    CatalogWithdraw = "catalog_withdraw",
    /// An offer was accepted or an agreement ended.
    Agreement = "agreement",
    /// A transfer mechanism was added, confirmed or revoked.
    Mechanism = "mechanism",
    /// A review was asked for, released or refused.
    Review = "review",
    /// Somebody read the log.
    Access = "access",
    /// A person's key was destroyed, and with it what was sealed under it.
    Erasure = "erasure",
    /// A legal hold was put on something.
    Hold = "hold",
    /// A legal hold was lifted.
    HoldRelease = "hold_release",
    /// What was past its time was deleted.
    Retention = "retention",
    /// The node started and found leases in doubt.
    Recovery = "recovery",
    /// The node stopped granting by itself.
    Halt = "halt",
    /// A set of local rules was proposed.
    PolicyPropose = "policy_propose",
    /// A rule set was put into force, at once or for a later moment.
    PolicyPublish = "policy_publish",
    /// A rule set was taken back.
    PolicyRevoke = "policy_revoke",
    /// A participant's trust bundle changed.
    TrustSwap = "trust_swap",
    /// A participant's revocation list changed.
    CrlSwap = "crl_swap",
    /// A stored version no longer matches its digests.
    Quarantine = "quarantine",
    /// The gateway shows another server certificate.
    CertRotate = "cert_rotate",
    /// The log's key changed.
    KeyRotate = "key_rotate",
    /// A claim on an incentive programme was filed, released or refused.
    Claim = "claim",
    /// The node's clock jumped.
    ClockAnomaly = "clock_anomaly",
}

impl fmt::Display for LeafKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of leaf")]
pub struct UnknownKindError(String);

impl FromStr for LeafKind {
    type Err = UnknownKindError;

    fn from_str(text: &str) -> Result<Self, UnknownKindError> {
        let known = Self::ALL.iter().find(|kind| kind.as_str() == text);
        known.copied().ok_or_else(|| UnknownKindError(crate::tree::shorten(text)))
    }
}
