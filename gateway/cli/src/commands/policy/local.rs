//! Rules in files: checked and explained, offline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::{Applied, LOCAL_BYTES_MAX, LocalProblem, LocalRules, LocalSources, Reach, RuleSet, VectorReport};
use serde_json::{Value, json};

use super::{level, rules};
use crate::args::policy::{CheckArgs, ExplainArgs, RuleFiles};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::files;
use crate::lang::Lang;
use crate::output::plain;
use crate::output::table::fields;
use crate::session::{Lines, Session};

/// Worked cases that are named in words; all of them are in the JSON.
const CASES_SHOWN: usize = 8;

/// The texts of `files` by file name, and whose rules they are.
pub(super) fn sources(files: &[PathBuf], owner: Option<&str>) -> Result<LocalSources, CommandError> {
    let texts = texts(files)?;
    let owner = match owner {
        Some(owner) => owner.to_owned(),
        None => texts.values().find_map(|text| owner_of(text)).unwrap_or_default(),
    };
    if owner.is_empty() {
        return Err(CommandError::Input(
            "no rule says whose it is: begin ids with the owner's id and a colon, as `@id(\"hku:no-voices\")`, or give \
             `--owner`"
                .to_owned(),
        ));
    }
    Ok(LocalSources { owner, rules: texts })
}

/// The texts of `files` by file name.
pub(super) fn texts(files: &[PathBuf]) -> Result<BTreeMap<String, String>, CommandError> {
    let mut texts = BTreeMap::new();
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let text = files::read_text(file, LOCAL_BYTES_MAX as u64)?.replace("\r\n", "\n");
        if texts.insert(name.clone(), text).is_some() {
            return Err(CommandError::Usage(format!("two files are called `{name}`: a set names its files")));
        }
    }
    Ok(texts)
}

/// What stands before the colon of the first rule id.
fn owner_of(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("@id(\"")?;
    let (id, _) = rest.split_once('"')?;
    id.split_once(':').map(|(owner, _)| owner.to_owned())
}

/// The rules of `files`, held to the schema of the law in this binary.
pub(super) fn parsed(law: &RuleSet, files: &[PathBuf], args: &RuleFiles) -> Result<Applied, CommandError> {
    let sources = sources(files, args.owner.as_deref())?;
    let reach = if args.authority { Reach::All } else { Reach::Own };
    match LocalRules::parse(law, sources) {
        Ok(rules) => Ok(Applied { reach, rules: Arc::new(rules) }),
        Err(error) => Err(CommandError::Rules(with_paths(error.problems, files))),
    }
}

/// The problems with the paths that were given, so that an editor finds the place.
fn with_paths(problems: Vec<LocalProblem>, files: &[PathBuf]) -> Vec<LocalProblem> {
    let named = |problem: &LocalProblem, path: &Path| path.file_name().is_some_and(|name| *name == *problem.file);
    let with = |problem: LocalProblem| match files.iter().find(|path| named(&problem, path)) {
        Some(path) => LocalProblem { file: path.display().to_string(), ..problem },
        None => problem,
    };
    problems.into_iter().map(with).collect()
}

/// `kouan policy check`.
pub(super) fn check(session: &mut Session<'_>, args: &CheckArgs) -> Result<Exit, CommandError> {
    let law = rules()?;
    if args.files.is_empty() {
        let value = json!({ "ok": true, "policy": law.digest(), "rules": law.rules().len() });
        session.answer(&value, || {
            vec![format!("{} rules are valid", law.rules().len()), format!("rule set {}", law.digest())]
        })?;
        return Ok(Exit::Success);
    }
    let local = parsed(&law, &args.files, &args.rules)?;
    let report = policy::check(&law, &local.rules, local.reach);
    let (deny, review) = local.rules.levels();
    let value = json!({
        "ok": report.passes(), "owner": local.rules.owner(), "reach": local.reach, "digest": local.rules.digest(),
        "policy": law.digest(), "rules": local.rules.rules().len(), "deny": deny, "review": review,
        "vectors": report.vectors, "cases": report.cases, "flips": report.flips, "widened": report.widened,
        "failed": report.failed, "touched": report.touched, "untried": report.untried().collect::<Vec<_>>(),
    });
    session.answer(&value, || reported(&local, &report))?;
    Ok(if report.passes() { Exit::Success } else { Exit::Usage })
}

