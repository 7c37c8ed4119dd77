//! `/v1/periods/{month}`: a closed month's leaf with its proof, and for each account of the caller that it has its place
//! under the month's root (see [`gateway_ledger::sums`]). Whoever reads it checks it without a network.
//!
//! A path shows what stands on the subtrees beside it, without saying whose.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gateway_api::{Code, Problem};
use gateway_ledger::Month;
use gateway_ledger::sums::SumProof;
use gateway_store::{DocKind, ReadError};
use serde_json::{Value, json};

use super::covering::covering;
use super::prove::prove;
use super::{Caller, Refused, json_response};
use crate::access::{self, Read};
use crate::authz::{Action, Scope};
use crate::clock;
use crate::gateway::Shared;
use crate::node::close::Kept;
use crate::rest::path::Path;

/// `GET /v1/periods/{month}`.
pub async fn show(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(month): Path<String>,
) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadStatements)?;
    let period = Month::parse(&month).map_err(|error| Problem::new(Code::BadInput, error.to_string()))?;
    let closed = gateway
        .scan(move |reader| {
            let Some(index) = reader.closed_period(period)? else { return Ok(None) };
            let leaf = reader.leaf(index)?.ok_or_else(|| ReadError::Damaged { what: format!("leaf {index}") })?;
            Ok(Some((index, leaf, reader.doc(DocKind::Closing, &period.to_string())?)))
        })
        .await?;
    let Some((index, leaf, kept)) = closed else {
        let closes = clock::text(period.closes());
        let detail = format!("{period} is not closed; it closes at {closes} if anything was posted to it");
        return Err(Problem::new(Code::NotFound, detail).into());
    };
    let accounts = match kept {
        None => Vec::new(),
        Some(doc) => {
            let kept: Kept = serde_json::from_slice(&doc.body).map_err(crate::admission::unavailable)?;
            own(&kept, period, &scope).ok_or_else(|| crate::admission::unavailable("sums do not fit"))?
        }
    };
    let folder = gateway.config.data.join("log");
    let (checkpoint, witnessed) = covering(&gateway, index).await?;
    let proven = tokio::task::spawn_blocking(move || {
        let leaves = vec![(index, leaf)];
        let proofs = prove(&folder, &checkpoint, &leaves)?;
        Ok::<_, Problem>((leaves, proofs))
    });
    let (leaves, proofs) = proven.await.map_err(crate::admission::unavailable)??;
    access::record(&gateway, &caller.principal, &Read::Proof, Some((index, index))).await?;
    let texts: Vec<Value> = leaves
        .iter()
        .zip(&proofs)
        .map(|((index, leaf), proof)| {
            json!({"index": index, "leaf": String::from_utf8_lossy(leaf), "proof": proof.to_text()})
        })
        .collect();
    let body = json!({
        "period": period, "closed": texts.first(), "accounts": accounts, "log_key": gateway.log_vkey,
        "witnessed": witnessed,
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// The proofs of the accounts that `scope` covers.
pub fn own(kept: &Kept, period: Month, scope: &Scope) -> Option<Vec<SumProof>> {
    let covered = |owner: Option<&catalog::ParticipantId>| match scope {
        Scope::Everything => true,
        Scope::Participant(own) => owner == Some(own),
    };
    let mut proofs = Vec::new();
    for tree in kept.closing.trees(period)? {
        let rows = tree.rows().iter().filter(|(account, _)| covered(account.owner()));
        proofs.extend(rows.filter_map(|(account, _)| tree.proof(account)));
    }
    Some(proofs)
}
