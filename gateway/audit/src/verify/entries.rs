//! What an entry says, apart from its hash: that it is a leaf, in the order of time, and that
//! its facts and the texts of its rule set are there.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::leaf::{Leaf, LeafHead, LeafKind, digest_text, facts_path};
use crate::rotation::KeyChange;

use super::report::{Fault, Found, RotationSeen, VerifyCounts};
use super::{LogFiles, Stop, read};

/// Facts digests remembered as checked. Most decisions of a day share few facts; beyond this
/// many they are forgotten and checked again, which keeps memory bounded.
const FACTS_REMEMBERED_MAX: usize = 65_536;

/// Checks the entries one after the other.
#[derive(Default)]
pub(super) struct EntryCheck {
    pub(super) first_at: Option<Timestamp>,
    pub(super) last_at: Option<Timestamp>,
    pub(super) rotations: Vec<RotationSeen>,
    facts_checked: HashSet<String>,
}

impl EntryCheck {
    /// Checks one entry; what is wrong with it comes back as the inner value.
    pub(super) fn check<F: LogFiles>(
        &mut self,
        files: &F,
        counts: &mut VerifyCounts,
        (bundle, index): (&str, u64),
        entry: &[u8],
    ) -> Result<Option<Found>, Stop> {
        let here =
            |fault, expected: String, got| Ok(Some(Found::new(fault, bundle.to_owned(), Some(index), expected, got)));
        let head = match LeafHead::read(entry) {
            Ok(head) => head,
            Err(error) => return here(Fault::Leaf, "a leaf".into(), error.to_string()),
        };
        self.first_at.get_or_insert(head.at);
        if let Some(last) = self.last_at.replace(head.at).filter(|last| head.at < *last) {
            // The time is kept at its height, or the entries after this one would seem right.
            self.last_at = Some(last);
            return here(Fault::Order, format!("a time not before {last}"), head.at.to_string());
        }
        if head.kind == LeafKind::KeyRotate.as_str() {
            match Leaf::parse(entry).map_err(|error| error.to_string()).and_then(|leaf| KeyChange::read(&leaf)) {
                Ok(KeyChange::Rotation { old, new }) => {
                    self.rotations.push(RotationSeen { index, old: old.to_string(), new: new.to_string() });
                }
                Ok(KeyChange::Retirement { .. }) => {}
                Err(why) => return here(Fault::Leaf, "a change of key that both keys signed".into(), why),
            }
        }
        // The texts of rule sets lie beside the facts, each under its own digest.
        for blob in [head.facts, head.policy].into_iter().flatten() {
            if !self.facts_checked.contains(blob)
                && let Some(found) = self.check_facts(files, counts, index, blob)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn check_facts<F: LogFiles>(
        &mut self,
        files: &F,
        counts: &mut VerifyCounts,
        index: u64,
        facts: &str,
    ) -> Result<Option<Found>, Stop> {
        let path = facts_path(facts).unwrap_or_default();
        let Some(bytes) = read(files, &path)? else {
            return Ok(Some(Found::missing(path, Some(index))));
        };
        counts.facts += 1;
        let got = digest_text(&bytes);
        if got != facts {
            let expected = facts.to_owned();
            return Ok(Some(Found::new(Fault::Facts, path, Some(index), expected, got)));
        }
        if self.facts_checked.len() >= FACTS_REMEMBERED_MAX {
            self.facts_checked.clear();
        }
        self.facts_checked.insert(got);
        Ok(None)
    }
}
