//! `kouan policy replay`: recorded requests, decided again from the log's own facts.
//!
//! Without new rules each decision is made again under the set that made it, and must come out as recorded. With new rules
//! each is made as if their owner had had them then, and what would flip is told, by participant and value.

mod source;

use std::collections::BTreeMap;

use catalog::Digest;
use jiff::{SignedDuration, Timestamp};
use policy::{Applied, Effect, Facts, Library, LocalRules, LocalSources, Reach, Recorded, RuleSet};
use serde_json::{Map, Value, json};

use super::{local, rules};
use crate::args::policy::ReplayArgs;
use crate::commands::rest;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::table::Table;
use crate::output::{bytes, count, money, plain};
use crate::session::{Lines, Session};
use source::{Decision, Source};

/// Flips and differences that are told in words; all of them are in the JSON.
const SHOWN_MAX: usize = 20;

/// What came of it.
#[derive(Default)]
struct Report {
    decisions: u64,
    /// Decisions in which the new rules have a say.
    concerned: u64,
    reproduced: u64,
    flips: Vec<Value>,
    differs: Vec<Value>,
    unreadable: Vec<Value>,
    by_participant: BTreeMap<String, Sum>,
}

/// One consumer's flips.
#[derive(Default)]
struct Sum {
    flips: u64,
    /// Those that were allowed.
    refused: u64,
    bytes: u64,
    /// Minor units by currency, of entitlements that were allowed.
    money: BTreeMap<String, u128>,
}

pub(super) async fn run(session: &mut Session<'_>, args: &ReplayArgs) -> Result<Exit, CommandError> {
    let since = args.since.as_deref().map(|text| moment(text, Timestamp::now())).transpose()?;
    let client = match &args.log {
        Some(_) => None,
        None => Some(rest::client(session, &args.connect)?),
    };
    let mut source = Source::open(args.log.as_deref(), client.as_ref())?;
    let new = new_rules(&source, args).await?;
    let decisions = source.decisions(since).await?;
    session.note(&format!("{} decisions on record", count(decisions.len() as u64)));
    let mut library = Library::default();
    let mut report = Report::default();
    for decision in decisions {
        report.decisions += 1;
        if let Err(problem) = replayed(&mut source, &mut library, new.as_ref(), &decision, &mut report).await? {
            report.unreadable.push(json!({ "index": decision.index, "problem": problem }));
        }
    }
    value(&mut source, since, &mut report).await?;
    let whole = report.differs.is_empty() && report.unreadable.is_empty();
    let answer = answer(&report, new.as_ref(), whole);
    session.answer(&answer, || told(&report, new.as_ref()))?;
    Ok(if whole { Exit::Success } else { Exit::Integrity })
}

/// `30d`, `12h`, or a time.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, CommandError> {
    let wrong =
        || CommandError::Usage(format!("`--since {text}` is no time: write 30d, 12h, or 2026-11-22T10:00:00+08:00"));
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        "w" => 7 * 24,
        _ => return Err(wrong()),
    };
    let number: i64 = number.parse().ok().filter(|number| (0..=100_000).contains(number)).ok_or_else(wrong)?;
    now.checked_sub(SignedDuration::from_hours(number * hours)).map_err(|_| wrong())
}

/// The rules to replay with, if any: files, or a set of the gateway.
async fn new_rules(source: &Source<'_>, args: &ReplayArgs) -> Result<Option<Applied>, CommandError> {
    let law = rules()?;
    match args.new.as_slice() {
        [] => Ok(None),
        [id] if id.contains('@') => {
            let set = source.ruleset(id).await?;
            let sources = LocalSources {
                owner: plain(set.get("owner").unwrap_or(&Value::Null)),
                rules: serde_json::from_value(set.get("texts").cloned().unwrap_or_default())
                    .map_err(|error| CommandError::Unavailable(format!("the set `{id}` of the gateway: {error}")))?,
            };
            let all = set.get("reach").and_then(Value::as_str) == Some(Reach::All.as_str());
            let rules = LocalRules::parse(&law, sources).map_err(|error| CommandError::Rules(error.problems))?;
            Ok(Some(Applied { reach: if all { Reach::All } else { Reach::Own }, rules: rules.into() }))
        }
        files => {
            let files: Vec<_> = files.iter().map(std::path::PathBuf::from).collect();
            local::parsed(&law, &files, &args.rules).map(Some)
        }
    }
}

