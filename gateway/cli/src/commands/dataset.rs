//! `kouan dataset …` over the API; `inspect` and `register` have files of their own.

use catalog::VersionName;
use gateway_api::catalog::{AcceptFinding, DatasetView, InputView, VersionView};
use serde_json::Value;

use super::rest::{self, act, act_because, get, items};
use super::{card, inspect, upload};
use crate::args::connect::ConnectArgs;
use crate::args::dataset::{AcceptFindingArgs, ActionArgs, DatasetCommand, FilterArgs, ReasonArgs};
use crate::args::target::Target;
use crate::client::{Call, Client, path, with_query};
use crate::error::CommandError;
use crate::output::table::{Table, fields};
use crate::output::{bytes, clean, count, money, plain};
use crate::session::{Lines, Session};

/// Datasets of one page.
const PAGE: &str = "100";

pub async fn run(session: &mut Session<'_>, command: &DatasetCommand) -> Result<(), CommandError> {
    match command {
        DatasetCommand::Inspect { path, card } => inspect::run(session, path, card.as_deref()),
        DatasetCommand::Card(args) => card::run(session, args).await,
        DatasetCommand::Register(args) => upload::run(session, args).await,
        DatasetCommand::Submit(args) => {
            let next = "compliance of another participant approves it: kouan dataset approve";
            step(session, args, "submit", "submitted", Some(next)).await
        }
        DatasetCommand::Approve(args) => {
            step(session, args, "approve", "approved", Some("its broker offers it: kouan dataset publish")).await
        }
        DatasetCommand::Publish(args) => {
            step(session, args, "publish", "published", Some("see it: kouan dataset show")).await
        }
        DatasetCommand::ConfirmExemption(args) => {
            step(session, args, "confirm-exemption", "confirmed in its exemption", None).await
        }
        DatasetCommand::ConfirmAnonymisation(args) => {
            step(session, args, "confirm-anonymisation", "confirmed in its anonymisation", None).await
        }
        DatasetCommand::AcceptFinding(args) => accept_finding(session, args).await,
        DatasetCommand::Resume(args) => step(session, args, "resume", "signed for", None).await,
        DatasetCommand::Suspend(args) => stop(session, args, "suspend", "suspended").await,
        DatasetCommand::Withdraw(args) => stop(session, args, "withdraw", "withdrawn").await,
        DatasetCommand::List(args) => search(session, None, &args.filter, &args.connect).await,
        DatasetCommand::Search(args) => search(session, Some(args.words.join(" ")), &args.filter, &args.connect).await,
        DatasetCommand::Show(args) => show(session, args).await,
    }
}

/// The version that is meant: the one named, else the newest.
pub(super) async fn version_of(client: &Client, target: &Target) -> Result<VersionName, CommandError> {
    if let Some(version) = &target.version {
        return Ok(version.clone());
    }
    let view: DatasetView = client.typed(&Call::get(path(["v1", "datasets", target.dataset.as_str()]))).await?;
    Ok(view.summary.latest_version)
}

async fn step(
    session: &mut Session<'_>,
    args: &ActionArgs,
    action: &str,
    done: &str,
    next: Option<&str>,
) -> Result<(), CommandError> {
    let client = rest::client(session, &args.connect)?;
    let version = version_of(&client, &args.target).await?;
    let dataset = args.target.dataset.as_str();
    let value = act(&client, &["v1", "datasets", dataset, "versions", version.as_str(), action]).await?;
    session.answer(&value, || {
        let mut lines = vec![format!("{dataset}@{version} is {done}")];
        lines.extend(next.map(|next| format!("next: {next} {dataset}@{version}")));
        lines
    })
}

async fn stop(session: &mut Session<'_>, args: &ReasonArgs, action: &str, done: &str) -> Result<(), CommandError> {
    let client = rest::client(session, &args.connect)?;
    let version = version_of(&client, &args.target).await?;
    let dataset = args.target.dataset.as_str();
    let segments = ["v1", "datasets", dataset, "versions", version.as_str(), action];
    let value = act_because(&client, &segments, &args.reason).await?;
    session.answer(&value, || vec![format!("{dataset}@{version} is {done}; its live streams end within a second")])
}

