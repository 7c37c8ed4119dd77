//! The facts that can decide a rule: their names, and their values in one export.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::evaluate::Derived;
use crate::facts::{ColumnClass, Facts, MechanismKind};
use crate::rules::RuleSet;
use crate::word::words;

words! {
    /// A fact, named by its path in the facts; numbers of persons as the specification adds them up.
    pub enum Fact {
        /// Today in Asia/Shanghai.
        Now = "now",
        /// What for.
        Purpose = "purpose",
        /// Who provides.
        Exporter = "exporter.id",
        /// Where the bytes lie.
        ExporterPlace = "exporter.place",
        /// Whether the exporter operates critical information infrastructure.
        Ciio = "exporter.ciio",
        /// N: the exporter's year, this export included.
        PersonsYear = "exporter.counters.persons + P",
        /// S: likewise, sensitive information.
        SensitiveYear = "exporter.counters.sensitive + Q",
        /// Whether the year's baseline is on record.
        Baseline = "exporter.counters.baseline",
        /// Who receives.
        Recipient = "recipient.id",
        /// Where the recipient is registered.
        RecipientPlace = "recipient.place",
        /// Where it reads from.
        AccessedFrom = "recipient.accessed_from",
        /// On the list of PIPL Art. 42.
        Restricted = "recipient.restricted",
        /// For a foreign court or law-enforcement body.
        ForeignAuthority = "recipient.foreign_authority_request",
        /// Which dataset.
        Dataset = "dataset.id",
        /// Class under Data Security Law Art. 21.
        Class = "dataset.class",
        /// Whether an authority named it important.
        ImportantStatus = "dataset.important_status",
        /// Holds a state secret.
        StateSecret = "dataset.state_secret",
        /// Is a controlled item.
        ControlledItem = "dataset.controlled_item",
        /// Holds human genetic resource information.
        GeneticResource = "dataset.genetic_resource",
        /// Holds survey or precise location data.
        Geospatial = "dataset.geospatial",
        /// Whether the source is stated.
        SourceStatement = "dataset.source_statement",
        /// Where it was collected.
        CollectedIn = "dataset.collected_in",
        /// Whether domestic personal information was joined to it.
        DomesticIntroduced = "dataset.domestic_pi_introduced",
        /// Numbers of persons, if they are known.
        Subjects = "dataset.subjects",
        /// Which way it came in under the GBA contract.
        ReceivedUnder = "dataset.received_under.direction",
        /// P: persons in this selection.
        Persons = "P",
        /// Q: persons in this selection with sensitive information.
        Sensitive = "Q",
        /// Selected columns about persons.
        PersonalColumns = "columns.personal",
        /// Selected sensitive columns.
        SensitiveColumns = "columns.sensitive",
        /// Export licence.
        Licence = "licence",
        /// Kind of the mechanism on file.
        MechanismKind = "mechanism.kind",
        /// Its first day.
        MechanismEffective = "mechanism.effective",
        /// The day it was filed.
        MechanismFiled = "mechanism.filed",
        /// Its last day.
        MechanismExpires = "mechanism.expires",
        /// Datasets it covers.
        MechanismDatasets = "mechanism.datasets",
        /// Purposes it covers.
        MechanismPurposes = "mechanism.purposes",
        /// Scale of an assessment.
        MechanismPersons = "mechanism.persons_max",
        /// Years whose holiday calendar is needed and not here.
        CalendarsMissing = "calendars.missing",
        /// The persons were told.
        Notice = "preconditions.notice",
        /// They consented.
        SeparateConsent = "preconditions.separate_consent",
        /// Impact assessment.
        Pipia = "preconditions.pipia",
        /// Claimed exemption.
        Exemption = "exemption.kind",
        /// Purpose test of DPP3.
        Dpp3 = "hk.dpp3",
    }
}

impl Fact {
    /// Whether a consumer is told that this fact decided, but not what it is: the exporter's year is
    /// the business of the exporter and of an authority, and who operates critical infrastructure
    /// is not told to whoever asks for a dataset.
    pub const fn is_withheld_from_consumers(self) -> bool {
        matches!(self, Self::PersonsYear | Self::SensitiveYear | Self::Ciio)
    }

