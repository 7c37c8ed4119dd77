//! One request, kept so that it can be sent again.

use std::time::Duration;

use gateway_api::names;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use serde::Serialize;

use super::failure::TransportError;
use crate::error::CommandError;
use crate::profile::GatewayUrl;

/// A request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path and query, encoded.
    pub target: String,
    /// Headers beyond those that every request has.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// How long to wait for the answer to begin, if not as long as usual.
    pub head_timeout: Option<Duration>,
}

impl Call {
    fn new(method: Method, target: String) -> Self {
        Self { method, target, headers: HeaderMap::new(), body: Bytes::new(), head_timeout: None }
    }

    /// A GET.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new(Method::GET, target.into())
    }

    /// A HEAD.
    pub fn head(target: impl Into<String>) -> Self {
        Self::new(Method::HEAD, target.into())
    }

    /// A PUT of `body`.
    pub fn put(target: impl Into<String>, content_type: &'static str, body: Bytes) -> Self {
        let mut call = Self::new(Method::PUT, target.into());
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        call.body = body;
        call
    }

    /// A POST of `body`, with a fresh idempotency key that every repetition keeps.
    ///
    /// # Errors
    ///
    /// [`CommandError::Usage`] if the system has no randomness.
    pub fn post(target: impl Into<String>, content_type: &'static str, body: Bytes) -> Result<Self, CommandError> {
        let mut call = Self::put(target, content_type, body);
        call.method = Method::POST;
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random)
            .map_err(|error| CommandError::Usage(format!("the operating system gives no randomness: {error}")))?;
        let key = format!("{:032x}", u128::from_be_bytes(random));
        call.header(names::IDEMPOTENCY_KEY, &key)
    }

    /// A POST of JSON.
    pub fn post_json(target: impl Into<String>, body: &impl Serialize) -> Result<Self, CommandError> {
        let body =
            serde_json::to_vec(body).map_err(|error| CommandError::Usage(format!("cannot write JSON: {error}")))?;
        Self::post(target, "application/json", body.into())
    }

    /// Adds a header.
    ///
    /// # Errors
    ///
    /// [`CommandError::Usage`] if the value cannot stand in a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Result<Self, CommandError> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| CommandError::Usage(format!("`{value}` cannot stand in the header `{name}`")))?;
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// Waits longer than usual: the gateway works before it answers.
    #[must_use]
    pub const fn patient(mut self, timeout: Duration) -> Self {
        self.head_timeout = Some(timeout);
        self
    }

    pub(super) fn request(&self, url: &GatewayUrl) -> Result<Request<Full<Bytes>>, TransportError> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.target)
            .header(HOST, &url.authority)
            .header(USER_AGENT, concat!("kouan/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(self.body.clone()))
            .map_err(|error| TransportError::Request(format!("`{}` is not a request target: {error}", self.target)))?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        if !request.headers().contains_key(ACCEPT) {
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
        }
        Ok(request)
    }
}
