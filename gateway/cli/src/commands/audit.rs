//! `kouan audit …`.

mod disclose;
mod export;
mod log_client;
mod mirror;
mod rebuild;
mod rotate_key;
mod tail;
mod witness;

pub use rebuild::accounts;

use std::path::Path;

use gateway_audit::verify::verify_log_by;
use gateway_audit::{VerifierKey, VerifyReport};
use serde_json::{Value, json};

use super::log_files::LogFolder;
use super::proof;
use super::rest::{self, get, items};
use super::witnessed;
use crate::args::audit::{AuditCommand, EntryFilterArgs, SearchArgs, WitnessedArgs};
use crate::client::with_query;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::files;
use crate::lang::Lang;
use crate::output::table::{Table, fields};
use crate::output::{count, decision, plain};
use crate::session::{Lines, Session};

/// Entries of one page.
const PAGE: &str = "500";
/// Longest older checkpoint, in bytes.
const CHECKPOINT_BYTES_MAX: u64 = 1 << 20;

pub async fn run(session: &mut Session<'_>, command: &AuditCommand) -> Result<Exit, CommandError> {
    match command {
        AuditCommand::Search(args) => search(session, args).await,
        AuditCommand::Show { index, connect } => {
            let value = get(&rest::client(session, connect)?, &["v1", "audit", &index.to_string()]).await?;
            session.answer(&value, || shown(*index, &value))?;
            Ok(Exit::Success)
        }
        AuditCommand::Explain { index, connect } => {
            let target = ["v1", "audit", &index.to_string(), "explain"];
            let value = get(&rest::client(session, connect)?, &target).await?;
            let lang = session.lang;
            session.answer(&value, || explained(*index, &value, lang))?;
            Ok(Exit::Success)
        }
        AuditCommand::Proof(args) => proof::run(session, args).await,
        AuditCommand::Verify(args) => verify(session, args),
        AuditCommand::Rebuild(args) => rebuild::run(session, args),
        AuditCommand::Export(args) => export::run(session, args).await,
        AuditCommand::Mirror(args) => mirror::run(session, args).await,
        AuditCommand::RotateKey(args) => rotate_key::run(session, args),
        AuditCommand::Disclose(args) => disclose::disclose(session, args).await,
        AuditCommand::VerifyDisclosure(args) => disclose::verify(session, args),
        AuditCommand::Tail(args) => tail::run(session, args).await,
    }
}

/// The target of a search, from `cursor` on.
fn target(filter: &EntryFilterArgs, cursor: Option<&str>) -> String {
    let query = [
        ("from", filter.from.as_deref()),
        ("to", filter.to.as_deref()),
        ("participant", filter.participant.as_deref()),
        ("dataset", filter.dataset.as_deref()),
        ("rule", filter.rule.as_deref()),
        ("effect", filter.effect.as_deref()),
        ("kind", filter.kind.as_deref()),
        ("limit", Some(PAGE)),
        ("cursor", cursor),
    ];
    with_query("/v1/audit", query)
}

async fn search(session: &mut Session<'_>, args: &SearchArgs) -> Result<Exit, CommandError> {
    let client = rest::client(session, &args.connect)?;
    let value = rest::pages(&client, |cursor| target(&args.filter, cursor), "entries", args.limit).await?;
    session.answer(&value, || {
        let entries = items(&value, "entries");
        if entries.is_empty() {
            return vec!["no entry meets all of that".to_owned()];
        }
        let mut lines = table(entries).lines();
        if value.get("next").is_some() {
            lines.push("there are more: raise --limit, or narrow --from and --to".to_owned());
        }
        lines.push("one of them: kouan audit show INDEX; its proof: kouan audit proof INDEX".to_owned());
        lines
    })?;
    Ok(Exit::Success)
}

fn table(entries: &[Value]) -> Table {
    let columns = [
        ("INDEX", "/index"),
        ("AT", "/leaf/at"),
        ("KIND", "/leaf/kind"),
        ("EFFECT", "/leaf/effect"),
        ("PARTICIPANT", "/leaf/participant"),
        ("DATASET", "/leaf/dataset"),
        ("RULES", "/leaf/rules"),
        ("LEASE", "/leaf/lease"),
    ];
    Table::of_values(entries, &columns)
}

fn shown(index: u64, value: &Value) -> Lines {
    let leaf = value.get("leaf").unwrap_or(value);
    let members = leaf.as_object().into_iter().flatten();
    let mut lines = fields(members.map(|(name, value)| (name.as_str(), plain(value))));
    lines.push(format!("prove it: kouan audit proof {index}"));
    lines
}

