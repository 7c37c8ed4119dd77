//! `kouan.toml`: one tree, checked before any port binds. Paths in it are relative to the file's own folder.

mod retention;
mod witness;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use catalog::participant::{AddressRange, Baseline, Tristate};
use catalog::{ParticipantId, Place, Role};
use gateway_ledger::{FeeRule, Fees, TaxRate, Taxes};
use gateway_store::transaction::UNRECEIPTED_BYTES_MAX;
use serde::{Deserialize, Serialize};

pub use retention::Retention;
pub use witness::{WitnessAddress, WitnessSection};

/// The configuration as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the mutual-TLS listener; port 0 picks one.
    pub listen: SocketAddr,
    /// Loopback address of health and metrics; port 0 picks one.
    #[serde(default = "admin")]
    pub admin: SocketAddr,
    /// Where this node stands; it opens only stores on its own side of the border.
    pub place: Place,
    /// The data directory.
    pub data: PathBuf,
    /// The log's origin (C2SP tlog-checkpoint).
    pub origin: String,
    /// The log's signing key, mode 0600.
    pub log_key: PathBuf,
    /// The key that will take over: both sign the log until `log_key` names it (`kouan audit rotate-key`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_log_key: Option<PathBuf>,
    /// Last signed size and root, outside the data directory: a restored backup is noticed.
    pub guard: PathBuf,
    /// For this start only (`kouan serve --adopt-missing-guard`): a missing guard is written anew.
    #[serde(skip)]
    pub adopt_missing_guard: bool,
    /// Folder of the key that wraps persons' keys, outside the data directory and its backups: an erasure destroys it.
    /// Default: `kek` beside the log's signing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kek: Option<PathBuf>,
    /// The server's certificate.
    pub server: Server,
    /// Origins that a browser may send (`https://localhost:8443`); the listener's own are added.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
    /// Witnesses of the log; without them every proof is called unwitnessed, and nothing waits for anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<WitnessSection>,
    /// How long what is kept.
    #[serde(default)]
    pub retention: Retention,
    /// Revocation lists that are watched: a newer one is taken as if it had been PUT.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub crl_files: BTreeMap<ParticipantId, PathBuf>,
    /// Roots from which a participant may register by reference.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roots: BTreeMap<ParticipantId, PathBuf>,
    /// The data trading platform that this gateway is recognised as, if it is: incentive programmes ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Tax within prices whose offers say nothing of it, by currency and day. Without an entry it is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vat: Vec<TaxRate>,
    /// The broker's part of prices whose offers name none, by broker or class of revenue; taken into an agreement when it is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fee: Vec<FeeRule>,
    /// Participants that exist before anybody can add one: the operator's and the first authority.
    #[serde(default, rename = "participant", skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<Bootstrap>,
}

fn admin() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// `[server]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM, mode 0600.
    pub key: PathBuf,
}

/// `[[participant]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// Short id.
    pub id: ParticipantId,
    /// Its trust domain.
    pub trust_domain: String,
    /// Legal name by script.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// Registered place.
    pub place: Place,
    /// Roles.
    pub roles: std::collections::BTreeSet<Role>,
    /// Whether it is an authority.
    #[serde(default)]
    pub authority: bool,
    /// Unified social credit code or business registration number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<String>,
    /// Critical information infrastructure operator.
    #[serde(default)]
    pub ciio: Tristate,
    /// Registered address ranges.
    #[serde(default)]
    pub address_ranges: Vec<AddressRange>,
    /// Yearly baselines by year; inert until an authority confirms them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub baselines: BTreeMap<i16, Baseline>,
    /// CA certificates, PEM.
    pub ca: PathBuf,
    /// Revocation list, PEM.
    pub crl: PathBuf,
}

