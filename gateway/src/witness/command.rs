//! `kouan witness serve` and `kouan witness key`.

use std::io::Write as _;

use gateway_cli::args::witness::WitnessCommand;
use gateway_cli::{Cli, CommandError, Exit, Interrupt, Io};
use serde_json::json;

use super::server::interrupted;
use super::{WitnessConfig, WitnessError, WitnessServer, key};

/// Runs the command: `serve` until a signal.
pub async fn run(cli: &Cli, command: &WitnessCommand) -> Exit {
    let done = match command {
        WitnessCommand::Serve(args) => serve(cli, &args.config).await,
        WitnessCommand::Key(args) => vkey(cli, &args.config),
    };
    match done {
        Ok(()) => Exit::Success,
        Err(error) => gateway_cli::fail(cli, &error),
    }
}

fn usage(error: impl Into<WitnessError>) -> CommandError {
    CommandError::Usage(error.into().to_string())
}

async fn serve(cli: &Cli, path: &std::path::Path) -> Result<(), CommandError> {
    let config = WitnessConfig::load(path).map_err(usage)?;
    let stop = interrupted().map_err(|error| CommandError::Usage(format!("signals: {error}")))?;
    let server = WitnessServer::bind(config).await.map_err(usage)?;
    let (key, url) = (server.key().to_string(), format!("https://{}", server.address()));
    tell(cli, &json!({ "vkey": key, "url": url }), &format!("witness {key} {url}"));
    server.run(stop).await.map_err(usage)
}

fn vkey(cli: &Cli, path: &std::path::Path) -> Result<(), CommandError> {
    let config = WitnessConfig::load(path).map_err(usage)?;
    let (cosigner, _) = key::ensure(&config).map_err(usage)?;
    let key = cosigner.key().to_string();
    tell(cli, &json!({ "vkey": key, "file": config.key }), &key);
    Ok(())
}

fn tell(cli: &Cli, object: &serde_json::Value, line: &str) {
    let mut io = Io::process(Interrupt::never());
    let text = if cli.json { object.to_string() } else { line.to_owned() };
    let _ = writeln!(io.out, "{text}");
    let _ = io.out.flush();
}
