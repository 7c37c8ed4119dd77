//! Building a [`TrustStore`] from PEM bundles, with every check that needs no leaf.

use std::collections::BTreeMap;

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::anchor_from_trusted_cert;

use super::{CaError, TrustError, TrustStore};
use crate::crl::Crl;
use crate::identifiers::{CrlNumber, IssuerKey};
use crate::path::Authorities;
use crate::pem;
use crate::spiffe::TrustDomain;
use crate::x509::{self, Facts};

/// Collects trust domains into a [`TrustStore`].
#[derive(Debug, Default)]
pub struct TrustStoreBuilder {
    domains: BTreeMap<TrustDomain, Authorities>,
    owners: BTreeMap<IssuerKey, TrustDomain>,
    known: BTreeMap<IssuerKey, CrlNumber>,
}

impl TrustStoreBuilder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The highest CRL number ever in use, by issuer: a lower one is refused from here on.
    pub fn known_numbers(&mut self, known: BTreeMap<IssuerKey, CrlNumber>) -> &mut Self {
        self.known = known;
        self
    }

    /// Adds a participant's trust domain: its CA certificates, and its revocation lists if
    /// there are any. Without a list every certificate of an authority is denied (INV-2).
    ///
    /// Self-signed certificates become trust anchors; others are helpers for building paths,
    /// so that their lists can be verified. Of several lists of one issuer the newest counts.
    /// A stale list is taken: it denies, with the reason, until a fresh one comes.
    ///
    /// # Errors
    ///
    /// Any [`TrustError`]; the builder is then unchanged.
    pub fn add_domain(
        &mut self,
        trust_domain: TrustDomain,
        ca_pem: &str,
        crl_pem: Option<&str>,
    ) -> Result<&mut Self, TrustError> {
        if self.domains.contains_key(&trust_domain) {
            return Err(TrustError::DomainTwice { trust_domain });
        }
        let ders = pem::certificates(ca_pem)
            .map_err(|error| TrustError::CaPem { trust_domain: trust_domain.clone(), error })?;
        let bundle = Bundle::read(&trust_domain, &ders)?;
        let shared = bundle.members.iter().find_map(|member| self.owners.get(&member.facts.key));
        if let Some(other) = shared {
            return Err(TrustError::SharedAuthority { trust_domain, other: other.clone() });
        }
        let crls = match crl_pem {
            Some(text) => bundle.newest_crls(&trust_domain, text)?,
            None => BTreeMap::new(),
        };
        for crl in crls.values() {
            if let Some(have) = self.known.get(&crl.issuer_key)
                && crl.number < *have
            {
                return Err(TrustError::CrlNotNewer { trust_domain, have: *have, got: crl.number });
            }
        }
        for member in &bundle.members {
            self.owners.insert(member.facts.key, trust_domain.clone());
        }
        self.domains.insert(trust_domain, bundle.into_authorities(crls));
        Ok(self)
    }

    /// The finished snapshot.
    pub fn build(self) -> TrustStore {
        TrustStore { domains: self.domains }
    }
}

/// The CA certificates of one trust domain, each read and checked.
pub(super) struct Bundle<'a> {
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    der: &'a CertificateDer<'static>,
    cert: x509_parser::certificate::X509Certificate<'a>,
    facts: Facts,
    anchor: Option<TrustAnchor<'static>>,
}

