//! `POST /v1/claims/{id}/receipts`: two people have the signatures and certificates of a claim's receipts opened for whoever
//! gets its bundle. They name the persons who signed (INV-10): without this a bundle holds commitments only.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catalog::Digest;
use gateway_api::claim::{ClaimState, OpenReceipts};
use gateway_api::{Code, Problem};
use gateway_audit::Leaf;
use gateway_ledger::claim::{Contents, Opened, Signed};
use gateway_store::{DocKind, OpeningRow, ReadError, Reader};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Filed, find};
use crate::authz::{Action, authorise};
use crate::gateway::Shared;
use crate::leaf::place;
use crate::rest::change::{Change, execute, reason};
use crate::rest::dual::{Signature, sign};
use crate::rest::path::Path;
use crate::rest::{Caller, Posted, Refused};
use crate::vault::UnsealError;

/// Longest name of who gets a bundle, in characters.
const TO_MAX: usize = 200;

/// That the receipts of a claim may be opened, and what two people signed for it.
#[derive(Debug, Serialize, Deserialize)]
struct Allowed {
    signed: Digest,
}

fn key(claim: &str) -> String {
    format!("receipts-of:{claim}")
}

/// Whether the caller speaks for the claimant, or is an authority's officer of another participant.
fn part(caller: &Caller, filed: &Filed) -> Result<Part, Problem> {
    if filed.claim.participant == caller.principal.participant {
        return authorise(&caller.principal, Action::FileClaim).map(|_| Part::Claimant);
    }
    authorise(&caller.principal, Action::Disclose).map(|_| Part::Officer)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Claimant,
    Officer,
}

/// `POST /v1/claims/{id}/receipts` `{to, reason}`: 202 for the first signature, 201 when they are open, 200 if they are.
pub async fn open(
    State(gateway): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    posted: Posted<OpenReceipts>,
) -> Result<Response, Refused> {
    let (to, why) = (posted.value.to.trim().to_owned(), reason(&posted.value.reason)?.to_owned());
    if !(1..=TO_MAX).contains(&to.chars().count()) {
        return Err(
            Problem::new(Code::BadInput, format!("`to` is who gets the bundle, in 1 to {TO_MAX} characters")).into()
        );
    }
    execute(&gateway, &caller, posted.request, |caller| opening(&gateway, caller, &id, (&to, &why))).await
}

