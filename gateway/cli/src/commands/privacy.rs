//! `kouan subject …`, `kouan hold …`, `kouan retention …`, `kouan store report`.

use gateway_api::privacy::{AddHold, Erase, HoldOn, RunRetention};
use serde_json::Value;

use super::rest::{self, act_because, get, items};
use crate::args::connect::ConnectArgs;
use crate::args::privacy::{HoldCommand, HoldOnArgs, RetentionCommand, SubjectCommand};
use crate::client::Call;
use crate::error::CommandError;
use crate::output::plain;
use crate::output::table::Table;
use crate::session::{Lines, Session};

/// `kouan subject …`.
pub async fn subject(session: &mut Session<'_>, command: &SubjectCommand) -> Result<(), CommandError> {
    let SubjectCommand::Erase(args) = command;
    let body = Erase { person: args.person.clone(), basis: args.basis.clone(), reason: args.reason.clone() };
    let value = rest::client(session, &args.connect)?.json(&Call::post_json("/v1/erasures", &body)?).await?;
    session.answer(&value, || {
        if awaits(&value) {
            return vec!["signed: a second compliance officer sends the same, and it is done".to_owned()];
        }
        let count = |name: &str| plain(value.pointer(&format!("/counts/{name}")).unwrap_or(&Value::Null));
        let mut lines = vec![format!(
            "erased, leaf {}: {} openings, {} receipts, {} kept answers open nowhere any more; {} leases name nobody",
            plain(value.get("leaf").unwrap_or(&Value::Null)),
            count("openings"),
            count("receipts"),
            count("answers"),
            count("leases"),
        )];
        if value.get("old_key_destroyed") != Some(&Value::Bool(true)) {
            lines.push("the key that was replaced is not destroyed yet: the gateway tries again every few seconds".to_owned());
        }
        lines.push("backups of the folder `kek` from before still open backups of the data directory from before: destroy them".to_owned());
        lines
    })
}

/// `kouan hold …`.
pub async fn hold(session: &mut Session<'_>, command: &HoldCommand) -> Result<(), CommandError> {
    match command {
        HoldCommand::Add(args) => {
            let body = AddHold { on: on(&args.on)?, reason: args.reason.clone() };
            let value = rest::client(session, &args.connect)?.json(&Call::post_json("/v1/holds", &body)?).await?;
            session.answer(&value, || told(&value, "in force"))
        }
        HoldCommand::List { connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "holds"]).await?;
            session.answer(&value, || list(items(&value, "holds")))
        }
        HoldCommand::Release { id, reason, connect } => {
            let client = rest::client(session, connect)?;
            let value = act_because(&client, &["v1", "holds", id, "release"], reason).await?;
            session.answer(&value, || told(&value, "lifted"))
        }
    }
}

/// `kouan retention …`.
pub async fn retention(session: &mut Session<'_>, command: &RetentionCommand) -> Result<(), CommandError> {
    let RetentionCommand::Run { dry_run, connect } = command;
    let body = RunRetention { dry_run: *dry_run };
    let value = rest::client(session, connect)?.json(&Call::post_json("/v1/retention/runs", &body)?).await?;
    session.answer(&value, || {
        let columns = [("CLASS", "/class"), ("DUE", "/due"), ("HELD", "/held"), ("NEXT", "/next")];
        let mut lines = Table::of_values(items(&value, "classes"), &columns).lines();
        lines.push(match value.get("leaf") {
            Some(leaf) => format!("what was due is deleted, leaf {}", plain(leaf)),
            None => "nothing was deleted".to_owned(),
        });
        lines
    })
}

/// `kouan store report`.
pub async fn store(session: &mut Session<'_>, connect: &ConnectArgs) -> Result<(), CommandError> {
    let value = get(&rest::client(session, connect)?, &["v1", "store"]).await?;
    session.answer(&value, || {
        let columns = [
            ("CLASS", "/class"),
            ("ROWS", "/rows"),
            ("BYTES", "/bytes"),
            ("DUE", "/due"),
            ("HELD", "/held"),
            ("NEXT DUE", "/next"),
            ("KEPT FOR", "/kept"),
        ];
        let mut lines = Table::of_values(items(&value, "classes"), &columns).lines();
        let folders = [("FOLDER", "/folder"), ("FILES", "/files"), ("BYTES", "/bytes")];
        lines.extend(Table::of_values(items(&value, "folders"), &folders).lines());
        let last = value.get("last_run").map_or_else(|| "never".to_owned(), plain);
        lines.push(format!("legal holds: {}; last run: {last}", plain(value.get("holds").unwrap_or(&Value::Null))));
        lines
    })
}

fn on(args: &HoldOnArgs) -> Result<HoldOn, CommandError> {
    let HoldOnArgs { participant, dataset, lease, person } = args.clone();
    let on = [
        participant.map(HoldOn::Participant),
        dataset.map(HoldOn::Dataset),
        lease.map(HoldOn::Lease),
        person.map(HoldOn::Person),
    ];
    let mut named = on.into_iter().flatten();
    named.next().ok_or_else(|| CommandError::Usage("say what to hold".to_owned()))
}

fn awaits(value: &Value) -> bool {
    value.get("state").and_then(Value::as_str) == Some("awaiting_second_officer")
}

fn told(value: &Value, what: &str) -> Lines {
    if awaits(value) {
        return vec!["signed: a second officer of an authority sends the same, and it is done".to_owned()];
    }
    vec![format!("hold {} is {what}", plain(value.get("id").unwrap_or(&Value::Null)))]
}

fn list(holds: &[Value]) -> Lines {
    if holds.is_empty() {
        return vec!["no holds".to_owned()];
    }
    let columns = [
        ("HOLD", "/id"),
        ("ON", "/on/kind"),
        ("WHICH", "/on/value"),
        ("SINCE", "/at"),
        ("BY", "/by"),
        ("LIFTED", "/released"),
        ("REASON", "/reason"),
    ];
    Table::of_values(holds, &columns).lines()
}
