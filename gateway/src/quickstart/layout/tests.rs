#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn bound(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Every file below `dir` and its bytes.
fn files_of(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_folder_is_laid_out_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Layout::ensure(dir.path(), "127.0.0.1:0").unwrap();
    let (config, is_new) = first.config().unwrap();
    assert!(is_new);
    assert_eq!(config.listen, bound(0));
    first.write_config(bound(18_443), bound(19_443)).unwrap();
    for name in [
        "kouan.toml",
        "pki/trust.pem",
        "pki/server.pem",
        "pki/server.key",
        "pki/log.key",
        "pki/log.vkey",
        "pki/witness-policy",
        "witness/hk/witness.key",
        "witness/hk/seen.db",
        "witness/qh/witness.toml",
        "pki/hku/ca.pem",
        "pki/hku/ca.key",
        "pki/hku/crl.pem",
        "pki/hku/researcher-alice.pem",
        "pki/hku/researcher-alice.key",
        "pki/cuhk/researcher-bob.pem",
        "pki/qianhai/broker-lin.pem",
        "pki/qianhai/operator-ops.key",
        "pki/regulator/compliance-chan.pem",
        "pki/regulator/compliance-chan.p12",
        "pki/regulator/compliance-lee.key",
    ] {
        assert!(dir.path().join(name).is_file(), "{name}");
    }
    for secret in
        ["pki/log.key", "witness/qh/witness.key", "pki/regulator/compliance-chan.p12", "pki/hku/researcher-alice.key"]
    {
        let mode = std::fs::metadata(dir.path().join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let before = files_of(dir.path());
    // Another wish does not change a folder that is there.
    let second = Layout::ensure(dir.path(), "127.0.0.1:9000").unwrap();
    assert!(second.created.is_empty(), "{:?}", second.created);
    let (config, is_new) = second.config().unwrap();
    assert!(!is_new);
    assert_eq!((config.listen, config.admin), (bound(18_443), bound(19_443)));
    assert_eq!(second.not_as_asked(config.listen), Some(bound(9_000)));
    assert_eq!(first.not_as_asked(config.listen), None);
    assert_eq!(files_of(dir.path()), before);
}

#[test]
fn the_configuration_says_who_is_there_first() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::ensure(dir.path(), "localhost:0").unwrap();
    let (config, _) = layout.config().unwrap();
    let ids: Vec<&str> = config.participants.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["qianhai", "regulator"]);
    assert!(config.participants[0].baselines.is_empty(), "a file cannot sign: the story does");
    assert_eq!(config.crl_files.len(), 4);
    assert!(!config.guard.starts_with(&config.data));
    assert_eq!(config.origin, ORIGIN);
    let signer = Ed25519Signer::parse(&std::fs::read_to_string(&config.log_key).unwrap()).unwrap();
    let vkey = std::fs::read_to_string(layout.log_vkey()).unwrap();
    assert_eq!(vkey.trim(), signer.verifier().to_string());
    assert_eq!(signer.verifier().name(), ORIGIN);
}

#[test]
fn ready_comes_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::ensure(dir.path(), "127.0.0.1:0").unwrap();
    layout.ready("https://127.0.0.1:8443").unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("ready")).unwrap().trim(), "https://127.0.0.1:8443");
    // A crashed run leaves it; the next one takes it away before anything else.
    Layout::ensure(dir.path(), "127.0.0.1:0").unwrap();
    assert!(!dir.path().join("ready").exists());
}

#[test]
fn an_address_that_is_none_is_refused() {
    for bad in ["8443", "127.0.0.1", "127.0.0.1:notaport", "", "192.0.2.7:8443"] {
        let error = address(bad).unwrap_err().to_string();
        assert!(error.contains("HOST:PORT"), "{error}");
    }
    assert!(address("localhost:8443").unwrap().is_ipv4());
}
