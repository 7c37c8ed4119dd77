//! The dataset card as a page.

use askama::Template;
use gateway_api::card::{Card, CardColumn, CardEntry};
use gateway_api::catalog::InputView;
use serde_json::Value;

use crate::page::{Page, PageError, STYLE, policy};
use crate::plot::{BARS_LEFT, BARS_WIDTH, Bars, COLUMNS_HEIGHT, Columns, PARTS_WIDTH, Part, parts};
use crate::words::{bytes, count, days, identifier, joined, language, percent, price, tone};

/// Columns in the plot of completeness: those with the most missing.
const COMPLETE_MAX: usize = 16;
/// Text columns with a histogram of their lengths: those with the most text.
const LENGTHS_MAX: usize = 6;
/// Columns and files in the tables: a page is not a listing.
const ROWS_MAX: usize = 400;

/// A figure at the head of the page.
#[derive(Debug)]
struct Figure {
    name: &'static str,
    value: String,
    note: String,
}

/// A line of a list of terms.
#[derive(Debug)]
struct Term {
    name: &'static str,
    value: String,
}

#[derive(Debug)]
struct Heading {
    title: String,
    lang: String,
    others: Vec<(String, String)>,
    description: Option<(String, String)>,
}

#[derive(Debug)]
struct Histogram {
    column: String,
    note: String,
    plot: Columns,
}

#[derive(Debug)]
struct Row {
    name: String,
    title: String,
    kind: String,
    class: &'static str,
    complete: String,
    distinct: String,
    unique: String,
    found: String,
}

#[derive(Debug, Template)]
#[template(path = "card.html")]
struct View<'a> {
    style: &'static str,
    policy: String,
    card: &'a Card,
    heading: Heading,
    state: &'static str,
    figures: Vec<Figure>,
    terms: Vec<Term>,
    classes: Vec<Term>,
    findings: Vec<(String, String)>,
    inputs: Vec<(String, String)>,
    report: Option<String>,
    languages: Vec<Part>,
    complete: Bars,
    complete_is_whole: bool,
    histograms: Vec<Histogram>,
    labels: Option<(String, String, Bars)>,
    newest: Vec<(String, String, String)>,
    rows: Vec<Row>,
    rows_left: usize,
    files: Vec<(String, String, String, String)>,
    files_left: usize,
    near_note: String,
}

