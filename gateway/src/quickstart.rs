//! `kouan quickstart`: the main job in one go, on a machine that has nothing (INTERFACE.md, "The binary").
//!
//! | module | does |
//! |---|---|
//! | [`layout`] | the folder: certificates, keys, `kouan.toml` |
//! | [`corpora`], [`phrases`], [`people`] | the sample corpora as Parquet files |
//! | [`act`] | acting as a principal: the command line with that principal's certificate, no back door |
//! | [`story`] | the steps |
//! | [`tell`], [`paste`] | what is printed |

pub mod act;
pub mod corpora;
pub mod layout;
pub mod paste;
pub mod people;
pub mod phrases;
pub mod story;
pub mod tell;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use gateway_cli::args::node::QuickstartArgs;
use gateway_cli::{Cli, Exit, Io, Lang};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::ConfigError;
use crate::node::{self, Node, NodeError};
use act::{ActError, Stage};
use corpora::{CorpusError, PEOPLE, PHRASES, Prepared};
use layout::{Layout, LayoutError};
use story::{Outcome, Story};
use tell::Teller;

/// Why the story was not told to its end.
#[derive(Debug, thiserror::Error)]
pub enum QuickstartError {
    /// The folder.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A sample corpus.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The gateway does not start.
    #[error("the gateway does not start: {0}")]
    Node(#[from] NodeError),
    /// A principal could not do what the story says.
    #[error(transparent)]
    Act(#[from] ActError),
    /// A corpus that someone has stopped since.
    #[error("`{target}` is {state}: begin anew in another folder (`--dir`)")]
    Stopped {
        /// Dataset and version.
        target: String,
        /// Where it stands.
        state: &'static str,
    },
    /// What must be refused was served.
    #[error("the gateway served all of `{dataset}`, which the policy does not allow")]
    NotRefused {
        /// Which.
        dataset: &'static str,
    },
    /// A column that must not be there.
    #[error("`{}` has the sensitive column `{column}`", path.display())]
    Leaked {
        /// Which file.
        path: PathBuf,
        /// Which column.
        column: String,
    },
    /// A pulled file that cannot be read.
    #[error("`{}` cannot be read: {problem}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A proof that does not hold.
    #[error("the proof `{}` does not hold: {problem}", path.display())]
    Proof {
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The log holds no decision on what has been pulled.
    #[error("the log has no decision on `{dataset}`, although its files are here")]
    NoDecision {
        /// Which dataset.
        dataset: String,
    },
    /// The meter is behind.
    #[error("what was delivered does not stand in the statement of {period} yet")]
    NotMetered {
        /// Which month.
        period: String,
    },
    /// The operating system does not let us hear signals.
    #[error("signals: {0}")]
    Signals(std::io::Error),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted; the same command goes on from here")]
    Interrupted,
}

impl QuickstartError {
    /// The exit status.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Layout(
                LayoutError::Listen { .. } | LayoutError::Config(ConfigError::Parse { .. } | ConfigError::Value { .. }),
            )
            | Self::Node(NodeError::Config(_))
            | Self::Stopped { .. } => Exit::Usage,
            Self::Layout(_) | Self::Corpus(_) | Self::Unreadable { .. } => Exit::LocalIo,
            Self::Node(_) | Self::NotMetered { .. } | Self::Signals(_) => Exit::Unavailable,
            Self::Act(error) => error.exit(),
            Self::NotRefused { .. } | Self::Leaked { .. } | Self::Proof { .. } | Self::NoDecision { .. } => {
                Exit::Integrity
            }
            Self::Interrupted => Exit::Interrupted,
        }
    }

    /// For programs.
    pub fn code(&self) -> String {
        if let Self::Act(error) = self {
            return error.code();
        }
        let code = match self.exit() {
            Exit::Usage => "bad_input",
            Exit::LocalIo => "local_io",
            Exit::Integrity => "integrity",
            Exit::Interrupted => "interrupted",
            _ => "unavailable",
        };
        code.to_owned()
    }
}

/// Runs `kouan quickstart`, and stays up until a signal unless `--exit` is given. Needs a multi-threaded runtime.
pub async fn run(cli: &Cli, args: &QuickstartArgs, io: &mut Io) -> Exit {
    let lang = Lang::choose(cli.lang, io.env.as_ref());
    let mut tell = Teller::new(io, cli.json);
    match quickstart(args, lang, &mut tell).await {
        Ok(()) => Exit::Success,
        Err(error) => {
            tell.fail(&error.code(), &error.to_string());
            error.exit()
        }
    }
}

