//! Trust bundles and revocation lists: what is taken, what is not, and what a list decides.

use certs::crl::CrlError;
use certs::trust::{CaError, TrustError};
use certs::{CrlNumber, Denied, TrustStoreBuilder};
use rcgen::{
    CertificateParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CustomExtension, IsCa, KeyUsagePurpose,
    SerialNumber,
};

use crate::pki::{ALICE, days, der, domain, hku, now, root, root_with, uri_san};

fn add(ca_pem: &str, crl_pem: Option<&str>) -> Result<(), TrustError> {
    TrustStoreBuilder::new().add_domain(domain("hku.hk"), ca_pem, crl_pem).map(|_| ())
}

#[test]
fn a_domain_without_a_list_denies() {
    let ca = root("HKU");
    let leaf = ca.leaf(ALICE, |_| {});
    let store = hku(&ca.pem(), None);
    assert_eq!(store.verify(&[leaf], now()), Err(Denied::CrlMissing));
}

#[test]
fn a_list_decides_by_serial_and_only_while_it_is_fresh() {
    let ca = root("HKU");
    let leaf = |serial: &[u8]| {
        [ca.leaf(ALICE, |params| {
            params.serial_number = Some(SerialNumber::from_slice(serial));
        })]
    };
    // A serial with its top bit set has a sign byte in DER, in the list as in the certificate.
    let store = hku(&ca.pem(), Some(&ca.crl(1, &[&[0x41, 2], &[0x81, 3]])));
    assert!(store.verify(&leaf(&[0x41, 1]), now()).is_ok());
    assert_eq!(store.verify(&leaf(&[0x41, 2]), now()), Err(Denied::Revoked));
    assert_eq!(store.verify(&leaf(&[0x81, 3]), now()), Err(Denied::Revoked));
    assert_eq!(store.crls().next().unwrap().revoked, 2);

    let at =
        |time: &str| store.verify(&leaf(&[0x41, 1]), time.parse().unwrap()).map(|_| ()).map_err(|denied| denied.code());
    assert_eq!(at("2026-10-31T23:59:59Z"), Err("crl-not-yet-valid"));
    assert_eq!(at("2026-11-01T00:00:00Z"), Ok(()));
    assert_eq!(at("2026-11-30T23:59:59Z"), Ok(()));
    assert_eq!(at("2026-12-01T00:00:00Z"), Err("crl-stale"));
}

#[test]
fn a_revoked_intermediate_takes_its_leaves_with_it() {
    let ca = root("HKU");
    let issuing = ca.sub("HKU issuing", |params| {
        params.serial_number = Some(SerialNumber::from_slice(&[0x42]));
    });
    let leaf = issuing.leaf(ALICE, |_| {});
    let bundle = ca.pem() + &issuing.pem();
    let own = issuing.crl(1, &[]);
    let verify = |crls: &str| hku(&bundle, Some(crls)).verify(std::slice::from_ref(&leaf), now()).map(|_| ());
    assert_eq!(verify(&(ca.crl(1, &[]) + &own)), Ok(()));
    assert_eq!(verify(&(ca.crl(2, &[&[0x42]]) + &own)), Err(Denied::Revoked));
    // The root's list alone says nothing about the issuing authority's leaves, nor the other
    // way round.
    assert_eq!(verify(&ca.crl(1, &[])), Err(Denied::CrlMissing));
    assert_eq!(verify(&own), Err(Denied::CrlMissing));
}

/// A rollover: old and new root bear one name. webpki alone would take whichever list comes
/// first for both.
#[test]
fn two_authorities_of_one_name_keep_their_lists_apart() {
    let old = root("HKU");
    let new = root("HKU");
    let bundle = old.pem() + &new.pem();
    let serial: &[u8] = &[0x41, 1, 2, 3];
    let from_old = [old.leaf(ALICE, |_| {})];
    let from_new = [new.leaf(ALICE, |_| {})];
    for crls in [old.crl(9, &[serial]) + &new.crl(1, &[]), new.crl(1, &[]) + &old.crl(9, &[serial])] {
        let store = hku(&bundle, Some(&crls));
        assert_eq!(store.verify(&from_old, now()), Err(Denied::Revoked));
        assert!(store.verify(&from_new, now()).is_ok());
    }
    let store = hku(&bundle, Some(&new.crl(1, &[])));
    assert_eq!(store.verify(&from_old, now()), Err(Denied::CrlMissing));
}

