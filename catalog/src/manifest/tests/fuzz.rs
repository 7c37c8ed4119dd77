//! Manifests that somebody broke: read, or refused with lines that the text has. Nothing panics.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn edited(text: &str, edits: &[(Index, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, removed, inserted) in edits {
        let at = at.index(chars.len() + 1);
        let end = (at + removed).min(chars.len());
        chars.splice(at..end, inserted.chars());
    }
    chars.into_iter().collect()
}

fn edit() -> impl Strategy<Value = (Index, usize, String)> {
    let token = prop::sample::select(vec![
        "",
        "",
        "\"",
        "'",
        "\"\"\"",
        "[",
        "]",
        "{",
        "}",
        "=",
        ",",
        "\n",
        "#",
        "-1",
        "1e400",
        "nan",
        "9007199254740992",
        "99999999999999999999",
        "true",
        "2024-02-30",
        "null",
        "\u{0}",
        "\u{feff}",
        "口岸",
        "[dataset]",
        "[columns.\"a.b\"]",
        "[[offer]]",
        "CN-710000",
        "*",
    ]);
    let text = prop_oneof![token.prop_map(str::to_owned), "\\PC{0,6}"];
    (any::<Index>(), 0..30_usize, text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_broken_manifest_is_refused_with_its_line(edits in prop::collection::vec(edit(), 1..6)) {
        let text = edited(WHOLE, &edits);
        let lines = text.split('\n').count();
        match Manifest::parse(&text) {
            Ok(manifest) => prop_assert!(!manifest.dataset.id.as_str().is_empty()),
            Err(error) => for fault in error.all() {
                prop_assert!(fault.line <= lines, "line {} of {lines}", fault.line);
                prop_assert!(!fault.message.is_empty() && !fault.fix.is_empty(), "{}", error);
                // Only what is wrong with the text as a whole has no line.
                prop_assert!(fault.line > 0 || fault.path.is_empty(), "{}", error);
            },
        }
    }
}
