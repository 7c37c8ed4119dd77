//! What we need to know of one X.509 certificate, read strictly.
//!
//! webpki validates paths, but does not look at the KeyUsage of anybody, at the validity and
//! path length of a trust anchor, at weak keys that sign nothing, or at the serial: these
//! facts are for our own checks of them.

use jiff::Timestamp;
use x509_parser::asn1_rs::Any;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_CRL_DISTRIBUTION_POINTS, OID_X509_EXT_EXTENDED_KEY_USAGE,
    OID_X509_EXT_KEY_USAGE, OID_X509_EXT_NAME_CONSTRAINTS, OID_X509_EXT_SUBJECT_ALT_NAME,
    OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, Oid,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};

use crate::identifiers::{IssuerKey, Serial};

/// RSA moduli that ring verifies and that are not weak.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a certificate cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not one DER certificate of version 3, or an extension that does not parse or is there twice.
    #[error("not a well-formed X.509 version 3 certificate")]
    Malformed,
    /// Serial number zero, negative, padded or longer than 20 bytes (RFC 5280 §4.1.2.2).
    #[error("serial number is not a positive number of at most 20 bytes")]
    Serial,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    pub critical: bool,
    pub ca: bool,
    pub path_len: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyUsage {
    pub digital_signature: bool,
    pub cert_sign: bool,
    pub crl_sign: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExtendedKeyUsage {
    pub client_auth: bool,
    pub server_auth: bool,
    pub any: bool,
}

/// Subject alternative names: URIs by value, the others only by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub uris: Vec<String>,
    pub dns: Vec<String>,
    pub ips: Vec<Vec<u8>>,
    pub others: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub serial: Serial,
    /// DER with its outer SEQUENCE.
    pub subject: Vec<u8>,
    /// DER with its outer SEQUENCE.
    pub issuer: Vec<u8>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub key: IssuerKey,
    pub key_is_weak: bool,
    pub basic_constraints: Option<BasicConstraints>,
    pub key_usage: Option<KeyUsage>,
    pub extended_key_usage: Option<ExtendedKeyUsage>,
    pub names: Option<Names>,
    pub has_name_constraints: bool,
    pub has_subject_key_identifier: bool,
    pub unknown_critical_extension: bool,
}

impl Facts {
    pub(crate) fn read(der: &[u8]) -> Result<Self, Unreadable> {
        Self::of(&parse(der)?)
    }

    pub(crate) fn of(cert: &X509Certificate<'_>) -> Result<Self, Unreadable> {
        let malformed = |_| Unreadable::Malformed;
        if cert.version() != X509Version::V3 || cert.signature_algorithm != cert.signature {
            return Err(Unreadable::Malformed);
        }
        // An extension that is there twice means whatever the reader wants it to mean.
        let extensions = cert.extensions_map().map_err(malformed)?;
        if cert.extensions().iter().any(|extension| extension.parsed_extension().error().is_some()) {
            return Err(Unreadable::Malformed);
        }
        let basic_constraints = cert.basic_constraints().map_err(malformed)?.map(|found| BasicConstraints {
            critical: found.critical,
            ca: found.value.ca,
            path_len: found.value.path_len_constraint,
        });
        let key_usage = cert.key_usage().map_err(malformed)?.map(|found| KeyUsage {
            digital_signature: found.value.digital_signature(),
            cert_sign: found.value.key_cert_sign(),
            crl_sign: found.value.crl_sign(),
        });
        let extended_key_usage = cert.extended_key_usage().map_err(malformed)?.map(|found| ExtendedKeyUsage {
            client_auth: found.value.client_auth,
            server_auth: found.value.server_auth,
            any: found.value.any,
        });
        let names = cert
            .subject_alternative_name()
            .map_err(malformed)?
            .map(|found| names(&found.value.general_names))
            .transpose()?;
        Ok(Self {
            serial: Serial::from_der_content(cert.raw_serial()).map_err(|_| Unreadable::Serial)?,
            subject: cert.subject().as_raw().to_vec(),
            issuer: cert.issuer().as_raw().to_vec(),
            not_before: timestamp(cert.validity().not_before)?,
            not_after: timestamp(cert.validity().not_after)?,
            key: IssuerKey::of(cert.public_key().raw),
            key_is_weak: is_weak(cert.public_key()),
            basic_constraints,
            key_usage,
            extended_key_usage,
            names,
            has_name_constraints: extensions.contains_key(&OID_X509_EXT_NAME_CONSTRAINTS),
            has_subject_key_identifier: extensions.contains_key(&OID_X509_EXT_SUBJECT_KEY_IDENTIFIER),
            unknown_critical_extension: cert
                .extensions()
                .iter()
                .any(|extension| extension.critical && !is_understood(&extension.oid)),
        })
    }

