//! What we issue, in the eyes of OpenSSL: an implementation that shares no line with ours.

use std::path::Path;
use std::process::{Command, Output};

use certs::authority::RevocationReason;
use certs::command::{self, CreateCa, Issue, MakeP12, Target};
use certs::keys::Algorithm;
use certs::trust::{CaError, TrustError};
use jiff::Timestamp;

use crate::pki::{ALICE, RsaPublicKey, days, domain, hku, now};

/// `None` if there is no openssl here, which the test then says.
fn openssl(dir: &Path, args: &[&str]) -> Option<Output> {
    let output = Command::new("openssl").current_dir(dir).args(args).output();
    match output {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("did not run: no openssl on this machine");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn issue_alice(dir: &Path, algorithm: Algorithm, now: Timestamp) -> command::CertificateIssued {
    let hku_hk = domain("hku.hk");
    let create = CreateCa { dir, trust_domain: &hku_hk, algorithm, length: days(365), crl_length: days(30) };
    command::create_ca(&create, now).unwrap();
    let issue = Issue { dir, out: dir, stem: None, algorithm, length: days(90) };
    command::issue(&issue, &ALICE.parse().unwrap(), now).unwrap()
}

#[test]
fn verifies_our_chains_and_believes_our_revocations() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let issued = issue_alice(dir, algorithm, now());
        let at = now().as_second().to_string();
        let verify = [
            "verify",
            "-x509_strict",
            "-purpose",
            "sslclient",
            "-attime",
            &at,
            "-crl_check",
            "-CAfile",
            "ca.pem",
            "-CRLfile",
            "crl.pem",
            "researcher-alice.pem",
        ];
        let Some(output) = openssl(dir, &verify) else {
            return;
        };
        assert!(output.status.success(), "{algorithm}: {}", text(&output));

        // The key is readable and fits.
        let key = openssl(dir, &["pkey", "-in", "researcher-alice.key", "-pubout"]).unwrap();
        let cert = openssl(dir, &["x509", "-in", "researcher-alice.pem", "-noout", "-pubkey"]).unwrap();
        assert!(key.status.success(), "{}", text(&key));
        assert_eq!(key.stdout, cert.stdout);

        let target = Target::Certificate(&issued.certificate);
        let reason = RevocationReason::KeyCompromise;
        command::revoke(dir, &target, reason, days(30), now()).unwrap();
        let output = openssl(dir, &verify).unwrap();
        assert!(text(&output).contains("revoked"), "{}", text(&output));
        let crl = openssl(dir, &["crl", "-in", "crl.pem", "-noout", "-text"]).unwrap();
        let crl = text(&crl);
        for want in ["Key Compromise", "X509v3 CRL Number", "Authority Key Id"] {
            assert!(crl.contains(want), "{want} is not in {crl}");
        }
    }
}

#[test]
fn sees_exactly_the_profile_in_our_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    issue_alice(dir, Algorithm::EcdsaP256, now());
    let args = ["x509", "-in", "researcher-alice.pem", "-noout", "-text"];
    let Some(output) = openssl(dir, &args) else {
        return;
    };
    let shown = text(&output);
    for want in [
        "URI:spiffe://hku.hk/researcher/alice",
        "Digital Signature\n",
        "TLS Web Client Authentication\n",
        "CA:FALSE",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
    ] {
        assert!(shown.contains(want), "{want} is not in {shown}");
    }
    let ca = openssl(dir, &["x509", "-in", "ca.pem", "-noout", "-text"]).unwrap();
    let ca = text(&ca);
    for want in ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign\n", "URI:spiffe://hku.hk\n"] {
        assert!(ca.contains(want), "{want} is not in {ca}");
    }
}

#[test]
fn opens_our_pkcs12_bundles() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let issued = issue_alice(dir, Algorithm::EcdsaP256, now());
    let out = dir.join("alice.p12");
    let args = MakeP12 {
        certificate: &issued.certificate,
        key: &issued.key,
        ca: Some(&dir.join("ca.pem")),
        out: &out,
        alias: Some("爱丽丝 at HKU"),
        password: "quick start",
    };
    let written = command::make_p12(&args).unwrap();
    assert_eq!(written.spiffe_id.unwrap().to_string(), ALICE);
    let open = |password: &str| {
        let password = format!("pass:{password}");
        openssl(dir, &["pkcs12", "-in", "alice.p12", "-nodes", "-info", "-passin", &password])
    };
    let Some(output) = open("quick start") else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output));
    let shown = text(&output);
    for want in ["AES-256-CBC", "BEGIN PRIVATE KEY", "BEGIN CERTIFICATE"] {
        assert!(shown.contains(want), "{want} is not in {shown}");
    }
    assert_eq!(shown.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(!open("wrong").unwrap().status.success());
}

