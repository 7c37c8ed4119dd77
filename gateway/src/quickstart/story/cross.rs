//! What a researcher of HKU sees: a search, a pull, a refusal with its reason and remedy, and the redacted form.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use gateway_api::exchange::{Plan, PlanRequest};
use gateway_cli::Lang;
use gateway_cli::client::{Call, path};
use gateway_cli::output::{self, decision};
use gateway_cli::pull::PullReport;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::{Value, json};

use super::{Outcome, Refused, Story};
use crate::quickstart::QuickstartError;
use crate::quickstart::act::{ALICE, ActError, command_line};
use crate::quickstart::corpora::{PEOPLE, PHRASES, PURPOSE, VERSION};
use crate::quickstart::people::SENSITIVE;

/// Alice finds a corpus; words in one script find titles in the other.
pub async fn search(story: &mut Story<'_, '_>) -> Result<(), QuickstartError> {
    story.tell.step(Some(ALICE), "looks for a corpus (either Chinese script finds it: 詞語, 词语), and plans a pull");
    story.show(ALICE, "search", &["dataset", "search", "詞語"]).await?;
    story.show(ALICE, "plan", &["plan", PHRASES.id, "--purpose", PURPOSE]).await?;
    Ok(())
}

/// The real corpus crosses the border.
pub async fn real_corpus(story: &mut Story<'_, '_>, outcome: &mut Outcome) -> Result<(), QuickstartError> {
    story.tell.step(Some(ALICE), "takes the offer and pulls it across the border, from Shenzhen to Hong Kong");
    story
        .tell
        .say("Recorded durably before the first byte leaves; every chunk is verified against the catalog's digests.");
    let report = pull(story, PHRASES.id, &[]).await?;
    outcome.leaf = match report.files.iter().find_map(|file| file.leaf) {
        Some(leaf) => leaf,
        // It is all there from an earlier run: the decision of that run counts.
        None => super::prove::last_decision(story, PHRASES.id, "allow").await?,
    };
    story.tell.say(&format!("allowed, and recorded as entry {} of the log", outcome.leaf));
    outcome.pulled.push(report);
    Ok(())
}

/// All of the people are asked for, and refused.
pub async fn refusal(story: &mut Story<'_, '_>, outcome: &mut Outcome) -> Result<(), QuickstartError> {
    story.tell.step(Some(ALICE), "asks for the synthetic people, with identity numbers and phones: refused");
    let plan = plan(story, false).await?;
    if decision::effect(&plan.decision) == "allow" {
        story.tell.say("Allowed meanwhile: someone has put a mechanism on file. Nothing is pulled here.");
        return Ok(());
    }
    story.act(ALICE, &["agreement", "accept", PEOPLE.id, "--purpose", PURPOSE]).await?;
    story.tell.say("A contract with the provider is not enough: the law decides on each export.");
    let target = path(["v1", "datasets", PEOPLE.id, "versions", VERSION, "files", PEOPLE.file]);
    story.tell.command(format!("curl --cert … --key … --cacert … \"$KOUAN_GATEWAY{target}\""));
    let answer = story.stage.client(ALICE)?.send(&Call::get(target.clone())).await;
    let what = format!("GET {target}");
    let answer = answer.map_err(|error| ActError::request(ALICE, what.as_str(), error))?;
    if answer.status.is_success() {
        return Err(QuickstartError::NotRefused { dataset: PEOPLE.id });
    }
    let error = answer.into_error().await;
    let refused = error.refusal().and_then(|refusal| {
        let (explain, leaf) = (refusal.explain.clone()?, refusal.leaf?);
        Some(Refused { code: refusal.code.clone(), explain, leaf })
    });
    // Any other answer than a decision is a failure of the story.
    let Some(refused) = refused else { return Err(ActError::request(ALICE, what, error).into()) };
    let mut lines = vec![format!("HTTP 403, code `{}`, entry {} of the log", refused.code, refused.leaf)];
    lines.extend(
        decision::explanation(&refused.explain, story.stage.lang()).iter().map(|line| line.trim_start().to_owned()),
    );
    lines.extend(in_other_languages(&refused.explain, story.stage.lang()));
    story.tell.answer(&lines);
    story.tell.fact("refusal", json!({ "code": refused.code, "explain": refused.explain, "leaf": refused.leaf }));
    outcome.refusal = Some(refused);
    Ok(())
}

