//! What remains: proofs that anybody can check offline, the bill, and the supervisor's view.

use std::path::Path;
use std::time::{Duration, Instant};

use gateway_api::audit::EntryList;
use gateway_api::statement::StatementSet;
use gateway_audit::proof::PROOF_BYTES_MAX;
use gateway_audit::witness::policy::POLICY_BYTES_MAX;
use gateway_audit::{LogProof, VerifierKey, WitnessPolicy};
use gateway_cli::client::{Call, with_query};
use gateway_cli::files;
use gateway_cli::pull::PullReport;
use serde_json::{Value, json};

use super::{Outcome, Story};
use crate::clock;
use crate::quickstart::QuickstartError;
use crate::quickstart::act::{ALICE, CHAN, command_line};

/// How long the meter may take to write what was delivered.
const METER_WAIT_MAX: Duration = Duration::from_secs(3);
const METER_POLL: Duration = Duration::from_millis(50);
/// Pages of the log that are searched for an earlier decision.
const PAGES_MAX: usize = 1_000;
const KEY_BYTES_MAX: u64 = 64 * 1024;
/// How long the log may take to publish the last decision.
const PUBLISH_WAIT_MAX: Duration = Duration::from_secs(3);
const PUBLISH_POLL: Duration = Duration::from_millis(100);

/// Proofs of the crossing and of the refusal, checked without the gateway.
pub async fn proofs(story: &mut Story<'_, '_>, outcome: &mut Outcome) -> Result<(), QuickstartError> {
    story.tell.step(Some(ALICE), "keeps proofs of both decisions, and checks them without the gateway");
    story.tell.say("A proof leads from one entry to the log's signed root: whoever has the log's public key can check it, for ever.");
    let refused = outcome.refusal.as_ref().map(|refused| ("refusal", refused.leaf));
    for (name, leaf) in [Some(("crossing", outcome.leaf)), refused].into_iter().flatten() {
        let out = story.layout.downloads().join(format!("{name}.tlog-proof"));
        let (index, file) = (leaf.to_string(), out.to_string_lossy().into_owned());
        let (vkey, policy) = (story.layout.log_vkey(), story.layout.witness_policy());
        let key = vkey.to_string_lossy();
        // `--key` names two keys here: the log's, and the private one of the environment goes on.
        let mut words = vec!["audit", "proof", &index, "--key", &key, "--out", &file];
        // The gateway of a folder that is older than its witnesses has none.
        let policy_file = policy.to_string_lossy();
        let is_witnessed = story.layout.is_witnessed();
        if is_witnessed {
            words.extend(["--policy", &policy_file]);
        }
        story.act(ALICE, &words).await?;
        let (proven, witnessed) = check(&out, &vkey, is_witnessed.then_some(policy.as_path()))?;
        let member = |name: &str| proven.get(name).map(output_of).unwrap_or_default();
        story.tell.answer(&[format!(
            "entry {leaf} verified offline with {}: {} {} {} {}",
            vkey.display(),
            member("kind"),
            member("effect"),
            member("dataset"),
            member("rules"),
        )]);
        story.tell.answer(std::slice::from_ref(&witnessed));
        let proof = json!({
            "index": leaf, "file": file, "verdict": "verified", "witnessed": witnessed, "entry": proven,
        });
        outcome.proofs.push(proof);
    }
    if story.layout.is_witnessed() {
        story
            .tell
            .say("A witness on each side of the border has cosigned that root: neither side can rewrite it alone.");
    }
    story.tell.say("The entry names rules, columns and digests, and no natural person: those are salted commitments.");
    Ok(())
}

fn output_of(value: &Value) -> String {
    gateway_cli::output::plain(value)
}

/// Verifies a proof file with the log's key and the trust policy, from disk alone, and gives the entry and who has
/// witnessed it.
fn check(path: &Path, key: &Path, policy: Option<&Path>) -> Result<(Value, String), QuickstartError> {
    let wrong = |problem: String| QuickstartError::Proof { path: path.to_owned(), problem };
    let read = |path: &Path, max| files::read(path, max).map_err(|error| wrong(error.to_string()));
    let key = String::from_utf8_lossy(&read(key, KEY_BYTES_MAX)?).into_owned();
    let key: VerifierKey = key.trim().parse().map_err(|error| wrong(format!("the log's key: {error}")))?;
    let proof = LogProof::parse(&read(path, PROOF_BYTES_MAX as u64)?).map_err(|error| wrong(error.to_string()))?;
    let entry = proof.extra.clone().ok_or_else(|| wrong("it does not carry its entry".to_owned()))?;
    proof.verify(&entry, Some(&key)).map_err(|error| wrong(error.to_string()))?;
    let witnessed = match policy {
        None => "unwitnessed".to_owned(),
        Some(policy) => {
            let policy = WitnessPolicy::parse(&read(policy, POLICY_BYTES_MAX as u64)?);
            let policy = policy.map_err(|error| wrong(error.to_string()))?;
            policy.verify(&proof.checkpoint).map_err(|error| wrong(error.to_string()))?.to_string()
        }
    };
    Ok((serde_json::from_slice(&entry).map_err(|error| wrong(error.to_string()))?, witnessed))
}

