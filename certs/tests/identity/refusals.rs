//! Every reason for which a client certificate is refused.

use certs::Denied;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;

use crate::pki::{ALICE, Authority, RsaPublicKey, der, hku, now, root, uri_san};

/// What a store with this one authority and an empty list says to a leaf of it.
fn judge(change: impl FnOnce(&mut CertificateParams)) -> Result<(), Denied> {
    let ca = root("HKU");
    let leaf = ca.leaf(ALICE, change);
    judge_chain(&ca, &[leaf])
}

pub fn judge_chain(ca: &Authority, chain: &[CertificateDer<'_>]) -> Result<(), Denied> {
    hku(&ca.pem(), Some(&ca.crl(1, &[]))).verify(chain, now()).map(|_| ())
}

pub fn critical(oid: &[u64]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, der(0x04, b"x"));
    extension.set_criticality(true);
    extension
}

#[test]
fn the_profile_itself_is_accepted() {
    let ca = root("HKU");
    let leaf = ca.leaf(ALICE, |_| {});
    let store = hku(&ca.pem(), Some(&ca.crl(7, &[])));
    let verified = store.verify(std::slice::from_ref(&leaf), now()).unwrap();
    assert_eq!(verified.spiffe().to_string(), ALICE);
    assert_eq!(verified.cert_sha256(), certs::CertSha256::of(&leaf));
    assert_eq!(verified.serial().to_string(), "41010203");
    assert_eq!(verified.not_after().to_string(), "2027-06-01T00:00:00Z");
    assert_eq!(verified.crl_next_update().to_string(), "2026-12-01T00:00:00Z");
    assert_eq!(verified.valid_until(), verified.crl_next_update());
    let crl = store.crls().next().unwrap();
    assert_eq!(crl.issuer_key, verified.issuer_key());
    assert_eq!(crl.number, 7.into());
}

/// The order is API: each step repairs only the fault that the step before it reported.
#[test]
fn reasons_have_an_order() {
    let hku_ca = root("HKU");
    let cuhk_ca = root("CUHK");
    let mut serial = 0x40_u8;
    let mut steps: Vec<&'static str> = Vec::new();
    let mut check = |ca: &Authority, store: &certs::TrustStore, fixed: usize| {
        serial += 1;
        let leaf = ca.leaf(ALICE, |params| {
            params.serial_number = Some(SerialNumber::from_slice(&[0x41, serial]));
            params.subject_alt_names = match fixed {
                0 => vec![],
                1 => vec![uri_san(ALICE), uri_san("spiffe://hku.hk/researcher/bob")],
                2 => vec![uri_san("https://hku.hk/alice"), dns()],
                3 => vec![uri_san("spiffe://nobody.example/researcher/a"), dns()],
                4 => vec![uri_san("spiffe://nobody.example/researcher/a")],
                _ => vec![uri_san(ALICE)],
            };
            if fixed <= 5 {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }
            if fixed <= 6 {
                params.custom_extensions = vec![critical(&[1, 3, 6, 1, 4, 1, 99999, 1])];
            }
            if fixed <= 7 {
                params.key_usages = vec![];
            }
            if fixed <= 8 {
                params.extended_key_usages = vec![];
            } else if fixed == 9 {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            } else if fixed == 10 {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
            }
            if fixed <= 11 {
                params.not_after = rcgen::date_time_ymd(2026, 11, 1);
            }
        });
        let denied = store.verify(&[leaf], now()).unwrap_err();
        steps.push(denied.code());
    };
    let without_crl = hku(&hku_ca.pem(), None);
    for fixed in 0..=12 {
        check(&cuhk_ca, &without_crl, fixed);
    }
    check(&hku_ca, &without_crl, 13);
    let stale = hku_ca.crl_with(1, &[], |crl| {
        crl.next_update = rcgen::date_time_ymd(2026, 11, 20);
    });
    check(&hku_ca, &hku(&hku_ca.pem(), Some(&stale)), 14);
    let revoking = hku_ca.crl(2, &[&[0x41, 0x50]]);
    check(&hku_ca, &hku(&hku_ca.pem(), Some(&revoking)), 15);
    assert_eq!(
        steps,
        [
            "no-uri-san",
            "two-uri-sans",
            "not-spiffe",
            "other-names",
            "unknown-trust-domain",
            "ca-as-client",
            "unknown-critical-extension",
            "key-usage",
            "no-eku",
            "server-cert-as-client",
            "wrong-eku",
            "expired",
            "unknown-issuer",
            "crl-missing",
            "crl-stale",
            "revoked",
        ]
    );
}

fn dns() -> SanType {
    SanType::DnsName("hku.hk".try_into().unwrap())
}

#[test]
fn chains_that_are_none() {
    let ca = root("HKU");
    let leaf = ca.leaf(ALICE, |_| {});
    assert_eq!(judge_chain(&ca, &[]), Err(Denied::NoCertificate));
    let garbage = CertificateDer::from(b"not a certificate".to_vec());
    for chain in [vec![garbage], vec![CertificateDer::from(Vec::new())]] {
        let denied = judge_chain(&ca, &chain).unwrap_err();
        assert_eq!(denied.code(), "unreadable");
    }
    let mut trailing = leaf.to_vec();
    trailing.push(0);
    let denied = judge_chain(&ca, &[trailing.into()]).unwrap_err();
    assert_eq!(denied.code(), "unreadable");
    let long = vec![leaf.clone(); 9];
    assert_eq!(judge_chain(&ca, &long), Err(Denied::TooLarge));
    let heavy = [leaf, vec![0x30; 64 << 10].into()];
    assert_eq!(judge_chain(&ca, &heavy), Err(Denied::TooLarge));
}

