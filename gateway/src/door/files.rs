//! Files over HTTPS: ranges, conditions, HEAD; the stored file, or the virtual one without the columns that may not go.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use gateway_api::catalog::ChunkView;
use gateway_api::{Code, Problem, names};
use gateway_stream::range::{self, Answer, Kind};
use gateway_stream::representation::Representation;

use super::query::DataQuery;
use crate::admission::{self, Admission, Preview, Resolved, admit, preview, refusal, resolve};
use crate::authz::Action;
use crate::export::body::IntegrityHook;
use crate::export::{FileBody, Gate, GrantPlan};
use crate::files::StoredFile;
use crate::gateway::Shared;
use crate::rest::datasets::{dataset_id, version_name};
use crate::rest::exchange::{leaf_numbers, size};
use crate::rest::path::Path;
use crate::rest::{Caller, Refused, json_response, upload};

type Target = Path<(String, String, String)>;

/// `GET` and `HEAD …/files/{name}`.
pub async fn get(
    State(gateway): State<Shared>,
    caller: Caller,
    Path((dataset, version, name)): Target,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    if parts.method == Method::HEAD && caller.principal.role == catalog::Role::Broker {
        return upload::offset(&gateway, &caller, &dataset, &version, &name);
    }
    let wanted = find(&gateway, &caller, &dataset, &version, &name, query.as_deref(), &parts.headers).await?;
    respond(&gateway, &caller, wanted, &parts.method, &parts.headers).await
}

/// `GET …/files/{name}/chunks`: what a puller verifies the representation with.
pub async fn chunks(
    State(gateway): State<Shared>,
    caller: Caller,
    Path((dataset, version, name)): Target,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let wanted = find(&gateway, &caller, &dataset, &version, &name, query.as_deref(), &headers).await?;
    let columns = current_columns(&gateway, &caller, &wanted.resolved, wanted.redact)?;
    let representation = wanted.prepare(&gateway, &columns).await?;
    let list: Vec<ChunkView> = representation
        .chunks()
        .into_iter()
        .map(|entry| ChunkView {
            row_group: entry.row_group,
            column: entry.column,
            offset: entry.offset,
            bytes: entry.bytes,
            digest: entry.digest,
        })
        .collect();
    let mut response = json_response(StatusCode::OK, &list);
    if let Ok(etag) = HeaderValue::from_str(representation.etag()) {
        // The tag of what the list describes, not of the list: a puller sends it as If-Range.
        response.headers_mut().insert("kouan-representation", etag);
    }
    Ok(response)
}

/// One file of a version, and who asks for which part of it.
#[derive(Debug)]
pub struct Wanted {
    /// The version and its surroundings.
    pub resolved: Resolved,
    /// Which of its files.
    pub file: Arc<StoredFile>,
    /// Whether to leave out what may not go.
    pub redact: bool,
}

