//! Claims: filed and released over the API, bundled, and verified by anybody.

use std::path::PathBuf;

use gateway_api::claim::{ClaimState, ClaimView, FileClaim, OpenReceipts};
use gateway_audit::{VerifierKey, WitnessPolicy};
use gateway_ledger::claim::{Evidence, Fault, Trust, Verified, bundle, verify, zip};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::paper;
use crate::args::connect::ConnectArgs;
use crate::args::incentive::{ClaimArgs, VerifyArgs};
use crate::client::{Call, path};
use crate::commands::proof::verifier_keys;
use crate::commands::rest::{self, act, act_because, get, items};
use crate::commands::witnessed;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::files;
use crate::output::money;
use crate::output::table::Table;
use crate::session::{Lines, Session};

/// Largest bundle that is read, in bytes.
const BUNDLE_BYTES_MAX: u64 = 1 << 30;

/// Largest evidence of a claim, in bytes.
const EVIDENCE_BYTES_MAX: usize = 1 << 30;

fn broken(fault: &Fault) -> CommandError {
    CommandError::Integrity(format!("the bundle does not hold: {fault}"))
}

fn view(value: &Value) -> Result<ClaimView, CommandError> {
    serde_json::from_value(value.clone())
        .map_err(|error| CommandError::Unavailable(format!("the gateway's claim has an unexpected shape: {error}")))
}

fn told(value: &Value) -> Lines {
    let text = |pointer: &str| crate::output::plain(value.pointer(pointer).unwrap_or(&Value::Null));
    let amount = money(&text("/claim/amount"), "CNY");
    vec![format!(
        "claim {}: {} on {} for {}: {amount}",
        text("/id"),
        text("/state"),
        text("/claim/programme"),
        text("/claim/year")
    )]
}

/// `kouan incentive claim`.
pub async fn claim(session: &mut Session<'_>, args: &ClaimArgs) -> Result<Exit, CommandError> {
    let client = rest::client(session, &args.connect)?;
    let body = FileClaim { programme: args.programme.clone(), year: args.year };
    let value = client.json(&Call::post_json(path(["v1", "claims"]), &body)?).await?;
    let filed = view(&value)?;
    if filed.state != ClaimState::Released {
        session.answer(&value, || {
            let mut lines = told(&value);
            lines.push(format!("an authority's compliance officer releases it: kouan incentive release {}", filed.id));
            lines.push("then this command writes the bundle".to_owned());
            lines
        })?;
        return Ok(Exit::Review);
    }
    let evidence = path(["v1", "claims", &filed.id, "evidence"]);
    let evidence = if args.receipts { format!("{evidence}?receipts=true") } else { evidence };
    let answer = client.accepted(&Call::get(evidence)).await?;
    let bytes = answer.bytes(EVIDENCE_BYTES_MAX).await?;
    let evidence: Evidence = serde_json::from_slice(&bytes)
        .map_err(|error| CommandError::Unavailable(format!("the evidence has an unexpected shape: {error}")))?;
    let home = session.io.env.var("HOME").map(PathBuf::from);
    let pdf = paper::statement(&evidence, args.font.as_deref(), home.as_deref())?;
    let on_paper = pdf.is_some();
    let files = bundle::files(&evidence, pdf).map_err(|fault| broken(&fault))?;
    let bundle = zip::pack(&files).map_err(|fault| broken(&fault))?;
    // What a stranger would refuse is not handed out.
    let verified =
        verify(&bundle, Trust { signature: Some(signed), ..Trust::default() }).map_err(|fault| broken(&fault))?;
    let participant = &verified.claim.participant;
    let name = format!("claim-{}-{}-{participant}.zip", args.programme, args.year);
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(name));
    files::write_atomically(&out, &bundle)?;
    let value = json!({
        "id": filed.id, "state": filed.state, "file": out, "bytes": bundle.len(),
        "sha256": catalog::Digest::of(&bundle).hex(), "claim": filed.claim, "witnessed": verified.witnessed,
        "signed": verified.signed, "statement_pdf": on_paper,
    });
    session.answer(&value, || {
        let mut lines: Lines = verified.face.lines().map(crate::output::clean).collect();
        lines.push(format!("written to {}", out.display()));
        if !on_paper {
            lines.push(
                "without statement.pdf: no font with Chinese characters is installed; name one with --font".to_owned(),
            );
        }
        lines
    })?;
    Ok(Exit::Success)
}