#[test]
fn every_flipped_byte_is_refused() {
    let ca = root("HKU");
    let leaf = ca.leaf(ALICE, |_| {});
    let store = hku(&ca.pem(), Some(&ca.crl(1, &[])));
    for position in 0..leaf.len() {
        let mut changed = leaf.to_vec();
        changed[position] ^= 1;
        let outcome = store.verify(&[changed.into()], now());
        assert!(outcome.is_err(), "byte {position}");
    }
    for length in 0..leaf.len() {
        let cut = CertificateDer::from(leaf[..length].to_vec());
        assert!(store.verify(&[cut], now()).is_err(), "length {length}");
    }
}

#[test]
fn names() {
    assert_eq!(judge(|params| params.subject_alt_names = vec![dns()]), Err(Denied::NoUriSan));
    for other in [
        dns(),
        SanType::IpAddress([127, 0, 0, 1].into()),
        SanType::Rfc822Name("alice@hku.hk".try_into().unwrap()),
        SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], "alice".into())),
    ] {
        let outcome = judge(|params| params.subject_alt_names.push(other));
        assert_eq!(outcome, Err(Denied::OtherNames));
    }
    let same_twice = judge(|params| params.subject_alt_names.push(uri_san(ALICE)));
    assert_eq!(same_twice, Err(Denied::TwoUriSans));
    // A trust domain that merely looks alike, or contains ours.
    for uri in ["spiffe://hku.hk.evil.example/researcher/alice", "spiffe://cuhk.edu.hk/researcher/alice"] {
        let denied = judge(|params| params.subject_alt_names = vec![uri_san(uri)]);
        assert_eq!(denied.unwrap_err().code(), "unknown-trust-domain");
    }
}

#[test]
fn usages() {
    use ExtendedKeyUsagePurpose as Extended;
    use KeyUsagePurpose as Usage;

    for usages in [vec![], vec![Usage::KeyAgreement], vec![Usage::KeyEncipherment]] {
        assert_eq!(judge(|params| params.key_usages = usages), Err(Denied::KeyUsage));
    }
    for sign in [Usage::KeyCertSign, Usage::CrlSign] {
        let usages = vec![Usage::DigitalSignature, sign];
        assert_eq!(judge(|params| params.key_usages = usages), Err(Denied::CaAsClient));
    }
    for (usages, want) in [
        (vec![], Denied::NoEku),
        (vec![Extended::ServerAuth], Denied::ServerCertAsClient),
        (vec![Extended::CodeSigning], Denied::WrongEku),
        (vec![Extended::Any], Denied::WrongEku),
        (vec![Extended::ClientAuth, Extended::Any], Denied::WrongEku),
    ] {
        assert_eq!(judge(|params| params.extended_key_usages = usages), Err(want));
    }
    // SPIRE issues certificates for both ends; as a client's that is enough.
    let both = vec![Extended::ServerAuth, Extended::ClientAuth];
    assert_eq!(judge(|params| params.extended_key_usages = both), Ok(()));
}

#[test]
fn a_ca_certificate_is_no_client() {
    let ca = root("HKU");
    let sub = ca.sub("HKU issuing", |params| {
        params.subject_alt_names = vec![uri_san(ALICE)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
    });
    assert_eq!(judge_chain(&ca, &[sub.der()]), Err(Denied::CaAsClient));
}

#[test]
fn weak_keys() {
    let ca = root("HKU");
    for (bits, want) in [
        (1024, Err(Denied::WeakKey)),
        (2040, Err(Denied::WeakKey)),
        (2048, Ok(())),
        (4096, Ok(())),
        (16384, Err(Denied::WeakKey)),
    ] {
        let leaf = ca.leaf_for(&RsaPublicKey::of_bits(bits), ALICE, |_| {});
        assert_eq!(judge_chain(&ca, &[leaf]), want, "RSA-{bits}");
    }
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let leaf = ca.leaf_for(&key, ALICE, |_| {});
        assert_eq!(judge_chain(&ca, &[leaf]), Ok(()), "{algorithm:?}");
    }
}

#[test]
fn validity_is_checked_to_the_second() {
    let ca = root("HKU");
    let leaf = ca.leaf(ALICE, |params| {
        params.not_before = rcgen::date_time_ymd(2026, 11, 10);
        params.not_after = rcgen::date_time_ymd(2026, 11, 20);
    });
    let store = hku(&ca.pem(), Some(&ca.crl(1, &[])));
    let at = |time: &str| {
        store.verify(std::slice::from_ref(&leaf), time.parse().unwrap()).map(|_| ()).map_err(|denied| denied.code())
    };
    assert_eq!(at("2026-11-09T23:59:59Z"), Err("not-yet-valid"));
    assert_eq!(at("2026-11-10T00:00:00Z"), Ok(()));
    assert_eq!(at("2026-11-20T00:00:00Z"), Ok(()));
    assert_eq!(at("2026-11-20T00:00:01Z"), Err("expired"));
    assert_eq!(at("1969-12-31T00:00:00Z"), Err("not-yet-valid"));
}