/// The same key and name, signed again for longer: either certificate may anchor.
#[test]
fn a_renewed_root_beside_the_ended_one() {
    let key = certs::keys::PrivateKey::generate(certs::keys::Algorithm::EcdsaP256).unwrap();
    let validity = |start: &str, end: &str| certs::authority::Validity {
        not_before: start.parse().unwrap(),
        not_after: end.parse().unwrap(),
    };
    let hku_hk = domain("hku.hk");
    let ended = validity("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
    let current = validity("2025-12-01T00:00:00Z", "2027-01-01T00:00:00Z");
    let old = certs::authority::Ca::self_sign(&hku_hk, &key, ended).unwrap();
    let new = certs::authority::Ca::self_sign(&hku_hk, &key, current).unwrap();
    let leaf_key = certs::keys::PrivateKey::generate(certs::keys::Algorithm::Ed25519).unwrap();
    let leaf = new.issue_client(&ALICE.parse().unwrap(), &leaf_key, current).unwrap();
    let crl = new.sign_crl(1.into(), validity("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"), &[]).unwrap();
    let chain = certs::trust::certificates_from_pem(&leaf.pem).unwrap();
    for bundle in [old.pem().to_owned() + new.pem(), new.pem().to_owned() + old.pem()] {
        assert!(hku(&bundle, Some(&crl)).verify(&chain, now()).is_ok());
    }
    assert_eq!(hku(old.pem(), Some(&crl)).verify(&chain, now()), Err(Denied::IssuerNotValid));
}

#[test]
fn the_newest_list_counts_and_an_older_one_is_never_taken_again() {
    let ca = root("HKU");
    let leaf = [ca.leaf(ALICE, |_| {})];
    let old = ca.crl(4, &[]);
    let new = ca.crl(5, &[&[0x41, 1, 2, 3]]);
    for both in [old.clone() + &new, new.clone() + &old, new.clone() + &new] {
        let store = hku(&ca.pem(), Some(&both));
        assert_eq!(store.verify(&leaf, now()), Err(Denied::Revoked));
        assert_eq!(store.crl_numbers().into_values().collect::<Vec<_>>(), [CrlNumber::from(5)]);
    }

    // Across restarts: the numbers of the last store bind the next one.
    let used = hku(&ca.pem(), Some(&new));
    let mut builder = TrustStoreBuilder::new();
    builder.known_numbers(used.crl_numbers());
    let refused = builder.add_domain(domain("hku.hk"), &ca.pem(), Some(&old)).unwrap_err();
    assert_eq!(refused, TrustError::CrlNotNewer { trust_domain: domain("hku.hk"), have: 5.into(), got: 4.into() });
    // The list in use may be loaded again; a failed attempt has left nothing behind.
    builder.add_domain(domain("hku.hk"), &ca.pem(), Some(&new)).unwrap();

    // Offered over the API, it must be higher.
    let offer = |crl: &str, now| used.check_crl(&domain("hku.hk"), crl, now);
    for stale in [&old, &new] {
        let refused = offer(stale, now()).unwrap_err();
        assert!(matches!(refused, TrustError::CrlNotNewer { .. }));
    }
    assert_eq!(offer(&ca.crl(6, &[]), now()).unwrap()[0].number, 6.into());
    let late = offer(&ca.crl(6, &[]), now() + days(30)).unwrap_err();
    assert!(matches!(late, TrustError::CrlStale { .. }), "{late}");
    let nobody = used.check_crl(&domain("nobody.example"), &new, now());
    assert!(matches!(nobody, Err(TrustError::UnknownTrustDomain { .. })));
}

#[test]
fn two_lists_with_one_number_are_ambiguous() {
    let ca = root("HKU");
    let lists = ca.crl(5, &[]) + &ca.crl(5, &[&[1]]);
    assert!(matches!(add(&ca.pem(), Some(&lists)), Err(TrustError::CrlAmbiguous { .. })));
}

#[test]
fn lists_that_are_not_taken() {
    let ca = root("HKU");
    let reason = |ca_pem: &str, crl: &str| match add(ca_pem, Some(crl)).unwrap_err() {
        TrustError::Crl { error, index, .. } => {
            assert_eq!(index, 1);
            error
        }
        other => panic!("{other}"),
    };
    // An offered list is verified as strictly as a loaded one.
    let offered = hku(&ca.pem(), None).check_crl(&domain("hku.hk"), &root("HKU").crl(1, &[]), now());
    assert!(matches!(offered, Err(TrustError::Crl { .. })));
    let other = root("CUHK");
    let twin = root("HKU");
    for stranger in [&other, &twin] {
        assert_eq!(reason(&ca.pem(), &stranger.crl(1, &[])), CrlError::ForeignIssuer);
    }
    let partitioned = ca.crl_with(1, &[], |crl| {
        crl.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec!["http://crl.hku.hk/1".to_owned()] },
            scope: None,
        });
    });
    assert_eq!(reason(&ca.pem(), &partitioned), CrlError::Partitioned);
    // One flipped bit of the signature.
    let pem = ca.crl(1, &[]);
    let line = pem.lines().rev().nth(1).unwrap();
    let flipped = if line.starts_with('A') { "B" } else { "A" };
    let broken = pem.replace(line, &format!("{flipped}{}", &line[1..]));
    assert_ne!(broken, pem);
    assert!(add(&ca.pem(), Some(&broken)).is_err());

    let no_text = add(&ca.pem(), Some("nothing"));
    assert!(matches!(no_text, Err(TrustError::CrlPem { .. })));
    let certificate = add(&ca.pem(), Some(&ca.pem()));
    assert!(matches!(certificate, Err(TrustError::CrlPem { .. })));
    let huge = "x".repeat((16 << 20) + 1);
    assert!(matches!(add(&ca.pem(), Some(&huge)), Err(TrustError::CrlPem { .. })));
    let many = ca.crl(1, &[]).repeat(65);
    assert!(matches!(add(&ca.pem(), Some(&many)), Err(TrustError::CrlPem { .. })));
}

