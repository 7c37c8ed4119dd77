//! `kouan lease …`.

use serde_json::Value;

use super::rest::{self, act, act_because, get, items};
use crate::args::exchange::LeaseCommand;
use crate::client::with_query;
use crate::error::CommandError;
use crate::output::table::{Table, fields};
use crate::output::{bytes, plain};
use crate::session::{Lines, Session};

pub async fn run(session: &mut Session<'_>, command: &LeaseCommand) -> Result<(), CommandError> {
    match command {
        LeaseCommand::List { limit, connect } => {
            let client = rest::client(session, connect)?;
            let target = |cursor: Option<&str>| with_query("/v1/leases", [("cursor", cursor)]);
            let value = rest::pages(&client, target, "leases", *limit).await?;
            session.answer(&value, || list(items(&value, "leases")))
        }
        LeaseCommand::Show { id, connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "leases", id.as_str()]).await?;
            session.answer(&value, || shown(&value))
        }
        LeaseCommand::Restore { id, connect } => {
            let client = rest::client(session, connect)?;
            let value = act(&client, &["v1", "leases", id.as_str(), "restore"]).await?;
            session.answer(&value, || {
                vec![match value.get("lifted") {
                    Some(_) => format!("the cut of lease {id} is lifted; its consumer may ask again"),
                    None => {
                        format!("noted; a second compliance officer of an authority has to run this for lease {id}")
                    }
                }]
            })
        }
        LeaseCommand::Cut { id, reason, connect } => {
            let client = rest::client(session, connect)?;
            let value = act_because(&client, &["v1", "leases", id.as_str(), "cut"], reason).await?;
            session.answer(&value, || vec![format!("lease {id} is cut; its streams end within a second")])
        }
    }
}

fn list(leases: &[Value]) -> Lines {
    if leases.is_empty() {
        return vec!["no leases".to_owned()];
    }
    let mut table =
        Table::new(&["LEASE", "STATE", "PARTICIPANT", "DATASET", "VERSION", "COLUMNS", "SENT", "CREATED", "REASON"]);
    for lease in leases {
        let text = |member: &str| plain(lease.get(member).unwrap_or(&Value::Null));
        table.row([
            text("id"),
            text("state"),
            text("participant"),
            text("dataset"),
            text("version"),
            items(lease, "columns").len().to_string(),
            bytes(lease.get("sent_bytes").and_then(Value::as_u64).unwrap_or(0)),
            text("created"),
            text("reason"),
        ]);
    }
    table.lines()
}

fn shown(value: &Value) -> Lines {
    let members = [
        "id",
        "state",
        "reason",
        "agreement",
        "participant",
        "dataset",
        "version",
        "columns",
        "purpose",
        "leaf",
        "sent_bytes",
        "unit_bytes",
        "created",
        "expires",
        "mechanism",
        "release",
    ];
    fields(members.map(|member| (member, plain(value.get(member).unwrap_or(&Value::Null)))))
}
