//! The PKI that quickstart leaves behind.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use certs::authority::RevocationReason;
use certs::command::{self, Target};
use certs::dev::{self, Change, DevError, DevParticipant, DevPki};
use certs::tls::{ServerIdentity, client_config};
use certs::{Role, TrustStore, TrustStoreBuilder};
use jiff::Timestamp;

use crate::pki::{days, now};

const PARTICIPANTS: [DevParticipant<'_>; 4] = [
    DevParticipant { id: "hku", trust_domain: "hku.hk", principals: &[(Role::Researcher, "alice")] },
    DevParticipant { id: "cuhk", trust_domain: "cuhk.edu.hk", principals: &[(Role::Researcher, "bob")] },
    DevParticipant {
        id: "qianhai",
        trust_domain: "qianhai-compute.cn",
        principals: &[(Role::Broker, "lin"), (Role::Operator, "ops")],
    },
    DevParticipant {
        id: "regulator",
        trust_domain: "regulator.example",
        principals: &[(Role::Compliance, "chan"), (Role::Compliance, "lee")],
    },
];

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

fn trust(pki: &DevPki) -> TrustStore {
    let mut builder = TrustStoreBuilder::new();
    for authority in &pki.participants {
        builder.add_domain(authority.trust_domain.clone(), &read(&authority.ca), Some(&read(&authority.crl))).unwrap();
    }
    builder.build()
}

/// Everything in it works at `at`.
fn assert_usable(pki: &DevPki, at: Timestamp) {
    let store = trust(pki);
    for principal in pki.participants.iter().flat_map(|p| &p.principals) {
        let chain = certs::trust::certificates_from_pem(&read(&principal.paths.certificate)).unwrap();
        let verified = store.verify(&chain, at).unwrap();
        assert_eq!(*verified.spiffe(), principal.spiffe);
        assert_eq!(verified.cert_sha256(), principal.cert_sha256);
        client_config(&read(&pki.trust), &read(&principal.paths.certificate), &read(&principal.paths.key), &[])
            .unwrap();
    }
    ServerIdentity::from_pem(&read(&pki.server.certificate), &read(&pki.server.key)).unwrap();
}

#[test]
fn leaves_behind_what_the_contract_lists() {
    let dir = tempfile::tempdir().unwrap();
    let pki = dev::ensure(dir.path(), now(), &PARTICIPANTS).unwrap();
    assert_usable(&pki, now());
    let mut wanted: Vec<String> = ["server.pem", "server.key", "trust.pem"].map(str::to_owned).into();
    for id in ["hku", "cuhk", "qianhai", "regulator"] {
        wanted.extend(["ca.pem", "ca.key", "crl.pem"].map(|name| format!("{id}/{name}")));
    }
    for stem in [
        "hku/researcher-alice",
        "cuhk/researcher-bob",
        "qianhai/broker-lin",
        "qianhai/operator-ops",
        "regulator/compliance-chan",
        "regulator/compliance-lee",
    ] {
        wanted.extend([format!("{stem}.pem"), format!("{stem}.key")]);
    }
    for name in wanted {
        let path = dir.path().join("pki").join(&name);
        let mode = std::fs::metadata(&path).unwrap_or_else(|error| panic!("{name}: {error}")).permissions().mode();
        let is_key = path.extension().is_some_and(|ending| ending == "key");
        let want = if is_key { 0o600 } else { 0o644 };
        assert_eq!(mode & 0o777, want, "{name}");
    }
    for principal in pki.participants.iter().flat_map(|p| &p.principals) {
        assert_eq!(principal.not_after, now() + days(90));
    }
    for crl in trust(&pki).crls() {
        assert_eq!(crl.next_update, now() + days(90));
    }
}

#[test]
fn a_second_run_changes_nothing_and_a_later_one_renews_for_the_same_keys() {
    let dir = tempfile::tempdir().unwrap();
    dev::ensure(dir.path(), now(), &PARTICIPANTS).unwrap();
    let before = files(dir.path());
    for later in [now(), now() + days(60)] {
        let pki = dev::ensure(dir.path(), later, &PARTICIPANTS).unwrap();
        assert_eq!(pki.changes, []);
        assert_eq!(files(dir.path()), before);
    }
    let keys = |files: Vec<(PathBuf, Vec<u8>)>| -> Vec<(PathBuf, Vec<u8>)> {
        files.into_iter().filter(|(path, _)| path.extension().is_some_and(|ending| ending == "key")).collect()
    };
    // Soon to end, and long ended.
    for later in [now() + days(80), now() + days(1000)] {
        let pki = dev::ensure(dir.path(), later, &PARTICIPANTS).unwrap();
        assert_usable(&pki, later);
        assert_usable(&pki, later + days(75));
        assert!(pki.changes.iter().all(|(_, what)| *what == Change::Renewed));
        // 4 authorities and lists, 6 principals, the server and its authority.
        assert_eq!(pki.changes.len(), 4 + 4 + 6 + 2);
        assert_eq!(keys(files(dir.path())), keys(before.clone()));
    }
}

