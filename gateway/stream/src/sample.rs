//! Files for the tests: every kind of column, planted secrets, and their index.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float32Array, Int32Builder, Int64Array, LargeStringArray, ListBuilder, MapBuilder,
    RecordBatch, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema};
use bytes::Bytes;
use catalog::file_index::{BLOCK_BYTES, Leaf, Region, Unit};
use catalog::{Digest, FileIndex, RegionKind};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::footer::Footer;

/// Leaves of [`records`], in order.
pub(crate) const LEAVES: [&str; 10] = [
    "id",
    "name",
    "secret",
    "kind",
    "at",
    "tags.list.item",
    "home.city",
    "home.phone",
    "attrs.entries.keys",
    "attrs.entries.values",
];

/// What must not be found in a file without `secret` and `home.phone`. The last is in the key-value metadata.
pub(crate) const PLANTED: [&str; 3] = ["SECRETID", "PHONE-852", "PLANTED-NOTE"];

/// One stored file.
pub(crate) struct Sample {
    pub(crate) file: Bytes,
    pub(crate) index: Arc<FileIndex>,
    pub(crate) footer: Arc<Footer>,
}

impl Sample {
    pub(crate) fn of(file: Vec<u8>) -> Self {
        let file = Bytes::from(file);
        let index = Arc::new(index(&file));
        let footer = Arc::new(Footer::read(Arc::clone(&index), &file).unwrap());
        Self { file, index, footer }
    }

    pub(crate) fn new(rows: usize, group_rows: usize, compression: Compression) -> Self {
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_bloom_filter_enabled(true)
            .set_max_row_group_row_count(Some(group_rows))
            .set_data_page_size_limit(8 * 1024)
            .set_sorting_columns(Some(vec![
                SortingColumn { column_idx: 0, descending: false, nulls_first: false },
                SortingColumn { column_idx: 2, descending: false, nulls_first: false },
                SortingColumn { column_idx: 4, descending: false, nulls_first: false },
            ]))
            .set_key_value_metadata(Some(vec![KeyValue::new("note".to_owned(), "PLANTED-NOTE".to_owned())]))
            .build();
        Self::of(write(&records(rows), properties))
    }

    pub(crate) fn small() -> Self {
        Self::new(1_000, 300, Compression::UNCOMPRESSED)
    }

    pub(crate) fn large() -> Self {
        Self::new(60_000, 25_000, Compression::ZSTD(ZstdLevel::try_new(1).unwrap()))
    }
}

pub(crate) fn write(records: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    write_with(records, ArrowWriterOptions::new().with_properties(properties))
}

/// Writes a file without `ARROW:schema` but what `properties` have.
pub(crate) fn write_plain(records: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    write_with(records, ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true))
}

fn write_with(records: &RecordBatch, options: ArrowWriterOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut bytes, records.schema(), options).unwrap();
    writer.write(records).unwrap();
    writer.close().unwrap();
    bytes
}

pub(crate) fn records(rows: usize) -> RecordBatch {
    let number = |row: usize| i64::try_from(row).unwrap();
    let text = |make: &dyn Fn(usize) -> String| (0..rows).map(|row| Some(make(row))).collect::<Vec<_>>();
    let mut tags = ListBuilder::new(StringBuilder::new());
    let mut attrs = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in 0..rows {
        for tag in 0..row % 4 {
            tags.values().append_value(format!("標籤{tag}"));
        }
        tags.append(row % 7 != 0);
        attrs.keys().append_value("k");
        attrs.values().append_value(i32::try_from(row % 9).unwrap());
        attrs.append(true).unwrap();
    }
    let home_fields =
        Fields::from(vec![Field::new("city", DataType::Utf8, true), Field::new("phone", DataType::Utf8, true)]);
    let home = StructArray::new(
        home_fields,
        vec![
            Arc::new(StringArray::from(text(&|row| format!("city-{}", row % 50)))) as ArrayRef,
            Arc::new(StringArray::from(text(&|row| format!("PHONE-852{row:08}")))) as ArrayRef,
        ],
        None,
    );
    let kinds: DictionaryArray<Int32Type> =
        (0..rows).map(|row| if row % 5 == 0 { None } else { Some(["粵語", "普通話", "English"][row % 3]) }).collect();
    let at = TimestampMicrosecondArray::from_iter_values((0..rows).map(|row| number(row) * 1_000_000));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values((0..rows).map(number)))),
        ("name", Arc::new(LargeStringArray::from(text(&|row| format!("name {row} {}", "x".repeat(row % 60)))))),
        ("secret", Arc::new(StringArray::from(text(&|row| format!("SECRETID{:06}", row % 4_000))))),
        ("kind", Arc::new(kinds)),
        ("at", Arc::new(at.with_timezone("Asia/Shanghai"))),
        ("tags", Arc::new(tags.finish())),
        ("home", Arc::new(home)),
        ("attrs", Arc::new(attrs.finish())),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| {
            let field = Field::new(*name, column.data_type().clone(), true);
            let note = [("comment".to_owned(), "PLANTED-NOTE".to_owned())].into();
            if *name == "name" { field.with_metadata(note) } else { field }
        })
        .collect();
    let schema = Schema::new_with_metadata(fields, [("pandas".to_owned(), "PLANTED-NOTE".to_owned())].into());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, column)| column).collect()).unwrap()
}

