//! `kouan dataset card DATASET[@VERSION] [--out FILE]`, and the card that `dataset inspect --card FILE` writes.

use std::path::Path;

use gateway_api::card::Card;
use serde_json::{Value, json};

use super::dataset::version_of;
use super::rest;
use crate::args::dataset::CardArgs;
use crate::client::{Call, path};
use crate::error::CommandError;
use crate::files;
use crate::output::table::{Table, fields};
use crate::output::{bytes, clean, count};
use crate::session::{Lines, Session};

/// Largest page that is taken from a gateway, in bytes.
const PAGE_BYTES_MAX: usize = 64 << 20;

/// What a file is to hold, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Page,
    Json,
}

impl Form {
    /// # Errors
    /// [`CommandError::Usage`] for a name that ends in neither.
    pub(super) fn of(file: &Path) -> Result<Self, CommandError> {
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        match ending.as_str() {
            "html" | "htm" => Ok(Self::Page),
            "json" => Ok(Self::Json),
            _ => Err(CommandError::Usage(format!(
                "`{}` ends neither in .html nor in .json: the name says which of the two to write",
                file.display()
            ))),
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Page => "text/html",
            Self::Json => "application/json",
        }
    }
}

pub(super) async fn run(session: &mut Session<'_>, args: &CardArgs) -> Result<(), CommandError> {
    let form = args.out.as_deref().map(Form::of).transpose()?;
    let client = rest::client(session, &args.connect)?;
    let dataset = args.target.dataset.as_str();
    let version = version_of(&client, &args.target).await?;
    let target = path(["v1", "datasets", dataset, "versions", version.as_str(), "card"]);
    let Some((file, form)) = args.out.as_deref().zip(form) else {
        let call = Call::get(target).header("accept", Form::Json.media_type())?;
        let card: Card = client.typed(&call).await?;
        return session.answer(&serde_json::to_value(&card).unwrap_or_default(), || lines(&card));
    };
    let call = Call::get(target).header("accept", form.media_type())?;
    let page = client.accepted(&call).await?.bytes(PAGE_BYTES_MAX).await?;
    files::write_atomically(file, &page)?;
    let written =
        json!({"dataset": dataset, "version": version, "out": file.display().to_string(), "bytes": page.len()});
    session.answer(&written, || vec![format!("{dataset}@{version}: card written to {}", file.display())])
}

/// Writes the card of files that no manifest describes yet.
pub(super) fn write_offline(name: &str, inspection: &Value, file: &Path, form: Form) -> Result<(), CommandError> {
    let card = Card::of_inspection(name, inspection);
    let text = match form {
        Form::Page => gateway_console::card(&card).map_err(|error| CommandError::Input(error.to_string()))?.html,
        Form::Json => serde_json::to_string_pretty(&card).unwrap_or_default(),
    };
    files::write_atomically(file, text.as_bytes())
}

/// A card for a terminal: the figures, then the columns.
fn lines(card: &Card) -> Lines {
    let headline = &card.headline;
    let share = |ppm: Option<u64>| ppm.map(percent).unwrap_or_default();
    let mut languages: Vec<(&String, &u64)> = headline.languages_ppm.iter().collect();
    languages.sort_by(|a, b| b.1.cmp(a.1));
    let languages: Vec<String> =
        languages.into_iter().map(|(tag, share)| format!("{} {}", clean(tag), percent(*share))).collect();
    let found: Vec<String> =
        card.findings.iter().map(|found| format!("{} in {} rows", clean(&found.kind), count(found.rows))).collect();
    let mut lines = fields([
        ("card", clean(&card.name)),
        ("rows", count(card.rows)),
        ("size", bytes(card.bytes)),
        ("complete", share(headline.complete_ppm)),
        ("duplicates", share(headline.duplicate_ppm)),
        ("near duplicates", share(headline.near_ppm)),
        ("languages", languages.join(", ")),
        ("label balance", share(headline.balance_ppm)),
        ("age in days", headline.age_days.map(|days| days.to_string()).unwrap_or_default()),
        ("identifiers", if found.is_empty() { "none recognised".to_owned() } else { found.join(", ") }),
    ]);
    let mut columns = Table::new(&["COLUMN", "CLASS", "COMPLETE", "DISTINCT", "UNIQUE"]);
    for column in &card.columns {
        columns.row([
            clean(&column.name),
            column.class.unwrap_or(column.suggested).as_str().to_owned(),
            percent(column.complete_ppm),
            count(column.distinct_estimate),
            percent(column.unique_ppm),
        ]);
    }
    lines.push(String::new());
    lines.extend(columns.lines());
    lines.push("the page with its plots: --out card.html".to_owned());
    lines
}

/// Parts per million as a percentage with one decimal, rounded down.
pub(super) fn percent(ppm: u64) -> String {
    format!("{}.{} %", ppm / 10_000, ppm % 10_000 / 1000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::exit::Exit;
    use crate::testing::captured;

    async fn inspect(card: &Path, corpus: &Path) -> (Exit, String) {
        let (mut io, out) = captured([]);
        let arguments =
            ["kouan", "dataset", "inspect", corpus.to_str().unwrap(), "--card", card.to_str().unwrap(), "--json"];
        let cli = crate::parse(arguments, &mut io).unwrap();
        let exit = crate::execute(&cli, &mut io).await;
        (exit, out.out())
    }

    #[tokio::test]
    async fn a_card_is_written_offline_without_a_value_of_a_person() {
        let dir = tempfile::tempdir().unwrap();
        let corpus = dir.path().join("people.csv");
        std::fs::write(&corpus, "姓名,topic\n陳大文,weather\n李小明,policy\n").unwrap();
        for name in ["card.html", "card.json"] {
            let file = dir.path().join(name);
            let (exit, out) = inspect(&file, &corpus).await;
            assert_eq!(exit, Exit::Success, "{out}");
            assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["rows"], 2);
            let written = std::fs::read_to_string(&file).unwrap();
            assert!(written.contains("姓名") && !written.contains("陳大文"), "{written}");
            assert_eq!(written.starts_with("<!doctype html>"), name == "card.html");
        }
        let card: Card = serde_json::from_slice(&std::fs::read(dir.path().join("card.json")).unwrap()).unwrap();
        assert_eq!((card.rows, card.columns.len()), (2, 2));
        assert!(lines(&card).iter().any(|line| line.contains("none recognised")));
    }

    #[tokio::test]
    async fn the_name_says_what_to_write() {
        let dir = tempfile::tempdir().unwrap();
        let corpus = dir.path().join("x.csv");
        std::fs::write(&corpus, "a\n1\n").unwrap();
        let file = dir.path().join("card.pdf");
        let (exit, out) = inspect(&file, &corpus).await;
        assert_eq!(exit, Exit::Usage);
        assert!(out.contains(".html") && !file.exists(), "{out}");
    }
}
