//! `kouan doctor`: every part of a connection, from the profile to the clock, each with a fix; and what is due.

mod due;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use certs::command::{CertificateKind, Shown, show};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::node::DoctorArgs;
use crate::client::{Call, Client, path};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::table::Table;
use crate::profile::Profile;
use crate::session::Session;

/// A certificate that ends this soon is worth a word.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(24 * 14);
/// A revocation list that ends this soon is worth a word.
const CRL_STALE_SOON: SignedDuration = SignedDuration::from_hours(24 * 3);
/// A clock that is further off breaks certificates and filing deadlines.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(60);
/// Largest revocation list that is looked at.
const CRL_BYTES_MAX: usize = 16 << 20;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    /// `ok`, `warning`, `failed` or `skipped`.
    state: &'static str,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: "ok", found: found.into(), fix: None }
    }

    fn skipped(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: "skipped", found: found.into(), fix: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: "warning", found: found.into(), fix: Some(fix.into()) }
    }

    fn failed(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: "failed", found: found.into(), fix: Some(fix.into()) }
    }
}

/// Runs every check that makes sense. Success only if none failed; the first failure gives the exit status.
pub async fn run(session: &mut Session<'_>, args: &DoctorArgs) -> Result<Exit, CommandError> {
    let mut checks = Vec::new();
    let mut exit = Exit::Success;
    match Profile::resolve(&args.connect, session.io.env.as_ref()) {
        Err(error) => {
            exit = error.exit();
            checks.push(Check::failed("profile", error.to_string(), "see `kouan --help`"));
        }
        Ok(profile) => {
            let from =
                profile.file.as_ref().map_or_else(String::new, |file| format!(", profile file {}", file.display()));
            checks.push(Check::ok("profile", format!("{}{from}", profile.gateway)));
            let before = checks.len();
            files(&profile, Timestamp::now(), &mut checks);
            if checks.iter().skip(before).any(|check| check.state == "failed") {
                exit = Exit::Unauthenticated;
            }
            let found = online(&profile, &mut checks).await;
            if let (Err(failed), Exit::Success) = (found, exit) {
                exit = failed;
            }
        }
    }
    let value = json!({ "ok": exit == Exit::Success, "checks": checks });
    session.answer(&value, || {
        let mut table = Table::new(&["CHECK", "STATE", "FOUND"]);
        for check in &checks {
            let first = check.found.lines().next().unwrap_or_default();
            table.row([check.name.to_owned(), check.state.to_owned(), first.to_owned()]);
            for more in check.found.lines().skip(1) {
                table.row([String::new(), String::new(), more.to_owned()]);
            }
            if let Some(fix) = &check.fix {
                table.row([String::new(), "fix:".to_owned(), fix.clone()]);
            }
        }
        let mut lines = table.lines();
        let failed = checks.iter().filter(|check| check.state == "failed").count();
        lines.push(if failed == 0 { "all well".to_owned() } else { format!("{failed} failed") });
        lines
    })?;
    Ok(exit)
}

/// Files of the profile: there, readable, in validity, and the key for nobody else.
fn files(profile: &Profile, now: Timestamp, checks: &mut Vec<Check>) {
    checks.push(match show(&profile.cert, now) {
        Ok(shown) => certificate(&shown, now),
        Err(error) => {
            Check::failed("certificate", error.to_string(), "name your certificate with `--cert` or `KOUAN_CERT`")
        }
    });
    checks.push(key(&profile.key));
    checks.push(match show(&profile.ca, now) {
        Ok(shown) => authority(&shown),
        Err(error) => {
            Check::failed("trust bundle", error.to_string(), "ask the operator of the gateway for its trust.pem")
        }
    });
}

fn certificate(shown: &Shown, now: Timestamp) -> Check {
    const NAME: &str = "certificate";
    let ask = "ask your participant's authority for a new one (`kouan cert issue`)";
    let Some(leaf) = shown.certificates.first() else {
        return Check::failed(NAME, "no certificate in the file", ask);
    };
    if let Some(refused) = &leaf.refused {
        return Check::failed(NAME, format!("a gateway would refuse it: {refused}"), ask);
    }
    let Some(id) = leaf.spiffe_id.as_ref().filter(|_| leaf.kind == CertificateKind::Client) else {
        return Check::failed(NAME, "it is no client certificate", ask);
    };
    let found = format!("{id}, until {}", leaf.not_after);
    if leaf.not_after.duration_since(now) < EXPIRES_SOON {
        return Check::warning(NAME, found, ask);
    }
    Check::ok(NAME, found)
}

fn key(path: &Path) -> Check {
    const NAME: &str = "private key";
    match std::fs::metadata(path) {
        Err(error) => {
            Check::failed(NAME, format!("`{}`: {error}", path.display()), "name it with `--key` or `KOUAN_KEY`")
        }
        Ok(metadata) if metadata.mode() & 0o077 != 0 => Check::failed(
            NAME,
            format!("`{}` has mode {:04o}: others can read it", path.display(), metadata.mode() & 0o7777),
            format!("chmod 600 {}", path.display()),
        ),
        Ok(_) => Check::ok(NAME, path.display().to_string()),
    }
}

