//! What would help, each tried on the facts before it is offered.
//!
//! A remedy by itself turns the answer into `allow`. Where no single change is enough, the changes
//! that are needed together are offered as one remedy, `all-of`, reduced until none can be left out.

use crate::calendar::three_years_after;
use crate::decision::{Effect, Precondition, Remedy, Subset};
use crate::evaluate::{Direction, Outcome, evaluate_parts};
use crate::facts::{
    Ciio, Count, Dataset, DatasetClass, Dpp3, Facts, Gathered, HongKong, ImportantStatus, Mechanism, MechanismKind,
    Presence, Subjects,
};
use crate::place::AccessedFrom;
use crate::rules::RuleSet;

/// A change to the facts that somebody could bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    ReadFrom,
    DeclareCiio,
    Attach(MechanismKind),
    RecordFiling,
    AddPrecondition,
    NameLicence,
    StateSource,
    RecordBaseline,
    DeclareSubjects,
    DeclareClass,
    AnswerDpp3,
}

/// In the order in which they are offered.
const CHANGES: [Change; 10] = [
    Change::RecordFiling,
    Change::AddPrecondition,
    Change::NameLicence,
    Change::StateSource,
    Change::RecordBaseline,
    Change::DeclareSubjects,
    Change::DeclareClass,
    Change::AnswerDpp3,
    Change::DeclareCiio,
    Change::ReadFrom,
];

/// Facts to try changes on: without the column list, which no decision looks at.
#[derive(Clone)]
pub(crate) struct Trial {
    facts: Gathered,
    presence: Presence,
}

impl Trial {
    pub(crate) fn of(facts: &Facts) -> Self {
        let given = facts.gathered();
        let dataset = &given.dataset;
        // Field by field, because cloning the whole would clone ten thousand columns first.
        let light = Gathered {
            now: given.now.clone(),
            purpose: given.purpose.clone(),
            exporter: given.exporter.clone(),
            recipient: given.recipient.clone(),
            dataset: Dataset {
                id: dataset.id.clone(),
                version: dataset.version.clone(),
                collected_in: dataset.collected_in.clone(),
                columns: Vec::new(),
                ..*dataset
            },
            columns: crate::facts::Selection::All,
            licence: given.licence.clone(),
            mechanism: given.mechanism.clone(),
            preconditions: given.preconditions.clone(),
            exemption: given.exemption.clone(),
            hk: given.hk,
        };
        Self { facts: light, presence: facts.presence() }
    }

    pub(crate) fn with_presence(&self, presence: Presence) -> Self {
        Self { facts: self.facts.clone(), presence }
    }

    pub(crate) fn is_allowed(&self, rules: &RuleSet) -> bool {
        self.outcome(rules).effect == Effect::Allow
    }

    fn outcome(&self, rules: &RuleSet) -> Outcome {
        evaluate_parts(rules, &self.facts, self.presence)
    }

    fn with(&self, rules: &RuleSet, changes: &[Change]) -> Self {
        let mut trial = self.clone();
        for change in changes {
            trial.apply(rules, *change);
        }
        trial
    }

    /// Whether the facts leave room for `change`.
    fn is_open_to(&self, change: Change) -> bool {
        let (facts, personal) = (&self.facts, self.presence.personal);
        match change {
            Change::ReadFrom => facts.recipient.accessed_from.place() != Some(&facts.recipient.place),
            Change::DeclareCiio => facts.exporter.ciio == Ciio::Unknown,
            Change::Attach(_) => true,
            Change::RecordFiling => facts.mechanism.as_ref().is_some_and(|mechanism| {
                mechanism.filed.is_none() && matches!(mechanism.kind, MechanismKind::Sc | MechanismKind::GbaSc)
            }),
            Change::AddPrecondition => personal && !missing_preconditions(facts).is_empty(),
            Change::NameLicence => {
                facts.dataset.controlled_item && facts.licence.as_deref().unwrap_or_default().is_empty()
            }
            Change::StateSource => !facts.dataset.source_statement,
            Change::RecordBaseline => personal && !facts.exporter.counters.baseline,
            Change::DeclareSubjects => personal && facts.dataset.subjects.is_none(),
            Change::DeclareClass => {
                facts.dataset.class == DatasetClass::Unknown
                    || facts.dataset.important_status == ImportantStatus::Unknown
            }
            Change::AnswerDpp3 => {
                personal && facts.hk.is_none_or(|hk| matches!(hk.dpp3, Dpp3::Unknown | Dpp3::NewPurpose))
            }
        }
    }

