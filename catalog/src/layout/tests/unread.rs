//! Bytes that a page may carry and no reader looks at: around compressed streams and after the last value.

use std::io::Write;

use flate2::GzBuilder;
use parquet::basic::Encoding;

use super::*;
use crate::admit::{PrepareError, prepare};
use crate::layout::expand::{ExpandError, expand};
use crate::layout::header::PageHeader;
use crate::layout::page::Page;
use crate::layout::pages::Chunk;

fn expanded(codec: Compression, bytes: &[u8]) -> Result<Vec<u8>, ExpandError> {
    let mut into = Vec::new();
    expand(codec, bytes, 5000, &mut into).map(|()| into)
}

#[test]
fn zstd_frames_that_are_skipped_are_refused() {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let data = vec![7u8; 5000];
    let frame = zstd::stream::encode_all(&data[..], 3).unwrap();
    let hidden = [&[0x5a, 0x2a, 0x4d, 0x18, 6, 0, 0, 0][..], b"secret"].concat();
    assert_eq!(expanded(zstd, &frame), Ok(data.clone()));
    let halves = [&data[..2000], &data[2000..]].map(|half| zstd::stream::encode_all(half, 3).unwrap());
    assert_eq!(expanded(zstd, &halves.concat()), Ok(data));
    assert_eq!(expanded(zstd, &[&hidden[..], &frame].concat()), Err(ExpandError::Unread));
    assert_eq!(expanded(zstd, &[&frame[..], &hidden].concat()), Err(ExpandError::Unread));
    assert_eq!(expanded(zstd, &[&frame[..], b"secret"].concat()), Err(ExpandError::Unread));
    assert_eq!(expanded(zstd, b"secret"), Err(ExpandError::Damaged));
    assert_eq!(expanded(zstd, &frame[..frame.len() - 1]), Err(ExpandError::Damaged));
}

#[test]
fn gzip_headers_that_say_more_than_they_must_are_refused() {
    let gzip = Compression::GZIP(GzipLevel::default());
    let data = vec![7u8; 5000];
    let member = |builder: GzBuilder, data: &[u8]| {
        let mut writer = builder.write(Vec::new(), flate2::Compression::default());
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    };
    let plain = member(GzBuilder::new(), &data);
    assert_eq!(expanded(gzip, &plain), Ok(data.clone()));
    let halves = [member(GzBuilder::new(), &data[..9]), member(GzBuilder::new(), &data[9..])];
    assert_eq!(expanded(gzip, &halves.concat()), Ok(data.clone()));
    for builder in [
        GzBuilder::new().extra(b"secret".to_vec()),
        GzBuilder::new().filename("secret"),
        GzBuilder::new().comment("secret"),
    ] {
        assert_eq!(expanded(gzip, &member(builder, &data)), Err(ExpandError::Unread));
    }
    assert_eq!(expanded(gzip, &[&plain[..], b"secret"].concat()), Err(ExpandError::Unread));
    assert_eq!(expanded(gzip, &[&plain[..], &plain].concat()), Err(ExpandError::Size));
}

#[test]
fn brotli_metadata_and_trailing_bytes_are_refused() {
    let brotli = Compression::BROTLI(BrotliLevel::default());
    let data = vec![7u8; 5000];
    let mut stream = Vec::new();
    brotli::BrotliCompress(&mut &data[..], &mut stream, &brotli::enc::BrotliEncoderParams::default()).unwrap();
    assert_eq!(expanded(brotli, &stream), Ok(data));
    assert_eq!(expanded(brotli, &[&stream[..], b"secret"].concat()), Err(ExpandError::Unread));
    assert_eq!(expanded(brotli, &stream[..stream.len() - 1]), Err(ExpandError::Damaged));
    // Window of 2^16 (a bit 0), a block that is not the last (0), of metadata (11, reserved 0), one length byte (01), which
    // says 6 (5 in 8 bits, from bit 7 on), padding; six bytes; an empty last block (11).
    let head: u16 = 0b11 << 2 | 0b01 << 5 | 5 << 7;
    let hidden = [&head.to_le_bytes()[..], b"secret", &[3]].concat();
    let mut read = Vec::new();
    std::io::copy(&mut brotli::Decompressor::new(&hidden[..], 4096), &mut read).unwrap();
    assert!(read.is_empty(), "a stock reader skips it");
    let mut into = Vec::new();
    assert_eq!(expand(brotli, &hidden, 0, &mut into), Err(ExpandError::Unread));
}

