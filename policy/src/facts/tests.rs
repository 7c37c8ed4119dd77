//! What is not input, and how it is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};

use super::*;

/// Facts with every member present and filled.
fn full() -> Value {
    json!({
        "now": "2026-11-22T10:00:00+08:00", "purpose": "academic-research",
        "exporter": { "id": "qh", "place": "CN-440300", "ciio": "no",
                      "counters": { "persons": 0, "sensitive": 0, "baseline": true } },
        "recipient": { "id": "hku", "place": "HK", "accessed_from": "HK", "restricted": false,
                       "foreign_authority_request": false },
        "dataset": {
            "id": "d", "version": "1", "class": "general", "important_status": "no",
            "state_secret": false, "controlled_item": false, "genetic_resource": false,
            "geospatial": false, "source_statement": true, "collected_in": ["CN"],
            "domestic_pi_introduced": false,
            "columns": [{ "name": "a", "class": "none" }, { "name": "b", "class": "personal" },
                        { "name": "c", "class": "sensitive" }],
            "subjects": { "persons": 3, "sensitive": 2, "under_14": 1 },
            "received_under": { "kind": "gba_sc", "direction": "HK->CN" },
        },
        "columns": ["c", "a"], "licence": "L",
        "mechanism": { "kind": "sc", "reference": "R", "effective": "2026-10-01", "filed": "2026-10-09",
                       "expires": "2029-09-30", "datasets": ["d"], "purposes": ["*"], "persons_max": 5 },
        "preconditions": { "notice": true, "separate_consent": true, "pipia": "P" },
        "exemption": { "kind": "hr", "evidence": "sha256:aa" },
        "hk": { "dpp3": "same-purpose" },
    })
}

fn error(text: &str) -> String {
    Facts::parse(text).map(|facts| facts.canonical()).expect_err(text).to_string()
}

/// The pointers of every member, and of no list item.
fn members(value: &Value, at: &str, found: &mut Vec<String>) {
    if let Value::Object(object) = value {
        for (name, value) in object {
            let at = format!("{at}/{name}");
            members(value, &at, found);
            found.push(at);
        }
    }
}

/// `/dataset/class` as `facts.dataset.class`.
fn path(pointer: &str) -> String {
    format!("facts{}", pointer.replace('/', "."))
}

const OPTIONAL: &[&str] = &[
    "/dataset/subjects",
    "/dataset/received_under",
    "/licence",
    "/mechanism",
    "/mechanism/filed",
    "/mechanism/expires",
    "/mechanism/persons_max",
    "/preconditions/pipia",
    "/exemption",
    "/exemption/evidence",
    "/hk",
];

#[test]
fn what_is_written_is_what_is_read() {
    let facts = Facts::parse(&full().to_string()).unwrap();
    let written: Value = serde_json::from_str(&facts.canonical()).unwrap();
    assert_eq!(written, full());
    let names: Vec<_> = facts.selected().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["c", "a"]);
    assert_eq!(facts.presence(), Presence { personal: true, sensitive: true });
}

#[test]
fn each_member_must_be_there_unless_marked() {
    let mut pointers = Vec::new();
    members(&full(), "", &mut pointers);
    assert_eq!(pointers.len(), 56);
    for pointer in pointers {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut without = full();
        without.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        let mut null = full();
        *null.pointer_mut(&pointer).unwrap() = Value::Null;
        if OPTIONAL.contains(&pointer.as_str()) {
            let absent = Facts::parse(&without.to_string()).unwrap();
            assert_eq!(absent, Facts::parse(&null.to_string()).unwrap(), "{pointer}");
        } else {
            let missing = error(&without.to_string());
            assert!(missing.contains(&format!("`{}` is missing; it must be ", path(&pointer))), "{missing}");
            let null = error(&null.to_string());
            assert!(null.contains(&format!("`{}` is null; it must be ", path(&pointer))), "{null}");
        }
    }
}

