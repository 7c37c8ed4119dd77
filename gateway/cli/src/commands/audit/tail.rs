//! `kouan audit tail`: the last entries, and those that come.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use super::{table, target};
use crate::args::audit::{EntryFilterArgs, TailArgs};
use crate::client::Client;
use crate::commands::rest::{self, items};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::session::Session;

/// Most entries that are kept.
const NUMBER_MAX: usize = 10_000;
/// Between two looks with `--follow`.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);
/// How far back a tail begins when no `--from` says so, doubled until enough is found.
const FIRST_LOOK: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
const LAST_LOOK: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 3660);

pub async fn run(session: &mut Session<'_>, args: &TailArgs) -> Result<Exit, CommandError> {
    if session.json && args.follow {
        return Err(CommandError::Usage(
            "`--follow` never ends, and `--json` gives one object: use one of them".to_owned(),
        ));
    }
    let client = rest::client(session, &args.connect)?;
    let number = args.number.min(NUMBER_MAX);
    let last = last(&client, &args.filter, number).await?;
    let mut newest = last.back().cloned();
    let entries: Vec<Value> = last.into();
    session.answer(&json!({ "entries": entries }), || table(&entries).lines())?;
    if !args.follow {
        return Ok(Exit::Success);
    }
    loop {
        tokio::time::sleep(FOLLOW_INTERVAL).await;
        let mut filter = args.filter.clone();
        let at = newest.as_ref().and_then(|entry| entry.pointer("/leaf/at")).and_then(Value::as_str);
        filter.from = at.map(str::to_owned).or(filter.from);
        let value = rest::pages(&client, |cursor| target(&filter, cursor), "entries", usize::MAX).await?;
        let seen = newest.as_ref().map(index);
        let fresh: Vec<Value> =
            items(&value, "entries").iter().filter(|entry| Some(index(entry)) > seen).cloned().collect();
        if let Some(entry) = fresh.last() {
            newest = Some(entry.clone());
            let lines = table(&fresh).lines();
            let rows: Vec<&str> = lines.iter().skip(1).map(String::as_str).collect();
            session.print(&format!("{}\n", rows.join("\n")))?;
        }
    }
}

fn index(entry: &Value) -> u64 {
    entry.get("index").and_then(Value::as_u64).unwrap_or(0)
}

/// The last `number` entries. The API pages from the oldest on, so the look back grows until it finds enough.
async fn last(client: &Client, filter: &EntryFilterArgs, number: usize) -> Result<VecDeque<Value>, CommandError> {
    let mut back = FIRST_LOOK;
    loop {
        let mut filter = filter.clone();
        let whole = filter.from.is_some() || back > LAST_LOOK;
        if !whole {
            let from = jiff::Timestamp::now().checked_sub(back).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            filter.from = Some(from.to_string());
        }
        let value = rest::pages(client, |cursor| target(&filter, cursor), "entries", usize::MAX).await?;
        let entries = items(&value, "entries");
        if whole || entries.len() >= number {
            let from = entries.len().saturating_sub(number);
            return Ok(entries.iter().skip(from).cloned().collect());
        }
        back = back.checked_mul(16).unwrap_or(jiff::SignedDuration::MAX);
    }
}
