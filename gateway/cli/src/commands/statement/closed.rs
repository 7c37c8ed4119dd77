//! `kouan statement --proof`: a closed month's balances, each with its place under the root in the month's leaf.

use gateway_audit::LogProof;
use gateway_ledger::sums::{Commitment, SumProof};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::exchange::StatementArgs;
use crate::client::{Call, Client, path};
use crate::commands::proof::verifier_keys;
use crate::error::CommandError;
use crate::output::money;
use crate::output::table::Table;
use crate::session::{Lines, Session};

/// What `GET /v1/periods/{month}` answers.
#[derive(Deserialize)]
struct Month {
    closed: Closed,
    accounts: Vec<SumProof>,
}

#[derive(Deserialize)]
struct Closed {
    leaf: String,
    proof: String,
}

/// The part of the leaf that is checked.
#[derive(Deserialize)]
struct Sums {
    period: String,
    #[serde(default)]
    sums: Vec<Commitment>,
}

pub async fn run(session: &mut Session<'_>, client: &Client, args: &StatementArgs) -> Result<(), CommandError> {
    let keys = args.log_key.as_deref().map(verifier_keys).transpose()?;
    let mut value = client.json(&Call::get(path(["v1", "periods", &args.period]))).await?;
    let month: Month = serde_json::from_value(value.clone())
        .map_err(|error| CommandError::Unavailable(format!("the gateway's month has an unexpected shape: {error}")))?;
    check(&month, &args.period, keys.as_deref())?;
    let verdict = if keys.is_some() { "verified" } else { "self-consistent only" };
    if let Some(members) = value.as_object_mut() {
        members.insert("verdict".to_owned(), json!(verdict));
    }
    if let Some(out) = &args.out {
        crate::files::write_atomically(out, format!("{value}\n").as_bytes())?;
    }
    session.answer(&value, || told(&month.accounts, &value, verdict))
}

/// Leaf under checkpoint, accounts under the leaf's roots: nothing of it needs a network.
fn check(month: &Month, period: &str, keys: Option<&[gateway_audit::VerifierKey]>) -> Result<(), CommandError> {
    let wrong = |what: String| CommandError::Integrity(format!("the closing of {period} does not hold: {what}"));
    let proof = LogProof::parse(month.closed.proof.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let signed = keys.map(|keys| proof.checkpoint.note().verify_any(keys)).transpose();
    let key = signed.map_err(|error| wrong(error.to_string()))?;
    proof.verify(month.closed.leaf.as_bytes(), key).map_err(|error| wrong(error.to_string()))?;
    let leaf: Sums = serde_json::from_str(&month.closed.leaf).map_err(|error| wrong(error.to_string()))?;
    if leaf.period != period {
        return Err(wrong(format!("its leaf closes {}", leaf.period)));
    }
    for account in &month.accounts {
        let commitment = leaf.sums.iter().find(|sums| sums.currency == account.currency);
        let commitment = commitment.ok_or_else(|| wrong(format!("it has no root for `{}`", account.account)))?;
        if account.period.to_string() != period {
            return Err(wrong(format!("`{}` is of {}", account.account, account.period)));
        }
        account.verify(commitment).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(())
}

fn told(accounts: &[SumProof], value: &Value, verdict: &str) -> Lines {
    let mut table = Table::new(&["ACCOUNT", "OPENING", "DEBITS", "CREDITS", "CLOSING"]);
    for account in accounts {
        let (opening, closing) = (account.sums.opening, account.sums.closing);
        let shown = |amount: i128| money(&amount.to_string(), account.currency.as_str());
        table.row([
            account.account.to_string(),
            shown(opening.debits.saturating_sub(opening.credits)),
            shown(closing.debits.saturating_sub(opening.debits)),
            shown(closing.credits.saturating_sub(opening.credits)),
            shown(closing.debits.saturating_sub(closing.credits)),
        ]);
    }
    let mut lines = table.lines();
    let index = crate::output::plain(value.pointer("/closed/index").unwrap_or(&Value::Null));
    lines.push(format!("each has its place under the roots of entry {index}: {verdict}"));
    lines
}
