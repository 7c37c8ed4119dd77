#![allow(clippy::unwrap_used)]

use super::*;

fn profile_file(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("profile.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_string_lossy().into_owned();
    (dir, path)
}

#[test]
fn flags_come_before_environment_before_file() {
    let (dir, path) = profile_file(
        "gateway = \"https://file:1\"\ncert = \"c.pem\"\nkey = \"k.pem\"\nca = \"/abs/ca.pem\"\n\
         [profile.bob]\ncert = \"bob.pem\"\n",
    );
    let env = [
        (ENV_PROFILE_FILE, path.clone()),
        (ENV_GATEWAY, "https://env:2".to_owned()),
        (ENV_KEY, "/env/k.pem".to_owned()),
    ];
    let args = ConnectArgs { gateway: Some("https://flag:3".to_owned()), ..ConnectArgs::default() };
    let profile = Profile::resolve(&args, &env).unwrap();
    assert_eq!(profile.gateway.to_string(), "https://flag:3");
    assert_eq!(profile.key, PathBuf::from("/env/k.pem"));
    assert_eq!(profile.cert, dir.path().join("c.pem"));
    assert_eq!(profile.ca, PathBuf::from("/abs/ca.pem"));

    let profile = Profile::resolve(&ConnectArgs::default(), &env).unwrap();
    assert_eq!(profile.gateway.to_string(), "https://env:2");
    let bob = ConnectArgs { profile: Some("bob".to_owned()), ..ConnectArgs::default() };
    assert_eq!(Profile::resolve(&bob, &env).unwrap().cert, dir.path().join("bob.pem"));
    let nobody = ConnectArgs { profile: Some("nobody".to_owned()), ..ConnectArgs::default() };
    let error = Profile::resolve(&nobody, &env).unwrap_err();
    assert!(error.to_string().contains("bob"), "{error}");
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let env = [(ENV_CERT, "/c.pem".to_owned()), ("HOME", "/nonexistent".to_owned())];
    let error = Profile::resolve(&ConnectArgs::default(), &env).unwrap_err();
    assert_eq!(error.exit(), crate::exit::Exit::Usage);
    let text = error.to_string();
    for part in ["--gateway", "KOUAN_GATEWAY", "--key", "--ca", "/nonexistent/.config/kouan/profile.toml"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("--cert"), "{text}");
}

#[test]
fn a_file_that_was_named_must_exist_and_be_right() {
    let env = [(ENV_PROFILE_FILE, "/nonexistent/profile.toml".to_owned())];
    let error = Profile::resolve(&ConnectArgs::default(), &env).unwrap_err();
    assert_eq!(error.exit(), crate::exit::Exit::LocalIo);
    let (_dir, path) = profile_file("gatway = \"https://x\"\n");
    let error = Profile::resolve(&ConnectArgs::default(), &[(ENV_PROFILE_FILE, path)]).unwrap_err();
    assert!(error.to_string().contains("gatway"), "{error}");
}

#[test]
fn addresses() {
    let url = GatewayUrl::parse("https://127.0.0.1:8443/").unwrap();
    assert_eq!((url.host.as_str(), url.port), ("127.0.0.1", 8443));
    let url = GatewayUrl::parse("https://[::1]:9").unwrap();
    assert_eq!((url.host.as_str(), url.port), ("::1", 9));
    assert_eq!(GatewayUrl::parse("https://[::1]").unwrap().port, 443);
    assert_eq!(GatewayUrl::parse("https://gw.example").unwrap().port, 443);
    for bad in
        ["gw.example", "http://gw", "https://u@gw", "https://gw/x", "https://gw?x", "https://gw:99999", "https://"]
    {
        assert!(GatewayUrl::parse(bad).is_err(), "{bad}");
    }
}
