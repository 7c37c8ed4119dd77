//! `PUT …/files/{name}`: a version's files, resumable. What has arrived is durable; a wrong offset is answered with the
//! right one. The last byte starts the inspection.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use catalog::id::is_file_name;
use catalog::{DatasetId, VersionName, VersionState};
use gateway_api::{Code, Problem, names};
use gateway_store::UploadError;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::datasets::{dataset_id, find, version_name};
use super::{Caller, Refused, intake, json_response};
use crate::authz::{Action, authorise};
use crate::gateway::Shared;
use crate::rest::path::Path;

/// Appended and synced at a time.
const SLICE_BYTES: usize = 4 << 20;

/// Where a request's bytes belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    from: u64,
    /// Length of the whole file, if the request says.
    total: Option<u64>,
    /// Bytes of this request, if it says.
    bytes: Option<u64>,
}

impl Place {
    /// From `Content-Range: bytes a-b/total` (RFC 9110 §14.4), else the whole file.
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let Some(value) = headers.get(header::CONTENT_RANGE) else {
            return Ok(Self { from: 0, total: length, bytes: length });
        };
        let wrong = || Problem::new(Code::BadInput, "`Content-Range` is `bytes FIRST-LAST/TOTAL`, with numbers");
        let text = value.to_str().map_err(|_| wrong())?;
        let (range, total) = text.strip_prefix("bytes ").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let (first, last) = range.split_once('-').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        let (first, last, total) = (number(first)?, number(last)?, number(total)?);
        if first > last || last >= total {
            return Err(wrong());
        }
        let bytes = last - first + 1;
        if length.is_some_and(|length| length != bytes) {
            return Err(Problem::new(Code::BadInput, "`Content-Length` is not the length of the `Content-Range`"));
        }
        Ok(Self { from: first, total: Some(total), bytes: Some(bytes) })
    }
}

/// The version that is being filled, and the file's name.
fn target(caller: &Caller, dataset: &str, version: &str, name: &str) -> Result<(DatasetId, VersionName), Problem> {
    let scope = authorise(&caller.principal, Action::Register)?;
    let doc = find(caller, &scope, dataset, version)?;
    if !scope.covers_any([&doc.provider, &doc.registrant]) {
        return Err(Problem::new(Code::NotFound, "there is no such version for you"));
    }
    if !matches!(doc.state, VersionState::Draft | VersionState::Inspected) {
        let detail =
            format!("version `{version}` is {}: its files are fixed; register another version", doc.state.as_str());
        return Err(Problem::new(Code::Conflict, detail));
    }
    if !is_file_name(name) {
        let detail = "a file name is 1 to 200 of A-Z, a-z, 0-9, `.`, `_` and `-`, no leading dot";
        return Err(Problem::new(Code::BadInput, detail));
    }
    Ok((dataset_id(dataset)?, version_name(version)?))
}

fn refused(error: UploadError) -> Problem {
    match error {
        UploadError::Offset { right: expected, .. } => {
            Problem::new(Code::WrongOffset, format!("the upload continues at byte {expected}")).with("offset", expected)
        }
        UploadError::Full => Problem::new(Code::Unavailable, "the disk is full: what has arrived is kept"),
        UploadError::Name(_) => Problem::new(Code::BadInput, error.to_string()),
        UploadError::Busy(_) => Problem::new(Code::Conflict, error.to_string()),
        error @ UploadError::File { .. } => crate::admission::unavailable(error),
    }
}

/// `HEAD …/files/{name}` by a broker: `Upload-Offset` is the first byte that is still missing.
pub fn offset(
    gateway: &Shared,
    caller: &Caller,
    dataset: &str,
    version: &str,
    name: &str,
) -> Result<Response, Refused> {
    let (dataset, version) = target(caller, dataset, version, name)?;
    let offset = gateway.uploads.offset(&dataset, &version, name).map_err(refused)?;
    Ok((StatusCode::OK, [(names::UPLOAD_OFFSET, HeaderValue::from(offset))]).into_response())
}

