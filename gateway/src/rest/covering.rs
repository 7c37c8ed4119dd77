//! The checkpoint that a proof leads to: the newest one that the log's witnesses have cosigned, if it covers the leaf.

use std::time::Duration;

use gateway_api::{Code, Problem};
use gateway_audit::checkpoint::SignedCheckpoint;
use gateway_store::publisher::LOG_DIR;
use tokio::time::Instant;

use super::prove::published;
use crate::gateway::Shared;

/// How long a proof waits for its witnesses, who are asked once a second.
const WAIT: Duration = Duration::from_secs(3);
/// Witnesses that have been silent for longer are not waited for.
const SILENT: Duration = Duration::from_secs(90);

/// Waits a moment for the witnesses' quorum to cover the leaf with this index, if they answer at all.
pub async fn witnesses(gateway: &Shared, index: u64) {
    let witnessing = &gateway.witnessing;
    let answers = witnessing.quorum_age(Instant::now()).is_some_and(|age| age < SILENT);
    if answers && witnessing.has_quorum_rule() {
        let _ = tokio::time::timeout(WAIT, witnessing.covers(index)).await;
    }
}

/// A checkpoint that covers the leaf with this index, and what is to be said of its witnesses.
///
/// # Errors
/// 503 with `retry_after` while the leaf is recorded and not yet published.
pub async fn covering(gateway: &Shared, index: u64) -> Result<(SignedCheckpoint, String), Problem> {
    let fault = |what: &dyn std::fmt::Display| crate::admission::unavailable(what.to_string());
    let witnessing = &gateway.witnessing;
    witnesses(gateway, index).await;
    let seen = witnessing.witnessed().filter(|seen| seen.size > index);
    let checkpoint = if let Some(seen) = seen {
        SignedCheckpoint::parse(seen.checkpoint.as_bytes()).map_err(|error| fault(&error))?
    } else {
        let folder = gateway.config.data.join(LOG_DIR);
        tokio::task::spawn_blocking(move || published(&folder)).await.map_err(|error| fault(&error))??
    };
    if index >= checkpoint.checkpoint().size {
        let detail = "the leaf is recorded but not yet published: try again in a second";
        return Err(Problem::new(Code::Unavailable, detail).with("retry_after", 1));
    }
    let said = witnessing.judge(&checkpoint).map_or_else(|| "unwitnessed".to_owned(), |judged| judged.to_string());
    Ok((checkpoint, said))
}
