//! DoGet: batches as gRPC messages whose bodies are slices of the decoded buffers.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use gateway_api::{Code, Problem};
use gateway_stream::batches::{Batch, Projection};
use gateway_stream::ipc::{IpcEncoder, Message};
use http_body_util::{BodyExt as _, Limited};
use prost::Message as _;

use super::{status, ticket};
use crate::admission::{admit, resolve};
use crate::authz::{Action, authorise};
use crate::door::files::{lease_headers, quarantine};
use crate::export::produce::{ProduceError, Task, produce};
use crate::export::stream_body::Ending;
use crate::export::{Gate, GrantPlan, StreamBody};
use crate::gateway::Shared;
use crate::rest::Caller;
use crate::rest::exchange::leaf_numbers;

/// A ticket, its protobuf and gRPC framing.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// `DoGet`.
pub async fn do_get(
    State(gateway): State<Shared>,
    caller: Result<Caller, crate::rest::Refused>,
    request: Request,
) -> Response {
    let answered = match caller {
        Ok(caller) => answer(&gateway, &caller, request).await,
        Err(refused) => Err(*refused.0),
    };
    answered.unwrap_or_else(|problem| status::of(&problem).into_http())
}

async fn answer(gateway: &Shared, caller: &Caller, request: Request) -> Result<Response, Problem> {
    authorise(&caller.principal, Action::Consume)?;
    let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect().await;
    let body =
        body.map_err(|error| Problem::new(Code::BadInput, format!("the ticket did not arrive: {error}")))?.to_bytes();
    let sealed = read_ticket(&body)?;
    let voucher = ticket::open(gateway, &caller.principal, &sealed, caller.now)?;

    let resolved = resolve(
        gateway,
        Arc::clone(&caller.snapshot),
        &caller.principal,
        &voucher.ask(&leaves(caller, &voucher)),
        caller.now,
    )
    .await?;
    let gone = || Problem::new(Code::NotFound, "the ticket's row groups are not in this version");
    let file = Arc::clone(resolved.files.get(voucher.file).ok_or_else(gone)?);
    if voucher.row_groups.end > file.index.row_groups.len() {
        return Err(gone());
    }
    let representation = format!("flight:{}:{}-{}", voucher.file, voucher.row_groups.start, voucher.row_groups.end);
    let plan = |columns: &[String]| -> Result<GrantPlan, Problem> {
        if ticket::names(columns) != voucher.columns {
            return Err(Problem::new(
                Code::SelectionChanged,
                "what may leave has changed since the ticket was made: ask GetFlightInfo again",
            ));
        }
        Ok(GrantPlan::open(representation.clone()))
    };
    let (admission, admitted) = admit(gateway, &caller.principal, &resolved, voucher.redact, plan).await?;
    let gate = Gate::open(Arc::clone(gateway), admitted);

    let leaves = leaf_numbers(&resolved, admission.columns());
    let broken = |error: &dyn std::fmt::Display| {
        tracing::error!(error = %error, "a stored schema cannot be streamed");
        Problem::new(Code::Internal, "the stored schema cannot be streamed")
    };
    let projection = Projection::new(Arc::clone(&file.footer), &leaves).map_err(|error| broken(&error))?;
    let (schema, mut encoder) = IpcEncoder::start(projection.schema()).map_err(|error| broken(&error))?;
    let head = Bytes::from(frames(schema).concat());
    let encode = move |batch: &Batch| {
        let messages = encoder.encode(&batch.records).map_err(|error| ProduceError::Broken(error.to_string()))?;
        Ok(messages.into_iter().flat_map(frames).collect())
    };
    let tasks = vec![Task { file, row_groups: voucher.row_groups.clone() }];
    let produced = produce(&gateway.tasks, leaves, tasks, encode);
    let hook = quarantine(gateway, &resolved);
    let body = StreamBody::new(gate, head, produced, Bytes::new(), hook).ending(Ending::Grpc);
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    lease_headers(gateway, response.headers_mut(), &admission, &resolved)?;
    Ok(response)
}

