//! The catalog in memory: every participant, dataset, version, agreement, mechanism and review as last recorded.
//!
//! The store calls [`Catalog::apply`] in commit order before the committing request hears of it, so a caller always reads
//! what it wrote. Readers take one [`Snapshot`] per request and decide on that.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use catalog::{
    Agreement, AgreementId, Dataset, DatasetId, Mechanism, MechanismId, Participant, ParticipantId, Review, ReviewId,
    Version, VersionName,
};
use gateway_store::{DocChange, DocKind};
use policy::{Published, Timeline};
use serde::de::DeserializeOwned;

/// A document and the revision that a change must expect.
#[derive(Debug)]
pub struct Doc<T> {
    /// The document.
    pub body: T,
    /// Its revision.
    pub revision: u64,
}

impl<T> std::ops::Deref for Doc<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.body
    }
}

type Table<K, T> = Arc<BTreeMap<K, Arc<Doc<T>>>>;

/// Everything at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// By id.
    pub participants: Table<ParticipantId, Participant>,
    /// Participant by trust domain: a domain belongs to one participant.
    pub domains: Arc<BTreeMap<String, ParticipantId>>,
    /// By id.
    pub datasets: Table<DatasetId, Dataset>,
    /// By dataset and name.
    pub versions: Table<(DatasetId, VersionName), Version>,
    /// By id.
    pub agreements: Table<AgreementId, Agreement>,
    /// By id.
    pub mechanisms: Table<MechanismId, Mechanism>,
    /// By id, so from the oldest to the newest.
    pub reviews: Table<ReviewId, Review>,
    /// What participants and authorities add to the law, by owner.
    pub rulesets: Arc<Published>,
    /// Pending second signatures and other small records, by id.
    pub settings: Table<String, serde_json::Value>,
}

/// A stored document that does not parse: the store was changed by something else.
#[derive(Debug, thiserror::Error)]
#[error("stored {kind:?} `{id}` does not parse: {source}")]
pub struct SnapshotError {
    kind: DocKind,
    id: String,
    source: serde_json::Error,
}

impl Snapshot {
    fn put(&mut self, kind: DocKind, id: &str, revision: u64, body: &[u8]) -> Result<(), SnapshotError> {
        fn parse<T: DeserializeOwned>(
            kind: DocKind,
            id: &str,
            revision: u64,
            body: &[u8],
        ) -> Result<Arc<Doc<T>>, SnapshotError> {
            serde_json::from_slice(body).map(|body| Arc::new(Doc { body, revision })).map_err(|source| SnapshotError {
                kind,
                id: id.to_owned(),
                source,
            })
        }
        match kind {
            DocKind::Participant => {
                let doc: Arc<Doc<Participant>> = parse(kind, id, revision, body)?;
                Arc::make_mut(&mut self.domains).insert(doc.trust_domain.clone(), doc.id.clone());
                Arc::make_mut(&mut self.participants).insert(doc.id.clone(), doc);
            }
            DocKind::Dataset => {
                let doc: Arc<Doc<Dataset>> = parse(kind, id, revision, body)?;
                Arc::make_mut(&mut self.datasets).insert(doc.id.clone(), doc);
            }
            DocKind::Version => {
                let doc: Arc<Doc<Version>> = parse(kind, id, revision, body)?;
                Arc::make_mut(&mut self.versions).insert((doc.dataset.clone(), doc.version.clone()), doc);
            }
            DocKind::Agreement => {
                let doc: Arc<Doc<Agreement>> = parse(kind, id, revision, body)?;
                Arc::make_mut(&mut self.agreements).insert(doc.id.clone(), doc);
            }
            DocKind::Mechanism => {
                let doc: Arc<Doc<Mechanism>> = parse(kind, id, revision, body)?;
                Arc::make_mut(&mut self.mechanisms).insert(doc.id.clone(), doc);
            }
            DocKind::Review => {
                let doc: Arc<Doc<Review>> = parse(kind, id, revision, body)?;
                Arc::make_mut(&mut self.reviews).insert(doc.id.clone(), doc);
            }
            // Large, and read only when a bundle is made.
            DocKind::ClaimContents | DocKind::Closing => {}
            DocKind::RuleSet => {
                let doc: Arc<Doc<Timeline>> = parse(kind, id, revision, body)?;
                Arc::make_mut(&mut self.rulesets).put(revision, doc.body.clone());
            }
            _ => {
                let doc = parse(kind, id, revision, body)?;
                Arc::make_mut(&mut self.settings).insert(id.to_owned(), doc);
            }
        }
        Ok(())
    }

    /// The participant that a trust domain belongs to.
    pub fn participant_of(&self, trust_domain: &str) -> Option<&Arc<Doc<Participant>>> {
        self.participants.get(self.domains.get(trust_domain)?)
    }

    /// A participant by id or trust domain.
    pub fn participant(&self, name: &str) -> Option<&Arc<Doc<Participant>>> {
        ParticipantId::parse(name).ok().and_then(|id| self.participants.get(&id)).or_else(|| self.participant_of(name))
    }

    /// One version.
    pub fn version(&self, dataset: &DatasetId, version: &VersionName) -> Option<&Arc<Doc<Version>>> {
        self.versions.get(&(dataset.clone(), version.clone()))
    }

    /// The versions of a dataset in the order of registration.
    pub fn versions_of<'a>(&'a self, dataset: &'a Dataset) -> impl DoubleEndedIterator<Item = &'a Arc<Doc<Version>>> {
        dataset.versions.iter().filter_map(|version| self.version(&dataset.id, version))
    }
}

/// The current snapshot.
#[derive(Debug, Default)]
pub struct Catalog {
    current: ArcSwap<Snapshot>,
}

impl Catalog {
    /// Builds the first snapshot from every stored document.
    pub fn load(docs: impl Iterator<Item = (DocKind, String, u64, Vec<u8>)>) -> Result<Self, SnapshotError> {
        let mut snapshot = Snapshot::default();
        for (kind, id, revision, body) in docs {
            snapshot.put(kind, &id, revision, &body)?;
        }
        Ok(Self { current: ArcSwap::from_pointee(snapshot) })
    }

    /// The snapshot to decide on.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Takes committed changes, in commit order; called by the store's one writer only.
    pub fn apply(&self, changes: &[DocChange]) -> Result<(), SnapshotError> {
        let mut snapshot = Snapshot::clone(&self.current.load());
        for change in changes {
            snapshot.put(change.kind, &change.id, change.revision, &change.body)?;
        }
        self.current.store(Arc::new(snapshot));
        Ok(())
    }
}
