//! The folder that quickstart leaves behind (INTERFACE.md, "quickstart leaves behind"): certificates, keys, `kouan.toml`.
//! Whatever is there is taken up as it is.

mod toml_text;
mod witnesses;

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use certs::Role;
use certs::dev::{self, DevError, DevParticipant, DevPki};
use certs::files::{self, FileError};
use certs::p12::{self, P12Error};
use gateway_audit::{Ed25519Signer, NoteError, Signer as _};

use crate::clock;
use crate::config::{Config, ConfigError};
use crate::witness::WitnessError;

/// The log's origin and the name of its key.
pub const ORIGIN: &str = "quickstart.kouan.example/audit";
/// What Qianhai says it had exported this year before this gateway counted.
pub const BASELINE_PERSONS: u64 = 12_500;
/// Of them, with sensitive information.
pub const BASELINE_SENSITIVE: u64 = 300;
/// Opens the browser bundles. No secret: the keys lie beside them.
pub const BROWSER_PASSWORD: &str = "kouan";

const KEY_BYTES_MAX: u64 = 64 * 1024;
const PEM_BYTES_MAX: u64 = 1 << 20;

/// Everybody in the story.
const PARTICIPANTS: [DevParticipant<'static>; 4] = [
    DevParticipant { id: "hku", trust_domain: "hku.hk", principals: &[(Role::Researcher, "alice")] },
    DevParticipant { id: "cuhk", trust_domain: "cuhk.edu.hk", principals: &[(Role::Researcher, "bob")] },
    DevParticipant {
        id: "qianhai",
        trust_domain: "qianhai-compute.cn",
        principals: &[(Role::Broker, "lin"), (Role::Operator, "ops")],
    },
    DevParticipant {
        id: "regulator",
        trust_domain: "regulator.example",
        principals: &[(Role::Compliance, "chan"), (Role::Compliance, "lee")],
    },
];
/// Those who get a bundle for a browser.
const BROWSERS: [(&str, &str); 2] = [("regulator", "compliance-chan"), ("hku", "researcher-alice")];

