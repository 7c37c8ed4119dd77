//! Issuing: a certificate authority, the leaves and the revocation lists that it signs.
//!
//! An authority of a participant bears its trust domain as URI SAN `spiffe://<trust domain>`
//! (X.509-SVID §4.1). It carries **no** URI name constraint: webpki cannot evaluate one and
//! refuses every path below it, and rcgen cannot write one. What binds an authority to its
//! trust domain is the gateway's [`crate::trust::TrustStore`].

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use x509_parser::extensions::ParsedExtension;

use crate::identifiers::{CertSha256, CrlNumber, IssuerKey, Serial};
use crate::keys::{Algorithm, KeyError, PrivateKey};
use crate::pem::{self, PemError};
use crate::spiffe::{SpiffeId, TrustDomain};
use crate::x509::{self, Facts, Unreadable};

mod params;
mod revocation;
#[cfg(test)]
mod tests;

use params::{
    blank_params, ca_params, check_server_names, ia5, push_name, server_constraints, since_epoch, trust_domain_of,
    whole_second,
};
pub use revocation::{Revocation, RevocationReason};

/// How far back a validity begins, so that a peer whose clock is a little slow takes it.
pub const BACKDATED: SignedDuration = SignedDuration::from_mins(5);
/// Longest validity that can be asked for.
pub const VALIDITY_MAX: SignedDuration = SignedDuration::from_hours(24 * 365 * 50);

/// Why an authority cannot be loaded or will not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The CA certificate's PEM.
    #[error("CA certificate: {0}")]
    Pem(#[from] PemError),
    /// The CA certificate itself.
    #[error("CA certificate: {0}")]
    Certificate(#[from] Unreadable),
    /// The CA's or the leaf's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key file is not the certificate's.
    #[error("private key does not belong to the CA certificate")]
    KeyMismatch,
    /// Not a CA certificate.
    #[error("certificate is not a CA certificate")]
    NotCa,
    /// Its one URI SAN is not `spiffe://<trust domain>`.
    #[error("CA certificate's URI SAN is not `spiffe://<trust domain>`")]
    TrustDomain,
    /// An authority for servers was asked for a client.
    #[error("this authority issues server certificates only, it has no trust domain")]
    ServersOnly,
    /// A name of another trust domain.
    #[error("authority of `{own}` cannot issue for trust domain `{asked}`")]
    ForeignTrustDomain {
        /// What it has.
        own: TrustDomain,
        /// What was asked.
        asked: TrustDomain,
    },
    /// No name for a server certificate, or one that is no DNS name.
    #[error("server certificate needs at least one DNS name, each in ASCII")]
    ServerNames,
    /// The validity is empty, too long, or past the authority's own end.
    #[error("validity must be longer than zero, at most 50 years, and begin before the CA ends")]
    Validity,
    /// No such revocation reason.
    #[error(
        "revocation reason `{0}` is none of unspecified, key-compromise, affiliation-changed, \
         superseded, cessation-of-operation, privilege-withdrawn"
    )]
    UnknownReason(String),
    /// rcgen could not encode or sign.
    #[error("certificate could not be made: {0}")]
    Encoding(rcgen::Error),
}

/// From when to when something is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// First second.
    pub not_before: Timestamp,
    /// Last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// From a little before `now` ([`BACKDATED`]) for `length` after it.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Validity`] for a length that is not positive or over [`VALIDITY_MAX`].
    pub fn starting(now: Timestamp, length: SignedDuration) -> Result<Self, AuthorityError> {
        if length <= SignedDuration::ZERO || length > VALIDITY_MAX {
            return Err(AuthorityError::Validity);
        }
        let not_before = now.checked_sub(BACKDATED);
        let not_after = now.checked_add(length);
        match (not_before, not_after) {
            // rcgen writes whole seconds, and nothing before 1970.
            (Ok(not_before), Ok(not_after)) if not_before >= Timestamp::UNIX_EPOCH => {
                Ok(Self { not_before: whole_second(not_before), not_after: whole_second(not_after) })
            }
            _ => Err(AuthorityError::Validity),
        }
    }
}

/// What a server certificate is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerNames {
    /// DNS names, at least one.
    pub dns: Vec<String>,
    /// Addresses.
    pub ips: Vec<IpAddr>,
}

