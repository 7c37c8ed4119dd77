//! A file from upload to inspection, and what of it a consumer may see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::format_push_string)]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Float64Array, Int64Array, ListArray, MapBuilder, StringArray, StringBuilder, StructArray,
};
use arrow::datatypes::{Field, Int64Type};

use super::*;
use crate::admit::{Kept, PrepareError, admit, prepare};
use crate::layout::Limits;

const MANIFEST: &str = include_str!("tests/people.toml");

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
    // Numbers without a right check character are none.
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

/// An inspection of one file of these columns, without a manifest.
fn inspected(columns: Vec<(&str, ArrayRef)>, rows_per_group: usize) -> Value {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = written(&batch, rows_per_group);
    let admitted = admit(&file, &Limits::default()).unwrap();
    let mut inspector = Inspector::new(None).registered_on(Date::constant(2026, 11, 28));
    inspector.add("t.parquet", file.into(), &admitted, &[]).unwrap();
    inspector.finish()
}

fn written(batch: &RecordBatch, rows_per_group: usize) -> Vec<u8> {
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(rows_per_group))
        .build();
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    file
}

fn identifiers<'a>(inspection: &'a Value, name: &str) -> &'a Vec<Value> {
    let columns = inspection["columns"].as_array().unwrap();
    let column = columns.iter().find(|column| column["name"] == name).unwrap_or_else(|| panic!("{name}: {inspection}"));
    column["identifiers"].as_array().unwrap()
}

/// A resident identity number with its check character.
fn resident(serial: u32) -> String {
    let body = format!(
        "44030519{:02}{:02}{:02}{:03}",
        50 + serial / 1000 % 40,
        1 + serial / 40_000 % 12,
        1 + serial / 480_000 % 28,
        serial % 1000
    );
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = body.bytes().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    format!("{body}{}", ["1", "0", "X", "9", "8", "7", "6", "5", "4", "3", "2"][sum as usize % 11])
}

#[test]
fn identifiers_are_found_in_every_type_and_depth() {
    let texts = || StringArray::from(vec![Some("电话 13912345678"), None, Some("x"), Some("a@b.com, +852 5123 4567")]);
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(13_912_345_678), Some(13_912_345_679)]),
        Some(vec![]),
        None,
        Some(vec![Some(5), Some(13_912_345_670)]),
    ]);
    let group = StructArray::from(vec![(
        Arc::new(Field::new("inner", arrow::datatypes::DataType::Utf8, true)),
        Arc::new(texts()) as ArrayRef,
    )]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in 0..4 {
        map.keys().append_value("k");
        map.values().append_value(if row == 2 { "A123456(3)" } else { "-" });
        map.append(true).unwrap();
    }
    let bytes: Vec<&[u8]> = vec![b"\xff440305190102030017", b"", b"\x00\x01", b"440305190102030017"];
    let inspection = inspected(
        vec![
            ("text", Arc::new(texts())),
            ("numbers", Arc::new(list)),
            ("group", Arc::new(group)),
            ("map", Arc::new(map.finish())),
            ("bytes", Arc::new(BinaryArray::from(bytes))),
            ("mobile", Arc::new(Int64Array::from(vec![51_234_567, 61_234_567, 1, 2]))),
            ("float", Arc::new(Float64Array::from(vec![Some(13_912_345_678.0), None, Some(1.5), None]))),
        ],
        2,
    );
    let summary = |name: &str| -> Vec<(String, u64, u64)> {
        let found = identifiers(&inspection, name).iter();
        found
            .map(|found| {
                (
                    found["kind"].as_str().unwrap().to_owned(),
                    found["rows"].as_u64().unwrap(),
                    found["values"].as_u64().unwrap(),
                )
            })
            .collect()
    };
    let three = [("cn_mobile".to_owned(), 1, 1), ("hk_mobile".to_owned(), 1, 1), ("email".to_owned(), 1, 1)];
    assert_eq!(summary("text"), three);
    assert_eq!(summary("group.inner"), three);
    assert_eq!(summary("numbers.list.item"), [("cn_mobile".to_owned(), 2, 3)]);
    assert_eq!(summary("map.entries.values"), [("hkid".to_owned(), 1, 1)]);
    assert_eq!(summary("bytes"), [("cn_resident_id".to_owned(), 2, 2)]);
    assert_eq!(summary("mobile"), [("hk_mobile".to_owned(), 2, 2)]);
    assert_eq!(summary("float"), [("cn_mobile".to_owned(), 1, 1)]);
    let list = &identifiers(&inspection, "numbers.list.item")[0];
    assert_eq!(list["positions"], json!([{"file": "t.parquet", "row": 1}, {"file": "t.parquet", "row": 4}]));
    assert_eq!(list["share_ppm"], 500_000);
    assert_eq!(list["examples"], json!(["13********8", "13********9", "13********0"]));
    let suggested = |name: &str| {
        let columns = inspection["columns"].as_array().unwrap();
        columns.iter().find(|column| column["name"] == name).unwrap()["suggested"].clone()
    };
    assert_eq!((suggested("text"), suggested("bytes")), (json!("personal"), json!("sensitive")));
}