/// Why the folder cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// `--listen` is not an address.
    #[error("`--listen {text}`: {why}; write HOST:PORT, such as 127.0.0.1:8443")]
    Listen {
        /// As given.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// The development certificates.
    #[error(transparent)]
    Pki(#[from] DevError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file that names the node.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log's key.
    #[error("the log's key `{}`: {source}", path.display())]
    LogKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: NoteError,
    },
    /// A witness of the log.
    #[error("a witness of the log: {0}")]
    Witness(#[from] WitnessError),
    /// A bundle for a browser.
    #[error("bundle `{}`: {source}", path.display())]
    Bundle {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: P12Error,
    },
    /// The operating system gives no random bytes.
    #[error("the operating system gives no randomness: {0}")]
    Random(String),
    /// A draft that cannot be written.
    #[error("`{}`: {source}", path.display())]
    Draft {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The folder.
#[derive(Debug)]
pub struct Layout {
    /// As the user named it, so that printed paths can be pasted where they are.
    pub dir: PathBuf,
    /// Certificates of the participants and of the server.
    pub pki: DevPki,
    /// What was not there before.
    pub created: BTreeSet<PathBuf>,
    listen: SocketAddr,
}

impl Layout {
    /// Makes what is missing in `dir`.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] names the file that is in the way; nothing is overwritten.
    pub fn ensure(dir: &Path, listen: &str) -> Result<Self, LayoutError> {
        let listen = address(listen)?;
        files::create_folder(dir)?;
        // Whoever waits for the file must not find that of the last run.
        let _ = std::fs::remove_file(dir.join("ready"));
        let pki = dev::ensure(dir, clock::now(), &PARTICIPANTS)?;
        let mut layout = Self { dir: dir.to_owned(), pki, created: BTreeSet::new(), listen };
        layout.created.extend(layout.pki.changes.iter().map(|(path, _)| path.clone()));
        layout.log_key()?;
        layout.witnesses()?;
        for (participant, principal) in BROWSERS {
            layout.bundle(participant, principal)?;
        }
        Ok(layout)
    }

    /// Whether this run has made the node.
    pub fn is_new(&self) -> bool {
        self.created.contains(&self.config_path())
    }

    /// The file that names the node.
    pub fn config_path(&self) -> PathBuf {
        self.dir.join("kouan.toml")
    }

    /// Verifies the server.
    pub fn trust(&self) -> PathBuf {
        self.dir.join("pki/trust.pem")
    }

    /// Verifies the log.
    pub fn log_vkey(&self) -> PathBuf {
        self.dir.join("pki/log.vkey")
    }

    /// Says whose cosignatures make the log witnessed.
    pub fn witness_policy(&self) -> PathBuf {
        self.dir.join("pki/witness-policy")
    }

    /// Whether the gateway of this folder has its witnesses: one that was laid out before there were any has not.
    pub fn is_witnessed(&self) -> bool {
        Config::load(&self.config_path()).is_ok_and(|config| config.witness.is_some())
    }

    /// The published log.
    pub fn log(&self) -> PathBuf {
        self.dir.join("data/log")
    }

    /// Where pulled files go.
    pub fn downloads(&self) -> PathBuf {
        self.dir.join("downloads")
    }

    /// A file of a participant's folder.
    pub fn of(&self, participant: &str, name: &str) -> PathBuf {
        self.dir.join("pki").join(participant).join(name)
    }

    /// The configuration: that of `kouan.toml`, or a first one with the wanted address. The flag says whether it is
    /// still to be written, once the port is known.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Config`] if what is there cannot be used.
    pub fn config(&self) -> Result<(Config, bool), LayoutError> {
        let path = self.config_path();
        if path.exists() {
            return Ok((Config::load(&path)?, false));
        }
        let draft_error = |source| LayoutError::Draft { path: self.dir.join("kouan.toml"), source };
        // In the same folder: relative paths in it mean the same as in the file that will be written.
        let draft = tempfile::NamedTempFile::new_in(&self.dir).map_err(draft_error)?;
        let admin = SocketAddr::from(([127, 0, 0, 1], 0));
        std::fs::write(draft.path(), toml_text::of(self.listen, admin)).map_err(draft_error)?;
        Ok((Config::load(draft.path())?, true))
    }

    /// Writes `kouan.toml` with the ports that were really bound.
    ///
    /// # Errors
    ///
    /// [`LayoutError::File`].
    pub fn write_config(&mut self, listen: SocketAddr, admin: SocketAddr) -> Result<(), LayoutError> {
        let path = self.config_path();
        files::write_public_file(&path, &toml_text::of(listen, admin))?;
        self.created.insert(path);
        Ok(())
    }

    /// The address that was asked for, if `bound` is another.
    pub fn not_as_asked(&self, bound: SocketAddr) -> Option<SocketAddr> {
        let same = self.listen.ip() == bound.ip() && (self.listen.port() == 0 || self.listen.port() == bound.port());
        (!same).then_some(self.listen)
    }

    /// Says that the story is told and the gateway stays up.
    ///
    /// # Errors
    ///
    /// [`LayoutError::File`].
    pub fn ready(&self, url: &str) -> Result<(), LayoutError> {
        Ok(files::replace_public_file(&self.dir.join("ready"), &format!("{url}\n"))?)
    }

    /// Takes that back.
    pub fn no_longer_ready(&self) {
        let _ = std::fs::remove_file(self.dir.join("ready"));
    }

    fn log_key(&mut self) -> Result<(), LayoutError> {
        let (key, vkey) = (self.dir.join("pki/log.key"), self.log_vkey());
        let fault = |source| LayoutError::LogKey { path: self.dir.join("pki/log.key"), source };
        let text = if key.exists() {
            files::read_text(&key, KEY_BYTES_MAX)?
        } else {
            let mut seed = [0_u8; 32];
            getrandom::fill(&mut seed).map_err(|error| LayoutError::Random(error.to_string()))?;
            let text = Ed25519Signer::key_file(ORIGIN, &seed).map_err(fault)?;
            files::write_key_file(&key, &text)?;
            text
        };
        let signer = Ed25519Signer::parse(&text).map_err(fault)?;
        if !vkey.exists() {
            files::write_public_file(&vkey, &format!("{}\n", signer.verifier()))?;
            self.created.insert(vkey);
        }
        Ok(())
    }

    /// A PKCS#12 bundle; made again when its certificate was.
    fn bundle(&mut self, participant: &str, principal: &str) -> Result<(), LayoutError> {
        let path = self.of(participant, &format!("{principal}.p12"));
        let cert = self.of(participant, &format!("{principal}.pem"));
        if path.exists() {
            if !self.created.contains(&cert) {
                return Ok(());
            }
            std::fs::remove_file(&path).map_err(|source| LayoutError::Draft { path: path.clone(), source })?;
        }
        let read = |name: &str| files::read_text(&self.of(participant, name), PEM_BYTES_MAX);
        let (cert, key) = (read(&format!("{principal}.pem"))?, read(&format!("{principal}.key"))?);
        let alias = format!("Kouan {participant} {principal}");
        let bundle = p12::bundle(&cert, &key, Some(&read("ca.pem")?), &alias, BROWSER_PASSWORD)
            .map_err(|source| LayoutError::Bundle { path: path.clone(), source })?;
        files::write_new(&path, &bundle, 0o600)?;
        self.created.insert(path);
        Ok(())
    }
}

/// `HOST:PORT`; of several addresses of a host the first of version 4.
fn address(text: &str) -> Result<SocketAddr, LayoutError> {
    let wrong = |why: String| LayoutError::Listen { text: text.to_owned(), why };
    let found: Vec<SocketAddr> = text.to_socket_addrs().map_err(|error| wrong(error.to_string()))?.collect();
    let four = found.iter().find(|address| address.is_ipv4());
    let address = four.or(found.first()).copied().ok_or_else(|| wrong("no such host".to_owned()))?;
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        return Ok(address);
    }
    Err(wrong("the development certificate is for this machine only, by loopback".to_owned()))
}

#[cfg(test)]
mod tests;
