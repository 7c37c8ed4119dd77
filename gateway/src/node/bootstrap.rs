//! The first participants: the operator's and the first authority, from the configuration. Everybody else is added over
//! the API. A participant that is in the store already is left as it is.

use catalog::participant::Baseline;
use catalog::{Participant, ParticipantState};
use gateway_store::{CommitError, DocKind, Records, Transaction};
use serde_json::json;

use super::{NodeError, read};
use crate::clock;
use crate::config::Config;
use crate::gateway::{absent, put};
use crate::leaf;
use crate::snapshot::Catalog;

/// A file can neither sign nor confirm.
fn declared(baseline: &Baseline) -> Baseline {
    Baseline::declared(baseline.persons, baseline.sensitive)
}

/// Records the configured participants that are not there yet.
pub async fn participants(config: &Config, records: &Records, catalog: &Catalog) -> Result<(), NodeError> {
    for entry in &config.participants {
        if catalog.snapshot().participants.contains_key(&entry.id) {
            continue;
        }
        let now = clock::now();
        let participant = Participant {
            id: entry.id.clone(),
            trust_domain: entry.trust_domain.clone(),
            names: entry.names.clone(),
            place: entry.place.clone(),
            roles: entry.roles.clone(),
            authority: entry.authority,
            registration: entry.registration.clone(),
            ciio: entry.ciio,
            affiliates: std::collections::BTreeSet::new(),
            restricted: false,
            foreign_authority_request: false,
            address_ranges: entry.address_ranges.clone(),
            baselines: entry.baselines.iter().map(|(year, baseline)| (*year, declared(baseline))).collect(),
            state: ParticipantState::Active,
            reason: None,
            ca: read(&entry.ca)?,
            crl: Some(read(&entry.crl)?),
            added: now,
        };
        let mut transaction = Transaction::new(now);
        let mut members = leaf::of("participant");
        members.insert("parties".to_owned(), json!([participant.id]));
        members.insert("trust_domain".to_owned(), json!(participant.trust_domain));
        members.insert("roles".to_owned(), json!(participant.roles));
        members.insert("bootstrap".to_owned(), json!(true));
        transaction.leaf(members);
        transaction.expect.push(absent(DocKind::Participant, participant.id.to_string()));
        transaction.writes.push(put(DocKind::Participant, participant.id.to_string(), &participant));
        match records.commit(transaction).await {
            Ok(_) | Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(NodeError::Bootstrap(error.to_string())),
        }
    }
    Ok(())
}
