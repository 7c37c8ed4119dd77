#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use arrow::array::{DictionaryArray, Int64Array, ListArray, StructArray};
use arrow::datatypes::{Int32Type, UInt8Type};

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn keys(rows: &[Row]) -> Vec<Option<&str>> {
    rows.iter().map(|row| row.key.as_deref()).collect()
}

#[test]
fn rows_have_a_key_and_say_something_sensitive_or_not() {
    let batch = batch(vec![
        ("id", Arc::new(StringArray::from(vec![Some("P-1"), None, Some(" "), Some("Ｐ２")]))),
        ("illness", Arc::new(StringArray::from(vec![None, Some("x"), None, Some("y")]))),
        (
            "tags",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)]), None, None, None])),
        ),
    ]);
    let rows = rows(&batch, "id", &["illness".to_owned(), "tags.list.element".to_owned()]).unwrap();
    assert_eq!(keys(&rows), [Some("p1"), None, None, Some("p2")]);
    assert_eq!(rows.iter().map(|row| row.sensitive).collect::<Vec<_>>(), [true, true, false, true]);
}

#[test]
fn a_number_and_its_text_are_one_person() {
    let number = batch(vec![("id", Arc::new(Int64Array::from(vec![Some(17), None])))]);
    let dictionary: DictionaryArray<UInt8Type> = vec![Some("17"), None].into_iter().collect();
    let text = batch(vec![("id", Arc::new(dictionary))]);
    assert_eq!(rows(&number, "id", &[]).unwrap(), rows(&text, "id", &[]).unwrap());
}

#[test]
fn a_key_in_a_group_is_found_and_a_sensitive_key_is_sensitive_throughout() {
    let id: ArrayRef = Arc::new(StringArray::from(vec!["a1", "b2"]));
    let other: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>, None]));
    let group = StructArray::try_from(vec![("x", other), ("id.no", id)]).unwrap();
    let batch = batch(vec![("person", Arc::new(group))]);
    let rows = rows(&batch, "person.id.no", &["person.id.no".to_owned()]).unwrap();
    assert_eq!(keys(&rows), [Some("a1"), Some("b2")]);
    assert!(rows.iter().all(|row| row.sensitive));
}

#[test]
fn a_key_without_one_value_a_row_is_refused() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), Some(2)])]);
    let batch = batch(vec![("ids", Arc::new(list))]);
    for path in ["ids", "ids.list.element", "id", ""] {
        assert!(!is_countable(batch.schema_ref(), path), "{path}");
        assert!(rows(&batch, path, &[]).is_err(), "{path}");
    }
}
