//! What an authority issues, and what it will not.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::params::random_serial;
use super::*;

#[test]
fn reasons_have_one_name_in_flags_and_json() {
    for reason in RevocationReason::ALL {
        let json = serde_json::to_string(&reason).unwrap();
        assert_eq!(json, format!("\"{reason}\""));
        assert_eq!(reason.to_string().parse(), Ok(reason));
    }
    assert!("lost".parse::<RevocationReason>().is_err());
}

#[test]
fn serials_are_positive_and_of_full_length() {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        let serial = random_serial().unwrap();
        assert!((0x40..0x80).contains(&serial.first().copied().unwrap()));
        assert!(seen.insert(serial));
    }
}

#[test]
fn validity_has_limits() {
    let now: Timestamp = "2026-11-22T08:00:00.75Z".parse().unwrap();
    let hour = SignedDuration::from_hours(1);
    let validity = Validity::starting(now, hour).unwrap();
    assert_eq!(validity.not_before.to_string(), "2026-11-22T07:55:00Z");
    assert_eq!(validity.not_after.to_string(), "2026-11-22T09:00:00Z");
    for (now, length) in
        [(now, SignedDuration::ZERO), (now, VALIDITY_MAX + hour), (Timestamp::UNIX_EPOCH, hour), (Timestamp::MAX, hour)]
    {
        assert_eq!(Validity::starting(now, length), Err(AuthorityError::Validity));
    }
}

#[test]
fn server_authorities_name_no_principals_and_no_other_servers() {
    let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
    let validity = Validity::starting(now, SignedDuration::from_hours(24)).unwrap();
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let names = ServerNames { dns: vec!["localhost".to_owned()], ips: Vec::new() };
    let ca = Ca::self_sign_for_servers(&names, &key, validity).unwrap();
    assert_eq!(ca.trust_domain(), None);
    let alice = "spiffe://hku.hk/researcher/alice".parse().unwrap();
    assert_eq!(ca.issue_client(&alice, &key, validity), Err(AuthorityError::ServersOnly));
    let anchors = [webpki::anchor_from_trusted_cert(&ca.certificate).unwrap()];
    let verifies = |names: &ServerNames| {
        let issued = ca.issue_server(names, &key, validity).unwrap();
        let der = pem::certificates(&issued.pem).unwrap().remove(0);
        let seconds = u64::try_from(now.as_second()).unwrap();
        let time = rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        webpki::EndEntityCert::try_from(&der)
            .unwrap()
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors,
                &[],
                time,
                webpki::KeyUsage::server_auth(),
                None,
                None,
            )
            .map(|_| ())
    };
    assert_eq!(verifies(&names), Ok(()));
    let elsewhere = ServerNames { dns: vec!["bank.example".to_owned()], ips: Vec::new() };
    let with_address = ServerNames { ips: vec!["127.0.0.1".parse().unwrap()], ..names.clone() };
    for other in [elsewhere, with_address] {
        assert_eq!(verifies(&other), Err(webpki::Error::NameConstraintViolation));
    }
    for bad in [vec![], vec![String::new()], vec!["港大.hk".to_owned()]] {
        let names = ServerNames { dns: bad, ips: Vec::new() };
        assert_eq!(ca.issue_server(&names, &key, validity), Err(AuthorityError::ServerNames));
    }
}
