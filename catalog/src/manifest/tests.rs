//! Every rule of the manifest: one that is whole, and then one mistake at a time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;

mod fuzz;

const WHOLE: &str = r#"[dataset]
id = "yue-speech"
version = "1"
title = { en = "Cantonese speech", zh-Hant = "粵語語音", zh-Hans = "粤语语音" }
description = { en = "…" }
language = ["yue", "en"]
theme = ["speech"]
keyword = ["cantonese"]
licence = "CC-BY-4.0"
source_statement = "recorded by us"
collected_in = ["CN"]
collected_from = "2024-01-01"
collected_to = "2025-06-30"
place = "CN-440300"
columns_default = "none"
provider = "qianhai"
class = "general"
important_status = "no"
controlled_item = false
genetic_resource = false
geospatial = false
state_secret = false
subjects = { persons = 12000, sensitive = 300, under_14 = 0 }
subject_key = "id_no"
[columns.id_no]
class = "sensitive"
title = { en = "Resident ID number" }
[columns.address]
class = "personal"
[columns.address.city]
class = "none"
[columns."speaker.name"]
class = "personal"
[offer]
purposes = ["academic-research"]
recipients = ["hku.hk", "cuhk.edu.hk"]
places = ["HK"]
price = { model = "per_gib", amount = "120000", currency = "CNY" }
fee = { rate_ppm = 100000 }
vat = { rate_ppm = 60000 }
evidence = "receipt"
onward = "none"
retention_days = 365
[compliance]
notice = true
separate_consent = true
pipia = "PIPIA-2026-001"
dpp3 = "same-purpose"
domestic_pi_introduced = false
exemption = { kind = "transit", evidence = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }
received_under = { kind = "gba_sc", direction = "CN->HK" }
"#;

#[test]
fn a_whole_manifest_is_read() {
    let manifest = Manifest::parse(WHOLE).unwrap();
    assert_eq!(manifest.dataset.id.as_str(), "yue-speech");
    assert_eq!(manifest.dataset.subjects.unwrap().persons, 12_000);
    assert_eq!(manifest.class_of("id_no"), Some(ColumnClass::Sensitive));
    assert_eq!(manifest.class_of("address.street"), Some(ColumnClass::Personal));
    assert_eq!(manifest.class_of("address.city"), Some(ColumnClass::None));
    assert_eq!(manifest.class_of("speaker.name"), Some(ColumnClass::Personal));
    assert_eq!(manifest.class_of("text"), Some(ColumnClass::None));
    assert_eq!(manifest.offer.retention_days, Some(365));
    assert_eq!(manifest.offer.vat.unwrap().rate_ppm, 60_000);
    assert_eq!(manifest.offer.evidence, crate::offer::EvidenceKind::Receipt);
    // What was parsed survives the store's JSON unchanged.
    let json = serde_json::to_string(&manifest).unwrap();
    assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);
}

/// Replaces one line of the whole manifest; the error must stand on that line.
fn wrong(from: &str, to: &str) -> ManifestError {
    assert_eq!(WHOLE.matches(from).count(), 1, "`{from}` must be unique");
    let text = WHOLE.replacen(from, to, 1);
    Manifest::parse(&text).err().unwrap_or_else(|| panic!("`{to}` was accepted"))
}

