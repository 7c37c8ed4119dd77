//! `kouan mechanism …`.

use std::path::PathBuf;

use catalog::digest::Hasher;
use catalog::{Document, MechanismKind};
use gateway_api::mechanism::{AddMechanism, RecordFiling};
use serde_json::Value;
use std::io::Read as _;

use super::rest::{self, act, act_because, get, items};
use crate::args::mechanism::{AddMechanismArgs, MechanismCommand, MechanismKindArg};
use crate::client::{Call, path};
use crate::error::CommandError;
use crate::files;
use crate::lang::Lang;
use crate::output::table::{Table, fields};
use crate::output::{clean, plain};
use crate::session::{Lines, Session};

/// Largest TOML file of a mechanism, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

pub async fn run(session: &mut Session<'_>, command: &MechanismCommand) -> Result<(), CommandError> {
    match command {
        MechanismCommand::Add(args) => {
            let call = Call::post_json("/v1/mechanisms", &body(args)?)?;
            let value = rest::client(session, &args.connect)?.json(&call).await?;
            let lang = session.lang;
            session.answer(&value, || {
                let mut lines = shown(&value, lang);
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
                let mut lines = Table::of_values(mechanisms, &columns).lines();
                lines.extend(mechanisms.iter().flat_map(due));
                lines
            })
        }
        MechanismCommand::Show { id, connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "mechanisms", id.as_str()]).await?;
            let lang = session.lang;
            session.answer(&value, || shown(&value, lang))
        }
        MechanismCommand::Filed { id, filed, documents, connect } => {
            let body = RecordFiling { filed: filed.to_string(), documents: hashed(documents)? };
            let target = path(["v1", "mechanisms", id.as_str(), "filed"]);
            let value = rest::client(session, connect)?.json(&Call::post_json(target, &body)?).await?;
            session.answer(&value, || {
                vec![format!(
                    "noted that mechanism {id} was filed on {filed}; it counts once compliance of an authority has confirmed it: \
                     kouan mechanism confirm {id}"
                )]
            })
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
        let mut body: AddMechanism = rest::toml_body(file, &files::read_text(file, FILE_BYTES_MAX)?)?;
        body.documents.extend(hashed(&args.documents)?);
        return Ok(body);
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
            documents: hashed(&args.documents)?,
        }),
        _ => Err(CommandError::Usage(
            "give a TOML file, or `--kind`, `--reference`, `--exporter`, `--recipient` and `--effective`".to_owned(),
        )),
    }
}

/// Names and digests of files: their bytes stay here.
fn hashed(files: &[PathBuf]) -> Result<Vec<Document>, CommandError> {
    files
        .iter()
        .map(|file| {
            let mut reader = std::fs::File::open(file).map_err(CommandError::io(file, "cannot be opened"))?;
            let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 1 << 20]);
            loop {
                match reader.read(&mut buffer).map_err(CommandError::io(file, "cannot be read"))? {
                    0 => break,
                    length => hasher.update(buffer.get(..length).unwrap_or_default()),
                }
            }
            let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
            Ok(Document { name, sha256: hasher.finish() })
        })
        .collect()
}

/// What is due of one mechanism, a line each.
fn due(mechanism: &Value) -> Lines {
    let id = plain(mechanism.get("id").unwrap_or(&Value::Null));
    let line = |warning: &Value| {
        let text = |member: &str| plain(warning.get(member).unwrap_or(&Value::Null));
        format!("{id}: {} {}", text("code"), text("day")).trim_end().to_owned()
    };
    items(mechanism, "warnings").iter().map(line).collect()
}

fn shown(value: &Value, lang: Lang) -> Lines {
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
    let mut lines = fields(members.map(|member| (member, plain(value.get(member).unwrap_or(&Value::Null)))));
    for document in items(value, "documents") {
        let text = |member: &str| plain(document.get(member).unwrap_or(&Value::Null));
        lines.push(format!("  document {} {}", text("sha256"), text("name")));
    }
    for deadline in items(value, "deadlines") {
        let text = |member: &str| plain(deadline.get(member).unwrap_or(&Value::Null));
        let about = if text("exact") == "false" { " at the latest, a calendar is missing" } else { "" };
        let done = text("done");
        let done = if done.is_empty() { done } else { format!(", done on {done}") };
        lines.push(format!("  {} by {}{about}{done}", text("what").replace('_', " "), text("day")));
    }
    for warning in items(value, "warnings") {
        let message = warning.get("message").unwrap_or(&Value::Null);
        lines.push(format!("  ! {}", clean(lang.text(message))));
    }
    lines
}
