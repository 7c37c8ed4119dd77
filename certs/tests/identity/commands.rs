//! `kouan cert …` on a real folder.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use certs::authority::{AuthorityError, RevocationReason, ServerNames};
use certs::ca_dir::CaDirError;
use certs::command::{self, CertificateKind, CommandError, CreateCa, Issue, MakeP12, Target};
use certs::files::FileError;
use certs::keys::Algorithm;
use certs::{Denied, SpiffeId};

use crate::pki::{ALICE, days, domain, hku, now};

fn create(dir: &Path, trust_domain: &str) -> Result<command::CaCreated, CommandError> {
    let trust_domain = domain(trust_domain);
    let args = CreateCa {
        dir,
        trust_domain: &trust_domain,
        algorithm: Algorithm::EcdsaP256,
        length: days(365),
        crl_length: days(30),
    };
    command::create_ca(&args, now())
}

fn issue(dir: &Path, uri: &str) -> Result<command::CertificateIssued, CommandError> {
    let args = Issue { dir, out: dir, stem: None, algorithm: Algorithm::Ed25519, length: days(90) };
    command::issue(&args, &uri.parse().unwrap(), now())
}

fn read(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap()
}

fn verify(dir: &Path, leaf: &Path) -> Result<SpiffeId, Denied> {
    let chain = certs::trust::certificates_from_pem(&std::fs::read_to_string(leaf).unwrap()).unwrap();
    hku(&read(dir, "ca.pem"), Some(&read(dir, "crl.pem")))
        .verify(&chain, now())
        .map(|verified| verified.spiffe().clone())
}

#[test]
fn from_authority_to_revocation() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let made = create(dir, "hku.hk").unwrap();
    assert_eq!(made.crl_next_update, now() + days(30));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&made.key), 0o600);
    assert_eq!(mode(&made.ca), 0o644);
    assert_eq!(mode(&dir.join("issued.jsonl")), 0o600);

    let alice = issue(dir, ALICE).unwrap();
    assert_eq!(mode(&alice.key), 0o600);
    assert!(alice.certificate.ends_with("researcher-alice.pem"));
    assert_eq!(alice.serial.as_bytes().len(), 16);
    assert_eq!(verify(dir, &alice.certificate).unwrap().to_string(), ALICE);
    let bob = issue(dir, "spiffe://hku.hk/researcher/bob").unwrap();

    let reason = RevocationReason::AffiliationChanged;
    let by_file = Target::Certificate(&alice.certificate);
    let revoked = command::revoke(dir, &by_file, reason, days(30), now()).unwrap();
    assert_eq!(revoked.serial, Some(alice.serial.clone()));
    assert_eq!((revoked.crl_number, revoked.revoked), (2.into(), 1));
    assert_eq!(verify(dir, &alice.certificate), Err(Denied::Revoked));
    assert!(verify(dir, &bob.certificate).is_ok());

    let again = command::revoke(dir, &by_file, reason, days(30), now()).unwrap_err();
    assert!(matches!(again, CommandError::CaDir(CaDirError::AlreadyRevoked(_))));
    let by_serial = Target::Serial(bob.serial.to_string().parse().unwrap());
    command::revoke(dir, &by_serial, reason, days(30), now()).unwrap();
    assert_eq!(verify(dir, &bob.certificate), Err(Denied::Revoked));
    let unknown = Target::Serial("0badcafe".parse().unwrap());
    assert!(matches!(
        command::revoke(dir, &unknown, reason, days(30), now()),
        Err(CommandError::CaDir(CaDirError::NotIssued(_)))
    ));
    let json = serde_json::to_value(&alice).unwrap();
    assert_eq!(json["spiffe_id"], ALICE);
    assert_eq!(json["x5t_s256"].as_str().unwrap().len(), 43);
    assert!(json.get("server").is_none());
}

