//! The `kouan` binary: parses the command line, runs `serve` and `quickstart` itself, leaves the rest to the client crate.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gateway::config::{Config, ConfigError};
use gateway::node;
use gateway_cli::args::node::ServeArgs;
use gateway_cli::{Cli, Command, CommandError, Exit, Interrupt, Io};
use gateway_store::crashpoint;
use gateway_store::durable::is_failing;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // Decoders of stored files may give up by panicking; that is caught and becomes an error. What the hook would print
    // goes to the log instead, without the payload, which could quote a value.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
    let cli = match gateway_cli::parse(std::env::args_os(), &mut Io::process(Interrupt::never())) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    match &cli.command {
        Command::Serve(args) if args.crashpoints => list_crashpoints(&cli),
        Command::Serve(args) => crashing(&cli, || with_runtime(&cli, "info", serve(&cli, args))),
        Command::Witness(command) => {
            crashing(&cli, || with_runtime(&cli, "info", gateway::witness::command::run(&cli, command)))
        }
        Command::Quickstart(args) => with_runtime(&cli, "error", async {
            gateway::quickstart::run(&cli, args, &mut Io::process(Interrupt::never())).await
        }),
        _ => gateway_cli::run(&cli),
    }
    .into()
}

/// Runs `command` on a multi-threaded runtime, with logs on standard error: `KOUAN_LOG`, else `level`.
fn with_runtime(cli: &Cli, level: &str, command: impl Future<Output = Exit>) -> Exit {
    let filter = EnvFilter::try_from_env("KOUAN_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // Colours are for a terminal: a file, a pipe or the journal would keep their codes.
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(coloured).with_writer(std::io::stderr);
    // Somebody else's subscriber is as good.
    let _ = logs.try_init();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(command);
            runtime.shutdown_timeout(std::time::Duration::from_secs(2));
            exit
        }
        Err(error) => fail(cli, &CommandError::Unavailable(format!("the runtime cannot start: {error}"))),
    }
}

fn fail(cli: &Cli, error: &CommandError) -> Exit {
    let mut io = Io::process(Interrupt::never());
    let _ = if cli.json { writeln!(io.out, "{}", error.to_json()) } else { writeln!(io.err, "kouan: {error}") };
    error.exit()
}

/// What a test may arm before it starts a gateway or a witness.
fn list_crashpoints(cli: &Cli) -> Exit {
    let mut io = Io::process(Interrupt::never());
    let points = crashpoint::POINTS.iter().map(|(name, meaning)| serde_json::json!({"name": name, "meaning": meaning}));
    let _ = if cli.json {
        writeln!(io.out, "{}", serde_json::json!({"crashpoints": points.collect::<Vec<_>>()}))
    } else {
        crashpoint::POINTS.iter().try_for_each(|(name, meaning)| writeln!(io.out, "{name:24} {meaning}"))
    };
    Exit::Success
}

/// Runs `command` with the crash points that a test asks for: `KOUAN_CRASHPOINT` arms one, `KOUAN_CRASHPOINT_COUNTS` names a file
/// that gets a line, once `command` has ended of itself, of how often each was passed. Read once, at the start: nothing that is
/// asked of a running process can arm one.
fn crashing(cli: &Cli, command: impl FnOnce() -> Exit) -> Exit {
    if let Some(point) = std::env::var_os("KOUAN_CRASHPOINT")
        && let Err(error) = crashpoint::arm(&point.to_string_lossy())
    {
        return fail(cli, &CommandError::Usage(format!("KOUAN_CRASHPOINT: {error}")));
    }
    let Some(path) = std::env::var_os("KOUAN_CRASHPOINT_COUNTS").map(PathBuf::from) else { return command() };
    crashpoint::count();
    let exit = command();
    let counts: serde_json::Map<_, _> =
        crashpoint::counts().map(|(name, count)| (name.to_owned(), count.into())).collect();
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    match file.and_then(|mut file| writeln!(file, "{}", serde_json::Value::from(counts))) {
        Ok(()) => exit,
        Err(source) => fail(cli, &CommandError::LocalIo { path, what: "the crash points' counts are lost", source }),
    }
}

/// `kouan serve`: until a signal, then a drain.
async fn serve(cli: &Cli, args: &ServeArgs) -> Exit {
    let config = match Config::load(args.config.as_deref().unwrap_or(Path::new("kouan.toml"))) {
        Ok(config) => Config { adopt_missing_guard: args.adopt_missing_guard, ..config },
        Err(ConfigError::Read { path, source }) if is_failing(&source) => {
            return fail(cli, &CommandError::LocalIo { path, what: "the gateway does not start", source });
        }
        Err(error) => return fail(cli, &CommandError::Usage(error.to_string())),
    };
    let data = config.data.clone();
    match node::start(config).await {
        Ok(node) => {
            tracing::info!(address = %node.address, admin = %node.admin, "serving");
            node.finished().await;
            Exit::Success
        }
        Err(error) if error.is_io() => {
            let source = std::io::Error::other(error.to_string());
            fail(cli, &CommandError::LocalIo { path: data, what: "the gateway does not start", source })
        }
        Err(error) => fail(cli, &CommandError::Usage(error.to_string())),
    }
}
