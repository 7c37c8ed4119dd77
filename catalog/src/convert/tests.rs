//! What comes out is what was written, type by type; what does not fit is refused with its line or byte.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::format_collect)]

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use super::*;
use crate::layout::{index, tests::batch};

fn run(format: TextFormat, text: &[u8]) -> Result<Vec<u8>, ConvertError> {
    let mut out = Vec::new();
    let limits = Limits { line_bytes: 4096, columns: 20, ..Limits::default() };
    convert(format, text, &limits, &mut out).map(|_| out)
}

fn read(parquet: &[u8]) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(parquet)).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn csv(text: &str) -> RecordBatch {
    let parquet = run(TextFormat::Csv, text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(index(&parquet, &Limits::default()).unwrap().bytes, parquet.len() as u64);
    read(&parquet)
}

fn json(text: &str) -> RecordBatch {
    let parquet = run(TextFormat::JsonLines, text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    index(&parquet, &Limits::default()).unwrap();
    read(&parquet)
}

fn texts(batch: &RecordBatch, column: usize) -> Vec<Option<String>> {
    batch.column(column).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn a_csv_column_becomes_a_number_only_if_it_can_be_written_back() {
    for (values, expected) in [
        (["1", "-20", "0"], DataType::Int64),
        (["1", "2.5", ""], DataType::Float64),
        (["1.5e3", "2.0", "0.25"], DataType::Float64),
        (["true", "false", ""], DataType::Boolean),
        (["2024-01-31", "1969-12-31", ""], DataType::Date32),
        (["2024-02-30", "2024-01-31", ""], DataType::Utf8),
        (["007", "8", "9"], DataType::Utf8),
        (["+85251234567", "1", "2"], DataType::Utf8),
        (["440305190102030017", "44030519010204008X", "440305190102030017"], DataType::Utf8),
        (["440305190102030017", "440305190102030017", ""], DataType::Utf8),
        (["9223372036854775808", "1", ""], DataType::Utf8),
        (["0.1234567890123456789", "1", ""], DataType::Utf8),
        (["1e5", "2", ""], DataType::Utf8),
        (["-0", "1", ""], DataType::Utf8),
        (["NaN", "1", ""], DataType::Utf8),
        (["", "", ""], DataType::Utf8),
        (["\"\"", "1", "2"], DataType::Utf8),
    ] {
        let text = format!("a,b\n{},x\n{},y\n{},z\n", values[0], values[1], values[2]);
        let batch = csv(&text);
        assert_eq!(batch.column(0).data_type(), &expected, "{values:?}");
        let nulls = values.iter().filter(|value| value.is_empty()).count();
        assert_eq!(batch.column(0).null_count(), nulls, "{values:?}");
        if expected == DataType::Utf8 {
            let read: Vec<String> = texts(&batch, 0).into_iter().map(Option::unwrap_or_default).collect();
            assert_eq!(read, values.map(|value| value.trim_matches('"').to_owned()), "{values:?}");
        }
    }
}

#[test]
fn csv_dialects() {
    let quoted = csv("\u{feff}a;b\r\n\"x;1\";\"say \"\"hi\"\"\"\r\n\"two\nlines\";\r\n");
    assert_eq!(quoted.schema().field(0).name(), "a");
    assert_eq!(texts(&quoted, 0), [Some("x;1".to_owned()), Some("two\nlines".to_owned())]);
    assert_eq!(texts(&quoted, 1), [Some("say \"hi\"".to_owned()), None]);
    let tabs = csv("id\tname\n1\t陳大文\n\n2\t李小明");
    assert_eq!(tabs.num_rows(), 2);
    assert_eq!(tabs.column(0).as_primitive::<Int64Type>().values(), &[1, 2]);
    let one = csv("only\na\n\nb\n");
    assert_eq!(texts(&one, 0), [Some("a".to_owned()), None, Some("b".to_owned())]);
    assert_eq!(csv("a,b\n").num_rows(), 0);
}

#[test]
fn csv_that_is_wrong_says_where() {
    for (text, expected) in [
        ("", "the file is empty"),
        ("a,b\n1,2\n3\n", "line 3: 1 fields, but the header has 2"),
        ("a,b\n\"x\n\n\",2\n3\n", "line 5: 1 fields"),
        ("a,a\n1,2\n", "line 1: two columns are called `a`"),
        ("a,\n1,2\n", "line 1: column 2 has no usable name"),
        ("a,b\n1,\"x\n", "line 2: a quote is never closed"),
        ("a,b\n1,\"x\"y\n", "line 2: text follows a closing quote"),
    ] {
        let error = run(TextFormat::Csv, text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
    let mut gb18030 = b"a,b\n1,ok\n2,".to_vec();
    gb18030.extend_from_slice(&[0xc4, 0xe3, b'\n']);
    let error = run(TextFormat::Csv, &gb18030).unwrap_err();
    assert!(matches!(error, ConvertError::NotUtf8 { line: 3, offset: 11 }), "{error}");
    let long = format!("a,b\n1,\"{}\"\n", "x".repeat(5000));
    assert!(run(TextFormat::Csv, long.as_bytes()).unwrap_err().to_string().contains("longer than 4096"));
    let open = format!("a,b\n1,\"{}", "x".repeat(9000));
    assert!(run(TextFormat::Csv, open.as_bytes()).unwrap_err().to_string().contains("longer than 4096"));
    let wide = (0..21).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",");
    assert!(run(TextFormat::Csv, wide.as_bytes()).unwrap_err().to_string().contains("limit of 20"));
}

#[test]
fn json_lines_keep_types_order_and_nesting() {
    let batch = json(
        "{\"z\": 1, \"a\": \"x\", \"tags\": [1, 2], \"o\": {\"k\": true}}\n\n{\"a\": null, \"z\": 2.5, \"o\": {\"k\": false, \"l\": []}}\n",
    );
    let schema = batch.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["z", "a", "tags", "o"]);
    assert_eq!(batch.column(0).as_primitive::<Float64Type>().values(), &[1.0, 2.5]);
    assert_eq!(texts(&batch, 1), [Some("x".to_owned()), None]);
    assert_eq!(batch.column(2).as_list::<i32>().value(0).as_primitive::<Int64Type>().values(), &[1, 2]);
    assert!(batch.column(2).is_null(1));
    assert!(batch.column(3).as_struct().column(0).as_boolean().value(0));
    let large = json("{\"n\": 9223372036854775808}\n{\"n\": 5}\n");
    assert_eq!(texts(&large, 0), [Some("9223372036854775808".to_owned()), Some("5".to_owned())]);
}

#[test]
fn json_that_does_not_fit_says_where() {
    for (text, expected) in [
        ("{\"a\": 1}\n{\"a\": \"x\"}\n", "line 2: `a` is a string, but was whole numbers before"),
        ("{\"o\": {\"b\": 1}}\n\n{\"o\": {\"b\": [1]}}\n", "line 3: `o.b` is a list, but was whole numbers before"),
        ("{\"a\": 9007199254740993}\n{\"a\": 1.5}\n", "line 2: `a` is a number, but was whole numbers before"),
        ("{\"a\": 1}\n[1]\n", "line 2: a list stands where an object should"),
        ("{\"a\": 1}\n{\"a\": \n", "line 2: EOF while parsing"),
        ("{\"a\": 1, \"a\": 2}\n", "line 1: the member `a` stands twice"),
        ("{\"a\": 123456789012345678901234567890}\n", "line 1: a number beyond 64 bits"),
        ("{\"a\": {}}\n", "the columns cannot be stored as Parquet: `a` is always an empty object"),
        ("{}\n", "the file is empty"),
    ] {
        let error = run(TextFormat::JsonLines, text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(5000));
    assert!(run(TextFormat::JsonLines, long.as_bytes()).unwrap_err().to_string().contains("longer than 4096"));
    let error = run(TextFormat::JsonLines, b"{\"a\": 1}\n{\"a\": \"\xff\"}").unwrap_err();
    assert!(matches!(error, ConvertError::NotUtf8 { line: 2, offset: 16 }), "{error}");
}

fn stream(batch: &RecordBatch, options: IpcWriteOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new_with_options(&mut bytes, &batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

#[test]
fn arrow_files_and_streams_keep_their_schema() {
    let batch = batch(300);
    let mut file = Vec::new();
    let mut writer = FileWriter::try_new(&mut file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let zstd = IpcWriteOptions::default().try_with_compression(Some(arrow::ipc::CompressionType::ZSTD)).unwrap();
    for bytes in [file, stream(&batch, IpcWriteOptions::default()), stream(&batch, zstd)] {
        let parquet = run(TextFormat::Arrow, &bytes).unwrap();
        index(&parquet, &Limits::default()).unwrap();
        let read = read(&parquet);
        assert_eq!(read.schema().fields(), batch.schema().fields());
        assert_eq!(read.slice(300, 300), batch);
        for length in (0..bytes.len() - 16).step_by(211) {
            assert!(run(TextFormat::Arrow, &bytes[..length]).is_err(), "cut at {length}");
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let text = b"a,b\n1,x\n2,y\n";
    let once = run(TextFormat::Csv, text).unwrap();
    assert_eq!(once, run(TextFormat::Csv, text).unwrap());
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(once)).unwrap();
    assert_eq!(reader.metadata().file_metadata().created_by(), Some("kouan"));
    let keys = reader.metadata().file_metadata().key_value_metadata().unwrap();
    assert_eq!(keys.iter().map(|pair| pair.key.as_str()).collect::<Vec<_>>(), ["ARROW:schema"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_csv_writes_is_read_back(rows in proptest::collection::vec(("[ -~\u{4e00}-\u{4e20}\n\"]{0,12}", "[0-9.eE+-]{0,8}"), 1..20)) {
        let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let text: String = rows.iter().map(|(a, b)| format!("{},{}\n", quote(a), quote(b))).collect();
        let batch = csv(&format!("x,y\n{text}"));
        prop_assert_eq!(batch.num_rows(), rows.len());
        // Every value prints as it was written.
        for (column, pick) in [(0, 0usize), (1, 1)] {
            if batch.column(column).data_type() == &DataType::Utf8 {
                let read: Vec<String> = texts(&batch, column).into_iter().map(Option::unwrap).collect();
                let written: Vec<String> = rows.iter().map(|(a, b)| [a, b][pick].clone()).collect();
                prop_assert_eq!(read, written);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, at in 0usize..4000, value: u8) {
        for format in [TextFormat::Csv, TextFormat::JsonLines, TextFormat::Arrow] {
            let _ = run(format, &bytes);
        }
        let mut ipc = STREAM.with(|stream| (**stream).clone());
        let at = at % ipc.len();
        ipc[at] = value;
        let _ = run(TextFormat::Arrow, &ipc);
    }
}

thread_local! {
    static STREAM: Arc<Vec<u8>> = Arc::new({
        let names: Arc<dyn Array> = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let batch = RecordBatch::try_from_iter([("name", names)]).unwrap();
        stream(&batch, IpcWriteOptions::default())
    });
}
