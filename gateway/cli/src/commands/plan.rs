//! `kouan plan`: a dry run.

use gateway_api::Code;
use gateway_api::exchange::Plan;

use super::rest;
use crate::args::exchange::PlanArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::table::fields;
use crate::output::{bytes, count, decision, money};
use crate::pull::admission::{self, Question, shell_word};
use crate::session::{Lines, Session};

/// Prints the plan whatever the decision is; the exit status is the decision's, and with `--json` a refusal stands in the
/// member `error` beside it.
pub async fn run(session: &mut Session<'_>, args: &PlanArgs) -> Result<Exit, CommandError> {
    if args.filter.is_some() {
        return Err(super::not_yet("`--where` (a row filter)"));
    }
    let client = rest::client(session, &args.connect)?;
    let mut question =
        Question { target: &args.target, columns: &args.columns, redact: args.redact, purpose: args.purpose.clone() };
    let plan = admission::plan(&client, &mut question).await?;
    let mut plan = plan;
    let mut more = vec!["--redact".to_owned()];
    if let Some(purpose) = question.purpose.as_ref().or(args.purpose.as_ref()) {
        more.extend(["--purpose".to_owned(), purpose.to_string()]);
    }
    let command = admission::pull_command(&args.target, &args.columns, &more);
    decision::put_command(&mut plan.decision, "drop-columns", &command);
    let exit = exit_of(&plan);
    let mut value = serde_json::to_value(&plan).unwrap_or_default();
    if exit != Exit::Success {
        let code = if exit == Exit::Review { Code::Review } else { Code::Denied };
        let detail = format!("{}@{} in this selection: {}", plan.dataset, plan.version, code.title().to_lowercase());
        let error = CommandError::Decision { code, detail, explain: plan.decision.clone(), leaf: None }.to_json();
        if let (Some(object), Some(error)) = (value.as_object_mut(), error.get("error")) {
            object.insert("error".to_owned(), error.clone());
        }
    }
    let lang = session.lang;
    session.answer(&value, || {
        let mut lines = shown(&plan, lang);
        lines.extend(asking(args, &plan));
        lines
    })?;
    Ok(exit)
}

fn exit_of(plan: &Plan) -> Exit {
    if plan.release.is_some() {
        return Exit::Success;
    }
    match decision::effect(&plan.decision) {
        "allow" => Exit::Success,
        "review" => Exit::Review,
        _ => Exit::Denied,
    }
}

/// How to ask for a release of what is left to a person.
fn asking(args: &PlanArgs, plan: &Plan) -> Option<String> {
    if exit_of(plan) != Exit::Review {
        return None;
    }
    let target = format!("{}@{}", plan.dataset, plan.version);
    if plan.agreement.is_none() {
        return Some(format!("an authority's officer may release it, once you have taken the offer of {target}"));
    }
    let mut words = vec!["kouan review request".to_owned(), target];
    if !args.columns.is_empty() {
        words.extend(["--columns".to_owned(), shell_word(&args.columns.join(","))]);
    }
    if args.redact {
        words.push("--redact".to_owned());
    }
    if let Some(purpose) = &args.purpose {
        words.extend(["--purpose".to_owned(), purpose.to_string()]);
    }
    Some(format!("an authority's officer may release it; ask for that: {}", words.join(" ")))
}

fn shown(plan: &Plan, lang: crate::lang::Lang) -> Lines {
    let effect = decision::effect(&plan.decision);
    let mut lines = fields([
        ("dataset", format!("{}@{}", plan.dataset, plan.version)),
        ("decision", format!("{effect}: {}", decision::verdict(effect, lang))),
        (
            "released",
            plan.release
                .as_ref()
                .map(|release| format!("{}, until {}", release.review, release.until))
                .unwrap_or_default(),
        ),
        ("columns", plan.columns.join(", ")),
        ("rows", plan.rows.map(count).unwrap_or_default()),
        ("bytes", bytes(plan.bytes)),
        ("price", money(&plan.price.amount, plan.price.currency.as_str())),
        ("agreement", plan.agreement.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string)),
    ]);
    lines.extend(decision::explanation(&plan.decision, lang));
    if effect == "allow" || plan.release.is_some() {
        let accept = if plan.agreement.is_none() { " --accept" } else { "" };
        lines.push(format!("next: kouan pull {}@{}{accept} (with the same flags)", plan.dataset, plan.version));
    }
    lines
}