#[test]
fn no_member_may_be_unknown_or_repeated_at_any_depth() {
    let text = full().to_string();
    let mut pointers = Vec::new();
    members(&full(), "", &mut pointers);
    for pointer in pointers {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut unknown = full();
        let object = unknown.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        object.insert("extra".to_owned(), json!(1));
        let message = error(&unknown.to_string());
        assert!(message.contains(&format!("`{}.extra` is not a known member", path(parent))), "{message}");
        assert!(message.contains(&format!("`{name}`")), "{message}");
        // The whole object once more, with the member written twice.
        let object = full().pointer(parent).unwrap().to_string();
        let value = full().pointer(&pointer).unwrap().to_string();
        let doubled = object.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        let message = error(&text.replacen(&object, &doubled, 1));
        assert_eq!(message, format!("`{}` occurs more than once; state it once", path(&pointer)));
    }
    let class = r#""class":"none""#;
    let twice = text.replacen(class, &format!("{class},{class}"), 1);
    assert!(error(&twice).contains("`facts.dataset.columns[0].class` occurs more than once"));
    let escaped = text.replacen(class, &format!(r#""cl\u0061ss":"none",{class}"#), 1);
    assert!(error(&escaped).contains("occurs more than once"));
}

#[test]
fn each_value_must_be_of_its_kind() {
    let counts = [
        "/exporter/counters/persons",
        "/exporter/counters/sensitive",
        "/dataset/subjects/persons",
        "/dataset/subjects/sensitive",
        "/dataset/subjects/under_14",
        "/mechanism/persons_max",
    ];
    let most = full().to_string().replace("\"persons\":0", "\"persons\":9007199254740991");
    assert!(Facts::parse(&most).is_ok());
    for pointer in counts {
        for bad in [
            "-1",
            "-0",
            "1.0",
            "1.5",
            "1e3",
            "9007199254740992",
            "18446744073709551616",
            "1e400",
            "\"1\"",
            "true",
            "[]",
        ] {
            let mut facts = full();
            *facts.pointer_mut(pointer).unwrap() = json!("HERE");
            let message = error(&facts.to_string().replace("\"HERE\"", bad));
            // A number that no float holds does not get past the parser.
            if bad == "1e400" {
                assert!(message.contains("not JSON"), "{message}");
                continue;
            }
            assert!(message.starts_with(&format!("`{}` is ", path(pointer))), "{message}");
            assert!(message.ends_with("it must be a whole number from 0 to 9007199254740991"), "{message}");
        }
    }
    let cases = [
        ("/now", json!("2026-11-22 10:00:00"), "facts.now", "RFC 3339"),
        ("/now", json!("2026-11-22"), "facts.now", "RFC 3339"),
        ("/now", json!(1_763_777_000), "facts.now", "RFC 3339"),
        ("/purpose", json!(1), "facts.purpose", "a text"),
        ("/exporter", json!([]), "facts.exporter", "an object"),
        ("/exporter/place", json!("CN-810000"), "facts.exporter.place", "71, 81 or 82"),
        ("/exporter/place", json!("unknown"), "facts.exporter.place", "71, 81 or 82"),
        ("/recipient/place", json!("Hk"), "facts.recipient.place", "capitals"),
        ("/recipient/accessed_from", json!("nowhere"), "facts.recipient.accessed_from", "`unknown`"),
        ("/recipient/restricted", json!("false"), "facts.recipient.restricted", "`true` or `false`"),
        ("/exporter/ciio", json!(false), "facts.exporter.ciio", "`yes`, `no`, `unknown`"),
        ("/dataset/class", json!("secret"), "facts.dataset.class", "`core`, `important`, `general`, `unknown`"),
        ("/dataset/important_status", json!("self-suspected"), "facts.dataset.important_status", "`self_suspected`"),
        ("/dataset/collected_in", json!("CN"), "facts.dataset.collected_in", "a list of places"),
        ("/dataset/collected_in", json!(["HK", "unknown"]), "facts.dataset.collected_in[1]", "ISO 3166-1"),
        ("/dataset/columns", json!({}), "facts.dataset.columns", "a list of columns"),
        (
            "/dataset/columns/2/class",
            json!("secret"),
            "facts.dataset.columns[2].class",
            "`none`, `personal`, `sensitive`",
        ),
        ("/dataset/received_under/kind", json!("sc"), "facts.dataset.received_under.kind", "`gba_sc`"),
        (
            "/dataset/received_under/direction",
            json!("CN-HK"),
            "facts.dataset.received_under.direction",
            "`CN->HK`, `HK->CN`",
        ),
        ("/columns", json!("a"), "facts.columns", "`*` or a list"),
        ("/columns", json!([1]), "facts.columns[0]", "a text"),
        ("/licence", json!(1), "facts.licence", "a text or null"),
        ("/mechanism/kind", json!("bcr"), "facts.mechanism.kind", "`gba_sc`, `sc`, `cert`, `sa`"),
        ("/mechanism/effective", json!("2026-10-01T00:00:00Z"), "facts.mechanism.effective", "a date"),
        ("/mechanism/filed", json!("2026-02-30"), "facts.mechanism.filed", "a date"),
        ("/mechanism/expires", json!(""), "facts.mechanism.expires", "a date"),
        ("/mechanism/datasets", json!("*"), "facts.mechanism.datasets", "a list of dataset ids"),
        ("/mechanism/purposes", json!([null]), "facts.mechanism.purposes[0]", "a text"),
        ("/exemption/kind", json!("research"), "facts.exemption.kind", "`transit`"),
        ("/exemption/evidence", json!([]), "facts.exemption.evidence", "a text or null"),
        ("/hk/dpp3", json!("same"), "facts.hk.dpp3", "`same-purpose`"),
    ];
    for (pointer, value, at, want) in cases {
        let mut facts = full();
        *facts.pointer_mut(pointer).unwrap() = value;
        let message = error(&facts.to_string());
        assert!(message.starts_with(&format!("`{at}` is ")) && message.contains(want), "{message}");
    }
}

#[test]
fn columns_are_unique_and_a_selection_exists() {
    let mut facts = full();
    facts["dataset"]["columns"][2]["name"] = json!("a");
    assert_eq!(
        error(&facts.to_string()),
        "`facts.dataset.columns[2].name` repeats `a` of position 0; column names must be unique"
    );
    facts = full();
    facts["columns"] = json!(["a", "b", "a"]);
    assert!(error(&facts.to_string()).starts_with("`facts.columns[2]` repeats `a`"));
    facts["columns"] = json!(["a", "z"]);
    assert!(error(&facts.to_string()).starts_with("`facts.columns[1]` selects `z`"));
    // A star in a list is a name like any other.
    facts["columns"] = json!(["*"]);
    assert!(error(&facts.to_string()).starts_with("`facts.columns[0]` selects `*`"));
    facts["columns"] = json!([]);
    assert_eq!(Facts::parse(&facts.to_string()).unwrap().selected().count(), 0);
    facts["dataset"]["columns"] = json!([]);
    facts["columns"] = json!("*");
    assert_eq!(Facts::parse(&facts.to_string()).unwrap().selected().count(), 0);
}

#[test]
fn what_is_not_one_json_object_is_told_so() {
    for text in ["", "{", "null null", "{}{}", "{\"a\":1,}", "{'a':1}", "\u{feff}{}", "{\"a\":\"\\ud800\"}"] {
        assert!(error(text).starts_with("`facts` is not JSON: "), "{text}");
    }
    for text in ["null", "[]", "1", "\"x\""] {
        assert!(error(text).ends_with("it must be an object"), "{text}");
    }
    assert!(error(&"[".repeat(100_000)).contains("recursion limit"));
    let long = " ".repeat(FACTS_BYTES_MAX + 1);
    assert!(matches!(Facts::parse(&long), Err(FactsError::TooLong { .. })));
}

#[test]
fn a_peers_text_does_not_fill_an_error() {
    let mut facts = full();
    facts["columns"] = json!(["口".repeat(10_000)]);
    assert!(error(&facts.to_string()).chars().count() < 200);
    facts = full();
    facts["x".repeat(10_000)] = json!(1);
    assert!(error(&facts.to_string()).chars().count() < 400);
}

#[test]
fn canonical_facts_are_rfc_8785() {
    let mut absent = full();
    let object = absent.as_object_mut().unwrap();
    for name in ["licence", "mechanism", "exemption", "hk"] {
        object.remove(name);
    }
    let canonical = Facts::parse(&absent.to_string()).unwrap().canonical();
    assert!(canonical.starts_with(r#"{"columns":["c","a"],"dataset":{"class":"general","collected_in":["CN"],"#));
    assert!(canonical.contains(r#""hk":null,"licence":null,"mechanism":null,"now":"2026-11-22T10:00:00+08:00""#));
    assert!(!canonical.contains(' '));
}

#[test]
fn other_mechanisms_and_places_can_be_tried() {
    let facts = Facts::parse(&full().to_string()).unwrap();
    assert_eq!(facts.with_mechanism(None).gathered().mechanism, None);
    let elsewhere = facts.with_exporter_place(Place::parse("HK").unwrap());
    assert!(elsewhere.gathered().exporter.place.is_hong_kong());
    assert_eq!(elsewhere.selected().count(), 2);
}
