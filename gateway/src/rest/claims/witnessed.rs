//! The checkpoint that shows that what is claimed was witnessed in time.

use std::collections::BTreeSet;

use gateway_api::Problem;
use gateway_audit::SignedCheckpoint;
use gateway_ledger::claim;

use crate::gateway::Shared;
use crate::rest::{covering, prove};

/// The largest checkpoint of this log that its witnesses cosigned, on both sides of the border, before the base year closed:
/// the newest, or one that was kept when its half of a month ended. While the year is open it is waited for one that covers
/// the leaves of `posted`.
pub async fn in_time(gateway: &Shared, posted: &BTreeSet<u64>, base_year: i16) -> Result<Option<String>, Problem> {
    let Some(last) = posted.last() else { return Ok(None) };
    covering::witnesses(gateway, *last).await;
    let Some((policy, _)) = gateway.witnessing.policy() else { return Ok(None) };
    let newest = gateway.witnessing.witnessed();
    let newest = newest.and_then(|newest| SignedCheckpoint::parse(newest.checkpoint.as_bytes()).ok());
    let data = gateway.config.data.clone();
    let (policy, folder) = (policy.clone(), data.join(gateway_store::publisher::LOG_DIR));
    let found = tokio::task::spawn_blocking(move || {
        let kept = gateway_store::witnessed_kept(&data).map_err(crate::admission::unavailable)?;
        let in_time = |checkpoint: &SignedCheckpoint| claim::in_time(&policy, checkpoint, base_year).unwrap_or(false);
        let mut found: Vec<SignedCheckpoint> = newest.into_iter().chain(kept).filter(in_time).collect();
        found.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.checkpoint().size));
        let published = prove::published(&folder)?;
        // A file that is none of this log's, or of a log that was restored from before it, is not put into a claim.
        let ours = |checkpoint: &SignedCheckpoint| prove::consistent(&folder, checkpoint, &published).is_ok();
        Ok::<_, Problem>(found.into_iter().find(ours).map(|checkpoint| checkpoint.to_text()))
    });
    found.await.map_err(crate::admission::unavailable)?
}
