//! What waits for somebody: reviews.

use serde_json::Value;

use super::Check;
use crate::client::{Call, Client, JSON_BYTES_MAX};
use crate::commands::rest::items;

/// A list of the API; nothing where it is not shown to this principal.
async fn list(client: &Client, target: &str) -> Option<Value> {
    let answer = client.send(&Call::get(target)).await.ok()?;
    if !answer.status.is_success() {
        return None;
    }
    serde_json::from_slice(&answer.bytes(JSON_BYTES_MAX).await.ok()?).ok()
}

/// Reviews that are open.
pub(super) async fn reviews(client: &Client, officer: bool) -> Check {
    const NAME: &str = "reviews";
    let Some(found) = list(client, "/v1/reviews?state=open&limit=500").await else {
        return Check::skipped(NAME, "not shown to you by this gateway");
    };
    let more = if found.get("next").is_some() { "more than " } else { "" };
    match (items(&found, "reviews").len(), officer) {
        (0, _) => Check::ok(NAME, "none is open"),
        (open, true) => Check::warning(
            NAME,
            format!("{more}{open} open: an officer of an authority has to answer"),
            "kouan review list --state open",
        ),
        (open, false) => Check::ok(NAME, format!("{more}{open} of your participant wait for an officer")),
    }
}
