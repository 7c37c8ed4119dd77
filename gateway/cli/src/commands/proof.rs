//! `kouan audit proof`: fetch a `.tlog-proof`, check it against the entry, write it.

use std::path::PathBuf;

use gateway_audit::{LogProof, VerifierKey};
use serde_json::{Value, json};

use super::rest::get;
use super::witnessed;
use crate::args::audit::ProofArgs;
use crate::args::connect::ConnectWithLogKeyArgs;
use crate::client::{Call, Client, path};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::files;
use crate::profile::Profile;
use crate::session::Session;

/// Longest verifier key file, in bytes.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// Reads verifier keys: a file with one a line, or a key itself.
pub fn verifier_keys(named: &str) -> Result<Vec<VerifierKey>, CommandError> {
    let text = match std::fs::exists(named) {
        Ok(true) => files::read_text(named.as_ref(), KEY_BYTES_MAX)?,
        _ if named.contains('+') => named.to_owned(),
        _ => {
            return Err(CommandError::io(named.as_ref(), "open")(std::io::ErrorKind::NotFound.into()));
        }
    };
    gateway_audit::note::verifier_keys(&text)
        .map_err(|error| CommandError::Input(format!("`{named}` holds no verifier key (NAME+ID+BASE64): {error}")))
}

/// What `--key` named, told apart by content: the private key of the certificate, and the log's verifier keys.
pub fn keys(connect: &ConnectWithLogKeyArgs) -> Result<(Option<PathBuf>, Option<Vec<VerifierKey>>), CommandError> {
    let mut private: Option<PathBuf> = None;
    let mut log_key: Option<Vec<VerifierKey>> = None;
    for file in &connect.key {
        let named = file.to_string_lossy();
        // Both are keys to the user; what is in the file says which.
        let is_pem = files::read_text(file, KEY_BYTES_MAX).is_ok_and(|text| text.contains("-----BEGIN"));
        let slot = if is_pem {
            private.replace(file.clone()).is_some()
        } else {
            log_key.replace(verifier_keys(&named)?).is_some()
        };
        if slot {
            return Err(CommandError::Usage("`--key` takes one private key and one verifier key at most".to_owned()));
        }
    }
    Ok((private, log_key))
}

pub async fn run(session: &mut Session<'_>, args: &ProofArgs) -> Result<Exit, CommandError> {
    let (private, mut log_key) = keys(&args.connect)?;
    let profile = Profile::resolve(&args.connect.with_key(private), session.io.env.as_ref())?;
    let client = Client::open(&profile)?;
    let index = args.index.to_string();
    let call = Call::get(path(["v1", "audit", &index, "proof"]));
    let bytes = client.accepted(&call).await?.bytes(gateway_audit::proof::PROOF_BYTES_MAX).await?;
    let bad = |error: gateway_audit::proof::LogProofError| {
        CommandError::Integrity(format!("the proof does not hold: {error}"))
    };
    let proof = LogProof::parse(&bytes).map_err(bad)?;
    if proof.index != args.index {
        return Err(CommandError::Integrity(format!("the proof is of entry {}, not of {}", proof.index, args.index)));
    }
    // A gateway puts the entry's own bytes into the proof; without them its canonical form is what was logged.
    let entry = match &proof.extra {
        Some(extra) => extra.clone(),
        None => entry(&client, &index).await?,
    };
    let policy = args.policy.as_deref().map(witnessed::policy).transpose()?;
    if let (None, Some(policy)) = (&log_key, &policy) {
        log_key = Some(witnessed::log_keys(policy)).filter(|keys| !keys.is_empty());
    }
    let signed = log_key.as_deref().map(|keys| proof.checkpoint.note().verify_any(keys)).transpose();
    let signed = signed.map_err(|error| bad(error.into()))?;
    let checkpoint = proof.verify(&entry, signed).map_err(bad)?.clone();
    let witnessed = witnessed::judge(policy.as_ref(), &proof.checkpoint)?;
    let verdict = if log_key.is_some() { "verified" } else { "self-consistent only" };
    if let Some(out) = &args.out {
        files::write_atomically(out, &bytes)?;
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let value = json!({
        "index": args.index, "verdict": verdict, "origin": checkpoint.origin, "size": checkpoint.size,
        "root": checkpoint.root, "witnessed": witnessed, "leaf": serde_json::from_slice::<Value>(&entry).ok(), "proof": text, "file": args.out,
    });
    if !session.json && args.out.is_none() {
        session.print(&text)?;
        session.note(&summary(&value));
        return Ok(Exit::Success);
    }
    session.answer(&value, || {
        let mut lines = vec![summary(&value)];
        lines.extend(args.out.as_ref().map(|out| format!("written to {}", out.display())));
        lines
    })?;
    Ok(Exit::Success)
}

fn summary(value: &Value) -> String {
    let text = |member: &str| crate::output::plain(value.get(member).unwrap_or(&Value::Null));
    let hint =
        if text("verdict") == "verified" { "" } else { " (give the log's key with --key to verify who signed it)" };
    let witnessed = value.pointer("/witnessed/text").map(crate::output::plain).unwrap_or_default();
    format!(
        "entry {} of {} in the log {}: {}{hint}, {witnessed}",
        text("index"),
        text("size"),
        text("origin"),
        text("verdict")
    )
}

/// The entry's bytes: its canonical form is what was logged.
async fn entry(client: &Client, index: &str) -> Result<Vec<u8>, CommandError> {
    let value = get(client, &["v1", "audit", index]).await?;
    let leaf = value.get("leaf").cloned().unwrap_or(value);
    canonical(&leaf)
}

/// RFC 8785, for values of a leaf: an entry that is not canonical is no leaf, and would not match its proof either.
fn canonical(leaf: &Value) -> Result<Vec<u8>, CommandError> {
    serde_json_canonicalizer::to_vec(leaf)
        .map_err(|error| CommandError::Integrity(format!("the entry has no canonical form: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_that_is_none_is_named() {
        assert!(matches!(verifier_keys("/nonexistent/log.vkey"), Err(CommandError::LocalIo { .. })));
        assert!(matches!(verifier_keys("a+b+c"), Err(CommandError::Input(_))));
    }
}
