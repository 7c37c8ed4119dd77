//! Mechanisms with their deadlines, and what of them is due.

use catalog::{Mechanism, MechanismState};
use gateway_api::mechanism::MechanismView;
use jiff::Timestamp;
use policy::{OnFile, RuleSet, Upkeep};

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

/// As the API shows it.
pub fn view<'a>(gateway: &Shared, mechanism: &'a Mechanism, now: Timestamp) -> MechanismView<'a> {
    let Upkeep { deadlines, warnings } = upkeep(&gateway.rules, mechanism, now);
    MechanismView { mechanism, deadlines, warnings }
}