async fn accept_finding(session: &mut Session<'_>, args: &AcceptFindingArgs) -> Result<(), CommandError> {
    let client = rest::client(session, &args.connect)?;
    let version = version_of(&client, &args.target).await?;
    let dataset = args.target.dataset.as_str();
    let target = path(["v1", "datasets", dataset, "versions", version.as_str(), "accept-finding"]);
    let body = AcceptFinding { column: args.column.clone(), reason: args.reason.clone() };
    let value = client.json(&Call::post_json(target, &body)?).await?;
    session.answer(&value, || {
        let column = clean(&args.column);
        let mut lines = vec![format!("what was found in column `{column}` of {dataset}@{version} is accepted")];
        match value.get("open").and_then(Value::as_u64) {
            Some(0) => lines.push(format!("next: kouan dataset submit {dataset}@{version}")),
            Some(open) => lines.push(format!("{open} columns are still open: kouan dataset show {dataset}@{version}")),
            None => {}
        }
        lines
    })
}

async fn search(
    session: &mut Session<'_>,
    words: Option<String>,
    filter: &FilterArgs,
    connect: &ConnectArgs,
) -> Result<(), CommandError> {
    let client = rest::client(session, connect)?;
    let target = |cursor: Option<&str>| {
        let query = [
            ("q", words.as_deref()),
            ("theme", filter.theme.as_deref()),
            ("language", filter.language.as_deref()),
            ("class", filter.class.as_deref()),
            ("participant", filter.participant.as_deref()),
            ("limit", Some(PAGE)),
            ("cursor", cursor),
        ];
        with_query("/v1/datasets", query)
    };
    let value = rest::pages(&client, target, "datasets", filter.limit).await?;
    let lang = session.lang;
    session.answer(&value, || {
        let datasets = items(&value, "datasets");
        if datasets.is_empty() {
            return vec!["no dataset that you may see".to_owned()];
        }
        let mut table =
            Table::new(&["DATASET", "VERSION", "STATE", "CLASS", "ROWS", "SIZE", "COMPLETE", "PRICE", "TITLE"]);
        for dataset in datasets {
            let text = |pointer: &str| plain(dataset.pointer(pointer).unwrap_or(&Value::Null));
            let number = |pointer: &str| dataset.pointer(pointer).and_then(Value::as_u64);
            table.row([
                text("/id"),
                text("/latest_version"),
                text("/state"),
                text("/columns_class"),
                number("/rows").map(count).unwrap_or_default(),
                number("/bytes").map(bytes).unwrap_or_default(),
                number("/quality/complete_ppm").map(card::percent).unwrap_or_default(),
                price(dataset.get("offer").unwrap_or(&Value::Null)),
                dataset.get("title").map(|title| clean(lang.text(title))).unwrap_or_default(),
            ]);
        }
        let mut lines = table.lines();
        if value.get("next").is_some() {
            lines.push("there are more: raise --limit".to_owned());
        }
        lines
    })
}

async fn show(session: &mut Session<'_>, args: &ActionArgs) -> Result<(), CommandError> {
    let client = rest::client(session, &args.connect)?;
    let lang = session.lang;
    let dataset = args.target.dataset.as_str();
    let Some(version) = &args.target.version else {
        let value = get(&client, &["v1", "datasets", dataset]).await?;
        return session.answer(&value, || {
            let text = |member: &str| plain(value.get(member).unwrap_or(&Value::Null));
            let local = |member: &str| value.get(member).map(|text| clean(lang.text(text))).unwrap_or_default();
            let number = |member: &str| value.get(member).and_then(Value::as_u64);
            let versions = items(&value, "versions").iter();
            let versions = versions.map(|v| {
                format!(
                    "{} ({})",
                    plain(v.get("version").unwrap_or(&Value::Null)),
                    plain(v.get("state").unwrap_or(&Value::Null))
                )
            });
            let mut lines = fields([
                ("dataset", text("id")),
                ("title", local("title")),
                ("about", local("description")),
                ("versions", versions.collect::<Vec<_>>().join(", ")),
                ("provider", text("provider")),
                ("class", text("class")),
                ("columns up to", text("columns_class")),
                ("language", text("language")),
                ("theme", text("theme")),
                ("licence", text("licence")),
                ("rows", number("rows").map(count).unwrap_or_default()),
                ("size", number("bytes").map(bytes).unwrap_or_default()),
                ("quality", quality(value.get("quality").unwrap_or(&Value::Null))),
            ]);
            lines.extend(offer(value.get("offer").unwrap_or(&Value::Null)));
            lines.push(format!(
                "next: kouan dataset show {dataset}@{}, or kouan plan {dataset}",
                text("latest_version")
            ));
            lines
        });
    };
    let value = get(&client, &["v1", "datasets", dataset, "versions", version.as_str()]).await?;
    session.answer(&value, || version_lines(&value))
}

