//! A file from upload to inspection, and what of it a consumer may see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::format_push_string)]

use super::*;
use crate::admit::{Kept, PrepareError, admit, prepare};
use crate::layout::Limits;

const MANIFEST: &str = r#"
[dataset]
id = "people"
version = "1"
title = { en = "People" }
licence = "CC-BY-4.0"
source_statement = "made up"
collected_in = ["CN"]
place = "CN-440300"
class = "general"
important_status = "no"
controlled_item = false
genetic_resource = false
geospatial = false
state_secret = false
subject_key = "id_no"
[columns.id_no]
class = "sensitive"
[columns.note]
class = "none"
[columns.name]
class = "none"
[offer]
purposes = ["academic-research"]
recipients = ["*"]
places = ["HK"]
price = { model = "free" }
"#;

fn stored(name: &str, upload: &str) -> (String, Vec<u8>, Admitted) {
    let mut out = Vec::new();
    let prepared = prepare(name, upload.as_bytes(), &Limits::default(), &mut out).unwrap();
    assert!(matches!(prepared.kept, Kept::Converted(_)));
    let admitted = admit(&out, &Limits::default()).unwrap();
    (prepared.name, out, admitted)
}

fn people(rows: usize) -> String {
    let mut text = String::from("id_no,name,note\n");
    for row in 0..rows {
        text.push_str(&format!(
            "4403051901020{:05},陳大文{row},{}\n",
            row % 500,
            if row % 4 == 0 { "" } else { "hello" }
        ));
    }
    text
}

#[test]
fn a_version_of_two_files_is_inspected_as_one() {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let mut inspector = Inspector::new(Some(&manifest));
    for name in ["a.csv", "b.csv"] {
        let (name, bytes, admitted) = stored(name, &people(1000));
        check_columns(&manifest, &admitted.index).unwrap();
        inspector.add(&name, bytes.into(), &admitted, &[Gap { offset: 9, bytes: 3 }]).unwrap();
    }
    let inspection = inspector.finish();
    assert_eq!(inspection["rows"], 2000);
    assert_eq!(inspection["files"][1]["name"], "b.parquet");
    assert_eq!(inspection["files"][1]["rows"], 1000);
    assert_eq!(inspection["persons_estimate"], 500);
    assert_eq!(inspection["quality"]["duplicate_rows_estimate"], 1000);
    assert_eq!(inspection["quality"]["completeness_ppm"]["note"], 750_000);
    assert_eq!(inspection["packed"]["a.parquet"][0]["offset"], 9);
    assert!(inspection["key_value_metadata"]["ARROW:schema"].is_u64());
    let columns = inspection["columns"].as_array().unwrap();
    let names: Vec<_> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["id_no", "name", "note"]);
    assert_eq!(columns[0]["declared"], "sensitive");
    assert_eq!(columns[0]["suggested"], "sensitive");
    assert_eq!(columns[0]["type"], "Utf8");
    assert_eq!(columns[0]["values"]["min"], "440305190102000000");
    assert_eq!(columns[0]["identifiers"], json!([]));
    assert_eq!(columns[1]["suggested"], "personal");
    assert_eq!(columns[1]["scripts"], json!({"han": 1_000_000}));
    assert_eq!(columns[2]["nulls"], 500);
    assert_eq!(columns[2]["distinct_estimate"], 1);
    assert_eq!(columns[2]["values"]["examples"], json!(["hello"]));

    let seen = inspection_for_consumer(&inspection, &manifest);
    let text = seen.to_string();
    assert!(!text.contains("4403051") && !text.contains("陳大文"), "{text}");
    assert_eq!(seen["columns"][2]["values"]["max"], "hello");
    assert_eq!(seen["columns"][0]["distinct_estimate"], 500);
}

