//! DESIGN, "Layout": the arrows between our crates, and what a pure crate must not reach for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use tests::{files, manifest, members, root, without_inline_tests};

/// Which of our crates each crate may depend on. One that is not listed may depend on none.
const ARROWS: [(&str, &[&str]); 9] = [
    ("policy", &["catalog"]),
    ("gateway-ledger", &["catalog", "gateway-audit"]),
    ("gateway-stream", &["catalog"]),
    ("gateway-store", &["catalog", "gateway-audit", "gateway-ledger"]),
    ("gateway-api", &["catalog", "policy", "gateway-audit", "gateway-ledger"]),
    ("gateway-console", &["gateway-api"]),
    (
        "gateway-cli",
        &[
            "gateway-api",
            "gateway-audit",
            "catalog",
            "policy",
            "certs",
            "gateway-console",
            "gateway-ledger",
            "gateway-stream",
        ],
    ),
    (
        "gateway",
        &[
            "catalog",
            "certs",
            "gateway-api",
            "gateway-audit",
            "gateway-cli",
            "gateway-console",
            "gateway-ledger",
            "gateway-store",
            "gateway-stream",
            "policy",
        ],
    ),
    (
        "tests",
        &[
            "catalog",
            "certs",
            "gateway",
            "gateway-api",
            "gateway-audit",
            "gateway-ledger",
            "gateway-store",
            "gateway-stream",
            "policy",
        ],
    ),
];

/// Synchronous, no clock, randomness, environment, file, network, async runtime or logging.
const PURE: [&str; 7] =
    ["catalog", "policy", "gateway-audit", "gateway-ledger", "gateway-stream", "gateway-api", "gateway-console"];

/// What would make a crate impure by depending on it.
const IMPURE: [&str; 26] = [
    "async-trait",
    "axum",
    "futures",
    "getrandom",
    "http-body",
    "http-body-util",
    "hyper",
    "hyper-util",
    "libc",
    "memmap2",
    "metrics",
    "object_store",
    "rand",
    "reqwest",
    "rusqlite",
    "rustls",
    "socket2",
    "tempfile",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "tonic",
    "tower",
    "tower-http",
    "tracing",
    "tracing-subscriber",
];

/// What would make it impure by calling it.
const REACHES: [&str; 16] = [
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "SystemRandom",
    "println!",
    "eprintln!",
    "dbg!",
    "async fn",
    "async move",
    ".await",
];

/// Neither a second cryptography nor a second TLS in the tree.
const FOREIGN: [&str; 6] = ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys", "schannel"];

#[test]
fn our_crates_depend_as_the_design_says() {
    let members = members().unwrap();
    assert!(members.len() >= 10, "{members:?}");
    let ours: BTreeSet<&str> = members.iter().map(tests::Member::name).collect();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut wrong = Vec::new();
    for member in &members {
        let may = allowed.get(member.name()).copied().unwrap_or_default();
        for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
            for name in member.dependencies(section) {
                if ours.contains(name) && !may.contains(&name) {
                    wrong.push(format!("{} → {name} ({section})", member.name()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that DESIGN does not draw: {wrong:#?}");
}

#[test]
fn pure_crates_depend_on_nothing_impure() {
    let members = members().unwrap();
    let pure: Vec<_> = members.iter().filter(|member| PURE.contains(&member.name())).collect();
    assert_eq!(pure.len(), PURE.len(), "every pure crate is there");
    let mut wrong = Vec::new();
    for member in pure {
        for name in member.dependencies("dependencies") {
            if IMPURE.contains(&name) {
                wrong.push(format!("{} → {name}", member.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_crates_call_nothing_impure() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for member in members().unwrap().iter().filter(|member| PURE.contains(&member.name())) {
        for path in files(&root().join(&member.path).join("src")).unwrap() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let test = name == "tests.rs"
                || name.ends_with("_tests.rs")
                || path.components().any(|part| part.as_os_str() == "tests");
            if test || !name.ends_with(".rs") {
                continue;
            }
            seen += 1;
            let text = fs::read_to_string(&path).unwrap();
            for (number, line) in without_inline_tests(&text).into_iter().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for reach in REACHES.iter().filter(|reach| code.contains(**reach)) {
                    wrong.push(format!("{}:{}: {reach}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} files were looked at");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn packages_are_named_after_their_paths_and_take_versions_from_one_list() {
    let workspace = manifest(&root().join("Cargo.toml")).unwrap();
    let lints = workspace["workspace"]["lints"]["clippy"].as_table().unwrap();
    for lint in ["unwrap_used", "expect_used", "panic", "indexing_slicing"] {
        assert_eq!(lints[lint].as_str(), Some("deny"), "{lint}");
    }
    for member in members().unwrap() {
        assert_eq!(member.name(), member.path.replace('/', "-"));
        assert_eq!(member.manifest["lints"]["workspace"].as_bool(), Some(true), "{}", member.path);
        for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let Some(table) = member.manifest.get(section).and_then(toml::Value::as_table) else { continue };
            for (name, value) in table {
                let shared = value.get("workspace").and_then(toml::Value::as_bool);
                assert_eq!(shared, Some(true), "{}: `{name}` has a version of its own", member.path);
            }
        }
    }
}

#[test]
fn one_cryptography_in_the_tree() {
    let lock = manifest(&root().join("Cargo.lock")).unwrap();
    let packages = lock["package"].as_array().unwrap();
    let names: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    assert!(names.contains("ring") && names.contains("rustls"), "this is the lock file of another project");
    for foreign in FOREIGN {
        assert!(!names.contains(foreign), "`cargo tree -i {foreign}` finds something");
    }
}
