//! The `kouan` command line: sub-commands that are clients of a gateway over its API, and those that work offline.
//!
//! [`parse`] reads arguments, [`run`] runs a command and gives its [`Exit`]. The binary runs `quickstart` and `serve`
//! itself, and may embed others with [`execute`] inside its own runtime.

pub mod args;
pub mod client;
pub mod error;
pub mod exit;
pub mod files;
pub mod interrupt;
pub mod io;
pub mod lang;
pub mod output;
mod pdf;
pub mod profile;
pub mod pull;
pub mod session;

mod commands;

use std::ffi::OsString;
use std::io::Write as _;

use clap::Parser as _;
use clap::error::ErrorKind;

pub use args::{Cli, Command};
pub use error::CommandError;
pub use exit::Exit;
pub use interrupt::Interrupt;
pub use io::Io;
pub use lang::Lang;
pub use session::Session;

/// Reads a command line; `arguments` begin with the program's name.
///
/// # Errors
///
/// The exit status, after help, version or the error has been printed: with `--json` anywhere among the arguments, a
/// usage error is one JSON object on standard output.
pub fn parse<I, T>(arguments: I, io: &mut Io) -> Result<Cli, Exit>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString>,
{
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let json = wants_json(&arguments);
    let error = match Cli::try_parse_from(&arguments) {
        Ok(mut cli) => {
            // `kouan deliver … --json`: what follows a command of a later release is not parsed.
            cli.json |= json;
            return Ok(cli);
        }
        Err(error) => error,
    };
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = write!(io.out, "{text}");
            Err(Exit::Success)
        }
        _ if json => {
            let message = text.split("\n\nFor more information").next().unwrap_or_default();
            let message = message.trim().trim_start_matches("error: ").to_owned();
            let _ = writeln!(io.out, "{}", CommandError::Usage(message).to_json());
            Err(Exit::Usage)
        }
        _ => {
            let _ = write!(io.err, "{text}");
            Err(Exit::Usage)
        }
    }
}

/// `--json` before any `--`.
fn wants_json(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).take_while(|argument| *argument != "--").any(|argument| argument == "--json")
}

/// Runs a command on a runtime of its own, and listens for Ctrl-C. For the binary.
pub fn run(cli: &Cli) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let mut io = Io::process(Interrupt::never());
            let error = CommandError::Unavailable(format!("the runtime cannot start: {error}"));
            return session(cli, &mut io).fail(&error);
        }
    };
    let exit = runtime.block_on(async {
        let (trigger, interrupt) = Interrupt::new();
        let listener = tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                trigger.pull();
            }
            // The trigger must live on: a dropped one says nothing, and a second Ctrl-C changes nothing.
            std::future::pending::<()>().await;
        });
        let exit = execute(cli, &mut Io::process(interrupt)).await;
        listener.abort();
        exit
    });
    // A thread that waits for standard input would hold the process.
    runtime.shutdown_background();
    exit
}

/// Prints why a command failed, as [`run`] would. For the commands that the binary runs itself.
pub fn fail(cli: &Cli, error: &CommandError) -> Exit {
    session(cli, &mut Io::process(Interrupt::never())).fail(error)
}

/// Runs a command inside the caller's runtime (multi-threaded), on the caller's streams.
pub async fn execute(cli: &Cli, io: &mut Io) -> Exit {
    let mut session = session(cli, io);
    match commands::run(&mut session, cli).await {
        Ok(exit) => exit,
        Err(error) => session.fail(&error),
    }
}

fn session<'a>(cli: &Cli, io: &'a mut Io) -> Session<'a> {
    let lang = Lang::choose(cli.lang, io.env.as_ref());
    Session { json: cli.json, lang, io }
}

#[cfg(test)]
mod testing;
