//! `kouan statement`: a month's lines as a table, JSON, CSV that no spreadsheet takes for formulas, or PDF.

mod closed;
pub mod pdf;

use std::path::PathBuf;

use gateway_api::statement::{Line, Statement, StatementSet};
use serde_json::json;

use super::rest;
use crate::args::exchange::{StatementArgs, StatementFormat};
use crate::client::{Call, with_query};
use crate::error::CommandError;
use crate::output::table::Table;
use crate::output::{bytes, count, money};
use crate::session::{Lines, Session};

pub async fn run(session: &mut Session<'_>, args: &StatementArgs) -> Result<(), CommandError> {
    check_period(&args.period)?;
    let on_paper = args.format == Some(StatementFormat::Pdf);
    if on_paper && args.out.is_none() && (session.json || session.io.out_is_terminal) {
        return Err(CommandError::Usage(
            "a PDF goes to a file: add --out FILE, or redirect standard output".to_owned(),
        ));
    }
    // A missing font is said before the gateway is asked.
    let home = session.io.env.var("HOME").map(PathBuf::from);
    let font = if on_paper { Some(crate::pdf::find(args.font.as_deref(), home.as_deref())?) } else { None };
    let client = rest::client(session, &args.connect)?;
    if args.proof {
        return closed::run(session, &client, args).await;
    }
    let query = [("participant", Some(args.participant.as_str())), ("period", Some(args.period.as_str()))];
    let value = client.json(&Call::get(with_query("/v1/statements", query))).await?;
    if font.is_none() && (session.json || args.format == Some(StatementFormat::Json)) {
        return give(session, args, format!("{value}\n").as_bytes());
    }
    let parties = value.get("parties").cloned().unwrap_or_default();
    let set: StatementSet = serde_json::from_value(value).map_err(|error| {
        CommandError::Unavailable(format!("the gateway's statement has an unexpected shape: {error}"))
    })?;
    if let Some(font) = font {
        return give(session, args, &pdf::pdf(&set, &parties, &font)?);
    }
    if args.format == Some(StatementFormat::Csv) {
        return give(session, args, csv(&set).as_bytes());
    }
    give(session, args, format!("{}\n", table(&set).join("\n")).as_bytes())
}

/// To the file that is named, or to standard output.
fn give(session: &mut Session<'_>, args: &StatementArgs, bytes: &[u8]) -> Result<(), CommandError> {
    let Some(out) = &args.out else { return session.print_bytes(bytes) };
    crate::files::write_atomically(out, bytes)?;
    let value = json!({ "file": out, "bytes": bytes.len(), "sha256": catalog::Digest::of(bytes).hex() });
    session.answer(&value, || vec![format!("written to {}", out.display())])
}

fn check_period(period: &str) -> Result<(), CommandError> {
    let wrong = || CommandError::Usage(format!("`--period {period}` is not a month: write YYYY-MM, such as 2026-11"));
    let (year, month) = period.split_once('-').ok_or_else(wrong)?;
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let in_year = month.parse::<u8>().is_ok_and(|month| (1..=12).contains(&month));
    if digits(year, 4) && digits(month, 2) && in_year { Ok(()) } else { Err(wrong()) }
}

fn table(set: &StatementSet) -> Lines {
    let mut lines = vec![format!("{}, {} (Asia/Shanghai)", set.participant, set.period)];
    if set.statements.is_empty() {
        lines.push("nothing was delivered".to_owned());
    }
    for statement in &set.statements {
        let currency = statement.currency.as_str();
        let mut table = Table::new(&[
            "DATASET",
            "CONSUMER",
            "PROVIDER",
            "ROWS",
            "UNIT BYTES",
            "ON THE WIRE",
            "AMOUNT",
            "FEE",
            "AGREEMENT",
        ]);
        for line in &statement.lines {
            table.row([
                format!("{}@{}", line.dataset, line.version),
                line.consumer.to_string(),
                line.provider.to_string(),
                count(line.rows),
                bytes(line.unit_bytes),
                bytes(line.wire_bytes),
                money(&line.amount, currency),
                money(&line.fee, currency),
                line.agreement.to_string(),
            ]);
        }
        lines.extend(table.lines());
        lines.push(format!("total {}", money(&statement.total, currency)));
        lines.push(tax_within(statement));
    }
    if !set.payments.is_empty() {
        lines.push("paid".to_owned());
        lines.extend(super::payment::table(&set.payments));
    }
    lines
}