    /// The fact that a rule reads as `context.<attribute>`; `None` for what the rules work out
    /// among themselves.
    pub(super) fn of_attribute(path: &str) -> Option<Self> {
        Some(match path {
            "today" => Self::Now,
            "purpose" => Self::Purpose,
            "exporter_place" => Self::ExporterPlace,
            "ciio" => Self::Ciio,
            "persons_year" => Self::PersonsYear,
            "sensitive_year" => Self::SensitiveYear,
            "baseline" => Self::Baseline,
            "recipient" => Self::Recipient,
            "recipient_place" => Self::RecipientPlace,
            "accessed_from" => Self::AccessedFrom,
            "restricted" => Self::Restricted,
            "foreign_authority_request" => Self::ForeignAuthority,
            "dataset" => Self::Dataset,
            "class" => Self::Class,
            "important_status" => Self::ImportantStatus,
            "state_secret" => Self::StateSecret,
            "controlled_item" => Self::ControlledItem,
            "genetic_resource" => Self::GeneticResource,
            "geospatial" => Self::Geospatial,
            "source_statement" => Self::SourceStatement,
            "collected_in" => Self::CollectedIn,
            "domestic_pi_introduced" => Self::DomesticIntroduced,
            "subjects_known" => Self::Subjects,
            "received_under" | "received_under.direction" | "received_under.kind" => Self::ReceivedUnder,
            "persons" => Self::Persons,
            "sensitive" => Self::Sensitive,
            "has_personal" => Self::PersonalColumns,
            "has_sensitive" => Self::SensitiveColumns,
            "licence" => Self::Licence,
            "mechanism" | "mechanism.kind" | "mechanism.reference" => Self::MechanismKind,
            "mechanism.effective" => Self::MechanismEffective,
            "mechanism.filed" | "mechanism.filing_deadline" => Self::MechanismFiled,
            "mechanism.expires" => Self::MechanismExpires,
            "mechanism.datasets" => Self::MechanismDatasets,
            "mechanism.purposes" => Self::MechanismPurposes,
            "mechanism.persons_max" => Self::MechanismPersons,
            "notice" => Self::Notice,
            "separate_consent" => Self::SeparateConsent,
            "pipia" => Self::Pipia,
            "exemption" | "exemption.kind" | "exemption.evidence" => Self::Exemption,
            "dpp3" => Self::Dpp3,
            _ => return None,
        })
    }

