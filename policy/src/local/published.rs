//! Which local rules are in force when, and for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::word::words;

words! {
    /// Over whose exports the rules of an owner reach.
    pub enum Reach {
        /// Those that the owner is a party of.
        Own = "own",
        /// Everybody's: the owner is an authority.
        All = "all",
    }
}

words! {
    /// What officers did with a set.
    pub enum SetState {
        /// Waits for its activation.
        Proposed = "proposed",
        /// Two officers put it into force, at once or for later.
        Activated = "activated",
        /// Was taken back.
        Revoked = "revoked",
    }
}

words! {
    /// What a set is at a moment.
    pub enum SetStatus {
        /// Waits for its activation.
        Proposed = "proposed",
        /// Activated for a later moment.
        Scheduled = "scheduled",
        /// Decides.
        InForce = "in_force",
        /// A later set of the same owner took its place.
        Superseded = "superseded",
        /// Taken back.
        Revoked = "revoked",
    }
}

/// One set of one owner: what became of it. Its texts are stored under the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Counted by owner, from 1.
    pub version: u32,
    /// Of its texts.
    pub digest: String,
    /// Over whose exports it reaches.
    pub reach: Reach,
    /// Rules in it.
    pub rule_count: usize,
    /// What officers did with it.
    pub state: SetState,
    /// What it is for, in its owner's words.
    pub note: Option<String>,
    /// When it was proposed.
    pub proposed: Timestamp,
    /// When two officers agreed.
    pub activated: Option<Timestamp>,
    /// From when on it decides.
    pub from: Option<Timestamp>,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
    /// Why it was taken back.
    pub reason: Option<String>,
}

/// Every set of one owner, in the order of their versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Whose.
    pub owner: String,
    /// The sets.
    pub sets: Vec<Publication>,
}

impl Timeline {
    /// The set that decides at `now`. A later activation takes the place of the one before it; a revocation leaves the
    /// owner without rules until the next; one that was revoked before its moment never was in force.
    pub fn in_force(&self, now: Timestamp) -> Option<&Publication> {
        self.sets
            .iter()
            .filter_map(|set| Some((set.from?, set.activated?, set)))
            .filter(|(from, _, set)| *from <= now && set.revoked.is_none_or(|revoked| revoked > *from))
            .max_by_key(|(from, activated, set)| (*from, *activated, set.version))
            .map(|(_, _, set)| set)
            .filter(|set| set.revoked.is_none_or(|revoked| revoked > now))
    }

    /// The set of this version.
    pub fn version(&self, version: u32) -> Option<&Publication> {
        self.sets.iter().find(|set| set.version == version)
    }

    /// What the set of this version is at `now`.
    pub fn status(&self, version: u32, now: Timestamp) -> Option<SetStatus> {
        let set = self.version(version)?;
        Some(match (set.state, set.from) {
            (SetState::Proposed, _) => SetStatus::Proposed,
            (SetState::Revoked, _) => SetStatus::Revoked,
            (SetState::Activated, Some(from)) if from > now => SetStatus::Scheduled,
            (SetState::Activated, _) if self.in_force(now).is_some_and(|found| found.version == version) => {
                SetStatus::InForce
            }
            (SetState::Activated, _) => SetStatus::Superseded,
        })
    }
}

/// Every owner's timeline. Held by owner: a request asks for its two parties and the authorities, so that ten thousand
/// other owners cost it nothing.
#[derive(Debug, Clone, Default)]
pub struct Published {
    timelines: BTreeMap<String, (u64, Arc<Timeline>)>,
    /// Owners with rules that reach over everybody's exports.
    overseers: BTreeSet<String>,
}

impl Published {
    /// Takes a timeline as it is now, with the revision under which it is stored.
    pub fn put(&mut self, revision: u64, timeline: Timeline) {
        if timeline.sets.iter().any(|set| set.reach == Reach::All) {
            self.overseers.insert(timeline.owner.clone());
        }
        self.timelines.insert(timeline.owner.clone(), (revision, Arc::new(timeline)));
    }

    /// The sets that decide an export from `exporter` to `recipient` at `now`, each with its owner; nobody else's are
    /// looked at.
    pub fn in_force(&self, exporter: &str, recipient: &str, now: Timestamp) -> Vec<(&str, &Publication)> {
        let parties = [Some(exporter), Some(recipient).filter(|recipient| *recipient != exporter)];
        let others =
            self.overseers.iter().map(String::as_str).filter(|owner| *owner != exporter && *owner != recipient);
        let mut found: Vec<(&str, &Publication)> = parties
            .into_iter()
            .flatten()
            .filter_map(|owner| self.decides(owner, now))
            .chain(others.filter_map(|owner| self.decides(owner, now)).filter(|(_, set)| set.reach == Reach::All))
            .collect();
        found.sort_by_key(|(owner, _)| *owner);
        found
    }

    fn decides(&self, owner: &str, now: Timestamp) -> Option<(&str, &Publication)> {
        let (owner, (_, timeline)) = self.timelines.get_key_value(owner)?;
        Some((owner.as_str(), timeline.in_force(now)?))
    }

    /// One owner's timeline, and the revision under which it is stored.
    pub fn timeline(&self, owner: &str) -> Option<(u64, &Arc<Timeline>)> {
        self.timelines.get(owner).map(|(revision, timeline)| (*revision, timeline))
    }

    /// Every timeline, by owner.
    pub fn timelines(&self) -> impl Iterator<Item = &Arc<Timeline>> {
        self.timelines.values().map(|(_, timeline)| timeline)
    }

    /// Owners with rules that reach over everybody's exports.
    pub fn overseers(&self) -> impl Iterator<Item = &str> {
        self.overseers.iter().map(String::as_str)
    }

    /// Owners for whom a set came into force after `after`, up to `until`.
    pub fn begun(&self, after: Timestamp, until: Timestamp) -> Vec<&str> {
        let begun = |set: &Publication| {
            set.state == SetState::Activated && set.from.is_some_and(|from| after < from && from <= until)
        };
        self.timelines()
            .filter(|timeline| timeline.sets.iter().any(begun))
            .map(|timeline| timeline.owner.as_str())
            .collect()
    }

    /// Whether any set is in force at `now`.
    pub fn any_in_force(&self, now: Timestamp) -> bool {
        self.timelines().any(|timeline| timeline.in_force(now).is_some())
    }
}
