//! Whose certificates count: the trust store in force, rebuilt from the participants' records whenever one changes.
//!
//! After an exchange every open connection is judged again; one whose certificate no longer passes (its serial revoked,
//! its authority gone) is dropped, and its streams with it (INV-8).

use std::sync::Arc;

use catalog::Participant;
use certs::rustls_verifier::SharedTrust;
use certs::trust::CrlStatus;
use certs::{CrlNumber, TrustDomain, TrustStore, TrustStoreBuilder};
use gateway_api::{Code, Problem};
use gateway_store::Write;
use jiff::Timestamp;

use crate::clock;
use crate::gateway::Gateway;
use crate::listener::Connections;
use crate::snapshot::Snapshot;

/// The trust in force and the connections that it let in.
#[derive(Debug, Clone)]
pub struct Trust {
    shared: Arc<SharedTrust>,
    connections: Connections,
}

fn domain(text: &str) -> Result<TrustDomain, Problem> {
    text.parse::<TrustDomain>().map_err(|error| Problem::new(Code::BadInput, error.to_string()))
}

/// The store that the participants' records make. A record that cannot be used is left out, which denies its principals
/// and nobody else.
pub fn store(snapshot: &Snapshot) -> TrustStore {
    let mut builder = TrustStoreBuilder::new();
    for participant in snapshot.participants.values() {
        let added =
            participant.trust_domain.parse::<TrustDomain>().map_err(|error| error.to_string()).and_then(|domain| {
                builder
                    .add_domain(domain, &participant.ca, participant.crl.as_deref())
                    .map_err(|error| error.to_string())?;
                Ok(())
            });
        if let Err(error) = added {
            tracing::error!(participant = %participant.id, error, "the trust bundle cannot be used: its principals are denied");
        }
    }
    builder.build()
}

impl Trust {
    /// The trust of `snapshot`.
    pub fn new(snapshot: &Snapshot, connections: Connections) -> Self {
        Self { shared: SharedTrust::new(store(snapshot)), connections }
    }

    /// What handshakes are judged by.
    pub fn shared(&self) -> &Arc<SharedTrust> {
        &self.shared
    }

    /// Open connections.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Puts the trust of `snapshot` in force and drops the connections that no longer pass. Gives how many those were.
    pub fn exchange(&self, snapshot: &Snapshot) -> usize {
        self.shared.store(store(snapshot));
        let (trust, now) = (self.shared.load(), clock::now());
        self.connections.kill_where(|connection| trust.verify(connection.chain(), now).is_err())
    }

    /// Whether these authorities and lists can be a participant's: readable, and nobody else's.
    pub fn check_domain(
        &self,
        trust_domain: &str,
        ca: &str,
        crl: Option<&str>,
        snapshot: &Snapshot,
    ) -> Result<(), Problem> {
        let name = domain(trust_domain)?;
        let mut builder = TrustStoreBuilder::new();
        for other in snapshot.participants.values().filter(|other| other.trust_domain != trust_domain) {
            if let Ok(other_domain) = other.trust_domain.parse::<TrustDomain>() {
                // Another's broken record is not this one's fault.
                let _ = builder.add_domain(other_domain, &other.ca, None);
            }
        }
        builder.add_domain(name, ca, crl).map(|_| ()).map_err(|error| Problem::new(Code::BadInput, error.to_string()))
    }

    /// Whether `crl` may replace the participant's revocation list: of one of its authorities, fresh, of a higher number.
    pub fn check_crl(&self, participant: &Participant, crl: &str, now: Timestamp) -> Result<Vec<CrlStatus>, Problem> {
        self.shared
            .load()
            .check_crl(&domain(&participant.trust_domain)?, crl, now)
            .map_err(|error| Problem::new(Code::BadInput, error.to_string()))
    }
}

impl Gateway {
    /// The writes that remember the numbers of `lists`, so that no older one is ever taken, whatever becomes of the
    /// participant's record in between.
    pub fn crl_numbers(&self, lists: &[CrlStatus]) -> Result<Vec<Write>, Problem> {
        let mut writes = Vec::with_capacity(lists.len());
        for list in lists {
            let (issuer, number) = (list.issuer_key.to_string(), list.number.as_be_bytes().to_vec());
            let known = self.look(|reader| reader.crl_number(&issuer))?;
            // As numbers: the store keeps the magnitude without its leading zeros.
            let may_follow = |known: &[u8]| CrlNumber::from_be_bytes(known).is_ok_and(|known| known <= list.number);
            if known.is_some_and(|known| !may_follow(&known.number)) {
                let detail = format!("the revocation list has number {}, and a newer one is known", list.number);
                return Err(Problem::new(Code::BadInput, detail));
            }
            writes.push(Write::CrlNumber { issuer, number });
        }
        Ok(writes)
    }

    /// Puts the participants' records in force.
    pub fn reload_trust(&self) -> Result<(), Problem> {
        let dropped = self.trust.exchange(&self.snapshot());
        if dropped > 0 {
            tracing::info!(dropped, "connections dropped whose certificates no longer pass");
        }
        Ok(())
    }
}