async fn find(
    gateway: &Shared,
    caller: &Caller,
    dataset: &str,
    version: &str,
    name: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Wanted, Refused> {
    caller.may(Action::Consume)?;
    let query = DataQuery::parse(query, headers)?;
    let ask = query.ask(dataset_id(dataset)?, version_name(version)?);
    let resolved = resolve(gateway, Arc::clone(&caller.snapshot), &caller.principal, &ask, caller.now).await?;
    let position = resolved.version.files.iter().position(|file| file.name == name);
    let file = position.and_then(|position| resolved.files.get(position)).cloned().ok_or_else(|| {
        let files: Vec<&str> = resolved.version.files.iter().map(|file| file.name.as_str()).collect();
        let name: String = name.chars().take(200).collect();
        Problem::new(Code::NotFound, format!("version `{version}` has no file `{name}`; it has {}", files.join(", ")))
    })?;
    Ok(Wanted { resolved, file, redact: query.redact })
}

/// The columns of a live lease, else those that a decision now would give; nothing is recorded.
///
/// # Errors
/// The refusal, with its explanation.
pub fn current_columns(
    gateway: &Shared,
    caller: &Caller,
    resolved: &Resolved,
    redact: bool,
) -> Result<Vec<String>, Problem> {
    if let Some(lease) = admission::live(gateway, &caller.principal, resolved, redact)? {
        return Ok(lease.columns);
    }
    admission::uncut(gateway, &caller.principal, resolved)?;
    let preview: Preview = preview(gateway, resolved, redact)?;
    match preview.admits() {
        Some(judgement) => Ok(judgement.columns.clone()),
        None => Err(refusal(resolved.viewer(), preview.refused())),
    }
}

impl Wanted {
    /// Builds the representation where blocking is allowed: a wide table's footer takes a while.
    async fn prepare(&self, gateway: &Shared, columns: &[String]) -> Result<Arc<Representation>, Problem> {
        let (files, file) = (Arc::clone(&gateway.files), Arc::clone(&self.file));
        let leaves = leaf_numbers(&self.resolved, columns);
        tokio::task::spawn_blocking(move || files.representation(&file, &leaves))
            .await
            .map_err(admission::unavailable)?
            .map_err(|error| Problem::new(Code::BadInput, error.to_string()))
    }

    fn representation(&self, gateway: &Shared, columns: &[String]) -> Result<Arc<Representation>, Problem> {
        gateway
            .files
            .representation(&self.file, &leaf_numbers(&self.resolved, columns))
            .map_err(|error| Problem::new(Code::BadInput, error.to_string()))
    }
}

/// The request's own view of the header fields that decide the answer.
fn answer(method: &Method, headers: &HeaderMap, representation: &Representation) -> Answer {
    let text = |name: header::HeaderName| -> Option<String> {
        let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    };
    let (range, if_range) = (text(header::RANGE), text(header::IF_RANGE));
    let (if_match, if_none_match) = (text(header::IF_MATCH), text(header::IF_NONE_MATCH));
    let request = range::Request {
        method: method.as_str(),
        range: range.as_deref(),
        if_range: if_range.as_deref(),
        if_match: if_match.as_deref(),
        if_none_match: if_none_match.as_deref(),
        if_modified_since: None,
        if_unmodified_since: None,
    };
    let target = range::Target {
        bytes: representation.bytes(),
        etag: representation.etag(),
        last_modified: None,
        content_type: names::PARQUET,
    };
    range::answer(&request, &target)
}

/// Sends the file or a part of it, as the header fields ask.
pub async fn respond(
    gateway: &Shared,
    caller: &Caller,
    wanted: Wanted,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Refused> {
    // What sends no data byte decides without a lease: HEAD, and conditions that are not met.
    let columns = current_columns(gateway, caller, &wanted.resolved, wanted.redact);
    let columns = match columns {
        Ok(columns) => columns,
        // A refused GET is recorded; a refused HEAD moves nothing.
        Err(problem) if *method == Method::HEAD => return Err(problem.into()),
        Err(_) => Vec::new(),
    };
    if !columns.is_empty() {
        let representation = wanted.prepare(gateway, &columns).await?;
        let answer = answer(method, headers, &representation);
        if answer.parts.is_empty() {
            return Ok(bodiless(&answer, &representation));
        }
    }
    let plan = |columns: &[String]| -> Result<GrantPlan, Problem> {
        let representation = wanted.representation(gateway, columns)?;
        let parts = answer(method, headers, &representation).parts;
        Ok(GrantPlan { representation: representation.etag().trim_matches('"').to_owned(), parts })
    };
    let (admission, admitted) = admit(gateway, &caller.principal, &wanted.resolved, wanted.redact, plan).await?;
    let representation = wanted.representation(gateway, admission.columns())?;
    let answer = answer(method, headers, &representation);
    let gate = Gate::open(Arc::clone(gateway), admitted);
    let multipart = match &answer.kind {
        Kind::Multipart(multipart) => Some((multipart.heads.clone(), multipart.tail.clone())),
        _ => None,
    };
    let hook = quarantine(gateway, &wanted.resolved);
    let body =
        FileBody::new(gate, Arc::clone(&wanted.file), &representation, &answer.parts, multipart).on_integrity(hook);
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    describe(response.headers_mut(), &answer, &representation);
    lease_headers(gateway, response.headers_mut(), &admission, &wanted.resolved)?;
    Ok(response)
}

/// Quarantines the version when its stored bytes turn out not to be what was inspected.
pub fn quarantine(gateway: &Shared, resolved: &Resolved) -> IntegrityHook {
    let (gateway, dataset, version) =
        (Arc::clone(gateway), resolved.version.dataset.clone(), resolved.version.version.clone());
    IntegrityHook(Box::new(move |error| {
        let finding = error.to_string();
        let tasks = gateway.tasks.clone();
        tasks.spawn(async move { gateway.quarantine(&dataset, &version, &finding).await });
    }))
}

/// Adds `kouan-lease`, `kouan-leaf` and, where it costs, `kouan-price`.
pub fn lease_headers(
    gateway: &Shared,
    headers: &mut HeaderMap,
    admission: &Admission,
    resolved: &Resolved,
) -> Result<(), Problem> {
    if let Ok(lease) = HeaderValue::from_str(admission.lease.id.as_str()) {
        headers.insert(names::LEASE, lease);
    }
    headers.insert(names::LEAF, HeaderValue::from(admission.lease.leaf));
    let price = &resolved.version.manifest.offer.price;
    if price.model != catalog::PriceModel::Free {
        let (_, _, amount) = size(gateway, resolved, admission.columns())?;
        if let Ok(price) = HeaderValue::from_str(&format!("{amount} {}", price.currency.as_str())) {
            headers.insert(names::PRICE, price);
        }
    }
    Ok(())
}

fn describe(headers: &mut HeaderMap, answer: &Answer, representation: &Representation) {
    let content_type = match &answer.kind {
        Kind::Multipart(multipart) => format!("multipart/byteranges; boundary={}", multipart.boundary),
        _ => names::PARQUET.to_owned(),
    };
    let mut set = |name: header::HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, &content_type);
    set(header::ETAG, representation.etag());
    set(header::ACCEPT_RANGES, "bytes");
    set(header::CACHE_CONTROL, "private, no-cache");
    if let Some(range) = &answer.content_range {
        set(header::CONTENT_RANGE, range);
    }
    if let Some(length) = answer.content_length {
        set(header::CONTENT_LENGTH, &length.to_string());
    }
    if let Some(sha256) = representation.sha256() {
        let digest = base64::engine::general_purpose::STANDARD.encode(sha256.as_bytes());
        set(header::HeaderName::from_static("repr-digest"), &format!("sha-256=:{digest}:"));
    }
}

fn bodiless(answer: &Answer, representation: &Representation) -> Response {
    let problem = match answer.kind {
        Kind::PreconditionFailed => Some(Problem::new(
            Code::PreconditionFailed,
            format!("the representation's entity tag is {}", representation.etag()),
        )),
        Kind::Unsatisfiable => Some(Problem::new(
            Code::RangeNotSatisfiable,
            format!("the representation has {} bytes, and the range is not in it", representation.bytes()),
        )),
        _ => None,
    };
    let mut response = if let Some(problem) = problem {
        Refused::from(problem).into_response()
    } else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        response
    };
    let kept = response.headers().get(header::CONTENT_TYPE).cloned();
    describe(response.headers_mut(), answer, representation);
    if let Some(kept) = kept {
        response.headers_mut().insert(header::CONTENT_TYPE, kept);
        response.headers_mut().remove("repr-digest");
    }
    response
}
