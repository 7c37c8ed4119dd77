//! Acting as a principal: the `kouan` command line and its client, with that principal's certificate, over mutual TLS.
//!
//! There is no other way into the gateway here: whatever the story does, a user can do.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_cli::client::{Call, Client};
use gateway_cli::profile::{DEFAULT_TIMEOUT, ENV_CA, ENV_CERT, ENV_GATEWAY, ENV_KEY, GatewayUrl, Profile};
use gateway_cli::pull::{PullReport, Tuning, pull};
use gateway_cli::{Command, CommandError, Exit, Interrupt, Io, Lang, Session};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::layout::Layout;

/// Someone in the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// Whose.
    pub participant: &'static str,
    /// `<role>-<name>`, as the certificate's file is called.
    pub file: &'static str,
}

/// Pulls, at HKU.
pub const ALICE: Principal = Principal { participant: "hku", file: "researcher-alice" };
/// Offers data, in Qianhai.
pub const LIN: Principal = Principal { participant: "qianhai", file: "broker-lin" };
/// Runs the node.
pub const OPS: Principal = Principal { participant: "qianhai", file: "operator-ops" };
/// Supervises.
pub const CHAN: Principal = Principal { participant: "regulator", file: "compliance-chan" };

/// Why an act of the story failed.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// A command ended with another status than 0.
    #[error("{principal}: `{command}` failed: {message}")]
    Command {
        /// Who.
        principal: String,
        /// What, as it would be typed.
        command: String,
        /// Its exit status.
        exit: Exit,
        /// For programs.
        code: String,
        /// Why.
        message: String,
    },
    /// A request that is no command of its own.
    #[error("{principal}: {what} failed: {error}")]
    Request {
        /// Who.
        principal: String,
        /// What was asked.
        what: String,
        /// Why.
        error: Box<CommandError>,
    },
}

impl ActError {
    /// Of something that `who` tried.
    pub fn request(who: Principal, what: impl Into<String>, error: CommandError) -> Self {
        Self::Request { principal: who.to_string(), what: what.into(), error: Box::new(error) }
    }

    /// The exit status that the failed command would have had.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Command { exit, .. } => *exit,
            Self::Request { error, .. } => error.exit(),
        }
    }

    /// For programs.
    pub fn code(&self) -> String {
        match self {
            Self::Command { code, .. } => code.clone(),
            Self::Request { error, .. } => error.code(),
        }
    }
}

/// The gateway, and everybody's certificates.
#[derive(Debug, Clone)]
pub struct Stage {
    url: String,
    pki: PathBuf,
    lang: Lang,
    /// Whether a progress bar can be drawn.
    bar: bool,
    /// Whether anything is to be said at all.
    silent: bool,
}

impl Stage {
    /// The gateway at `url`, with the certificates of `layout`.
    pub fn new(layout: &Layout, url: &str, lang: Lang, bar: bool, silent: bool) -> Self {
        Self { url: url.to_owned(), pki: layout.dir.join("pki"), lang, bar, silent }
    }

    /// The language of decisions.
    pub const fn lang(&self) -> Lang {
        self.lang
    }

    /// Runs `kouan WORDS… --json` and gives its answer.
    ///
    /// # Errors
    ///
    /// [`ActError::Command`] with the command's own status and message.
    pub async fn kouan(&self, who: Principal, words: &[&str]) -> Result<Value, ActError> {
        let ran = self.run(who, words, true).await?;
        Ok(serde_json::from_str(&ran).unwrap_or(Value::Null))
    }

    /// Runs `kouan WORDS…` for people to read, and gives its lines.
    ///
    /// # Errors
    ///
    /// As [`Stage::kouan`].
    pub async fn lines(&self, who: Principal, words: &[&str]) -> Result<Vec<String>, ActError> {
        Ok(self.run(who, words, false).await?.lines().map(str::to_owned).collect())
    }

    async fn run(&self, who: Principal, words: &[&str], json: bool) -> Result<String, ActError> {
        let (mut io, out, err) = self.io(who);
        let failed = |exit: Exit, out: &Sink, err: &Sink| {
            let answer: Value = serde_json::from_str(&out.text()).unwrap_or(Value::Null);
            let told =
                |member: &str| answer.pointer(&format!("/error/{member}")).and_then(Value::as_str).map(str::to_owned);
            let message = told("message").unwrap_or_else(|| {
                let said = err.text() + &out.text();
                said.trim().trim_start_matches("error: ").to_owned()
            });
            ActError::Command {
                principal: who.to_string(),
                command: command_line(words),
                exit,
                code: told("code").unwrap_or_else(|| "failed".to_owned()),
                message,
            }
        };
        let mut arguments = vec!["kouan", "--lang", self.lang.tag()];
        arguments.extend(json.then_some("--json"));
        arguments.extend(words);
        let cli = gateway_cli::parse(arguments, &mut io).map_err(|exit| failed(exit, &out, &err))?;
        match gateway_cli::execute(&cli, &mut io).await {
            Exit::Success => Ok(out.text()),
            exit => Err(failed(exit, &out, &err)),
        }
    }

