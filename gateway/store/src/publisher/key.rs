//! The signing key's file.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use gateway_audit::Ed25519Signer;

use super::PublishError;

/// Longest key file that is read.
const KEY_BYTES_MAX: u64 = 4096;

pub(super) fn load(path: &Path) -> Result<Ed25519Signer, PublishError> {
    let fault = |why: String| PublishError::Key { path: path.to_owned(), why };
    let file = fs::File::open(path).map_err(|error| fault(error.to_string()))?;
    let mode = file.metadata().map_err(|error| fault(error.to_string()))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(fault(format!("others may use it (mode {mode:04o}): `chmod 600` it, or replace it")));
    }
    let mut text = String::new();
    file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(|error| fault(error.to_string()))?;
    Ed25519Signer::parse(&text).map_err(|error| fault(error.to_string()))
}
