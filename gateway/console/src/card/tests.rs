//! What a card shows, and that nothing in it is ever taken for markup.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::json;

use super::*;
use crate::page::STYLE;

const EVIL: &str = "<script>alert(1)</script>\"'&";

fn evil() -> Card {
    let inspection = json!({
        "rows": 1234, "bytes": 5_500_000,
        "files": [{"name": "a.parquet", "sha256": "00ff", "rows": 1234, "bytes": 5_500_000}],
        "columns": [
            {"name": EVIL, "type": "Utf8", "suggested": "none", "nulls": 1, "distinct_estimate": 9, "identifiers": []},
            {"name": "topic", "type": EVIL, "suggested": "none", "nulls": 0, "distinct_estimate": 2, "identifiers": []},
            {"name": "phone", "type": "Utf8", "suggested": "personal", "nulls": 0, "distinct_estimate": 2,
             "identifiers": [{"kind": "hk_mobile", "rows": 77, "values": 70}]},
        ],
        "quality": {
            "complete_ppm": 999_000, "completeness_ppm": {(EVIL): 400_000, "topic": 1_000_000, "phone": 1_000_000},
            "uniqueness_ppm": {(EVIL): 123_456},
            "duplicate_rows_estimate": 0,
            "near_duplicates": {"rows_with_text": 100_000, "rows_compared": 50_000, "copies_ppm": 0, "near_ppm": 25_000},
            "languages_ppm": {"zh-Hant": 700_000, "en": 200_000, (EVIL): 100_000},
            "text": {
                (EVIL): {"chars": 9000, "max": 40, "p50": 7, "p90": 20,
                         "histogram": [{"upto": 7, "values": 3}, {"upto": 15, "values": 900}]},
                "phone": {"chars": 9000, "max": 8, "p50": 8, "p90": 8, "histogram": [{"upto": 15, "values": 900}]},
            },
            "labels": {"column": "topic", "classes": 2, "missing": 0, "largest_ppm": 900_000, "smallest_ppm": 100_000,
                       "balance_ppm": 468_996, "values": [{"label": EVIL, "rows": 900}, {"label": "b", "rows": 100}]},
            "freshness": {"registered": "2026-11-28", "newest": [
                {"column": EVIL, "day": "2026-11-01", "age_days": 27, "future_values": 2}]},
        },
    });
    Card::of_inspection(EVIL, &inspection)
}

#[test]
fn whatever_a_corpus_says_is_text() {
    let page = card(&evil()).unwrap();
    assert!(!page.html.contains("<script"), "{}", page.html);
    assert!(page.html.contains("&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#38;"));
    // The policy allows neither: a browser would drop them and the page would look broken.
    assert!(!page.html.contains(" style=") && !page.html.contains("src=") && !page.html.contains("href="));
    assert!(!page.html.contains("url(") && !page.html.contains("@import"));
}

#[test]
fn the_policy_allows_this_style_sheet_and_nothing_else() {
    let page = card(&evil()).unwrap();
    assert!(page.html.contains(&format!("<style>{STYLE}</style>")));
    assert!(page.policy.starts_with("default-src 'none'; style-src 'sha256-"), "{}", page.policy);
    assert!(page.policy.ends_with("; frame-ancestors 'none'") && !page.policy.contains("unsafe"));
    let meta = page.policy.strip_suffix("; frame-ancestors 'none'").unwrap().replace('\'', "&#39;");
    assert!(page.html.contains(&format!("content=\"{meta}\"")), "{meta}");
}

#[test]
fn figures_findings_and_plots_are_there() {
    let page = card(&evil()).unwrap().html;
    for shown in [
        "1,234",
        "5.2 MiB",
        "&#62; 99.9 %",
        "12.3 %",
        "40.0 %",
        "Traditional Chinese 繁體",
        "70.0 %",
        "Hong Kong mobile number",
        ">77<",
        "a sample by content of 50,000 of the 100,000 rows",
        "2.5 %",
        "27 days; 2 values lie in the future",
        "half of the texts have at most 7",
        "not registered",
    ] {
        assert!(page.contains(shown), "`{shown}` is missing in {page}");
    }
    assert!(!page.contains("Length of the texts in phone"), "its name suggests a person");
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    for one in ["<h1", "<main", "</html>", "<html lang=\"en\">"] {
        assert_eq!(page.matches(one).count(), 1, "{one}");
    }
    // Every drawing has a name for those who cannot see it.
    assert_eq!(
        page.matches("role=\"img\"").count() + page.matches("aria-hidden").count(),
        page.matches("<svg").count()
    );
}

#[test]
fn an_empty_card_is_still_a_page() {
    let page = card(&Card::of_inspection("nothing", &Value::Null)).unwrap().html;
    assert!(page.contains("No row holds text") && page.contains("recognised no identifier"), "{page}");
    assert!(!page.contains("<table"));
}

#[test]
fn labels_too_many_to_be_labels_are_said_to_be() {
    let quality = json!({"labels": {"column": "id", "missing": 0, "more_than": 1024}});
    let (column, note, bars) = labels(&quality).unwrap();
    assert_eq!((column.as_str(), bars.bars.len()), ("id", 0));
    assert!(note.contains("more than 1,024"), "{note}");
    assert!(labels(&json!({})).is_none());
}