async fn quickstart(args: &QuickstartArgs, lang: Lang, tell: &mut Teller<'_>) -> Result<(), QuickstartError> {
    let interrupted = interrupted().map_err(QuickstartError::Signals)?;
    tell.line(
        "Kouan 口岸: a border post for data, between Hong Kong and the Qianhai (前海) compute centre in Shenzhen.",
    );
    tell.line(
        "Everything below is real, on this machine: certificates, a gateway, its log; each step acts over mutual TLS.",
    );
    let mut layout = lay_out(args, tell)?;
    let corpora = prepare(&layout, tell)?;
    let node = start(&mut layout, tell).await?;
    let (url, admin) = (base_url(node.address), node.admin.to_string());
    let stage = Stage::new(&layout, &url, lang, tell.can_draw(), !tell.is_for_people());
    let told = {
        let mut story = Story { stage, layout: &layout, tell: &mut *tell };
        tokio::select! {
            biased;
            () = interrupted => Err(QuickstartError::Interrupted),
            told = story.run(&corpora) => told,
        }
    };
    let outcome = match told {
        Ok(outcome) => outcome,
        Err(error) => {
            node.stop().await;
            return Err(error);
        }
    };
    finish(args, &layout, node, &outcome, (&url, &admin), tell).await
}

fn lay_out(args: &QuickstartArgs, tell: &mut Teller<'_>) -> Result<Layout, QuickstartError> {
    tell.step(None, "Certificates and keys");
    tell.say("Each participant has an authority of its own, which nobody else's can speak for:");
    tell.say(
        "hku.hk and cuhk.edu.hk (researchers), qianhai-compute.cn (broker, operator), regulator.example (compliance).",
    );
    let layout = Layout::ensure(&args.dir, &args.listen)?;
    let dir = layout.dir.display();
    let made = match layout.created.len() {
        0 => format!("all of it is in {dir}/pki already"),
        number => format!("{number} files made in {dir}/pki; for development only, they last 90 days"),
    };
    tell.say(&made);
    tell.fact("created", json!(layout.created));
    Ok(layout)
}

fn prepare(layout: &Layout, tell: &mut Teller<'_>) -> Result<Vec<Prepared>, QuickstartError> {
    tell.step(None, "Two sample corpora");
    let folder = layout.dir.join("corpora");
    let mut corpora = Vec::new();
    for (corpus, what) in [
        (PHRASES, "real: the phrase tables of OpenCC, Apache-2.0; about no person"),
        (PEOPLE, "synthetic: invented people with resident ID numbers (身份证), HKIDs (香港身份證) and phones"),
    ] {
        let prepared = corpus.prepare(&folder)?;
        tell.say(&format!("{:<17} {what}", prepared.id));
        let state = if prepared.made { "made" } else { "there already" };
        let bytes = gateway_cli::output::bytes(prepared.bytes);
        tell.answer(&[format!("{}  {bytes}, {state}", prepared.data.display())]);
        corpora.push(prepared);
    }
    Ok(corpora)
}

/// Starts the gateway in this process: the only line that knows how.
async fn start(layout: &mut Layout, tell: &mut Teller<'_>) -> Result<Node, QuickstartError> {
    tell.step(None, "The gateway");
    let (config, is_new) = layout.config()?;
    let node = node::start(config).await?;
    if is_new && let Err(error) = layout.write_config(node.address, node.admin) {
        node.stop().await;
        return Err(error.into());
    }
    let config = layout.config_path();
    tell.say(&format!(
        "listens on {} (TLS 1.3, client certificate required), stands in CN-440300",
        base_url(node.address)
    ));
    tell.say(&format!(
        "configured in {}; start it again with: kouan serve --config {}",
        config.display(),
        config.display()
    ));
    if let Some(wanted) = layout.not_as_asked(node.address) {
        tell.say(&format!("not on {wanted}: a folder that is there keeps its address; change `listen` in that file"));
    }
    tell.fact("gateway", json!(base_url(node.address)));
    tell.fact("admin", json!(node.admin.to_string()));
    Ok(node)
}

async fn finish(
    args: &QuickstartArgs,
    layout: &Layout,
    node: Node,
    outcome: &Outcome,
    (url, admin): (&str, &str),
    tell: &mut Teller<'_>,
) -> Result<(), QuickstartError> {
    let steps = tell.steps();
    let seconds = tell.elapsed().as_secs_f64();
    let mut object = json!({
        "dir": layout.dir, "gateway": url, "admin": format!("http://{admin}"),
        "seconds": (seconds * 1000.0).round() / 1000.0, "steps": steps,
    });
    if let (Some(object), Value::Object(told)) = (object.as_object_mut(), outcome.to_json()) {
        object.extend(told);
    }
    tell.line(&format!("\nThe story is told, in {seconds:.1} s.\n"));
    let authority = url.trim_start_matches("https://");
    for line in paste::lines(url, authority, admin, &layout.dir) {
        tell.line(&line);
    }
    if args.exit {
        node.stop().await;
        tell.line("\nThe gateway has stopped (--exit). The same command without --exit keeps it up.");
        tell.object(&object);
        return Ok(());
    }
    tell.object(&object);
    tell.line(&format!("\nThe gateway stays up at {url}. Ctrl-C stops it."));
    if let Err(error) = layout.ready(url) {
        node.stop().await;
        return Err(error.into());
    }
    node.finished().await;
    layout.no_longer_ready();
    tell.line("The gateway has stopped.");
    Ok(())
}

/// Completes at the first SIGINT or SIGTERM from now on.
fn interrupted() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Where a client on this machine finds the listener.
fn base_url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    format!("https://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests;