/// A version for people: state, files, columns, offer.
pub(super) fn version_lines(value: &Value) -> Lines {
    let view: VersionView = match serde_json::from_value(value.clone()) {
        Ok(view) => view,
        // A gateway of another release: what it says is still shown.
        Err(_) => return vec![plain(value)],
    };
    let mut lines = fields([
        ("version", format!("{}@{}", view.dataset, view.version)),
        ("state", view.state.as_str().to_owned()),
        ("reason", view.reason.as_deref().map(clean).unwrap_or_default()),
        ("provider", view.provider.to_string()),
        ("registrant", view.registrant.to_string()),
        ("manifest", view.manifest.to_string()),
        ("quality", quality(value.get("quality").unwrap_or(&Value::Null))),
    ]);
    for input in &view.lineage {
        lines.extend(fields([("made from", made_from(input))]));
    }
    let mut files = Table::new(&["FILE", "SIZE", "ROWS", "SHA-256"]);
    for file in &view.files {
        files.row([clean(&file.name), bytes(file.bytes), count(file.rows), clean(&file.sha256)]);
    }
    lines.push(String::new());
    lines.extend(files.lines());
    let mut columns = Table::new(&["COLUMN", "TYPE", "CLASS"]);
    for column in &view.schema {
        let class = serde_json::to_value(column.class).map(|class| plain(&class)).unwrap_or_default();
        columns.row([clean(&column.name), clean(&column.r#type), class]);
    }
    lines.push(String::new());
    lines.extend(columns.lines());
    if !view.findings.is_empty() {
        let mut found = Table::new(&["FOUND IN", "DECLARED", "IS", "IDENTIFIERS", "ROWS"]);
        for finding in &view.findings {
            found.row([
                clean(&finding.column),
                finding.declared.as_str().to_owned(),
                finding.found.as_str().to_owned(),
                clean(&finding.kinds.join(", ")),
                count(finding.rows),
            ]);
        }
        lines.push(String::new());
        lines.extend(found.lines());
        lines.push(
            "raise these classes in a new version, or have an officer accept them: dataset accept-finding".to_owned(),
        );
    }
    lines.push(String::new());
    lines.extend(offer(value.get("offer").unwrap_or(&Value::Null)));
    lines
}

/// The headline of the quality report on one line.
fn quality(headline: &Value) -> String {
    let share = |name: &str, member: &str| {
        headline.get(member).and_then(Value::as_u64).map(|ppm| format!("{name} {}", card::percent(ppm)))
    };
    let languages = headline.get("languages_ppm").and_then(Value::as_object).into_iter().flatten();
    let languages = languages
        .filter_map(|(tag, share)| Some(format!("{} {}", clean(tag), card::percent(share.as_u64()?))))
        .collect::<Vec<_>>();
    let age = headline.get("age_days").and_then(Value::as_i64).map(|days| format!("{days} days old when registered"));
    [
        share("complete", "complete_ppm"),
        share("duplicates", "duplicate_ppm"),
        share("near duplicates", "near_ppm"),
        share("label balance", "balance_ppm"),
        Some(languages.join(" ")).filter(|text| !text.is_empty()),
        age,
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}

/// An input and the limits that matter most.
fn made_from(input: &InputView) -> String {
    let limits = serde_json::to_value(&input.limits).unwrap_or_default();
    let text = |pointer: &str| limits.pointer(pointer).map(plain).unwrap_or_default();
    let mut told =
        format!("{}@{}: {} data, {} columns", input.dataset, input.version, text("/class"), text("/columns"));
    if limits.pointer("/received_under/direction").is_some() {
        told.push_str(", received under the GBA contract ");
        told.push_str(&text("/received_under/direction"));
    }
    told
}

fn offer(offer: &Value) -> Lines {
    let text = |member: &str| plain(offer.get(member).unwrap_or(&Value::Null));
    fields([
        ("purposes", text("purposes")),
        ("recipients", text("recipients")),
        ("places", text("places")),
        ("price", price(offer)),
        ("onward", text("onward")),
        ("retention days", text("retention_days")),
    ])
}

fn price(offer: &Value) -> String {
    let text = |pointer: &str| offer.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match text("/price/model") {
        "" => String::new(),
        "free" => "free".to_owned(),
        "subscription" => {
            format!("{} per {}", money(text("/price/amount"), text("/price/currency")), clean(text("/price/period")))
        }
        model => {
            format!("{} {}", money(text("/price/amount"), text("/price/currency")), clean(&model.replace('_', " ")))
        }
    }
}