    /// Its value in these facts.
    pub(super) fn value(self, rules: &RuleSet, facts: &Facts, derived: &Derived) -> FactValue {
        let given = facts.gathered();
        let (exporter, recipient, dataset) = (&given.exporter, &given.recipient, &given.dataset);
        let mechanism = given.mechanism.as_ref();
        match self {
            Self::Now => FactValue::Day(derived.today),
            Self::Purpose => FactValue::text(&given.purpose),
            Self::Exporter => FactValue::text(&exporter.id),
            Self::ExporterPlace => FactValue::text(exporter.place.as_str()),
            Self::Ciio => FactValue::text(exporter.ciio.as_str()),
            Self::PersonsYear => FactValue::Count(derived.persons_year),
            Self::SensitiveYear => FactValue::Count(derived.sensitive_year),
            Self::Baseline => FactValue::Flag(exporter.counters.baseline),
            Self::Recipient => FactValue::text(&recipient.id),
            Self::RecipientPlace => FactValue::text(recipient.place.as_str()),
            Self::AccessedFrom => FactValue::text(recipient.accessed_from.as_str()),
            Self::Restricted => FactValue::Flag(recipient.restricted),
            Self::ForeignAuthority => FactValue::Flag(recipient.foreign_authority_request),
            Self::Dataset => FactValue::text(&dataset.id),
            Self::Class => FactValue::text(dataset.class.as_str()),
            Self::ImportantStatus => FactValue::text(dataset.important_status.as_str()),
            Self::StateSecret => FactValue::Flag(dataset.state_secret),
            Self::ControlledItem => FactValue::Flag(dataset.controlled_item),
            Self::GeneticResource => FactValue::Flag(dataset.genetic_resource),
            Self::Geospatial => FactValue::Flag(dataset.geospatial),
            Self::SourceStatement => FactValue::Flag(dataset.source_statement),
            Self::CollectedIn => FactValue::texts(dataset.collected_in.iter().map(crate::place::Place::as_str)),
            Self::DomesticIntroduced => FactValue::Flag(dataset.domestic_pi_introduced),
            Self::Subjects => FactValue::or_missing(dataset.subjects, |it| FactValue::Count(it.persons.get())),
            Self::ReceivedUnder => {
                FactValue::or_missing(dataset.received_under, |it| FactValue::text(it.direction.as_str()))
            }
            Self::Persons => FactValue::Count(derived.persons),
            Self::Sensitive => FactValue::Count(derived.sensitive),
            Self::PersonalColumns => columns(facts, ColumnClass::Personal),
            Self::SensitiveColumns => columns(facts, ColumnClass::Sensitive),
            Self::Licence => FactValue::reference(given.licence.as_deref()),
            Self::MechanismKind => FactValue::or_missing(mechanism, |it| FactValue::text(it.kind.as_str())),
            Self::MechanismEffective => FactValue::or_missing(mechanism, |it| FactValue::Day(it.effective)),
            Self::MechanismFiled => FactValue::or_missing(mechanism.and_then(|it| it.filed), FactValue::Day),
            Self::MechanismExpires => FactValue::or_missing(mechanism.and_then(|it| it.expires), FactValue::Day),
            Self::MechanismDatasets => {
                FactValue::or_missing(mechanism, |it| FactValue::texts(it.datasets.iter().map(String::as_str)))
            }
            Self::MechanismPurposes => {
                FactValue::or_missing(mechanism, |it| FactValue::texts(it.purposes.iter().map(String::as_str)))
            }
            Self::MechanismPersons => {
                FactValue::or_missing(mechanism.and_then(|it| it.persons_max), |most| FactValue::Count(most.get()))
            }
            Self::CalendarsMissing => {
                let filed = mechanism.filter(|it| matches!(it.kind, MechanismKind::Sc | MechanismKind::GbaSc));
                let missing = filed.map(|it| rules.calendars().missing_after(it.effective)).unwrap_or_default();
                FactValue::List(missing)
            }
            Self::Notice => FactValue::Flag(given.preconditions.notice),
            Self::SeparateConsent => FactValue::Flag(given.preconditions.separate_consent),
            Self::Pipia => FactValue::reference(given.preconditions.pipia.as_deref()),
            Self::Exemption => FactValue::or_missing(given.exemption.as_ref(), |it| FactValue::text(it.kind.as_str())),
            Self::Dpp3 => FactValue::or_missing(given.hk, |it| FactValue::text(it.dpp3.as_str())),
        }
    }
}

/// The names of the selected columns of `least` class or stricter, in request order.
fn columns(facts: &Facts, least: ColumnClass) -> FactValue {
    FactValue::texts(facts.selected().filter(|column| column.class >= least).map(|column| column.name.as_str()))
}

/// What a fact is, or what would pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FactValue {
    /// Not there.
    Missing(()),
    /// Yes or no.
    Flag(bool),
    /// A number of persons.
    Count(u64),
    /// A day.
    Day(Date),
    /// A word, a name, a place.
    Text(String),
    /// Several of them.
    List(Vec<String>),
}

impl FactValue {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        Self::List(texts.map(str::to_owned).collect())
    }

    fn or_missing<T>(value: Option<T>, make: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Missing(()), make)
    }

    /// An empty reference counts as none.
    fn reference(text: Option<&str>) -> Self {
        Self::or_missing(text.filter(|text| !text.is_empty()), Self::text)
    }

    /// Whether there is something.
    pub(super) fn is_given(&self) -> bool {
        match self {
            Self::Missing(()) => false,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Flag(_) | Self::Count(_) | Self::Day(_) => true,
        }
    }
}