#[test]
fn columns_must_match_across_files_and_with_the_manifest() {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    for (upload, expected) in [
        ("id_no,name\nx,y\n", "column `note` is missing"),
        ("id_no,name,note,more\nx,y,z,w\n", "column `more` is not in the other files"),
        ("id_no,note,name\nx,y,z\n", "column `note` stands where the other files have `name`"),
        ("id_no,name,note\nx,y,5\n", "column `note` is Int64, but Utf8"),
    ] {
        let mut inspector = Inspector::new(Some(&manifest));
        let (name, bytes, admitted) = stored("a.csv", &people(5));
        inspector.add(&name, bytes.into(), &admitted, &[]).unwrap();
        let (name, bytes, admitted) = stored("b.csv", upload);
        let error = inspector.add(&name, bytes.into(), &admitted, &[]).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("`b.parquet`"), "{error}");
    }
    let check = |upload: &str| check_columns(&manifest, &stored("a.csv", upload).2.index);
    assert_eq!(
        check("id_no,name,note,x,y\na,b,c,d,e\n"),
        Err(DeclaredError::Missing(vec!["x".to_owned(), "y".to_owned()]))
    );
    let error = check("id_no,note\na,b\n").unwrap_err();
    assert!(error.to_string().contains("[columns] names `name`"), "{error}");
    let keyless = Manifest::parse(&MANIFEST.replace("subject_key = \"id_no\"", "subject_key = \"id\"")).unwrap();
    let error = check_columns(&keyless, &stored("a.csv", &people(1)).2.index).unwrap_err();
    let label = Manifest::parse(&MANIFEST.replace("subject_key", "label_column = \"topic\"\nsubject_key")).unwrap();
    let unlabelled = check_columns(&label, &stored("a.csv", &people(1)).2.index).unwrap_err();
    assert!(unlabelled.to_string().contains("`label_column` names `topic`, but the file has `id_no`"), "{unlabelled}");
    assert!(matches!(error, DeclaredError::Named { member: "subject_key", .. }), "{error}");
}

#[test]
fn nested_columns_are_measured_by_leaf() {
    let file = crate::layout::tests::small();
    let admitted = admit(&file, &Limits::default()).unwrap();
    let mut inspector = Inspector::new(None);
    inspector.add("n.parquet", file.into(), &admitted, &[]).unwrap();
    let inspection = inspector.finish();
    let column = |name: &str| {
        let columns = inspection["columns"].as_array().unwrap();
        columns.iter().find(|column| column["name"] == name).unwrap_or_else(|| panic!("{name}")).clone()
    };
    assert_eq!(column("id")["values"]["max"], "999");
    assert_eq!(column("id")["distinct_estimate"], 1000);
    assert_eq!(column("name")["nulls"], 143);
    assert_eq!(column("address.city")["nulls"], 666);
    assert_eq!(column("address.score")["values"]["min"], "0.0");
    assert_eq!(column("tags.list.item")["distinct_estimate"], 3);
    assert_eq!(inspection["quality"]["duplicate_rows_estimate"], 0);
    assert_eq!(inspection["persons_estimate"], Value::Null);
}

#[test]
fn every_entrance_decides_by_name_and_bytes() {
    let run = |name: &str, bytes: &[u8]| {
        let mut out = Vec::new();
        prepare(name, bytes, &Limits::default(), &mut out).map(|prepared| (prepared.name, prepared.kept, out.len()))
    };
    let parquet = crate::layout::tests::small();
    let (name, kept, written) = run("data", &parquet).unwrap();
    assert_eq!((name.as_str(), kept, written), ("data.parquet", Kept::AsIs, 0));
    assert_eq!(run("x.ndjson", b"{\"a\": 1}").unwrap().0, "x.parquet");
    assert_eq!(run("v1.2", &parquet).unwrap().0, "v1.2.parquet");
    assert!(matches!(run("../x.csv", b"a\n1"), Err(PrepareError::Name(_))));
    assert!(matches!(run(".x.csv", b"a\n1"), Err(PrepareError::Name(_))));
    for (name, bytes) in [("x.csv", &b"\x1f\x8b123"[..]), ("x.xlsx", b"PK\x03\x04"), ("x.bin", b"abc"), ("x.csv", b"")]
    {
        assert!(matches!(run(name, bytes), Err(PrepareError::Format { .. } | PrepareError::Empty)), "{name}");
    }
    assert!(matches!(run("x.parquet", b"a,b\n1,2\n"), Err(PrepareError::Layout(_))));
    assert!(matches!(run("x.csv", b"a,b\n1\n"), Err(PrepareError::Convert(_))));
}

#[test]
fn files_of_other_writers_are_admitted() {
    let Some(folder) = std::env::var_os("KOUAN_TEST_PARQUET_GOOD") else {
        println!("did not run: set KOUAN_TEST_PARQUET_GOOD to a folder of sound Parquet files");
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        let mut out = Vec::new();
        let prepared =
            prepare(&name, &bytes, &Limits::default(), &mut out).unwrap_or_else(|error| panic!("{name}: {error}"));
        println!("{name}: {:?}", prepared.kept);
        let file = if prepared.kept == Kept::AsIs { bytes } else { out };
        let admitted = admit(&file, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut inspector = Inspector::new(None);
        inspector.add(&name, file.into(), &admitted, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        println!("  {} rows", inspector.finish()["rows"]);
        seen += 1;
    }
    assert!(seen > 0);
}
