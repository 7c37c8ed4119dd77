//! A witness's key and memory. They are made together and belong together: a key without its memory could be made to
//! cosign another history, so it is not used.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use certs::files;
use gateway_audit::Cosigner;
use gateway_store::WitnessStore;

use super::{WitnessConfig, WitnessError};

const KEY_BYTES_MAX: u64 = 4096;

/// The key and the memory of a witness; made if there is no key yet.
///
/// # Errors
///
/// [`WitnessError::Store`] if the key is there and its memory is not.
pub fn ensure(config: &WitnessConfig) -> Result<(Cosigner, WitnessStore), WitnessError> {
    let fault = WitnessError::file(&config.key);
    if config.key.exists() {
        return Ok((read(&config.key)?, WitnessStore::open(&config.store)?));
    }
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed).map_err(|error| WitnessError::Random(error.to_string()))?;
    let text = Cosigner::key_file(&config.name, &seed).map_err(|error| fault(error.to_string()))?;
    // The memory first: what a crash leaves is then a memory without a key, which harms nobody.
    let store = WitnessStore::create(&config.store)?;
    gateway_store::crashpoint!("witness.before_key");
    let folder = gateway_store::durable::folder_of(&config.key);
    gateway_store::durable::create_dir(&folder).map_err(|error| fault(error.to_string()))?;
    files::write_key_file(&config.key, &text).map_err(|error| fault(error.to_string()))?;
    Ok((read(&config.key)?, store))
}

fn read(path: &Path) -> Result<Cosigner, WitnessError> {
    let fault = WitnessError::file(path);
    let file = std::fs::File::open(path).map_err(|error| fault(error.to_string()))?;
    let mode = file.metadata().map_err(|error| fault(error.to_string()))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(fault(format!("others may use it (mode {mode:04o}): `chmod 600` it, or replace it")));
    }
    let mut text = String::new();
    file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(|error| fault(error.to_string()))?;
    Cosigner::parse(&text).map_err(|error| fault(error.to_string()))
}