    /// Runs `kouan pull …` with its progress bar, and gives what it did and what it said.
    ///
    /// # Errors
    ///
    /// [`ActError::Request`].
    pub async fn pull(&self, who: Principal, words: &[&str]) -> Result<(PullReport, Vec<String>), ActError> {
        let (mut io, _, err) = self.io(who);
        io.err_is_terminal = self.bar;
        let failed = |error: CommandError| ActError::request(who, command_line(words), error);
        let mut arguments = vec!["kouan"];
        arguments.extend(words);
        let parsed = gateway_cli::parse(arguments, &mut io);
        let Ok(Command::Pull(args)) = parsed.map(|cli| cli.command) else {
            return Err(failed(CommandError::Usage(err.text())));
        };
        let mut session = Session { io: &mut io, json: self.silent, lang: self.lang };
        let report = pull(&mut session, &args, Tuning::default()).await.map_err(failed)?;
        Ok((report, err.text().lines().map(str::to_owned).collect()))
    }

    /// A client with the certificate of `who`.
    ///
    /// # Errors
    ///
    /// [`ActError::Request`] names the file that is missing or wrong.
    pub fn client(&self, who: Principal) -> Result<Client, ActError> {
        let open = || {
            Client::open(&Profile {
                gateway: GatewayUrl::parse(&self.url).map_err(CommandError::Usage)?,
                cert: self.file(who, "pem"),
                key: self.file(who, "key"),
                ca: self.pki.join("trust.pem"),
                timeout: DEFAULT_TIMEOUT,
                file: None,
            })
        };
        open().map_err(|error| ActError::request(who, "reading the certificate", error))
    }

    /// Sends a request whose answer is a `T`; nothing if there is no such thing.
    ///
    /// # Errors
    ///
    /// [`ActError::Request`].
    pub async fn find<T: DeserializeOwned>(&self, who: Principal, call: &Call) -> Result<Option<T>, ActError> {
        match self.client(who)?.typed(call).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.exit() == Exit::NotFound => Ok(None),
            Err(error) => Err(ActError::request(who, format!("{} {}", call.method, call.target), error)),
        }
    }

    /// As [`Stage::find`], where it has to be there.
    pub async fn ask<T: DeserializeOwned>(&self, who: Principal, call: &Call) -> Result<T, ActError> {
        let answer = self.client(who)?.typed(call).await;
        answer.map_err(|error| ActError::request(who, format!("{} {}", call.method, call.target), error))
    }

    fn file(&self, who: Principal, ending: &str) -> PathBuf {
        self.pki.join(who.participant).join(format!("{}.{ending}", who.file))
    }

    fn io(&self, who: Principal) -> (Io, Sink, Sink) {
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let env = [
            (ENV_GATEWAY, self.url.clone()),
            (ENV_CERT, path(self.file(who, "pem"))),
            (ENV_KEY, path(self.file(who, "key"))),
            (ENV_CA, path(self.pki.join("trust.pem"))),
        ];
        let (out, err) = (Sink::default(), Sink::default());
        let io = Io {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            input: Box::new(io::empty()),
            env: Box::new(env),
            out_is_terminal: false,
            err_is_terminal: false,
            interrupt: Interrupt::never(),
        };
        (io, out, err)
    }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.participant, self.file)
    }
}

/// The command as it would be typed.
pub fn command_line(words: &[&str]) -> String {
    let plain = |byte: u8| !byte.is_ascii() || byte.is_ascii_alphanumeric() || b"-_./,:@%+=".contains(&byte);
    let mut line = "kouan".to_owned();
    for word in words {
        line.push(' ');
        if !word.is_empty() && word.bytes().all(plain) {
            line.push_str(word);
        } else {
            line.push('\'');
            line.push_str(&word.replace('\'', "'\\''"));
            line.push('\'');
        }
    }
    line
}

/// What a command prints, kept.
#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn stage(dir: &std::path::Path) -> Stage {
        Stage {
            url: "https://127.0.0.1:1".to_owned(),
            pki: dir.to_owned(),
            lang: Lang::English,
            bar: false,
            silent: true,
        }
    }

    #[test]
    fn a_command_is_told_as_it_would_be_typed() {
        assert_eq!(command_line(&["dataset", "search", "詞語"]), "kouan dataset search 詞語");
        assert_eq!(command_line(&["x", "en=The University", "it's"]), "kouan x 'en=The University' 'it'\\''s'");
    }

    #[tokio::test]
    async fn a_failed_command_keeps_its_status_and_message() {
        let dir = tempfile::tempdir().unwrap();
        // The certificate is not there: nothing is sent.
        let error = stage(dir.path()).kouan(ALICE, &["dataset", "list"]).await.unwrap_err();
        assert_eq!(error.exit(), Exit::LocalIo);
        assert_eq!(error.code(), "local_io");
        let text = error.to_string();
        assert!(text.contains("hku/researcher-alice") && text.contains("kouan dataset list"), "{text}");
        let error = stage(dir.path()).kouan(ALICE, &["no-such-command"]).await.unwrap_err();
        assert_eq!((error.exit(), error.code().as_str()), (Exit::Usage, "usage"));
        let error = stage(dir.path()).pull(ALICE, &["pull", "Not A Dataset"]).await.unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
    }
}