#[test]
fn what_is_missing_is_made_and_what_is_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    dev::ensure(dir.path(), now(), &PARTICIPANTS[..2]).unwrap();
    let before = files(dir.path());
    let pki = dev::ensure(dir.path(), now(), &PARTICIPANTS).unwrap();
    assert_usable(&pki, now());
    let after = files(dir.path());
    assert!(before.iter().all(|file| after.contains(file)));

    let alice = dir.path().join("pki/hku/researcher-alice.pem");
    std::fs::remove_file(&alice).unwrap();
    std::fs::remove_file(dir.path().join("pki/hku/crl.pem")).unwrap();
    std::fs::remove_file(dir.path().join("pki/trust.pem")).unwrap();
    let pki = dev::ensure(dir.path(), now(), &PARTICIPANTS).unwrap();
    assert_usable(&pki, now());
    assert!(pki.changes.contains(&(alice, Change::Created)));
    assert_eq!(pki.changes.len(), 3, "{:?}", pki.changes);

    // An authority that is gone with its key: its leaves are signed anew by the next one.
    std::fs::remove_file(dir.path().join("pki/hku/ca.pem")).unwrap();
    std::fs::remove_file(dir.path().join("pki/hku/ca.key")).unwrap();
    let pki = dev::ensure(dir.path(), now(), &PARTICIPANTS).unwrap();
    assert_usable(&pki, now());
}

#[test]
fn a_revoked_principal_stays_revoked_through_renewals() {
    let dir = tempfile::tempdir().unwrap();
    let pki = dev::ensure(dir.path(), now(), &PARTICIPANTS).unwrap();
    let hku = dir.path().join("pki/hku");
    let alice = &pki.participants[0].principals[0];
    let target = Target::Certificate(&alice.paths.certificate);
    let reason = RevocationReason::KeyCompromise;
    command::revoke(&hku, &target, reason, days(30), now()).unwrap();
    let chain = certs::trust::certificates_from_pem(&read(&alice.paths.certificate)).unwrap();
    for later in [now(), now() + days(20), now() + days(80)] {
        let pki = dev::ensure(dir.path(), later, &PARTICIPANTS).unwrap();
        let denied = trust(&pki).verify(&chain, later).unwrap_err();
        assert_eq!(denied, certs::Denied::Revoked);
        assert!(pki.participants[0].principals[0].revoked);
    }
}

#[test]
fn what_does_not_belong_there_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    dev::ensure(dir.path(), now(), &PARTICIPANTS).unwrap();
    let pki = dir.path().join("pki");
    let alice = pki.join("hku/researcher-alice.pem");
    let refused = |what: &str| {
        let before = files(dir.path());
        let error = dev::ensure(dir.path(), now(), &PARTICIPANTS).unwrap_err();
        assert_eq!(files(dir.path()), before, "{what}");
        assert!(matches!(&error, DevError::Unusable { path, .. } if path.ends_with(what)), "{error}");
    };
    let kept = read(&alice);
    std::fs::write(&alice, "garbage").unwrap();
    refused("hku/researcher-alice.pem");
    std::fs::copy(pki.join("cuhk/researcher-bob.pem"), &alice).unwrap();
    refused("hku/researcher-alice.pem");
    std::fs::write(&alice, &kept).unwrap();
    let key = pki.join("server.key");
    let kept = read(&key);
    std::fs::write(&key, "garbage").unwrap();
    refused("server.key");
    std::fs::write(&key, kept).unwrap();
    std::fs::copy(pki.join("cuhk/ca.pem"), pki.join("hku/ca.pem")).unwrap();
    std::fs::copy(pki.join("cuhk/ca.key"), pki.join("hku/ca.key")).unwrap();
    refused("hku/ca.pem");
}

#[test]
fn names_that_would_leave_the_folder_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for id in ["", "..", "a/b", "HKU", &"a".repeat(65)] {
        let participant = DevParticipant { id, trust_domain: "hku.hk", principals: &[] };
        let error = dev::ensure(dir.path(), now(), &[participant]).unwrap_err();
        assert!(matches!(error, DevError::ParticipantId { .. }), "{error}");
    }
    let participant =
        DevParticipant { id: "hku", trust_domain: "hku.hk", principals: &[(Role::Researcher, "../alice")] };
    let error = dev::ensure(dir.path(), now(), &[participant]).unwrap_err();
    assert!(matches!(error, DevError::Name { .. }), "{error}");
}
