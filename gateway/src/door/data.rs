//! A version as one stream over HTTPS: Arrow IPC, CSV or JSON Lines, as `Accept` asks; Parquet for versions of one file.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;
use bytes::Bytes;
use gateway_api::{Code, Problem, names};
use gateway_stream::batches::Projection;
use gateway_stream::ipc::IpcEncoder;
use gateway_stream::text::{CsvEncoder, json_lines};

use super::files::{lease_headers, quarantine};
use super::query::DataQuery;
use crate::admission::{Resolved, admit, resolve};
use crate::authz::Action;
use crate::export::produce::{ProduceError, Task, produce};
use crate::export::{Gate, GrantPlan, StreamBody};
use crate::files::StoredFile;
use crate::gateway::Shared;
use crate::rest::datasets::{dataset_id, version_name};
use crate::rest::exchange::leaf_numbers;
use crate::rest::path::Path;
use crate::rest::{Caller, Refused};

/// The formats of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Arrow,
    Csv,
    JsonLines,
    Parquet,
}

impl Format {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Arrow => names::ARROW_STREAM,
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::JsonLines => names::JSON_LINES,
            Self::Parquet => names::PARQUET,
        }
    }

    /// What `Accept` prefers; Arrow where anything will do (RFC 9110 §12.5.1).
    fn choose(headers: &HeaderMap) -> Result<Self, Problem> {
        let lines: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        if lines.is_empty() {
            return Ok(Self::Arrow);
        }
        let mut best: Option<(u16, Self)> = None;
        for entry in lines.iter().flat_map(|line| line.split(',')) {
            let mut parts = entry.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or("").to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, quality);
            let format = match media_type.as_str() {
                names::ARROW_STREAM | "*/*" | "application/*" => Self::Arrow,
                names::CSV | "text/*" => Self::Csv,
                names::JSON_LINES | "application/x-ndjson" | "application/jsonlines" => Self::JsonLines,
                names::PARQUET => Self::Parquet,
                _ => continue,
            };
            if quality > 0 && best.is_none_or(|(best, _)| quality > best) {
                best = Some((quality, format));
            }
        }
        best.map(|(_, format)| format).ok_or_else(|| {
            let offered = [names::ARROW_STREAM, names::PARQUET, names::CSV, names::JSON_LINES].join(", ");
            Problem::new(Code::NotAcceptable, format!("`Accept` names nothing that this sends: {offered}"))
        })
    }
}

