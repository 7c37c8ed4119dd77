//! Before anything can cross: who takes part, what is offered, who approved it.

use std::collections::BTreeMap;

use catalog::VersionState;
use catalog::participant::Baseline;
use gateway_cli::client::{Call, path};
use serde::Deserialize;
use serde_json::json;

use super::Story;
use crate::clock;
use crate::quickstart::QuickstartError;
use crate::quickstart::act::{CHAN, LIN, OPS};
use crate::quickstart::corpora::{Prepared, VERSION};
use crate::quickstart::layout::{BASELINE_PERSONS, BASELINE_SENSITIVE};

/// Those who are added over the API: id, trust domain, and name in English and in Traditional and Simplified Chinese.
const ADDED: [(&str, &str, [&str; 3]); 2] = [
    ("hku", "hku.hk", ["en=The University of Hong Kong", "zh-Hant=香港大學", "zh-Hans=香港大学"]),
    ("cuhk", "cuhk.edu.hk", ["en=The Chinese University of Hong Kong", "zh-Hant=香港中文大學", "zh-Hans=香港中文大学"]),
];

#[derive(Deserialize)]
struct Listed {
    participants: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    id: String,
    #[serde(default)]
    baselines: BTreeMap<i16, Baseline>,
}

/// The operator adds the two universities.
pub async fn participants(story: &mut Story<'_, '_>) -> Result<(), QuickstartError> {
    story.tell.step(Some(OPS), "adds the two universities of Hong Kong (香港大學、香港中文大學)");
    story.tell.say("Each brings its own certificate authority: from now on it alone can vouch for its people.");
    let listed: Listed = story.stage.ask(OPS, &Call::get("/v1/participants")).await?;
    for (id, domain, names) in ADDED {
        if listed.participants.iter().any(|member| member.id == id) {
            story.tell.say(&format!("{id} is here already"));
            continue;
        }
        let text = |name: &str| story.layout.of(id, name).to_string_lossy().into_owned();
        let (ca, crl) = (text("ca.pem"), text("crl.pem"));
        let mut words = vec!["participant", "add", "--id", id, "--trust-domain", domain];
        words.extend(["--place", "HK", "--role", "researcher", "--ciio", "no", "--ca-file", &ca, "--crl-file", &crl]);
        for name in names {
            words.extend(["--name", name]);
        }
        story.act(OPS, &words).await?;
    }
    Ok(())
}

/// The broker registers, uploads and submits.
pub async fn register(story: &mut Story<'_, '_>, corpora: &[Prepared]) -> Result<(), QuickstartError> {
    story.tell.step(Some(LIN), "registers two corpora in Qianhai (前海) and hands them in for approval");
    story.tell.say(
        "A manifest says what they are, whose, and on what terms; the gateway copies, hashes and inspects every byte.",
    );
    for corpus in corpora {
        let target = format!("{}@{VERSION}", corpus.id);
        let state = story.state(LIN, corpus.id).await?;
        if matches!(state, None | Some(VersionState::Draft)) {
            let (manifest, data) = (corpus.manifest.to_string_lossy(), corpus.data.to_string_lossy());
            let view = story.act(LIN, &["dataset", "register", &manifest, "--data", &data]).await?;
            let rows = view.pointer("/files/0/rows").and_then(serde_json::Value::as_u64).unwrap_or_default();
            let digest = view.pointer("/files/0/sha256").and_then(serde_json::Value::as_str).unwrap_or_default();
            story.tell.answer(&[format!("{} rows, sha256 {digest}", gateway_cli::output::count(rows))]);
            story.tell.fact(corpus.id, json!({ "rows": rows, "sha256": digest }));
        }
        match state {
            None | Some(VersionState::Draft | VersionState::Inspected) => {
                story.act(LIN, &["dataset", "submit", &target]).await?;
            }
            Some(VersionState::Submitted | VersionState::Approved | VersionState::Published) => {
                story.tell.say(&format!("{target} is {} already", state.map_or("there", VersionState::as_str)));
            }
            Some(stopped) => return Err(QuickstartError::Stopped { target, state: stopped.as_str() }),
        }
    }
    Ok(())
}

/// The broker signs what Qianhai has exported by other ways this year, and that nothing has left yet in the next.
async fn baselines(story: &mut Story<'_, '_>, year: i16) -> Result<Member, QuickstartError> {
    let look = Call::get(path(["v1", "participants", "qianhai"]));
    let member: Member = story.stage.ask(CHAN, &look).await?;
    for (year, persons, sensitive) in [(year, BASELINE_PERSONS, BASELINE_SENSITIVE), (year.saturating_add(1), 0, 0)] {
        if member.baselines.get(&year).is_some_and(|baseline| baseline.document.is_some()) {
            continue;
        }
        let [year, persons, sensitive] = [year.to_string(), persons.to_string(), sensitive.to_string()];
        let words = ["participant", "baseline", "qianhai", "--year", &year];
        let numbers = ["--persons", &persons, "--sensitive", &sensitive];
        story.stage.kouan(LIN, &[words.as_slice(), &numbers].concat()).await?;
    }
    Ok(story.stage.ask(CHAN, &look).await?)
}

/// The regulator approves, the broker publishes: whoever approves belongs to another participant than whoever submitted.
pub async fn approve(story: &mut Story<'_, '_>, corpora: &[Prepared]) -> Result<(), QuickstartError> {
    story.tell.step(Some(CHAN), "approves both for offering, and confirms what Qianhai says it has exported this year");
    story.tell.say("Four eyes: an approver belongs to another participant than the submitter. Nothing has left yet,");
    story.tell.say("and approval is no export: each pull is decided on its own.");
    for corpus in corpora {
        let target = format!("{}@{VERSION}", corpus.id);
        if story.state(CHAN, corpus.id).await? == Some(VersionState::Submitted) {
            story.act(CHAN, &["dataset", "approve", &target]).await?;
        } else {
            story.tell.say(&format!("{target} is approved already"));
        }
    }
    let year = clock::today(clock::now()).year();
    let member = baselines(story, year).await?;
    if member.baselines.get(&year).is_some_and(Baseline::counts) {
        story.tell.say(&format!("the baseline of {year} is confirmed already"));
    } else {
        let year = year.to_string();
        story.act(CHAN, &["participant", "confirm-baseline", "qianhai", "--year", &year]).await?;
    }
    story.tell.step(Some(LIN), "publishes them");
    story.tell.say("Offered for academic research to hku.hk and cuhk.edu.hk, at a price by volume.");
    for corpus in corpora {
        let target = format!("{}@{VERSION}", corpus.id);
        if story.state(LIN, corpus.id).await? == Some(VersionState::Approved) {
            story.act(LIN, &["dataset", "publish", &target]).await?;
        } else {
            story.tell.say(&format!("{target} is published already"));
        }
    }
    Ok(())
}
