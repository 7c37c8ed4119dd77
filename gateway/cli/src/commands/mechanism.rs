//! `kouan mechanism …`.

use catalog::MechanismKind;
use gateway_api::exchange::AddMechanism;
use serde_json::Value;

use super::rest::{self, act, act_because, get, items};
use crate::args::exchange::{AddMechanismArgs, MechanismCommand, MechanismKindArg};
use crate::client::Call;
use crate::error::CommandError;
use crate::files;
use crate::output::plain;
use crate::output::table::{Table, fields};
use crate::session::{Lines, Session};

/// Largest TOML file of a mechanism, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

pub async fn run(session: &mut Session<'_>, command: &MechanismCommand) -> Result<(), CommandError> {
    match command {
        MechanismCommand::Add(args) => {
            let call = Call::post_json("/v1/mechanisms", &body(args)?)?;
            let value = rest::client(session, &args.connect)?.json(&call).await?;
            session.answer(&value, || {
                let mut lines = shown(&value);
                let id = plain(value.get("id").unwrap_or(&Value::Null));
                lines.push(format!(
                    "it counts once compliance of an authority has confirmed it: kouan mechanism confirm {id}"
                ));
                lines
            })
        }
        MechanismCommand::List { connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "mechanisms"]).await?;
            session.answer(&value, || {
                let mechanisms = items(&value, "mechanisms");
                if mechanisms.is_empty() {
                    return vec!["no mechanisms on file".to_owned()];
                }
                let columns = [
                    ("MECHANISM", "/id"),
                    ("KIND", "/kind"),
                    ("STATE", "/state"),
                    ("EXPORTER", "/exporter"),
                    ("RECIPIENT", "/recipient"),
                    ("EFFECTIVE", "/effective"),
                    ("FILED", "/filed"),
                    ("EXPIRES", "/expires"),
                    ("REFERENCE", "/reference"),
                ];
                Table::of_values(mechanisms, &columns).lines()
            })
        }
        MechanismCommand::Show { id, connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "mechanisms", id.as_str()]).await?;
            session.answer(&value, || shown(&value))
        }
        MechanismCommand::Confirm { id, connect } => {
            let value = act(&rest::client(session, connect)?, &["v1", "mechanisms", id.as_str(), "confirm"]).await?;
            session.answer(&value, || vec![format!("mechanism {id} is confirmed")])
        }
        MechanismCommand::Revoke { id, reason, connect } => {
            let client = rest::client(session, connect)?;
            let value = act_because(&client, &["v1", "mechanisms", id.as_str(), "revoke"], reason).await?;
            session.answer(&value, || vec![format!("mechanism {id} is revoked")])
        }
    }
}

fn body(args: &AddMechanismArgs) -> Result<AddMechanism, CommandError> {
    if let Some(file) = &args.file {
        return rest::toml_body(file, &files::read_text(file, FILE_BYTES_MAX)?);
    }
    match (args.kind, &args.reference, &args.exporter, &args.recipient, args.effective) {
        (Some(kind), Some(reference), Some(exporter), Some(recipient), Some(effective)) => Ok(AddMechanism {
            kind: match kind {
                MechanismKindArg::GbaSc => MechanismKind::GbaSc,
                MechanismKindArg::Sc => MechanismKind::Sc,
                MechanismKindArg::Cert => MechanismKind::Cert,
                MechanismKindArg::Sa => MechanismKind::Sa,
            },
            reference: reference.clone(),
            exporter: exporter.clone(),
            recipient: recipient.clone(),
            effective: effective.to_string(),
            filed: args.filed.map(|day| day.to_string()),
            expires: args.expires.map(|day| day.to_string()),
            datasets: args.datasets.clone(),
            purposes: args.purposes.clone(),
            persons_max: args.persons_max,
        }),
        _ => Err(CommandError::Usage(
            "give a TOML file, or `--kind`, `--reference`, `--exporter`, `--recipient` and `--effective`".to_owned(),
        )),
    }
}

fn shown(value: &Value) -> Lines {
    let members = [
        "id",
        "kind",
        "state",
        "reference",
        "exporter",
        "recipient",
        "effective",
        "filed",
        "expires",
        "datasets",
        "purposes",
        "persons_max",
        "added_by",
        "at",
    ];
    fields(members.map(|member| (member, plain(value.get(member).unwrap_or(&Value::Null)))))
}