/// The card as one page: no script, nothing loaded, readable on paper.
///
/// # Errors
/// [`PageError`] when the template fails, which is a fault of ours.
pub fn card(card: &Card) -> Result<Page, PageError> {
    let entry = card.entry.as_ref();
    let view = View {
        style: STYLE,
        policy: policy(),
        heading: heading(card),
        state: entry.map_or("not registered", |entry| entry.state.as_str()),
        figures: figures(card),
        terms: entry.map(terms).unwrap_or_default(),
        classes: entry.map(|entry| classes(entry, card)).unwrap_or_default(),
        findings: card.findings.iter().map(|found| (identifier(&found.kind).to_owned(), count(found.rows))).collect(),
        inputs: entry.map(inputs).unwrap_or_default(),
        report: entry.and_then(report),
        languages: languages(&card.quality),
        complete: complete(&card.columns),
        complete_is_whole: card.columns.iter().all(|column| column.complete_ppm == 1_000_000),
        histograms: histograms(&card.quality),
        labels: labels(&card.quality),
        newest: newest(&card.quality),
        rows: card.columns.iter().take(ROWS_MAX).map(row).collect(),
        rows_left: card.columns.len().saturating_sub(ROWS_MAX),
        files: card
            .files
            .iter()
            .take(ROWS_MAX)
            .map(|file| (file.name.clone(), count(file.rows), bytes(file.bytes), file.sha256.clone()))
            .collect(),
        files_left: card.files.len().saturating_sub(ROWS_MAX),
        near_note: near_note(&card.quality),
        card,
    };
    view.render().map(Page::new).map_err(|error| PageError(error.to_string()))
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The title in the first language that has one, the other titles below it.
fn heading(card: &Card) -> Heading {
    let local = |member: &str| -> Vec<(String, String)> {
        let texts = card.entry.as_ref().and_then(|entry| entry.declared.get(member)?.as_object());
        let of = |lang: &str| Some((lang.to_owned(), texts?.get(lang)?.as_str()?.to_owned()));
        ["en", "zh-Hant", "zh-Hans"].into_iter().filter_map(of).collect()
    };
    let mut titles = local("title").into_iter();
    let (lang, title) = titles.next().unwrap_or_else(|| ("und".to_owned(), card.name.clone()));
    Heading { title, lang, others: titles.collect(), description: local("description").into_iter().next() }
}

fn figures(card: &Card) -> Vec<Figure> {
    let headline = &card.headline;
    let mut figures = Vec::new();
    let mut add = |name, value: Option<String>, note: String| {
        if let Some(value) = value {
            figures.push(Figure { name, value, note });
        }
    };
    let files = if card.files.len() == 1 { "1 file".to_owned() } else { format!("{} files", card.files.len()) };
    add("Rows", Some(count(card.rows)), format!("{} columns", count(card.columns.len() as u64)));
    add("Size", Some(bytes(card.bytes)), files);
    add("Complete", headline.complete_ppm.map(percent), "cells that hold a value".to_owned());
    add("Duplicates", headline.duplicate_ppm.map(percent), "rows the same as an earlier row".to_owned());
    let compared = number(&card.quality, "/near_duplicates/rows_compared");
    add(
        "Near duplicates",
        headline.near_ppm.filter(|_| compared > 0).map(percent),
        "rows that say nearly the same".to_owned(),
    );
    add("Label balance", headline.balance_ppm.map(percent), "100 % is even".to_owned());
    let since = text(&card.quality, "/freshness/registered");
    add("Age", headline.age_days.map(days), format!("on {since}, when registered"));
    figures
}

fn terms(entry: &CardEntry) -> Vec<Term> {
    let declared = &entry.declared;
    let offer = serde_json::to_value(&entry.offer).unwrap_or_default();
    let collected = match (text(declared, "/collected_from"), text(declared, "/collected_to")) {
        ("", "") => String::new(),
        ("", to) => format!("until {to}"),
        (from, "") => format!("since {from}"),
        (from, to) => format!("{from} to {to}"),
    };
    let retention = entry.offer.retention_days.map(|days| format!("{} days", count(days.into()))).unwrap_or_default();
    let provider = if entry.provider == entry.registrant {
        entry.provider.to_string()
    } else {
        format!("{}, registered by {}", entry.provider, entry.registrant)
    };
    [
        ("Provider", provider),
        ("Licence", text(declared, "/licence").to_owned()),
        ("Source", text(declared, "/source_statement").to_owned()),
        ("Collected in", joined(declared, "collected_in")),
        ("Collected", collected),
        ("Stored at", text(declared, "/place").to_owned()),
        ("Declared languages", joined(declared, "language")),
        ("Themes", joined(declared, "theme")),
        ("Offered for", joined(&offer, "purposes")),
        ("Offered to", joined(&offer, "recipients")),
        ("Offered in", joined(&offer, "places")),
        ("Price", price(&offer)),
        ("Passing on", entry.offer.onward.clone()),
        ("Kept for at most", retention),
    ]
    .into_iter()
    .filter(|(_, value)| !value.trim().is_empty())
    .map(|(name, value)| Term { name, value })
    .collect()
}

fn classes(entry: &CardEntry, card: &Card) -> Vec<Term> {
    let declared = &entry.declared;
    let mut terms = vec![
        Term { name: "Data class", value: text(declared, "/class").to_owned() },
        Term { name: "Important data", value: text(declared, "/important_status").replace('_', " ") },
    ];
    let flags = [
        ("state_secret", "state secret"),
        ("controlled_item", "controlled item"),
        ("genetic_resource", "human genetic resource"),
        ("geospatial", "surveying and mapping"),
    ];
    let set: Vec<&str> = flags
        .into_iter()
        .filter(|(member, _)| declared.get(member).and_then(Value::as_bool) == Some(true))
        .map(|(_, name)| name)
        .collect();
    terms
        .push(Term { name: "Special regimes", value: if set.is_empty() { "none".to_owned() } else { set.join(", ") } });
    let persons = match declared.get("subjects") {
        Some(subjects) if subjects.is_object() => format!(
            "{} persons, {} with sensitive information, {} under 14",
            count(number(subjects, "/persons")),
            count(number(subjects, "/sensitive")),
            count(number(subjects, "/under_14"))
        ),
        _ => "not known".to_owned(),
    };
    terms.push(Term { name: "Declared persons", value: persons });
    if let Some(persons) = card.persons_estimate {
        terms.push(Term { name: "Counted persons", value: count(persons) });
    }
    terms
}

/// The inputs, each with what it brings in words.
fn inputs(entry: &CardEntry) -> Vec<(String, String)> {
    let one = |input: &InputView| {
        let limits = serde_json::to_value(&input.limits).unwrap_or_default();
        let flag = |member: &str| limits.get(member).and_then(Value::as_bool) == Some(true);
        let mut parts = vec![format!("{} data", text(&limits, "/class"))];
        match text(&limits, "/columns") {
            "none" => {}
            class => parts.push(format!("{class} columns")),
        }
        match text(&limits, "/received_under/direction") {
            "CN->HK" => {
                parts.push("received in Hong Kong under the Greater Bay Area contract: stays in Hong Kong".to_owned());
            }
            "HK->CN" => {
                parts.push(
                    "received in the Mainland under the Greater Bay Area contract: stays in its nine cities".to_owned(),
                );
            }
            _ => {}
        }
        for (member, words) in [
            ("domestic_pi_introduced", "Mainland data that void transit"),
            ("controlled_item", "controlled item"),
            ("genetic_resource", "human genetic resource"),
            ("geospatial", "surveying and mapping"),
            ("state_secret", "state secret"),
        ] {
            if flag(member) {
                parts.push(words.to_owned());
            }
        }
        (format!("{}@{}", input.dataset, input.version), parts.join("; "))
    };
    entry.lineage.iter().map(one).collect()
}

fn report(entry: &CardEntry) -> Option<String> {
    let view = entry.anonymisation.as_ref()?;
    let reference = &view.report.reference;
    Some(if view.confirmed {
        format!(
            "Anonymisation report {reference}, confirmed by an authority: the limits of personal information are lifted."
        )
    } else {
        format!("Anonymisation report {reference}, not confirmed yet: it lifts nothing.")
    })
}

fn languages(quality: &Value) -> Vec<Part> {
    let shares = quality.get("languages_ppm").and_then(Value::as_object);
    let mut shares: Vec<(&str, u64)> =
        shares.into_iter().flatten().filter_map(|(tag, share)| Some((tag.as_str(), share.as_u64()?))).collect();
    shares.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    parts(shares.into_iter().map(|(tag, share)| (language(tag).to_owned(), percent(share), share, tone(tag))))
}

/// The columns with the most missing, the worst first.
fn complete(columns: &[CardColumn]) -> Bars {
    let mut worst: Vec<&CardColumn> = columns.iter().collect();
    worst.sort_by_key(|column| column.complete_ppm);
    let bars = worst
        .into_iter()
        .take(COMPLETE_MAX)
        .map(|column| (column.name.clone(), percent(column.complete_ppm), column.complete_ppm, "t2"));
    Bars::new(bars, 1_000_000)
}

fn histograms(quality: &Value) -> Vec<Histogram> {
    let texts = quality.get("text").and_then(Value::as_object);
    let mut texts: Vec<(&String, &Value)> = texts.into_iter().flatten().collect();
    texts.sort_by(|a, b| number(b.1, "/chars").cmp(&number(a.1, "/chars")).then_with(|| a.0.cmp(b.0)));
    let histogram = |(column, report): (&String, &Value)| {
        let mut low = 0;
        let bars = report.get("histogram").and_then(Value::as_array).into_iter().flatten();
        let mut rows: Vec<(String, String, u64)> = Vec::new();
        for bar in bars {
            let (upto, values) = (number(bar, "/upto"), number(bar, "/values"));
            // The first bar begins at nothing but for what is above the half of its bound.
            low = if rows.is_empty() { upto.div_ceil(2) } else { low };
            let bounds = if low >= upto { upto.to_string() } else { format!("{low}–{upto}") };
            rows.push((bounds, count(values), values));
            low = upto + 1;
        }
        Histogram {
            column: column.clone(),
            note: format!(
                "half of the texts have at most {}, nine in ten at most {}, the longest {} characters",
                count(number(report, "/p50")),
                count(number(report, "/p90")),
                count(number(report, "/max"))
            ),
            plot: Columns::new(&rows),
        }
    };
    texts.into_iter().take(LENGTHS_MAX).map(histogram).collect()
}

fn labels(quality: &Value) -> Option<(String, String, Bars)> {
    let labels = quality.get("labels")?;
    let column = text(labels, "/column").to_owned();
    if let Some(more) = labels.get("more_than").and_then(Value::as_u64) {
        return Some((
            column,
            format!("it has more than {} different values: no labels", count(more)),
            Bars::default(),
        ));
    }
    let note = format!(
        "{} labels, the largest with {}, the smallest with {} of the rows; {} cells without a label",
        count(number(labels, "/classes")),
        percent(number(labels, "/largest_ppm")),
        percent(number(labels, "/smallest_ppm")),
        count(number(labels, "/missing"))
    );
    let values = labels.get("values").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut rows: Vec<(String, String, u64, &'static str)> = values
        .iter()
        .map(|value| {
            let rows = number(value, "/rows");
            (text(value, "/label").to_owned(), count(rows), rows, "t5")
        })
        .collect();
    let others = number(labels, "/others/classes");
    if others > 0 {
        let left = number(labels, "/others/rows");
        rows.push((format!("{others} others together"), count(left), left, "t9"));
    }
    let most = rows.iter().map(|(_, _, rows, _)| *rows).max().unwrap_or(0);
    Some((column, note, Bars::new(rows, most)))
}

fn newest(quality: &Value) -> Vec<(String, String, String)> {
    let columns = quality.pointer("/freshness/newest").and_then(Value::as_array).into_iter().flatten();
    columns
        .filter_map(|column| {
            let age = column.get("age_days").and_then(Value::as_i64).map(days)?;
            let future = number(column, "/future_values");
            let age = if future > 0 { format!("{age}; {} values lie in the future", count(future)) } else { age };
            Some((text(column, "/column").to_owned(), text(column, "/day").to_owned(), age))
        })
        .collect()
}

fn row(column: &CardColumn) -> Row {
    let found: Vec<String> = column
        .findings
        .iter()
        .map(|found| format!("{} in {} rows", identifier(&found.kind), count(found.rows)))
        .collect();
    Row {
        name: column.name.clone(),
        title: ["en", "zh-Hant", "zh-Hans"]
            .iter()
            .find_map(|lang| column.title.get(*lang))
            .cloned()
            .unwrap_or_default(),
        kind: column.r#type.clone(),
        class: column.class.unwrap_or(column.suggested).as_str(),
        complete: percent(column.complete_ppm),
        distinct: count(column.distinct_estimate),
        unique: percent(column.unique_ppm),
        found: found.join("; "),
    }
}

fn near_note(quality: &Value) -> String {
    let near = |pointer: &str| number(quality, &format!("/near_duplicates/{pointer}"));
    let (rows, compared) = (near("rows_with_text"), near("rows_compared"));
    if compared == 0 {
        return "No row holds text that could be compared.".to_owned();
    }
    let sample = if compared < rows {
        format!("a sample by content of {} of the {} rows with text", count(compared), count(rows))
    } else {
        format!("all {} rows with text", count(rows))
    };
    format!(
        "Of {sample}, {} say the same as an earlier row but for case, width and punctuation, and {} share at least four \
         fifths of their neighbouring words with one.",
        percent(near("copies_ppm")),
        percent(near("near_ppm"))
    )
}

#[cfg(test)]
mod tests;
