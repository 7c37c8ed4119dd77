//! What the first two questions found: the step that applies, and whether the mechanism serves.

use super::{Found, Needed, Told};
use crate::rules::{Level, RuleId, RuleSet};

/// The first step of the ladder.
#[derive(Debug)]
pub(crate) struct Ladder {
    pub basis: Vec<RuleId>,
    pub step: u8,
    pub needed: Needed,
    pub counted: bool,
    pub told_by: Vec<Told>,
}

impl Default for Ladder {
    fn default() -> Self {
        Self { basis: Vec::new(), step: 0, needed: Needed::None, counted: false, told_by: Vec::new() }
    }
}

impl Ladder {
    /// Takes the steps out of `found` and keeps the lowest.
    pub(super) fn first(rules: &RuleSet, found: &mut Vec<Found>) -> Self {
        let mut ladder = Self::default();
        let mut steps: Vec<(u8, &RuleId, usize)> = Vec::new();
        found.retain(|found| match found.told {
            Told::Rule(index) => match rules.rules().get(index).map(|rule| (&rule.level, &rule.id)) {
                Some((Level::Basis { step, .. }, id)) => {
                    steps.push((*step, id, index));
                    false
                }
                _ => true,
            },
            _ => true,
        });
        steps.sort_unstable();
        let Some((first, _, index)) = steps.first().copied() else {
            return ladder;
        };
        if let Some(Level::Basis { needed, counted, .. }) = rules.rules().get(index).map(|r| &r.level) {
            (ladder.step, ladder.needed, ladder.counted) = (first, *needed, *counted);
        }
        for (_, id, index) in steps.into_iter().take_while(|(step, ..)| *step == first) {
            if ladder.basis.last() != Some(id) {
                ladder.basis.push(id.clone());
                ladder.told_by.push(Told::Rule(index));
            }
        }
        ladder
    }
}

/// What becomes of the mechanism on file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acceptance {
    None,
    Contested,
    Accepted,
}

impl Acceptance {
    /// Takes the acceptances out of `found`; an uncontested one prevails.
    pub(super) fn of(rules: &RuleSet, found: &mut Vec<Found>) -> Self {
        let mut acceptance = Self::None;
        found.retain(|found| {
            let Told::Rule(index) = found.told else {
                return true;
            };
            let Some(Level::Accept { contested }) = rules.rules().get(index).map(|r| &r.level) else {
                return true;
            };
            match (acceptance, contested) {
                (_, false) => acceptance = Self::Accepted,
                (Self::None, true) => acceptance = Self::Contested,
                _ => {}
            }
            false
        });
        acceptance
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Contested => "contested",
            Self::Accepted => "accepted",
        }
    }
}
