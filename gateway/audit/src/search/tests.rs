#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::json;

use super::*;
use crate::leaf::{LeafDraft, LeafKind};

type Set = fn(&mut LeafFilter, Option<String>);

fn leaf() -> Leaf {
    LeafDraft::new(LeafKind::Decision, "2026-11-22T08:00:00Z".parse().unwrap())
        .participant("hku")
        .dataset("yue-speech")
        .effect("deny")
        .rules(["CN-05", "MECH-DATE"])
        .parties(["cuhk"])
        .extra("provider", json!("qianhai"))
        .extra("broker", json!("qianhai"))
        .build()
        .unwrap()
        .leaf
}

#[test]
fn parties_are_every_participant_named() {
    assert_eq!(parties(&leaf()), ["cuhk", "hku", "qianhai"]);
}

#[test]
fn each_condition_alone_decides() {
    let leaf = leaf();
    assert!(LeafFilter::default().matches(&leaf));
    let fields: [(Set, &str, &str); 7] = [
        (|filter, value| filter.participant = value, "hku", "hk"),
        (|filter, value| filter.participant = value, "qianhai", "regulator"),
        (|filter, value| filter.participant = value, "cuhk", "yue-speech"),
        (|filter, value| filter.dataset = value, "yue-speech", "yue"),
        (|filter, value| filter.rule = value, "MECH-DATE", "MECH"),
        (|filter, value| filter.effect = value, "deny", "allow"),
        (|filter, value| filter.kind = value, "decision", "cut"),
    ];
    for (set, right, wrong) in fields {
        let mut filter = LeafFilter::default();
        set(&mut filter, Some(right.into()));
        assert!(filter.matches(&leaf), "{right}");
        set(&mut filter, Some(wrong.into()));
        assert!(!filter.matches(&leaf), "{wrong}");
    }
    let at = |text: &str| Some(text.parse().unwrap());
    for (from, to, found) in [
        (at("2026-11-22T16:00:00+08:00"), None, true),
        (at("2026-11-22T16:00:01+08:00"), None, false),
        (None, at("2026-11-22T08:00:00Z"), false),
        (None, at("2026-11-22T08:00:01Z"), true),
    ] {
        let filter = LeafFilter { from, to, ..LeafFilter::default() };
        assert_eq!(filter.matches(&leaf), found);
    }
}
