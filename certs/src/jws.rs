//! Signatures over a document by a client certificate: JWS compact form with detached content (RFC 7515 appendix F), the
//! chain in `x5c` (§4.1.6), algorithms of RFC 7518 §3.1 and RFC 8037 §3.1. The key in the certificate chooses the algorithm.
//!
//! A signature says that the key signed; whose key it is says [`crate::TrustStore::verify`] on the chain that comes back.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::keys::PrivateKey;
use crate::pem;
use crate::trust::{CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX};

/// Longest signature that is read, in bytes: the longest chain in base64 twice over, and room for the rest.
pub const JWS_BYTES_MAX: usize = 2 * CHAIN_BYTES_MAX + (4 << 10);

/// Why a document cannot be signed, or why its signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not `header..signature` in base64url without padding, or too long.
    #[error("not a JWS with detached content: `<header>..<signature>`, both base64url without padding")]
    Form,
    /// A header with other members, or without one of these.
    #[error("the header must have `alg`, `typ` and `x5c`, and nothing else")]
    Header,
    /// A signature for another kind of document.
    #[error("the signature is of type `{found}`, not `{wanted}`")]
    Type {
        /// What it says.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// `x5c` is empty, too long, or no certificates.
    #[error("`x5c` does not hold 1 to {CHAIN_CERTIFICATES_MAX} certificates, the signer's first")]
    Chain,
    /// The algorithm is none of ours.
    #[error("algorithm `{0}` is none of ES256, ES384, EdDSA, RS256")]
    Algorithm(String),
    /// The document or the signature was changed, or another key signed.
    #[error("the signature does not fit the document and the certificate")]
    Signature,
    /// The private key cannot sign.
    #[error("the private key is not an unencrypted PKCS#8 key of P-256, P-384, Ed25519 or RSA")]
    Key,
    /// Key and certificate do not belong together.
    #[error("the private key does not fit the certificate")]
    OtherKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    x5c: Vec<String>,
}

/// Signs `document` as `typ` with a certificate chain (PEM, the signer's first) and its key (PEM).
///
/// # Errors
///
/// [`JwsError::Chain`], [`JwsError::Key`], [`JwsError::OtherKey`].
pub fn sign_detached(chain_pem: &str, key_pem: &str, typ: &str, document: &[u8]) -> Result<String, JwsError> {
    let chain = pem::certificates(chain_pem).map_err(|_| JwsError::Chain)?;
    let key = PrivateKey::from_pem(key_pem).map_err(|_| JwsError::Key)?;
    let signer = Signer::of(key.to_pkcs8()).ok_or(JwsError::Key)?;
    let header = Header {
        alg: signer.name().to_owned(),
        typ: typ.to_owned(),
        x5c: chain.iter().map(|certificate| STANDARD.encode(certificate)).collect(),
    };
    let header = serde_json::to_vec(&header).map_err(|_| JwsError::Header)?;
    let header = URL_SAFE_NO_PAD.encode(header);
    let signature = signer.sign(&signing_input(&header, document)).ok_or(JwsError::Key)?;
    let jws = format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature));
    // What would not verify is not handed out.
    match verify_detached(&jws, typ, document) {
        Ok(_) => Ok(jws),
        Err(JwsError::Signature) => Err(JwsError::OtherKey),
        Err(error) => Err(error),
    }
}

/// The chain of the certificate whose key signed `document` as `typ`, leaf first. Nothing is said yet of whether anybody
/// vouches for it.
///
/// # Errors
///
/// [`JwsError`], in the order of its variants.
pub fn verify_detached(jws: &str, typ: &str, document: &[u8]) -> Result<Vec<CertificateDer<'static>>, JwsError> {
    if jws.len() > JWS_BYTES_MAX {
        return Err(JwsError::Form);
    }
    let (header, signature) = jws.split_once("..").ok_or(JwsError::Form)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Form);
    let (header_json, signature) = (decode(header)?, decode(signature)?);
    let Header { alg, typ: found, x5c } = serde_json::from_slice(&header_json).map_err(|_| JwsError::Header)?;
    if found != typ {
        return Err(JwsError::Type { found: found.chars().take(64).collect(), wanted: typ.to_owned() });
    }
    if x5c.is_empty() || x5c.len() > CHAIN_CERTIFICATES_MAX {
        return Err(JwsError::Chain);
    }
    let certificate = |text: &String| STANDARD.decode(text).map(CertificateDer::from).map_err(|_| JwsError::Chain);
    let chain = x5c.iter().map(certificate).collect::<Result<Vec<_>, _>>()?;
    let leaf = chain.first().ok_or(JwsError::Chain)?;
    let (rest, parsed) = X509Certificate::from_der(leaf).map_err(|_| JwsError::Chain)?;
    if !rest.is_empty() {
        return Err(JwsError::Chain);
    }
    let algorithm = algorithm(&alg).ok_or_else(|| JwsError::Algorithm(alg.chars().take(64).collect()))?;
    let key = parsed.public_key().subject_public_key.data.as_ref();
    UnparsedPublicKey::new(algorithm, key)
        .verify(&signing_input(header, document), &signature)
        .map_err(|_| JwsError::Signature)?;
    Ok(chain)
}

