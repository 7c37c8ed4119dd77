//! Files written by a stock writer pass; the same files damaged by hand are refused, or packed, with the offset.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
#![allow(clippy::items_after_statements, clippy::from_iter_instead_of_collect, clippy::manual_midpoint)]

mod flips;
mod mutation;
mod unread;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::metadata::ParquetMetaDataWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use super::*;
use crate::file_index::BLOCK_BYTES;
use crate::{Digest, FileIndex};

/// A batch of flat, optional, nested and repeated columns.
pub(crate) fn batch(rows: i64) -> RecordBatch {
    let ids = Int64Array::from_iter_values(0..rows);
    let names = StringArray::from_iter((0..rows).map(|i| (i % 7 != 0).then(|| format!("名字{}", i % 50))));
    let tags = ListArray::from_iter_primitive::<Int64Type, _, _>(
        (0..rows).map(|i| (i % 5 != 0).then(|| (0..i % 4).map(Some).collect::<Vec<_>>())),
    );
    let inner = StructArray::from(vec![
        (
            Arc::new(Field::new("city", DataType::Utf8, true)),
            Arc::new(StringArray::from_iter((0..rows).map(|i| (i % 3 == 0).then_some("深圳")))) as ArrayRef,
        ),
        (
            Arc::new(Field::new("score", DataType::Float64, false)),
            Arc::new(Float64Array::from_iter_values((0..rows).map(|i| i as f64 / 2.0))) as ArrayRef,
        ),
    ]);
    let flags = BooleanArray::from_iter((0..rows).map(|i| Some(i % 2 == 0)));
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(ids), false),
        ("name", Arc::new(names), true),
        ("tags", Arc::new(tags), true),
        ("address", Arc::new(inner), false),
        ("flag", Arc::new(flags), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn write(rows: i64, properties: WriterProperties) -> Vec<u8> {
    let batch = batch(rows);
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

pub(crate) fn small() -> Vec<u8> {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(400)).set_bloom_filter_enabled(true);
    write(1000, properties.build())
}

fn rows_of(file: &[u8]) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(file)).unwrap().build().unwrap();
    reader.map(|batch| batch.unwrap()).collect()
}

fn read(file: &[u8]) -> Result<Layout, LayoutError> {
    Layout::read(file, &Limits::default(), Depth::Pages)
}

/// Splits a file into what stands before its metadata, and the metadata.
fn parts(file: &[u8]) -> (Vec<u8>, ParquetMetaData) {
    let footer = footer::read(file, &Limits::default()).unwrap();
    (file[..usize::try_from(footer.offset).unwrap()].to_vec(), footer.metadata)
}

/// Puts a file together again from bytes and a footer that may be untrue.
fn joined(mut data: Vec<u8>, metadata: &ParquetMetaData) -> Vec<u8> {
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, metadata).finish().unwrap();
    data.extend_from_slice(&footer);
    data
}

fn with_chunk(
    metadata: &ParquetMetaData,
    change: impl Fn(
        parquet::file::metadata::ColumnChunkMetaDataBuilder,
    ) -> parquet::file::metadata::ColumnChunkMetaDataBuilder,
) -> ParquetMetaData {
    let mut groups = metadata.row_groups().to_vec();
    let chunk = groups[0].columns()[1].clone();
    groups[0].columns_mut()[1] = change(chunk.into_builder()).build().unwrap();
    metadata.clone().into_builder().set_row_groups(groups).build()
}

