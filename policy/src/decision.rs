//! The answer: what a decision says, in the order in which the specification writes it.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::evaluate::{Direction, Needed};
use crate::facts::{Ciio, DatasetClass, Dpp3, ImportantStatus, MechanismKind};
use crate::place::Place;
use crate::rules::RuleId;
use crate::word::words;

words! {
    /// What becomes of an export. The order is the order of severity.
    pub enum Effect {
        /// It may leave.
        Allow = "allow",
        /// A person has to decide.
        Review = "review",
        /// It may not leave.
        Deny = "deny",
    }
}

impl Effect {
    /// The more severe of two: deny, then review, then allow.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        self.max(other)
    }
}

/// Yearly counters, in distinct persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Persons.
    pub persons: u64,
    /// Persons whose sensitive information was exported.
    pub sensitive: u64,
}

/// One sentence in three scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// English.
    pub en: String,
    /// Simplified Chinese.
    #[serde(rename = "zh-Hans")]
    pub zh_hans: String,
    /// Traditional Chinese.
    #[serde(rename = "zh-Hant")]
    pub zh_hant: String,
}

/// Why: one for each rule of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule.
    pub rule: RuleId,
    /// The law it states.
    pub citation: String,
    /// What it means here.
    pub message: Message,
}

/// A decision with everything that a person needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The effect.
    pub effect: Effect,
    /// Across which border.
    pub direction: Direction,
    /// The mechanism that is needed.
    pub needed: Needed,
    /// The steps of the ladder that say so.
    pub basis: Vec<RuleId>,
    /// Sorted ids at the winning level; the basis if allowed.
    pub rules: Vec<RuleId>,
    /// The counters if this selection were exported.
    pub counters_after: Counters,
    /// The part of the selection that would be allowed, in request order.
    pub columns_allowed: Vec<String>,
    /// Why, one for each of `rules`.
    pub reasons: Vec<Reason>,
    /// What would help: each turns the answer into `allow`.
    pub remedies: Vec<Remedy>,
    /// Digest of the rule set.
    pub policy: String,
}

/// The more severe of two decisions; the first if they are equally severe.
///
/// For a provider registered elsewhere than its bytes lie: both places are decided.
#[must_use]
pub fn worse(first: Decision, second: Decision) -> Decision {
    if second.effect > first.effect { second } else { first }
}

/// A precondition of CN-16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precondition {
    /// Tell the persons.
    Notice,
    /// Obtain their separate consent.
    SeparateConsent,
    /// Make an impact assessment.
    Pipia,
}

/// What somebody can do about a refusal. Each was tried on the facts before it is offered, and by
/// itself turns the answer into `allow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Remedy {
    /// Ask without these columns.
    DropColumns {
        /// The columns.
        columns: Vec<String>,
    },
    /// Put one of these on file: in force, for this dataset and purpose, filed in time.
    AttachMechanism {
        /// Any of them suffices.
        any_of: Vec<MechanismKind>,
    },
    /// Record the filing, if the contract was filed by this day.
    RecordFiling {
        /// The last day that is in time.
        filed_by: Date,
    },
    /// Fulfil these and record them.
    AddPrecondition {
        /// Those that are missing.
        missing: Vec<Precondition>,
    },
    /// Name the export licence.
    NameLicence,
    /// State the source of the data.
    StateSource,
    /// Declare what was exported this year by other ways.
    RecordBaseline,
    /// Declare how many people the data are about, if not more than these.
    DeclareSubjects {
        /// Numbers up to which the answer is `allow`.
        at_most: Subset,
    },
    /// Have the dataset classified, if it is this.
    DeclareClass {
        /// Class.
        class: DatasetClass,
        /// Whether an authority named it important.
        important_status: ImportantStatus,
    },
    /// Declare that the exporter is no critical information infrastructure operator, if so.
    DeclareCiio {
        /// `no`.
        ciio: Ciio,
    },
    /// Answer the purpose test of DPP3, if one of these is true.
    AnswerDpp3 {
        /// Any of them suffices.
        any_of: Vec<Dpp3>,
    },
    /// Read from the place where the recipient is registered.
    ReadFrom {
        /// The place.
        place: Place,
    },
    /// All of these together.
    AllOf {
        /// In this order.
        steps: Vec<Remedy>,
    },
}

/// Numbers of persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subset {
    /// All.
    pub persons: u64,
    /// Those with sensitive information.
    pub sensitive: u64,
    /// Those under fourteen.
    pub under_14: u64,
}