#[test]
fn each_mistake_names_its_line_and_the_fix() {
    let line_of = |needle: &str| WHOLE[..WHOLE.find(needle).unwrap()].matches('\n').count() + 1;
    for (from, to, path, fix) in [
        ("id = \"yue-speech\"", "id = \"Yue Speech\"", "dataset.id", "a-z"),
        ("version = \"1\"", "version = 1", "dataset.version", "name such as"),
        ("zh-Hant = \"粵語語音\"", "zh-HK = \"粵語語音\"", "dataset.title.zh-HK", "zh-Hant"),
        (
            "title = { en = \"Cantonese speech\", zh-Hant = \"粵語語音\", zh-Hans = \"粤语语音\" }",
            "title = {}",
            "dataset.title",
            "at least one",
        ),
        ("[\"yue\", \"en\"]", "[\"yue\", \"e_n\"]", "dataset.language", "BCP 47"),
        ("[\"yue\", \"en\"]", "[\"yue\", \"yue\"]", "dataset.language", "BCP 47"),
        ("\"CC-BY-4.0\"", "\" \"", "dataset.licence", "SPDX"),
        ("collected_in = [\"CN\"]", "collected_in = [\"CN-810000\"]", "dataset.collected_in", "CN-440300"),
        ("\"2025-06-30\"", "\"2023-06-30\"", "dataset.collected_to", "later day last"),
        ("\"2024-01-01\"", "\"2024-13-01\"", "dataset.collected_from", "2024-01-31"),
        ("place = \"CN-440300\"", "place = \"Shenzhen\"", "dataset.place", "CN-440300"),
        ("columns_default = \"none\"", "columns_default = \"public\"", "dataset.columns_default", "sensitive"),
        ("provider = \"qianhai\"", "provider = \"Q\"", "dataset.provider", "participant"),
        ("class = \"general\"", "class = \"secret\"", "dataset.class", "important"),
        ("important_status = \"no\"", "important_status = \"yes\"", "dataset.important_status", "notified"),
        ("controlled_item = false", "controlled_item = \"no\"", "dataset.controlled_item", "true or false"),
        ("sensitive = 300", "sensitive = 12001", "dataset.subjects.sensitive", "persons"),
        ("persons = 12000", "persons = 9007199254740992", "dataset.subjects.persons", "9007199254740991"),
        ("under_14 = 0", "under_14 = -1", "dataset.subjects.under_14", "whole number"),
        ("subject_key = \"id_no\"", "label_column = \" \"", "dataset.label_column", "dotted name"),
        ("subject_key = \"id_no\"", "label_colum = \"topic\"", "dataset.label_colum", "did you mean `label_column`?"),
        ("geospatial = false", "geospatail = false", "dataset.geospatail", "did you mean `geospatial`?"),
        ("title = { en = \"Resident ID number\" }", "titel = { en = \"x\" }", "columns.id_no.titel.class", "class"),
        (
            "[columns.\"speaker.name\"]\nclass = \"personal\"",
            "[columns.\"speaker.name\"]\nclass = \"high\"",
            "columns.speaker.name.class",
            "personal",
        ),
        ("[\"academic-research\"]", "[]", "offer.purposes", "at least one"),
        ("[\"hku.hk\", \"cuhk.edu.hk\"]", "[\"hku.hk\", \"CUHK\"]", "offer.recipients", "trust domains"),
        ("amount = \"120000\"", "amount = 120000", "offer.price.amount", "quotes"),
        ("amount = \"120000\"", "amount = \"1.5\"", "offer.price.amount", "digits"),
        ("model = \"per_gib\"", "model = \"free\"", "offer.price.amount", "leave the amount out"),
        ("model = \"per_gib\"", "model = \"subscription\"", "offer.price.period", "month"),
        ("currency = \"CNY\"", "currency = \"USD\"", "offer.price.currency", "HKD"),
        ("currency = \"CNY\"", "period = \"month\"", "offer.price.period", "remove"),
        ("rate_ppm = 100000", "rate_ppm = 1000001", "offer.fee.rate_ppm", "1000000"),
        ("fee = { rate_ppm = 100000 }", "fee = {}", "offer.fee.rate_ppm", "amount"),
        ("vat = { rate_ppm = 60000 }", "vat = { rate_ppm = 1000001 }", "offer.vat.rate_ppm", "1000000"),
        ("vat = { rate_ppm = 60000 }", "vat = {}", "offer.vat.rate_ppm", "1000000"),
        ("evidence = \"receipt\"", "evidence = \"signed\"", "offer.evidence", "\"receipt\""),
        ("retention_days = 365", "retention_days = 0", "offer.retention_days", "at least one day"),
        ("dpp3 = \"same-purpose\"", "dpp3 = \"maybe\"", "compliance.dpp3", "consented"),
        ("kind = \"transit\"", "kind = \"tourism\"", "compliance.exemption.kind", "emergency"),
        ("\"sha256:ba78", "\"md5:ba78", "compliance.exemption.evidence", "64 hex"),
        ("\"CN->HK\"", "\"CN->US\"", "compliance.received_under.direction", "HK->CN"),
        ("notice = true", "notice = true\nnotcie = true", "compliance.notcie", "did you mean `notice`?"),
    ] {
        let error = wrong(from, to);
        assert!(error.all().any(|fault| fault.path == path && fault.fix.contains(fix)), "{to}: {error}");
        let line = line_of(from);
        let lines = to.matches('\n').count();
        assert!(error.all().any(|fault| (line..=line + lines).contains(&fault.line)), "{to}: line {line}: {error}");
    }
}

#[test]
fn missing_facts_are_all_listed_at_once() {
    let text = "[dataset]\nid = \"abc\"\nversion = \"1\"\n[offer]\n";
    let error = Manifest::parse(text).unwrap_err();
    let paths: Vec<&str> = error.all().map(|fault| fault.path.as_str()).collect();
    for key in [
        "title",
        "licence",
        "source_statement",
        "collected_in",
        "place",
        "class",
        "important_status",
        "controlled_item",
        "genetic_resource",
        "geospatial",
        "state_secret",
    ] {
        assert!(paths.contains(&format!("dataset.{key}").as_str()), "{key}: {error}");
    }
    assert!(paths.contains(&"offer.price"), "{error}");
    assert!(error.to_string().contains("line 1: `dataset.title` is missing"), "{error}");
}

#[test]
fn a_label_column_is_read() {
    let text = WHOLE.replace("subject_key = \"id_no\"", "label_column = \"topic\"");
    assert_eq!(Manifest::parse(&text).unwrap().dataset.label_column.as_deref(), Some("topic"));
}

