//! The log over the API: search, one leaf, its proof, the verifier key; and the published files themselves.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use catalog::Digest;
use gateway_api::audit::{Entry, EntryList, Explained, LogKey, LogKeyPeriod};
use gateway_api::{Code, Explain, Problem, Viewer};
use gateway_audit::leaf::Leaf;
use gateway_audit::proof::LogProof;
use gateway_audit::search::{LeafFilter, parties};
use jiff::Timestamp;
use serde::Deserialize;

use super::prove::prove;
use super::{Caller, Refused, json_response};
use crate::access::{self, Read};
use crate::authz::{Action, Scope};
use crate::gateway::Shared;
use crate::rest::covering::covering;
use crate::rest::path::Path;

/// Who has cosigned the checkpoint of a proof, in words; to be checked against a policy that one has from elsewhere.
const WITNESSED: HeaderName = HeaderName::from_static("kouan-witnessed");

/// Leaves walked by one search request; more are behind its cursor.
const WALK_MAX: usize = 20_000;

/// Query of `GET /v1/audit`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    from: Option<String>,
    to: Option<String>,
    participant: Option<String>,
    dataset: Option<String>,
    rule: Option<String>,
    effect: Option<String>,
    kind: Option<String>,
    limit: Option<usize>,
    cursor: Option<u64>,
}

fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.map(|text| {
        text.parse().map_err(|_| {
            Problem::new(Code::BadInput, format!("`{name}` is `{text}`: write a time as 2026-11-22T10:00:00+08:00"))
        })
    })
    .transpose()
}