/// `kouan incentive verify`.
pub fn verified(session: &mut Session<'_>, args: &VerifyArgs) -> Result<(), CommandError> {
    let keys = args.key.as_deref().map(verifier_keys).transpose()?;
    let policy = args.policy.as_deref().map(witnessed::policy).transpose()?;
    let bundle = files::read(&args.bundle, BUNDLE_BYTES_MAX)?;
    let Verified { claim, origin, size, trusted, witnessed, signed, face } =
        verify_any(&bundle, keys.as_deref(), policy.as_ref()).map_err(|fault| broken(&fault))?;
    let verdict = if trusted { "verified" } else { "self-consistent only" };
    let by = if policy.is_some() { "given" } else { "bundle" };
    let value = json!({
        "ok": true, "verdict": verdict, "claim": claim, "origin": origin, "size": size, "witnessed": witnessed,
        "policy": by, "signed": signed,
    });
    session.answer(&value, || {
        let mut lines: Lines = face.lines().map(crate::output::clean).collect();
        lines.push(if policy.is_some() {
            format!("witnessed in time by the policy that you gave: {}.{:04} %", witnessed / 10_000, witnessed % 10_000)
        } else {
            "witnesses as the bundle's own trust.policy names them: give yours with --policy".to_owned()
        });
        let hint = if trusted { "" } else { " (give the log's key with --key to know whose log it is)" };
        lines.push(format!("log {origin} of {size} entries: {verdict}{hint}"));
        lines
    })
}

/// Whether a receipt's signature is by the key of the certificate that it came with.
fn signed(certificate: &[u8], message: &[u8], signature: &[u8]) -> bool {
    certs::signature::verify(&CertificateDer::from(certificate), message, signature).is_ok()
}

/// By the key that signed the bundle's checkpoint, where several are trusted: a log has one after the other.
fn verify_any(bundle: &[u8], keys: Option<&[VerifierKey]>, policy: Option<&WitnessPolicy>) -> Result<Verified, Fault> {
    let by = |key| verify(bundle, Trust { key, policy, signature: Some(signed) });
    let Some((first, rest)) = keys.and_then(<[VerifierKey]>::split_first) else { return by(None) };
    let by_first = by(Some(first));
    let other = || rest.iter().find_map(|key| by(Some(key)).ok());
    by_first.or_else(|fault| other().ok_or(fault))
}

/// `kouan incentive claims`.
pub async fn list(session: &mut Session<'_>, connect: &ConnectArgs) -> Result<(), CommandError> {
    let client = rest::client(session, connect)?;
    let value = get(&client, &["v1", "claims"]).await?;
    session.answer(&value, || {
        let mut table = Table::new(&["CLAIM", "STATE", "PARTICIPANT", "PROGRAMME", "YEAR", "AMOUNT"]);
        for claim in items(&value, "claims") {
            let text = |pointer: &str| crate::output::plain(claim.pointer(pointer).unwrap_or(&Value::Null));
            table.row([
                text("/id"),
                text("/state"),
                text("/claim/participant"),
                text("/claim/programme"),
                text("/claim/year"),
                money(&text("/claim/amount"), "CNY"),
            ]);
        }
        table.lines()
    })
}

/// `kouan incentive release`.
pub async fn release(session: &mut Session<'_>, id: &str, connect: &ConnectArgs) -> Result<(), CommandError> {
    let client = rest::client(session, connect)?;
    let value = act(&client, &["v1", "claims", id, "release"]).await?;
    session.answer(&value, || told(&value))
}

/// `kouan incentive open-receipts`.
pub async fn open_receipts(
    session: &mut Session<'_>,
    id: &str,
    (to, reason): (&str, &str),
    connect: &ConnectArgs,
) -> Result<Exit, CommandError> {
    let client = rest::client(session, connect)?;
    let body = OpenReceipts { to: to.to_owned(), reason: reason.to_owned() };
    let value = client.json(&Call::post_json(path(["v1", "claims", id, "receipts"]), &body)?).await?;
    let opened = value.get("state").is_some_and(|state| state == "opened");
    session.answer(&value, || {
        vec![if opened {
            format!("opened: kouan incentive claim --receipts puts them into the bundle of {id}")
        } else {
            "signed: an authority's compliance officer sends the same, and they are open".to_owned()
        }]
    })?;
    Ok(if opened { Exit::Success } else { Exit::Review })
}

/// `kouan incentive refuse`.
pub async fn refuse(
    session: &mut Session<'_>,
    id: &str,
    reason: &str,
    connect: &ConnectArgs,
) -> Result<(), CommandError> {
    let client = rest::client(session, connect)?;
    let value = act_because(&client, &["v1", "claims", id, "refuse"], reason).await?;
    session.answer(&value, || told(&value))
}