    pub(crate) fn is_ca(&self) -> bool {
        self.basic_constraints.as_ref().is_some_and(|bc| bc.ca)
    }

    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

/// Exactly one certificate, nothing after it.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Unreadable> {
    match X509Certificate::from_der(der) {
        Ok(([], cert)) => Ok(cert),
        _ => Err(Unreadable::Malformed),
    }
}

/// Whether `cert` is signed by its own key.
pub(crate) fn is_self_signed(cert: &X509Certificate<'_>) -> bool {
    cert.subject() == cert.issuer() && cert.verify_signature(None).is_ok()
}

pub(crate) fn timestamp(time: ASN1Time) -> Result<Timestamp, Unreadable> {
    Timestamp::from_second(time.timestamp()).map_err(|_| Unreadable::Malformed)
}

/// The extensions webpki understands; whatever else is critical is refused by it and by us.
fn is_understood(oid: &Oid<'_>) -> bool {
    [
        OID_X509_EXT_KEY_USAGE,
        OID_X509_EXT_SUBJECT_ALT_NAME,
        OID_X509_EXT_BASIC_CONSTRAINTS,
        OID_X509_EXT_NAME_CONSTRAINTS,
        OID_X509_EXT_CRL_DISTRIBUTION_POINTS,
        OID_X509_EXT_EXTENDED_KEY_USAGE,
    ]
    .contains(oid)
}

fn names(general_names: &[GeneralName<'_>]) -> Result<Names, Unreadable> {
    let mut names = Names::default();
    for name in general_names {
        match name {
            GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
            GeneralName::DNSName(dns) => names.dns.push((*dns).to_owned()),
            GeneralName::IPAddress(ip) => names.ips.push(ip.to_vec()),
            GeneralName::Invalid(..) => return Err(Unreadable::Malformed),
            _ => names.others += 1,
        }
    }
    Ok(names)
}

/// Whether a key is anything but RSA of 2048 to 8192 bits, ECDSA on P-256 or P-384 named by
/// OID, or Ed25519.
fn is_weak(spki: &SubjectPublicKeyInfo<'_>) -> bool {
    let algorithm = &spki.algorithm.algorithm;
    if *algorithm == OID_SIG_ED25519 {
        return spki.subject_public_key.data.len() != 32;
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        // An explicit curve has a SEQUENCE where a named one has its OID (CVE-2020-0601).
        let curve = spki.algorithm.parameters.as_ref().map(Any::as_oid);
        return !matches!(curve, Some(Ok(oid)) if oid == OID_EC_P256 || oid == OID_NIST_EC_P384);
    }
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        let Ok(PublicKey::RSA(rsa)) = spki.parsed() else {
            return true;
        };
        let magnitude = rsa.modulus.strip_prefix(&[0]).unwrap_or(rsa.modulus);
        let bits = magnitude.first().map_or(0, |first| {
            let unused = usize::try_from(first.leading_zeros()).unwrap_or(8);
            (magnitude.len() * 8).saturating_sub(unused)
        });
        return !RSA_BITS.contains(&bits) || bits % 8 != 0;
    }
    true
}
