//! The report of whole files, and what of it a consumer sees.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::format_push_string)]

use jiff::civil::date;
use serde_json::{Value, json};

use super::headline;
use crate::Manifest;
use crate::admit::{admit, prepare};
use crate::inspect::{Inspector, headline_for_consumer, inspection_for_consumer};
use crate::layout::Limits;
use crate::manifest::plain::PLAIN;

/// With a label and a date, and a personal column.
fn messages() -> String {
    let facts = "subjects = { persons = 100, sensitive = 10, under_14 = 0 }";
    let column = "[columns.id_no]\nclass = \"sensitive\"";
    assert!(PLAIN.contains(facts) && PLAIN.contains(column));
    PLAIN
        .replace(facts, "collected_to = \"2026-06-30\"\nlabel_column = \"topic\"")
        .replace(column, "[columns.author]\nclass = \"personal\"")
}

const LINES: &str = r#"{"author": "陳小明", "topic": "天氣", "day": "2026-11-01", "turns": [{"text": "聽日會唔會落雨呀，我諗住同佢哋去行山"}, {"text": "唔會嘅，放心啦"}]}
{"author": "陳小明", "topic": "天氣", "day": "2026-11-01", "turns": [{"text": "聽日會唔會落雨呀，我諗住同佢哋去行山"}, {"text": "唔會架，放心啦"}]}
{"author": "李大文", "topic": "policy", "day": "2026-11-20", "turns": [{"text": "The catalog entry is checked against the export policy before it is published."}]}
{"author": null, "topic": "policy", "day": "2026-11-20", "turns": [{"text": "数据出境须经评估，评估结果与记录一并保存。"}]}
"#;

fn inspected(manifest: Option<&Manifest>, name: &str, upload: &str) -> Value {
    let mut stored = Vec::new();
    let prepared = prepare(name, upload.as_bytes(), &Limits::default(), &mut stored).unwrap();
    let admitted = admit(&stored, &Limits::default()).unwrap();
    let mut inspector = Inspector::new(manifest).registered_on(date(2026, 11, 28));
    inspector.add(&prepared.name, stored.into(), &admitted, &[]).unwrap();
    inspector.finish()
}

#[test]
fn nested_text_is_reported_like_any_other() {
    let manifest = Manifest::parse(&messages()).unwrap();
    let inspection = inspected(Some(&manifest), "m.jsonl", LINES);
    let quality = &inspection["quality"];
    assert_eq!(quality["complete_ppm"], 944_444, "17 of 18 cells");
    assert_eq!(quality["uniqueness_ppm"]["topic"], 500_000);
    assert_eq!(quality["uniqueness_ppm"]["author"], 666_666);
    assert_eq!(quality["duplicate_rows_estimate"], 0);
    assert_eq!(
        quality["near_duplicates"],
        json!({"rows_with_text": 4, "rows_compared": 4, "copies_ppm": 0, "near_ppm": 250_000})
    );
    let text = &quality["text"]["turns.list.item.text"];
    assert_eq!((&text["values"], &text["max"]), (&json!(6), &json!(78)), "{quality}");
    let languages = text["languages_ppm"].as_object().unwrap();
    let found: std::collections::BTreeSet<&str> = languages.keys().map(String::as_str).collect();
    assert_eq!(found, ["en", "yue", "zh-Hans"].into());
    let labels = &quality["labels"];
    assert_eq!(
        (&labels["column"], &labels["balance_ppm"], &labels["classes"]),
        (&json!("topic"), &json!(1_000_000), &json!(2))
    );
    assert_eq!(quality["freshness"]["collected_age_days"], 151);
    assert_eq!(quality["freshness"]["registered"], "2026-11-28");
    let told = headline(&inspection).unwrap();
    assert_eq!((told.complete_ppm, told.near_ppm, told.balance_ppm), (Some(944_444), Some(250_000), Some(1_000_000)));
    assert_eq!(headline(&Value::Null), None);
}

