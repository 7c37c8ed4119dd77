//! What commands over the REST API have in common.

use serde_json::{Value, json};

use crate::args::connect::ConnectArgs;
use crate::client::{Call, Client, path};
use crate::error::CommandError;
use crate::profile::Profile;
use crate::session::Session;

/// Longest reason (the API's own limit), in characters.
const REASON_CHARS_MAX: usize = 500;
/// Most pages that one command reads.
const PAGES_MAX: usize = 10_000;

/// The gateway that the arguments, the environment or the profile name.
pub fn client(session: &Session<'_>, connect: &ConnectArgs) -> Result<Client, CommandError> {
    Client::open(&Profile::resolve(connect, session.io.env.as_ref())?)
}

/// `GET` of path segments.
pub async fn get(client: &Client, segments: &[&str]) -> Result<Value, CommandError> {
    client.json(&Call::get(path(segments.iter().copied()))).await
}

/// `POST` of an action with an empty object.
pub async fn act(client: &Client, segments: &[&str]) -> Result<Value, CommandError> {
    client.json(&Call::post_json(path(segments.iter().copied()), &json!({}))?).await
}

/// `POST` of an action that needs a reason.
///
/// # Errors
///
/// [`CommandError::Usage`] if the reason is empty or too long.
pub async fn act_because(client: &Client, segments: &[&str], reason: &str) -> Result<Value, CommandError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(CommandError::Usage(format!("`--reason` needs 1 to {REASON_CHARS_MAX} characters")));
    }
    client.json(&Call::post_json(path(segments.iter().copied()), &json!({ "reason": reason }))?).await
}

/// All pages of a list, up to `limit` items of the member `member`. Gives the first page with the items replaced by all.
pub async fn pages(
    client: &Client,
    target: impl Fn(Option<&str>) -> String,
    member: &str,
    limit: usize,
) -> Result<Value, CommandError> {
    let mut first = Value::Null;
    let mut items: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let mut page = client.json(&Call::get(target(cursor.as_deref()))).await?;
        let found = page.get_mut(member).map(Value::take);
        let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if let Some(Value::Array(found)) = found {
            items.extend(found);
        }
        if first.is_null() {
            first = page;
        }
        // A cursor that comes back would be read for ever.
        if next.is_none() || next == cursor || items.len() >= limit {
            cursor = next;
            break;
        }
        cursor = next;
    }
    let more = items.len() > limit || cursor.is_some();
    items.truncate(limit);
    if !first.is_object() {
        first = json!({});
    }
    if let Some(object) = first.as_object_mut() {
        object.insert(member.to_owned(), items.into());
        match cursor.filter(|_| more) {
            Some(next) => object.insert("next".to_owned(), next.into()),
            None => object.remove("next"),
        };
    }
    Ok(first)
}

/// The list member of an answer.
pub fn items<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Reads a TOML file whose members are those of a JSON body.
pub fn toml_body<T: serde::de::DeserializeOwned>(file: &std::path::Path, text: &str) -> Result<T, CommandError> {
    toml::from_str(text).map_err(|error| CommandError::Input(format!("`{}`: {error}", file.display())))
}
