//! Kinds of JSON documents.

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
    /// A recorded rate of exchange.
    FxRate,
    /// A payment.
    Payment,
    /// What stood on every account when a month closed.
    Closing,
    /// The rule sets of one participant.
    RuleSet,
    /// Anything small that belongs to the node.
    Setting,
}

impl DocKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Participant,
        Self::Dataset,
        Self::Version,
        Self::Agreement,
        Self::Mechanism,
        Self::Review,
        Self::Release,
        Self::Claim,
        Self::ClaimContents,
        Self::FxRate,
        Self::Payment,
        Self::Closing,
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
            Self::FxRate => "fx_rate",
            Self::Payment => "payment",
            Self::Closing => "closing",
            Self::RuleSet => "ruleset",
            Self::Setting => "setting",
        }
    }
}
