//! `GET /v1/claims/{id}/evidence`: everything a bundle is made of, with every proof under one checkpoint.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use gateway_api::claim::ClaimState;
use gateway_api::{Code, Problem};
use gateway_audit::SignedCheckpoint;
use gateway_audit::leaf::Leaf;
use gateway_ledger::claim::{Contents, Evidence, ProvenLeaf};
use gateway_store::{DocKind, ReadError, Reader};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Filed, find, openings};
use crate::authz::Action;
use crate::gateway::Shared;
use crate::rest::covering::covering;
use crate::rest::path::Path;
use crate::rest::prove::{Leaves, consistent, prove};
use crate::rest::{Caller, Refused, json_response};

/// Leaves looked at behind the moment of a change: those of the same millisecond, and of the writer's clock running ahead.
const BEHIND: usize = 4096;

/// The policy of a log that has no witnesses.
const UNWITNESSED: &str = "# no witness cosigns this log\nquorum none\n";

/// Query of `GET /v1/claims/{id}/evidence`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// With the signatures and certificates of receipts, if two people had them opened.
    #[serde(default)]
    receipts: bool,
}

/// `GET /v1/claims/{id}/evidence?receipts=`; 403 `review` until the claim is released, or its receipts are opened.
pub async fn get(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(wanted) = query.map_err(|error| Problem::new(Code::BadInput, error.body_text()))?;
    let scope = caller.may(Action::ReadStatements)?;
    let (_, filed) = find(&caller, &scope, &id)?;
    let released = match (filed.state, &filed.decided) {
        (ClaimState::Released, Some((at, _))) => *at,
        (ClaimState::Refused, _) => return Err(Problem::new(Code::Conflict, "the claim was refused").into()),
        _ => return Err(Problem::new(Code::Review, "the claim awaits an authority's compliance officer").into()),
    };
    let claim = filed.claim.text().map_err(crate::admission::unavailable)?;
    // Each key's entry, in which the one before vouches for it, so that the opening checkpoint may be by an earlier one.
    let changes: Vec<u64> = gateway.log_keys.iter().map(|period| period.from).filter(|from| *from > 0).collect();
    let frozen = filed.clone();
    let (contents, leaves) = gateway.scan(move |reader| gathered(reader, &frozen, released, &changes)).await?;
    let contents: Contents = serde_json::from_slice(&contents).map_err(crate::admission::unavailable)?;
    let openings = if wanted.receipts { Some(openings::of(&gateway, &caller, &filed, &contents).await?) } else { None };
    let opening = contents.get("checkpoints/opening").cloned().unwrap_or_default();
    let witnessed = contents.get("checkpoints/witnessed").cloned();
    let folder = gateway.config.data.join("log");
    let (checkpoint, _) = covering(&gateway, leaves.iter().map(|(index, _)| *index).max().unwrap_or(0)).await?;
    let proven = tokio::task::spawn_blocking(move || {
        let leads_here = |earlier: &str| {
            let earlier = SignedCheckpoint::parse(earlier.as_bytes()).map_err(crate::admission::unavailable)?;
            let hashes = consistent(&folder, &earlier, &checkpoint)?;
            Ok::<_, Problem>(hashes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        };
        let consistency = leads_here(&opening)?;
        let witnessed = witnessed.as_deref().map(leads_here).transpose()?;
        let proofs = prove(&folder, &checkpoint, &leaves)?;
        let proven = leaves.into_iter().zip(proofs).map(|((index, leaf), proof)| {
            let leaf = String::from_utf8(leaf).map_err(crate::admission::unavailable)?;
            Ok(ProvenLeaf { index, leaf, proof: proof.to_text() })
        });
        let consistency = (consistency, witnessed);
        Ok::<_, Problem>((checkpoint.to_text(), consistency, proven.collect::<Result<Vec<_>, Problem>>()?))
    });
    let (checkpoint, (consistency, witnessed_consistency), leaves) =
        proven.await.map_err(crate::admission::unavailable)??;
    let evidence = Evidence {
        claim,
        contents,
        leaves,
        checkpoint,
        consistency,
        witnessed_consistency,
        openings,
        log_key: gateway.log_vkey.clone(),
        trust_policy: gateway.witnessing.policy().map_or(UNWITNESSED, |(_, text)| text).to_owned(),
    };
    Ok(json_response(StatusCode::OK, &evidence))
}

/// The frozen files, and the leaves by index: those frozen with the claim, and its own two.
fn gathered(
    reader: &Reader<'_>,
    filed: &Filed,
    released: Timestamp,
    changes: &[u64],
) -> Result<(Vec<u8>, Leaves), ReadError> {
    let missing = |what: &str| ReadError::Damaged { what: format!("claim {}: {what} is missing", filed.claim.id) };
    let contents = reader.doc(DocKind::ClaimContents, &filed.claim.id)?.ok_or_else(|| missing("its contents"))?;
    let mut leaves = Leaves::new();
    for index in filed.leaves.iter().chain(changes) {
        leaves.push((*index, reader.leaf(*index)?.ok_or_else(|| missing("a leaf"))?));
    }
    for (at, state) in [(filed.at, "proposed"), (released, "released")] {
        leaves.push(own_leaf(reader, &filed.claim.id, at, state)?.ok_or_else(|| missing(state))?);
    }
    leaves.sort();
    leaves.dedup();
    Ok((contents.body, leaves))
}

/// The leaf that says that claim `id` became `state`.
fn own_leaf(reader: &Reader<'_>, id: &str, at: Timestamp, state: &str) -> Result<Option<(u64, Vec<u8>)>, ReadError> {
    leaf_at(reader, at, |leaf| {
        leaf.kind() == "claim" && leaf.text("claim") == Some(id) && leaf.text("state") == Some(state)
    })
}

/// The first leaf that `is` the one, committed at or right after `at`: times in the log never go back, so its neighbourhood
/// is found by halving.
pub(super) fn leaf_at(
    reader: &Reader<'_>,
    at: Timestamp,
    is: impl Fn(&Leaf) -> bool,
) -> Result<Option<(u64, Vec<u8>)>, ReadError> {
    let time = |index| -> Result<i64, ReadError> {
        let bytes = reader.leaf(index)?.unwrap_or_default();
        Ok(Leaf::parse(&bytes).map_or(i64::MAX, |leaf| leaf.at().as_millisecond()))
    };
    let (mut low, mut high) = (0, reader.log_size()?);
    while low < high {
        let middle = low + (high - low) / 2;
        if time(middle)? < at.as_millisecond() { low = middle + 1 } else { high = middle }
    }
    for (bytes, index) in reader.leaves(low, BEHIND)?.into_iter().zip(low..) {
        if Leaf::parse(&bytes).is_ok_and(|leaf| is(&leaf)) {
            return Ok(Some((index, bytes)));
        }
    }
    Ok(None)
}