    fn apply(&mut self, rules: &RuleSet, change: Change) {
        // Anything that is not empty will do where the rules only ask whether it is there.
        const ANY: &str = "tried";
        let facts = &mut self.facts;
        match change {
            Change::ReadFrom => {
                facts.recipient.accessed_from = AccessedFrom::Place(facts.recipient.place.clone());
            }
            Change::DeclareCiio => facts.exporter.ciio = Ciio::No,
            Change::Attach(kind) => facts.mechanism = Some(synthetic(facts, kind)),
            Change::RecordFiling => {
                let filed = filed_by(rules, facts);
                if let Some(mechanism) = &mut facts.mechanism {
                    mechanism.filed = filed;
                }
            }
            Change::AddPrecondition => {
                facts.preconditions.notice = true;
                facts.preconditions.separate_consent = true;
                facts.preconditions.pipia = Some(ANY.to_owned());
            }
            Change::NameLicence => facts.licence = Some(ANY.to_owned()),
            Change::StateSource => facts.dataset.source_statement = true,
            Change::RecordBaseline => facts.exporter.counters.baseline = true,
            Change::DeclareSubjects => self.declare(Subset { persons: 0, sensitive: 0, under_14: 0 }),
            Change::DeclareClass => {
                let (class, status) = classified(facts);
                facts.dataset.class = class;
                facts.dataset.important_status = status;
            }
            Change::AnswerDpp3 => {
                if let Some(dpp3) = dpp3_answers(facts).first() {
                    facts.hk = Some(HongKong { dpp3: *dpp3 });
                }
            }
        }
    }

    fn declare(&mut self, numbers: Subset) {
        let count = |number| Count::try_from(number).unwrap_or(Count::MAX);
        self.facts.dataset.subjects = Some(Subjects {
            persons: count(numbers.persons),
            sensitive: count(numbers.sensitive),
            under_14: count(numbers.under_14),
        });
    }

    /// The largest numbers that may be declared for the answer still to be `allow`. More people
    /// never make a decision milder, so halving the interval finds it.
    fn most_subjects(&self, rules: &RuleSet) -> Subset {
        // All of them may be among the sensitive; that some are under fourteen is another matter
        // where only harmless columns are selected, and would need an instrument at once.
        let numbers = |persons| Subset {
            persons,
            sensitive: if self.presence.sensitive { persons } else { 0 },
            under_14: if self.presence.sensitive { persons } else { 0 },
        };
        let allowed = |persons| {
            let mut trial = self.clone();
            trial.declare(numbers(persons));
            trial.is_allowed(rules)
        };
        let most = Count::MAX.get();
        if allowed(most) {
            return numbers(most);
        }
        let (mut good, mut bad) = (0, most);
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            if allowed(middle) {
                good = middle;
            } else {
                bad = middle;
            }
        }
        numbers(good)
    }

    /// How `change` is told; `others` are the changes made beside it.
    fn remedy(&self, rules: &RuleSet, change: Change, others: &[Change]) -> Remedy {
        let facts = &self.facts;
        match change {
            Change::ReadFrom => Remedy::ReadFrom { place: facts.recipient.place.clone() },
            Change::DeclareCiio => Remedy::DeclareCiio { ciio: Ciio::No },
            Change::Attach(kind) => Remedy::AttachMechanism { any_of: vec![kind] },
            Change::RecordFiling => match filed_by(rules, facts) {
                Some(filed_by) => Remedy::RecordFiling { filed_by },
                // Not reached: without a mechanism the change is not open.
                None => Remedy::AttachMechanism { any_of: Vec::new() },
            },
            Change::AddPrecondition => Remedy::AddPrecondition { missing: missing_preconditions(facts) },
            Change::NameLicence => Remedy::NameLicence,
            Change::StateSource => Remedy::StateSource,
            Change::RecordBaseline => Remedy::RecordBaseline,
            Change::DeclareSubjects => {
                Remedy::DeclareSubjects { at_most: self.with(rules, others).most_subjects(rules) }
            }
            Change::DeclareClass => {
                let (class, important_status) = classified(facts);
                Remedy::DeclareClass { class, important_status }
            }
            Change::AnswerDpp3 => Remedy::AnswerDpp3 { any_of: dpp3_answers(facts).to_vec() },
        }
    }
}

/// The remedies other than dropping columns, for facts that are not allowed.
pub(crate) fn remedies(rules: &RuleSet, trial: &Trial, direction: Direction) -> Vec<Remedy> {
    if direction == Direction::Unsupported {
        return Vec::new();
    }
    let open: Vec<Change> = CHANGES.into_iter().filter(|change| trial.is_open_to(*change)).collect();
    // Most refusals that nobody can cure end here: what all changes do not cure, no single one does.
    let Some(smallest) = together(rules, trial, &open) else {
        return Vec::new();
    };
    let mut offered = Vec::new();
    let kinds = kinds_that_help(rules, trial, &[]);
    if !kinds.is_empty() {
        offered.push(Remedy::AttachMechanism { any_of: kinds });
    }
    for change in &open {
        if trial.with(rules, &[*change]).is_allowed(rules) {
            offered.push(trial.remedy(rules, *change, &[]));
        }
    }
    if offered.is_empty() {
        let without = |left_out: Change| -> Vec<Change> {
            smallest.iter().copied().filter(|change| *change != left_out).collect()
        };
        let steps = smallest
            .iter()
            .map(|change| match change {
                Change::Attach(_) => {
                    Remedy::AttachMechanism { any_of: kinds_that_help(rules, trial, &without(*change)) }
                }
                change => trial.remedy(rules, *change, &without(*change)),
            })
            .collect();
        offered.push(Remedy::AllOf { steps });
    }
    offered
}

