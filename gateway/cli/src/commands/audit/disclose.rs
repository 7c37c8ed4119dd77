//! `kouan audit disclose` and `kouan audit verify-disclosure`.

use gateway_api::privacy::Disclose;
use gateway_audit::disclosure::DISCLOSURE_BYTES_MAX;
use gateway_audit::proof::{LogProofError, PROOF_BYTES_MAX};
use gateway_audit::{Disclosure, LogProof};
use serde_json::{Value, json};

use crate::args::audit::{DiscloseArgs, VerifyDisclosureArgs};
use crate::client::{Call, path};
use crate::commands::{proof, rest};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::files;
use crate::output::table::fields;
use crate::session::{Lines, Session};

/// Asks for a disclosure, checks it, and writes it or prints it.
pub async fn disclose(session: &mut Session<'_>, args: &DiscloseArgs) -> Result<Exit, CommandError> {
    let body = Disclose { fields: args.fields.clone(), to: args.to.clone(), reason: args.reason.clone() };
    let target = path(["v1", "audit", &args.index.to_string(), "disclosures"]);
    let value = rest::client(session, &args.connect)?.json(&Call::post_json(target, &body)?).await?;
    let mut text = serde_json::to_vec_pretty(&value).unwrap_or_default();
    text.push(b'\n');
    let disclosure = read(&text)?;
    disclosure.verify().map_err(|error| CommandError::Integrity(error.to_string()))?;
    let Some(out) = &args.out else {
        session.answer(&value, || String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())?;
        return Ok(Exit::Success);
    };
    files::write_atomically(out, &text)?;
    let answer = json!({"index": disclosure.index, "access": disclosure.access, "file": out});
    session.answer(&answer, || {
        vec![format!(
            "`{}` opens {} of entry {}; the log tells of it in entry {}",
            out.display(),
            args.fields.join(", "),
            disclosure.index,
            disclosure.access
        )]
    })?;
    Ok(Exit::Success)
}

/// Offline: the commitments, and with a proof also that the leaf stands in the log.
pub fn verify(session: &mut Session<'_>, args: &VerifyDisclosureArgs) -> Result<Exit, CommandError> {
    let disclosure = read(&files::read(&args.file, DISCLOSURE_BYTES_MAX)?)?;
    let (leaf, hash) = disclosure.verify().map_err(|error| CommandError::Integrity(error.to_string()))?;
    let keys = args.key.as_deref().map(proof::verifier_keys).transpose()?.unwrap_or_default();
    if let Some(file) = &args.proof {
        let bad = |error: LogProofError| CommandError::Integrity(format!("the proof does not hold: {error}"));
        let longest = u64::try_from(PROOF_BYTES_MAX).unwrap_or(u64::MAX);
        let proof = LogProof::parse(&files::read(file, longest)?).map_err(bad)?;
        if proof.index != disclosure.index {
            let detail = format!("the proof is of entry {}, not of {}", proof.index, disclosure.index);
            return Err(CommandError::Integrity(detail));
        }
        // Of several keys, those of a log that has changed its key, one has to fit.
        let by_one = keys.iter().map(|key| proof.verify(leaf.bytes(), Some(key)));
        let by_one = by_one.reduce(Result::or);
        by_one.unwrap_or_else(|| proof.verify(leaf.bytes(), None)).map_err(bad)?;
    }
    let in_log = args.proof.is_some();
    let opened: Vec<Value> = disclosure
        .fields
        .iter()
        .map(|field| json!({"field": field.field, "text": field.text, "value": field.value}))
        .collect();
    let answer = json!({
        "ok": true, "index": disclosure.index, "origin": disclosure.origin, "leaf_hash": hash.to_string(),
        "in_log": in_log, "fields": opened,
    });
    session.answer(&answer, || told(&disclosure, in_log, !keys.is_empty()))?;
    Ok(Exit::Success)
}

fn read(bytes: &[u8]) -> Result<Disclosure, CommandError> {
    Disclosure::parse(bytes).map_err(|error| CommandError::Input(error.to_string()))
}

fn told(disclosure: &Disclosure, in_log: bool, by_key: bool) -> Lines {
    let rows = disclosure.fields.iter().map(|field| {
        let shown = field.text.clone().unwrap_or_else(|| field.value.clone());
        (field.field.as_str(), shown)
    });
    let mut lines = fields(rows);
    lines.push(format!("verified: entry {} commits to exactly this", disclosure.index));
    lines.push(match (in_log, by_key) {
        (true, true) => "and stands in the log of that key".to_owned(),
        (true, false) => "and stands under the proof's checkpoint; whose that is, --key tells".to_owned(),
        (false, _) => format!(
            "that it stands in the log is for a proof to show: kouan audit proof {} --out FILE, then --proof FILE --key KEY",
            disclosure.index
        ),
    });
    lines
}
