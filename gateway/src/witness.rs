//! A witness: cosigns what it has seen of the logs that it knows, and never two histories of one (C2SP tlog-witness).
//!
//! It shares nothing with a gateway but this binary: its own key, its own memory, its own port. Whoever asks needs no
//! certificate: a request counts because the log signed the checkpoint in it.
//!
//! | module | does |
//! |---|---|
//! | [`config`] | `witness.toml` |
//! | [`key`] | its key and its memory, which are made together |
//! | [`server`] | `POST /add-checkpoint` over HTTPS |
//! | [`command`] | `kouan witness serve` and `key` |

pub mod command;
pub mod config;
pub mod key;
pub mod server;

pub use config::WitnessConfig;
pub use server::WitnessServer;

/// Why a witness does not start.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// Its configuration is wrong.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// A file cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Its memory.
    #[error(transparent)]
    Store(#[from] gateway_store::WitnessStoreError),
    /// Its server certificate.
    #[error("the witness's server certificate: {0}")]
    Tls(#[from] certs::tls::TlsError),
    /// Its port.
    #[error("the witness cannot listen on `{address}`: {source}")]
    Bind {
        /// What was asked for.
        address: std::net::SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The operating system gives no random bytes.
    #[error("the operating system gives no randomness: {0}")]
    Random(String),
}

impl WitnessError {
    fn file(path: &std::path::Path) -> impl Fn(String) -> Self + '_ {
        |problem| Self::File { path: path.to_owned(), problem }
    }
}
