//! Tickets: opaque to their holder, sealed by this node, worthless from another certificate (DESIGN.md, Identity).

use bytes::Bytes;
use catalog::{DatasetId, Digest, Purpose, VersionName};
use gateway_api::{Code, Problem};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::admission::Ask;
use crate::gateway::Gateway;
use crate::identity::Principal;
use crate::rest::Caller;
use crate::secrets::Secrets;

/// How long a ticket can be redeemed.
pub const LIFE: SignedDuration = SignedDuration::from_hours(24);

/// What one endpoint stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voucher {
    /// Dataset.
    pub dataset: DatasetId,
    /// Version.
    pub version: VersionName,
    /// Position of the file in the version.
    pub file: usize,
    /// Row groups of it.
    pub row_groups: std::ops::Range<usize>,
    /// Positions of the leaf columns that were asked for; all if absent. Names would make the tickets of wide tables long.
    pub asked: Option<Vec<usize>>,
    /// Digest of the names of the leaf columns that the schema was told for.
    pub columns: Digest,
    /// Whether columns were left out.
    pub redact: bool,
    /// What for.
    pub purpose: Purpose,
    /// SHA-256 of the certificate, keyed.
    pub certificate: String,
    /// The principal, keyed.
    pub principal: String,
    /// When it can no longer be redeemed.
    pub expires: Timestamp,
}

/// Digest of a list of names.
pub fn names(columns: &[String]) -> Digest {
    Digest::of(columns.join("\n").as_bytes())
}

impl Voucher {
    /// The request that it stands for; `leaves` are the version's leaf columns.
    pub fn ask(&self, leaves: &[String]) -> Ask {
        let name = |position: &usize| leaves.get(*position).cloned();
        Ask {
            dataset: self.dataset.clone(),
            version: Some(self.version.clone()),
            columns: self.asked.as_ref().map(|asked| asked.iter().filter_map(name).collect()),
            purpose: Some(self.purpose.clone()),
            needs_agreement: true,
        }
    }
}

/// Seals a voucher: its JSON, then a keyed hash of it.
pub fn seal(gateway: &Gateway, voucher: &Voucher) -> Bytes {
    sealed(&gateway.secrets, voucher)
}

fn sealed(secrets: &Secrets, voucher: &Voucher) -> Bytes {
    let mut ticket = serde_json::to_vec(voucher).unwrap_or_default();
    let mac = secrets.keyed("ticket", &ticket);
    ticket.extend_from_slice(mac.as_bytes());
    Bytes::from(ticket)
}

fn unsealed(secrets: &Secrets, ticket: &[u8], now: Timestamp) -> Result<Voucher, Problem> {
    let wrong = || Problem::new(Code::BadInput, "this is not a ticket of this gateway: ask GetFlightInfo for one");
    let (body, mac) = ticket.split_at_checked(ticket.len().wrapping_sub(64)).ok_or_else(wrong)?;
    if !secrets.is_keyed("ticket", body, mac) {
        return Err(wrong());
    }
    let voucher: Voucher = serde_json::from_slice(body).map_err(|_| wrong())?;
    if voucher.expires <= now {
        return Err(Problem::new(Code::BadInput, "the ticket has expired: ask GetFlightInfo for a new one"));
    }
    Ok(voucher)
}

/// Opens a ticket for the certificate that it was made for.
///
/// # Errors
/// 403 for another certificate; 400 for what is no ticket or has expired.
pub fn open(gateway: &Gateway, principal: &Principal, ticket: &[u8], now: Timestamp) -> Result<Voucher, Problem> {
    let voucher = unsealed(&gateway.secrets, ticket, now)?;
    if voucher.certificate != principal.keyed_certificate(&gateway.secrets) {
        return Err(Problem::new(
            Code::Forbidden,
            "the ticket belongs to another certificate: its own principal can `renew` it, others ask for their own",
        ));
    }
    Ok(voucher)
}

/// A ticket for the caller's certificate, from one that the same principal had.
pub fn renew(gateway: &Gateway, caller: &Caller, ticket: &[u8]) -> Result<Bytes, Problem> {
    let mut voucher = unsealed(&gateway.secrets, ticket, caller.now)?;
    if voucher.principal != caller.principal.keyed(&gateway.secrets) {
        return Err(Problem::new(Code::Forbidden, "the ticket belongs to another principal"));
    }
    voucher.certificate = caller.principal.keyed_certificate(&gateway.secrets);
    voucher.expires = caller.now.checked_add(LIFE).unwrap_or(Timestamp::MAX);
    Ok(seal(gateway, &voucher))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn voucher(now: Timestamp) -> Voucher {
        Voucher {
            dataset: DatasetId::parse("yue-speech").unwrap(),
            version: VersionName::parse("1").unwrap(),
            file: 0,
            row_groups: 2..5,
            asked: Some(vec![0, 7]),
            columns: names(&["a".to_owned()]),
            redact: true,
            purpose: Purpose::parse("academic-research").unwrap(),
            certificate: "c".to_owned(),
            principal: "p".to_owned(),
            expires: now + LIFE,
        }
    }

    /// Every byte in every bit, every length, every byte taken out or put in twice, two tickets in one, another node's.
    #[test]
    fn only_the_ticket_that_was_sealed_opens() {
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let secrets = |dir: &tempfile::TempDir| crate::secrets::tests::open(dir.path());
        let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (own, other) = (secrets(&own), secrets(&other));
        let ticket = sealed(&own, &voucher(now)).to_vec();
        assert_eq!(unsealed(&own, &ticket, now).unwrap(), voucher(now));
        assert!(unsealed(&other, &ticket, now).is_err());
        assert!(unsealed(&own, &ticket, now + LIFE).is_err());
        let later = sealed(&own, &voucher(now + LIFE)).to_vec();
        for at in 0..ticket.len() {
            for bit in 0..8 {
                let mut changed = ticket.clone();
                changed[at] ^= 1 << bit;
                assert!(unsealed(&own, &changed, now).is_err(), "byte {at}, bit {bit}");
            }
            let (head, tail) = ticket.split_at(at);
            let without = [head, &tail[1..]].concat();
            let twice = [head, &tail[..1], tail].concat();
            let spliced = [head, &later[at.min(later.len())..]].concat();
            for changed in [head.to_vec(), without, twice, [tail, head].concat()] {
                assert!(unsealed(&own, &changed, now).is_err() || changed == ticket, "at {at}");
            }
            assert!(unsealed(&own, &spliced, now).is_err() || spliced == ticket || spliced == later, "at {at}");
        }
    }
}
