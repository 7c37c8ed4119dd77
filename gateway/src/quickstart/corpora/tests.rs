#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;

use arrow::array::{Array as _, StringArray};
use bytes::Bytes;
use catalog::{ColumnClass, Manifest};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use policy::{Effect, Facts, RuleSet, decide};
use serde_json::{Value, json};

use super::*;
use crate::quickstart::layout::{BASELINE_PERSONS, BASELINE_SENSITIVE};

fn column_names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> &'a StringArray {
    batch.column_by_name(name).unwrap().as_any().downcast_ref().unwrap()
}

#[test]
fn every_run_makes_the_same_bytes() {
    for corpus in [PHRASES, PEOPLE] {
        assert_eq!(corpus.parquet().unwrap(), corpus.parquet().unwrap(), "{}", corpus.id);
    }
}

#[test]
fn the_phrase_tables_are_large_and_real() {
    let bytes = Bytes::from(PHRASES.parquet().unwrap());
    let reader = SerializedFileReader::new(bytes).unwrap();
    assert!(reader.metadata().file_metadata().num_rows() > 50_000);
    assert!(reader.metadata().num_row_groups() >= 4);
    let batch = phrases::batch().unwrap();
    let (table, source, target) = (texts(&batch, "table"), texts(&batch, "source"), texts(&batch, "target"));
    let holds = |wanted: (&str, &str, &str)| {
        (0..batch.num_rows()).any(|row| (table.value(row), source.value(row), target.value(row)) == wanted)
    };
    assert!(holds(("STPhrases", "一丝不挂", "一絲不掛")));
    assert!(holds(("STCharacters", "万", "萬")));
    let pairs: BTreeSet<_> = (0..batch.num_rows()).map(|row| (table.value(row), source.value(row))).collect();
    assert_eq!(pairs.len(), batch.num_rows(), "a source stands once in a table");
}

#[test]
fn the_people_are_as_many_as_the_manifest_says() {
    let manifest = Manifest::parse(PEOPLE.manifest).unwrap();
    let batch = people::batch().unwrap();
    let distinct = |name: &str| {
        let column = texts(&batch, name);
        column.iter().flatten().map(str::to_owned).collect::<BTreeSet<_>>().len()
    };
    let subjects = manifest.dataset.subjects.unwrap();
    assert_eq!(subjects.persons, u64::from(people::PERSONS));
    assert_eq!(subjects.persons, distinct("person_id") as u64);
    assert!((18_000..22_000).contains(&batch.num_rows()), "{} rows", batch.num_rows());
    assert!(distinct("id_no") > 7_900);
    let hkids = texts(&batch, "hkid");
    assert!(hkids.null_count() > batch.num_rows() / 2 && hkids.null_count() < batch.num_rows());
}

/// GB 11643 by Horner's rule instead of weights: another way to the same check.
#[test]
fn every_identity_number_has_its_check_digit() {
    let batch = people::batch().unwrap();
    for id in texts(&batch, "id_no").iter().flatten() {
        assert_eq!(id.len(), 18, "{id}");
        assert!(id.starts_with("440399") || id.starts_with("810099"), "{id}");
        let (body, check) = id.split_at(17);
        let folded = body.bytes().fold(0_u32, |sum, digit| (sum * 2 + 2 * u32::from(digit - b'0')) % 11);
        let expected = match (12 - folded) % 11 {
            10 => "X".to_owned(),
            digit => digit.to_string(),
        };
        assert_eq!(check, expected, "{id}");
        assert!(id[10..12].parse::<u32>().is_ok_and(|month| (1..=12).contains(&month)), "{id}");
    }
    for id in texts(&batch, "hkid").iter().flatten() {
        // The weighted sum with the check digit itself is divisible by 11.
        let value = |character: char| if character == 'A' { 10 } else { character.to_digit(36).unwrap() };
        let body: Vec<u32> = id[..8].chars().map(|character| character.to_digit(36).unwrap()).collect();
        let sum: u32 = body.iter().zip((2..=9).rev()).map(|(value, weight): (&u32, u32)| value * weight).sum();
        assert_eq!((sum + value(id.chars().nth(9).unwrap())) % 11, 0, "{id}");
    }
}

/// The facts that the gateway will gather for a pull by HKU.
fn effect(corpus: Corpus, keep: impl Fn(ColumnClass) -> bool) -> (Effect, Vec<String>) {
    let manifest = Manifest::parse(corpus.manifest).unwrap();
    let batch = (corpus.batch)().unwrap();
    let classes: Vec<(String, ColumnClass)> = column_names(&batch)
        .into_iter()
        .map(|name| {
            let class = manifest.class_of(&name).unwrap();
            (name, class)
        })
        .collect();
    let entry = &manifest.dataset;
    let facts = json!({
        "now": "2026-11-22T10:00:00+08:00",
        "purpose": PURPOSE,
        "exporter": {"id": "qianhai", "place": entry.place, "ciio": "no",
                     "counters": {"persons": BASELINE_PERSONS, "sensitive": BASELINE_SENSITIVE, "baseline": true}},
        "recipient": {"id": "hku", "place": "HK", "accessed_from": "HK", "restricted": false,
                      "foreign_authority_request": false},
        "dataset": {
            "id": entry.id, "version": entry.version, "class": entry.class, "important_status": entry.important_status,
            "state_secret": false, "controlled_item": false, "genetic_resource": false, "geospatial": false,
            "source_statement": !entry.source_statement.is_empty(), "collected_in": entry.collected_in,
            "domestic_pi_introduced": manifest.compliance.domestic_pi_introduced.unwrap_or(false),
            "columns": classes.iter().map(|(name, class)| json!({"name": name, "class": class})).collect::<Vec<Value>>(),
            "subjects": entry.subjects,
        },
        "columns": classes.iter().filter(|(_, class)| keep(*class)).map(|(name, _)| name).collect::<Vec<_>>(),
        "preconditions": {"notice": manifest.compliance.notice, "separate_consent": manifest.compliance.separate_consent,
                          "pipia": manifest.compliance.pipia},
    });
    let decision = decide(&RuleSet::builtin().unwrap(), &Facts::parse(&facts.to_string()).unwrap());
    let value = serde_json::to_value(&decision).unwrap();
    let rules = value["rules"].as_array().unwrap().iter().map(|rule| rule.as_str().unwrap().to_owned()).collect();
    (decision.effect, rules)
}

#[test]
fn the_policy_tells_the_story_that_quickstart_promises() {
    assert_eq!(effect(PHRASES, |_| true).0, Effect::Allow);
    let (refused, rules) = effect(PEOPLE, |_| true);
    assert_eq!((refused, rules), (Effect::Deny, vec!["CN-06".to_owned(), "MECH-MISSING".to_owned()]));
    assert_eq!(effect(PEOPLE, |class| class != ColumnClass::Sensitive).0, Effect::Allow);
    let manifest = Manifest::parse(PEOPLE.manifest).unwrap();
    let sensitive: Vec<String> = column_names(&people::batch().unwrap())
        .into_iter()
        .filter(|name| manifest.class_of(name) == Some(ColumnClass::Sensitive))
        .collect();
    assert_eq!(sensitive, people::SENSITIVE);
}

#[test]
fn what_is_on_disk_is_taken_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let first = PEOPLE.prepare(dir.path()).unwrap();
    assert!(first.made);
    std::fs::write(&first.manifest, "edited").unwrap();
    let again = PEOPLE.prepare(dir.path()).unwrap();
    assert!(!again.made);
    assert_eq!(again.bytes, first.bytes);
    assert_eq!(std::fs::read_to_string(&again.manifest).unwrap(), "edited");
}
