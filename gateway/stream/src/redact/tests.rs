#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

use super::*;
use crate::frame::FrameReader;
use crate::sample::{LEAVES, PLANTED, Sample, records, write_plain};

fn bytes_of(sample: &Sample, representation: &Representation) -> Bytes {
    let mut reader = FrameReader::new(Arc::new(representation.clone()), 0..u64::MAX, 1 << 20);
    let mut bytes = Vec::new();
    while let Some(frame) = reader.next(&sample.file) {
        bytes.extend_from_slice(&frame.unwrap().bytes);
    }
    Bytes::from(bytes)
}

fn rows(file: &Bytes, leaves: Option<&[usize]>) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
    let mask = leaves.map_or(ProjectionMask::all(), |leaves| {
        ProjectionMask::leaves(builder.parquet_schema(), leaves.iter().copied())
    });
    let batches: Vec<RecordBatch> = builder.with_projection(mask).build().unwrap().map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn occurs(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// Everything but `secret` and `home.phone`.
const ALLOWED: [usize; 8] = [0, 1, 3, 4, 5, 6, 8, 9];

#[test]
fn a_redacted_file_is_the_projection_and_nothing_else() {
    for sample in [Sample::small(), Sample::large()] {
        let representation = build(&sample.footer, &ALLOWED).unwrap();
        let file = bytes_of(&sample, &representation);
        assert_eq!(file.len() as u64, representation.bytes());
        assert!(PLANTED.iter().take(1).all(|needle| occurs(&sample.file, needle)), "the source has what was planted");
        for needle in PLANTED.iter().chain(&["secret", "phone", "comment", "pandas", "note"]) {
            assert!(!occurs(&file, needle), "`{needle}` is in the redacted file");
        }
        let (got, want) = (rows(&file, None), rows(&sample.file, Some(&ALLOWED)));
        assert_eq!(got.columns(), want.columns());
        let types =
            |records: &RecordBatch| records.schema().fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        assert_eq!(types(&got), types(&want));
        assert_eq!(got.num_rows() as u64, sample.index.rows());
    }
}

#[test]
fn the_footer_says_what_is_there() {
    let sample = Sample::small();
    let file = bytes_of(&sample, &build(&sample.footer, &ALLOWED).unwrap());
    let metadata =
        ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional).parse_and_finish(&file).unwrap();
    let keys: Vec<&str> =
        metadata.file_metadata().key_value_metadata().unwrap().iter().map(|kv| kv.key.as_str()).collect();
    assert_eq!(keys, ["ARROW:schema"]);
    assert!(metadata.file_metadata().created_by().unwrap().starts_with("kouan version "));
    let paths: Vec<String> =
        metadata.file_metadata().schema_descr().columns().iter().map(|c| c.path().string()).collect();
    assert_eq!(paths, ALLOWED.map(|leaf| LEAVES[leaf]));
    assert_eq!(metadata.file_metadata().schema().name(), "schema");
    let mut at = 4;
    for (number, group) in metadata.row_groups().iter().enumerate() {
        assert_eq!(group.file_offset(), Some(i64::try_from(at).unwrap()));
        // Sorted by id, secret, at: without secret the rows are sorted by id only.
        assert_eq!(group.sorting_columns().unwrap().len(), 1);
        for (chunk, leaf) in group.columns().iter().zip(ALLOWED) {
            let source = sample.footer.metadata().row_group(number).column(leaf);
            assert_eq!(chunk.byte_range(), (at, source.byte_range().1));
            assert_eq!(chunk.statistics(), source.statistics());
            assert!(chunk.statistics().is_some());
            assert!(chunk.bloom_filter_offset().is_none() && chunk.bloom_filter_length().is_none());
            assert!(chunk.column_index_offset().is_none() && chunk.offset_index_offset().is_none());
            at = chunk.byte_range().0 + chunk.byte_range().1;
        }
        let stored: i64 = group.columns().iter().map(ColumnChunkMetaData::compressed_size).sum();
        let plain: i64 = group.columns().iter().map(ColumnChunkMetaData::uncompressed_size).sum();
        assert_eq!((group.compressed_size(), group.total_byte_size()), (stored, plain));
    }
    assert_eq!(metadata.file_metadata().num_rows(), 1_000);
}