/// A certificate that was just signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// PEM.
    pub pem: String,
    /// Its serial: 16 random bytes.
    pub serial: Serial,
    /// Its digest.
    pub cert_sha256: CertSha256,
    /// When it is valid; cut to the authority's own end.
    pub validity: Validity,
}

/// A certificate authority with its key.
#[derive(Debug)]
pub struct Ca {
    trust_domain: Option<TrustDomain>,
    certificate: CertificateDer<'static>,
    pem: String,
    facts: Facts,
    key_identifier: KeyIdMethod,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    /// A new authority for a participant's principals: path length 0, keyCertSign and cRLSign.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Key`], [`AuthorityError::Encoding`].
    pub fn create(
        trust_domain: &TrustDomain,
        algorithm: Algorithm,
        validity: Validity,
    ) -> Result<(Self, PrivateKey), AuthorityError> {
        let key = PrivateKey::generate(algorithm)?;
        let ca = Self::self_sign(trust_domain, &key, validity)?;
        Ok((ca, key))
    }

    /// Signs a participant's authority anew with the key that it has: the name and the key
    /// identifier stay, so that its leaves and revocation lists stay valid.
    pub fn self_sign(trust_domain: &TrustDomain, key: &PrivateKey, validity: Validity) -> Result<Self, AuthorityError> {
        let mut params = ca_params(trust_domain.as_str(), "certificate authority", validity)?;
        let uri = format!("spiffe://{trust_domain}");
        params.subject_alt_names = vec![SanType::URI(ia5(&uri)?)];
        Self::sign_self(&params, key)
    }

    /// A new authority for servers, which can vouch for exactly `names` (critical name
    /// constraints): whoever puts it into a browser's trust store risks those names only.
    pub fn self_sign_for_servers(
        names: &ServerNames,
        key: &PrivateKey,
        validity: Validity,
    ) -> Result<Self, AuthorityError> {
        let first = check_server_names(names)?;
        let mut params = ca_params(first, "server authority", validity)?;
        params.name_constraints = Some(server_constraints(names));
        Self::sign_self(&params, key)
    }

    fn sign_self(params: &CertificateParams, key: &PrivateKey) -> Result<Self, AuthorityError> {
        let certificate = params.self_signed(key.pair()).map_err(AuthorityError::Encoding)?;
        Self::load(&certificate.pem(), &key.to_pem())
    }

