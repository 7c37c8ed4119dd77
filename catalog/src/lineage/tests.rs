//! One limit at a time: what is inherited, what is refused, what a report lifts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::ColumnClass;
use crate::manifest::plain::PLAIN;
use crate::manifest::{DataClass, ImportantStatus, ReceivedDirection};

fn manifest(changes: &[(&str, &str)]) -> Manifest {
    let mut text = PLAIN.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    Manifest::parse(&text).unwrap()
}

/// As strict as an input of personal data that crossed to Hong Kong.
fn derived(changes: &[(&str, &str)]) -> Manifest {
    let strict = [("columns_default = \"none\"", "columns_default = \"sensitive\"")];
    manifest(&[&strict[..], changes].concat())
}

fn input(manifest: &Manifest, columns: ColumnClass, crossed: Option<ReceivedDirection>) -> Input {
    Input {
        dataset: manifest.dataset.id.clone(),
        version: manifest.dataset.version.clone(),
        agreement: AgreementId::parse("a-1").unwrap(),
        lease: None,
        limits: Limits::of(manifest, columns, crossed),
        terms: Terms::from(&manifest.offer),
    }
}

fn crossed() -> Input {
    input(&manifest(&[]), ColumnClass::Sensitive, Some(ReceivedDirection::CnToHk))
}

#[test]
fn what_is_left_open_is_inherited() {
    let mut made = derived(&[("subjects = { persons = 100, sensitive = 10, under_14 = 0 }\n", "")]);
    assert_eq!(weaker(&made, &crossed(), false), []);
    inherit(&mut made, &[crossed()], false).unwrap();
    assert_eq!(made.compliance.received_under.unwrap().direction, ReceivedDirection::CnToHk);
    assert_eq!(made.compliance.domestic_pi_introduced, Some(true));
    assert_eq!(made.dataset.subjects, None);
    // Once more changes nothing.
    let before = made.clone();
    inherit(&mut made, &[crossed()], false).unwrap();
    assert_eq!(made, before);
}

#[test]
fn each_weaker_declaration_names_input_and_rule() {
    let important =
        manifest(&[("class = \"general\"", "class = \"important\""), ("status = \"no\"", "status = \"notified\"")]);
    let regimes = manifest(&[
        ("controlled_item = false", "controlled_item = true"),
        ("genetic_resource = false", "genetic_resource = true"),
        ("geospatial = false", "geospatial = true"),
        ("state_secret = false", "state_secret = true"),
    ]);
    let strictest = |manifest: &Manifest| input(manifest, ColumnClass::None, None);
    for (declared, from, want) in [
        (derived(&[]), strictest(&important), vec![("dataset.class", "A5"), ("dataset.important_status", "A5")]),
        (
            derived(&[]),
            strictest(&regimes),
            vec![
                ("dataset.state_secret", "A5"),
                ("dataset.controlled_item", "A5"),
                ("dataset.genetic_resource", "A5"),
                ("dataset.geospatial", "A5"),
            ],
        ),
        (manifest(&[]), crossed(), vec![("dataset.columns_default", "A5")]),
        (
            derived(&[("[columns.id_no]\nclass = \"sensitive\"", "[columns.text]\nclass = \"personal\"")]),
            crossed(),
            vec![("columns.text.class", "A5")],
        ),
        (derived(&[("sensitive = 10", "sensitive = 0")]), crossed(), vec![("dataset.subjects", "A5")]),
        (
            derived(&[("notice = true", "received_under = { kind = \"gba_sc\", direction = \"HK->CN\" }")]),
            crossed(),
            vec![("compliance.received_under", "GBA-09")],
        ),
        (
            derived(&[("notice = true", "domestic_pi_introduced = false")]),
            crossed(),
            vec![("compliance.domestic_pi_introduced", "A7")],
        ),
        (derived(&[("[\"HK\", \"CN\"]", "[\"HK\", \"GB\"]")]), crossed(), vec![("offer.places", "GBA-08")]),
        (derived(&[("[\"HK\", \"CN\"]", "[\"CN-440300\"]")]), crossed(), vec![]),
        (derived(&[("price = {", "onward = \"CC-BY-4.0\"\nprice = {")]), crossed(), vec![("offer.onward", "GBA-08")]),
        (derived(&[("\"lab.hk\"", "\"else.hk\"")]), crossed(), vec![("offer.recipients", "GBA-08")]),
        (
            derived(&[("\"hku.hk\", \"lab.hk\"", "\"*\"")]),
            strictest(&manifest(&[])),
            vec![("offer.recipients", "terms")],
        ),
        (derived(&[]), crossed(), vec![]),
    ] {
        let found = weaker(&declared, &from, false);
        let told: Vec<(&str, &str)> =
            found.iter().map(|weaker| (weaker.member.as_str(), weaker.rule.as_str())).collect();
        assert_eq!(told, want);
        assert!(found.iter().all(|weaker| weaker.to_string().contains("`input@1`")), "{found:?}");
    }
}