/// The kinds of mechanism of which any would turn the answer of `trial` with `changes` into `allow`.
fn kinds_that_help(rules: &RuleSet, trial: &Trial, changes: &[Change]) -> Vec<MechanismKind> {
    let changed = trial.with(rules, changes);
    let outcome = changed.outcome(rules);
    let mut kinds = match outcome.direction {
        Direction::CnOut => {
            vec![MechanismKind::Sc, MechanismKind::Cert, MechanismKind::GbaSc, MechanismKind::Sa]
        }
        // Nothing is needed, but a contract that is on file and broken can be renewed.
        Direction::HkOut if changed.facts.mechanism.is_some() => vec![MechanismKind::GbaSc],
        _ => return Vec::new(),
    };
    kinds.retain(|kind| changed.with(rules, &[Change::Attach(*kind)]).is_allowed(rules));
    // An assessment serves for less as well, but nobody is given one who does not need it.
    if kinds.len() > 1 {
        kinds.retain(|kind| *kind != MechanismKind::Sa);
    }
    // Where any mechanism "helps", it is not the mechanism that is missing.
    let without = {
        let mut trial = changed.clone();
        trial.facts.mechanism = None;
        trial
    };
    if outcome.direction == Direction::CnOut && without.is_allowed(rules) {
        kinds.clear();
    }
    kinds
}

/// Changes that work together and of which none can be left out, if all the open ones work at all.
fn together(rules: &RuleSet, trial: &Trial, open: &[Change]) -> Option<Vec<Change>> {
    // Recording a filing and attaching another contract are two ways of mending the same thing.
    let renewed: Vec<Change> = open.iter().copied().filter(|change| *change != Change::RecordFiling).collect();
    let attached = || {
        let kind = *kinds_that_help(rules, trial, &renewed).first()?;
        Some([renewed.as_slice(), &[Change::Attach(kind)]].concat())
    };
    let works = |changes: &[Change]| !changes.is_empty() && trial.with(rules, changes).is_allowed(rules);
    let mut changes = if works(open) { open.to_vec() } else { attached()? };
    // The changes asked for last are given up first.
    for position in (0..changes.len()).rev() {
        let mut fewer = changes.clone();
        fewer.remove(position);
        if works(&fewer) {
            changes = fewer;
        }
    }
    Some(changes)
}

/// A mechanism of `kind` as somebody could put it on file today.
fn synthetic(facts: &Gathered, kind: MechanismKind) -> Mechanism {
    let today = facts.now.today();
    Mechanism {
        kind,
        reference: String::new(),
        effective: today,
        filed: Some(today),
        expires: Some(three_years_after(today)),
        datasets: vec![facts.dataset.id.clone()],
        purposes: vec![facts.purpose.clone()],
        persons_max: None,
    }
}

/// The last day on which the contract on file can have been filed in time.
fn filed_by(rules: &RuleSet, facts: &Gathered) -> Option<jiff::civil::Date> {
    let effective = facts.mechanism.as_ref()?.effective;
    // Without a calendar, what is in time under any: ten days never hold more than ten working days.
    let sure = || effective.checked_add(jiff::Span::new().days(10)).ok();
    rules.calendars().filing_deadline(effective).or_else(sure)
}

fn missing_preconditions(facts: &Gathered) -> Vec<Precondition> {
    let given = &facts.preconditions;
    let pipia = !given.pipia.as_deref().unwrap_or_default().is_empty();
    [
        (given.notice, Precondition::Notice),
        (given.separate_consent, Precondition::SeparateConsent),
        (pipia, Precondition::Pipia),
    ]
    .into_iter()
    .filter_map(|(there, precondition)| (!there).then_some(precondition))
    .collect()
}

fn classified(facts: &Gathered) -> (DatasetClass, ImportantStatus) {
    let class = match facts.dataset.class {
        DatasetClass::Unknown => DatasetClass::General,
        known => known,
    };
    let status = match facts.dataset.important_status {
        ImportantStatus::Unknown => ImportantStatus::No,
        known => known,
    };
    (class, status)
}

/// The answers to DPP3 that would do: a purpose that is known to be new needs consent.
fn dpp3_answers(facts: &Gathered) -> &'static [Dpp3] {
    match facts.hk {
        Some(HongKong { dpp3: Dpp3::NewPurpose }) => &[Dpp3::Consented, Dpp3::ResearchExempt],
        _ => &[Dpp3::SamePurpose, Dpp3::Consented, Dpp3::ResearchExempt],
    }
}
