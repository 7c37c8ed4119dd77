//! `witness.toml`. Paths in it are relative to the file's own folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use gateway_audit::VerifierKey;
use serde::Deserialize;

use super::WitnessError;
use crate::config::{self, ConfigError, Server};

/// Longest key file that is read, in bytes.
const VKEY_BYTES_MAX: u64 = 64 * 1024;

/// A witness's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Where it listens; port 0 picks one.
    pub listen: SocketAddr,
    /// The name of its key, a URL without its scheme: `witness.hku.hk/kouan`.
    pub name: String,
    /// Its signing key, mode 0600; made at the first start, together with its memory.
    pub key: PathBuf,
    /// Its memory: of each log the largest tree that it has cosigned.
    pub store: PathBuf,
    /// Its server certificate.
    pub server: Server,
    /// The logs that it cosigns: verifier keys, or files with one a line. While a log's key is being changed, both.
    pub logs: Vec<String>,
}

impl WitnessConfig {
    /// Reads, resolves and checks the file at `path`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the key that is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (mut config, folder): (Self, _) = config::read(path)?;
        let own = [&mut config.key, &mut config.store, &mut config.server.cert, &mut config.server.key];
        for path in own {
            if path.is_relative() {
                *path = folder.join(&*path);
            }
        }
        for log in &mut config.logs {
            // A key has two `+`; a path of that form can be written with `./`.
            if log.matches('+').count() < 2 || log.starts_with('.') || log.starts_with('/') {
                *log = folder.join(&*log).to_string_lossy().into_owned();
            }
        }
        if config.logs.is_empty() {
            let problem = "name at least one log by its verifier key, or a file with it".to_owned();
            return Err(ConfigError::Value { key: "logs", problem });
        }
        Ok(config)
    }

    /// The keys of its logs.
    ///
    /// # Errors
    ///
    /// [`WitnessError::File`] for a file that cannot be read or a text that is no key.
    pub fn log_keys(&self) -> Result<Vec<VerifierKey>, WitnessError> {
        let keys = self.logs.iter().map(|log| log_keys(log)).collect::<Result<Vec<_>, _>>()?;
        Ok(keys.into_iter().flatten().collect())
    }
}

fn log_keys(log: &str) -> Result<Vec<VerifierKey>, WitnessError> {
    let path = Path::new(log);
    let fault = WitnessError::file(path);
    let text = if path.exists() {
        certs::files::read_text(path, VKEY_BYTES_MAX).map_err(|error| fault(error.to_string()))?
    } else {
        log.to_owned()
    };
    gateway_audit::note::verifier_keys(&text)
        .map_err(|error| fault(format!("it is neither a file nor a log's verifier key: {error}")))
}
