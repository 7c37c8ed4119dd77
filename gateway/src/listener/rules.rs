//! What every request must satisfy before a front door sees it, and what every response carries.
//!
//! A browser with a client certificate is a confused deputy: any page can make it send requests
//! under its user's identity. So requests that a foreign page caused are refused (Fetch Metadata,
//! Origin), media types that a plain form can send are not taken, and no response ever allows
//! another origin to read it: there is no CORS.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use futures::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};

use super::problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// The media types that POST takes under a path. The first matching prefix counts.
#[derive(Debug, Clone, Copy)]
pub struct PostTypes {
    /// A path and everything below it.
    pub prefix: &'static str,
    /// Essences, in lower case, without parameters.
    pub types: &'static [&'static str],
}

/// What [`Rules::default`] takes. Forms are for the console, which demands its token with them.
pub const POST_TYPES: &[PostTypes] = &[
    PostTypes {
        prefix: "/v1",
        types: &[
            "application/json",
            "application/toml",
            "application/octet-stream",
            "application/pkix-crl",
            "application/x-pem-file",
        ],
    },
    PostTypes { prefix: "/console", types: &["application/x-www-form-urlencoded", "multipart/form-data"] },
];

/// Where the browser rules hold.
pub const BROWSER_PREFIXES: &[&str] = &["/v1", "/console"];

/// The rules as data.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Our own origins, such as `https://localhost:8443`, in lower case.
    pub origins: BTreeSet<String>,
    /// Where the browser rules and `Cache-Control: no-store` hold.
    pub browser_prefixes: &'static [&'static str],
    /// What POST takes.
    pub post_types: &'static [PostTypes],
}

impl Default for Rules {
    /// The rules of DESIGN with no origin of our own: every `Origin` is foreign.
    fn default() -> Self {
        Self { origins: BTreeSet::new(), browser_prefixes: BROWSER_PREFIXES, post_types: POST_TYPES }
    }
}

/// Why a request is refused, in the order in which the reasons are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// RFC 9112 §3.2, RFC 9113 §8.3.1.
    #[error("the request names no host: send exactly one `Host` header or `:authority`")]
    HostMissing,
    /// RFC 9112 §3.2.
    #[error("the request has several `Host` headers: send exactly one")]
    HostTwice,
    /// RFC 9112 §3.2.
    #[error("the host of the request is not `host` or `host:port`")]
    HostInvalid,
    /// RFC 9113 §8.3.1: intermediaries would disagree about whose request it is.
    #[error("`Host` and the request target name different hosts")]
    HostDiffers,
    /// Fetch Metadata.
    #[error("the request was caused by a page of another site, or by something other than a navigation")]
    CrossSite,
    /// RFC 6454.
    #[error("the request comes from an origin that is not this gateway's")]
    ForeignOrigin,
    /// RFC 9110 §15.5.16.
    #[error("POST here does not take this `Content-Type`: `Accept-Post` lists what it takes")]
    MediaType,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::HostMissing | Self::HostTwice | Self::HostInvalid | Self::HostDiffers => StatusCode::BAD_REQUEST,
            Self::CrossSite | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// The code of the problem, which tells a program what to do.
    fn code(self) -> &'static str {
        match self {
            Self::HostMissing | Self::HostTwice | Self::HostInvalid | Self::HostDiffers => "bad_input",
            Self::CrossSite | Self::ForeignOrigin => "forbidden",
            Self::MediaType => "unsupported_media_type",
        }
    }

    /// The rule, for metrics.
    fn rule(self) -> &'static str {
        match self {
            Self::HostMissing => "host_missing",
            Self::HostTwice => "host_twice",
            Self::HostInvalid => "host_invalid",
            Self::HostDiffers => "host_differs",
            Self::CrossSite => "cross_site",
            Self::ForeignOrigin => "foreign_origin",
            Self::MediaType => "media_type",
        }
    }
}

impl Rules {
    /// The rules of DESIGN for a gateway that browsers reach under `origins`
    /// (`scheme://host[:port]`, without the default port, as a browser writes them).
    pub fn new<O: AsRef<str>>(origins: impl IntoIterator<Item = O>) -> Self {
        Self {
            origins: origins
                .into_iter()
                .map(|origin| origin.as_ref().trim_end_matches('/').to_ascii_lowercase())
                .collect(),
            ..Self::default()
        }
    }

    /// Checks a request's head; `empty` says that it has no body.
    ///
    /// # Errors
    ///
    /// The first [`Refusal`] that applies.
    pub fn check(&self, head: &Parts, empty: bool) -> Result<(), Refusal> {
        check_host(head)?;
        if self.is_browser_path(head.uri.path()) {
            self.check_browser(&head.method, &head.headers)?;
        }
        self.check_media_type(head, empty)
    }

    fn is_browser_path(&self, path: &str) -> bool {
        self.browser_prefixes.iter().any(|prefix| is_below(path, prefix))
    }

