//! `kouan audit rebuild`: the ledger's balances out of nothing but a log.

use gateway_audit::verify::{for_each_entry, verify_log_by};
use gateway_ledger::Book;
use gateway_ledger::sums::Periods;
use serde_json::{Value, json};

use super::super::log_files::LogFolder;
use super::super::proof;
use crate::args::audit::VerifyArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::files;
use crate::output::table::{Table, fields};
use crate::output::{count, plain};
use crate::session::{Lines, Session};

/// Verifies the log first: balances of a log that does not hold would say nothing.
pub(super) fn run(session: &mut Session<'_>, args: &VerifyArgs) -> Result<Exit, CommandError> {
    let unreadable = |error: gateway_audit::verify::VerifyError| CommandError::LocalIo {
        path: args.dir.clone(),
        what: "read",
        source: std::io::Error::other(error),
    };
    if !args.dir.join("checkpoint").is_file() {
        return Err(CommandError::NotFound(format!(
            "`{}` holds no `checkpoint`: name the folder of a log, such as DIR/data/log of a node, or an export",
            args.dir.display()
        )));
    }
    let folder = LogFolder::new(&args.dir);
    let keys = args.key.as_deref().map(proof::verifier_keys).transpose()?.unwrap_or_default();
    let since = args.since.as_deref().map(|file| files::read(file, super::CHECKPOINT_BYTES_MAX)).transpose()?;
    let report = verify_log_by(&folder, &keys, since.as_deref(), &mut |_, _| ()).map_err(unreadable)?;
    if let Some(finding) = &report.finding {
        return Err(CommandError::Integrity(format!("the log does not hold: {finding}")));
    }
    let (mut book, mut periods, mut batches, mut wrong) = (Book::new(), Periods::default(), 0_u64, None::<String>);
    let size = for_each_entry(&folder, |index, entry| {
        batches += u64::from(gateway_ledger::book::is_batch(entry));
        if wrong.is_none() {
            let (book, periods) = (book.enter_leaf(index, entry), periods.enter_leaf(index, entry));
            wrong = book.map_err(|error| error.to_string()).and(periods.map_err(|error| error.to_string())).err();
        }
    })
    .map_err(unreadable)?;
    if let Some(error) = wrong {
        return Err(CommandError::Integrity(error));
    }
    if !book.balances() {
        return Err(CommandError::Integrity("debits and credits differ".to_owned()));
    }
    let balances: Value = serde_json::from_slice(&book.canonical()).unwrap_or_default();
    let verdict = report.verdict();
    let value = json!({
        "size": size, "batches": batches, "digest": book.digest(), "balances": balances,
        "closed_months": periods.checked(), "log": verdict,
    });
    session.answer(&value, || told(&value, size, batches))?;
    Ok(Exit::Success)
}

fn told(value: &Value, size: u64, batches: u64) -> Lines {
    let mut lines = fields([
        ("entries", count(size)),
        ("batches of transfers", count(batches)),
        ("closed months whose sums hold", plain(value.get("closed_months").unwrap_or(&Value::Null))),
        ("digest", plain(value.get("digest").unwrap_or(&Value::Null))),
    ]);
    lines.extend(accounts(value.get("balances").unwrap_or(&Value::Null)));
    lines
}

/// Balances by ledger, as tables.
pub fn accounts(balances: &Value) -> Lines {
    let mut lines = Lines::new();
    for (currency, accounts) in balances.as_object().into_iter().flatten() {
        let mut table = Table::new(&["ACCOUNT", "DEBITS", "CREDITS", "HELD DEBITS", "HELD CREDITS"]);
        for account in accounts.as_array().into_iter().flatten() {
            let text = |member: &str| plain(account.get(member).unwrap_or(&Value::Null));
            table.row([
                text("account"),
                text("debits"),
                text("credits"),
                text("pending_debits"),
                text("pending_credits"),
            ]);
        }
        lines.push(String::new());
        lines.push(format!("{currency}, minor units"));
        lines.extend(table.lines());
    }
    lines
}
