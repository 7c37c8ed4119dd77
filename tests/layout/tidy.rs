//! What a file and the top folder may look like.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tests::{files, root, without_inline_tests};

/// The hard limit of a file.
const LINES_MAX: usize = 600;

/// The fixed visible names at the top, and the two files that stand beside them.
const TOP: [&str; 9] =
    ["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "catalog", "certs", "gateway", "policy", "tests"];

/// Written in halves, or this file would find itself.
const UNFINISHED: [&str; 5] = [
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[", "ignore"),
    concat!("pytest.", "skip"),
    concat!("pytest.mark.", "xfail"),
];

fn is_code(path: &Path) -> bool {
    let ending = path
        .extension()
        .is_some_and(|ending| ["rs", "py", "sh", "cedar", "html", "css", "js"].iter().any(|known| ending == *known));
    ending || path.ends_with("tests/run")
}

/// Tests beside the code say by their name what they are for.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn sources() -> Vec<(String, String)> {
    let top = root();
    files(&top)
        .unwrap()
        .into_iter()
        .filter(|path| is_code(path))
        .map(|path| (path.strip_prefix(&top).unwrap().display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect()
}

#[test]
fn no_file_is_longer_than_the_hard_limit() {
    let sources = sources();
    assert!(sources.len() > 200, "only {} files were looked at", sources.len());
    let long: Vec<String> = sources
        .iter()
        .map(|(path, text)| (path, without_inline_tests(text).len()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines}"))
        .collect();
    assert!(long.is_empty(), "more than {LINES_MAX} lines: {long:#?}");
}

#[test]
fn nothing_is_unfinished_or_switched_off() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            for mark in UNFINISHED.iter().filter(|mark| line.contains(**mark)) {
                found.push(format!("{path}:{}: {mark}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn modules_stand_beside_their_folders() {
    let found: Vec<String> =
        sources().into_iter().map(|(path, _)| path).filter(|path| path.ends_with("/mod.rs")).collect();
    assert!(found.is_empty(), "{found:#?}");
    let vague = ["util.rs", "utils.rs", "helper.rs", "helpers.rs", "manager.rs", "misc.rs", "common.rs"];
    let found: Vec<String> = sources()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.rsplit('/').next().is_some_and(|name| vague.contains(&name)))
        .collect();
    assert!(found.is_empty(), "the noun is not found yet: {found:#?}");
}

#[test]
fn every_rust_file_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(path, text)| path.ends_with(".rs") && !is_test(path) && !text.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    assert!(silent.is_empty(), "no `//!` at the top: {silent:#?}");
}

#[test]
fn the_top_holds_the_fixed_names() {
    // Version control knows what belongs here; whatever lies about beside it does not count.
    let listed = Command::new("git").current_dir(root()).args(["ls-files", "-z"]).output();
    let names: BTreeSet<String> = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => String::from_utf8(output.stdout)
            .unwrap()
            .split('\0')
            .filter_map(|path| path.split('/').next())
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        _ => fs::read_dir(root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name != "target" && name != ".git")
            .collect(),
    };
    // Tool configuration is hidden.
    let strange: Vec<&String> =
        names.iter().filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str())).collect();
    assert!(strange.is_empty(), "not among the fixed names: {strange:?}");
    let missing: Vec<&str> = TOP.into_iter().filter(|name| !root().join(name).exists()).collect();
    assert!(missing.is_empty(), "missing at the top: {missing:?}");
}

#[test]
fn the_entry_points_can_be_run() {
    use std::os::unix::fs::PermissionsExt as _;
    for name in ["tests/run", ".ci/run"] {
        let mode = fs::metadata(root().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{name} has no run bit");
    }
}
