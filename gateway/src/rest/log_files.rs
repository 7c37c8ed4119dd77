//! `GET /log/…`: the published files, byte for byte as they lie under the data directory (C2SP tlog-tiles).

use std::io::Write as _;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use catalog::Digest;
use flate2::Compression;
use flate2::write::GzEncoder;
use gateway_api::{Code, Problem};
use gateway_audit::tiles::{TileLevel, TilePath};

use super::{Caller, Refused};
use crate::access::{self, Read};
use crate::authz::Action;
use crate::gateway::Shared;
use crate::rest::path::Path;

/// What never changes may be kept, by whoever was allowed to fetch it.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// The canonical facts of a decision, `facts/<64 hex>.json`: a copy of the log verifies with them.
fn facts(gateway: &Shared, name: &str) -> Result<Response, Refused> {
    let missing = || Problem::new(Code::NotFound, "there are no such facts");
    let digest = name.strip_suffix(".json").and_then(|hex| Digest::parse(hex).ok()).ok_or_else(missing)?;
    let bytes = gateway.look(|reader| reader.facts(&digest))?.ok_or_else(missing)?;
    let kind = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, IMMUTABLE)], bytes).into_response())
}

/// `GET /log/…`.
pub async fn get(
    State(gateway): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Path(path): Path<String>,
) -> Result<Response, Refused> {
    let missing = || Problem::new(Code::NotFound, "there is no such file in the log");
    if let Some(name) = path.strip_prefix("facts/") {
        caller.may(Action::ReadLog)?;
        let answer = facts(&gateway, name)?;
        access::record(&gateway, &caller.principal, &Read::Files, None).await?;
        return Ok(answer);
    }
    if path == "checkpoint.witnessed" {
        caller.may(Action::ReadTiles)?;
        let seen = gateway.witnessing.witnessed().ok_or_else(missing)?;
        access::record(&gateway, &caller.principal, &Read::Files, None).await?;
        let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
        return Ok((headers, seen.checkpoint.to_string()).into_response());
    }
    let tile: Option<TilePath> = path.parse().ok();
    if path != "checkpoint" && tile.is_none() {
        return Err(missing().into());
    }
    let entries = tile.as_ref().is_some_and(|tile| tile.level() == TileLevel::Entries);
    caller.may(if entries { Action::ReadLog } else { Action::ReadTiles })?;
    let range = tile.as_ref().filter(|_| entries).and_then(|tile| {
        let first = tile.first_entry()?;
        Some((first, first + u64::from(tile.width()) - 1))
    });
    // A parsed tile path prints as itself: digits, `x`, `p` and slashes, so it stays in the folder.
    let name = tile.map_or_else(|| "checkpoint".to_owned(), |tile| tile.to_string());
    let bytes = match tokio::fs::read(gateway.config.data.join("log").join(name)).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing().into()),
        Err(error) => return Err(crate::admission::unavailable(error).into()),
    };
    access::record(&gateway, &caller.principal, &Read::Files, range).await?;
    if path == "checkpoint" {
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        let fresh = HeaderValue::from_static("no-store");
        return Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, fresh)], bytes).into_response());
    }
    let kind = HeaderValue::from_static("application/octet-stream");
    let mut answer = ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, IMMUTABLE)], ()).into_response();
    // Hashes do not compress; entries do, to a third.
    if entries {
        answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    let bytes = if entries && takes_gzip(&headers) {
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        tokio::task::spawn_blocking(move || gzip(&bytes)).await.map_err(crate::admission::unavailable)??
    } else {
        bytes
    };
    *answer.body_mut() = Body::from(bytes);
    Ok(answer)
}

/// Whether the client names gzip, or any coding, and does not refuse it (RFC 9110 §12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let weights = codings.flat_map(|value| value.split(',')).filter_map(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight: f32 =
            weight.trim().strip_prefix("q=").or_else(|| weight.trim().strip_prefix("Q="))?.parse().ok()?;
        Some((name.trim().to_ascii_lowercase(), weight > 0.0))
    });
    let (mut gzip, mut any) = (None, None);
    for (name, taken) in weights {
        match name.as_str() {
            "gzip" | "x-gzip" => gzip = Some(taken),
            "*" => any = Some(taken),
            _ => {}
        }
    }
    gzip.or(any).unwrap_or(false)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.map_err(crate::admission::unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_name_it() {
        for (value, taken) in [
            ("gzip", true),
            ("gzip, identity", true),
            ("identity, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("identity", false),
            ("br, deflate", false),
            ("gzip;q=x", false),
            ("", false),
        ] {
            let headers =
                HeaderMap::from_iter(HeaderValue::try_from(value).map(|value| (header::ACCEPT_ENCODING, value)));
            assert_eq!(takes_gzip(&headers), taken, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
