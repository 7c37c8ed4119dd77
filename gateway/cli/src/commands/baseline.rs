//! `kouan participant baseline` and `counters`: a year's numbers, signed by the participant itself, and what was counted.

use catalog::ParticipantId;
use catalog::participant::BaselineDocument;
use gateway_api::participant::SignedBaseline;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::rest::{self, get, items};
use crate::args::connect::ConnectArgs;
use crate::args::participant::BaselineArgs;
use crate::client::{Call, Client, path, with_query};
use crate::error::CommandError;
use crate::files;
use crate::output::table::{Table, fields};
use crate::profile::Profile;
use crate::session::{Lines, Session};

/// Largest certificate or key file, in bytes.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// Signs and sends.
pub async fn declare(session: &mut Session<'_>, args: &BaselineArgs) -> Result<(), CommandError> {
    let profile = Profile::resolve(&args.connect, session.io.env.as_ref())?;
    let client = Client::open(&profile)?;
    // What is signed names the id, whatever was typed.
    let found = get(&client, &["v1", "participants", &args.id]).await?;
    let id = found.get("id").and_then(Value::as_str).unwrap_or(&args.id);
    let participant = ParticipantId::parse(id).map_err(|error| CommandError::Input(error.to_string()))?;
    let as_of = args.as_of.map_or_else(today, Ok)?;
    let document =
        BaselineDocument { participant, year: args.year, persons: args.persons, sensitive: args.sensitive, as_of };
    let cert = args.signer_cert.as_ref().unwrap_or(&profile.cert);
    let key = args.signer_key.as_ref().unwrap_or(&profile.key);
    let (chain, secret) = (files::read_text(cert, PEM_BYTES_MAX)?, files::read_text(key, PEM_BYTES_MAX)?);
    let typ = BaselineDocument::SIGNATURE_TYPE;
    let signature = certs::jws::sign_detached(&chain, &secret, typ, &document.canonical()).map_err(|error| {
        CommandError::Input(format!("{error} (certificate `{}`, key `{}`)", cert.display(), key.display()))
    })?;
    let body = SignedBaseline { document, signature };
    let target = path(["v1", "participants", id, "baselines"]);
    let value = client.json(&Call::post_json(target, &body)?).await?;
    session.answer(&value, || {
        vec![format!(
            "baseline of {id} for {} is signed and handed in; it counts once an authority has confirmed it",
            args.year
        )]
    })
}

fn today() -> Result<jiff::civil::Date, CommandError> {
    let zone = TimeZone::get("Asia/Shanghai").map_err(|error| CommandError::Input(error.to_string()))?;
    Ok(Timestamp::now().to_zoned(zone).date())
}

/// Shows what was counted.
pub async fn counters(
    session: &mut Session<'_>,
    id: &str,
    year: Option<i16>,
    connect: &ConnectArgs,
) -> Result<(), CommandError> {
    let client = rest::client(session, connect)?;
    let target = path(["v1", "participants", id, "counters"]);
    let year = year.map(|year| year.to_string());
    let value = client.json(&Call::get(with_query(&target, [("year", year.as_deref())]))).await?;
    session.answer(&value, || lines(&value))
}

fn lines(value: &Value) -> Lines {
    let text = |pointer: &str| value.pointer(pointer).map_or_else(|| "-".to_owned(), crate::output::plain);
    let mut lines = fields([
        ("participant", text("/participant")),
        ("year", text("/year")),
        ("persons", text("/persons")),
        ("sensitive", text("/sensitive")),
        ("counted here", format!("{} persons, {} sensitive", text("/counted_persons"), text("/counted_sensitive"))),
        ("baseline", baseline(value.get("baseline"))),
    ]);
    let columns = [
        ("DATASET", "/dataset"),
        ("PERSONS", "/persons"),
        ("SENSITIVE", "/sensitive"),
        ("BY KEY", "/by_key"),
        ("BY NUMBER", "/by_number"),
        ("METHOD", "/method"),
    ];
    lines.extend(Table::of_values(items(value, "datasets"), &columns).lines());
    lines
}

fn baseline(value: Option<&Value>) -> String {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return "none: exports of personal data wait for a person (A3)".to_owned();
    };
    let text = |member: &str| value.get(member).map(crate::output::plain).unwrap_or_default();
    let is_signed = value.get("document").is_some();
    let standing = match (is_signed, value.get("confirmed").and_then(Value::as_bool)) {
        (true, Some(true)) => "signed and confirmed",
        (true, _) => "signed, not confirmed yet: it does not count",
        (false, _) => "declared, not signed: it does not count",
    };
    format!("{} persons, {} sensitive; {standing}", text("persons"), text("sensitive"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counters_say_how_they_were_counted_and_what_the_baseline_is_worth() {
        let value = json!({
            "participant": "qianhai", "year": 2026, "persons": 160, "sensitive": 100, "counted_persons": 160,
            "counted_sensitive": 100,
            "datasets": [{"dataset": "a", "method": "keys", "persons": 100, "sensitive": 100, "by_key": 100, "by_number": 0}],
        });
        let text = lines(&value).join("\n");
        for part in ["qianhai", "160", "keys", "A3"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for (members, want) in [
            (json!({"persons": 1, "sensitive": 0, "confirmed": false}), "not signed"),
            (json!({"persons": 1, "sensitive": 0, "confirmed": true}), "not signed"),
            (json!({"persons": 1, "sensitive": 0, "confirmed": false, "document": "sha256:00"}), "not confirmed"),
            (json!({"persons": 1, "sensitive": 0, "confirmed": true, "document": "sha256:00"}), "signed and confirmed"),
        ] {
            assert!(baseline(Some(&members)).contains(want), "{members}");
        }
    }
}
