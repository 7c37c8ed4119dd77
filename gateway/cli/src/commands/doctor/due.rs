//! What waits for somebody: reviews, and mechanisms of which something is due.

use serde_json::Value;

use super::Check;
use crate::client::{Call, Client, JSON_BYTES_MAX};
use crate::commands::rest::items;

/// Most warnings that are written out.
const DUE_SHOWN_MAX: usize = 10;

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

/// Filing reminders and expiry warnings.
pub(super) async fn mechanisms(client: &Client) -> Check {
    const NAME: &str = "mechanisms";
    let Some(found) = list(client, "/v1/mechanisms").await else {
        return Check::skipped(NAME, "not shown to you by this gateway");
    };
    let mechanisms = items(&found, "mechanisms");
    let due: Vec<String> = mechanisms
        .iter()
        .flat_map(|mechanism| items(mechanism, "warnings").iter().map(move |warning| (mechanism, warning)))
        .map(|(mechanism, warning)| {
            let of = |value: &Value, member: &str| crate::output::plain(value.get(member).unwrap_or(&Value::Null));
            format!("{}: {} {}", of(mechanism, "id"), of(warning, "code"), of(warning, "day")).trim_end().to_owned()
        })
        .collect();
    if due.is_empty() {
        return Check::ok(NAME, format!("{} on file, nothing is due", mechanisms.len()));
    }
    let shown = due.iter().take(DUE_SHOWN_MAX).cloned().collect::<Vec<_>>().join("\n");
    let more = due.len().saturating_sub(DUE_SHOWN_MAX);
    let shown = if more > 0 { format!("{shown}\nand {more} more") } else { shown };
    Check::warning(NAME, shown, "kouan mechanism show ID says what to do and by when")
}
