//! From a verified certificate to a principal (INV-7): identity comes from nowhere else.

use std::net::IpAddr;
use std::sync::Arc;

use catalog::{Participant, ParticipantId, Role};
use certs::Verified;
use gateway_api::{Code, Problem};
use jiff::Timestamp;

use crate::listener::{Connection, Peer};
use crate::secrets::Secrets;
use crate::snapshot::{Doc, Snapshot};
use crate::vault::Vault;

/// Who is asking: one certificate of one participant in one role.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Its participant.
    pub participant: ParticipantId,
    /// The role in its certificate, which its participant's record lists.
    pub role: Role,
    /// Whether the participant is an authority.
    pub authority: bool,
    /// The participant's record when the request came in.
    pub record: Arc<Doc<Participant>>,
    /// The certificate.
    pub verified: Arc<Verified>,
    /// The socket's peer address. Forwarding headers are never read.
    pub address: IpAddr,
    /// The connection that the request came on.
    pub connection: Connection,
}

impl Principal {
    /// Maps `peer` to a participant's principal.
    ///
    /// # Errors
    /// 401 `unauthenticated` if the certificate has ended, the trust domain belongs to no participant, the participant is
    /// suspended, or its record does not list the role.
    pub fn of(peer: &Peer, snapshot: &Snapshot, vault: &Vault, now: Timestamp) -> Result<Self, Problem> {
        let refuse = |detail: String| Err(Problem::new(Code::Unauthenticated, detail));
        let spiffe = peer.verified.spiffe();
        let domain = spiffe.trust_domain().as_str();
        // A connection may outlive its certificate or its issuer's revocation list; a request on it may not.
        if peer.verified.valid_until() < now {
            return refuse(
                "the certificate or its issuer's revocation list has ended: connect again with a new one".to_owned(),
            );
        }
        let Some(record) = snapshot.participant_of(domain) else {
            return refuse(format!("trust domain `{domain}` belongs to no participant of this gateway"));
        };
        if !record.is_active() {
            let reason = vault.prose(record.reason.as_deref().unwrap_or("no reason on record"));
            return refuse(format!("participant `{}` is suspended: {reason}", record.id));
        }
        let role = spiffe.role().to_string();
        let Some(role) = Role::parse(&role).filter(|role| record.roles.contains(role)) else {
            return refuse(format!("participant `{}` has no role `{role}` here: its record lists others", record.id));
        };
        Ok(Self {
            participant: record.id.clone(),
            role,
            authority: record.authority,
            record: Arc::clone(record),
            verified: Arc::clone(&peer.verified),
            address: peer.addr.ip(),
            connection: peer.connection.clone(),
        })
    }

    /// The SPIFFE id as text: an identifier of a natural person, never logged (INV-10).
    pub fn spiffe(&self) -> String {
        self.verified.spiffe().to_string()
    }

    /// The principal as the store keeps it: the same for every certificate of one SPIFFE id.
    pub fn keyed(&self, secrets: &Secrets) -> String {
        secrets.keyed("principal", self.spiffe().as_bytes())
    }

    /// The certificate as the store keeps it.
    pub fn keyed_certificate(&self, secrets: &Secrets) -> String {
        secrets.keyed("certificate", self.verified.cert_sha256().as_bytes())
    }
}