/// The whole log, offline.
pub async fn log(story: &mut Story<'_, '_>, outcome: &mut Outcome) -> Result<(), QuickstartError> {
    story.tell.step(None, "Anybody with the files verifies the whole log, without a network");
    let (dir, vkey) = (story.layout.log(), story.layout.log_vkey());
    let (folder, key) = (dir.to_string_lossy(), vkey.to_string_lossy());
    let words = ["audit", "verify", &folder, "--key", &key];
    story.tell.command(command_line(&words));
    let newest = newest_leaf(outcome);
    let begun = Instant::now();
    let report = loop {
        let in_time = begun.elapsed() < PUBLISH_WAIT_MAX;
        let before = std::fs::read(dir.join("checkpoint")).ok();
        match story.stage.kouan(CHAN, &words).await {
            // The last decision is recorded, and covered by a signed checkpoint within a second.
            Ok(report) if in_time && report.get("size").and_then(Value::as_u64).is_some_and(|size| size <= newest) => {}
            Ok(report) => break report,
            // The gateway is running: files of a checkpoint that is older by now may have been replaced meanwhile.
            Err(_) if in_time && before != std::fs::read(dir.join("checkpoint")).ok() => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(PUBLISH_POLL).await;
    };
    let member = |name: &str| report.get(name).map(output_of).unwrap_or_default();
    story.tell.answer(&[format!("{} entries, root {}: {}", member("size"), member("root"), member("verdict"))]);
    outcome.log = report;
    Ok(())
}

/// The largest log index that the story has seen.
fn newest_leaf(outcome: &Outcome) -> u64 {
    let pulled = outcome.pulled.iter().flat_map(|report| &report.files).filter_map(|file| file.leaf);
    let refused = outcome.refusal.as_ref().map(|refused| refused.leaf);
    pulled.chain(refused).fold(outcome.leaf, u64::max)
}

/// What HKU owes for this month.
pub async fn statement(story: &mut Story<'_, '_>, outcome: &mut Outcome) -> Result<(), QuickstartError> {
    story.tell.step(Some(ALICE), "reads what was metered for HKU this month");
    story.tell.say("Billed is the union of delivered bytes: retries and a second pull of the same bytes cost nothing.");
    let period = clock::period(clock::now());
    let call =
        Call::get(with_query("/v1/statements", [("participant", Some("hku")), ("period", Some(period.as_str()))]));
    let begun = Instant::now();
    let set = loop {
        let set: StatementSet = story.stage.ask(ALICE, &call).await?;
        if is_complete(&set, outcome) {
            break set;
        }
        if begun.elapsed() > METER_WAIT_MAX {
            // In a folder of an earlier run, what was pulled may stand in an earlier month.
            if story.layout.is_new() && !outcome.pulled.iter().all(|report| amount(&set, report).is_some()) {
                return Err(QuickstartError::NotMetered { period });
            }
            story
                .tell
                .say("Less than the price of all of it: what the consumer's kernel did not acknowledge is not billed.");
            break set;
        }
        tokio::time::sleep(METER_POLL).await;
    };
    story.show(ALICE, "statement", &["statement", "--participant", "hku", "--period", &period]).await?;
    outcome.statement = serde_json::to_value(&set).unwrap_or(Value::Null);
    Ok(())
}

/// Whether everything that this run fetched is in the statement with its full price.
fn is_complete(set: &StatementSet, outcome: &Outcome) -> bool {
    // Resumed from an earlier run, part of it may stand in an earlier month.
    let fetched = |report: &&PullReport| report.files.iter().all(|file| file.fetched_bytes == file.bytes);
    outcome
        .pulled
        .iter()
        .filter(fetched)
        .all(|report| amount(set, report).is_some_and(|amount| amount >= number(&report.price.amount)))
}

/// What the statement says of a pulled version, in minor units; nothing if it does not name it.
fn amount(set: &StatementSet, report: &PullReport) -> Option<u64> {
    let lines = set.statements.iter().filter(|one| one.currency == report.price.currency).flat_map(|one| &one.lines);
    let own = lines.filter(|line| line.dataset == report.dataset && line.version == report.version);
    own.map(|line| number(&line.amount)).reduce(u64::saturating_add)
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// The officer sees what crossed, and under which rule.
pub async fn supervision(story: &mut Story<'_, '_>) -> Result<(), QuickstartError> {
    story
        .tell
        .step(Some(CHAN), "sees every decision on HKU, and could stop a stream within a second (kouan lease cut)");
    story.show(CHAN, "allowed", &["audit", "search", "--participant", "hku", "--effect", "allow"]).await?;
    story.show(CHAN, "denied", &["audit", "search", "--participant", "hku", "--effect", "deny"]).await?;
    Ok(())
}

/// The newest decision with `effect` on HKU's pulls of a dataset.
pub async fn last_decision(story: &Story<'_, '_>, dataset: &str, effect: &str) -> Result<u64, QuickstartError> {
    let (mut found, mut cursor) = (None, None::<String>);
    for _ in 0..PAGES_MAX {
        let query = [
            ("participant", Some("hku")),
            ("dataset", Some(dataset)),
            ("effect", Some(effect)),
            ("cursor", cursor.as_deref()),
        ];
        let page: EntryList = story.stage.ask(CHAN, &Call::get(with_query("/v1/audit", query))).await?;
        found = page.entries.last().map(|entry| entry.index).or(found);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    found.ok_or_else(|| QuickstartError::NoDecision { dataset: dataset.to_owned() })
}
