//! Who calls, and what they sent: the extractors that every handler starts from.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use gateway_api::participant::Whoami;
use gateway_api::{Code, Problem, names};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::change::{Repeatable, answered};
use super::{Refused, json_response};
use crate::authz::{Action, Scope, authorise};
use crate::clock;
use crate::gateway::Shared;
use crate::identity::Principal;
use crate::listener::Peer;
use crate::snapshot::Snapshot;

/// The principal behind a request, and the catalog at the moment it came in.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// The catalog.
    pub snapshot: Arc<Snapshot>,
    /// When.
    pub now: Timestamp,
}

impl Caller {
    /// Whether the principal may do `action`, and within which scope.
    pub fn may(&self, action: Action) -> Result<Scope, Refused> {
        Ok(authorise(&self.principal, action)?)
    }

    /// Identifies the principal of `peer`.
    pub fn of(gateway: &Shared, peer: &Peer) -> Result<Self, Problem> {
        let (snapshot, now) = (gateway.snapshot(), clock::now());
        let principal = Principal::of(peer, &snapshot, &gateway.secrets.vault, now)?;
        Ok(Self { principal, snapshot, now })
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, gateway: &Shared) -> Result<Self, Refused> {
        let Some(peer) = parts.extensions.get::<Peer>() else {
            // The listener adds it to every request: without it there is no identity (INV-7).
            return Err(Problem::new(Code::Unauthenticated, "the request came without a verified certificate").into());
        };
        Ok(Self::of(gateway, peer)?)
    }
}

/// A body as JSON, and what makes repeating it safe.
#[derive(Debug, Clone)]
pub struct Posted<T> {
    /// The parsed body.
    pub value: T,
    /// What makes it the same request: the digest of method, path and body, and `Idempotency-Key`.
    pub request: Repeatable,
}

/// A body as sent, for those that are not JSON.
#[derive(Debug, Clone)]
pub struct PostedBytes {
    /// The body.
    pub bytes: bytes::Bytes,
    /// Media type without parameters, lower case.
    pub media_type: String,
    /// What makes it the same request.
    pub request: Repeatable,
}

impl FromRequest<Shared> for PostedBytes {
    type Rejection = Refused;

    async fn from_request(request: Request<Body>, gateway: &Shared) -> Result<Self, Refused> {
        let key = idempotency_key(&request)?;
        let media_type = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(|value| value.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
            .unwrap_or_default();
        let max = gateway.config.limits.json_body_bytes_max;
        let (mut parts, body) = request.into_parts();
        let too_large =
            || Problem::new(Code::TooLarge, format!("the body is longer than {max} bytes, the most this path takes"));
        let length =
            parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > max) {
            return Err(too_large().into());
        }
        let read = tokio::time::timeout(gateway.config.idle(), Limited::new(body, max).collect()).await;
        let bytes = match read {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => return Err(too_large().into()),
            Ok(Err(error)) => return Err(Problem::new(Code::BadInput, format!("the body broke off: {error}")).into()),
            Err(_) => return Err(Problem::new(Code::BadInput, "the body did not arrive in time").into()),
        };
        let mut hasher = catalog::digest::Hasher::default();
        for part in [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), &bytes] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let repeatable = Repeatable { digest: hasher.finish(), key };
        if repeatable.key.is_some() {
            // Before anything is looked at: a key that was used for another request is refused whatever the rest says.
            let caller = Caller::from_request_parts(&mut parts, gateway).await?;
            answered(gateway, &caller, &repeatable)?;
        }
        Ok(Self { bytes, media_type, request: repeatable })
    }
}

fn idempotency_key(request: &Request<Body>) -> Result<Option<String>, Refused> {
    let Some(value) = request.headers().get(names::IDEMPOTENCY_KEY) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=200).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Problem::new(Code::BadInput, "`Idempotency-Key` is 1 to 200 visible ASCII characters").into()),
    }
}

impl<T: DeserializeOwned> FromRequest<Shared> for Posted<T> {
    type Rejection = Refused;

    async fn from_request(request: Request<Body>, gateway: &Shared) -> Result<Self, Refused> {
        let PostedBytes { bytes, media_type, request } = PostedBytes::from_request(request, gateway).await?;
        if !media_type.is_empty() && media_type != "application/json" {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                format!("`{media_type}` is not taken here: send application/json"),
            )
            .into());
        }
        // An absent body is an empty object: actions without arguments need none.
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        let value = serde_json::from_slice(text)
            .map_err(|error| Problem::new(Code::BadInput, format!("the JSON body: {error}")))?;
        Ok(Self { value, request })
    }
}

/// `GET /v1/whoami`.
pub async fn whoami(State(_): State<Shared>, caller: Caller) -> Response {
    let principal = &caller.principal;
    json_response(
        StatusCode::OK,
        &Whoami {
            principal: principal.spiffe(),
            participant: principal.participant.clone(),
            role: principal.role,
            roles: principal.record.roles.clone(),
            authority: principal.authority,
            certificate_expires: clock::text(principal.verified.not_after()),
        },
    )
}
