//! `kouan incentive …`: programmes of this binary and claims on them; evaluating and verifying work offline.

mod claim;
mod paper;

use std::io::Read;
use std::path::Path;

use gateway_ledger::incentive::{Evaluation, Input, Programme, ProgrammeError, evaluate};
use serde_json::{Value, json};

use crate::args::incentive::{EvaluateArgs, IncentiveCommand};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::money;
use crate::output::table::Table;
use crate::session::{Lines, Session};

/// Largest input of an evaluation, in bytes.
const INPUT_BYTES_MAX: u64 = 256 << 20;

pub async fn run(session: &mut Session<'_>, command: &IncentiveCommand) -> Result<Exit, CommandError> {
    match command {
        IncentiveCommand::List => list(session).map(done),
        IncentiveCommand::Evaluate(args) => evaluation(session, args).map(done),
        IncentiveCommand::Claim(args) => claim::claim(session, args).await,
        IncentiveCommand::Verify(args) => claim::verified(session, args).map(done),
        IncentiveCommand::Claims { connect } => claim::list(session, connect).await.map(done),
        IncentiveCommand::Release { id, connect } => claim::release(session, id, connect).await.map(done),
        IncentiveCommand::OpenReceipts { id, to, reason, connect } => {
            claim::open_receipts(session, id, (to, reason), connect).await
        }
        IncentiveCommand::Refuse { id, reason, connect } => claim::refuse(session, id, reason, connect).await.map(done),
    }
}

const fn done((): ()) -> Exit {
    Exit::Success
}

fn programme_error(error: ProgrammeError) -> CommandError {
    match error {
        ProgrammeError::Unknown(_) => CommandError::NotFound(error.to_string()),
        other => CommandError::Integrity(format!("a programme in this binary: {other}")),
    }
}

fn list(session: &mut Session<'_>) -> Result<(), CommandError> {
    let programmes = Programme::builtin().map_err(programme_error)?;
    let value = json!({ "programmes": programmes });
    session.answer(&value, || {
        let mut table = Table::new(&["PROGRAMME", "FROM", "TO", "FOR", "CAP", "SOURCE"]);
        for programme in &programmes {
            let terms = &programme.terms;
            table.row([
                terms.id.clone(),
                terms.effective.from.to_string(),
                terms.effective.to.map(|to| to.to_string()).unwrap_or_default(),
                format!("{:?}", terms.base.participant).to_lowercase(),
                money(&terms.award.cap.0.to_string(), "CNY"),
                format!("{}, {}", terms.source.document, terms.source.citation),
            ]);
        }
        table.lines()
    })
}

fn evaluation(session: &mut Session<'_>, args: &EvaluateArgs) -> Result<(), CommandError> {
    let programme = Programme::find(&args.programme).map_err(programme_error)?;
    let text = input_text(session, &args.input)?;
    let input = Input::parse(&text).map_err(|error| CommandError::Input(error.to_string()))?;
    let evaluation = evaluate(&programme, args.year, &input);
    let value = serde_json::to_value(&evaluation).unwrap_or(Value::Null);
    if session.json || !session.io.out_is_terminal {
        return session.print(&format!("{value}\n"));
    }
    session.answer(&value, || told(&evaluation))
}

fn input_text(session: &mut Session<'_>, input: &str) -> Result<String, CommandError> {
    if input != "-" {
        return crate::files::read_text(Path::new(input), INPUT_BYTES_MAX);
    }
    let mut bytes = Vec::new();
    let read = session.io.input.by_ref().take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(CommandError::io(Path::new("standard input"), "read"))?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(CommandError::Input(format!("standard input has more than {INPUT_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| CommandError::Input("standard input is not UTF-8 text".to_owned()))
}

fn told(evaluation: &Evaluation) -> Lines {
    let force = if evaluation.in_force { "in force" } else { "not in force" };
    let mut lines = vec![format!("{} {}: {force}", evaluation.programme, evaluation.year)];
    let mut table = Table::new(&["PARTICIPANT", "BASE", "ELIGIBLE", "AMOUNT", "RANK", "PROPOSED"]);
    for line in &evaluation.lines {
        let yes = |flag| if flag { "yes" } else { "no" }.to_owned();
        table.row([
            crate::output::clean(&line.participant),
            money(&line.base.0.to_string(), "CNY"),
            yes(line.eligible),
            money(&line.amount.0.to_string(), "CNY"),
            line.rank.map(|rank| rank.to_string()).unwrap_or_default(),
            yes(line.selected),
        ]);
    }
    lines.extend(table.lines());
    for line in &evaluation.lines {
        lines.push(String::new());
        lines.push(crate::output::clean(&line.participant));
        lines.extend(line.trace.iter().map(|step| format!("  {}", crate::output::clean(step))));
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;
    use crate::testing::captured;

    const SALE: &str = r#"{"transactions": [{"id": "a", "broker": "qianhai", "consumer": "hku",
        "at": "2025-03-01T00:00:00+08:00", "amount": "500000000", "currency": "CNY",
        "kind": "data_transaction_service", "affiliated": false, "contract": "c", "enterprise": false}]}"#;

    async fn said(line: &str, input: &str) -> (Exit, Value) {
        let (mut io, captured) = captured([]);
        io.input = Box::new(std::io::Cursor::new(input.as_bytes().to_vec()));
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let exit = crate::execute(&cli, &mut io).await;
        (exit, serde_json::from_str(&captured.out()).unwrap())
    }

    #[tokio::test]
    async fn standard_input_is_evaluated_and_faults_are_named() {
        let line = "kouan --json incentive evaluate --year 2026 --input - --programme qianhai-broker-reward-2024";
        let (exit, value) = said(line, SALE).await;
        assert_eq!(exit, Exit::Success);
        assert_eq!(value.pointer("/lines/0/amount").unwrap(), "5000000");
        let (exit, value) = said(line, &SALE.replace("\"500000000\"", "\"5e8\"")).await;
        assert_eq!((exit, value.pointer("/error/code").unwrap()), (Exit::Usage, &json!("bad_input")));
        assert!(value.pointer("/error/message").unwrap().as_str().unwrap().contains("transactions[0].amount"));
        let (exit, _) = said(&line.replace("2024", "2023"), SALE).await;
        assert_eq!(exit, Exit::NotFound);
        let (exit, value) = said("kouan --json incentive list", "").await;
        assert_eq!((exit, value.pointer("/programmes").unwrap().as_array().unwrap().len()), (Exit::Success, 5));
    }
}
