#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::compute::concat_batches;
use arrow::ipc::reader::StreamReader;

use super::*;
use crate::sample::records;

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let (schema, mut encoder) = IpcEncoder::start(&batches[0].schema()).unwrap();
    let mut bytes: Vec<u8> = schema.stream_parts().concat();
    for batch in batches {
        for message in encoder.encode(batch).unwrap() {
            assert_eq!(message.header.len() % 8, 0);
            assert_eq!(message.body_bytes() % 8, 0);
            assert_eq!(message.body_joined(), message.body.concat());
            bytes.extend(message.stream_parts().concat());
        }
    }
    bytes.extend(END_OF_STREAM);
    bytes
}

#[test]
fn a_stream_reads_back() {
    let whole = records(5_000);
    let slices = [whole.slice(0, 1), whole.slice(1, 3_000), whole.slice(3_001, 1_999)];
    let reader = StreamReader::try_new(Cursor::new(stream(&slices)), None).unwrap();
    assert_eq!(reader.schema(), whole.schema());
    let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(read.len(), 3);
    assert_eq!(concat_batches(&whole.schema(), &read).unwrap().columns(), whole.columns());
}

#[test]
fn messages_come_in_order_and_dictionaries_once() {
    let whole = records(2_000);
    let (schema, mut encoder) = IpcEncoder::start(&whole.schema()).unwrap();
    assert_eq!((schema.kind, schema.body_bytes()), (MessageKind::Schema, 0));
    let kinds = |messages: Vec<Message>| messages.iter().map(|message| message.kind).collect::<Vec<_>>();
    let first = kinds(encoder.encode(&whole.slice(0, 1_000)).unwrap());
    assert_eq!(first, [MessageKind::Dictionary, MessageKind::RecordBatch]);
    assert_eq!(kinds(encoder.encode(&whole.slice(1_000, 1_000)).unwrap()), [MessageKind::RecordBatch]);
}

#[test]
fn long_buffers_are_not_copied() {
    let values = Int64Array::from_iter_values(0..100_000);
    let buffer = values.values().inner().as_ptr();
    let batch = RecordBatch::try_from_iter([("n", Arc::new(values) as ArrayRef)]).unwrap();
    let (_, mut encoder) = IpcEncoder::start(&batch.schema()).unwrap();
    let messages = encoder.encode(&batch).unwrap();
    assert!(messages[0].body.iter().any(|piece| piece.as_ptr() == buffer));
}

#[test]
fn a_broken_framing_is_an_error() {
    for bytes in [
        &b"\xff\xff\xff\xff"[..],
        b"\0\0\0\0\0\0\0\0",
        b"\xff\xff\xff\xff\x08\0\0\0",
        b"\xff\xff\xff\xff\x08\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08",
    ] {
        let mut output = Output(VecDeque::from([Bytes::copy_from_slice(bytes)]));
        assert_eq!(output.message().unwrap_err(), IpcError::Framing, "{bytes:?}");
    }
    assert!(Output(VecDeque::from([Bytes::from_static(&END_OF_STREAM)])).message().unwrap().is_none());
}