#[test]
fn numbers_rise_and_revocations_stay_whatever_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    create(dir, "hku.hk").unwrap();
    let alice = issue(dir, ALICE).unwrap();
    let target = Target::Serial(alice.serial.clone());
    command::revoke(dir, &target, RevocationReason::Superseded, days(30), now()).unwrap();
    let number = || command::sign_crl(dir, days(30), now()).unwrap().crl_number;
    assert_eq!(number(), 3.into());

    // The list is lost: the record knows.
    std::fs::remove_file(dir.join("crl.pem")).unwrap();
    assert_eq!(number(), 4.into());
    assert_eq!(verify(dir, &alice.certificate), Err(Denied::Revoked));
    // The record is lost: the list knows.
    std::fs::remove_file(dir.join("issued.jsonl")).unwrap();
    assert_eq!(number(), 5.into());
    assert_eq!(verify(dir, &alice.certificate), Err(Denied::Revoked));
}

#[test]
fn a_record_cut_by_a_crash_is_taken_up_and_a_changed_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    create(dir, "hku.hk").unwrap();
    let alice = issue(dir, ALICE).unwrap();
    let record = dir.join("issued.jsonl");
    let whole = read(dir, "issued.jsonl");
    std::fs::write(&record, format!("{whole}{{\"event\":\"iss")).unwrap();
    let target = Target::Serial(alice.serial);
    let reason = RevocationReason::Unspecified;
    command::revoke(dir, &target, reason, days(30), now()).unwrap();
    let now_there = read(dir, "issued.jsonl");
    assert!(now_there.starts_with(&whole));
    assert!(now_there.ends_with("}\n"));
    assert_eq!(now_there.lines().count(), whole.lines().count() + 2);

    std::fs::write(&record, format!("garbage\n{whole}")).unwrap();
    let refused = command::sign_crl(dir, days(30), now()).unwrap_err();
    assert!(refused.to_string().contains("line 1"), "{refused}");
}

#[test]
fn processes_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    create(dir, "hku.hk").unwrap();
    let mut numbers: Vec<_> = std::thread::scope(|scope| {
        let sign = || command::sign_crl(dir, days(30), now()).unwrap().crl_number;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(sign)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    numbers.sort();
    let want: Vec<certs::CrlNumber> = (2..10_u64).map(Into::into).collect();
    assert_eq!(numbers, want);
}

#[test]
fn what_is_refused_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    create(dir, "hku.hk").unwrap();
    let ca = read(dir, "ca.pem");
    let again = create(dir, "hku.hk").unwrap_err();
    assert!(matches!(again, CommandError::CaDir(CaDirError::Taken { .. })));
    assert_eq!(read(dir, "ca.pem"), ca);

    let foreign = issue(dir, "spiffe://cuhk.edu.hk/researcher/bob").unwrap_err();
    assert!(
        matches!(foreign, CommandError::CaDir(CaDirError::Authority(AuthorityError::ForeignTrustDomain { .. }))),
        "{foreign}"
    );
    issue(dir, ALICE).unwrap();
    let key = read(dir, "researcher-alice.key");
    let record = read(dir, "issued.jsonl");
    let twice = issue(dir, ALICE).unwrap_err();
    assert!(matches!(twice, CommandError::File(FileError::Exists { .. })));
    assert_eq!(read(dir, "researcher-alice.key"), key);
    assert_eq!(read(dir, "issued.jsonl"), record);

    let empty = tempfile::tempdir().unwrap();
    let nothing = issue(empty.path(), ALICE).unwrap_err();
    assert!(nothing.to_string().contains("ca.pem"), "{nothing}");

    // A key of another authority.
    let other = tempfile::tempdir().unwrap();
    create(other.path(), "hku.hk").unwrap();
    std::fs::copy(other.path().join("ca.key"), dir.join("ca.key")).unwrap();
    let mismatch = command::sign_crl(dir, days(30), now()).unwrap_err();
    assert!(matches!(mismatch, CommandError::CaDir(CaDirError::Authority(AuthorityError::KeyMismatch))), "{mismatch}");
    for length in [days(0), days(-1), days(365 * 60)] {
        let refused = command::sign_crl(other.path(), length, now());
        assert!(refused.is_err(), "{length:?}");
    }
}

