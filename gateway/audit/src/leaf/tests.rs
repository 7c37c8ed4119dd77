#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn at() -> Timestamp {
    "2026-11-22T16:13:45.12+08:00".parse().unwrap()
}

fn draft() -> LeafDraft {
    LeafDraft::new(LeafKind::Decision, at())
}

/// A leaf with further members, whose names must sort after `v`.
fn with(members: &str) -> String {
    format!("{{\"at\":\"2026-11-22T08:13:45.12Z\",\"kind\":\"cut\",\"v\":1{members}}}")
}

#[test]
fn a_whole_decision() {
    let built = draft()
        .participant("hku")
        .certificate("sha256:ab", [1; 32])
        .person("spiffe://hku.hk/researcher/alice", [2; 32])
        .dataset("yue-speech")
        .version("1")
        .manifest(DIGEST)
        .columns(["text", "時長"])
        .units(["a.parquet/0/1"])
        .purpose(&Text::new("academic-research", [3; 32]))
        .effect("allow")
        .needed("none")
        .rules(["GEN"])
        .policy(DIGEST)
        .facts(DIGEST)
        .lease("01J0")
        .money(-12_500, "CNY")
        .parties(["qianhai"])
        .extra("bytes", json!(1i64 << 40))
        .build()
        .unwrap();
    let text = String::from_utf8(built.leaf.bytes().to_vec()).unwrap();
    assert!(text.starts_with("{\"at\":\"2026-11-22T08:13:45.12Z\",\"bytes\":1099511627776,"), "{text}");
    assert!(text.contains("\"money\":{\"amount\":\"-12500\",\"currency\":\"CNY\"}"));
    assert!(text.contains("\"purpose\":\"academic-research\""));
    assert!(!text.contains("alice") && !text.contains("sha256:ab\""));
    assert_eq!((built.leaf.kind(), built.leaf.at()), ("decision", at()));
    assert_eq!(Leaf::parse(text.as_bytes()).unwrap(), built.leaf);
    assert_eq!(built.leaf.hash(), tree::leaf_hash(text.as_bytes()));

    let fields: Vec<_> = built.openings.iter().map(|opening| opening.field.as_str()).collect();
    assert_eq!(fields, ["certificate", "person"]);
    for opening in &built.openings {
        let printed = built.leaf.text(&opening.field).unwrap();
        assert!(opening.verify(printed));
        let json = serde_json::to_string(opening).unwrap();
        assert_eq!(&serde_json::from_str::<Opening>(&json).unwrap(), opening);
        assert!(!format!("{opening:?}").contains("alice"));
    }
}

#[test]
fn commitments_bind_salt_field_and_value() {
    // HMAC-SHA-256 with a key of 32 zero bytes over "purpose\0x", computed with OpenSSL.
    let printed = commitment(&[0; 32], "purpose", b"x");
    let known = "c:a0bf04ce5c804b4c54df24dc8efd2ead2d54efda336278de6d0eb531f688cde7";
    assert_eq!(printed, known);
    let opening =
        |salt: u8, field: &str, value: &str| Opening { salt: [salt; 32], field: field.into(), value: value.into() };
    assert!(opening(0, "purpose", "x").verify(&printed));
    for wrong in [opening(1, "purpose", "x"), opening(0, "reason", "x"), opening(0, "purpose", "y")] {
        assert!(!wrong.verify(&printed));
    }
    assert!(!opening(0, "purpose", "x").verify(""));
}

#[test]
fn tokens_are_plain_and_other_text_is_committed() {
    for (text, plain) in [
        ("academic-research", true),
        (&"a".repeat(64), true),
        (&"a".repeat(65), false),
        ("", false),
        ("Academic", false),
        ("academic_research", false),
        ("for Ms Chan", false),
        ("研究", false),
    ] {
        let built = draft().purpose(&Text::new(text, [4; 32])).build().unwrap();
        let printed = built.leaf.text("purpose").unwrap();
        assert_eq!((printed == text, built.openings.is_empty()), (plain, plain), "{text}");
        let reason = draft().text("reason", &Text::new(text, [5; 32])).build().unwrap();
        assert_eq!(reason.leaf.text("reason") == Some(text), plain);
    }
    // Set again, a member keeps no opening of what it no longer says.
    let text = [Text::new("some one", [1; 32]), Text::new("token", [2; 32])];
    let built = draft().purpose(&text[0]).purpose(&text[1]).build().unwrap();
    assert!(built.openings.is_empty());
}

