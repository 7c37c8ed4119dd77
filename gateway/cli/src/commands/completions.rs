//! `kouan completions`.

use clap::CommandFactory as _;
use serde_json::json;

use crate::args::Cli;
use crate::args::node::CompletionsArgs;
use crate::error::CommandError;
use crate::session::Session;

pub fn run(session: &mut Session<'_>, args: &CompletionsArgs) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kouan", &mut script);
    if session.json {
        let value = json!({ "shell": args.shell.to_string(), "script": String::from_utf8_lossy(&script) });
        return session.answer(&value, Vec::new);
    }
    session.print_bytes(&script)
}