/// Decides one record again. `Err` inside says why it could not be.
async fn replayed(
    source: &mut Source<'_>,
    library: &mut Library,
    new: Option<&Applied>,
    decision: &Decision,
    report: &mut Report,
) -> Result<Result<(), String>, CommandError> {
    let facts = match source.text(&decision.facts).await? {
        Ok(text) => text,
        Err(problem) => return Ok(Err(format!("its facts: {problem}"))),
    };
    let then = match rule_set(source, library, &decision.policy).await? {
        Ok(set) => set,
        Err(problem) => return Ok(Err(format!("its rule set: {problem}"))),
    };
    let facts = match Facts::parse(&facts) {
        Ok(facts) => facts,
        Err(error) => return Ok(Err(format!("its facts: {error}"))),
    };
    let again = policy::evaluate(&then, &facts);
    if decision.recorded.agrees(&again) {
        report.reproduced += 1;
    } else {
        let mut differs = described(decision);
        differs.insert("replayed".to_owned(), outcome(&again));
        report.differs.push(differs.into());
    }
    let Some(set) = new.and_then(|new| policy::instead(&then, &facts, new)) else { return Ok(Ok(())) };
    report.concerned += 1;
    let under = policy::evaluate(&set, &facts);
    if under.effect != decision.recorded.effect {
        let sum = report.by_participant.entry(decision.participant.clone()).or_default();
        sum.flips += 1;
        sum.refused += u64::from(decision.recorded.effect == Effect::Allow);
        let mut flip = described(decision);
        flip.insert("from".to_owned(), json!(decision.recorded.effect));
        flip.insert("to".to_owned(), json!(under.effect));
        flip.insert("new_rules".to_owned(), json!(under.rules));
        report.flips.push(flip.into());
    }
    Ok(Ok(()))
}

/// The set with this digest, of texts that the source has.
async fn rule_set(
    source: &mut Source<'_>,
    library: &mut Library,
    digest: &str,
) -> Result<Result<RuleSet, String>, CommandError> {
    loop {
        let missing = library.missing(digest);
        if missing.is_empty() {
            return Ok(library.set(digest).map_err(|error| error.to_string()));
        }
        for part in missing {
            match source.text(&part).await? {
                Ok(text) => {
                    if let Err(error) = library.add(&text) {
                        return Ok(Err(error.to_string()));
                    }
                }
                Err(problem) => return Ok(Err(problem)),
            }
        }
    }
}

fn described(decision: &Decision) -> Map<String, Value> {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("index", json!(decision.index));
    put("at", json!(decision.at));
    put("participant", json!(decision.participant));
    put("provider", json!(decision.provider));
    put("dataset", json!(decision.dataset));
    put("version", json!(decision.version));
    put("effect", json!(decision.recorded.effect));
    put("rules", decision.rules.clone());
    put("lease", json!(decision.lease));
    put("agreement", json!(decision.agreement));
    members
}

fn outcome(outcome: &policy::Outcome) -> Value {
    json!({ "effect": outcome.effect, "needed": outcome.needed, "rules": outcome.rules })
}