#[test]
fn a_byte_after_the_last_value_is_refused_in_every_encoding() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..777).map(|i| i * i % 101)));
    let floats: ArrayRef = Arc::new(Float64Array::from_iter_values((0..777).map(f64::from)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..777).map(|i| format!("text {}", i / 3))));
    let flags: ArrayRef = Arc::new(BooleanArray::from_iter((0..777).map(|i| Some(i % 3 == 0))));
    for (column, encoding) in [
        (&numbers, Encoding::PLAIN),
        (&numbers, Encoding::DELTA_BINARY_PACKED),
        (&numbers, Encoding::BYTE_STREAM_SPLIT),
        (&floats, Encoding::BYTE_STREAM_SPLIT),
        (&texts, Encoding::PLAIN),
        (&texts, Encoding::DELTA_LENGTH_BYTE_ARRAY),
        (&texts, Encoding::DELTA_BYTE_ARRAY),
        (&flags, Encoding::RLE),
    ] {
        let batch = RecordBatch::try_from_iter([("x", column.clone())]).unwrap();
        let properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_dictionary_enabled(false)
            .set_encoding(encoding)
            .build();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        read(&file).unwrap_or_else(|error| panic!("{encoding}: {error}"));
        let (data, metadata) = parts(&file);
        let meta = metadata.row_group(0).column(0);
        let chunk = Chunk { offset: 4, bytes: &data[4..], meta, rows: 777 };
        let header = PageHeader::read(&data[4..]).unwrap();
        let from = 4 + header.header_bytes;
        let body = &data[from..from + usize::try_from(header.compressed).unwrap()];
        let page = Page { chunk: &chunk, header: &header, offset: 4, body };
        assert_eq!(header.encoding, encoding as u32);
        let check = |bytes: &[u8]| values::check(&page, bytes, 777, None);
        assert!(check(body).is_ok(), "{encoding}");
        let error = check(&[body, b"\0"].concat()).unwrap_err();
        assert!(error.to_string().contains("has bytes after its last value"), "{encoding}: {error}");
        assert_eq!(error.offset(), 4);
        assert!(check(&body[..body.len() - 1]).is_err(), "{encoding}");
        // Up to 256 values may pad the last run of booleans.
        assert!(values::check(&page, body, 500, None).is_err(), "{encoding}");
    }
}

#[test]
fn a_page_whose_stream_carries_more_is_refused_with_its_offset() {
    let batch = batch(300).project(&[0]).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let (data, metadata) = parts(&file);
    let header = PageHeader::read(&data[4..]).unwrap();
    let hidden = [&[0x50, 0x2a, 0x4d, 0x18, 6, 0, 0, 0][..], b"secret"].concat();
    // `compressed_page_size`, field 3, follows the two fields before it; both lengths take two bytes.
    let varint = |size: u32| [(size << 1) as u8 & 0x7f | 0x80, (size << 1 >> 7) as u8];
    let old = varint(header.compressed);
    let at = 4 + data[4..4 + header.header_bytes].windows(2).rposition(|window| window == old).unwrap();
    let mut changed = data.clone();
    changed[at..at + 2].copy_from_slice(&varint(header.compressed + 14));
    changed.extend_from_slice(&hidden);
    let size = metadata.row_group(0).column(0).compressed_size();
    let mut groups = metadata.row_groups().to_vec();
    let chunk = groups[0].columns()[0].clone().into_builder().set_total_compressed_size(size + 14);
    groups[0].columns_mut()[0] = chunk.build().unwrap();
    let smuggled = joined(changed, &metadata.clone().into_builder().set_row_groups(groups).build());
    assert_eq!(rows_of(&smuggled), rows_of(&file), "a stock reader sees nothing");
    let error = read(&smuggled).unwrap_err();
    assert!(error.to_string().contains("compressed bytes that no reader looks at"), "{error}");
    assert_eq!(error.offset(), 4);
}

#[test]
fn an_empty_file_is_refused_as_such() {
    for name in ["x.parquet", "x.csv", "x.arrow", "x.jsonl", "x"] {
        let error = prepare(name, b"", &Limits::default(), Vec::new()).unwrap_err();
        assert!(matches!(error, PrepareError::Empty), "{error}");
        assert_eq!(error.to_string(), "at byte 0: the file is empty");
    }
}
