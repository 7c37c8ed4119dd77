//! `kouan policy …`: the rules in this binary and in files, offline; the rule sets of a gateway; recorded decisions.

mod local;
mod replay;
mod sets;

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;

use gateway_api::{Explain, Viewer};
use policy::{FACTS_BYTES_MAX, Facts, Level, RuleSet, decide_line};
use serde_json::{Value, json};

use crate::args::policy::{DecideArgs, PolicyCommand};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::lang::Lang;
use crate::output::decision;
use crate::output::table::fields;
use crate::session::{Lines, Session};

pub async fn run(session: &mut Session<'_>, command: &PolicyCommand) -> Result<Exit, CommandError> {
    match command {
        PolicyCommand::Decide(args) if args.batch => batch(session, args),
        PolicyCommand::Decide(args) => decide(session, args),
        PolicyCommand::Check(args) => local::check(session, args),
        PolicyCommand::Explain(args) => local::explain(session, args),
        PolicyCommand::List { connect } => sets::list(session, connect).await,
        PolicyCommand::Show { id, connect } => sets::show(session, id, connect).await,
        PolicyCommand::Propose(args) => sets::propose(session, args).await,
        PolicyCommand::Activate(args) => sets::activate(session, args).await,
        PolicyCommand::Revoke { id, reason, connect } => sets::revoke(session, id, reason, connect).await,
        PolicyCommand::Replay(args) => replay::run(session, args).await,
    }
}

fn rules() -> Result<RuleSet, CommandError> {
    RuleSet::builtin().map_err(|error| CommandError::Integrity(format!("the rules in this binary: {error}")))
}

fn reader<'a>(session: &'a mut Session<'_>, facts: &str) -> Result<Box<dyn Read + 'a>, CommandError> {
    if facts == "-" {
        return Ok(Box::new(&mut session.io.input));
    }
    let path = Path::new(facts);
    let file = std::fs::File::open(path).map_err(CommandError::io(path, "open"))?;
    Ok(Box::new(file))
}

fn decide(session: &mut Session<'_>, args: &DecideArgs) -> Result<Exit, CommandError> {
    let rules = rules()?;
    let mut text = Vec::new();
    let limited = reader(session, &args.facts)?.take(FACTS_BYTES_MAX as u64 + 1).read_to_end(&mut text);
    limited.map_err(CommandError::io(Path::new(&args.facts), "read"))?;
    let text = String::from_utf8(text).map_err(|_| CommandError::Input("`facts` is not UTF-8 text".to_owned()))?;
    let line = decide_line(&rules, &text);
    let value: Value = serde_json::from_str(&line).unwrap_or_default();
    if let Some(message) = value.pointer("/error/message").and_then(Value::as_str) {
        return Err(CommandError::Input(message.to_owned()));
    }
    let lang = session.lang;
    if session.json || !session.io.out_is_terminal {
        session.print(&format!("{line}\n"))?;
    } else {
        // Whoever has the facts may read them all.
        let told_with = Facts::parse(&text).map_or_else(
            |_| value.clone(),
            |facts| {
                let decision = policy::decide(&rules, &facts);
                Explain::of(&rules, &facts, &decision, Viewer::Provider).beside(&decision, Viewer::Provider)
            },
        );
        session.answer(&value, || told(&told_with, lang))?;
    }
    Ok(match decision::effect(&value) {
        "allow" => Exit::Success,
        "review" => Exit::Review,
        _ => Exit::Denied,
    })
}

/// One line out for each line in. A line that is too long or not UTF-8 is answered as bad input, and the rest go on.
fn batch(session: &mut Session<'_>, args: &DecideArgs) -> Result<Exit, CommandError> {
    let rules = rules()?;
    let input: Box<dyn Read + Send> = if args.facts == "-" {
        std::mem::replace(&mut session.io.input, Box::new(std::io::empty()))
    } else {
        let path = Path::new(&args.facts);
        Box::new(std::fs::File::open(path).map_err(CommandError::io(path, "open"))?)
    };
    let mut input = BufReader::new(input);
    let mut out = std::io::BufWriter::new(&mut session.io.out);
    let written = |result: std::io::Result<()>| result.map_err(CommandError::io(Path::new("standard output"), "write"));
    let mut line = Vec::new();
    loop {
        line.clear();
        let bounded = input.by_ref().take(FACTS_BYTES_MAX as u64 + 2).read_until(b'\n', &mut line);
        let read = bounded.map_err(CommandError::io(Path::new(&args.facts), "read"))?;
        if read == 0 {
            break;
        }
        let whole = line.last() == Some(&b'\n');
        if !whole && line.len() > FACTS_BYTES_MAX + 1 {
            skip_line(&mut input).map_err(CommandError::io(Path::new(&args.facts), "read"))?;
        }
        if whole {
            line.pop();
        }
        let decided = match std::str::from_utf8(&line) {
            Ok(text) => decide_line(&rules, text.trim_end_matches('\r')),
            Err(_) => json!({ "error": { "code": "bad_input", "message": "the line is not UTF-8 text" } }).to_string(),
        };
        written(writeln!(out, "{decided}"))?;
    }
    written(out.flush())?;
    Ok(Exit::Success)
}

fn skip_line(input: &mut impl std::io::BufRead) -> std::io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn told(value: &Value, lang: Lang) -> Lines {
    let text = |member: &str| crate::output::plain(value.get(member).unwrap_or(&Value::Null));
    let mut lines = fields([
        ("effect", text("effect")),
        ("direction", text("direction")),
        ("needed", text("needed")),
        ("basis", text("basis")),
        ("rules", text("rules")),
        ("columns allowed", text("columns_allowed")),
        ("policy", text("policy")),
    ]);
    lines.extend(decision::explanation(value, lang));
    lines
}

fn level(level: &Level) -> &'static str {
    match level {
        Level::Deny => "deny",
        Level::Review => "review",
        Level::Basis { .. } => "basis",
        Level::Accept { .. } => "accept",
    }
}

fn shown(rule: &policy::Rule) -> Value {
    json!({
        "id": rule.id, "level": level(&rule.level), "directions": rule.directions, "citation": rule.citation,
        "in_force": rule.in_force, "effective_from": rule.effective_from, "effective_to": rule.effective_to,
        "message": rule.message, "file": rule.file, "text": rule.text,
    })
}