const INPUTS: &str = r#"
[[derived_from]]
dataset = "yue-speech"
version = "1"
agreement = "a-1"
[[derived_from]]
dataset = "yue-text"
version = "2026.1"
lease = "l-1"
"#;

#[test]
fn inputs_are_read_and_each_mistake_in_them_is_named() {
    let whole = format!("{WHOLE}{INPUTS}");
    let manifest = Manifest::parse(&whole).unwrap();
    let names: Vec<_> = manifest.derived_from.iter().map(|input| input.dataset.as_str()).collect();
    assert_eq!(names, ["yue-speech", "yue-text"]);
    assert_eq!(manifest.compliance.domestic_pi_introduced, Some(false));
    let silent = Manifest::parse(&whole.replace("domestic_pi_introduced = false\n", "")).unwrap();
    assert_eq!(silent.compliance.domestic_pi_introduced, None);
    for (from, to, path, fix) in [
        ("agreement = \"a-1\"", "", "derived_from.agreement", "agreement or the lease"),
        ("agreement = \"a-1\"", "agreement = \"a-1\"\nlease = \"l-2\"", "derived_from.lease", "one of the two"),
        ("dataset = \"yue-text\"", "dataset = \"Y\"", "derived_from.dataset", "id of a dataset"),
        ("lease = \"l-1\"", "leese = \"l-1\"", "derived_from.leese", "did you mean `lease`?"),
        (
            "dataset = \"yue-text\"\nversion = \"2026.1\"\nlease = \"l-1\"",
            "dataset = \"yue-speech\"\nversion = \"1\"\nagreement = \"a-1\"",
            "derived_from.dataset",
            "keep one",
        ),
        ("pipia = \"PIPIA-2026-001\"", "anonymisation_report = { reference = \"R-1\" }", "evidence", "sha256:"),
        (
            "pipia = \"PIPIA-2026-001\"",
            "anonymisation_report = { reference = \"\", evidence = \"sha256:00\" }",
            "reference",
            "reference",
        ),
    ] {
        assert!(whole.contains(from), "{from}");
        let error = Manifest::parse(&whole.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(path) && error.contains(fix), "{to}: {error}");
    }
    let none = Manifest::parse(&format!("derived_from = \"x\"\n{WHOLE}")).unwrap_err();
    assert!(none.to_string().contains("[[derived_from]]"), "{none}");
}

#[test]
fn row_filters_are_refused_on_their_line() {
    let text = format!("{WHOLE}[rows]\nHK = \"lang <> 'internal'\"\n");
    let error = Manifest::parse(&text).unwrap_err();
    assert_eq!((error.line, error.message.as_str()), (52, "row filters are not enforced yet"), "{error}");
}

#[test]
fn duplicates_and_what_is_not_toml_are_refused() {
    let error = wrong("version = \"1\"", "version = \"1\"\nversion = \"2\"");
    assert_eq!(error.line, 4, "{error}");
    let error = Manifest::parse("[dataset\nid = 1").unwrap_err();
    assert_eq!(error.line, 1, "{error}");
    let twice = WHOLE.replace("[columns.\"speaker.name\"]", "[columns.\"address.city\"]");
    assert!(Manifest::parse(&twice).unwrap_err().to_string().contains("declared twice"));
}

#[test]
fn size_is_limited_before_anything_is_read() {
    let huge = "#".repeat(MANIFEST_BYTES_MAX + 1);
    let error = Manifest::parse(&huge).unwrap_err();
    assert!(error.to_string().contains("262144"), "{error}");
}

#[test]
fn the_shortest_manifest_has_the_documented_defaults() {
    let text = r#"
[dataset]
id = "abc"
version = "2026-11"
title = { en = "t" }
licence = "MIT"
source_statement = ""
collected_in = []
place = "HK"
class = "unknown"
important_status = "unknown"
controlled_item = false
genetic_resource = false
geospatial = false
state_secret = false
[offer]
purposes = ["p"]
recipients = ["*"]
places = ["HK"]
price = { model = "free" }
"#;
    let manifest = Manifest::parse(text).unwrap();
    assert_eq!(manifest.compliance, Compliance::default());
    assert_eq!(manifest.offer.onward, "none");
    assert_eq!(manifest.offer.price.currency, crate::offer::Currency::Cny);
    assert_eq!(manifest.dataset.subjects, None);
    assert_eq!(manifest.class_of("x"), None);
}

proptest::proptest! {
    #[test]
    fn no_text_panics(at in 0usize..2000, with in ".{0,12}") {
        let at = WHOLE.char_indices().map(|(i, _)| i).nth(at % WHOLE.chars().count()).unwrap_or(0);
        let text = format!("{}{with}{}", &WHOLE[..at], &WHOLE[at..]);
        let _ = Manifest::parse(&text);
        let _ = Manifest::parse(&with);
    }
}
