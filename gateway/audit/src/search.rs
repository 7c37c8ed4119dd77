//! Finding entries, and knowing whose they are.

use jiff::Timestamp;

use crate::leaf::Leaf;

/// Members whose value is a participant's id; the list `parties` holds further ones.
pub const PARTY_MEMBERS: [&str; 4] = ["participant", "provider", "consumer", "broker"];

/// What an entry must have to be found. An absent condition is met by every entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeafFilter {
    /// A participant that the entry names in any role.
    pub participant: Option<String>,
    /// The dataset's id.
    pub dataset: Option<String>,
    /// One of the rules that decided. An entry with more than 64 rules carries only their
    /// digest and is not found by rule.
    pub rule: Option<String>,
    /// `allow`, `deny` or `review`.
    pub effect: Option<String>,
    /// The kind of entry.
    pub kind: Option<String>,
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
}

impl LeafFilter {
    /// Whether `leaf` meets every condition.
    pub fn matches(&self, leaf: &Leaf) -> bool {
        let text =
            |member, wanted: &Option<String>| wanted.as_deref().is_none_or(|wanted| leaf.text(member) == Some(wanted));
        self.from.is_none_or(|from| from <= leaf.at())
            && self.to.is_none_or(|to| leaf.at() < to)
            && text("kind", &self.kind)
            && text("dataset", &self.dataset)
            && text("effect", &self.effect)
            && self.rule.as_deref().is_none_or(|rule| leaf.list("rules").any(|id| id == rule))
            && self.participant.as_deref().is_none_or(|id| parties(leaf).contains(&id))
    }
}

/// The participants that the entry names, each once: those whose people may read it.
pub fn parties(leaf: &Leaf) -> Vec<&str> {
    let named = PARTY_MEMBERS.iter().filter_map(|member| leaf.text(member));
    let mut parties: Vec<_> = named.chain(leaf.list("parties")).collect();
    parties.sort_unstable();
    parties.dedup();
    parties
}

#[cfg(test)]
mod tests;