    /// Loads an authority from its PEM files.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`] says which of the two is wrong; [`AuthorityError::KeyMismatch`] if
    /// they do not belong together.
    pub fn load(ca_pem: &str, key_pem: &str) -> Result<Self, AuthorityError> {
        let certificate = pem::certificates(ca_pem)?.swap_remove(0);
        let cert = x509::parse(&certificate)?;
        let facts = Facts::of(&cert)?;
        let may_sign = facts.key_usage.is_some_and(|usage| usage.cert_sign);
        if !facts.is_ca() || !may_sign {
            return Err(AuthorityError::NotCa);
        }
        let key = PrivateKey::from_pem(key_pem)?;
        if key.public_key() != facts.key {
            return Err(AuthorityError::KeyMismatch);
        }
        let key_identifier = cert
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(KeyIdMethod::PreSpecified(id.0.to_vec())),
                _ => None,
            })
            .unwrap_or(KeyIdMethod::Sha256);
        let trust_domain = trust_domain_of(&facts)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key.into_pair()).map_err(AuthorityError::Encoding)?;
        Ok(Self { trust_domain, pem: ca_pem.to_owned(), facts, key_identifier, issuer, certificate })
    }

    /// Whose authority; `None` for one that issues server certificates only.
    pub fn trust_domain(&self) -> Option<&TrustDomain> {
        self.trust_domain.as_ref()
    }

    /// Its certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its certificate's digest.
    pub fn cert_sha256(&self) -> CertSha256 {
        CertSha256::of(&self.certificate)
    }

    /// Its key, by which revocation lists are bound to it.
    pub fn issuer_key(&self) -> IssuerKey {
        self.facts.key
    }

    /// Its serial.
    pub fn serial(&self) -> &Serial {
        &self.facts.serial
    }

    /// Its own validity.
    pub fn validity(&self) -> Validity {
        Validity { not_before: self.facts.not_before, not_after: self.facts.not_after }
    }

    /// Issues a client certificate for `spiffe`: one URI SAN, EKU clientAuth, KeyUsage
    /// digitalSignature, CA:FALSE.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::ServersOnly`], [`AuthorityError::ForeignTrustDomain`],
    /// [`AuthorityError::Validity`].
    pub fn issue_client(
        &self,
        spiffe: &SpiffeId,
        key: &PrivateKey,
        validity: Validity,
    ) -> Result<Issued, AuthorityError> {
        let own = self.trust_domain.as_ref().ok_or(AuthorityError::ServersOnly)?;
        if own != spiffe.trust_domain() {
            return Err(AuthorityError::ForeignTrustDomain { own: own.clone(), asked: spiffe.trust_domain().clone() });
        }
        let mut params = self.leaf_params(validity)?;
        params.subject_alt_names = vec![SanType::URI(ia5(&spiffe.to_string())?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        // For the browser's list of certificates only; identity is the URI SAN.
        push_name(&mut params, DnType::CommonName, &format!("{} {}", spiffe.role(), spiffe.name()));
        push_name(&mut params, DnType::OrganizationName, own.as_str());
        self.sign(&params, key)
    }

    /// Issues a server certificate: DNS and IP SANs, EKU serverAuth.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::ServerNames`], [`AuthorityError::Validity`].
    pub fn issue_server(
        &self,
        names: &ServerNames,
        key: &PrivateKey,
        validity: Validity,
    ) -> Result<Issued, AuthorityError> {
        let first = check_server_names(names)?;
        let mut params = self.leaf_params(validity)?;
        let dns = names.dns.iter().map(|name| Ok(SanType::DnsName(ia5(name)?)));
        let ips = names.ips.iter().map(|ip| Ok(SanType::IpAddress(*ip)));
        params.subject_alt_names = dns.chain(ips).collect::<Result<_, AuthorityError>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        push_name(&mut params, DnType::CommonName, first);
        self.sign(&params, key)
    }

    /// Signs a complete revocation list. `number` must be higher than any number this
    /// authority ever used: [`crate::ca_dir::CaDir`] sees to it.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Encoding`].
    pub fn sign_crl(
        &self,
        number: CrlNumber,
        validity: Validity,
        revoked: &[Revocation],
    ) -> Result<String, AuthorityError> {
        let at = |time: Timestamp| rcgen::date_time_ymd(1970, 1, 1) + since_epoch(time);
        CertificateRevocationListParams {
            this_update: at(validity.not_before),
            next_update: at(validity.not_after),
            crl_number: SerialNumber::from_slice(number.as_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|entry| RevokedCertParams {
                    serial_number: SerialNumber::from_slice(entry.serial.as_bytes()),
                    revocation_time: at(entry.at),
                    reason_code: entry.reason.to_rcgen(),
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: self.key_identifier.clone(),
        }
        .signed_by(&self.issuer)
        .and_then(|crl| crl.pem())
        .map_err(AuthorityError::Encoding)
    }

    fn leaf_params(&self, validity: Validity) -> Result<CertificateParams, AuthorityError> {
        let not_after = validity.not_after.min(self.facts.not_after);
        if validity.not_before >= not_after {
            return Err(AuthorityError::Validity);
        }
        let mut params = blank_params(Validity { not_after, ..validity })?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    fn sign(&self, params: &CertificateParams, key: &PrivateKey) -> Result<Issued, AuthorityError> {
        let certificate = params.signed_by(key.pair(), &self.issuer).map_err(AuthorityError::Encoding)?;
        let facts = Facts::read(certificate.der())?;
        // rcgen re-encodes the issuer's name; a leaf that does not chain must not get out.
        if facts.issuer != self.facts.subject {
            return Err(AuthorityError::Encoding(rcgen::Error::CouldNotParseCertificate));
        }
        Ok(Issued {
            pem: certificate.pem(),
            cert_sha256: CertSha256::of(certificate.der()),
            serial: facts.serial,
            validity: Validity { not_before: facts.not_before, not_after: facts.not_after },
        })
    }
}
