//! `kouan participant …`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use catalog::Role;
use catalog::participant::Tristate;
use gateway_api::participant::AddParticipant;
use serde_json::{Value, json};

use super::baseline;
use super::rest::{self, act, act_because, get, items};
use crate::args::participant::{AddParticipantArgs, ParticipantCommand, TristateArg};
use crate::client::{Call, path};
use crate::error::CommandError;
use crate::files;
use crate::output::plain;
use crate::output::table::{Table, fields};
use crate::session::{Lines, Session};

/// Largest TOML file of a participant, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Largest CA bundle, in bytes.
const CA_BYTES_MAX: u64 = 1 << 20;
/// Largest revocation list, in bytes.
const CRL_BYTES_MAX: u64 = 16 << 20;
const PEM: &str = "application/x-pem-file";

pub async fn run(session: &mut Session<'_>, command: &ParticipantCommand) -> Result<(), CommandError> {
    match command {
        ParticipantCommand::Add(args) => {
            let body = body(args)?;
            let call = Call::post_json("/v1/participants", &body)?;
            let value = rest::client(session, &args.connect)?.json(&call).await?;
            session.answer(&value, || shown(&value))
        }
        ParticipantCommand::List { connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "participants"]).await?;
            session.answer(&value, || {
                let columns = [
                    ("PARTICIPANT", "/id"),
                    ("TRUST DOMAIN", "/trust_domain"),
                    ("PLACE", "/place"),
                    ("ROLES", "/roles"),
                    ("AUTHORITY", "/authority"),
                    ("STATE", "/state"),
                    ("NAME", "/names/en"),
                ];
                Table::of_values(items(&value, "participants"), &columns).lines()
            })
        }
        ParticipantCommand::Show { id, connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "participants", id]).await?;
            session.answer(&value, || shown(&value))
        }
        ParticipantCommand::Suspend { id, reason, connect } => {
            let client = rest::client(session, connect)?;
            let value = act_because(&client, &["v1", "participants", id, "suspend"], reason).await?;
            session.answer(&value, || vec![format!("{id} is suspended; its live streams end within a second")])
        }
        ParticipantCommand::Resume { id, connect } => {
            let client = rest::client(session, connect)?;
            let value = act(&client, &["v1", "participants", id, "resume"]).await?;
            session.answer(&value, || resumed(id, &value))
        }
        ParticipantCommand::Crl { id, file, connect } => {
            let client = rest::client(session, connect)?;
            let call = put_pem(&["v1", "participants", id, "crl"], file, CRL_BYTES_MAX)?;
            let value = client.json(&call).await?;
            session.answer(&value, || vec![format!("revocation list of {id} is in force")])
        }
        ParticipantCommand::Ca { id, file, connect } => {
            let client = rest::client(session, connect)?;
            let call = put_pem(&["v1", "participants", id, "ca"], file, CA_BYTES_MAX)?;
            let value = client.json(&call).await?;
            session.answer(&value, || vec![format!("CA certificates of {id} are in force")])
        }
        ParticipantCommand::Baseline(args) => baseline::declare(session, args).await,
        ParticipantCommand::Counters { id, year, connect } => baseline::counters(session, id, *year, connect).await,
        ParticipantCommand::ConfirmBaseline { id, year, connect } => {
            let client = rest::client(session, connect)?;
            let target = path(["v1", "participants", id.as_str(), "confirm-baseline"]);
            let value = client.json(&Call::post_json(target, &json!({ "year": year }))?).await?;
            session.answer(&value, || vec![format!("baseline of {id} for {year} is confirmed")])
        }
    }
}

/// A suspension may need two officers: the gateway's answer tells where it stands.
fn resumed(id: &str, value: &Value) -> Lines {
    match value.get("state").and_then(Value::as_str) {
        Some("suspended") => vec![format!("noted; {id} stays suspended until a second officer of an authority agrees")],
        _ => vec![format!("{id} takes part again")],
    }
}

fn put_pem(segments: &[&str], file: &Path, bytes_max: u64) -> Result<Call, CommandError> {
    let text = files::read_text(file, bytes_max)?;
    Ok(Call::put(path(segments.iter().copied()), PEM, text.into()))
}

