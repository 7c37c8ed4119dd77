#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use arrow::array::{Array as _, AsArray as _, DictionaryArray, StringViewArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int32Type};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::ipc::IpcEncoder;
use crate::sample::{Sample, records, wide, write, write_plain};

fn read(sample: &Sample, leaves: &[usize], row_group: usize) -> Vec<Batch> {
    let projection = Arc::new(Projection::new(Arc::clone(&sample.footer), leaves).unwrap());
    RowGroupReader::open(projection, &sample.file, row_group).unwrap().map(Result::unwrap).collect()
}

#[test]
fn batches_are_the_rows_of_the_selection() {
    let sample = Sample::large();
    let all: Vec<usize> = (0..sample.footer.leaves()).collect();
    let projection = Projection::new(Arc::clone(&sample.footer), &all).unwrap();
    let batches: Vec<RecordBatch> =
        (0..3).flat_map(|group| read(&sample, &all, group)).map(|batch| batch.records).collect();
    let got = concat_batches(projection.schema(), &batches).unwrap();
    assert_eq!(got.columns(), records(60_000).columns());
    assert!(projection.schema().metadata().is_empty());
    let names = |leaves: &[usize]| -> Vec<String> {
        let projection = Projection::new(Arc::clone(&sample.footer), leaves).unwrap();
        projection.schema().fields().iter().map(|field| field.name().clone()).collect()
    };
    assert_eq!(names(&[6, 0, 0]), ["id", "home"]);
    let home = Projection::new(Arc::clone(&sample.footer), &[6]).unwrap();
    let DataType::Struct(fields) = home.schema().field(0).data_type() else { panic!("home is a struct") };
    assert_eq!(fields.len(), 1);
}

#[test]
fn units_are_delivered_exactly_once_and_whole() {
    let sample = Sample::large();
    for row_group in 0..3 {
        let batches = read(&sample, &[1, 4], row_group);
        let mut row = 0;
        for leaf in [1, 4] {
            let unit = sample.footer.unit(row_group, leaf).unwrap();
            let mut at = unit.offset;
            for part in batches.iter().flat_map(|batch| &batch.delivered).filter(|part| part.column as usize == leaf) {
                assert_eq!(part.range.start, at);
                at = part.range.end;
            }
            assert_eq!(at, unit.offset + unit.bytes);
        }
        for batch in &batches {
            assert_eq!(batch.first_row, row);
            row += batch.records.num_rows() as u64;
        }
        assert_eq!(row, sample.index.row_groups[row_group]);
    }
}

#[test]
fn messages_stay_within_what_grpc_takes() {
    for (rows, bytes) in [(40_000, 1_000), (30, 1_000_000), (400_000, 3)] {
        let sample = Sample::of(write(&wide(rows, bytes), WriterProperties::builder().build()));
        let (mut messages, mut seen) = (0, 0);
        for group in 0..sample.index.row_groups.len() {
            let batches = read(&sample, &[0, 1], group);
            let (_, mut encoder) = IpcEncoder::start(&batches[0].records.schema()).unwrap();
            for batch in &batches {
                assert!(batch.records.num_rows() <= BATCH_ROWS);
                for message in encoder.encode(&batch.records).unwrap() {
                    assert!(message.body_bytes() <= BATCH_BYTES_MAX, "{} bytes", message.body_bytes());
                    messages += 1;
                    seen += message.body_bytes();
                }
            }
        }
        assert!(seen >= rows * bytes);
        assert!(messages <= seen / 1_000_000 + rows / BATCH_ROWS + 2, "{messages} messages of {seen} bytes");
    }
}

#[test]
fn batches_do_not_depend_on_who_asks() {
    let sample = Sample::large();
    let cuts = || read(&sample, &[0, 1, 5], 1).iter().map(|batch| batch.records.num_rows()).collect::<Vec<_>>();
    assert_eq!(cuts(), cuts());
}

#[test]
fn a_changed_byte_is_found_before_anything_is_decoded() {
    let sample = Sample::small();
    let unit = *sample.footer.unit(1, 1).unwrap();
    let mut changed = sample.file.to_vec();
    changed[usize::try_from(unit.offset + unit.bytes / 2).unwrap()] ^= 1;
    let changed = Bytes::from(changed);
    let projection = |leaves: &[usize]| Arc::new(Projection::new(Arc::clone(&sample.footer), leaves).unwrap());
    let error = RowGroupReader::open(projection(&[0, 1]), &changed, 1).unwrap_err();
    assert!(matches!(error, BatchError::Integrity(IntegrityError::Block { .. })));
    // A column that was not asked for is not read.
    assert!(RowGroupReader::open(projection(&[0]), &changed, 1).is_ok());
}

/// The gateway decodes on a blocking thread and sends from another.
#[test]
fn readers_move_between_threads() {
    fn moves<T: Send + 'static>() {}
    moves::<RowGroupReader>();
    moves::<IpcEncoder>();
    moves::<Batch>();
    moves::<crate::FrameReader>();
}

/// Dictionaries that differ from row group to row group are replaced in the stream, and the reader keeps up.
#[test]
fn dictionaries_may_change_within_a_stream() {
    let values: DictionaryArray<Int32Type> =
        (0..3_000).map(|row| Some(["a", "b", "c", "d", "e", "f"][row / 1_000 * 2 + row % 2])).collect();
    let batch = RecordBatch::try_from_iter([("d", Arc::new(values) as arrow::array::ArrayRef)]).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1_000)).build();
    let sample = Sample::of(write(&batch, properties));
    let projection = Projection::new(Arc::clone(&sample.footer), &[0]).unwrap();
    let (schema, mut encoder) = IpcEncoder::start(projection.schema()).unwrap();
    let mut stream = schema.stream_parts().concat();
    for batch in (0..3).flat_map(|group| read(&sample, &[0], group)) {
        for message in encoder.encode(&batch.records).unwrap() {
            stream.extend(message.stream_parts().concat());
        }
    }
    let batches: Vec<RecordBatch> =
        arrow::ipc::reader::StreamReader::try_new(stream.as_slice(), None).unwrap().map(Result::unwrap).collect();
    let text = |records: &RecordBatch| arrow::compute::cast(records.column(0), &DataType::Utf8).unwrap();
    let got: Vec<_> = batches.iter().map(text).collect();
    let got = arrow::compute::concat(&got.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap();
    assert_eq!(&got, &text(&batch));
}