fn reported(local: &Applied, report: &VectorReport) -> Lines {
    let (deny, review) = local.rules.levels();
    let over = match local.reach {
        Reach::Own => format!("exports to and from {}", local.rules.owner()),
        Reach::All => "every export".to_owned(),
    };
    let mut lines = vec![
        format!("{} rules of {} over {over}: {deny} deny, {review} review", deny + review, local.rules.owner()),
        format!("rule set {}", local.rules.digest()),
        format!("tried on {} worked cases in {} castings: {} flip", report.vectors, report.cases, report.flips.len()),
    ];
    let flips = report.flips.iter().chain(&report.widened);
    lines.extend(flips.take(CASES_SHOWN).map(|flip| {
        let rules: Vec<_> = flip.rules.iter().map(ToString::to_string).collect();
        format!("  {} → {}  {} ({}; {})", flip.from, flip.to, flip.vector, flip.owner_as, rules.join(", "))
    }));
    if report.flips.len() > CASES_SHOWN {
        lines.push(format!("  … {} more: --json has them all", report.flips.len() - CASES_SHOWN));
    }
    for failure in report.failed.iter().take(CASES_SHOWN) {
        let (rule, vector) = (&failure.rule, &failure.vector);
        lines.push(format!(
            "rule {rule} cannot be evaluated in `{vector}`: it would deny there; write it so that it can"
        ));
    }
    for flip in &report.widened {
        lines.push(format!("`{}` would come out milder, which no rule may do", flip.vector));
    }
    for rule in report.untried() {
        lines.push(format!("rule {rule} speaks in no worked case: nothing here shows what it does"));
    }
    if report.passes() {
        lines.push("propose it: kouan policy propose FILE…".to_owned());
    } else {
        lines.push("this set cannot be put into force".to_owned());
    }
    lines
}

/// `kouan policy explain`.
pub(super) fn explain(session: &mut Session<'_>, args: &ExplainArgs) -> Result<Exit, CommandError> {
    let law = rules()?;
    let is_file = |what: &&String| Path::new(what).extension().is_some_and(|ending| ending == "cedar");
    let files: Vec<PathBuf> = args.what.iter().filter(is_file).map(PathBuf::from).collect();
    let ids: Vec<&String> = args.what.iter().filter(|what| !is_file(what)).collect();
    let local = if files.is_empty() { None } else { Some(parsed(&law, &files, &args.rules)?) };
    let set = law.with_local(local.iter().cloned().collect());
    let mut cases = policy::worked_cases(&law);
    let mut known: Vec<&policy::Rule> = law.rules().iter().collect();
    if let Some(local) = &local {
        cases.extend(policy::check(&law, &local.rules, local.reach).touched);
        known.extend(local.rules.rules());
        // Files without ids: the whole set.
        if ids.is_empty() {
            known.drain(..law.rules().len());
        }
    }
    let mut found = Vec::new();
    for id in &ids {
        let before = found.len();
        found.extend(known.iter().copied().filter(|rule| rule.id.as_str() == id.as_str()));
        if found.len() == before {
            let of =
                if files.is_empty() { "see: kouan policy list" } else { "it is neither in the law nor in these files" };
            return Err(CommandError::NotFound(format!("no rule `{id}` in this set; {of}")));
        }
    }
    if ids.is_empty() {
        found = known;
    }
    let shown: Vec<Value> = found.iter().map(|rule| explained(rule, &cases)).collect();
    let mut value = json!({ "policy": set.digest(), "rules": shown });
    if let (Some(local), Some(members)) = (&local, value.as_object_mut()) {
        members.insert("owner".to_owned(), json!(local.rules.owner()));
        members.insert("reach".to_owned(), json!(local.reach));
        members.insert("digest".to_owned(), json!(local.rules.digest()));
    }
    let lang = session.lang;
    session.answer(&value, || {
        let mut lines = Vec::new();
        if let Some(local) = &local {
            let over = if local.reach == Reach::All { "every export" } else { "exports to and from it" };
            lines
                .push(format!("a set of {}, over {over}; it can only narrow what the law allows", local.rules.owner()));
        }
        lines.extend(shown.iter().flat_map(|rule| told(rule, lang)));
        lines
    })?;
    Ok(Exit::Success)
}

fn explained(rule: &policy::Rule, cases: &BTreeMap<String, Vec<String>>) -> Value {
    json!({
        "id": rule.id, "level": level(&rule.level), "directions": rule.directions, "citation": rule.citation,
        "in_force": rule.in_force, "effective_from": rule.effective_from, "effective_to": rule.effective_to,
        "message": rule.message, "file": rule.file, "text": rule.text,
        "vectors": cases.get(rule.id.as_str()).map_or(&[][..], Vec::as_slice),
    })
}

fn told(rule: &Value, lang: Lang) -> Lines {
    let text = |member: &str| plain(rule.get(member).unwrap_or(&Value::Null));
    let message = rule.get("message").map(|message| lang.text(message).to_owned()).unwrap_or_default();
    let bounds = match (text("effective_from"), text("effective_to")) {
        (from, to) if from.is_empty() && to.is_empty() => "on every day".to_owned(),
        (from, to) if to.is_empty() => format!("from {from} on"),
        (from, to) if from.is_empty() => format!("until {to}"),
        (from, to) => format!("from {from} until {to}"),
    };
    let cases = rule.get("vectors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut lines = fields([
        ("rule", text("id")),
        ("level", text("level")),
        ("says", message),
        ("law", text("citation")),
        ("directions", text("directions")),
        ("in force", text("in_force")),
        ("applies", bounds),
        ("file", text("file")),
        ("worked cases", format!("{} of them", cases.len())),
    ]);
    lines.extend(cases.iter().take(CASES_SHOWN).map(|case| format!("  · {}", plain(case))));
    let source = rule.get("text").and_then(Value::as_str).unwrap_or_default();
    lines.extend(source.lines().map(|line| format!("  {}", line.trim_end())));
    lines
}