fn body(args: &AddParticipantArgs) -> Result<AddParticipant, CommandError> {
    match &args.file {
        Some(file) => from_file(file),
        None => from_flags(args),
    }
}

/// The members of the API, where `ca_file` and `crl_file` name PEM files beside the TOML file.
fn from_file(file: &Path) -> Result<AddParticipant, CommandError> {
    let text = files::read_text(file, FILE_BYTES_MAX)?;
    let mut table: toml::Table = rest::toml_body(file, &text)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    for (member, target, bytes_max) in [("ca_file", "ca", CA_BYTES_MAX), ("crl_file", "crl", CRL_BYTES_MAX)] {
        let Some(named) = table.remove(member) else {
            continue;
        };
        let name = named
            .as_str()
            .ok_or_else(|| CommandError::Input(format!("`{}`: `{member}` is not a path in quotes", file.display())))?;
        if table.contains_key(target) {
            return Err(CommandError::Input(format!("`{}`: write `{target}` or `{member}`, not both", file.display())));
        }
        table.insert(target.to_owned(), files::read_text(&folder.join(name), bytes_max)?.into());
    }
    table.try_into().map_err(|error| CommandError::Input(format!("`{}`: {error}", file.display())))
}

fn from_flags(args: &AddParticipantArgs) -> Result<AddParticipant, CommandError> {
    let missing = || {
        CommandError::Usage(
            "give a TOML file, or `--id`, `--trust-domain`, `--place`, `--role` and `--ca-file`".to_owned(),
        )
    };
    let (Some(id), Some(trust_domain), Some(place), Some(ca)) =
        (&args.id, &args.trust_domain, &args.place, &args.ca_file)
    else {
        return Err(missing());
    };
    let mut names = BTreeMap::new();
    for name in &args.name {
        let (lang, text) = name.split_once('=').ok_or_else(|| {
            CommandError::Usage(format!("`--name {name}`: write LANG=NAME, such as `en=The University`"))
        })?;
        names.insert(lang.to_owned(), text.to_owned());
    }
    let mut roles = BTreeSet::new();
    for role in &args.role {
        let known = Role::parse(role).ok_or_else(|| {
            CommandError::Usage(format!(
                "`{role}` is no role: researcher, broker, compliance, operator, compute, witness"
            ))
        })?;
        roles.insert(known);
    }
    Ok(AddParticipant {
        id: id.clone(),
        trust_domain: trust_domain.clone(),
        names,
        place: place.clone(),
        roles,
        authority: args.authority,
        registration: args.registration.clone(),
        ciio: match args.ciio {
            TristateArg::Yes => Tristate::Yes,
            TristateArg::No => Tristate::No,
            TristateArg::Unknown => Tristate::Unknown,
        },
        affiliates: args.affiliate.iter().cloned().collect(),
        restricted: args.restricted,
        address_ranges: Vec::new(),
        baselines: BTreeMap::new(),
        ca: files::read_text(ca, CA_BYTES_MAX)?,
        crl: args.crl_file.as_deref().map(|file| files::read_text(file, CRL_BYTES_MAX)).transpose()?,
    })
}

fn shown(value: &Value) -> Lines {
    let members = [
        "id",
        "trust_domain",
        "names",
        "place",
        "roles",
        "authority",
        "registration",
        "ciio",
        "affiliates",
        "restricted",
        "baselines",
        "state",
        "reason",
    ];
    fields(members.map(|member| (member, plain(value.get(member).unwrap_or(&Value::Null)))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_may_name_its_certificates() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), "PEM").unwrap();
        let file = dir.path().join("hku.toml");
        let text = "id = \"hku\"\ntrust_domain = \"hku.hk\"\nplace = \"HK\"\nroles = [\"researcher\"]\n";
        std::fs::write(&file, format!("{text}ca_file = \"ca.pem\"\n")).unwrap();
        let body = from_file(&file).unwrap();
        assert_eq!((body.ca.as_str(), body.crl), ("PEM", None));
        for bad in ["ca_file = 1\n", "ca_file = \"ca.pem\"\nca = \"x\"\n", "ca = \"x\"\nsurplus = 1\n", ""] {
            std::fs::write(&file, format!("{text}{bad}")).unwrap();
            assert!(matches!(from_file(&file), Err(CommandError::Input(_))), "{bad}");
        }
    }
}
