//! x509-limbo's path-validation cases against our path validation and client profile.
//!
//! The leaves of the cases name hosts, not principals, so that the one thing left out is the
//! SPIFFE name; and where a case has no revocation list, revocation. Every answer that differs
//! from the expected one is in `tests/limbo-exceptions.json` with its reason.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;

use super::TrustStoreBuilder;
use crate::path::Revocation;
use crate::spiffe::TrustDomain;
use crate::x509::Facts;

/// For cases that name no time: all their certificates are valid then.
const DEFAULT_TIME: &str = "2026-03-01T00:00:00Z";

#[derive(Deserialize)]
struct Limbo {
    testcases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    expected_result: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    validation_time: Option<String>,
    crls: Vec<String>,
}

#[derive(Deserialize)]
struct Exception {
    we: String,
    reason: String,
}

#[test]
fn path_validation_agrees_with_x509_limbo() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = root.join("../../shared/vectors/limbo-clientauth.json");
    let Ok(text) = std::fs::read_to_string(&vectors) else {
        println!("did not run: the x509-limbo vectors are not beside the workspace");
        return;
    };
    let limbo: Limbo = serde_json::from_str(&text).unwrap();
    let exceptions: BTreeMap<String, Exception> =
        serde_json::from_str(&std::fs::read_to_string(root.join("tests/limbo-exceptions.json")).unwrap()).unwrap();
    assert_eq!(limbo.testcases.len(), 208);

    let mut used = 0;
    let mut problems = Vec::new();
    for case in &limbo.testcases {
        let outcome = judge(case);
        let we = if outcome.is_ok() { "accept" } else { "refuse" };
        let they = match case.expected_result.as_str() {
            "SUCCESS" => "accept",
            "FAILURE" => "refuse",
            other => panic!("unknown expectation `{other}`"),
        };
        match exceptions.get(&case.id) {
            None if we == they => {}
            None => problems.push(format!("{}: we {we}, limbo {they}: {outcome:?}", case.id)),
            Some(_) if we == they => problems.push(format!("{}: exception is stale", case.id)),
            Some(exception) => {
                used += 1;
                assert_eq!(exception.we, we, "{}", case.id);
                assert!(exception.reason.len() > 10, "{}: no reason", case.id);
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(used, exceptions.len(), "an exception names no case");
    println!(
        "{} cases, {} as expected, {used} reviewed exceptions",
        limbo.testcases.len(),
        limbo.testcases.len() - used
    );
}

fn judge(case: &Case) -> Result<(), String> {
    let shown = |error: &dyn std::fmt::Display| error.to_string();
    let time = case.validation_time.as_deref().unwrap_or(DEFAULT_TIME);
    let now = super::whole_second(time.parse().unwrap());
    let der = |pem: &String| CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string());
    let chain = std::iter::once(&case.peer_certificate)
        .chain(&case.untrusted_intermediates)
        .map(der)
        .collect::<Result<Vec<_>, _>>()?;
    let (leaf_der, sent) = super::split_chain(&chain).map_err(|error| shown(&error))?;
    let leaf = Facts::read(leaf_der).map_err(|error| shown(&error))?;

    let domain: TrustDomain = "limbo.example".parse().unwrap();
    let crls = case.crls.join("\n");
    let crls = (!case.crls.is_empty()).then_some(crls.as_str());
    let mut builder = TrustStoreBuilder::new();
    builder.add_domain(domain.clone(), &case.trusted_certs.join("\n"), crls).map_err(|error| shown(&error))?;
    let store = builder.build();
    let authorities = store.domains.get(&domain).unwrap();

    crate::profile::check_client(&leaf, now).map_err(|error| shown(&error))?;
    let revocation = match crls {
        Some(_) => Revocation::Enforced,
        None => Revocation::NotChecked,
    };
    // What the exceptions about host names say: none of these leaves names a principal.
    assert!(crate::profile::principal(&leaf).is_err(), "{}", case.id);
    match authorities.validate(leaf_der, sent, now, revocation) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err("no path".to_owned()),
        Err(denied) => Err(shown(&denied)),
    }
}
