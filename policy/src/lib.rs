//! The export decision: facts in, one decision out.
//!
//! A pure crate: no clock, no file, no network. The gateway gathers [`Gathered`] facts, makes
//! [`Facts`] of them once, and asks [`evaluate`] (effect and rules) or [`decide`] (also which
//! columns may leave, why, and what would help). The law is in `rules/*.cedar`, the working days in
//! `calendar/*.toml`; both are compiled in and named by [`RuleSet::digest`].
//!
//! Participants and authorities add rules of their own beside the law ([`LocalRules`]), which can only narrow it; a set is
//! tried on the worked cases ([`check`]) and on recorded decisions ([`replay`]) before it is in force.
//!
//! How the law is written in Cedar, and why there are three questions to each decision, is told in
//! `rules/README.md`.

mod because;
mod calendar;
mod context;
mod deadlines;
mod decide;
mod decision;
mod digest;
mod evaluate;
mod facts;
mod local;
mod place;
mod remedies;
mod replay;
mod rules;
mod word;

pub use because::{Because, Decided, Fact, FactValue, Helper, Passes, Passing, Weight, because};
pub use calendar::{Calendar, Calendars, Jurisdiction};
pub use deadlines::{Deadline, Duty, OnFile, Upkeep, Warning, WarningCode, upkeep};
pub use decide::{decide, decide_line, decide_lines};
pub use decision::{Counters, Decision, Effect, Message, Precondition, Reason, Remedy, Subset, worse};
pub use evaluate::{Direction, Needed, Outcome, evaluate, is_gba_eligible};
pub use facts::{
    Ciio, ColumnClass, Count, CountError, Dataset, DatasetClass, Dpp3, Exemption, ExemptionKind, Exporter,
    ExporterCounters, FACTS_BYTES_MAX, Facts, FactsError, Gathered, HongKong, ImportantStatus, Mechanism,
    MechanismKind, Moment, MomentError, PolicyColumn, Preconditions, ReceivedDirection, ReceivedKind, ReceivedUnder,
    Recipient, Selection, Subjects,
};
pub use local::{
    Applied, Casting, Failure, Flip, LOCAL_BYTES_MAX, LOCAL_FILES_MAX, LOCAL_RULES_MAX, LocalProblem, LocalRules,
    LocalRulesError, LocalSources, Publication, Published, Reach, SetState, SetStatus, Timeline, VectorReport, check,
    worked_cases,
};
pub use place::{AccessedFrom, Place, PlaceError};
pub use replay::{Library, LibraryError, Recorded, RecordedRules, instead, replay};
pub use rules::{Level, Rule, RuleId, RuleSet, RuleSetError, Sources};
