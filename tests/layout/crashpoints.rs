//! The crash points: each that is listed stands in the code, at one place.

use std::fs;

use tests::{files, root};

#[test]
fn each_listed_crash_point_has_one_place() {
    let top = root();
    let list = fs::read_to_string(top.join("gateway/store/src/crashpoint.rs")).unwrap();
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix("    (\"")?.split_once("\", \"").map(|(name, _)| name))
        .collect();
    assert!(names.len() > 30, "{names:?}");
    let sources: Vec<String> = files(&top.join("gateway"))
        .unwrap()
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for name in names {
        let place = format!("crashpoint!(\"{name}\")");
        let count: usize = sources.iter().map(|text| text.matches(&place).count()).sum();
        assert_eq!(count, 1, "`{place}` stands at {count} places");
    }
}
