//! Mechanisms with their deadlines, and what of them is due.

use catalog::{Mechanism, MechanismState};
use gateway_api::mechanism::MechanismView;
use jiff::Timestamp;
use policy::{Deadline, Duty, OnFile, RuleSet, Upkeep};

use crate::admission::judge::offered;
use crate::clock;
use crate::gateway::Shared;

/// The deadlines of a mechanism, and what is due today; nothing of one that is revoked.
pub fn upkeep(rules: &RuleSet, mechanism: &Mechanism, now: Timestamp) -> Upkeep {
    if mechanism.state == MechanismState::Revoked {
        return Upkeep::default();
    }
    let on_file =
        OnFile { confirmed: mechanism.state == MechanismState::Confirmed, filing_waits: mechanism.filing.is_some() };
    policy::upkeep(rules.calendars(), &offered(mechanism), on_file, clock::today(now))
}

/// Until when an export may rest on it, if nothing else is recorded: it ends, or its filing is due. A lease of the last day
/// does not live on into the day on which the policy would deny it.
pub fn carries_until(rules: &RuleSet, mechanism: &Mechanism, now: Timestamp) -> Timestamp {
    let binding = |deadline: &Deadline| match deadline.what {
        Duty::Expiry => true,
        Duty::File => deadline.done.is_none(),
        Duty::AskExtension | Duty::Renew => false,
    };
    let deadlines = upkeep(rules, mechanism, now).deadlines;
    let last = deadlines.into_iter().filter(binding).map(|deadline| deadline.day).min();
    last.and_then(clock::end_of).unwrap_or(Timestamp::MAX)
}

/// As the API shows it.
pub fn view<'a>(gateway: &Shared, mechanism: &'a Mechanism, now: Timestamp) -> MechanismView<'a> {
    let Upkeep { deadlines, warnings } = upkeep(gateway.rules.law(), mechanism, now);
    MechanismView { mechanism, deadlines, warnings }
}
