//! `GET /v1/datasets/{id}/versions/{v}/card`: the dataset card, as JSON or as a page.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use gateway_api::card::Card;
use gateway_api::{Code, Problem};

use super::datasets::{find, view};
use super::{Caller, Refused, json_response};
use crate::authz::Action;
use crate::gateway::Shared;
use crate::rest::path::Path;

/// How a card may be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Page,
    Json,
}

/// `GET …/card`: whoever may see the version may see its card, which is the same for all of them.
pub async fn get(
    State(gateway): State<Shared>,
    caller: Caller,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let scope = caller.may(Action::Browse)?;
    let version = find(&caller, &scope, &id, &name)?;
    let form = form(&headers).ok_or_else(|| {
        Problem::new(Code::NotAcceptable, "a card is text/html or application/json: ask for one of them in `Accept`")
    })?;
    let card = Card::of(&view(&gateway, &caller, &version), &version.manifest);
    if form == Form::Json {
        let mut response = json_response(StatusCode::OK, &card);
        response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept"));
        return Ok(response);
    }
    let page = gateway_console::card(&card).map_err(|error| {
        tracing::error!(%error, "a card was not written");
        Problem::new(Code::Internal, "the card could not be written")
    })?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, page.policy.as_str()),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::VARY, "accept"),
    ];
    Ok((StatusCode::OK, headers, page.html).into_response())
}

/// What `Accept` prefers (RFC 9110 §12.5.1); programs that do not say get JSON.
fn form(headers: &HeaderMap) -> Option<Form> {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return Some(Form::Json);
    }
    let text: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    let ranges: Vec<(String, f32)> = text.join(",").split(',').filter_map(range).collect();
    // The most specific range that names a type says how much it is wanted.
    let wanted = |names: [&str; 3]| {
        let named = names.into_iter().find_map(|name| ranges.iter().find(|(range, _)| range == name));
        named.map_or(0.0, |(_, quality)| *quality)
    };
    let json = wanted(["application/json", "application/*", "*/*"]);
    let page = wanted(["text/html", "text/*", "*/*"]);
    if page > json { Some(Form::Page) } else { (json > 0.0).then_some(Form::Json) }
}

/// A media range in lower case, and its quality.
fn range(text: &str) -> Option<(String, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let quality = quality.map_or(Some(1.0), |quality| quality.parse().ok())?;
    (0.0..=1.0).contains(&quality).then_some((name, quality))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_accept_prefers() {
        for (accept, want) in [
            (None, Some(Form::Json)),
            (Some("*/*"), Some(Form::Json)),
            (Some("application/json"), Some(Form::Json)),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Some(Form::Page)),
            (Some("TEXT/HTML"), Some(Form::Page)),
            (Some("text/*;q=0.5, application/json;q=0.4"), Some(Form::Page)),
            (Some("text/html;q=0, */*"), Some(Form::Json)),
            (Some("text/html;q=0"), None),
            (Some("image/png"), None),
            (Some("text/html;q=nonsense"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(form(&headers), want, "{accept:?}");
        }
    }
}