/// One column of long, incompressible text.
pub(crate) fn wide(rows: usize, bytes: usize) -> RecordBatch {
    let mut state = 1_u64;
    let values: Vec<String> = (0..rows)
        .map(|_| {
            (0..bytes)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap())
                })
                .collect()
        })
        .collect();
    let floats = Float32Array::from_iter_values((0..rows).map(|row| f32::from(u16::try_from(row % 1000).unwrap())));
    let columns: Vec<(&str, ArrayRef)> =
        vec![("text", Arc::new(StringArray::from(values))), ("weight", Arc::new(floats))];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Indexes a file as registration does: its regions tile it, or the test is wrong.
pub(crate) fn index(file: &Bytes) -> FileIndex {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(file).unwrap();
    let unsigned = |value: i64| u64::try_from(value).unwrap();
    let mut units = Vec::new();
    let mut ranges = vec![(RegionKind::Magic, 0..4)];
    for (row_group, group) in metadata.row_groups().iter().enumerate() {
        for (column, chunk) in group.columns().iter().enumerate() {
            let (row_group, column) = (u32::try_from(row_group).unwrap(), u32::try_from(column).unwrap());
            let (offset, bytes) = chunk.byte_range();
            let uncompressed_bytes = unsigned(chunk.uncompressed_size());
            units.push(Unit { row_group, column, offset, bytes, uncompressed_bytes });
            ranges.push((RegionKind::Chunk { row_group, column }, offset..offset + bytes));
            for (offset, bytes) in [
                (chunk.bloom_filter_offset(), chunk.bloom_filter_length()),
                (chunk.column_index_offset(), chunk.column_index_length()),
                (chunk.offset_index_offset(), chunk.offset_index_length()),
            ] {
                if let (Some(offset), Some(bytes)) = (offset, bytes) {
                    let offset = unsigned(offset);
                    let range = offset..offset + unsigned(i64::from(bytes));
                    ranges.push((RegionKind::ChunkIndex { row_group, column }, range));
                }
            }
        }
    }
    let length = file.len() as u64;
    let tail: [u8; 4] = file[file.len() - 8..file.len() - 4].try_into().unwrap();
    ranges.push((RegionKind::Footer, length - 8 - u64::from(u32::from_le_bytes(tail))..length));
    ranges.sort_by_key(|(_, range)| range.start);
    units.sort_by_key(|unit| unit.offset);
    let mut at = 0;
    let regions = ranges
        .into_iter()
        .map(|(kind, range)| {
            assert_eq!(range.start, at, "{kind:?} leaves a gap or overlaps");
            at = range.end;
            let bytes = &file[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            let blocks: Vec<[u8; 32]> = bytes
                .chunks(usize::try_from(BLOCK_BYTES).unwrap())
                .map(|block| *blake3::hash(block).as_bytes())
                .collect();
            let digest = Digest::of(blocks.as_flattened());
            Region { kind, offset: range.start, bytes: range.end - range.start, digest, blocks }
        })
        .collect();
    assert_eq!(at, length);
    let descriptor = metadata.file_metadata().schema_descr();
    FileIndex {
        bytes: length,
        sha256: Digest::of(file),
        row_groups: metadata.row_groups().iter().map(|group| unsigned(group.num_rows())).collect(),
        leaves: descriptor
            .columns()
            .iter()
            .map(|column| Leaf { path: column.path().string(), r#type: column.physical_type().to_string() })
            .collect(),
        units,
        regions,
    }
}
