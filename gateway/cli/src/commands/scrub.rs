//! `kouan store scrub`: has the gateway read all that it stores again, and waits for what it finds.

use std::time::Duration;

use gateway_api::privacy::{ScrubReport, ScrubResult};
use serde::Deserialize as _;

use super::rest::{self, act, get};
use crate::args::connect::ConnectArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::session::{Lines, Session};

const PATH: [&str; 3] = ["v1", "store", "scrubs"];
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Runs the command; `last` only asks.
pub async fn run(session: &mut Session<'_>, last: bool, connect: &ConnectArgs) -> Result<Exit, CommandError> {
    let client = rest::client(session, connect)?;
    let report = |value: &serde_json::Value| -> Result<ScrubReport, CommandError> {
        let parsed = ScrubReport::deserialize(value);
        parsed.map_err(|error| CommandError::Unavailable(format!("the gateway's answer is no report: {error}")))
    };
    if !last {
        act(&client, &PATH).await?;
    }
    let mut value = get(&client, &PATH).await?;
    while !last && report(&value)?.running {
        tokio::time::sleep(LOOK_EVERY).await;
        value = get(&client, &PATH).await?;
    }
    let found = report(&value)?.last;
    session.answer(&value, || lines(found.as_ref()))?;
    Ok(if found.is_none_or(|found| found.count == 0) { Exit::Success } else { Exit::Integrity })
}

fn lines(found: Option<&ScrubResult>) -> Lines {
    let Some(found) = found else { return vec!["nothing has been read again yet".to_owned()] };
    let ScrubResult { at, entries, files, bytes, count, flaws, .. } = found;
    let mut lines =
        vec![format!("{at}: {entries} log entries, {files} files, {bytes} bytes read again, {count} flaws")];
    lines.extend(flaws.iter().map(|flaw| format!("{}: {}", flaw.place, flaw.why)));
    if found.halting > 0 {
        lines.push("nothing new leaves until this is restored and a scrub finds nothing".to_owned());
    }
    lines
}
