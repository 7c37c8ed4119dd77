//! `kouan audit rotate-key`: makes the log's next signing key. The gateway does the rest when it starts with it.

use gateway_audit::{Ed25519Signer, NoteError, Signer as _};
use serde_json::json;

use crate::args::audit::RotateKeyArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::files;
use crate::session::Session;

/// Longest key file.
const KEY_BYTES_MAX: u64 = 4096;

pub(super) fn run(session: &mut Session<'_>, args: &RotateKeyArgs) -> Result<Exit, CommandError> {
    // Neither error repeats what the file holds.
    let bad = |error: NoteError| CommandError::Input(format!("`{}`: {error}", args.key.display()));
    let old = Ed25519Signer::parse(&files::read_text(&args.key, KEY_BYTES_MAX)?).map_err(bad)?;
    let origin = old.verifier().name().to_owned();
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| CommandError::Usage(format!("the operating system gives no randomness: {error}")))?;
    let new = Ed25519Signer::from_seed(&origin, &seed).map_err(bad)?;
    let text = Ed25519Signer::key_file(&origin, &seed).map_err(bad)?;
    // Never over a file: it could be the key of now.
    certs::files::write_key_file(&args.out, &text).map_err(|error| CommandError::Input(error.to_string()))?;
    let vkeys = format!("{}\n{}\n", old.verifier(), new.verifier());
    if let Some(place) = &args.vkeys {
        files::write_atomically(place, vkeys.as_bytes())?;
    }
    let value = json!({
        "origin": origin, "old": old.verifier().to_string(), "new": new.verifier().to_string(), "out": args.out,
    });
    session.answer(&value, || {
        let mut lines: Vec<String> = vkeys.lines().map(str::to_owned).collect();
        lines.push(String::new());
        lines.push(format!(
            "1. in kouan.toml, whose paths are relative to it: next_log_key, which is {}; restart: both keys sign",
            std::path::absolute(&args.out).unwrap_or_else(|_| args.out.clone()).display()
        ));
        lines.push("2. give auditors, mirrors and witnesses both verifier keys".to_owned());
        lines.push("3. when all have them: name the new key as log_key, remove next_log_key, restart".to_owned());
        lines
    })?;
    Ok(Exit::Success)
}