#[test]
fn every_codec_and_page_version_tiles_exactly() {
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
    ];
    for codec in codecs {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let properties = WriterProperties::builder()
                .set_compression(codec)
                .set_writer_version(version)
                .set_statistics_enabled(EnabledStatistics::Page)
                .set_bloom_filter_enabled(true)
                .set_data_page_row_count_limit(100)
                .set_write_batch_size(64)
                .set_max_row_group_row_count(Some(400));
            let file = write(1000, properties.build());
            let layout = read(&file).unwrap_or_else(|error| panic!("{codec} {version:?}: {error}"));
            assert_eq!(layout.gaps(), [], "{codec} {version:?}");
            let index = layout.index(&file).unwrap();
            assert_eq!((index.rows(), index.row_groups.len(), index.bytes), (1000, 3, file.len() as u64));
            assert_eq!(index.sha256, Digest::of(&file));
            let mut at = 0;
            for region in &index.regions {
                assert_eq!(region.offset, at);
                assert!(region.bytes > 0);
                at += region.bytes;
            }
            assert_eq!(at, index.bytes);
            let paths: Vec<&str> = index.leaves.iter().map(|leaf| leaf.path.as_str()).collect();
            assert_eq!(paths, ["id", "name", "tags.list.item", "address.city", "address.score", "flag"]);
            assert_eq!(index.units.len(), 18);
            let kinds = |wanted: fn(&RegionKind) -> bool| index.regions.iter().filter(|r| wanted(&r.kind)).count();
            assert_eq!(kinds(|kind| matches!(kind, RegionKind::Chunk { .. })), 18);
            assert!(kinds(|kind| matches!(kind, RegionKind::ChunkIndex { .. })) >= 18);
            let json = serde_json::to_string(&index).unwrap();
            assert_eq!(serde_json::from_str::<FileIndex>(&json).unwrap(), index);
        }
    }
}

#[test]
fn hidden_bytes_before_the_footer_are_packed_away() {
    let file = small();
    let (mut data, metadata) = parts(&file);
    let hidden = b"A123456(3) hidden from every reader";
    let at = data.len() as u64;
    data.extend_from_slice(hidden);
    let smuggled = joined(data, &metadata);
    assert_eq!(rows_of(&smuggled), rows_of(&file), "a stock reader sees nothing");
    let layout = read(&smuggled).unwrap();
    assert_eq!(layout.gaps(), [Gap { offset: at, bytes: hidden.len() as u64 }]);
    let refused = layout.index(&smuggled).unwrap_err();
    assert_eq!(refused.offset(), at, "{refused}");
    let mut packed = Vec::new();
    pack(&smuggled, &layout, &mut packed).unwrap();
    assert!(!packed.windows(10).any(|window| window == &hidden[..10]));
    let index = index(&packed, &Limits::default()).unwrap();
    assert_eq!(index.rows(), 1000);
    assert_eq!(rows_of(&packed), rows_of(&file));
    // Chunks are copied byte for byte.
    let before = read(&file).unwrap().index(&file).unwrap();
    let chunks = |index: &FileIndex| -> Vec<Digest> {
        index.regions.iter().filter(|r| matches!(r.kind, RegionKind::Chunk { .. })).map(|r| r.digest).collect()
    };
    assert_eq!(chunks(&before), chunks(&index));
}

#[test]
fn bytes_inside_the_footer_that_no_reader_looks_at_are_packed_away() {
    let file = small();
    let tail = file.len() - footer::TAIL_BYTES;
    let length = u32::from_le_bytes(file[tail..tail + 4].try_into().unwrap());
    // After the metadata, but inside the length that the footer declares.
    let mut trailing = file[..tail].to_vec();
    trailing.extend_from_slice(b"secret");
    trailing.extend_from_slice(&(length + 6).to_le_bytes());
    trailing.extend_from_slice(b"PAR1");
    // A binary field 20 of the metadata, in place of its stop byte.
    let mut field = file[..tail - 1].to_vec();
    field.extend_from_slice(&[8, 40, 6]);
    field.extend_from_slice(b"secret\0");
    field.extend_from_slice(&(length + 9).to_le_bytes());
    field.extend_from_slice(b"PAR1");
    for smuggled in [trailing, field] {
        let layout = read(&smuggled).unwrap();
        assert_eq!(layout.gaps().len(), 1);
        let mut packed = Vec::new();
        pack(&smuggled, &layout, &mut packed).unwrap();
        assert!(!packed.windows(6).any(|window| window == b"secret"));
        assert_eq!(index(&packed, &Limits::default()).unwrap().rows(), 1000);
    }
}