/// `GET /v1/audit`: a compliance officer's search; an authority's sees everything, another's what names its participant.
pub async fn search(
    State(gateway): State<Shared>,
    caller: Caller,
    query: Result<Query<Search>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refused> {
    let Query(query) = query.map_err(|error| Problem::new(Code::BadInput, error.body_text()))?;
    let scope = caller.may(Action::SearchLog)?;
    let participant = match &query.participant {
        None => None,
        Some(name) => Some(caller.snapshot.participant(name).map_or_else(|| name.clone(), |doc| doc.id.to_string())),
    };
    let filter = LeafFilter {
        participant,
        dataset: query.dataset,
        rule: query.rule,
        effect: query.effect,
        kind: query.kind,
        from: time("from", query.from.as_deref())?,
        to: time("to", query.to.as_deref())?,
    };
    let limit = query.limit.unwrap_or(50).clamp(1, 500);
    let start = query.cursor.unwrap_or(0);
    let found = gateway
        .scan(move |reader| {
            let (mut entries, mut at, mut walked) = (Vec::new(), start, 0);
            loop {
                let leaves = reader.leaves(at, 512)?;
                if leaves.is_empty() {
                    return Ok((entries, None));
                }
                for bytes in leaves {
                    let index = at;
                    at += 1;
                    walked += 1;
                    let Ok(leaf) = Leaf::parse(&bytes) else { continue };
                    let own = match &scope {
                        Scope::Everything => true,
                        Scope::Participant(own) => parties(&leaf).contains(&own.as_str()),
                    };
                    if own && filter.matches(&leaf) {
                        entries.push(Entry { index, leaf: serde_json::Value::Object(leaf.members().clone()) });
                    }
                    if entries.len() >= limit || walked >= WALK_MAX {
                        return Ok((entries, Some(at)));
                    }
                }
            }
        })
        .await?;
    let (entries, next) = found;
    let range = entries.first().zip(entries.last()).map(|(first, last)| (first.index, last.index));
    access::record(&gateway, &caller.principal, &Read::Search, range).await?;
    Ok(json_response(StatusCode::OK, &EntryList { entries, next: next.map(|next| next.to_string()) }))
}

/// The bytes of one leaf that the caller may read.
pub(super) fn leaf(gateway: &Shared, caller: &Caller, index: &str) -> Result<(u64, Vec<u8>, Leaf), Problem> {
    let scope = crate::authz::authorise(&caller.principal, Action::ReadLeaf)?;
    let shown: String = index.chars().take(20).collect();
    let missing = || Problem::new(Code::NotFound, format!("there is no leaf `{shown}` for you"));
    let index: u64 = index.parse().map_err(|_| missing())?;
    let bytes = gateway.look(|reader| reader.leaf(index))?.ok_or_else(missing)?;
    let leaf = Leaf::parse(&bytes).map_err(crate::admission::unavailable)?;
    let visible = match &scope {
        Scope::Everything => true,
        Scope::Participant(own) => parties(&leaf).contains(&own.as_str()),
    };
    if visible { Ok((index, bytes, leaf)) } else { Err(missing()) }
}

/// `GET /v1/audit/{index}`.
pub async fn show(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(index): Path<String>,
) -> Result<Response, Refused> {
    let (index, _, leaf) = leaf(&gateway, &caller, &index)?;
    access::record(&gateway, &caller.principal, &Read::Entry, Some((index, index))).await?;
    Ok(json_response(StatusCode::OK, &Entry { index, leaf: serde_json::Value::Object(leaf.members().clone()) }))
}

/// `GET /v1/audit/{index}/explain`: why that decision came out as it did, from the facts on record. The provider and an
/// authority read every number; a consumer reads what it was told when it asked.
pub async fn explain(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(index): Path<String>,
) -> Result<Response, Refused> {
    let scope = caller.may(Action::ReadLeaf)?;
    let (index, _, leaf) = leaf(&gateway, &caller, &index)?;
    let text = |member: &str| leaf.members().get(member).and_then(serde_json::Value::as_str);
    let (Some(digest), Some(policy)) = (text("facts").and_then(|hex| Digest::parse(hex).ok()), text("policy")) else {
        return Err(Problem::new(Code::NotFound, format!("entry {index} is no decision: nothing was weighed")).into());
    };
    let blob = gateway.look(|reader| reader.facts(&digest))?.unwrap_or_default();
    let facts = std::str::from_utf8(&blob).map_err(crate::admission::unavailable)?;
    let facts = policy::Facts::parse(facts).map_err(crate::admission::unavailable)?;
    let viewer = match &scope {
        Scope::Everything => Viewer::Authority,
        Scope::Participant(own) if text("provider") == Some(own.as_str()) => Viewer::Provider,
        Scope::Participant(_) => Viewer::Consumer,
    };
    let (shared, policy) = (Arc::clone(&gateway), policy.to_owned());
    let explain = tokio::task::spawn_blocking(move || {
        let rules = shared.recorded_rules(&policy)?;
        let decision = policy::decide(&rules, &facts);
        Ok::<_, Problem>(Explain::of(&rules, &facts, &decision, viewer))
    });
    let explain = explain.await.map_err(crate::admission::unavailable)??;
    access::record(&gateway, &caller.principal, &Read::Explain, Some((index, index))).await?;
    Ok(json_response(StatusCode::OK, &Explained { index, explain }))
}

/// `GET /v1/audit/{index}/proof`: a C2SP `.tlog-proof` with the leaf as its extra data, verified before it is handed out.
pub async fn proof(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(index): Path<String>,
) -> Result<Response, Refused> {
    let (index, bytes, _) = leaf(&gateway, &caller, &index)?;
    let folder = gateway.config.data.join("log");
    let (checkpoint, witnessed) = covering(&gateway, index).await?;
    let made = tokio::task::spawn_blocking(move || {
        let leaves = vec![(index, bytes)];
        let proofs = prove(&folder, &checkpoint, &leaves)?;
        let with_leaf = |(proof, (_, leaf))| LogProof { extra: Some(leaf), ..proof }.to_text();
        proofs.into_iter().zip(leaves).map(with_leaf).next().ok_or_else(|| crate::admission::unavailable("no proof"))
    });
    let made = made.await.map_err(crate::admission::unavailable)??;
    access::record(&gateway, &caller.principal, &Read::Proof, Some((index, index))).await?;
    let name = format!("attachment; filename=\"{index}.tlog-proof\"");
    let name = HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("attachment"));
    // Names of keys may be written in any script; a header takes their bytes.
    let witnessed = HeaderValue::from_bytes(witnessed.as_bytes()).unwrap_or(HeaderValue::from_static("unwitnessed"));
    Ok((
        [
            (WITNESSED, witnessed),
            (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
            (header::CONTENT_DISPOSITION, name),
        ],
        made,
    )
        .into_response())
}

/// `GET /v1/log-key`: everybody may verify.
pub async fn key(State(gateway): State<Shared>, _: Caller) -> Response {
    let keys = gateway.log_keys.iter().map(|period| LogKeyPeriod {
        vkey: period.vkey.clone(),
        from: period.from,
        until: period.until,
    });
    let key = LogKey {
        vkey: gateway.log_vkey.clone(),
        origin: gateway.config.origin.clone(),
        keys: keys.collect(),
        witnessed: gateway.witnessing.has_quorum_rule(),
        policy: gateway.witnessing.policy().map(|(_, text)| text.to_owned()),
    };
    json_response(StatusCode::OK, &key)
}
