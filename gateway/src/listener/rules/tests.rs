#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::type_complexity)]

use super::*;
use axum::Router;
use axum::routing::{any, post};
use http_body_util::BodyExt;
use tower::{Layer, Service};

const OURS: &str = "https://gate.example:8443";

fn rules() -> Rules {
    Rules::new(["https://Gate.example:8443/"])
}

fn head(version: Version, method: Method, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().version(version).method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn hosts() {
    use Refusal as R;
    let (one, two) = (Version::HTTP_11, Version::HTTP_2);
    let cases: [(Version, &str, &[&str], Result<(), Refusal>); 17] = [
        (one, "/", &[], Err(R::HostMissing)),
        (one, "http://a/", &[], Err(R::HostMissing)),
        (one, "/", &["a", "a"], Err(R::HostTwice)),
        (one, "/", &["a", "b"], Err(R::HostTwice)),
        (one, "/", &[""], Err(R::HostInvalid)),
        (one, "/", &["a b"], Err(R::HostInvalid)),
        (one, "/", &["a/b"], Err(R::HostInvalid)),
        (one, "/", &["me@a"], Err(R::HostInvalid)),
        (one, "http://a/", &["b"], Err(R::HostDiffers)),
        (one, "http://a:1/", &["A:1"], Ok(())),
        (one, "/", &["127.0.0.1:8443"], Ok(())),
        (one, "/", &["[::1]:8443"], Ok(())),
        (two, "/", &[], Err(R::HostMissing)),
        (two, "https://a/", &["a", "a"], Err(R::HostTwice)),
        (two, "https://a/", &["b"], Err(R::HostDiffers)),
        (two, "https://a/", &[], Ok(())),
        (two, "https://a/", &["a"], Ok(())),
    ];
    for (version, uri, hosts, want) in cases {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        let head = head(version, Method::GET, uri, &headers);
        assert_eq!(rules().check(&head, true), want, "{version:?} {uri} {hosts:?}");
    }
}

#[test]
fn browsers() {
    use Refusal::{CrossSite, ForeignOrigin};
    let get = Method::GET;
    let cases: [(&Method, &[(&str, &str)], Result<(), Refusal>); 21] = [
        (&get, &[], Ok(())),
        (&Method::POST, &[], Ok(())),
        (&get, &[("sec-fetch-site", "same-origin")], Ok(())),
        (&Method::POST, &[("sec-fetch-site", "same-origin")], Ok(())),
        (&Method::POST, &[("sec-fetch-site", "same-origin"), ("origin", OURS)], Ok(())),
        (&get, &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], Ok(())),
        (&get, &[("sec-fetch-site", "none")], Err(CrossSite)),
        (&get, &[("sec-fetch-site", "none"), ("sec-fetch-mode", "cors")], Err(CrossSite)),
        (&Method::POST, &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], Err(CrossSite)),
        (&Method::HEAD, &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], Err(CrossSite)),
        (&get, &[("sec-fetch-site", "same-site")], Err(CrossSite)),
        (&get, &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], Err(CrossSite)),
        (&get, &[("sec-fetch-site", "")], Err(CrossSite)),
        (&get, &[("sec-fetch-site", "Same-Origin")], Err(CrossSite)),
        (&get, &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")], Err(CrossSite)),
        (&Method::OPTIONS, &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], Err(CrossSite)),
        (&get, &[("origin", "https://evil.example")], Err(ForeignOrigin)),
        (&Method::OPTIONS, &[("origin", "https://evil.example")], Err(ForeignOrigin)),
        (&Method::POST, &[("origin", "null")], Err(ForeignOrigin)),
        (&Method::POST, &[("origin", "https://gate.example")], Err(ForeignOrigin)),
        (&Method::POST, &[("origin", OURS), ("origin", "https://evil.example")], Err(ForeignOrigin)),
    ];
    for (method, headers, want) in cases {
        for path in ["/v1", "/v1/datasets", "/console/", "/console/leases"] {
            let mut all = vec![("host", "gate.example:8443")];
            all.extend_from_slice(headers);
            let head = head(Version::HTTP_11, method.clone(), path, &all);
            assert_eq!(rules().check(&head, true), want, "{method} {path} {headers:?}");
        }
        let mut all = vec![("host", "gate.example:8443")];
        all.extend_from_slice(headers);
        for path in ["/", "/v10", "/log/checkpoint"] {
            let head = head(Version::HTTP_11, method.clone(), path, &all);
            assert_eq!(rules().check(&head, true), Ok(()), "{path}");
        }
    }
    let head = head(Version::HTTP_11, Method::GET, "/v1", &[("host", "a"), ("origin", OURS)]);
    let none = Rules::default().check(&head, true);
    assert_eq!(none, Err(ForeignOrigin), "without a configured origin all are foreign");
}