/// The first reason in the languages that were not asked for: every rule speaks three.
fn in_other_languages(explain: &Value, asked: Lang) -> Vec<String> {
    let message = explain.pointer("/reasons/0/message");
    [Lang::English, Lang::Traditional, Lang::Simplified]
        .into_iter()
        .filter(|lang| *lang != asked)
        .filter_map(|lang| Some(format!("({}) {}", lang.tag(), output::clean(message?.get(lang.tag())?.as_str()?))))
        .collect()
}

/// The same dataset without its sensitive columns.
pub async fn redacted(story: &mut Story<'_, '_>, outcome: &mut Outcome) -> Result<(), QuickstartError> {
    story.tell.step(Some(ALICE), "pulls the redacted version: the sensitive columns are physically absent");
    let plan = plan(story, true).await?;
    let lines = decision::explanation(&plan.decision, story.stage.lang());
    story.tell.answer(&lines.iter().map(|line| line.trim_start().to_owned()).collect::<Vec<_>>());
    let report = pull(story, PEOPLE.id, &["--redact"]).await?;
    let missing = || QuickstartError::Unreadable { path: story.layout.downloads(), problem: "no file came".to_owned() };
    let file = report.files.first().ok_or_else(missing)?;
    let (columns, rows) = schema(&file.path)?;
    if let Some(leaked) = columns.iter().find(|column| SENSITIVE.contains(&column.as_str())) {
        return Err(QuickstartError::Leaked { path: file.path.clone(), column: leaked.clone() });
    }
    story.tell.say(&format!("its schema, {} rows: {}", output::count(rows), columns.join(", ")));
    story.tell.say(&format!("not in the file, neither as bytes nor in statistics: {}", SENSITIVE.join(", ")));
    story.tell.fact("columns", json!(columns));
    outcome.pulled.push(report);
    Ok(())
}

/// Columns and rows of a Parquet file.
fn schema(path: &Path) -> Result<(Vec<String>, u64), QuickstartError> {
    let unreadable = |problem: String| QuickstartError::Unreadable { path: path.to_owned(), problem };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let reader = SerializedFileReader::new(file).map_err(|error| unreadable(error.to_string()))?;
    let metadata = reader.metadata().file_metadata();
    let columns = metadata.schema_descr().columns().iter().map(|column| column.path().string()).collect();
    Ok((columns, u64::try_from(metadata.num_rows()).unwrap_or(0)))
}

async fn plan(story: &Story<'_, '_>, redact: bool) -> Result<Plan, ActError> {
    let failed = |error| ActError::request(ALICE, "a plan", error);
    let request = json!({ "dataset": PEOPLE.id, "redact": redact, "purpose": PURPOSE });
    let request: PlanRequest =
        serde_json::from_value(request).map_err(|error| failed(gateway_cli::CommandError::Input(error.to_string())))?;
    story.stage.ask(ALICE, &Call::post_json("/v1/plan", &request).map_err(failed)?).await
}

/// `kouan pull`, told.
async fn pull(story: &mut Story<'_, '_>, id: &str, more: &[&str]) -> Result<PullReport, QuickstartError> {
    let out = story.layout.downloads().join(id).to_string_lossy().into_owned();
    let mut words = vec!["pull", id, "--purpose", PURPOSE, "--accept", "--out", &out];
    words.extend(more);
    story.tell.command(command_line(&words));
    let begun = Instant::now();
    let (report, notes) = story.stage.pull(ALICE, &words).await?;
    let took = begun.elapsed();
    story.tell.answer(&notes);
    let mut lines = Vec::new();
    for file in &report.files {
        lines.push(told(file, took));
        lines.push(format!("sha256 {}, verified by {}", file.sha256, file.verified.join(" and ")));
    }
    story.tell.answer(&lines);
    story.tell.fact("pull", serde_json::to_value(&report).unwrap_or(Value::Null));
    Ok(report)
}

fn told(file: &gateway_cli::pull::FileReport, took: Duration) -> String {
    let (path, bytes) = (file.path.display(), output::bytes(file.bytes));
    if file.fetched_bytes == 0 {
        return format!("{path}  {bytes}, there already and still what the catalog says");
    }
    format!("{path}  {bytes} in {:.2} s with plan, verification and fsync", took.as_secs_f64())
}