/// `[limits]`: every queue, body and wait has its maximum here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections.
    pub connections_max: usize,
    /// Open connections of one participant.
    pub connections_per_participant_max: usize,
    /// Streams at once.
    pub streams_max: usize,
    /// Streams of one participant at once.
    pub streams_per_participant_max: usize,
    /// Bytes of a JSON body.
    pub json_body_bytes_max: usize,
    /// Bytes of an uploaded file.
    pub upload_bytes_max: u64,
    /// Bytes that a converted or decompressed upload may grow to.
    pub expanded_bytes_max: u64,
    /// Denied requests of one principal per minute before 429.
    pub denials_per_minute_max: u32,
    /// A grant covers at most this many bytes.
    pub grant_bytes: u64,
    /// Bytes that may be out without a receipt where an offer asks for receipts.
    pub unreceipted_bytes_max: u64,
    /// Seconds for a TLS handshake, for the HTTP/2 preface, and for the header of a request.
    pub handshake_seconds: u64,
    /// Seconds that a body may make no progress.
    pub idle_seconds: u64,
    /// Seconds of a drain's first phase: streams may finish.
    pub drain_seconds: u64,
    /// Seconds of a drain's second phase: streams are ended; then everything is dropped.
    pub drain_cut_seconds: u64,
    /// Hours that a lease lives.
    pub lease_hours: i64,
    /// Bytes kept free in the data directory for what must still be recorded when the disk is full; 0 keeps none.
    pub ballast_bytes: u64,
    /// Log entries beyond the published ones with which something new may leave.
    pub unpublished_entries_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            connections_per_participant_max: 2048,
            streams_max: 2048,
            streams_per_participant_max: 1024,
            json_body_bytes_max: 1 << 20,
            upload_bytes_max: 64 << 30,
            expanded_bytes_max: 256 << 30,
            denials_per_minute_max: 120,
            grant_bytes: 64 << 20,
            unreceipted_bytes_max: UNRECEIPTED_BYTES_MAX,
            handshake_seconds: 10,
            idle_seconds: 300,
            drain_seconds: 20,
            drain_cut_seconds: 5,
            lease_hours: 24,
            ballast_bytes: 64 << 20,
            unpublished_entries_max: 100_000,
        }
    }
}

impl Limits {
    /// How much a grant covers. Where receipts are needed, several grants fit into what may be out without one.
    pub const fn window(&self, needs_receipts: bool) -> u64 {
        let part = self.unreceipted_bytes_max / 4;
        if needs_receipts && part < self.grant_bytes { part } else { self.grant_bytes }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not the TOML that it should be.
    #[error("{path}: {message}", path = path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Line, key and what is wrong.
        message: String,
    },
    /// A value makes no sense.
    #[error("`{key}` in kouan.toml: {problem}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// What the TOML file at `path` holds, and the folder that its relative paths start from.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<(T, &Path), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let config = toml::from_str(&text)
        .map_err(|error| ConfigError::Parse { path: path.to_owned(), message: error.to_string() })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((config, folder))
}