#[test]
fn long_lists_become_count_and_digest() {
    let names: Vec<_> = (0..64).map(|n| format!("column {n}")).collect();
    let built = draft().columns(names.clone()).build().unwrap();
    assert_eq!(built.leaf.list("columns").count(), 64);
    let more: Vec<_> = (0..65).map(|n| format!("column {n}")).collect();
    let built = draft().columns(more.clone()).build().unwrap();
    let digest = digest_text(&serde_json_canonicalizer::to_vec(&more).unwrap());
    assert_eq!(built.leaf.members()["columns"], json!({ "count": 65, "digest": digest }));
    assert_eq!(built.leaf.list("columns").count(), 0);
    let nested = draft().extra("x", json!({ "y": vec![1; 65] })).build().unwrap();
    assert_eq!(nested.leaf.members()["x"]["y"]["count"], 65);
}

#[test]
fn a_leaf_too_long_gives_up_its_longest_list_first() {
    let long: Vec<_> = (0..60).map(|n| format!("{n}{}", "字".repeat(80))).collect();
    let built = draft().columns(long.clone()).rules(["GEN"]).build().unwrap();
    assert_eq!(built.leaf.members()["columns"]["count"], 60);
    assert_eq!(built.leaf.list("rules").count(), 1);
    assert!(built.leaf.bytes().len() < 1024);
    let members = (0..40).map(|n| (format!("m{n}"), json!("x".repeat(250)))).collect();
    let refused = draft().extra("x", Value::Object(members)).build();
    assert!(matches!(refused, Err(LeafError::TooLong { .. })));
}

#[test]
fn what_may_not_stand_in_a_leaf() {
    let refused = |draft: LeafDraft| match draft.build() {
        Err(LeafError::Draft { member, .. }) => member,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(draft().participant("spiffe://hku.hk/researcher/alice")), "participant");
    assert_eq!(refused(draft().participant("Ms Chan")), "participant");
    assert_eq!(refused(draft().dataset("")), "dataset");
    assert_eq!(refused(draft().facts("abc")), "facts");
    assert_eq!(refused(draft().policy(&DIGEST.to_uppercase())), "policy");
    assert_eq!(refused(draft().money(1, "yuan")), "money");
    assert_eq!(refused(draft().columns(["a\nb"])), "columns");
    assert_eq!(refused(draft().extra("mail", json!("chan@hku.hk"))), "mail");
    assert_eq!(refused(draft().extra("n", json!(0.5))), "n");
    assert_eq!(refused(draft().extra("n", json!(-0.0))), "n");
    assert_eq!(refused(draft().extra("n", json!(INTEGER_MAX + 1))), "n");
    assert_eq!(refused(draft().extra("n", json!({ "a b": 1 }))), "n");
    assert_eq!(refused(draft().extra("kind", json!("cut"))), "kind");
    assert_eq!(refused(draft().extra("Name", json!(1))), "Name");
    assert_eq!(refused(draft().text("person", &Text::new("x", [0; 32]))), "person");
    let deep = (0..20).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(refused(draft().extra("deep", deep)), "deep");
    // The first mistake is the one reported.
    assert_eq!(refused(draft().dataset("a b").version("c d")), "dataset");
    assert!(draft().extra("n", json!(INTEGER_MAX)).extra("m", json!(-5)).build().is_ok());
}

