//! How a command reaches its gateway.

use std::path::PathBuf;

use clap::Args;

/// Gateway address and client certificate.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Gateway")]
pub struct ConnectArgs {
    /// Address of the gateway, https://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// Your certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// What verifies the gateway, PEM
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Which [profile.NAME] of the profile file
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Seconds to wait for an answer to begin, and for a stalled body
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
}

/// As [`ConnectArgs`], where `--key` may also name the log's verifier key: told apart by content.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Gateway")]
pub struct ConnectWithLogKeyArgs {
    /// Address of the gateway, https://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// Your certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// The log's verifier key (verifies the proof), or your private key in PEM; may be given twice
    #[arg(long, value_name = "FILE")]
    pub key: Vec<PathBuf>,
    /// What verifies the gateway, PEM
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Which [profile.NAME] of the profile file
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Seconds to wait for an answer to begin
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
}

impl ConnectWithLogKeyArgs {
    /// The connection, with `key` as the private key.
    pub fn with_key(&self, key: Option<PathBuf>) -> ConnectArgs {
        ConnectArgs {
            gateway: self.gateway.clone(),
            cert: self.cert.clone(),
            key,
            ca: self.ca.clone(),
            profile: self.profile.clone(),
            timeout: self.timeout,
        }
    }
}