/// Registration is the strictest reader there is: it must find every byte of a virtual file accounted for.
#[test]
fn a_redacted_file_could_itself_be_registered() {
    for sample in [Sample::small(), Sample::large()] {
        let limits = catalog::layout::Limits::default();
        let registered = catalog::layout::index(&sample.file, &limits).unwrap();
        assert_eq!(registered.regions, sample.index.regions);
        assert_eq!(registered.units, sample.index.units);
        let representation = build(&sample.footer, &ALLOWED).unwrap();
        let file = bytes_of(&sample, &representation);
        let index = catalog::layout::index(&file, &limits).unwrap();
        let listed: Vec<_> =
            representation.chunks().iter().map(|entry| (entry.offset, entry.bytes, entry.digest)).collect();
        let found: Vec<_> = index.regions.iter().map(|region| (region.offset, region.bytes, region.digest)).collect();
        assert_eq!(listed, found);
        assert_eq!(index.rows(), sample.index.rows());
    }
}

#[test]
fn the_whole_selection_is_the_original_file() {
    let sample = Sample::small();
    let all: Vec<usize> = (0..sample.footer.leaves()).rev().collect();
    let representation = build(&sample.footer, &all).unwrap();
    assert!(representation.is_original());
    assert_eq!(bytes_of(&sample, &representation), sample.file);
}

#[test]
fn the_same_selection_gives_the_same_bytes_and_tag() {
    let sample = Sample::small();
    let (one, two) = (build(&sample.footer, &[4, 0, 1]).unwrap(), build(&sample.footer, &[0, 1, 4, 4]).unwrap());
    assert_eq!(one.etag(), two.etag());
    assert_eq!(bytes_of(&sample, &one), bytes_of(&sample, &two));
    assert_ne!(one.etag(), build(&sample.footer, &[0, 1]).unwrap().etag());
    assert!(one.sha256().is_none() && !one.is_original());
    let delivered: Vec<u32> = one.delivered(0..u64::MAX).iter().map(|part| part.column).collect();
    assert!(delivered.iter().all(|column| [0, 1, 4].contains(column)));
}

#[test]
fn what_cannot_be_selected_is_refused() {
    let sample = Sample::small();
    assert_eq!(build(&sample.footer, &[]).unwrap_err(), RedactError::EmptySelection);
    assert_eq!(build(&sample.footer, &[10]).unwrap_err(), RedactError::NoSuchLeaf { leaf: 10, leaves: 10 });
    for half in [8, 9] {
        let error = build(&sample.footer, &[0, half]).unwrap_err();
        assert_eq!(error, RedactError::Indivisible { group: "attrs".to_owned() });
        assert_eq!(divisible(&sample.footer, &[0, half]), [0]);
    }
    assert_eq!(divisible(&sample.footer, &ALLOWED), ALLOWED);
    assert_eq!(divisible(&sample.footer, &[usize::MAX]), Vec::<usize>::new());
}

#[test]
fn a_file_without_an_arrow_schema_gets_none() {
    let sample = Sample::of(write_plain(&records(50), WriterProperties::builder().build()));
    let file = bytes_of(&sample, &build(&sample.footer, &[0, 3, 6]).unwrap());
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    assert!(metadata.file_metadata().key_value_metadata().is_none());
    assert_eq!(rows(&file, None).columns(), rows(&sample.file, Some(&[0, 3, 6])).columns());
}

#[test]
fn an_unreadable_arrow_schema_is_dropped() {
    let batch = records(20);
    for value in ["", "!!!", "AAAA", "/////wAAAAAAAAAA"] {
        let pairs = vec![KeyValue::new("ARROW:schema".to_owned(), value.to_owned())];
        let properties = WriterProperties::builder().set_key_value_metadata(Some(pairs)).build();
        let sample = Sample::of(write_plain(&batch, properties));
        let file = bytes_of(&sample, &build(&sample.footer, &[0, 1]).unwrap());
        assert_eq!(rows(&file, None).num_columns(), 2);
    }
}