#[test]
fn heads_of_entries() {
    let head = |text: &str| LeafHead::read(text.as_bytes()).map(|head| head.kind.to_owned());
    assert_eq!(head(&with("")), Ok("cut".into()));
    let member = |text: &str| match LeafHead::read(text.as_bytes()) {
        Err(LeafError::Member { member, .. }) => member,
        other => panic!("{other:?} for {text}"),
    };
    assert_eq!(member("{}"), "v");
    assert_eq!(member(&with("").replace("\"v\":1", "\"v\":2")), "v");
    assert_eq!(member(&with("").replace("\"v\":1", "\"v\":\"1\"")), "v");
    assert_eq!(member(&with("").replace("cut", "Cut")), "kind");
    assert_eq!(member(&with("").replace("\"cut\"", "1")), "kind");
    for wrong in [
        "2026-11-22",
        "2026-11-22T08:13:45",
        "2026-11-22 08:13:45Z",
        "2026-11-22t08:13:45Z",
        "2026-11-22T08:13:45z",
        "2026-11-22T08:13Z",
        "2026-11-22T08:13:45.Z",
        "2026-13-22T08:13:45Z",
        "2026-11-22T08:13:45+0800",
        "2026-11-22T08:13:45+08:00[Asia/Hong_Kong]",
        "2026-11-22T08:13:45.0123456789Z",
        "2026-11-22T08:13:45+99:00",
        "２026-11-22T08:13:45Z",
    ] {
        assert_eq!(member(&with("").replace("2026-11-22T08:13:45.12Z", wrong)), "at", "{wrong}");
    }
    let facts = |value: &str| format!("{{\"at\":\"2026-11-22T08:13:45Z\",\"facts\":{value},\"kind\":\"cut\",\"v\":1}}");
    assert_eq!(member(&facts("\"abc\"")), "facts");
    assert_eq!(member(&facts("null")), "facts");
    let named = facts(&format!("\"{DIGEST}\""));
    assert_eq!(LeafHead::read(named.as_bytes()).unwrap().facts, Some(DIGEST));
    assert_eq!(facts_path(DIGEST).unwrap().len(), "facts/.json".len() + 64);
    assert_eq!(facts_path("sha256:../../etc/passwd"), None);
}

