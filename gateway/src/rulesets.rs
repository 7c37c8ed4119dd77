//! The rules in force: the law of this release, and what participants and authorities add to it.
//!
//! Which sets of local rules there are, and when each is in force, is in the snapshot ([`policy::Published`]); their texts
//! are stored under their digests beside the facts, for ever, so that every decision can be replayed. A set is parsed when
//! it is first needed and kept; an export asks for the sets of its two parties and of authorities, and for no other.

mod live;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use catalog::Digest;
use gateway_api::{Code, Problem};
use gateway_store::{CommitError, DocKind, Expect, Records, Transaction};
use jiff::Timestamp;
use policy::{Applied, Library, LocalRules, LocalSources, Published, RuleSet, Sources};
use serde_json::json;

pub use live::{RefusedLease, refused, run};

use crate::gateway::{Gateway, absent, expect, put};
use crate::leaf;
use crate::snapshot::{Catalog, Snapshot};

/// Goes up with every change of rules that reach over everybody's exports: a decision expects it unchanged.
pub const REVISION: &str = "rulesets:all";
/// The law that was last published in the log.
const LAW: &str = "rulesets:law";
/// Rules that are kept parsed, over all sets. Beyond it all are forgotten and parsed again as they are needed.
const PARSED_RULES_MAX: usize = 100_000;

/// The law, and local rules as they are needed.
#[derive(Debug)]
pub struct RuleSets {
    law: RuleSet,
    parsed: Mutex<HashMap<String, Arc<LocalRules>>>,
}

impl RuleSets {
    /// With no local rules yet.
    pub fn new(law: RuleSet) -> Self {
        Self { law, parsed: Mutex::default() }
    }

    /// The law of this release, alone.
    pub const fn law(&self) -> &RuleSet {
        &self.law
    }

    fn parsed(&self, digest: &str) -> Option<Arc<LocalRules>> {
        self.parsed.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    fn keep(&self, rules: &Arc<LocalRules>) {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if parsed.values().map(|rules| rules.rules().len()).sum::<usize>() > PARSED_RULES_MAX {
            parsed.clear();
        }
        parsed.insert(rules.digest().to_owned(), Arc::clone(rules));
    }
}

impl Gateway {
    /// The rules in force at `now` for an export from `exporter` to `recipient`: the law alone, or with the local rules of
    /// these two and of authorities beside it. Its digest is what leaves and releases name.
    ///
    /// # Errors
    /// A set of theirs cannot be read or does not load under this release: nothing is decided without it (INV-2).
    pub fn rules_for(
        &self,
        published: &Published,
        exporter: &str,
        recipient: &str,
        now: Timestamp,
    ) -> Result<RuleSet, Problem> {
        let sets = published.in_force(exporter, recipient, now);
        if sets.is_empty() {
            return Ok(self.rules.law().clone());
        }
        let mut local = Vec::with_capacity(sets.len());
        for (owner, set) in sets {
            local.push(Applied { reach: set.reach, rules: self.local_rules(owner, &set.digest)? });
        }
        Ok(self.rules.law().with_local(local))
    }

    /// The rules of `owner` with this digest, from memory or from the store.
    pub fn local_rules(&self, owner: &str, digest: &str) -> Result<Arc<LocalRules>, Problem> {
        if let Some(rules) = self.rules.parsed(digest) {
            return Ok(rules);
        }
        let sources = self.local_sources(digest)?;
        let rules = LocalRules::parse(self.rules.law(), sources).map_err(|error| {
            tracing::error!(owner, digest, %error, "a set of local rules does not load under this release");
            let detail = format!(
                "the rules of `{owner}` do not load under this release, so nothing is decided that they have a say in: \
                 put other rules into force or revoke them"
            );
            Problem::new(Code::Unavailable, detail)
        })?;
        let rules = Arc::new(rules);
        self.rules.keep(&rules);
        Ok(rules)
    }

    /// The rules that a recorded decision names, made again of their stored texts unless they are the law alone.
    pub fn recorded_rules(&self, digest: &str) -> Result<RuleSet, Problem> {
        use crate::admission::unavailable;

        if digest == self.rules.law().digest() {
            return Ok(self.rules.law().clone());
        }
        let mut library = Library::default();
        loop {
            let missing = library.missing(digest);
            if missing.is_empty() {
                return library.set(digest).map_err(unavailable);
            }
            for digest in missing {
                let stored = Digest::parse(&digest).map_err(unavailable)?;
                let text = self.look(|reader| reader.facts(&stored))?;
                let text = text.ok_or_else(|| unavailable(format!("the text of {digest} is not stored")))?;
                let found = library.add(std::str::from_utf8(&text).map_err(unavailable)?).map_err(unavailable)?;
                if found != digest {
                    return Err(unavailable(format!("the text stored as {digest} is another")));
                }
            }
        }
    }

    /// The stored texts of local rules.
    pub fn local_sources(&self, digest: &str) -> Result<LocalSources, Problem> {
        let digest = Digest::parse(digest).map_err(crate::admission::unavailable)?;
        let text = self.look(|reader| reader.facts(&digest))?;
        let text = text.ok_or_else(|| crate::admission::unavailable(format!("the text of {digest} is not stored")))?;
        serde_json::from_slice(&text).map_err(crate::admission::unavailable)
    }
}

/// What a decision for these parties expects, so that no other rules come into force between deciding and recording.
pub fn expected(snapshot: &Snapshot, exporter: &str, recipient: &str) -> Vec<Expect> {
    let of = |owner: &str| match snapshot.rulesets.timeline(owner) {
        Some((revision, _)) => expect(DocKind::RuleSet, owner.to_owned(), revision),
        None => absent(DocKind::RuleSet, owner.to_owned()),
    };
    let all = match snapshot.settings.get(REVISION) {
        Some(doc) => expect(DocKind::Setting, REVISION.to_owned(), doc.revision),
        None => absent(DocKind::Setting, REVISION.to_owned()),
    };
    vec![of(exporter), of(recipient), all]
}

/// Stores the law of this release, and says in the log that it is in force, unless that is said already.
///
/// # Errors
/// It could not be recorded; nothing may be decided then.
pub async fn publish_law(records: &Records, catalog: &Catalog, law: &RuleSet) -> Result<(), CommitError> {
    let snapshot = catalog.snapshot();
    let stored = snapshot.settings.get(LAW);
    if stored.is_some_and(|doc| doc.body.get("digest").and_then(|digest| digest.as_str()) == Some(law.digest())) {
        return Ok(());
    }
    let now = crate::clock::now();
    let mut transaction = Transaction::new(now);
    let mut members = leaf::of("policy_publish");
    members.insert("ruleset".to_owned(), json!("law"));
    members.insert("policy".to_owned(), json!(law.digest()));
    members.insert("release".to_owned(), json!(env!("CARGO_PKG_VERSION")));
    transaction.leaf(members);
    let text = Sources::builtin().canonical().into_bytes();
    transaction.facts.push((Digest::of(&text), text));
    transaction.writes.push(put(DocKind::Setting, LAW.to_owned(), &json!({"digest": law.digest(), "since": now})));
    records.commit(transaction).await.map(|_| ())
}