fn explained(index: u64, value: &Value, lang: Lang) -> Lines {
    let explain = value.get("explain").unwrap_or(value);
    let effect = decision::effect(explain);
    let mut lines = vec![format!("entry {index}, {effect}: {}", decision::verdict(effect, lang))];
    lines.extend(decision::explanation(explain, lang));
    lines
}

/// Offline. The report is the answer whatever it says; the exit status tells whether the log holds.
fn verify(session: &mut Session<'_>, args: &WitnessedArgs) -> Result<Exit, CommandError> {
    let WitnessedArgs { log: args, policy } = args;
    let policy = policy.as_deref().map(witnessed::policy).transpose()?;
    if !args.dir.join("checkpoint").is_file() {
        return Err(CommandError::NotFound(format!(
            "`{}` holds no `checkpoint`: name the folder of a log, such as DIR/data/log of a node, or an export",
            args.dir.display()
        )));
    }
    let mut keys = args.key.as_deref().map(proof::verifier_keys).transpose()?.unwrap_or_default();
    if let (true, Some(policy)) = (keys.is_empty(), &policy) {
        keys = witnessed::log_keys(policy);
    }
    let since = args.since.as_deref().map(|file| files::read(file, CHECKPOINT_BYTES_MAX)).transpose()?;
    let report = report(&args.dir, &keys, since.as_deref())?;
    let mut exit = if report.ok { Exit::Success } else { Exit::Integrity };
    let mut value = serde_json::to_value(&report).unwrap_or_default();
    // Of a log that does not hold it does not matter who has seen it.
    let seen = if report.ok { Some(witness::seen(&args.dir, policy.as_ref(), &keys)) } else { None };
    if let Some(object) = value.as_object_mut() {
        match &seen {
            Some(Ok(seen)) => {
                object.insert("witnessed".to_owned(), seen.clone());
            }
            Some(Err(error)) => {
                exit = error.exit();
                object.insert("ok".to_owned(), false.into());
                object.insert("error".to_owned(), json!({ "code": "integrity", "message": error.to_string() }));
            }
            None => {}
        }
        let unseen = matches!(seen, Some(Err(_)));
        object.insert("verdict".to_owned(), if unseen { "not witnessed" } else { report.verdict() }.into());
        if let Some(finding) = &report.finding {
            object.insert("error".to_owned(), json!({ "code": "integrity", "message": finding.to_string() }));
        }
    }
    session.answer(&value, || {
        let mut lines = told(&report);
        match &seen {
            Some(Ok(seen)) => lines.extend(seen.get("text").map(plain)),
            Some(Err(error)) => lines.push(format!("FAILED  {error}")),
            None => {}
        }
        lines
    })?;
    Ok(exit)
}

fn report(dir: &Path, keys: &[VerifierKey], since: Option<&[u8]>) -> Result<VerifyReport, CommandError> {
    verify_log_by(&LogFolder::new(dir), keys, since, &mut |_, _| ()).map_err(|error| CommandError::LocalIo {
        path: dir.to_owned(),
        what: "read",
        source: std::io::Error::other(error),
    })
}

fn told(report: &VerifyReport) -> Lines {
    let checked = &report.checked;
    let mut lines = fields([
        ("log", report.origin.clone().unwrap_or_default()),
        ("entries", report.size.map(count).unwrap_or_default()),
        ("root", report.root.map(|root| root.to_string()).unwrap_or_default()),
        ("key", report.key.clone().unwrap_or_default()),
        ("first entry", report.first_at.clone().unwrap_or_default()),
        ("last entry", report.last_at.clone().unwrap_or_default()),
        (
            "checked",
            format!(
                "{} entries, {} bundles, {} tiles, {} facts",
                count(checked.entries),
                count(checked.bundles),
                count(checked.tiles),
                count(checked.facts)
            ),
        ),
    ]);
    for seen in &report.rotations {
        lines.push(format!("entry {}: {} vouches for {}", seen.index, seen.old, seen.new));
    }
    match &report.finding {
        Some(finding) => lines.push(format!("FAILED  {finding}")),
        None if report.key.is_none() => lines.push(
            "self-consistent only: whoever rewrote the log could have rewritten its checkpoint; give the log's key with --key"
                .to_owned(),
        ),
        None => lines.push("verified: every entry is the one that was logged".to_owned()),
    }
    lines
}

#[cfg(test)]
mod tests;