#[test]
fn canonical_form_is_read_off_the_bytes() {
    let read = |members: &str| LeafHead::read(with(members).as_bytes()).is_ok();
    for right in [
        ",\"w\":0",
        ",\"w\":-1",
        ",\"w\":9007199254740991",
        ",\"w\":-9007199254740991",
        ",\"w\":[]",
        ",\"w\":{}",
        ",\"w\":[true,false,null,[\"\"]]",
        ",\"w\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u000b\\u001f\"",
        ",\"w\":\"\u{7f}/é漢😀\"",
        ",\"w\":1,\"x\":2",
        ",\"é\":1",
        // UTF-16 order: U+1F600 is D83D DE00 and stands before U+FB33.
        ",\"\u{1f600}\":1,\"\u{fb33}\":2",
        ",\"x\":1,\"x\\n\":1",
    ] {
        assert!(read(right), "{right}");
        let text = with(right);
        let again = serde_json_canonicalizer::pipe(&text).unwrap();
        assert_eq!(again, text);
    }
    for wrong in [
        ",\"w\":01",
        ",\"w\":-0",
        ",\"w\":1.0",
        ",\"w\":1e3",
        ",\"w\":1E3",
        ",\"w\":+1",
        ",\"w\":-",
        ",\"w\":9007199254740992",
        ",\"w\":99999999999999999999999",
        ",\"w\":",
        ",\"w\"",
        ",\"w\":tru",
        ",\"w\": 1",
        ", \"w\":1",
        ",\"w\":1 ",
        ",\"w\":1,",
        ",\"w\":[1,]",
        ",\"w\":[1 ]",
        ",\"w\":[",
        ",\"w\":{\"b\":1,\"a\":1}",
        ",\"w\":{\"a\":1,\"a\":1}",
        ",\"a\":1",
        ",\"v\":1",
        ",\"w\":\"\\u000a\"",
        ",\"w\":\"\\u001F\"",
        ",\"w\":\"\\/\"",
        ",\"w\":\"\\u0041\"",
        ",\"w\":\"\\ud800\"",
        ",\"w\":\"\\x\"",
        ",\"w\":\"\\\"",
        ",\"w\":\"\n\"",
        ",\"w\":\"",
        ",\"\u{fb33}\":1,\"\u{1f600}\":2",
        ",\"x\\n\":1,\"x\":1",
        ",w:1",
        ",1:1",
    ] {
        let text = with(wrong);
        assert!(LeafHead::read(text.as_bytes()).is_err(), "{text}");
    }
    for text in ["", " {}", "[]", "1", "null", "{", "{}}", "{} ", "\u{feff}{}"] {
        assert!(matches!(LeafHead::read(text.as_bytes()), Err(LeafError::NotCanonical { .. })), "{text}");
    }
    assert!(LeafHead::read(b"{\"a\":\"\xff\"}").is_err());
    let nested = |depth: usize| format!(",\"w\":{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(DEPTH_MAX - 1)));
    assert!(!read(&nested(DEPTH_MAX)));
    assert!(!read(&nested(4000)));
    let list = |entries: usize| format!(",\"w\":[{}1]", "1,".repeat(entries - 1));
    assert!(read(&list(LIST_ENTRIES_MAX)));
    assert!(!read(&list(LIST_ENTRIES_MAX + 1)));
    let long = |bytes: usize| format!(",\"w\":\"{}\"", "x".repeat(bytes));
    let room = LEAF_BYTES_MAX - with(&long(0)).len();
    assert!(read(&long(room)));
    let too_long = with(&long(room + 1));
    let got = LEAF_BYTES_MAX + 1;
    assert_eq!(LeafHead::read(too_long.as_bytes()), Err(LeafError::TooLong { got }));
}

fn json_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>(), "[a-c\\\\\"\u{0}-\u{1f}é漢😀\u{fb33}]{0,4}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1i64 << 53) + 1..1 << 53).prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The recogniser and the serialiser agree on what is canonical.
    #[test]
    fn every_canonical_value_is_recognised(value in json_value()) {
        let members = json!({ "at": "2026-11-22T08:13:45Z", "kind": "cut", "v": 1, "x": value });
        let bytes = serde_json_canonicalizer::to_vec(&members).unwrap();
        prop_assume!(bytes.len() <= LEAF_BYTES_MAX);
        prop_assert!(LeafHead::read(&bytes).is_ok(), "{}", String::from_utf8_lossy(&bytes));
        // What serde_json alone writes is accepted only where it happens to be the same.
        let plain = serde_json::to_vec(&members).unwrap();
        prop_assert_eq!(LeafHead::read(&plain).is_ok(), plain == bytes);
    }

    /// Whatever is recognised is what the serialiser would write.
    #[test]
    fn whatever_is_recognised_is_canonical(
        value in json_value(),
        at in any::<prop::sample::Index>(),
        edit in prop::sample::select(b"\"\\{}[],:0123456789-.eutf ab\n\x7f".to_vec()),
        insert in any::<bool>(),
    ) {
        let members = json!({ "at": "2026-11-22T08:13:45Z", "kind": "cut", "v": 1, "x": value });
        let mut bytes = serde_json_canonicalizer::to_vec(&members).unwrap();
        let at = at.index(bytes.len());
        if insert { bytes.insert(at, edit) } else { bytes[at] = edit }
        if LeafHead::read(&bytes).is_ok() {
            let text = std::str::from_utf8(&bytes).unwrap();
            prop_assert_eq!(serde_json_canonicalizer::pipe(text).unwrap(), text);
        }
    }
}

#[test]
fn kinds_print_and_parse() {
    for kind in LeafKind::ALL {
        assert_eq!(kind.as_str().parse::<LeafKind>(), Ok(*kind));
        let built = LeafDraft::new(*kind, at()).build().unwrap();
        assert_eq!(built.leaf.kind(), kind.to_string());
    }
    assert!("Decision".parse::<LeafKind>().is_err());
    // A kind of a later version is still a leaf.
    assert_eq!(Leaf::parse(with("").replace("cut", "claim").as_bytes()).unwrap().kind(), "claim");
}