/// A certificate that OpenSSL made and our authority signed by its hand, with a real RSA-1024
/// key and with SHA-1: refused for the key and for the signature.
#[test]
fn weak_certificates_by_another_hand_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    issue_alice(dir, Algorithm::EcdsaP256, now());
    let extensions = format!(
        "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n\
         extendedKeyUsage=clientAuth\nsubjectAltName=URI:{ALICE}\n\
         authorityKeyIdentifier=keyid\n"
    );
    std::fs::write(dir.join("leaf.ext"), extensions).unwrap();
    for (bits, digest, want) in [
        ("rsa:1024", "-sha256", Err("weak-key")),
        ("rsa:2048", "-sha1", Err("weak-signature")),
        ("rsa:2048", "-sha256", Ok(())),
    ] {
        let request =
            ["req", "-new", "-newkey", bits, "-nodes", "-keyout", "weak.key", "-subj", "/CN=weak", "-out", "weak.csr"];
        let Some(output) = openssl(dir, &request) else {
            return;
        };
        assert!(output.status.success(), "{}", text(&output));
        let sign = [
            "x509",
            "-req",
            "-in",
            "weak.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            digest,
            "-days",
            "3650",
            "-extfile",
            "leaf.ext",
            "-set_serial",
            "77",
            "-out",
            "weak.pem",
        ];
        let output = openssl(dir, &sign).unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
        let chain = certs::trust::certificates_from_pem(&read("weak.pem")).unwrap();
        // OpenSSL's clock is the machine's: judge when its certificate has begun, with a list
        // that is as fresh.
        let later = now().max(Timestamp::now() + days(1));
        command::sign_crl(dir, days(30), later).unwrap();
        let store = hku(&read("ca.pem"), Some(&read("crl.pem")));
        let outcome = store.verify(&chain, later);
        assert_eq!(outcome.map(|_| ()).map_err(|denied| denied.code()), want, "{bits} {digest}");
    }
    // The synthetic RSA keys of the other tests are what OpenSSL takes for RSA keys too.
    let ca = crate::pki::root("HKU");
    let leaf = ca.leaf_for(&RsaPublicKey::of_bits(1024), ALICE, |_| {});
    std::fs::write(dir.join("synthetic.der"), &leaf).unwrap();
    let args = ["x509", "-inform", "DER", "-in", "synthetic.der", "-noout", "-text"];
    let shown = text(&openssl(dir, &args).unwrap());
    assert!(shown.contains("Public-Key: (1024 bit)"), "{shown}");
}

/// Our authority loads what OpenSSL made: a participant may bring its own.
#[test]
fn an_authority_made_by_openssl_can_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let make = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-subj",
        "/C=HK/O=HKU/CN=HKU Root",
        "-days",
        "3650",
        "-addext",
        "basicConstraints=critical,CA:TRUE,pathlen:0",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        "-addext",
        "subjectAltName=URI:spiffe://hku.hk",
    ];
    let Some(output) = openssl(dir, &make) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output));
    let now = Timestamp::now() + days(1);
    command::sign_crl(dir, days(30), now).unwrap();
    let issue = Issue { dir, out: dir, stem: Some("alice"), algorithm: Algorithm::EcdsaP256, length: days(30) };
    let issued = command::issue(&issue, &ALICE.parse().unwrap(), now).unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let chain = certs::trust::certificates_from_pem(&read("alice.pem")).unwrap();
    let store = hku(&read("ca.pem"), Some(&read("crl.pem")));
    let verified = store.verify(&chain, now).unwrap();
    assert_eq!(*verified.serial(), issued.serial);
}

#[test]
fn a_weak_root_made_by_openssl_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (bits, weak) in [("rsa:1024", true), ("rsa:2048", false)] {
        let make = [
            "req",
            "-x509",
            "-newkey",
            bits,
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-subj",
            "/CN=HKU Root",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ];
        let Some(output) = openssl(dir, &make) else {
            return;
        };
        assert!(output.status.success(), "{}", text(&output));
        let pem = std::fs::read_to_string(dir.join("ca.pem")).unwrap();
        let mut builder = certs::TrustStoreBuilder::new();
        let outcome = builder.add_domain(domain("hku.hk"), &pem, None).map(|_| ());
        let refused = matches!(outcome, Err(TrustError::Ca { error: CaError::WeakKey, .. }));
        assert_eq!(refused, weak, "{bits}: {outcome:?}");
        assert_eq!(outcome.is_ok(), !weak, "{bits}: {outcome:?}");
    }
}