#[test]
fn post_media_types() {
    let refused = Err(Refusal::MediaType);
    let cases: [(Method, &str, &[&str], bool, Result<(), Refusal>); 16] = [
        (Method::POST, "/v1/plan", &["application/json"], false, Ok(())),
        (Method::POST, "/v1/plan", &["Application/JSON; charset=utf-8"], false, Ok(())),
        (Method::POST, "/v1/datasets", &["application/toml"], false, Ok(())),
        (Method::POST, "/v1/x", &["application/octet-stream"], false, Ok(())),
        (Method::POST, "/v1/x", &[], true, Ok(())),
        (Method::POST, "/v1/x", &[], false, refused),
        (Method::POST, "/v1/x", &[""], false, refused),
        (Method::POST, "/v1/x", &["text/plain"], false, refused),
        (Method::POST, "/v1/x", &["text/plain"], true, refused),
        (Method::POST, "/v1/x", &["application/json", "text/plain"], false, refused),
        (Method::POST, "/v1/x", &["application/x-www-form-urlencoded"], false, refused),
        (Method::POST, "/v1/x", &["multipart/form-data; boundary=b"], false, refused),
        (Method::POST, "/console/x", &["application/x-www-form-urlencoded"], false, Ok(())),
        (Method::POST, "/console/x", &["application/json"], false, refused),
        (Method::PUT, "/v1/x", &["text/plain"], false, Ok(())),
        (Method::POST, "/arrow.flight.protocol.FlightService/DoGet", &["application/grpc"], false, Ok(())),
    ];
    for (method, path, types, empty, want) in cases {
        let mut headers = vec![("host", "a")];
        headers.extend(types.iter().map(|value| ("content-type", *value)));
        let head = head(Version::HTTP_11, method, path, &headers);
        assert_eq!(rules().check(&head, empty), want, "{path} {types:?} {empty}");
    }
}

#[test]
fn refusals_have_an_order() {
    // Each step repairs only the fault that the step before it reported.
    let mut headers = vec![
        ("host", "a"),
        ("host", "b@c"),
        ("sec-fetch-site", "cross-site"),
        ("origin", "null"),
        ("content-type", "text/plain"),
    ];
    let check =
        |uri: &str, headers: &[(&str, &str)]| rules().check(&head(Version::HTTP_11, Method::POST, uri, headers), false);
    assert_eq!(check("http://d/v1", &headers), Err(Refusal::HostTwice));
    headers.remove(0);
    assert_eq!(check("http://d/v1", &headers), Err(Refusal::HostInvalid));
    headers.splice(0..1, [("host", "c")]);
    assert_eq!(check("http://d/v1", &headers), Err(Refusal::HostDiffers));
    assert_eq!(check("/v1", &headers), Err(Refusal::CrossSite));
    headers.retain(|(name, _)| *name != "sec-fetch-site");
    assert_eq!(check("/v1", &headers), Err(Refusal::ForeignOrigin));
    headers.retain(|(name, _)| *name != "origin");
    assert_eq!(check("/v1", &headers), Err(Refusal::MediaType));
    headers.retain(|(name, _)| *name != "content-type");
    headers.push(("content-type", "application/json"));
    assert_eq!(check("/v1", &headers), Ok(()));
}

async fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let own_cache = any(|| async { ([(CACHE_CONTROL, "private")], "x") });
    let router = Router::new()
        .route("/v1/x", any(|| async { "x" }))
        .route("/v1/cached", own_cache)
        .route("/v1/post", post(|| async { "x" }))
        .route("/log/x", any(|| async { "x" }));
    let mut service = RulesLayer::new(rules()).layer(router);
    let mut request = Request::builder().method(method).uri(path).header("host", "a");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    service.call(request.body(Body::from("{}")).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_refusal_is_a_problem() {
    let response = ask("POST", "/v1/post", &[("content-type", "text/plain")]).await;
    assert_eq!(response.status(), 415);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let accepted = response.headers()["accept-post"].to_str().unwrap().to_owned();
    assert!(accepted.starts_with("application/json, application/toml"), "{accepted}");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        problem,
        serde_json::json!({
            "type": "urn:kouan:problem:unsupported_media_type",
            "title": "Unsupported Media Type",
            "status": 415,
            "detail": "POST here does not take this `Content-Type`: `Accept-Post` lists what it takes",
            "code": "unsupported_media_type",
        })
    );
    let response = ask("GET", "/v1/x", &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(response.status(), 403);
    let response = ask("GET", "/v1/x", &[("host", "b")]).await;
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn responses_carry_their_headers_and_never_cors() {
    for (method, path, cache) in [
        ("GET", "/v1/x", Some("no-store")),
        ("GET", "/v1/cached", Some("private")),
        ("GET", "/v1/nothing", Some("no-store")),
        ("OPTIONS", "/v1/x", Some("no-store")),
        ("GET", "/log/x", None),
    ] {
        for origin in [OURS, "https://evil.example"] {
            let request = [("origin", origin), ("access-control-request-method", "PUT")];
            let response = ask(method, path, &request).await;
            let headers = response.headers();
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["referrer-policy"], "no-referrer");
            if origin == OURS {
                let got = headers.get(CACHE_CONTROL).map(|value| value.to_str().unwrap());
                assert_eq!(got, cache, "{method} {path}");
            }
            let cors = headers.keys().find(|name| name.as_str().starts_with("access-control"));
            assert_eq!(cors, None, "{method} {path} {origin}");
        }
    }
}