#[test]
fn what_is_not_there_is_an_error() {
    let sample = Sample::small();
    assert_eq!(Projection::new(Arc::clone(&sample.footer), &[]).unwrap_err(), BatchError::EmptySelection);
    assert!(matches!(Projection::new(Arc::clone(&sample.footer), &[99]), Err(BatchError::NoSuch(_))));
    let projection = Arc::new(Projection::new(Arc::clone(&sample.footer), &[0]).unwrap());
    assert!(matches!(RowGroupReader::open(projection, &sample.file, 4), Err(BatchError::NoSuch(_))));
}

/// A dictionary of one long value and a run of keys: kilobytes in the file, gigabytes if decoded at once.
#[test]
fn a_long_dictionary_value_is_decoded_a_few_rows_at_a_time() {
    let long = "x".repeat(500_000);
    let values: DictionaryArray<Int32Type> = (0..50_000).map(|_| Some(long.as_str())).collect();
    let batch = RecordBatch::try_from_iter([("bomb", Arc::new(values) as arrow::array::ArrayRef)]).unwrap();
    let properties = WriterProperties::builder().set_dictionary_page_size_limit(1 << 20).build();
    let sample = Sample::of(write_plain(&batch, properties));
    assert!(sample.file.len() < 4_000_000);
    let projection = Arc::new(Projection::new(Arc::clone(&sample.footer), &[0]).unwrap());
    let at_once = expansion::rows_at_once(&projection, &sample.file, 0).unwrap();
    assert!(at_once <= 200, "{at_once} rows at once");
    let mut reader = RowGroupReader::open(projection, &sample.file, 0).unwrap();
    let first = reader.next().unwrap().unwrap();
    assert!(first.records.num_rows() <= 7);
    assert_eq!(first.records.column(0).as_string::<i32>().value(0), long);
}

#[test]
fn large_dictionaries_are_cut_to_what_a_batch_uses() {
    let words: Vec<String> = (0..40_000).map(|n| format!("{n:0100}")).collect();
    let values: DictionaryArray<Int32Type> = words.iter().map(|word| Some(word.as_str())).collect();
    let plain = words.len();
    let batch = RecordBatch::try_from_iter([("d", Arc::new(values) as arrow::array::ArrayRef)]).unwrap();
    let properties =
        WriterProperties::builder().set_dictionary_page_size_limit(16 << 20).set_compression(Compression::UNCOMPRESSED);
    let sample = Sample::of(write(&batch, properties.build()));
    let batches = read(&sample, &[0], 0);
    let (_, mut encoder) = IpcEncoder::start(&batches[0].records.schema()).unwrap();
    let mut rows = 0;
    for batch in &batches {
        assert!(matches!(batch.records.column(0).data_type(), DataType::Dictionary(..)));
        rows += batch.records.num_rows();
        assert!(encoder.encode(&batch.records).unwrap().iter().all(|message| message.body_bytes() <= BATCH_BYTES_MAX));
    }
    assert_eq!(rows, plain);
}

#[test]
fn views_become_plain_strings() {
    let values: StringViewArray = (0..100).map(|n| Some(format!("a string longer than twelve bytes {n}"))).collect();
    let batch = RecordBatch::try_from_iter([("v", Arc::new(values) as arrow::array::ArrayRef)]).unwrap();
    let sample = Sample::of(write(&batch, WriterProperties::builder().build()));
    let batches = read(&sample, &[0], 0);
    assert_eq!(batches[0].records.schema().field(0).data_type(), &DataType::Utf8);
    assert_eq!(batches[0].records.num_rows(), 100);
}

/// Pages changed after the fact, under an index that agrees with them: an error or rows, never a panic.
#[test]
fn damaged_pages_never_panic() {
    let sample = Sample::new(60, 60, Compression::UNCOMPRESSED);
    let end = sample.index.units.iter().map(|unit| unit.offset + unit.bytes).max().unwrap();
    let (mut wrong, mut right) = (0, 0);
    for at in (4..usize::try_from(end).unwrap()).step_by(3) {
        let mut bytes = sample.file.to_vec();
        bytes[at] ^= 0xff;
        let file = Bytes::from(bytes);
        let mut index = (*sample.index).clone();
        for region in &mut index.regions {
            let range = usize::try_from(region.offset).unwrap()..usize::try_from(region.range().end).unwrap();
            region.blocks = file[range].chunks(65_536).map(|block| *blake3::hash(block).as_bytes()).collect();
        }
        let footer = Arc::new(Footer::read(Arc::new(index), &file).unwrap());
        let all: Vec<usize> = (0..footer.leaves()).collect();
        let projection = Arc::new(Projection::new(footer, &all).unwrap());
        let rows: Result<Vec<Batch>, BatchError> =
            RowGroupReader::open(projection, &file, 0).and_then(Iterator::collect);
        match rows {
            Ok(_) => right += 1,
            Err(_) => wrong += 1,
        }
    }
    assert!(wrong > 50 && right > 50, "{wrong} wrong, {right} right");
}