/// Which groups hold together without some of their leaves.
#[test]
fn groups_are_cut_only_where_they_stay_what_they_are() {
    for (message, kept, left) in [
        ("message m { optional group a { optional int32 x; optional int32 y; } }", "01", "01"),
        (
            "message m { optional group a (LIST) { repeated group list { optional group element { required int32 x; required int32 y; } } } }",
            "01",
            "01",
        ),
        // Two-level list of structs: one field left would read as a list of that field.
        (
            "message m { optional group a (LIST) { repeated group item { required int32 x; required int32 y; } } }",
            "01",
            "00",
        ),
        (
            "message m { optional group a (LIST) { repeated group array { required int32 x; required int32 y; } } }",
            "01",
            "01",
        ),
        (
            "message m { optional group a (LIST) { repeated group a_tuple { required int32 x; required int32 y; } } }",
            "01",
            "01",
        ),
        (
            "message m { optional group a (LIST) { repeated group item { required int32 x; required int32 y; required int32 z; } } }",
            "011",
            "011",
        ),
        (
            "message m { optional group a (MAP) { repeated group key_value { required int32 k; optional int32 v; } } }",
            "10",
            "00",
        ),
        (
            "message m { optional group a (MAP) { repeated group key_value { required int32 k; optional int32 v; } } }",
            "01",
            "00",
        ),
        (
            "message m { optional group a (MAP_KEY_VALUE) { repeated group map { required int32 k; optional int32 v; } } }",
            "10",
            "00",
        ),
        (
            "message m { optional group a (MAP) { repeated group key_value { required int32 k; optional group v { optional int32 x; optional int32 y; } } } }",
            "110",
            "110",
        ),
        (
            "message m { optional group a (MAP) { repeated group key_value { required group k { required int32 x; required int32 y; } optional int32 v; } } }",
            "101",
            "000",
        ),
        // What breaks inside breaks around it: the value of the outer map is gone.
        (
            "message m { optional int32 i; optional group a (MAP) { repeated group key_value { required int32 k; optional group v (MAP) { repeated group key_value { required int32 k; optional int32 v; } } } } }",
            "1110",
            "1000",
        ),
    ] {
        let root = parse_message_type(message).unwrap();
        let mut flags: Vec<bool> = kept.chars().map(|c| c == '1').collect();
        let broken = schema::shrink(&root, &mut flags);
        let got: String = flags.iter().map(|kept| if *kept { '1' } else { '0' }).collect();
        assert_eq!(got, left, "{message}");
        assert_eq!(broken.is_some(), kept != left, "{message}");
    }
}

#[test]
fn pruning_keeps_annotations_and_drops_empty_groups() {
    let root = parse_message_type(
        "message m { required int64 a = 7; optional group b (LIST) = 3 { repeated group list { optional group element { \
         required binary c (STRING); required int32 d; } } } optional group e { optional group f { optional int32 g; } } }",
    )
    .unwrap();
    let pruned = schema::prune(&root, &[0, 2]).unwrap();
    let want = parse_message_type(
        "message schema { required int64 a = 7; optional group b (LIST) = 3 { repeated group list { optional group element { \
         required int32 d; } } } }",
    )
    .unwrap();
    assert_eq!(*pruned, want);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_divisible_selection_reads_back(mask in prop::collection::vec(any::<bool>(), LEAVES.len())) {
        let sample = Sample::new(120, 50, Compression::SNAPPY);
        let wanted: Vec<usize> = mask.iter().enumerate().filter(|(_, kept)| **kept).map(|(leaf, _)| leaf).collect();
        let kept = divisible(&sample.footer, &wanted);
        prop_assert_eq!(build(&sample.footer, &wanted).is_ok(), !kept.is_empty() && kept == wanted);
        if !kept.is_empty() {
            let file = bytes_of(&sample, &build(&sample.footer, &kept).unwrap());
            let (got, want) = (rows(&file, None), rows(&sample.file, Some(&kept)));
            prop_assert_eq!(got.columns(), want.columns());
            for (leaf, needle) in [(2, PLANTED[0]), (7, PLANTED[1])] {
                prop_assert_eq!(occurs(&file, needle), kept.contains(&leaf));
            }
        }
    }
}

/// Footers changed after the fact: an error or a file, never a panic.
#[test]
fn damaged_footers_never_panic() {
    let sample = Sample::new(40, 20, Compression::UNCOMPRESSED);
    let region = sample.index.regions.last().unwrap().clone();
    let first = usize::try_from(region.offset).unwrap();
    let mut refused = 0;
    for at in first..sample.file.len() {
        for flip in [0x01_u8, 0x80, 0xff] {
            let mut bytes = sample.file.to_vec();
            bytes[at] ^= flip;
            // As if registration had accepted it: the index is of the changed bytes.
            let mut index = (*sample.index).clone();
            let last = index.regions.last_mut().unwrap();
            last.blocks = bytes[first..].chunks(65_536).map(|block| *blake3::hash(block).as_bytes()).collect();
            match Footer::read(Arc::new(index), &Bytes::from(bytes)) {
                Ok(footer) => drop(build(&footer, &[0, 6])),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 100);
}