/// How much tax the amounts hold, or that nobody has said.
fn tax_within(statement: &Statement) -> String {
    let unknown = statement.lines.iter().filter(|line| line.vat != "included").count();
    let tax: i128 = statement.lines.iter().filter_map(|line| line.tax.parse::<i128>().ok()).sum();
    let tax = money(&tax.to_string(), statement.currency.as_str());
    match unknown {
        0 => format!("VAT within it {tax}"),
        unknown if unknown == statement.lines.len() => "VAT in or ex: unknown, not configured".to_owned(),
        unknown => format!("VAT within it {tax}; in or ex unknown for {unknown} lines, not configured"),
    }
}

const HEAD: [&str; 19] = [
    "participant",
    "period",
    "currency",
    "agreement",
    "dataset",
    "version",
    "provider",
    "consumer",
    "broker",
    "units",
    "rows",
    "unit_bytes",
    "wire_bytes",
    "amount",
    "fee",
    "evidence_sent",
    "evidence_receipt",
    "tax",
    "vat",
];

/// RFC 4180, amounts in minor units.
fn csv(set: &StatementSet) -> String {
    let mut text = HEAD.join(",");
    text.push_str("\r\n");
    for statement in &set.statements {
        for line in &statement.lines {
            let cells = row(set, statement, line).map(|cell| csv_cell(&cell));
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
    }
    text
}

fn row(set: &StatementSet, statement: &Statement, line: &Line) -> [String; 19] {
    [
        set.participant.to_string(),
        set.period.clone(),
        statement.currency.as_str().to_owned(),
        line.agreement.to_string(),
        line.dataset.to_string(),
        line.version.to_string(),
        line.provider.to_string(),
        line.consumer.to_string(),
        line.broker.to_string(),
        line.units.to_string(),
        line.rows.to_string(),
        line.unit_bytes.to_string(),
        line.wire_bytes.to_string(),
        line.amount.clone(),
        line.fee.clone(),
        line.evidence.sent.to_string(),
        line.evidence.receipt.to_string(),
        line.tax.clone(),
        line.vat.clone(),
    ]
}

/// A cell that begins like a formula gets an apostrophe, unless it is a plain negative number; quotes where RFC 4180
/// wants them.
fn csv_cell(cell: &str) -> String {
    let number =
        cell.strip_prefix('-').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) && !number;
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains(['"', ',', '\r', '\n', '\'']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, safe) in [
            ("=1+1", "\"'=1+1\""),
            ("@x", "\"'@x\""),
            ("-x", "\"'-x\""),
            ("-12", "-12"),
            ("-", "\"'-\""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("plain", "plain"),
            ("\tx", "\"'\tx\""),
        ] {
            assert_eq!(csv_cell(cell), safe);
        }
    }

    #[test]
    fn months() {
        for ok in ["2026-11", "2026-01"] {
            assert!(check_period(ok).is_ok());
        }
        for bad in ["2026", "2026-13", "2026-00", "26-11", "2026-1", "2026-+1"] {
            assert!(check_period(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_becomes_a_row() {
        let set: StatementSet = serde_json::from_value(json!({
            "participant": "hku", "period": "2026-11", "statements": [{ "currency": "CNY", "total": "5", "lines": [{
                "agreement": "a1", "dataset": "yue-speech", "version": "-1", "provider": "qianhai", "consumer": "hku",
                "broker": "qianhai", "units": 1, "rows": 2, "unit_bytes": 3, "wire_bytes": 4, "amount": "5", "fee": "0",
                "evidence": {"sent": 3, "receipt": 0} }] }]
        }))
        .unwrap();
        let text = csv(&set);
        assert_eq!(text.lines().count(), 2);
        assert!(
            text.ends_with("hku,2026-11,CNY,a1,yue-speech,-1,qianhai,hku,qianhai,1,2,3,4,5,0,3,0,0,unknown\r\n"),
            "{text}"
        );
        let told = table(&set).join("\n");
        assert!(told.contains("total 0.05 CNY") && told.contains("VAT in or ex: unknown"), "{told}");
    }
}