#[test]
fn an_open_licence_may_go_on_as_it_says() {
    let open = manifest(&[("price = {", "onward = \"CC-BY-4.0\"\nprice = {")]);
    let from = input(&open, ColumnClass::None, None);
    let made = derived(&[("\"lab.hk\"", "\"else.hk\""), ("price = {", "onward = \"CC-BY-4.0\"\nprice = {")]);
    assert_eq!(weaker(&made, &from, false), []);
}

#[test]
fn columns_without_persons_carry_no_limits_of_persons() {
    let from = input(&manifest(&[]), ColumnClass::None, Some(ReceivedDirection::CnToHk));
    assert_eq!(from.limits.received_under, None);
    assert!(!from.limits.domestic_pi_introduced && !from.limits.subjects.persons);
    assert_eq!(weaker(&manifest(&[]), &from, false), []);
    // Important data without persons void transit all the same (A7).
    let important = manifest(&[("class = \"general\"", "class = \"important\"")]);
    assert!(input(&important, ColumnClass::None, None).limits.domestic_pi_introduced);
    let abroad = manifest(&[("class = \"general\"", "class = \"important\""), ("[\"CN\"]\nplace", "[\"HK\"]\nplace")]);
    assert!(!input(&abroad, ColumnClass::Sensitive, None).limits.domestic_pi_introduced);
}

#[test]
fn a_report_lifts_the_limits_of_persons_once_confirmed() {
    let important = manifest(&[("class = \"general\"", "class = \"important\"")]);
    let from = input(&important, ColumnClass::Sensitive, Some(ReceivedDirection::CnToHk));
    let declared = manifest(&[
        ("class = \"general\"", "class = \"important\""),
        ("[columns.id_no]\nclass = \"sensitive\"\n", ""),
        ("persons = 100, sensitive = 10", "persons = 0, sensitive = 0"),
    ]);
    assert!(!weaker(&declared, &from, false).is_empty());
    assert_eq!(weaker(&declared, &from, true), []);
    // Inert until an officer confirms it.
    let mut pending = declared.clone();
    inherit(&mut pending, std::slice::from_ref(&from), false).unwrap();
    assert_eq!(pending.class_of("text"), Some(ColumnClass::Sensitive));
    assert_eq!((pending.dataset.subjects, pending.compliance.received_under), (None, from.limits.received_under));
    let mut confirmed = declared.clone();
    inherit(&mut confirmed, std::slice::from_ref(&from), true).unwrap();
    assert_eq!(confirmed, declared);
    // It says nothing about other limits.
    let mut general = manifest(&[]);
    assert_eq!(weaker(&general, &from, true)[0].member, "dataset.class");
    inherit(&mut general, &[from], true).unwrap();
    assert_eq!(general.dataset.class, DataClass::Important);
}

#[test]
fn an_earlier_crossing_binds_through_every_step() {
    let mut first = derived(&[]);
    inherit(&mut first, &[crossed()], false).unwrap();
    let again = input(&first, ColumnClass::Sensitive, None);
    assert_eq!(again.limits.received_under.unwrap().direction, ReceivedDirection::CnToHk);
    assert!(again.limits.domestic_pi_introduced);
}

#[test]
fn both_directions_at_once_are_refused() {
    let other = input(&manifest(&[]), ColumnClass::Personal, Some(ReceivedDirection::HkToCn));
    let mut made = derived(&[]);
    let before = made.clone();
    let error = inherit(&mut made, &[crossed(), other.clone()], false).unwrap_err();
    assert!(error.to_string().contains("GBA-10"), "{error}");
    assert_eq!(made, before);
    inherit(&mut made, &[crossed(), other], true).unwrap();
}

#[test]
fn not_knowing_is_stricter_than_saying_no() {
    let from = input(&manifest(&[("status = \"no\"", "status = \"unknown\"")]), ColumnClass::None, None);
    assert_eq!(weaker(&derived(&[]), &from, false)[0].member, "dataset.important_status");
    let mut made = derived(&[]);
    inherit(&mut made, &[from], false).unwrap();
    assert_eq!(made.dataset.important_status, ImportantStatus::Unknown);
}
