//! Authorities and leaves that deviate from the profile at will.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, RevokedCertParams, SanType, SerialNumber,
    SignatureAlgorithm, SigningKey as _,
};
use rustls_pki_types::CertificateDer;

use certs::{TrustDomain, TrustStore, TrustStoreBuilder};

pub const ALICE: &str = "spiffe://hku.hk/researcher/alice";

/// The time at which everything is judged unless a test says otherwise.
pub fn now() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

pub fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

pub fn domain(text: &str) -> TrustDomain {
    text.parse().unwrap()
}

pub struct Authority {
    pub cert: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A self-signed authority as the profile wants it.
pub fn root(name: &str) -> Authority {
    root_with(name, |_| {})
}

pub fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Authority {
    let mut params = ca_params(name);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    Authority { cert, issuer: Issuer::new(params, key) }
}

impl Authority {
    /// An authority below this one.
    pub fn sub(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Self { cert, issuer: Issuer::new(params, key) }
    }

    /// A second name for this authority's key.
    pub fn renamed(&self, name: &str) -> Self {
        let params = ca_params(name);
        let key = KeyPair::try_from(self.issuer.key().serialized_der()).unwrap();
        let cert = params.self_signed(&key).unwrap();
        Self { cert, issuer: Issuer::new(params, key) }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.issuer.key().sign(message).unwrap()
    }

    pub fn pem(&self) -> String {
        self.cert.pem()
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.cert.der().clone()
    }

    /// A client certificate of the profile for `uri`, changed by `change`.
    pub fn leaf(&self, uri: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        self.leaf_for(&KeyPair::generate().unwrap(), uri, change)
    }

    pub fn leaf_for(
        &self,
        key: &impl PublicKeyData,
        uri: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificateDer<'static> {
        let mut params = leaf_params(uri);
        change(&mut params);
        params.signed_by(key, &self.issuer).unwrap().der().clone()
    }

    pub fn crl(&self, number: u64, revoked: &[&[u8]]) -> String {
        self.crl_with(number, revoked, |_| {})
    }

    pub fn crl_with(
        &self,
        number: u64,
        revoked: &[&[u8]],
        change: impl FnOnce(&mut CertificateRevocationListParams),
    ) -> String {
        let mut params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2026, 11, 1),
            next_update: rcgen::date_time_ymd(2026, 12, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from_slice(serial),
                    revocation_time: rcgen::date_time_ymd(2026, 11, 2),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        change(&mut params);
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2028, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(uri: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.not_before = rcgen::date_time_ymd(2026, 6, 1);
    params.not_after = rcgen::date_time_ymd(2027, 6, 1);
    params.serial_number = Some(SerialNumber::from_slice(&[0x41, 1, 2, 3]));
    params.subject_alt_names = vec![uri_san(uri)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

pub fn uri_san(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

/// A store in which `hku.hk` has this bundle and these lists.
pub fn hku(ca_pem: &str, crl_pem: Option<&str>) -> TrustStore {
    let mut builder = TrustStoreBuilder::new();
    builder.add_domain(domain("hku.hk"), ca_pem, crl_pem).unwrap();
    builder.build()
}

/// An RSA public key of any size. The modulus is not a product of primes; nobody has its
/// private key, and nobody needs it.
pub struct RsaPublicKey(Vec<u8>);

impl RsaPublicKey {
    pub fn of_bits(bits: usize) -> Self {
        let mut modulus = vec![0xa5; bits / 8];
        modulus.insert(0, 0);
        let mut body = der(0x02, &modulus);
        body.extend(der(0x02, &[1, 0, 1]));
        Self(der(0x30, &body))
    }
}

impl PublicKeyData for RsaPublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

pub fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    match (high, low) {
        (0, 0..128) => out.push(low),
        (0, _) => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    out.extend_from_slice(content);
    out
}
