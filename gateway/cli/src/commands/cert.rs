//! `kouan cert …`: certificates on files, by `certs`.

use std::path::{Path, PathBuf};

use certs::authority::ServerNames;
use certs::ca_dir::CaDirError;
use certs::command::{self, CreateCa, Issue, MakeP12, Target};
use certs::files::FileError;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::args::cert::{CertCommand, IssueArgs, P12Args};
use crate::error::CommandError;
use crate::output::plain;
use crate::output::table::fields;
use crate::session::Session;

/// The password of a browser's bundle.
pub const ENV_P12_PASSWORD: &str = "KOUAN_P12_PASSWORD";
/// Longest password file, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;

pub fn run(session: &mut Session<'_>, command: &CertCommand) -> Result<(), CommandError> {
    let now = Timestamp::now();
    match command {
        CertCommand::Ca(args) => {
            let request = CreateCa {
                dir: &args.dir,
                trust_domain: &args.trust_domain,
                algorithm: args.algorithm,
                length: days(args.days),
                crl_length: days(args.crl_days),
            };
            let next =
                format!("next: kouan cert issue {} spiffe://{}/researcher/NAME", args.dir.display(), args.trust_domain);
            answer(session, &command::create_ca(&request, now).map_err(failed)?, Some(next))
        }
        CertCommand::Issue(args) => issue(session, args, now),
        CertCommand::Revoke(args) => {
            let target = match (&args.certificate, &args.serial) {
                (Some(file), _) => Target::Certificate(file),
                (None, Some(serial)) => Target::Serial(serial.clone()),
                (None, None) => {
                    return Err(CommandError::Usage("name a certificate or its `--serial`".to_owned()));
                }
            };
            let signed =
                command::revoke(&args.dir, &target, args.reason.into(), days(args.crl_days), now).map_err(failed)?;
            answer(session, &signed, Some(give_crl(&args.dir)))
        }
        CertCommand::Crl(args) => {
            let signed = command::sign_crl(&args.dir, days(args.days), now).map_err(failed)?;
            answer(session, &signed, Some(give_crl(&args.dir)))
        }
        CertCommand::Show { file } => {
            let shown = serde_json::to_value(command::show(file, now).map_err(failed)?).unwrap_or_default();
            session.answer(&shown, || {
                let mut lines = Vec::new();
                for member in ["certificates", "crls"] {
                    for item in shown.get(member).and_then(Value::as_array).into_iter().flatten() {
                        if !lines.is_empty() {
                            lines.push(String::new());
                        }
                        lines.extend(members(item));
                    }
                }
                lines
            })
        }
        CertCommand::P12(args) => p12(session, args),
    }
}

fn issue(session: &mut Session<'_>, args: &IssueArgs, now: Timestamp) -> Result<(), CommandError> {
    let request = Issue {
        dir: &args.dir,
        out: args.out.as_deref().unwrap_or(&args.dir),
        stem: args.stem.as_deref(),
        algorithm: args.algorithm,
        length: days(args.days),
    };
    let issued = if let Some(id) = &args.id {
        command::issue(&request, id, now)
    } else {
        let names = ServerNames { dns: args.dns.clone(), ips: args.ip.clone() };
        command::issue_server(&request, &names, now)
    };
    let issued = issued.map_err(failed)?;
    let next = args.id.is_some().then(|| {
        format!("use it: export KOUAN_CERT={} KOUAN_KEY={}", issued.certificate.display(), issued.key.display())
    });
    answer(session, &issued, next)
}

fn p12(session: &mut Session<'_>, args: &P12Args) -> Result<(), CommandError> {
    let password = match &args.password_file {
        Some(file) => {
            let text = crate::files::read_text(file, PASSWORD_BYTES_MAX)?;
            text.lines().next().unwrap_or_default().to_owned()
        }
        None => session.io.env.var(ENV_P12_PASSWORD).and_then(|value| value.into_string().ok()).ok_or_else(|| {
            CommandError::Usage(format!(
                "the browser asks for a password: give `--password-file FILE`, or set `{ENV_P12_PASSWORD}`"
            ))
        })?,
    };
    let beside = |ending: &str| -> PathBuf { args.certificate.with_extension(ending) };
    let request = MakeP12 {
        certificate: &args.certificate,
        key: &args.key.clone().unwrap_or_else(|| beside("key")),
        ca: args.ca.as_deref(),
        out: &args.out.clone().unwrap_or_else(|| beside("p12")),
        alias: args.alias.as_deref(),
        password: &password,
    };
    answer(session, &command::make_p12(&request).map_err(failed)?, None)
}

fn days(days: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(days))
}

fn give_crl(dir: &Path) -> String {
    format!("give it to the gateways: kouan participant crl PARTICIPANT {}", dir.join("crl.pem").display())
}

fn answer(session: &mut Session<'_>, made: &impl Serialize, next: Option<String>) -> Result<(), CommandError> {
    let value = serde_json::to_value(made).unwrap_or_default();
    session.answer(&value, || {
        let mut lines = members(&value);
        lines.extend(next);
        lines
    })
}

fn members(value: &Value) -> Vec<String> {
    fields(value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), plain(value))))
}

/// Whose fault it was: a file that cannot be read is local I/O, all else is input.
fn failed(error: command::CommandError) -> CommandError {
    let text = error.to_string();
    let file = match error {
        command::CommandError::File(file) | command::CommandError::CaDir(CaDirError::File(file)) => Some(file),
        _ => None,
    };
    match file {
        Some(FileError::Io { path, source, .. }) => CommandError::LocalIo { path, what: "use", source },
        _ => CommandError::Input(text),
    }
}