#[test]
fn bundles_that_are_not_taken() {
    let reason = |change: fn(&mut CertificateParams)| match add(&root_with("HKU", change).pem(), None).unwrap_err() {
        TrustError::Ca { error, .. } => error,
        other => panic!("{other}"),
    };
    assert_eq!(reason(|ca| ca.is_ca = IsCa::ExplicitNoCa), CaError::NotCa);
    assert_eq!(reason(|ca| ca.is_ca = IsCa::NoCa), CaError::NotCa);
    assert_eq!(reason(|ca| ca.key_usages.clear()), CaError::KeyUsage);
    assert_eq!(reason(|ca| ca.key_usages = vec![KeyUsagePurpose::CrlSign]), CaError::KeyUsage);
    assert_eq!(reason(|ca| ca.distinguished_name = rcgen::DistinguishedName::new()), CaError::EmptySubject);
    assert_eq!(
        reason(|ca| ca.subject_alt_names = vec![uri_san("spiffe://cuhk.edu.hk")]),
        CaError::OtherTrustDomain(domain("cuhk.edu.hk"))
    );
    // A principal is no authority.
    assert_eq!(reason(|ca| ca.subject_alt_names = vec![uri_san(ALICE)]), CaError::NotATrustDomain);
    // webpki ignores critical extensions of a trust anchor.
    assert_eq!(
        reason(|ca| {
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999], der(0x04, b"x"));
            extension.set_criticality(true);
            ca.custom_extensions = vec![extension];
        }),
        CaError::UnknownCriticalExtension
    );

    let ca = root("HKU");
    let issuing = ca.sub("issuing", |_| {});
    assert!(matches!(add(&issuing.pem(), None), Err(TrustError::NoRoot { .. })));
    for text in ["", "garbage", &ca.crl(1, &[])] {
        assert!(matches!(add(text, None), Err(TrustError::CaPem { .. })));
    }
    let broken = ca.pem().replace("MII", "!!!");
    assert!(matches!(add(&broken, None), Err(TrustError::CaPem { .. })));
}

#[test]
fn no_authority_belongs_to_two_trust_domains() {
    let ca = root("shared");
    let own = root("CUHK");
    let mut builder = TrustStoreBuilder::new();
    builder.add_domain(domain("hku.hk"), &ca.pem(), None).unwrap();
    let twice = builder.add_domain(domain("hku.hk"), &own.pem(), None);
    assert!(matches!(twice, Err(TrustError::DomainTwice { .. })));
    let shared = own.pem() + &ca.pem();
    let refused = builder.add_domain(domain("cuhk.edu.hk"), &shared, None).unwrap_err();
    assert_eq!(refused, TrustError::SharedAuthority { trust_domain: domain("cuhk.edu.hk"), other: domain("hku.hk") });
    builder.add_domain(domain("cuhk.edu.hk"), &own.pem(), None).unwrap();
    let store = builder.build();
    let names: Vec<_> = store.trust_domains().map(ToString::to_string).collect();
    assert_eq!(names, ["cuhk.edu.hk", "hku.hk"]);
}

/// A list speaks for the name in it too: one key under two names needs two lists, of which one
/// is kept, so that the other name's leaves are denied.
#[test]
fn a_list_does_not_cover_another_name_of_its_key() {
    let ca = root("HKU");
    let alias = ca.renamed("HKU too");
    let store = hku(&(ca.pem() + &alias.pem()), Some(&ca.crl(1, &[])));
    let own = ca.leaf(ALICE, |_| {});
    let other = alias.leaf(ALICE, |_| {});
    assert!(store.verify(&[own], now()).is_ok());
    assert_eq!(store.verify(&[other], now()), Err(Denied::CrlMissing));
}