#[test]
fn page_indexes_that_are_not_what_they_say_are_packed_away() {
    let file = small();
    let (data, metadata) = parts(&file);
    let offset = metadata.row_groups()[0].columns()[1].offset_index_offset().unwrap();
    let mut changed = data.clone();
    changed[usize::try_from(offset).unwrap() + 1] ^= 0x10;
    let changed = joined(changed, &metadata);
    let layout = read(&changed).unwrap();
    assert_eq!(layout.gaps().len(), 1);
    assert_eq!(layout.gaps()[0].offset, offset.unsigned_abs());
    let mut packed = Vec::new();
    pack(&changed, &layout, &mut packed).unwrap();
    assert_eq!(index(&packed, &Limits::default()).unwrap().rows(), 1000);
}

#[test]
fn overlapping_chunks_are_refused_with_their_offset() {
    let (data, metadata) = parts(&small());
    let first = metadata.row_groups()[0].columns()[0].clone();
    let start = first.dictionary_page_offset().unwrap_or(first.data_page_offset());
    let lying = with_chunk(&metadata, |chunk| {
        chunk
            .set_data_page_offset(first.data_page_offset() + 1)
            .set_dictionary_page_offset(first.dictionary_page_offset().map(|offset| offset + 1))
    });
    let error = read(&joined(data, &lying)).unwrap_err();
    assert!(matches!(error, LayoutError::Overlap { .. }), "{error}");
    assert_eq!(error.offset(), (start + 1).unsigned_abs());
    assert!(error.to_string().contains("row group 0, column 1"), "{error}");
}

#[test]
fn untrue_footers_are_refused() {
    let file = small();
    let (data, metadata) = parts(&file);
    let chunk = metadata.row_groups()[0].columns()[1].clone();
    type Change = Box<
        dyn Fn(
            parquet::file::metadata::ColumnChunkMetaDataBuilder,
        ) -> parquet::file::metadata::ColumnChunkMetaDataBuilder,
    >;
    let (stored, expanded, values) = (chunk.compressed_size(), chunk.uncompressed_size(), chunk.num_values());
    let changes: Vec<(&str, Change)> = vec![
        ("stored size", Box::new(move |c| c.set_total_compressed_size(stored - 1))),
        ("expanded size", Box::new(move |c| c.set_total_uncompressed_size(expanded + 1))),
        ("values", Box::new(move |c| c.set_num_values(values + 1))),
        ("beyond the file", Box::new(|c| c.set_dictionary_page_offset(None).set_data_page_offset(i64::MAX - 10))),
        ("negative", Box::new(|c| c.set_dictionary_page_offset(None).set_data_page_offset(-5))),
        ("another file", Box::new(|c| c.set_file_path("/etc/passwd".to_owned()))),
        ("an index outside", Box::new(|c| c.set_offset_index_offset(Some(i64::MAX)).set_offset_index_length(Some(1)))),
    ];
    for (what, change) in changes {
        let error = read(&joined(data.clone(), &with_chunk(&metadata, change))).err();
        assert!(matches!(error, Some(LayoutError::Untrue { .. } | LayoutError::Damaged { .. })), "{what}: {error:?}");
    }
    let mut groups = metadata.row_groups().to_vec();
    groups[0] = groups[0].clone().into_builder().set_num_rows(399).build().unwrap();
    let lying = metadata.clone().into_builder().set_row_groups(groups).build();
    let error = read(&joined(data, &lying)).unwrap_err();
    assert!(error.to_string().contains("`id` has 400 rows, but the footer says 399"), "{error}");
}