#[test]
fn a_certificate_of_another_authority_is_not_revoked_by_its_serial() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (dir.path().join("hku"), dir.path().join("cuhk"));
    create(&ours, "hku.hk").unwrap();
    create(&theirs, "cuhk.edu.hk").unwrap();
    let bob = issue(&theirs, "spiffe://cuhk.edu.hk/researcher/bob").unwrap();
    let target = Target::Certificate(&bob.certificate);
    let reason = RevocationReason::Unspecified;
    let refused = command::revoke(&ours, &target, reason, days(30), now()).unwrap_err();
    assert!(matches!(refused, CommandError::OtherIssuer { .. }));
}

#[test]
fn showing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    create(dir, "hku.hk").unwrap();
    let alice = issue(dir, ALICE).unwrap();
    let names = ServerNames {
        dns: vec!["gw.hku.hk".to_owned()],
        ips: vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
    };
    let args = Issue { dir, out: dir, stem: None, algorithm: Algorithm::EcdsaP256, length: days(3650) };
    let server = command::issue_server(&args, &names, now()).unwrap();
    assert!(server.certificate.ends_with("server.pem"));
    assert_eq!(server.not_after, now() + days(365), "cut to the authority's end");
    let target = Target::Serial(alice.serial.clone());
    let reason = RevocationReason::KeyCompromise;
    command::revoke(dir, &target, reason, days(30), now()).unwrap();

    let one = |path: &Path| command::show(path, now()).unwrap().certificates.remove(0);
    let shown = one(&dir.join("ca.pem"));
    assert_eq!(shown.kind, CertificateKind::Authority);
    assert_eq!(shown.trust_domain, Some(domain("hku.hk")));
    let shown = one(&alice.certificate);
    assert_eq!(shown.kind, CertificateKind::Client);
    assert_eq!(shown.spiffe_id.unwrap().to_string(), ALICE);
    assert_eq!(shown.x5t_s256, alice.x5t_s256);
    assert_eq!((shown.in_validity, shown.refused), (true, None));
    let shown = one(&server.certificate);
    assert_eq!(shown.kind, CertificateKind::Server);
    assert_eq!((shown.dns, shown.ips), (names.dns, names.ips));
    let late = command::show(&alice.certificate, now() + days(100)).unwrap();
    assert!(!late.certificates[0].in_validity);
    assert!(late.certificates[0].refused.as_ref().unwrap().contains("expired"));

    let shown = command::show(&dir.join("crl.pem"), now()).unwrap();
    assert!(shown.certificates.is_empty());
    let crl = &shown.crls[0];
    assert_eq!((crl.crl_number, crl.stale), (2.into(), false));
    assert_eq!(crl.revoked[0].serial, alice.serial);
    assert_eq!(crl.revoked[0].reason_code, Some(1));
    let stale = command::show(&dir.join("crl.pem"), now() + days(30)).unwrap();
    assert!(stale.crls[0].stale);

    let both = dir.join("both.pem");
    std::fs::write(&both, read(dir, "ca.pem") + &read(dir, "crl.pem")).unwrap();
    let shown = command::show(&both, now()).unwrap();
    assert_eq!((shown.certificates.len(), shown.crls.len()), (1, 1));
    // A key is neither, and is not shown.
    let key = command::show(&alice.key, now()).unwrap_err();
    assert!(matches!(key, CommandError::NothingToShow { .. }), "{key}");
}

#[test]
fn bundles_need_a_password_and_the_right_key() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    create(dir, "hku.hk").unwrap();
    let alice = issue(dir, ALICE).unwrap();
    let bob = issue(dir, "spiffe://hku.hk/researcher/bob").unwrap();
    let out = dir.join("alice.p12");
    let make = |key: &Path, password: &str| {
        command::make_p12(&MakeP12 { certificate: &alice.certificate, key, ca: None, out: &out, alias: None, password })
    };
    assert!(make(&bob.key, "x").is_err());
    assert!(make(&alice.key, "").is_err());
    assert!(!out.exists());
    let written = make(&alice.key, "x").unwrap();
    assert_eq!(written.alias, "researcher-alice");
    let mode = std::fs::metadata(&out).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(make(&alice.key, "x").is_err(), "never overwritten");
}