/// `PUT …/files/{name}`: 202 with `Upload-Offset` while bytes are missing, 201 with the stored file after the last.
pub async fn put(
    State(gateway): State<Shared>,
    caller: Caller,
    Path((dataset, version, name)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let (dataset, version) = target(&caller, &dataset, &version, &name)?;
    let place = Place::of(request.headers())?;
    if place.total == Some(0) {
        return Err(Problem::new(
            Code::BadInput,
            format!("`{name}` is empty, which is no file of any format that is taken"),
        )
        .into());
    }
    // What room there is now is for what has already happened.
    if *gateway.records.halted().borrow() {
        return Err(refused(UploadError::Full).into());
    }
    let max = gateway.config.limits.upload_bytes_max;
    if place.total.is_some_and(|total| total > max) || place.bytes.is_some_and(|bytes| bytes > max) {
        return Err(Problem::new(Code::TooLarge, format!("a file is at most {max} bytes")).into());
    }
    let at = receive(&gateway, &dataset, &version, &name, place, request.into_body(), max).await?;
    let total = place.total.unwrap_or(at);
    if at < total {
        let body = json!({"name": name, "offset": at, "total": total});
        let mut response = json_response(StatusCode::ACCEPTED, &body);
        response.headers_mut().insert(names::UPLOAD_OFFSET, HeaderValue::from(at));
        return Ok(response);
    }
    let stored = intake::take(&gateway, &caller, &dataset, &version, &name).await?;
    let mut response = json_response(StatusCode::CREATED, &stored);
    response.headers_mut().insert(names::UPLOAD_OFFSET, HeaderValue::from(at));
    Ok(response)
}

/// Appends the body slice by slice, each durable before the next; gives the offset after the last.
async fn receive(
    gateway: &Shared,
    dataset: &DatasetId,
    version: &VersionName,
    name: &str,
    place: Place,
    mut body: Body,
    max: u64,
) -> Result<u64, Problem> {
    let mut at = place.from;
    // A fresh upload without an offset starts over: what lay there was another attempt.
    if place.from == 0 {
        let known = gateway.uploads.offset(dataset, version, name).map_err(refused)?;
        if known > 0 && place.total.is_none_or(|total| place.bytes == Some(total)) {
            gateway.uploads.remove(dataset, version, name).map_err(refused)?;
        }
    }
    let mut slice = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(gateway.config.idle(), body.frame()).await;
        let broke = |why: String| {
            Problem::new(Code::BadInput, format!("the upload broke off: {why}; it continues at its `Upload-Offset`"))
        };
        let data = match frame {
            Err(_) => return Err(broke("no bytes for too long".to_owned())),
            Ok(Some(Err(error))) => Err(broke(error.to_string())),
            Ok(Some(Ok(frame))) => Ok(frame.into_data().ok()),
            Ok(None) => Ok(None),
        };
        let (ended, failed) = match data {
            Ok(Some(data)) => {
                slice.extend_from_slice(&data);
                let got = at.saturating_sub(place.from).saturating_add(slice.len() as u64);
                if place.bytes.is_some_and(|bytes| got > bytes) {
                    return Err(Problem::new(
                        Code::BadInput,
                        "more bytes came than `Content-Range` or `Content-Length` says",
                    ));
                }
                (false, None)
            }
            Ok(None) => (true, None),
            // What arrived before the break is kept.
            Err(problem) => (true, Some(problem)),
        };
        if at.saturating_add(slice.len() as u64) > max {
            return Err(Problem::new(Code::TooLarge, format!("a file is at most {max} bytes")));
        }
        if slice.len() >= SLICE_BYTES || (ended && !slice.is_empty()) {
            let (uploads, bytes) = (gateway.uploads.clone(), slice.split().freeze());
            let (dataset, version, name) = (dataset.clone(), version.clone(), name.to_owned());
            at = tokio::task::spawn_blocking(move || uploads.append(&dataset, &version, &name, at, &bytes))
                .await
                .map_err(crate::admission::unavailable)?
                .map_err(refused)?;
        }
        if let Some(problem) = failed {
            return Err(problem.with("offset", at));
        }
        if ended {
            return Ok(at);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn content_range_is_read_strictly() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_RANGE, HeaderValue::from_static(value));
            Place::of(&headers)
        };
        assert_eq!(of("bytes 0-9/100").unwrap(), Place { from: 0, total: Some(100), bytes: Some(10) });
        for bad in ["bytes 9-0/100", "bytes 0-100/100", "bytes */100", "bytes 0-9/*", "0-9/100", "bytes 0-9"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