    fn check_browser(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
        match (sites.next().map(HeaderValue::as_bytes), sites.next()) {
            (None, _) | (Some(b"same-origin"), None) => {}
            // Typed, a bookmark, or another program: nobody else's page is behind it. But only
            // a navigation shows the user what happened, and only GET changes nothing.
            (Some(b"none"), None)
                if method == Method::GET
                    && headers.get(SEC_FETCH_MODE).is_some_and(|mode| mode.as_bytes() == b"navigate") => {}
            _ => return Err(Refusal::CrossSite),
        }
        // Browsers that do not send Fetch Metadata do send Origin with what can change anything.
        for origin in headers.get_all(ORIGIN) {
            let ours = origin.to_str().is_ok_and(|origin| self.origins.contains(&origin.to_ascii_lowercase()));
            if !ours {
                return Err(Refusal::ForeignOrigin);
            }
        }
        Ok(())
    }

    fn post_types(&self, path: &str) -> Option<&'static [&'static str]> {
        self.post_types.iter().find(|rule| is_below(path, rule.prefix)).map(|rule| rule.types)
    }

    fn check_media_type(&self, head: &Parts, empty: bool) -> Result<(), Refusal> {
        if head.method != Method::POST {
            return Ok(());
        }
        let Some(types) = self.post_types(head.uri.path()) else {
            return Ok(());
        };
        let mut sent = head.headers.get_all(CONTENT_TYPE).iter();
        let (first, second) = (sent.next(), sent.next());
        let Some(first) = first else {
            return if empty { Ok(()) } else { Err(Refusal::MediaType) };
        };
        let essence = first
            .to_str()
            .ok()
            .and_then(|value| value.split(';').next())
            .map(|essence| essence.trim().to_ascii_lowercase());
        let known = essence.is_some_and(|essence| types.contains(&essence.as_str()));
        if known && second.is_none() { Ok(()) } else { Err(Refusal::MediaType) }
    }

    fn refuse(&self, refusal: Refusal, path: &str) -> Response<Body> {
        metrics::counter!("kouan_requests_refused_total", "rule" => refusal.rule()).increment(1);
        let detail = refusal.to_string();
        let mut response = problem::response(refusal.status(), refusal.code(), &detail);
        if refusal == Refusal::MediaType
            && let Some(types) = self.post_types(path)
            && let Ok(types) = HeaderValue::from_str(&types.join(", "))
        {
            response.headers_mut().insert(ACCEPT_POST, types);
        }
        response
    }
}

/// Adds what every response carries, without overriding what a front door has set.
fn finish(browsers: bool, headers: &mut HeaderMap) {
    let mut absent = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    // A corpus is data whatever it looks like: never let a browser guess that it is a page.
    absent(X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Addresses name datasets and leases.
    absent(REFERRER_POLICY, "no-referrer");
    if browsers {
        // What one certificate may see must not be kept for whoever comes next.
        absent(CACHE_CONTROL, "no-store");
    }
}

/// `path` is `prefix` or lies below it.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn check_host(head: &Parts) -> Result<(), Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Refusal::HostTwice);
    }
    let target = head.uri.authority();
    let host = match host {
        None => None,
        Some(host) => Some(Authority::try_from(host.as_bytes()).map_err(|_| Refusal::HostInvalid)?),
    };
    // Each alone must be right, a part before `@` is a trap for readers.
    if [host.as_ref(), target]
        .into_iter()
        .flatten()
        .any(|authority| authority.as_str().contains('@') || authority.host().is_empty())
    {
        return Err(Refusal::HostInvalid);
    }
    match (&host, target) {
        (None, None) => Err(Refusal::HostMissing),
        // RFC 9112 §3.2: an HTTP/1.1 request has a Host even if its target has an authority.
        (None, Some(_)) if head.version < Version::HTTP_2 => Err(Refusal::HostMissing),
        (Some(host), Some(target)) if host != target => Err(Refusal::HostDiffers),
        _ => Ok(()),
    }
}

/// Applies [`Rules`] around a service.
#[derive(Debug, Clone)]
pub struct RulesLayer {
    rules: Arc<Rules>,
}

impl RulesLayer {
    /// A layer of these rules.
    pub fn new(rules: Rules) -> Self {
        Self { rules: Arc::new(rules) }
    }
}

impl<S> tower::Layer<S> for RulesLayer {
    type Service = Ruled<S>;

    fn layer(&self, inner: S) -> Ruled<S> {
        Ruled { inner, rules: Arc::clone(&self.rules) }
    }
}

/// A service behind [`Rules`].
#[derive(Debug, Clone)]
pub struct Ruled<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S, B> tower::Service<Request<B>> for Ruled<S>
where
    S: tower::Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
    B: http_body::Body,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let rules = Arc::clone(&self.rules);
        let (head, body) = request.into_parts();
        let browsers = rules.is_browser_path(head.uri.path());
        match rules.check(&head, body.is_end_stream()) {
            Ok(()) => {
                let answer = self.inner.call(Request::from_parts(head, body));
                Box::pin(async move {
                    let mut response = answer.await?;
                    finish(browsers, response.headers_mut());
                    Ok(response)
                })
            }
            Err(refusal) => {
                let mut response = rules.refuse(refusal, head.uri.path());
                finish(browsers, response.headers_mut());
                Box::pin(std::future::ready(Ok(response)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
