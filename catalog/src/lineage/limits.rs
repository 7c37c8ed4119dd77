//! The limits of one input.

use serde::{Deserialize, Serialize};

use super::{BothWays, Input, strict};
use crate::manifest::{DataClass, ImportantStatus, ReceivedDirection, ReceivedKind, ReceivedUnder, Subjects};
use crate::place::Side;
use crate::{ColumnClass, Manifest};

/// What comes with an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Its data class.
    pub class: DataClass,
    /// What an authority has said of it.
    pub important_status: ImportantStatus,
    /// State secret.
    pub state_secret: bool,
    /// Controlled item.
    pub controlled_item: bool,
    /// Human genetic resource information.
    pub genetic_resource: bool,
    /// Surveying and mapping data.
    pub geospatial: bool,
    /// The strictest class among the columns that were received.
    pub columns: ColumnClass,
    /// Whom it is about.
    pub subjects: Presence,
    /// Under what it crossed the border.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_under: Option<ReceivedUnder>,
    /// Mainland personal or important data are in it (Provisions Art. 4).
    pub domestic_pi_introduced: bool,
}

/// Whether anybody of a kind is in the data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Persons.
    pub persons: bool,
    /// Persons with sensitive information.
    pub sensitive: bool,
    /// Persons under 14.
    pub under_14: bool,
}

impl Presence {
    /// Whether `subjects` says that all are there who are. Not knowing is stricter than any number.
    pub(super) fn is_said_by(self, subjects: Option<Subjects>) -> bool {
        subjects.is_none_or(|subjects| {
            (!self.persons || subjects.persons > 0)
                && (!self.sensitive || subjects.sensitive > 0)
                && (!self.under_14 || subjects.under_14 > 0)
        })
    }
}

impl Limits {
    /// The limits of a version with this `manifest`, of which the columns that were received are at most of the class
    /// `columns`, and which crossed the border in the direction `crossed` under the contract of the Greater Bay Area.
    pub fn of(manifest: &Manifest, columns: ColumnClass, crossed: Option<ReceivedDirection>) -> Self {
        let (entry, compliance) = (&manifest.dataset, &manifest.compliance);
        let personal = columns.is_personal();
        let important = strict::class(entry.class) >= strict::class(DataClass::Important)
            || strict::status(entry.important_status) >= strict::status(ImportantStatus::Published);
        let from_mainland = entry.collected_in.iter().any(|place| place.side() == Side::Mainland);
        let under = |direction| ReceivedUnder { kind: ReceivedKind::GbaSc, direction };
        let sensitive = columns == ColumnClass::Sensitive;
        Self {
            class: entry.class,
            important_status: entry.important_status,
            state_secret: entry.state_secret,
            controlled_item: entry.controlled_item,
            genetic_resource: entry.genetic_resource,
            geospatial: entry.geospatial,
            columns,
            subjects: Presence {
                persons: personal,
                sensitive: sensitive && entry.subjects.is_some_and(|subjects| subjects.sensitive > 0),
                under_14: personal && entry.subjects.is_some_and(|subjects| subjects.under_14 > 0),
            },
            // The contract is about personal information: what has none is not bound by it. An earlier crossing still binds.
            received_under: compliance.received_under.or(crossed.map(under)).filter(|_| personal),
            domestic_pi_introduced: (from_mainland && (personal || important))
                || compliance.domestic_pi_introduced == Some(true),
        }
    }

    /// Raises what `manifest` says to these limits; of an `anonymised` version only those that are not about persons.
    pub(super) fn raise(&self, manifest: &mut Manifest, anonymised: bool) {
        let entry = &mut manifest.dataset;
        if strict::class(self.class) > strict::class(entry.class) {
            entry.class = self.class;
        }
        if strict::status(self.important_status) > strict::status(entry.important_status) {
            entry.important_status = self.important_status;
        }
        entry.state_secret |= self.state_secret;
        entry.controlled_item |= self.controlled_item;
        entry.genetic_resource |= self.genetic_resource;
        entry.geospatial |= self.geospatial;
        if anonymised {
            return;
        }
        entry.columns_default = entry.columns_default.map(|class| class.max(self.columns));
        for column in manifest.columns.values_mut() {
            column.class = column.class.max(self.columns);
        }
        // Numbers that leave out who is there are no numbers.
        if !self.subjects.is_said_by(entry.subjects) {
            entry.subjects = None;
        }
        let compliance = &mut manifest.compliance;
        compliance.received_under = self.received_under.or(compliance.received_under);
        if self.domestic_pi_introduced {
            compliance.domestic_pi_introduced = Some(true);
        }
    }
}

/// Facts hold one direction: two would leave nowhere to go.
pub(super) fn one_way(inputs: &[Input]) -> Result<(), BothWays> {
    let came = |direction| {
        let from = |input: &&Input| input.limits.received_under.is_some_and(|under| under.direction == direction);
        inputs.iter().find(from).map(Input::name)
    };
    match (came(ReceivedDirection::CnToHk), came(ReceivedDirection::HkToCn)) {
        (Some(first), Some(second)) => Err(BothWays { first, second }),
        _ => Ok(()),
    }
}