fn authority(shown: &Shown) -> Check {
    const NAME: &str = "trust bundle";
    let ask = "ask the operator of the gateway for its trust.pem";
    let current = shown.certificates.iter().find(|cert| cert.kind == CertificateKind::Authority && cert.in_validity);
    match current {
        Some(cert) => Check::ok(NAME, format!("{}, until {}", cert.subject, cert.not_after)),
        None => Check::failed(NAME, "no authority in it is in validity", ask),
    }
}

/// Handshake, identity, clock, revocation list. An error is the exit status of what failed first.
async fn online(profile: &Profile, checks: &mut Vec<Check>) -> Result<(), Exit> {
    let failed = |checks: &mut Vec<Check>, name, error: CommandError, fix: &str| {
        checks.push(Check::failed(name, error.to_string(), fix));
        Err(error.exit())
    };
    let client = match Client::open(profile) {
        Ok(client) => client,
        Err(error) => {
            return failed(checks, "connection", error, "certificate, key and trust bundle must fit together");
        }
    };
    let answer = match client.send(&Call::get("/v1/whoami")).await {
        Ok(answer) => answer,
        Err(error) => {
            let fix = match error.exit() {
                Exit::Unauthenticated => {
                    "ask your participant's authority; the operator must know it and its newest revocation list"
                }
                _ => "check the address, the network, and that the gateway is running",
            };
            return failed(checks, "connection", error, fix);
        }
    };
    checks.push(Check::ok("connection", "TLS 1.3, both sides verified"));
    checks.push(clock(answer.header("date"), Timestamp::now()));
    if !answer.status.is_success() {
        let error = answer.into_error().await;
        return failed(
            checks,
            "identity",
            error,
            "ask the operator whether your participant is admitted and not suspended",
        );
    }
    let whoami = answer.bytes(crate::client::JSON_BYTES_MAX).await.map_err(|_| Exit::Unavailable)?;
    let whoami: Value = serde_json::from_slice(&whoami).unwrap_or_default();
    let text = |member: &str| crate::output::plain(whoami.get(member).unwrap_or(&Value::Null));
    checks.push(Check::ok("identity", format!("{} of {}", text("principal"), text("participant"))));
    checks.push(revocation_list(&client, &text("participant")).await);
    let officer = whoami.get("authority") == Some(&Value::Bool(true)) && text("role") == "compliance";
    checks.push(due::reviews(&client, officer).await);
    checks.push(due::mechanisms(&client).await);
    if checks.iter().any(|check| check.state == "failed") { Err(Exit::Unauthenticated) } else { Ok(()) }
}

/// The gateway's `Date` against ours: RFC 9110 §5.6.7, one second coarse.
fn clock(date: Option<&str>, now: Timestamp) -> Check {
    const NAME: &str = "clock";
    let theirs = date.and_then(|date| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
    let Some(theirs) = theirs else {
        return Check::skipped(NAME, "the gateway does not tell its time");
    };
    let skew = now.duration_since(theirs);
    let found = format!("{} s apart", skew.as_secs().abs());
    if skew.abs() > SKEW_MAX {
        return Check::failed(NAME, found, "set this machine's clock (NTP)");
    }
    Check::ok(NAME, found)
}

/// The list in force for our participant, where the gateway shows it.
async fn revocation_list(client: &Client, participant: &str) -> Check {
    const NAME: &str = "revocation list";
    let hidden = || Check::skipped(NAME, "not shown to you by this gateway");
    let Ok(answer) = client.send(&Call::get(path(["v1", "participants", participant, "crl"]))).await else {
        return hidden();
    };
    if !answer.status.is_success() {
        return hidden();
    }
    let Ok(bytes) = answer.bytes(CRL_BYTES_MAX).await else {
        return hidden();
    };
    let now = Timestamp::now();
    match next_update(&bytes) {
        None => hidden(),
        Some(end) if end <= now => {
            Check::failed(NAME, format!("stale since {end}"), "your authority signs a fresh one: kouan cert crl DIR")
        }
        Some(end) if end.duration_since(now) < CRL_STALE_SOON => {
            Check::warning(NAME, format!("until {end}"), "your authority signs a fresh one: kouan cert crl DIR")
        }
        Some(end) => Check::ok(NAME, format!("until {end}")),
    }
}

/// The first end of validity among the lists of a PEM text.
fn next_update(pem: &[u8]) -> Option<Timestamp> {
    use rustls_pki_types::CertificateRevocationListDer;
    use rustls_pki_types::pem::PemObject as _;
    let lists = CertificateRevocationListDer::pem_slice_iter(pem);
    lists.filter_map(|list| Some(certs::crl::CrlFacts::read(&list.ok()?).ok()?.next_update)).min()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_that_others_can_read_fails() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.key");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(key(&path).state, "failed");
        assert!(key(&path).fix.unwrap().starts_with("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(key(&path).state, "ok");
        assert_eq!(key(&dir.path().join("none")).state, "failed");
    }

    #[test]
    fn clocks() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        assert_eq!(clock(Some("Sun, 22 Nov 2026 10:00:30 GMT"), now).state, "ok");
        assert_eq!(clock(Some("Sun, 22 Nov 2026 10:05:00 GMT"), now).state, "failed");
        assert_eq!(clock(Some("yesterday"), now).state, "skipped");
        assert_eq!(clock(None, now).state, "skipped");
    }
}
