//! Every single bit of a footer, flipped: the file is refused with the byte at fault, or reads as before.
//!
//! What may change freely, because it is a name, a hint or a number that nobody can hold against the data: names of
//! columns, field ids, `created_by`, `version`, key-value text, minima and maxima and counts of statistics, entries of
//! histograms, lists of encodings, sorting columns, offsets that no reader seeks to (`file_offset`,
//! `index_page_offset`), `ordinal`. A logical type may become another one that its physical type allows.

use std::collections::BTreeSet;

use arrow::array::{Array, FixedSizeBinaryArray, Int32Array, TimestampMicrosecondArray};

use super::*;
use crate::admit::{Kept, admit, prepare};

/// The file as it would be stored.
fn taken(file: &[u8]) -> Result<Vec<u8>, String> {
    let limits = Limits::default();
    let mut packed = Vec::new();
    let prepared = prepare("x.parquet", file, &limits, &mut packed).map_err(|error| error.to_string())?;
    let stored = if prepared.kept == Kept::AsIs { file.to_vec() } else { packed };
    admit(&stored, &limits).map_err(|error| error.to_string())?;
    Ok(stored)
}

fn written(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    file
}

fn typed() -> RecordBatch {
    let fixed = FixedSizeBinaryArray::try_from_iter((0..9u8).map(|i| [i; 4])).unwrap();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(0..9).with_timezone("UTC")), false),
        ("fixed", Arc::new(fixed), false),
        ("small", Arc::new(Int32Array::from_iter((0..9).map(|i| (i % 2 == 0).then_some(i)))), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// Flips every bit of the footer of `file`; answers why files were refused.
fn flip(file: &[u8]) -> BTreeSet<String> {
    let before = rows_of(file);
    let start = usize::try_from(footer::read(file, &Limits::default()).unwrap().offset).unwrap();
    let mut reasons = BTreeSet::new();
    let (mut accepted, mut refused) = (0, 0);
    for at in start..file.len() {
        for bit in 0..8 {
            let mut flipped = file.to_vec();
            flipped[at] ^= 1 << bit;
            match taken(&flipped) {
                Err(error) => {
                    assert!(error.contains("at byte "), "byte {at}, bit {bit}: {error}");
                    reasons.insert(error.split_once(": ").unwrap().1.to_owned());
                    refused += 1;
                }
                Ok(stored) => {
                    accepted += 1;
                    let after = rows_of(&stored);
                    assert_eq!(before.len(), after.len(), "byte {at}, bit {bit}");
                    for (before, after) in before.iter().zip(&after) {
                        assert_eq!((before.num_rows(), before.num_columns()), (after.num_rows(), after.num_columns()));
                        for (before, after) in before.columns().iter().zip(after.columns()) {
                            let same = before == after || before.data_type() != after.data_type();
                            assert!(same, "byte {at}, bit {bit}: {before:?} became {after:?}");
                        }
                    }
                }
            }
        }
    }
    assert!(refused > accepted / 4, "{accepted} accepted, {refused} refused");
    reasons
}

fn assert_seen(reasons: &BTreeSet<String>, expected: &[&str]) {
    for expected in expected {
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "nothing was refused because it {expected}");
    }
}

#[test]
fn a_flat_file_with_dictionaries() {
    let batch = batch(12).project(&[0, 1, 4]).unwrap();
    let reasons = flip(&written(&batch, WriterProperties::builder().build()));
    let wrong: Vec<String> = [
        "ColumnMetaData.num_values",
        "ColumnMetaData.total_uncompressed_size",
        "ColumnMetaData.total_compressed_size",
        "ColumnMetaData.data_page_offset",
        "ColumnMetaData.codec",
        "ColumnMetaData.path_in_schema",
        "SchemaElement.name",
        "SchemaElement.repetition_type",
        "RowGroup.num_rows",
        "FileMetaData.schema",
    ]
    .iter()
    .map(|field| format!("the footer has a field of the wrong type: `{field}`"))
    .collect();
    assert_seen(&reasons, &wrong.iter().map(String::as_str).collect::<Vec<_>>());
    assert_seen(
        &reasons,
        &[
            "that it has another type than the schema says",
            "that it is at another place than the schema says",
            "has a value out of range: `SchemaElement.repetition_type`",
            "has a value out of range: `ColumnMetaData.encodings`",
            "has a minimum or maximum of",
            "says its dictionary comes after its data",
            "lacks a required field",
        ],
    );
}

#[test]
fn a_nested_file_with_second_version_pages() {
    let batch = batch(12).project(&[2, 3]).unwrap();
    let properties = WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_2_0);
    let reasons = flip(&written(&batch, properties.set_dictionary_enabled(false).build()));
    assert_seen(
        &reasons,
        &[
            "has a group without columns",
            "has a level histogram of",
            "has a schema that is not one tree",
            "has a union that is not one of its known kinds",
        ],
    );
}

#[test]
fn a_nested_file_with_first_version_pages_and_row_groups() {
    let batch = batch(12).project(&[2, 3]).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(7));
    flip(&written(&batch, properties.set_statistics_enabled(EnabledStatistics::None).build()));
}

#[test]
fn a_file_of_fixed_and_logical_types_with_bloom_filters() {
    let properties = WriterProperties::builder()
        .set_bloom_filter_enabled(true)
        .set_bloom_filter_max_ndv(10)
        .set_compression(Compression::SNAPPY);
    let reasons = flip(&written(&typed(), properties.build()));
    assert_seen(&reasons, &["has a column of fixed length whose length is not", "an index of"]);
}

#[test]
fn levels_that_the_schema_does_not_allow() {
    // Without statistics nothing but the pages says that there are levels.
    let batch = batch(12).project(&[1, 4]).unwrap();
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_statistics_enabled(EnabledStatistics::None);
    let (data, metadata) = parts(&written(&batch, properties.build()));
    let bare = metadata.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(|chunk| {
            let bare = chunk.clone().into_builder();
            bare.set_definition_level_histogram(None).set_repetition_level_histogram(None).build().unwrap()
        });
        group.clone().into_builder().set_column_metadata(columns.collect()).build().unwrap()
    });
    let bare = metadata.clone().into_builder().set_row_groups(bare.collect()).build();
    assert_seen(&flip(&joined(data, &bare)), &["has levels that its schema does not allow"]);
}
