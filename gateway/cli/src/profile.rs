//! Where a client command finds its gateway and certificate: flags, then environment, then a profile file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use serde::Deserialize;

use crate::args::connect::ConnectArgs;
use crate::error::CommandError;
use crate::io::Environment;

/// Address of the gateway.
pub const ENV_GATEWAY: &str = "KOUAN_GATEWAY";
/// Client certificate, PEM.
pub const ENV_CERT: &str = "KOUAN_CERT";
/// Private key, PEM.
pub const ENV_KEY: &str = "KOUAN_KEY";
/// What verifies the gateway, PEM.
pub const ENV_CA: &str = "KOUAN_CA";
/// The profile file.
pub const ENV_PROFILE_FILE: &str = "KOUAN_PROFILE_FILE";
/// Which profile of it.
pub const ENV_PROFILE: &str = "KOUAN_PROFILE";
/// The profile file if nothing else is said, below `XDG_CONFIG_HOME` or `~/.config`.
pub const DEFAULT_PROFILE_FILE: &str = "kouan/profile.toml";
/// Longest profile file that is read, in bytes.
pub const PROFILE_BYTES_MAX: u64 = 256 * 1024;
/// How long to wait for an answer to begin, and for a stalled body.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

/// Everything that a connection needs, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Where the gateway is.
    pub gateway: GatewayUrl,
    /// Client certificate file.
    pub cert: PathBuf,
    /// Private key file.
    pub key: PathBuf,
    /// Trust bundle file.
    pub ca: PathBuf,
    /// How long to wait for an answer to begin, and for a stalled body.
    pub timeout: Duration,
    /// The profile file, if it gave anything.
    pub file: Option<PathBuf>,
}

/// `https://HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayUrl {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Port; 443 if absent.
    pub port: u16,
    /// What goes into the Host header.
    pub authority: String,
}

impl GatewayUrl {
    /// Parses an address.
    ///
    /// # Errors
    ///
    /// A sentence that says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("gateway address `{text}` {why}: write `https://HOST:PORT`");
        let uri: Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
        if uri.scheme_str() != Some("https") {
            return Err(wrong("does not begin with `https://`"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("holds a user name"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("has a path"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("has no host"));
        }
        let named_port = authority.as_str().rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        if named_port && authority.port_u16().is_none() {
            return Err(wrong("has no valid port"));
        }
        Ok(Self { host, port: authority.port_u16().unwrap_or(443), authority: authority.as_str().to_owned() })
    }
}

impl std::fmt::Display for GatewayUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "https://{}", self.authority)
    }
}

/// The profile file. Top-level members are for everyone; `[profile.NAME]` overrides them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    /// Which profile, if no flag says so.
    default: Option<String>,
    gateway: Option<String>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    ca: Option<PathBuf>,
    #[serde(default)]
    profile: BTreeMap<String, Section>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    gateway: Option<String>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    ca: Option<PathBuf>,
}

/// Values of the profile file, paths made absolute against its folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct FromFile {
    path: Option<PathBuf>,
    section: Section,
}

impl Profile {
    /// Resolves every part: flag, else environment, else profile file.
    ///
    /// # Errors
    ///
    /// [`CommandError::Usage`] names everything that is missing and the three ways to give it.
    pub fn resolve(args: &ConnectArgs, env: &dyn Environment) -> Result<Self, CommandError> {
        let file = FromFile::read(args.profile.as_deref(), env)?;
        let text = |name: &str| env.var(name).and_then(|value| value.into_string().ok());
        let gateway = args.gateway.clone().or_else(|| text(ENV_GATEWAY)).or(file.section.gateway);
        let path = |flag: &Option<PathBuf>, name: &str, other: Option<PathBuf>| {
            flag.clone().or_else(|| env.var(name).map(PathBuf::from)).or(other)
        };
        let cert = path(&args.cert, ENV_CERT, file.section.cert);
        let key = path(&args.key, ENV_KEY, file.section.key);
        let ca = path(&args.ca, ENV_CA, file.section.ca);
        match (gateway, cert, key, ca) {
            (Some(gateway), Some(cert), Some(key), Some(ca)) => Ok(Self {
                gateway: GatewayUrl::parse(&gateway).map_err(CommandError::Usage)?,
                cert,
                key,
                ca,
                timeout: args.timeout.map_or(DEFAULT_TIMEOUT, Duration::from_secs),
                file: file.path,
            }),
            (gateway, cert, key, ca) => {
                let parts = [
                    (gateway.is_none(), "the gateway's address", "--gateway https://HOST:PORT", ENV_GATEWAY, "gateway"),
                    (cert.is_none(), "your certificate", "--cert FILE", ENV_CERT, "cert"),
                    (key.is_none(), "its private key", "--key FILE", ENV_KEY, "key"),
                    (ca.is_none(), "what verifies the gateway", "--ca FILE", ENV_CA, "ca"),
                ];
                let place =
                    profile_path(env).map_or_else(|| "a profile file".to_owned(), |p| format!("`{}`", p.display()));
                let lines: Vec<String> = parts
                    .iter()
                    .filter(|(missing, ..)| *missing)
                    .map(|(_, what, flag, variable, member)| {
                        format!(
                            "{what} is missing: give `{flag}`, set `{variable}`, or write `{member} = \"…\"` in {place}"
                        )
                    })
                    .collect();
                Err(CommandError::Usage(lines.join("\n")))
            }
        }
    }
}

/// The profile file that would be read.
pub fn profile_path(env: &dyn Environment) -> Option<PathBuf> {
    if let Some(path) = env.var(ENV_PROFILE_FILE) {
        return Some(path.into());
    }
    let config = env.var("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = config.or_else(|| env.var("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(config.join(DEFAULT_PROFILE_FILE))
}

impl FromFile {
    fn read(wanted: Option<&str>, env: &dyn Environment) -> Result<Self, CommandError> {
        let wanted = wanted.map(str::to_owned).or_else(|| env.var(ENV_PROFILE)?.into_string().ok());
        let Some(path) = profile_path(env) else {
            return match wanted {
                None => Ok(Self::default()),
                Some(name) => Err(CommandError::Usage(format!(
                    "profile `{name}` was asked for, but neither `HOME` nor `{ENV_PROFILE_FILE}` says where the profile file is"
                ))),
            };
        };
        let text = match crate::files::read_text(&path, PROFILE_BYTES_MAX) {
            Ok(text) => text,
            Err(CommandError::LocalIo { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound
                    && wanted.is_none()
                    && env.var(ENV_PROFILE_FILE).is_none() =>
            {
                return Ok(Self::default());
            }
            Err(error) => return Err(error),
        };
        let parsed: ProfileFile = toml::from_str(&text)
            .map_err(|error| CommandError::Input(format!("profile file `{}`: {error}", path.display())))?;
        let name = wanted.or(parsed.default);
        let mut section = match &name {
            None => Section::default(),
            Some(name) => parsed.profile.get(name).cloned().ok_or_else(|| {
                let known: Vec<&str> = parsed.profile.keys().map(String::as_str).collect();
                CommandError::Usage(format!(
                    "profile file `{}` has no [profile.{name}]; it has: {}",
                    path.display(),
                    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                ))
            })?,
        };
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let absolute = |path: Option<PathBuf>| path.map(|path| folder.join(path));
        section.gateway = section.gateway.or(parsed.gateway);
        section.cert = absolute(section.cert.or(parsed.cert));
        section.key = absolute(section.key.or(parsed.key));
        section.ca = absolute(section.ca.or(parsed.ca));
        Ok(Self { path: Some(path), section })
    }
}

#[cfg(test)]
mod tests;