impl Config {
    /// Reads, resolves and checks the file at `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (mut config, folder): (Self, _) = read(path)?;
        config.resolve(folder);
        config.check()?;
        Ok(config)
    }

    fn resolve(&mut self, folder: &Path) {
        let own = [&mut self.data, &mut self.log_key, &mut self.guard, &mut self.server.cert, &mut self.server.key];
        let participants = self.participants.iter_mut().flat_map(|entry| [&mut entry.ca, &mut entry.crl]);
        let witness = self.witness.iter_mut().flat_map(WitnessSection::paths);
        for path in own
            .into_iter()
            .chain(self.next_log_key.as_mut())
            .chain(self.kek.as_mut())
            .chain(participants)
            .chain(self.crl_files.values_mut())
            .chain(self.roots.values_mut())
            .chain(witness)
        {
            if path.is_relative() {
                *path = folder.join(&*path);
            }
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key, problem: &str| Err(ConfigError::Value { key, problem: problem.to_owned() });
        if !self.admin.ip().is_loopback() {
            return wrong(
                "admin",
                "health and metrics are plain HTTP: name a loopback address, such as 127.0.0.1:9443",
            );
        }
        if self.guard.starts_with(&self.data) {
            return wrong("guard", "it must lie outside `data`, or a restored backup would bring its own guard");
        }
        if self.kek_folder().starts_with(&self.data) {
            return wrong(
                "kek",
                "it must lie outside `data`, or every backup would open what an erasure has to destroy",
            );
        }
        if self.origin.is_empty() || self.origin.chars().any(|c| c.is_whitespace() || c == '+') {
            return wrong("origin", "name the log without spaces and `+`, such as `kouan.example/audit`");
        }
        self.retention.check()?;
        let limits = &self.limits;
        if limits.grant_bytes < 1 << 20 || limits.grant_bytes > 64 << 20 {
            return wrong("limits.grant_bytes", "a grant is 1 MiB to 64 MiB");
        }
        if !(32 << 20..=UNRECEIPTED_BYTES_MAX).contains(&limits.unreceipted_bytes_max) {
            return wrong("limits.unreceipted_bytes_max", "32 MiB to 256 MiB may be out without a receipt");
        }
        if limits.connections_max == 0 || limits.streams_max == 0 || limits.json_body_bytes_max < 4096 {
            return wrong("limits", "a limit of zero lets nobody in");
        }
        self.taxes()?;
        self.fees()?;
        if limits.lease_hours < 1 || limits.lease_hours > 24 {
            return wrong("limits.lease_hours", "a lease lives 1 to 24 hours");
        }
        self.witness.as_ref().map_or(Ok(()), WitnessSection::check)
    }

    /// The rates of `[[vat]]`.
    pub fn taxes(&self) -> Result<Taxes, ConfigError> {
        let wrong = |error: gateway_ledger::TaxError| ConfigError::Value { key: "vat", problem: error.to_string() };
        Taxes::new(self.vat.clone()).map_err(wrong)
    }

    /// The rules of `[[fee]]`.
    pub fn fees(&self) -> Result<Fees, ConfigError> {
        let wrong = |error: gateway_ledger::FeeError| ConfigError::Value { key: "fee", problem: error.to_string() };
        Fees::new(self.fee.clone()).map_err(wrong)
    }

    /// The folder of the key that wraps persons' keys.
    pub fn kek_folder(&self) -> PathBuf {
        self.kek.clone().unwrap_or_else(|| self.log_key.with_file_name("kek"))
    }

    /// The configured idle timeout of bodies.
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.limits.idle_seconds)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
    use super::*;

    const GOOD: &str = r#"
        listen = "127.0.0.1:0"
        place = "CN-440300"
        data = "data"
        origin = "kouan.test/audit"
        log_key = "pki/log.key"
        guard = "guard.json"
        server = { cert = "a.pem", key = "a.key" }
    "#;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kouan.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn refusals_name_the_key() {
        assert!(load(GOOD).is_ok());
        for (from, to, want) in [
            ("place = \"CN-440300\"", "place = \"Shenzhen\"", "not a place"),
            ("guard = \"guard.json\"", "guard = \"data/guard.json\"", "`guard`"),
            ("log_key = \"pki/log.key\"", "log_key = \"data/log.key\"", "`kek`"),
            ("data = \"data\"", "data = \"data\"\nkek = \"data/kek\"", "`kek`"),
            ("data = \"data\"", "data = \"data\"\nadmin = \"0.0.0.0:1\"", "`admin`"),
            ("data = \"data\"", "dta = \"data\"", "dta"),
            ("kouan.test/audit", "kouan test", "`origin`"),
            ("place =", "vat = [{ currency = \"CNY\", rate_ppm = 2000000, from = \"2026-01-01\" }]\nplace =", "`vat`"),
            ("place =", "fee = [{ rate_ppm = 1 }, { rate_ppm = 2 }]\nplace =", "`fee`"),
            ("server =", "witness = { policy = \"p\", lost_after = 0 }\nserver =", "`witness.lost_after`"),
            ("server =", "witness = { policy = \"p\", backlog_max = 0 }\nserver =", "`witness.backlog_max`"),
            ("server =", "witness = { lost_after = 5 }\nserver =", "policy"),
        ] {
            let error = load(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    /// Of both kinds of files: any byte is missing or another. Whatever is read is read to its end, or refused in words.
    #[test]
    fn a_damaged_file_is_refused_in_words_or_holds_what_it_says() {
        const WITNESS: &str = r#"
            listen = "127.0.0.1:0"
            name = "witness.test/w"
            key = "w.key"
            store = "seen.db"
            server = { cert = "a.pem", key = "a.key" }
            logs = ["log.vkey"]
        "#;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.toml");
        let mut refused = 0;
        let mut try_it = |bytes: &[u8], kouan: bool| {
            std::fs::write(&path, bytes).unwrap();
            let said = if kouan {
                Config::load(&path).map(|config| config.check().unwrap()).err()
            } else {
                let config = crate::witness::WitnessConfig::load(&path);
                config.map(|config| assert!(config.key.is_absolute() && !config.logs.is_empty())).err()
            };
            if let Some(error) = said {
                assert!(error.to_string().len() > 8, "{error}");
                refused += 1;
            }
        };
        for (text, kouan) in [(GOOD, true), (WITNESS, false)] {
            for at in 0..text.len() {
                let (head, tail) = text.as_bytes().split_at(at);
                try_it(head, kouan);
                try_it(&[head, &tail[1..]].concat(), kouan);
                for byte in *b"\"=\n\xff" {
                    try_it(&[head, &[byte], &tail[1..]].concat(), kouan);
                }
            }
        }
        assert!(refused > 1000, "only {refused}");
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kouan.toml");
        std::fs::write(&path, GOOD).unwrap();
        assert_eq!(Config::load(&path).unwrap().data, folder.path().join("data"));
    }
}
