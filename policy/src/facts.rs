//! The facts of one export, as the gateway gathers them and as JSON carries them.

mod error;
mod json;
mod read;
mod time;
mod value;

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

pub use error::FactsError;
pub use read::FACTS_BYTES_MAX;
pub use time::{Moment, MomentError};
pub use value::{Count, CountError};

use crate::place::{AccessedFrom, Place};
use crate::word::words;

words! {
    /// Whether the exporter operates critical information infrastructure; unknown counts as yes.
    pub enum Ciio { Yes = "yes", No = "no", Unknown = "unknown" }
}
words! {
    /// The class of a dataset under Data Security Law Art. 21.
    pub enum DatasetClass { Core = "core", Important = "important", General = "general", Unknown = "unknown" }
}
words! {
    /// Whether an authority has said that the dataset is important data.
    pub enum ImportantStatus {
        No = "no", Notified = "notified", Published = "published",
        SelfSuspected = "self_suspected", Unknown = "unknown",
    }
}
words! {
    /// What a column says about people. The order is from harmless to sensitive.
    pub enum ColumnClass { None = "none", Personal = "personal", Sensitive = "sensitive" }
}
words! {
    /// The instrument under which a dataset came to its present holder.
    pub enum ReceivedKind { GbaSc = "gba_sc" }
}
words! {
    /// Which way a dataset came in.
    pub enum ReceivedDirection { ToHongKong = "CN->HK", ToMainland = "HK->CN" }
}
words! {
    /// Instruments that let personal information or important data leave the mainland.
    pub enum MechanismKind { GbaSc = "gba_sc", Sc = "sc", Cert = "cert", Sa = "sa" }
}
words! {
    /// Grounds on which the Provisions of 2024 (Art. 4, 5) waive the instruments.
    pub enum ExemptionKind {
        Transit = "transit", IndividualContract = "individual-contract", Hr = "hr", Emergency = "emergency",
    }
}
words! {
    /// How the purpose relates to the purpose of collection (PDPO, DPP3).
    pub enum Dpp3 {
        SamePurpose = "same-purpose", Consented = "consented", ResearchExempt = "research-exempt",
        NewPurpose = "new-purpose", Unknown = "unknown",
    }
}

/// Everything that a decision depends on, named and nested as in the JSON of the specification.
///
/// Public fields: the gateway fills them in from its own records, never from the request. Make
/// [`Facts`] of it to be sure that it is consistent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gathered {
    /// When the export is asked for; counts by its day in Asia/Shanghai.
    pub now: Moment,
    /// The purpose that the agreement names.
    pub purpose: String,
    /// The provider, where the bytes lie.
    pub exporter: Exporter,
    /// The consumer.
    pub recipient: Recipient,
    /// The version asked for.
    pub dataset: Dataset,
    /// The columns asked for.
    pub columns: Selection,
    /// Reference of an export licence for a controlled item; empty counts as none.
    pub licence: Option<String>,
    /// The instrument on file that is tried.
    pub mechanism: Option<Mechanism>,
    /// What Provisions Art. 10 and PIPL Art. 39, 55 ask of every export of personal information.
    pub preconditions: Preconditions,
    /// A claimed exemption.
    pub exemption: Option<Exemption>,
    /// Hong Kong facts.
    pub hk: Option<HongKong>,
}

/// The exporting party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exporter {
    /// Participant id.
    pub id: String,
    /// Where the bytes lie.
    pub place: Place,
    /// Critical information infrastructure operator?
    pub ciio: Ciio,
    /// What it has exported since 1 January.
    pub counters: ExporterCounters,
}

/// Distinct persons exported this year (Asia/Shanghai), without this export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ExporterCounters {
    /// Persons.
    pub persons: Count,
    /// Persons whose sensitive information was exported.
    pub sensitive: Count,
    /// Whether the exporter has declared what left by other ways than this gateway.
    pub baseline: bool,
}

/// The receiving party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recipient {
    /// Participant id.
    pub id: String,
    /// Registered place.
    pub place: Place,
    /// Where it reads from.
    pub accessed_from: AccessedFrom,
    /// On the list of PIPL Art. 42.
    pub restricted: bool,
    /// Whether the request serves a foreign court or law enforcement body (DSL Art. 36).
    pub foreign_authority_request: bool,
}

/// The dataset version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dataset {
    /// Dataset id.
    pub id: String,
    /// Version.
    pub version: String,
    /// Class.
    pub class: DatasetClass,
    /// Whether it was notified or published as important.
    pub important_status: ImportantStatus,
    /// Holds a state secret.
    pub state_secret: bool,
    /// Is a controlled item under export control.
    pub controlled_item: bool,
    /// Holds human genetic resource information.
    pub genetic_resource: bool,
    /// Holds surveying or precise location data.
    pub geospatial: bool,
    /// Whether the provider has stated the source (DSL Art. 33).
    pub source_statement: bool,
    /// Where it was collected.
    pub collected_in: Vec<Place>,
    /// Whether personal information or important data of the mainland was joined to it.
    pub domestic_pi_introduced: bool,
    /// Every leaf column, in source order.
    pub columns: Vec<PolicyColumn>,
    /// How many persons it is about; `None` if not known.
    pub subjects: Option<Subjects>,
    /// How it came to its present holder, if under the GBA contract.
    pub received_under: Option<ReceivedUnder>,
}

/// A column and its class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyColumn {
    /// Name, dotted if nested.
    pub name: String,
    /// Class.
    pub class: ColumnClass,
}

/// Distinct persons in a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Subjects {
    /// All.
    pub persons: Count,
    /// Those with sensitive information.
    pub sensitive: Count,
    /// Those under fourteen.
    pub under_14: Count,
}

