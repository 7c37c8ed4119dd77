//! `quickstart`, `serve`, `completions`, `doctor`, and commands of later releases.

use std::path::PathBuf;

use clap::Args;

use super::connect::ConnectArgs;

/// `kouan quickstart`: run by the binary.
#[derive(Debug, Clone, Args)]
pub struct QuickstartArgs {
    /// Where everything is kept; taken up again, never overwritten
    #[arg(long, value_name = "DIR", default_value = "kouan-quickstart")]
    pub dir: PathBuf,
    /// Address of the gateway; port 0 picks one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8443")]
    pub listen: String,
    /// Stop when the story is told
    #[arg(long)]
    pub exit: bool,
}

/// `kouan serve`: run by the binary.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Configuration of the node
    #[arg(long, value_name = "FILE", required_unless_present = "crashpoints")]
    pub config: Option<PathBuf>,
    /// The guard is lost for good: write it anew. Gives up, once, the protection against a restored backup, so compare with
    /// a mirror or a witness first
    #[arg(long)]
    pub adopt_missing_guard: bool,
    /// List the places at which tests kill a gateway or a witness (KOUAN_CRASHPOINT=NAME:N, the Nth pass), and stop
    #[arg(long, hide = true)]
    pub crashpoints: bool,
}

/// `kouan completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `kouan doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Gateway and certificate.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Whatever follows a command that this release does not have.
#[derive(Debug, Clone, Args)]
pub struct LaterArgs {
    /// Ignored
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub rest: Vec<String>,
}