#[test]
fn bytes_after_the_last_value_of_a_page_are_refused() {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let repeated: ArrayRef = Arc::new(Int64Array::from_iter_values((0..1000).map(|i| i % 7)));
    for (column, dictionary, expected) in
        [(column, false, "has bytes after its last value"), (repeated, true, "has dictionary indices")]
    {
        let batch = RecordBatch::try_from_iter([("id", column)]).unwrap();
        let properties = WriterProperties::builder().set_dictionary_enabled(dictionary).build();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert!(read(&file).is_ok());
        let (mut data, metadata) = parts(&file);
        // The page header's `num_values`, field 1 of the data page header: from 1000 to 600, which takes as many bytes.
        let at = data.windows(4).position(|window| window == [0x1c, 0x15, 0xd0, 0x0f]);
        let at = at.or_else(|| data.windows(4).position(|window| window == [0x2c, 0x15, 0xd0, 0x0f])).unwrap();
        data[at + 2..at + 4].copy_from_slice(&[0xb0, 0x09]);
        let group = metadata.row_groups()[0].clone();
        let chunk = group.columns()[0].clone().into_builder().set_num_values(600).build().unwrap();
        let group = group.into_builder().set_num_rows(600).set_column_metadata(vec![chunk]).build().unwrap();
        let lying = metadata.clone().into_builder().set_row_groups(vec![group]).build();
        let error = read(&joined(data, &lying)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_truncated_file_is_refused_wherever_it_is_cut() {
    let file = small();
    for length in (0..file.len()).step_by(97) {
        assert!(read(&file[..length]).is_err(), "{length}");
    }
}

#[test]
fn encrypted_files_are_refused() {
    let mut file = small();
    let end = file.len();
    file[end - 1] = b'E';
    assert!(matches!(read(&file), Err(LayoutError::Encrypted { .. })));
}

#[test]
fn a_column_that_unpacks_absurdly_is_refused_before_it_is_unpacked() {
    let text = "0".repeat(1 << 20);
    let column: ArrayRef = Arc::new(StringArray::from_iter_values((0..64).map(|i| format!("{i}{text}"))));
    let batch = RecordBatch::try_from_iter([("bomb", column)]).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None);
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert!(file.len() < 64 << 10);
    let limits = Limits { expansion_floor_bytes: 1 << 20, ..Limits::default() };
    let error = Layout::read(&file, &limits, Depth::Pages).unwrap_err();
    assert!(matches!(&error, LayoutError::TooLarge { what, .. } if what.contains("`bomb`")), "{error}");
    // A page that declares less than it holds stops at what it declared.
    let mut into = Vec::new();
    let bomb = zstd::stream::encode_all(&vec![0u8; 8 << 20][..], 3).unwrap();
    assert_eq!(
        expand::expand(Compression::ZSTD(ZstdLevel::default()), &bomb, 100, &mut into),
        Err(expand::ExpandError::Size)
    );
    assert!(into.len() <= 101);
}

#[test]
fn a_changed_byte_is_found_at_every_block_edge() {
    let file = write(60_000, WriterProperties::builder().set_dictionary_enabled(false).build());
    let index = index(&file, &Limits::default()).unwrap();
    assert!(index.regions.iter().any(|region| region.blocks.len() > 2), "a region of several blocks");
    assert!(index.verify(0, &file));
    for region in &index.regions {
        for block in 0..region.blocks.len() as u64 {
            let start = region.offset + block * BLOCK_BYTES;
            let end = (start + BLOCK_BYTES).min(region.range().end);
            let (from, to) = (usize::try_from(start).unwrap(), usize::try_from(end).unwrap());
            assert!(index.verify(start, &file[from..to]));
            for at in [from, to - 1] {
                let mut changed = file[from..to].to_vec();
                changed[at - from] ^= 1;
                assert!(!index.verify(start, &changed), "byte {at}");
            }
            assert_eq!(index.aligned(&(start..end)), start..end);
            assert_eq!(index.aligned(&(start..start + 1)), start..end);
            assert_eq!(index.aligned(&(end - 1..end)), start..end);
        }
    }
    assert!(!index.verify(0, &[&file[..], &[0]].concat()));
}

#[test]
fn the_known_damaged_files_are_refused_or_read_without_harm() {
    let Some(folder) = std::env::var_os("KOUAN_TEST_PARQUET_BAD") else {
        println!("did not run: set KOUAN_TEST_PARQUET_BAD to the folder of parquet-testing's bad_data");
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            let result = index(&std::fs::read(&path).unwrap(), &Limits::default());
            println!("{}: {:?}", path.display(), result.map(|index| index.rows()));
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn a_schema_nested_too_deeply_is_refused() {
    let mut field = Field::new("leaf", DataType::Int64, true);
    for depth in 0..40 {
        field = Field::new(format!("g{depth}"), DataType::Struct(vec![field].into()), true);
    }
    let batch = RecordBatch::new_empty(Arc::new(Schema::new(vec![field])));
    let mut file = Vec::new();
    ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap().close().unwrap();
    let error = read(&file).unwrap_err();
    assert!(error.to_string().contains("nested too deeply"), "{error}");
}