/// RFC 7515 §5.1: the header and the content, both base64url.
fn signing_input(header: &str, document: &[u8]) -> Vec<u8> {
    format!("{header}.{}", URL_SAFE_NO_PAD.encode(document)).into_bytes()
}

fn algorithm(name: &str) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match name {
        "ES256" => &signature::ECDSA_P256_SHA256_FIXED,
        "ES384" => &signature::ECDSA_P384_SHA384_FIXED,
        "EdDSA" => &signature::ED25519,
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        _ => return None,
    })
}

enum Signer {
    Ecdsa(&'static str, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    fn of(pkcs8: &[u8]) -> Option<Self> {
        let random = SystemRandom::new();
        let ecdsa = |name, algorithm| {
            EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &random).ok().map(|pair| Self::Ecdsa(name, pair))
        };
        ecdsa("ES256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING)
            .or_else(|| ecdsa("ES384", &signature::ECDSA_P384_SHA384_FIXED_SIGNING))
            // Both versions of PKCS#8 are about: with the public key in it and without.
            .or_else(|| Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok().map(Self::Ed25519))
            .or_else(|| RsaKeyPair::from_pkcs8(pkcs8).ok().map(Self::Rsa))
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Ecdsa(name, _) => name,
            Self::Ed25519(_) => "EdDSA",
            Self::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Ecdsa(_, pair) => pair.sign(&random, message).ok().map(|signature| signature.as_ref().to_vec()),
            Self::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::authority::{Ca, Validity};
    use crate::keys::Algorithm;

    const TYP: &str = "kouan-baseline";

    fn pair(algorithm: Algorithm) -> (String, String) {
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let validity = Validity::starting(now, jiff::SignedDuration::from_hours(24)).unwrap();
        let (ca, _) = Ca::create(&"hku.hk".parse().unwrap(), Algorithm::EcdsaP256, validity).unwrap();
        let key = PrivateKey::generate(algorithm).unwrap();
        let issued = ca.issue_client(&"spiffe://hku.hk/broker/lin".parse().unwrap(), &key, validity).unwrap();
        (issued.pem, key.to_pem())
    }

    #[test]
    fn what_was_signed_verifies_and_nothing_else_does() {
        for (algorithm, name) in [(Algorithm::EcdsaP256, "ES256"), (Algorithm::Ed25519, "EdDSA")] {
            let (cert, key) = pair(algorithm);
            let jws = sign_detached(&cert, &key, TYP, b"{}").unwrap();
            let chain = verify_detached(&jws, TYP, b"{}").unwrap();
            assert_eq!(chain.first(), pem::certificates(&cert).unwrap().first());
            assert_eq!(verify_detached(&jws, TYP, b"{} "), Err(JwsError::Signature));
            assert!(matches!(verify_detached(&jws, "other", b"{}"), Err(JwsError::Type { .. })));

            let (header, signature) = jws.split_once("..").unwrap();
            let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
            assert_eq!(header.alg, name);
            let with = |alg: &str, x5c: Vec<String>| {
                let header = Header { alg: alg.to_owned(), typ: TYP.to_owned(), x5c };
                let header = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).unwrap());
                verify_detached(&format!("{header}..{signature}"), TYP, b"{}")
            };
            for alg in ["none", "HS256", ""] {
                assert_eq!(with(alg, header.x5c.clone()), Err(JwsError::Algorithm(alg.to_owned())));
            }
            for alg in ["ES256", "ES384", "EdDSA", "RS256"] {
                assert_eq!(with(alg, header.x5c.clone()).is_ok(), alg == name, "{alg}");
            }
            assert_eq!(with(name, Vec::new()), Err(JwsError::Chain));
            assert_eq!(with(name, vec!["AAAA".to_owned()]), Err(JwsError::Chain));
        }
        for form in ["", "a", "a.b.c", "!..!", "..", &"a".repeat(JWS_BYTES_MAX + 1)] {
            let error = verify_detached(form, TYP, b"{}").unwrap_err();
            assert!(matches!(error, JwsError::Form | JwsError::Header), "{error}");
        }
    }

    #[test]
    fn a_key_signs_for_its_own_certificate_only() {
        let ((cert, key), (other, _)) = (pair(Algorithm::EcdsaP256), pair(Algorithm::EcdsaP256));
        assert_eq!(sign_detached(&other, &key, TYP, b"{}"), Err(JwsError::OtherKey));
        assert_eq!(sign_detached(&cert, "no key", TYP, b"{}"), Err(JwsError::Key));
        assert_eq!(sign_detached("no certificate", &key, TYP, b"{}"), Err(JwsError::Chain));
    }
}