/// How a dataset came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReceivedUnder {
    /// Under what.
    pub kind: ReceivedKind,
    /// Which way.
    pub direction: ReceivedDirection,
}

/// The selected columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Every column, in dataset order.
    All,
    /// These, in this order.
    Named(Vec<String>),
}

impl Serialize for Selection {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("*"),
            Self::Named(names) => names.serialize(serializer),
        }
    }
}

/// An instrument on file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mechanism {
    /// Kind.
    pub kind: MechanismKind,
    /// Filing, certificate or approval number.
    pub reference: String,
    /// First day in force.
    pub effective: Date,
    /// Day it was filed with the authority.
    pub filed: Option<Date>,
    /// Last day in force.
    pub expires: Option<Date>,
    /// Dataset ids it covers; `*` covers any.
    pub datasets: Vec<String>,
    /// Purposes it covers; `*` covers any.
    pub purposes: Vec<String>,
    /// Scale of a security assessment.
    pub persons_max: Option<Count>,
}

/// Preconditions of every export of personal information.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preconditions {
    /// The persons were told.
    pub notice: bool,
    /// They consented to the export separately.
    pub separate_consent: bool,
    /// Reference of the impact assessment; empty counts as none.
    pub pipia: Option<String>,
}

/// A claimed exemption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exemption {
    /// Ground.
    pub kind: ExemptionKind,
    /// Digest or reference of the evidence; empty counts as none.
    pub evidence: Option<String>,
}

/// Hong Kong facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HongKong {
    /// Purpose test of DPP3.
    pub dpp3: Dpp3,
}

/// Facts that are consistent: column names are unique, and every selected column exists once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    gathered: Gathered,
    /// Positions in `dataset.columns`, in request order.
    // INVARIANT (selection): every position is below `dataset.columns.len()`, none occurs twice.
    selected: Vec<usize>,
    presence: Presence,
}

/// Which classes a selection holds: all that a decision takes from the columns, so that its cost
/// does not grow with their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Presence {
    /// Some column is personal or sensitive.
    pub personal: bool,
    /// Some column is sensitive.
    pub sensitive: bool,
}

impl Facts {
    /// Checks what the types cannot: unique columns, and a selection that exists.
    pub fn new(gathered: Gathered) -> Result<Self, FactsError> {
        let mut position = HashMap::with_capacity(gathered.dataset.columns.len());
        for (index, column) in gathered.dataset.columns.iter().enumerate() {
            if let Some(first) = position.insert(column.name.as_str(), index) {
                return Err(FactsError::Repeated {
                    path: format!("facts.dataset.columns[{index}].name"),
                    name: shorten(&column.name),
                    first,
                });
            }
        }
        let selected = match &gathered.columns {
            Selection::All => (0..gathered.dataset.columns.len()).collect(),
            Selection::Named(names) => {
                let mut seen = HashMap::with_capacity(names.len());
                let mut selected = Vec::with_capacity(names.len());
                for (index, name) in names.iter().enumerate() {
                    let path = || format!("facts.columns[{index}]");
                    if let Some(first) = seen.insert(name.as_str(), index) {
                        return Err(FactsError::Repeated { path: path(), name: shorten(name), first });
                    }
                    let Some(&column) = position.get(name.as_str()) else {
                        return Err(FactsError::NoSuchColumn { path: path(), name: shorten(name) });
                    };
                    selected.push(column);
                }
                selected
            }
        };
        let mut presence = Presence::default();
        for class in selected.iter().filter_map(|i| gathered.dataset.columns.get(*i)).map(|c| c.class) {
            presence.personal |= class != ColumnClass::None;
            presence.sensitive |= class == ColumnClass::Sensitive;
        }
        Ok(Self { gathered, selected, presence })
    }

    /// Reads facts from the JSON of the specification, strictly.
    pub fn parse(json: &str) -> Result<Self, FactsError> {
        Self::new(read::gathered(json)?)
    }

    /// The same facts with another instrument: the gateway tries each that is on file.
    #[must_use]
    pub fn with_mechanism(&self, mechanism: Option<Mechanism>) -> Self {
        let mut facts = self.clone();
        facts.gathered.mechanism = mechanism;
        facts
    }

    /// The same facts as if the bytes lay elsewhere: the gateway also decides for the place where a
    /// provider is registered.
    #[must_use]
    pub fn with_exporter_place(&self, place: Place) -> Self {
        let mut facts = self.clone();
        facts.gathered.exporter.place = place;
        facts
    }

    /// The same facts at another moment: whoever was let through is decided again when the rules change.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Self {
        let mut facts = self.clone();
        facts.gathered.now = Moment::from(now);
        facts
    }

    /// What was gathered.
    pub fn gathered(&self) -> &Gathered {
        &self.gathered
    }

    /// The selected columns in request order.
    pub fn selected(&self) -> impl Iterator<Item = &PolicyColumn> {
        self.selected.iter().filter_map(|index| self.gathered.dataset.columns.get(*index))
    }

    /// RFC 8785 canonical JSON: absent members are null, so that equal facts have equal bytes.
    pub fn canonical(&self) -> String {
        // Facts hold strings, booleans and integers below 2^53, so writing them cannot fail; were it
        // to, an empty text has the digest of nothing and verifies against nothing.
        serde_json_canonicalizer::to_string(&self.gathered).unwrap_or_default()
    }

    pub(crate) fn presence(&self) -> Presence {
        self.presence
    }
}

/// Keeps a peer's text from filling an error message, and its control characters from reaching a terminal.
fn shorten(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 64;
    let mut shown = String::new();
    for (number, character) in text.chars().enumerate() {
        if number == SHOWN_CHARS_MAX {
            shown.push('…');
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests;