/// A quality value in thousandths; what is not one counts as zero.
fn quality(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    match (whole, digits) {
        ("1", true) => 1000,
        ("0", true) => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

/// `GET …/data`.
pub async fn get(
    State(gateway): State<Shared>,
    caller: Caller,
    Path((dataset, version)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    caller.may(Action::Consume)?;
    let format = Format::choose(&headers)?;
    let query = DataQuery::parse(query.as_deref(), &headers)?;
    let ask = query.ask(dataset_id(&dataset)?, version_name(&version)?);
    let resolved = resolve(&gateway, Arc::clone(&caller.snapshot), &caller.principal, &ask, caller.now).await?;
    if format == Format::Parquet {
        let file = one_file(&resolved)?;
        let wanted = super::files::Wanted { resolved, file, redact: query.redact };
        return super::files::respond(&gateway, &caller, wanted, &method, &headers).await;
    }
    if method == Method::HEAD {
        // Decides without lease, counters or grant: nothing moves.
        super::files::current_columns(&gateway, &caller, &resolved, query.redact)?;
        let mut response = Response::new(Body::empty());
        describe(response.headers_mut(), format);
        return Ok(response);
    }
    // How long the stream will be is not known; a grant covers a window of it.
    let plan = |_: &[String]| -> Result<GrantPlan, Problem> { Ok(GrantPlan::open(format.media_type().to_owned())) };
    let (admission, admitted) = admit(&gateway, &caller.principal, &resolved, query.redact, plan).await?;
    let gate = Gate::open(Arc::clone(&gateway), admitted);

    let leaves = leaf_numbers(&resolved, admission.columns());
    let Some(first) = resolved.files.first() else {
        return Err(Problem::new(Code::NotFound, "the version has no files").into());
    };
    let broken = |error: &dyn std::fmt::Display| {
        tracing::error!(error = %error, "a stored schema cannot be streamed");
        Problem::new(Code::Internal, "the stored schema cannot be streamed")
    };
    let projection = Projection::new(Arc::clone(&first.footer), &leaves).map_err(|error| broken(&error))?;
    let tasks: Vec<Task> = resolved
        .files
        .iter()
        .map(|file| Task { file: Arc::clone(file), row_groups: 0..file.index.row_groups.len() })
        .collect();
    let encoding = |error: &dyn std::fmt::Display| ProduceError::Broken(error.to_string());
    let (head, produced, tail) = match format {
        Format::Csv => {
            let encoder = CsvEncoder::new(projection.schema()).map_err(|error| {
                Problem::new(Code::NotAcceptable, format!("these columns do not fit into CSV: {error}"))
            })?;
            let head = encoder.header();
            let encode = move |batch: &gateway_stream::batches::Batch| {
                encoder.encode(&batch.records).map(|bytes| vec![bytes]).map_err(|error| encoding(&error))
            };
            (head, produce(&gateway.tasks, leaves, tasks, encode), Bytes::new())
        }
        Format::JsonLines => {
            let encode = move |batch: &gateway_stream::batches::Batch| {
                json_lines(&batch.records).map(|bytes| vec![bytes]).map_err(|error| encoding(&error))
            };
            (Bytes::new(), produce(&gateway.tasks, leaves, tasks, encode), Bytes::new())
        }
        Format::Arrow | Format::Parquet => {
            let (schema, mut encoder) = IpcEncoder::start(projection.schema()).map_err(|error| broken(&error))?;
            let head = schema.stream_parts().concat();
            let encode = move |batch: &gateway_stream::batches::Batch| {
                let messages = encoder.encode(&batch.records).map_err(|error| encoding(&error))?;
                Ok(messages.into_iter().flat_map(gateway_stream::ipc::Message::stream_parts).collect())
            };
            // The end-of-stream marker: a stream that is cut does not have it.
            let tail = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
            (Bytes::from(head), produce(&gateway.tasks, leaves, tasks, encode), tail)
        }
    };
    let hook = quarantine(&gateway, &resolved);
    let mut response = Response::new(Body::new(StreamBody::new(gate, head, produced, tail, hook)));
    describe(response.headers_mut(), format);
    lease_headers(&gateway, response.headers_mut(), &admission, &resolved)?;
    Ok(response)
}

fn describe(headers: &mut HeaderMap, format: Format) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("none"));
}

/// Parquet is a file, with ranges: where the version has exactly one, that is the answer.
fn one_file(resolved: &Resolved) -> Result<Arc<StoredFile>, Problem> {
    if let [file] = resolved.files.as_slice() {
        return Ok(Arc::clone(file));
    }
    let names: Vec<&str> = resolved.version.files.iter().map(|file| file.name.as_str()).collect();
    let detail = format!("the version has several Parquet files, each at files/{{name}}: {}", names.join(", "));
    Err(Problem::new(Code::NotAcceptable, detail))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn accept_is_negotiated() {
        let choose = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            Format::choose(&headers)
        };
        for (accept, want) in [
            ("*/*", Format::Arrow),
            ("text/csv", Format::Csv),
            ("text/csv;q=0.5, application/jsonl", Format::JsonLines),
            ("application/vnd.apache.parquet, */*;q=0.1", Format::Parquet),
            ("text/csv;q=0, */*;q=0.1", Format::Arrow),
        ] {
            assert_eq!(choose(accept).unwrap(), want, "{accept}");
        }
        assert!(choose("image/png").is_err());
        assert_eq!(Format::choose(&HeaderMap::new()).unwrap(), Format::Arrow);
    }
}