#[test]
fn a_consumer_sees_nothing_that_comes_from_personal_values() {
    let text = messages().replace("[columns.author]", "[columns.topic]\nclass = \"personal\"\n[columns.author]");
    let manifest = Manifest::parse(&text).unwrap();
    let inspection = inspected(Some(&manifest), "m.jsonl", LINES);
    assert!(inspection["quality"]["text"]["author"].is_object());
    let seen = inspection_for_consumer(&inspection, &manifest);
    let shown = seen["quality"].to_string();
    assert!(!shown.contains("天氣") && !shown.contains("陳小明"), "{shown}");
    assert!(seen["quality"]["text"].get("author").is_none());
    assert!(seen["quality"]["text"].get("topic").is_none());
    assert!(seen["quality"]["text"]["turns.list.item.text"].is_object());
    let labels = &seen["quality"]["labels"];
    assert_eq!((&labels["classes"], labels.get("values")), (&json!(2), None), "how many there are is no value");
}

#[test]
fn the_newest_day_of_a_personal_column_is_hidden_too() {
    let upload = "when,birth\n2026-10-01,2026-11-20\n2026-10-03,1990-01-01\n9999-12-31,\n";
    let personal = messages().replace("[columns.author]", "[columns.birth]").replace("label_column = \"topic\"\n", "");
    let manifest = Manifest::parse(&personal).unwrap();
    let inspection = inspected(Some(&manifest), "d.csv", upload);
    let newest = |inspection: &Value| inspection["quality"]["freshness"]["newest"].clone();
    assert_eq!(newest(&inspection)[0]["column"], "birth");
    let seen = inspection_for_consumer(&inspection, &manifest);
    assert_eq!(newest(&seen), json!([{"column": "when", "day": "2026-10-03", "age_days": 56, "future_values": 1}]));
    assert_eq!(headline(&seen).unwrap().age_days, Some(56));
    assert_eq!(headline_for_consumer(&inspection, &manifest), headline(&seen));
    assert_eq!(headline(&inspection).unwrap().age_days, Some(8));
}

#[test]
fn numbers_alone_have_no_text_to_compare() {
    let inspection = inspected(None, "n.csv", "a,b\n1,2\n1,2\n3,4\n");
    let quality = &inspection["quality"];
    assert_eq!(quality["near_duplicates"]["rows_with_text"], 0);
    assert_eq!(quality["near_duplicates"]["near_ppm"], 0);
    assert_eq!((&quality["text"], &quality["languages_ppm"]), (&json!({}), &json!({})));
    assert_eq!(quality["duplicate_rows_estimate"], 1);
    assert!(quality.get("labels").is_none());
}

#[test]
fn codes_are_no_language() {
    let mut upload = String::from("code,sentence\n");
    for row in 0..100 {
        upload.push_str(&format!("SKU-{},第{row}句說的是出口政策與資料記錄\n", row % 3));
    }
    let inspection = inspected(None, "c.csv", &upload);
    assert_eq!(inspection["quality"]["languages_ppm"], json!({"zh-Hant": 1_000_000}));
    let codes = inspected(None, "c.csv", &format!("code,n\n{}", "abc,1\n".repeat(50)));
    assert_eq!(codes["quality"]["languages_ppm"], json!({"und-Latn": 1_000_000}), "when there is nothing else");
}

#[test]
fn a_sample_of_the_texts_keeps_the_languages() {
    let (table, mut sample) = (super::Table::new(), super::Sample::default());
    // One in four, in a regular order.
    for number in 0..200_000 {
        sample.add(&table, if number % 4 == 0 { "數據跨境須符合政策" } else { "数据跨境须符合政策" });
    }
    let share = sample.languages.shares()["zh-Hant"].as_u64().unwrap();
    assert!(share.abs_diff(250_000) < 15_000, "{share}");
}
