//! Rule sets of a gateway: listed, shown, proposed, put into force, taken back.

use gateway_api::ruleset::{ActivateRules, ProposeRules};
use serde_json::{Value, json};

use super::{local, rules, shown};
use crate::args::connect::ConnectArgs;
use crate::args::policy::{ActivateArgs, ProposeArgs};
use crate::client::{Call, path};
use crate::commands::rest::{self, act_because, get, items};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::lang::Lang;
use crate::output::plain;
use crate::output::table::{Table, fields};
use crate::profile::{ENV_GATEWAY, Profile};
use crate::session::{Lines, Session};

/// `kouan policy list`: the law in this binary, and the sets of the gateway if one is named.
pub(super) async fn list(session: &mut Session<'_>, connect: &ConnectArgs) -> Result<Exit, CommandError> {
    let law = rules()?;
    let all: Vec<Value> = law.rules().iter().map(shown).collect();
    let mut value = json!({ "policy": law.digest(), "rules": all });
    let sets = if named(session, connect)? {
        Some(get(&rest::client(session, connect)?, &["v1", "rulesets"]).await?)
    } else {
        None
    };
    if let (Some(sets), Some(members)) = (&sets, value.as_object_mut()) {
        members.insert("rulesets".to_owned(), sets.get("rulesets").cloned().unwrap_or_default());
    }
    let lang = session.lang;
    session.answer(&value, || sets.as_ref().map_or_else(|| law_listed(&all, lang), sets_listed))?;
    Ok(Exit::Success)
}

fn sets_listed(sets: &Value) -> Lines {
    let columns = [
        ("SET", "/id"),
        ("STATE", "/state"),
        ("RULES", "/rule_count"),
        ("OVER", "/reach"),
        ("FROM", "/from"),
        ("DIGEST", "/digest"),
        ("NOTE", "/note"),
    ];
    let mut lines = Table::of_values(items(sets, "rulesets"), &columns).lines();
    lines.push("one of them, with its texts: kouan policy show SET".to_owned());
    lines
}

fn law_listed(rules: &[Value], lang: Lang) -> Lines {
    let mut table = Table::new(&["RULE", "LEVEL", "LAW", "SAYS"]);
    for rule in rules {
        let text = |member: &str| plain(rule.get(member).unwrap_or(&Value::Null));
        let message = rule.get("message").map(|message| lang.text(message).to_owned()).unwrap_or_default();
        table.row([text("id"), text("level"), text("citation"), message]);
    }
    table.lines()
}

/// Whether flags, environment or profile name a gateway.
fn named(session: &Session<'_>, connect: &ConnectArgs) -> Result<bool, CommandError> {
    if connect.gateway.is_some() || session.io.env.var(ENV_GATEWAY).is_some() {
        return Ok(true);
    }
    match Profile::resolve(connect, session.io.env.as_ref()) {
        Ok(_) => Ok(true),
        // Nothing names one: the law is listed.
        Err(CommandError::Usage(_)) if connect.profile.is_none() => Ok(false),
        Err(error) => Err(error),
    }
}

/// `kouan policy show`.
pub(super) async fn show(session: &mut Session<'_>, id: &str, connect: &ConnectArgs) -> Result<Exit, CommandError> {
    let value = get(&rest::client(session, connect)?, &["v1", "rulesets", id]).await?;
    session.answer(&value, || {
        let mut lines = set(&value);
        let texts = value.get("texts").and_then(Value::as_object);
        for (file, text) in texts.into_iter().flatten() {
            lines.push(format!("— {}", crate::output::clean(file)));
            lines.extend(text.as_str().unwrap_or_default().lines().map(crate::output::clean));
        }
        lines
    })?;
    Ok(Exit::Success)
}

fn set(value: &Value) -> Lines {
    let members = [
        "id",
        "state",
        "reach",
        "rule_count",
        "digest",
        "note",
        "proposed",
        "activated",
        "from",
        "revoked",
        "reason",
        "problem",
    ];
    let shown = members.map(|member| (member, plain(value.get(member).unwrap_or(&Value::Null))));
    fields(shown.into_iter().filter(|(_, text)| !text.is_empty()))
}

/// `kouan policy propose`.
pub(super) async fn propose(session: &mut Session<'_>, args: &ProposeArgs) -> Result<Exit, CommandError> {
    let client = rest::client(session, &args.connect)?;
    let body = ProposeRules { rules: local::texts(&args.files)?, note: args.note.clone() };
    let value = client.json(&Call::post_json("/v1/rulesets", &body)?).await?;
    session.answer(&value, || {
        let mut lines = set(&value);
        let flips = value.pointer("/check/flips").and_then(Value::as_array).map_or(0, Vec::len);
        let id = plain(value.get("id").unwrap_or(&Value::Null));
        lines.push(format!("{flips} worked cases flip, none towards allow"));
        lines.push(format!("what it would have refused: kouan policy replay {id}"));
        lines.push(format!("two compliance officers of an authority put it into force: kouan policy activate {id}"));
        lines
    })?;
    Ok(Exit::Success)
}

/// `kouan policy activate`: exit 9 while a second officer is awaited.
pub(super) async fn activate(session: &mut Session<'_>, args: &ActivateArgs) -> Result<Exit, CommandError> {
    let client = rest::client(session, &args.connect)?;
    let body = ActivateRules { from: args.from.clone() };
    let target = path(["v1", "rulesets", args.id.as_str(), "activate"]);
    let value = client.json(&Call::post_json(target, &body)?).await?;
    let waits = awaits(&value);
    session.answer(&value, || {
        let number = |member: &str| plain(value.get(member).unwrap_or(&Value::Null));
        if waits {
            let refused = number("leases_refused");
            return vec![
                format!("signed; {refused} live leases would be refused and cut"),
                format!(
                    "another officer of an authority confirms it: kouan policy activate {}{}",
                    args.id,
                    given(args)
                ),
            ];
        }
        let mut lines = set(&value);
        lines.push(format!("{} live leases were cut", number("leases_cut")));
        lines
    })?;
    Ok(if waits { Exit::Review } else { Exit::Success })
}

fn given(args: &ActivateArgs) -> String {
    args.from.as_ref().map(|from| format!(" --from {from}")).unwrap_or_default()
}

fn awaits(value: &Value) -> bool {
    value.get("state").and_then(Value::as_str) == Some("awaiting_second_officer")
}

/// `kouan policy revoke`: exit 9 while a second officer is awaited.
pub(super) async fn revoke(
    session: &mut Session<'_>,
    id: &str,
    reason: &str,
    connect: &ConnectArgs,
) -> Result<Exit, CommandError> {
    let client = rest::client(session, connect)?;
    let value = act_because(&client, &["v1", "rulesets", id, "revoke"], reason).await?;
    let waits = awaits(&value);
    session.answer(&value, || {
        vec![if waits {
            format!("signed; another officer of an authority confirms it: kouan policy revoke {id} --reason …")
        } else {
            format!("rule set {id} is revoked")
        }]
    })?;
    Ok(if waits { Exit::Review } else { Exit::Success })
}