fn opening(gateway: &Shared, caller: &Caller, id: &str, (to, why): (&str, &str)) -> Result<Change, Problem> {
    let scope = authorise(&caller.principal, Action::ReadStatements)?;
    let (_, filed) = find(caller, &scope, id)?;
    let part = part(caller, &filed)?;
    if filed.state == ClaimState::Refused {
        return Err(Problem::new(Code::Conflict, "the claim was refused"));
    }
    let body = serde_json_canonicalizer::to_vec(&json!({ "to": to, "reason": why }));
    let body = Digest::of(&body.map_err(crate::admission::unavailable)?);
    let stored = caller.snapshot.settings.get(&key(id));
    let allowed = stored.and_then(|doc| serde_json::from_value::<Allowed>(doc.body.clone()).ok());
    let opened = json!({ "claim": id, "state": "opened" });
    let secrets = &gateway.secrets;
    if allowed.is_some_and(|allowed| allowed.signed == secrets.keyed_digest("signed", body.as_bytes())) {
        return Ok(Change::nothing(StatusCode::OK, opened, caller.now));
    }
    let close = match sign(caller, secrets, "open-receipts", id, body)? {
        Signature::First(change) => return Ok(*change),
        Signature::Second(close) => close,
    };
    if part == Part::Claimant {
        let detail = "an authority's officer of another participant has the last word on what names persons";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let mut change =
        Change::recorded(caller, secrets, "access", [("read", json!("disclosure")), ("claim", json!(id))])?;
    change.commit_to(secrets, "to", to)?;
    change.commit_to(secrets, "reason", why)?;
    let allowed = Allowed { signed: close.signed() };
    match stored {
        Some(doc) => change.replace(DocKind::Setting, key(id), doc.revision, &allowed),
        None => change.create(DocKind::Setting, key(id), &allowed),
    }
    close.with(&mut change);
    Ok(change.answer(StatusCode::CREATED, &opened))
}

/// What is sealed of one receipt.
struct Sealed {
    leaf: u64,
    bytes: Leaf,
    digest: Digest,
    lease: catalog::LeaseId,
    rows: Vec<OpeningRow>,
    evidence: Option<gateway_store::SealedEvidence>,
}

#[derive(Deserialize)]
struct Evidence {
    signature: String,
    certificate: Option<String>,
}

/// The opened receipts of a claim, for its bundle. Those whose persons were erased, or whose evidence is past its time, stay as
/// they are. That they were handed out is on record before they are.
pub async fn of(gateway: &Shared, caller: &Caller, filed: &Filed, contents: &Contents) -> Result<Vec<Opened>, Problem> {
    part(caller, filed)?;
    let id = &filed.claim.id;
    if caller.snapshot.settings.get(&key(id)).is_none() {
        let detail = format!(
            "signatures name persons: two people have them opened first, one of them an authority's officer \
             (kouan incentive open-receipts {id})"
        );
        return Err(Problem::new(Code::Review, detail));
    }
    let receipts = contents.get("receipts/receipts.json").map(String::as_str).unwrap_or_default();
    let receipts: Vec<Signed> = serde_json::from_str(receipts).map_err(crate::admission::unavailable)?;
    let sealed = gateway.scan(move |reader| receipts.iter().map(|receipt| sealed(reader, receipt)).collect()).await?;
    let node = Shared::clone(gateway);
    let opened = tokio::task::spawn_blocking(move || {
        let sealed: Vec<Sealed> = sealed;
        sealed.iter().filter_map(|sealed| opened(&node.secrets, sealed).transpose()).collect::<Result<Vec<_>, _>>()
    });
    let opened = opened.await.map_err(crate::admission::unavailable)??;
    let members = [("read", json!("disclosure")), ("claim", json!(id)), ("receipts", json!(opened.len()))];
    let change = Change::recorded(caller, &gateway.secrets, "access", members)?;
    gateway.records.commit(change.transaction).await.map_err(crate::admission::unavailable)?;
    Ok(opened)
}

fn sealed(reader: &Reader<'_>, receipt: &Signed) -> Result<Sealed, ReadError> {
    let missing = || ReadError::Damaged { what: format!("leaf {}: the receipt is missing", receipt.leaf) };
    let bytes = reader.leaf(receipt.leaf)?.ok_or_else(missing)?;
    Ok(Sealed {
        leaf: receipt.leaf,
        bytes: Leaf::parse(&bytes).map_err(|_| missing())?,
        digest: receipt.ack.digest(),
        lease: receipt.ack.lease.clone(),
        rows: reader.openings(receipt.leaf)?,
        evidence: reader.receipt_evidence(&receipt.ack.lease, receipt.ack.seq)?,
    })
}

/// Nothing if what it takes is not there any more.
fn opened(secrets: &crate::secrets::Secrets, sealed: &Sealed) -> Result<Option<Opened>, Problem> {
    let gone = |result: Result<Vec<u8>, UnsealError>| match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(UnsealError::Erased(_)) => Ok(None),
        Err(error) => Err(crate::admission::unavailable(error)),
    };
    let salt = |field: &str| -> Result<Option<String>, Problem> {
        let row = sealed.rows.iter().find(|row| row.field == field);
        let Some((row, commitment)) = row.zip(sealed.bytes.text(field)) else { return Ok(None) };
        let opening = gone(secrets.vault.unseal(row.subject, &place(commitment, field), field, &row.sealed))?;
        Ok(opening.and_then(|opening| opening.get(..32).map(|salt| STANDARD.encode(salt))))
    };
    let (certificate_salt, signature_salt) = (salt("certificate")?, salt("signature")?);
    let Some((subject, evidence)) = sealed.evidence.as_ref().filter(|(_, evidence)| !evidence.is_empty()) else {
        return Ok(None);
    };
    let at = format!("receipt\0{}\0{}", sealed.lease, sealed.digest);
    let Some(evidence) = gone(secrets.vault.unseal(*subject, &at, "receipt", evidence))? else { return Ok(None) };
    let evidence: Evidence = serde_json::from_slice(&evidence).map_err(crate::admission::unavailable)?;
    let both = certificate_salt.zip(evidence.certificate).filter(|_| {
        // Committed to, and its opening is past its time.
        signature_salt.is_some() || sealed.bytes.text("signature").is_none()
    });
    Ok(both.map(|(certificate_salt, certificate)| Opened {
        leaf: sealed.leaf,
        certificate,
        certificate_salt,
        signature: evidence.signature,
        signature_salt,
    }))
}