impl<'a> Bundle<'a> {
    pub(super) fn read(trust_domain: &TrustDomain, ders: &'a [CertificateDer<'static>]) -> Result<Self, TrustError> {
        let mut members = Vec::with_capacity(ders.len());
        for (position, der) in ders.iter().enumerate() {
            let member = Member::read(trust_domain, der).map_err(|error| TrustError::Ca {
                trust_domain: trust_domain.clone(),
                index: position + 1,
                error,
            })?;
            members.push(member);
        }
        if members.iter().all(|member| member.anchor.is_none()) {
            return Err(TrustError::NoRoot { trust_domain: trust_domain.clone() });
        }
        Ok(Self { members })
    }

    /// The newest list of each issuer in `text`, each verified with a key of the bundle.
    pub(super) fn newest_crls(
        &self,
        trust_domain: &TrustDomain,
        text: &str,
    ) -> Result<BTreeMap<IssuerKey, Crl>, TrustError> {
        let ders = pem::crls(text).map_err(|error| TrustError::CrlPem { trust_domain: trust_domain.clone(), error })?;
        let mut newest: BTreeMap<IssuerKey, (Crl, usize)> = BTreeMap::new();
        for (position, der) in ders.iter().enumerate() {
            let issuers = self.members.iter().map(|member| (&member.cert, &member.facts));
            let crl = Crl::verify(der, issuers).map_err(|error| TrustError::Crl {
                trust_domain: trust_domain.clone(),
                index: position + 1,
                error,
            })?;
            if let Some((other, at)) = newest.get(&crl.issuer_key) {
                if crl.number == other.number && ders.get(*at) != Some(der) {
                    return Err(TrustError::CrlAmbiguous { trust_domain: trust_domain.clone(), number: crl.number });
                }
                if crl.number <= other.number {
                    continue;
                }
            }
            newest.insert(crl.issuer_key, (crl, position));
        }
        Ok(newest.into_iter().map(|(key, (crl, _))| (key, crl)).collect())
    }

    fn into_authorities(self, crls: BTreeMap<IssuerKey, Crl>) -> Authorities {
        let mut authorities = Authorities {
            bundle: self.members.iter().map(|member| member.der.clone()).collect(),
            crls,
            ..Authorities::default()
        };
        for member in self.members {
            if let Some(anchor) = member.anchor {
                authorities.anchors.push(anchor);
                authorities.root_facts.push(member.facts);
            } else {
                authorities.intermediates.push(member.der.clone());
            }
        }
        authorities
    }
}

impl<'a> Member<'a> {
    fn read(trust_domain: &TrustDomain, der: &'a CertificateDer<'static>) -> Result<Self, CaError> {
        let cert = x509::parse(der)?;
        let facts = Facts::of(&cert)?;
        let is_ca = facts.basic_constraints.as_ref().is_some_and(|bc| bc.ca && bc.critical);
        if !is_ca {
            return Err(CaError::NotCa);
        }
        if !facts.key_usage.is_some_and(|usage| usage.cert_sign) {
            return Err(CaError::KeyUsage);
        }
        if !facts.has_subject_key_identifier {
            return Err(CaError::NoKeyIdentifier);
        }
        if cert.subject().iter_attributes().next().is_none() {
            return Err(CaError::EmptySubject);
        }
        // A bundle given to the wrong participant would let one name the other (INV-7). An
        // authority need not say whose it is (X.509-SVID §4.1), but must not say otherwise.
        let uris = facts.names.as_ref().map_or(&[][..], |names| &names.uris);
        for said in uris.iter().filter_map(|uri| uri.strip_prefix("spiffe://")) {
            match said.parse::<TrustDomain>() {
                Ok(said) if said == *trust_domain => {}
                Ok(said) => return Err(CaError::OtherTrustDomain(said)),
                Err(_) => return Err(CaError::NotATrustDomain),
            }
        }
        if facts.key_is_weak {
            return Err(CaError::WeakKey);
        }
        // webpki ignores critical extensions of a trust anchor.
        if facts.unknown_critical_extension {
            return Err(CaError::UnknownCriticalExtension);
        }
        let anchor = if x509::is_self_signed(&cert) {
            let anchor = anchor_from_trusted_cert(der).map_err(|_| x509::Unreadable::Malformed)?;
            Some(anchor.to_owned())
        } else {
            None
        };
        Ok(Self { der, cert, facts, anchor })
    }
}