/// The leaf columns of the ticket's version, as its inspection lists them. A version never changes.
fn leaves(caller: &Caller, voucher: &ticket::Voucher) -> Vec<String> {
    let version = caller.snapshot.version(&voucher.dataset, &voucher.version);
    let columns = version.and_then(|version| version.inspection.get("columns")?.as_array());
    let name = |column: &serde_json::Value| Some(column.get("name")?.as_str()?.to_owned());
    columns.into_iter().flatten().filter_map(name).collect()
}

/// The ticket in a gRPC request: one uncompressed message (PROTOCOL-HTTP2, Length-Prefixed-Message).
fn read_ticket(body: &[u8]) -> Result<Bytes, Problem> {
    let wrong =
        |what: &str| Problem::new(Code::BadInput, format!("the request is not one uncompressed gRPC message: {what}"));
    let (prefix, message) = body.split_at_checked(5).ok_or_else(|| wrong("it has no prefix"))?;
    let [0, a, b, c, d] = *prefix else { return Err(wrong("it is compressed")) };
    if usize::try_from(u32::from_be_bytes([a, b, c, d])).ok() != Some(message.len()) {
        return Err(wrong("its length is not the prefix's"));
    }
    let ticket = arrow_flight::Ticket::decode(message).map_err(|error| wrong(&error.to_string()))?;
    Ok(ticket.ticket)
}

/// A message as gRPC carries it: prefix, then `FlightData` with `data_header` (field 2) and `data_body` (field 1000).
/// Only the header is copied; the body's pieces stay what they are.
fn frames(message: Message) -> Vec<Bytes> {
    let body_bytes = message.body_bytes();
    let mut fields = BytesMut::with_capacity(message.header.len() + 32);
    fields.put_u8(2 << 3 | 2);
    prost::encoding::encode_varint(message.header.len() as u64, &mut fields);
    fields.extend_from_slice(&message.header);
    if body_bytes > 0 {
        prost::encoding::encode_varint(1000 << 3 | 2, &mut fields);
        prost::encoding::encode_varint(body_bytes as u64, &mut fields);
    }
    let length = u32::try_from(fields.len() + body_bytes).unwrap_or(u32::MAX);
    let mut head = BytesMut::with_capacity(5 + fields.len());
    head.put_u8(0);
    head.put_u32(length);
    head.extend_from_slice(&fields);
    let mut frames = Vec::with_capacity(1 + message.body.len());
    frames.push(head.freeze());
    frames.extend(message.body);
    frames
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use gateway_stream::ipc::MessageKind;

    #[test]
    fn a_frame_is_what_protobuf_reads() {
        let message = Message {
            kind: MessageKind::RecordBatch,
            header: Bytes::from_static(b"header--"),
            body: vec![Bytes::from_static(b"abc"), Bytes::from(vec![7; 300])],
        };
        let wire = frames(message).concat();
        assert_eq!(wire[0], 0);
        assert_eq!(u32::from_be_bytes([wire[1], wire[2], wire[3], wire[4]]) as usize, wire.len() - 5);
        let data = arrow_flight::FlightData::decode(&wire[5..]).unwrap();
        assert_eq!(data.data_header.as_ref(), b"header--");
        assert_eq!(data.data_body.len(), 303);
        assert!(data.data_body.starts_with(b"abc\x07"));
    }

    #[test]
    fn a_request_is_one_whole_message() {
        let ticket = arrow_flight::Ticket { ticket: Bytes::from_static(b"t") }.encode_to_vec();
        let mut body = vec![0, 0, 0, 0, u8::try_from(ticket.len()).unwrap()];
        body.extend_from_slice(&ticket);
        assert_eq!(read_ticket(&body).unwrap(), "t");
        for bad in [&body[..3], &body[..body.len() - 1], &[1, 0, 0, 0, 0][..]] {
            assert!(read_ticket(bad).is_err());
        }
    }
}
