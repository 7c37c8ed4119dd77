//! The commands: each takes its arguments and a session, and gives an answer or an error.

mod agreement;
mod audit;
mod baseline;
mod books;
mod card;
mod cert;
mod completions;
mod dataset;
mod doctor;
mod fx;
mod incentive;
mod inspect;
mod lease;
mod log_files;
mod mechanism;
mod participant;
mod payment;
mod plan;
mod policy;
mod privacy;
mod proof;
mod rest;
mod review;
mod scrub;
mod statement;
mod upload;
mod witnessed;

use crate::args::privacy::StoreCommand;
use crate::args::{Cli, Command};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::pull;
use crate::session::Session;

/// The error of a command or flag that comes later.
pub(crate) fn not_yet(what: &str) -> CommandError {
    CommandError::NotYet(format!(
        "{what} is not in this release ({}); it comes in a later one",
        env!("CARGO_PKG_VERSION")
    ))
}

/// Runs a command. `quickstart` and `serve` are the binary's.
pub(crate) async fn run(session: &mut Session<'_>, cli: &Cli) -> Result<Exit, CommandError> {
    let interrupt = session.io.interrupt.clone();
    match &cli.command {
        // A pull saves what it has before it stops.
        Command::Pull(args) => pull::run(session, args).await.map(done),
        // A decision has an exit status of its own, even when the command did all it was asked.
        Command::Plan(args) => interrupt.guard(plan::run(session, args)).await,
        Command::Policy(command) => interrupt.guard(policy::run(session, command)).await,
        Command::Audit(command) => interrupt.guard(audit::run(session, command)).await,
        Command::Doctor(args) => interrupt.guard(doctor::run(session, args)).await,
        Command::Store(StoreCommand::Scrub { last, connect }) => {
            interrupt.guard(scrub::run(session, *last, connect)).await
        }
        // A claim that awaits its release has an exit status of its own.
        Command::Incentive(command) => interrupt.guard(incentive::run(session, command)).await,
        other => interrupt.guard(plain(session, other)).await.map(done),
    }
}

const fn done((): ()) -> Exit {
    Exit::Success
}

/// The commands that either do what they are asked or fail.
async fn plain(session: &mut Session<'_>, command: &Command) -> Result<(), CommandError> {
    match command {
        Command::Quickstart(_) | Command::Serve(_) | Command::Witness(_) => {
            Err(CommandError::Usage("`quickstart`, `serve` and `witness` are run by the `kouan` binary".to_owned()))
        }
        Command::Cert(command) => cert::run(session, command),
        Command::Participant(command) => participant::run(session, command).await,
        Command::Dataset(command) => dataset::run(session, command).await,
        Command::Agreement(command) => agreement::run(session, command).await,
        Command::Review(command) => review::run(session, command).await,
        Command::Lease(command) => lease::run(session, command).await,
        Command::Mechanism(command) => mechanism::run(session, command).await,
        Command::Subject(command) => privacy::subject(session, command).await,
        Command::Hold(command) => privacy::hold(session, command).await,
        Command::Retention(command) => privacy::retention(session, command).await,
        Command::Store(StoreCommand::Report { connect }) => privacy::store(session, connect).await,
        Command::Statement(args) => statement::run(session, args).await,
        Command::Payment(command) => payment::run(session, command).await,
        Command::Fx(command) => fx::run(session, command).await,
        Command::Books(args) => books::run(session, args).await,
        Command::Completions(args) => completions::run(session, args),
        Command::Deliver(_) => Err(not_yet("`kouan deliver`")),
        Command::Agent(_) => Err(not_yet("`kouan agent`")),
        Command::Pull(_)
        | Command::Store(StoreCommand::Scrub { .. })
        | Command::Plan(_)
        | Command::Policy(_)
        | Command::Audit(_)
        | Command::Doctor(_)
        | Command::Incentive(_) => Err(CommandError::Usage("this command is run elsewhere".to_owned())),
    }
}

#[cfg(test)]
mod tests;