/// What flipped leases delivered, and what was billed for their entitlements since then.
async fn value(source: &mut Source<'_>, since: Option<Timestamp>, report: &mut Report) -> Result<(), CommandError> {
    let mut entitlements: BTreeMap<String, Vec<[String; 3]>> = BTreeMap::new();
    for flip in &mut report.flips {
        let text = |member: &str| flip.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (participant, lease) = (text("participant"), text("lease"));
        if lease.is_empty() {
            continue;
        }
        let key = [text("agreement"), text("dataset"), text("version")];
        let delivered = source.delivered(&lease).await?;
        if let Some(members) = flip.as_object_mut() {
            members.insert("bytes".to_owned(), json!(delivered));
        }
        if let Some(sum) = report.by_participant.get_mut(&participant) {
            sum.bytes = sum.bytes.saturating_add(delivered.unwrap_or(0));
        }
        let keys = entitlements.entry(participant).or_default();
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    for (participant, keys) in entitlements {
        let billed = source.billed(&participant, &keys, since).await?;
        if let Some(sum) = report.by_participant.get_mut(&participant) {
            sum.money = billed;
        }
    }
    Ok(())
}

fn answer(report: &Report, new: Option<&Applied>, whole: bool) -> Value {
    let participants: Vec<Value> = report
        .by_participant
        .iter()
        .map(|(participant, sum)| {
            let money: Vec<Value> = sum
                .money
                .iter()
                .map(|(currency, amount)| json!({ "amount": amount.to_string(), "currency": currency }))
                .collect();
            json!({
                "participant": participant, "flips": sum.flips, "refused": sum.refused, "bytes": sum.bytes,
                "money": money,
            })
        })
        .collect();
    let mut value = json!({
        "ok": whole, "decisions": report.decisions, "reproduced": report.reproduced, "differs": report.differs,
        "unreadable": report.unreadable,
    });
    if let (Some(new), Some(members)) = (new, value.as_object_mut()) {
        members.insert("owner".to_owned(), json!(new.rules.owner()));
        members.insert("digest".to_owned(), json!(new.rules.digest()));
        members.insert("concerned".to_owned(), json!(report.concerned));
        members.insert("flips".to_owned(), json!(report.flips));
        members.insert("by_participant".to_owned(), participants.into());
    }
    value
}

fn told(report: &Report, new: Option<&Applied>) -> Lines {
    let mut lines = vec![format!(
        "{} of {} decisions come out as recorded, under the rules that made them",
        count(report.reproduced),
        count(report.decisions)
    )];
    let cell = |value: &Value, member: &str| plain(value.get(member).unwrap_or(&Value::Null));
    for differs in report.differs.iter().take(SHOWN_MAX) {
        let again = differs.get("replayed").unwrap_or(&Value::Null);
        let (index, was) = (cell(differs, "index"), cell(differs, "effect"));
        lines.push(format!(
            "DIFFERS  entry {index}: {was} {} is {} {}",
            cell(differs, "rules"),
            cell(again, "effect"),
            cell(again, "rules")
        ));
    }
    for unreadable in report.unreadable.iter().take(SHOWN_MAX) {
        lines.push(format!("UNREAD   entry {}: {}", cell(unreadable, "index"), cell(unreadable, "problem")));
    }
    let Some(new) = new else { return lines };
    lines.push(format!(
        "with the new rules of {}: {} decisions concerned, {} flip",
        new.rules.owner(),
        count(report.concerned),
        count(report.flips.len() as u64)
    ));
    if report.flips.is_empty() {
        return lines;
    }
    let mut table = Table::new(&["ENTRY", "PARTICIPANT", "DATASET", "WAS", "WOULD BE", "BY", "BYTES"]);
    for flip in report.flips.iter().take(SHOWN_MAX) {
        let delivered = flip.get("bytes").and_then(Value::as_u64).map(bytes).unwrap_or_default();
        let cells = ["index", "participant", "dataset", "from", "to", "new_rules"].map(|member| cell(flip, member));
        table.row(cells.into_iter().chain([delivered]));
    }
    lines.extend(table.lines());
    if report.flips.len() > SHOWN_MAX {
        lines.push(format!("… {} more: --json has them all", report.flips.len() - SHOWN_MAX));
    }
    for (participant, sum) in &report.by_participant {
        let billed: Vec<String> =
            sum.money.iter().map(|(currency, amount)| money(&amount.to_string(), currency)).collect();
        let billed = if billed.is_empty() { String::new() } else { format!(", billed {}", billed.join(" and ")) };
        lines.push(format!(
            "{participant}: {} flips, {} of what was allowed, {} delivered{billed}",
            count(sum.flips),
            count(sum.refused),
            bytes(sum.bytes)
        ));
    }
    lines
}

/// Whether `text` is what `digest` names.
fn is_of(digest: &str, text: &[u8]) -> bool {
    Digest::parse(digest).is_ok_and(|named| named == Digest::of(text))
}

/// A decision's record as the replay needs it.
fn recorded(leaf: &Value) -> Option<Recorded> {
    serde_json::from_value(json!({
        "effect": leaf.get("effect")?, "needed": leaf.get("needed")?, "rules": leaf.get("rules")?,
    }))
    .ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_time_is_written_as_people_write_it() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let of = |text: &str| moment(text, now).ok().map(|time| time.to_string());
        assert_eq!(of("30d").as_deref(), Some("2026-10-23T10:00:00Z"));
        assert_eq!(of("12h").as_deref(), Some("2026-11-21T22:00:00Z"));
        assert_eq!(of("1w").as_deref(), Some("2026-11-15T10:00:00Z"));
        assert_eq!(of("2026-11-22T10:00:00+08:00").as_deref(), Some("2026-11-22T02:00:00Z"));
        for wrong in ["", "d", "30", "30 days", "-1d", "1000000d", "兩日"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_record_needs_effect_needed_and_rules() {
        let leaf = json!({"effect": "deny", "needed": "sa", "rules": ["CN-04"]});
        assert!(recorded(&leaf).is_some());
        let many = json!({"effect": "deny", "needed": "sa", "rules": {"count": 70, "digest": "sha256:00"}});
        assert!(recorded(&many).is_some());
        assert!(recorded(&json!({"effect": "perhaps", "needed": "sa", "rules": []})).is_none());
        assert!(recorded(&json!({"effect": "deny", "rules": []})).is_none());
        assert!(is_of("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", b""));
        assert!(!is_of("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", b"x"));
    }
}