#[test]
fn an_entry_of_a_dictionary_that_no_row_uses_is_found() {
    // The writer only keeps what rows use: the value is written, and then its row is cut out of the indices by making the
    // other value stand in its place.
    let used = vec!["plain"; 100];
    let hidden = [used.as_slice(), &["440305190102030017"]].concat();
    let batch = RecordBatch::try_from_iter([("t", Arc::new(StringArray::from(hidden)) as ArrayRef)]).unwrap();
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(parquet::basic::Compression::UNCOMPRESSED)
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None)
        .build();
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    // The indices are 1 bit wide: one run of 100 zeros, then a packed group with the 1 that names the hidden entry.
    let dictionary = file.windows(18).position(|window| window == b"440305190102030017").unwrap();
    let index = (dictionary + 18..file.len()).find(|at| file[*at..].starts_with(&[0x01, 0xc8, 0x01, 0x00])).unwrap();
    let tail = &mut file[index + 4..index + 6];
    assert!(tail == [0x02, 0x01] || tail == [0x03, 0x01], "{tail:?}");
    tail[1] = 0x00;
    let admitted = admit(&file, &Limits::default()).unwrap();
    let mut inspector = Inspector::new(None);
    inspector.add("t.parquet", file.into(), &admitted, &[]).unwrap();
    let inspection = inspector.finish();
    assert_eq!(inspection["columns"][0]["values"]["examples"], json!(["plain"]));
    let found = &identifiers(&inspection, "t")[0];
    assert_eq!((&found["kind"], &found["rows"], &found["values"]), (&json!("cn_resident_id"), &json!(0), &json!(1)));
    assert_eq!((&found["unused_dictionary_values"], &found["positions"]), (&json!(1), &json!([])));
    assert_eq!(inspection["columns"][0]["suggested"], "sensitive");
}

#[test]
fn entries_of_a_dictionary_of_times_are_no_numbers() {
    let times = arrow::array::TimestampMicrosecondArray::from(vec![13_912_345_678, 13_912_345_679]);
    let inspection = inspected(vec![("at", Arc::new(times)), ("n", Arc::new(Int64Array::from(vec![1, 2])))], 10);
    assert!(identifiers(&inspection, "at").is_empty(), "{inspection}");
}

#[test]
fn used_entries_are_counted_by_row_and_across_row_groups() {
    let values: Vec<String> = (0..1000).map(|row| resident(row % 7)).collect();
    let inspection = inspected(vec![("t", Arc::new(StringArray::from(values)))], 100);
    let found = &identifiers(&inspection, "t")[0];
    assert_eq!((&found["rows"], &found["values"]), (&json!(1000), &json!(1000)));
    assert_eq!(found.get("unused_dictionary_values"), None);
    assert_eq!(found["positions"].as_array().unwrap().len(), identify::POSITIONS);
    assert_eq!(inspection["persons_estimate"], 7);
}

#[test]
fn chance_is_told_from_what_is_there() {
    let mut state = 7u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 11
    };
    let rows = 20_000;
    let digits = |count: u32, number: u64| format!("{:0width$}", number % 10u64.pow(count), width = count as usize);
    let columns: Vec<(&str, Vec<String>)> = vec![
        ("order_11", (0..rows).map(|_| digits(11, random())).collect()),
        ("order_16", (0..rows).map(|_| digits(16, random() * 7)).collect()),
        (
            "numbers_18",
            (0..20 * rows)
                .step_by(20)
                .map(|_| digits(18, random() * 97 % 900_000_000_000_000_000 + 100_000_000_000_000_000))
                .collect(),
        ),
        ("code", (0..rows).map(|_| format!("A{}", digits(7, random()))).collect()),
        (
            "cards",
            (0..rows)
                .map(|row| if row % 2 == 0 { "6222000000000000012".to_owned() } else { digits(16, random() * 7) })
                .collect(),
        ),
    ];
    let columns = columns.into_iter().map(|(name, values)| (name, Arc::new(StringArray::from(values)) as ArrayRef));
    let inspection = inspected(columns.collect(), 1 << 20);
    for name in ["order_11", "order_16", "code", "numbers_18"] {
        assert!(identifiers(&inspection, name).is_empty(), "{name}: {:?}", identifiers(&inspection, name));
    }
    let cards = &identifiers(&inspection, "cards")[0];
    assert!(cards["values"].as_u64().unwrap() >= rows / 2 && cards["confidence"].as_f64().unwrap() > 0.8, "{cards}");
}

#[test]
fn persons_are_counted_exactly() {
    let ids: Vec<String> = (0..30_000).map(|row| resident(row % 12_345)).collect();
    let mobiles: Vec<i64> = (0..30_000).map(|row| 13_900_000_000 + row % 9_000).collect();
    let inspection = inspected(
        vec![("id_no", Arc::new(StringArray::from(ids.clone()))), ("phone", Arc::new(Int64Array::from(mobiles)))],
        7000,
    );
    let exact: HashSet<&String> = ids.iter().collect();
    assert_eq!(inspection["persons_estimate"], exact.len());
    // Passports for some and identity cards for others, in one column: both count.
    let mixed: Vec<String> =
        (0..3000).map(|row| if row % 3 == 0 { format!("E{row:08}") } else { resident(row) }).collect();
    let inspection = inspected(vec![("證件號碼", Arc::new(StringArray::from(mixed)))], 1 << 20);
    assert_eq!(inspection["persons_estimate"], 3000);
    // Both forms of one number are one person.
    let old = vec!["440305010203001".to_owned(), "440305190102030017".to_owned()];
    let inspection = inspected(vec![("身份证", Arc::new(StringArray::from(old)))], 10);
    assert_eq!(inspection["persons_estimate"], 1);
}
