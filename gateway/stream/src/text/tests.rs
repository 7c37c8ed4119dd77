#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::sample::records;

fn flat(rows: usize) -> RecordBatch {
    records(rows).project(&[0, 1, 3, 4]).unwrap()
}

#[test]
fn csv_has_one_header_and_a_line_a_row() {
    let batch = flat(3);
    let csv = CsvEncoder::new(&batch.schema()).unwrap();
    assert_eq!(csv.header(), "id,name,kind,at\n");
    let lines = String::from_utf8(csv.encode(&batch).unwrap().to_vec()).unwrap();
    assert_eq!(
        lines,
        "0,name 0 ,,1970-01-01T00:00:00Z\n1,name 1 x,普通話,1970-01-01T00:00:01Z\n2,name 2 xx,English,1970-01-01T00:00:02Z\n"
    );
}

#[test]
fn csv_refuses_nested_columns_by_name() {
    let error = CsvEncoder::new(&records(1).schema()).unwrap_err();
    assert_eq!(error, TextError::Nested { column: "tags".to_owned() });
}

#[test]
fn json_lines_hold_nested_rows_and_nulls() {
    let lines = json_lines(&records(3)).unwrap();
    let rows: Vec<serde_json::Value> =
        std::str::from_utf8(&lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[2]["id"], 2);
    assert_eq!(rows[2]["home"]["city"], "city-2");
    assert_eq!(rows[2]["tags"][1], "標籤1");
    assert_eq!(rows[2]["attrs"]["k"], 2);
    assert!(rows[0]["kind"].is_null() && rows[0].as_object().unwrap().contains_key("kind"));
    assert_eq!(rows[1]["at"], "1970-01-01T00:00:01Z");
}
