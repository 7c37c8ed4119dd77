//! `kouan dataset inspect PATH`: what registration would find, offline.

use std::path::Path;

use bytes::Bytes;
use catalog::admit::{Kept, admit, prepare};
use catalog::inspect::Inspector;
use catalog::layout::Limits;
use serde_json::Value;

use super::card;
use super::rest::items;
use super::upload::local_files;
use crate::error::CommandError;
use crate::files;
use crate::output::table::Table;
use crate::output::{bytes, count, plain};
use crate::session::{Lines, Session};

/// Largest file that is inspected, in bytes: it is held in memory.
const FILE_BYTES_MAX: u64 = 16 << 30;

pub fn run(session: &mut Session<'_>, path: &Path, card: Option<&Path>) -> Result<(), CommandError> {
    let card = card.map(|file| card::Form::of(file).map(|form| (file, form))).transpose()?;
    let limits = Limits::default();
    let mut inspector = Inspector::new(None).registered_on(today());
    for (name, path) in local_files(path)? {
        session.note(&format!("inspecting {name}"));
        let wrong = |error: &dyn std::fmt::Display| CommandError::Input(format!("`{}`: {error}", path.display()));
        let upload = files::read(&path, FILE_BYTES_MAX)?;
        let mut made = Vec::new();
        let prepared = prepare(&name, &upload, &limits, &mut made).map_err(|error| wrong(&error))?;
        let (stored, gaps) = match prepared.kept {
            Kept::AsIs => (upload, Vec::new()),
            Kept::Packed(gaps) => (made, gaps),
            Kept::Converted(_) => (made, Vec::new()),
        };
        let admitted = admit(&stored, &limits).map_err(|error| wrong(&error))?;
        inspector.add(&prepared.name, Bytes::from(stored), &admitted, &gaps).map_err(|error| wrong(&error))?;
    }
    let value = inspector.finish();
    if let Some((file, form)) = card {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        card::write_offline(&name, &value, file, form)?;
        session.note(&format!("card written to {}", file.display()));
    }
    session.answer(&value, || shown(&value))
}

/// The day from which ages count: registration would be today, in Shanghai.
fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).date()
}

fn shown(value: &Value) -> Lines {
    let number = |value: &Value, member: &str| value.get(member).and_then(Value::as_u64).unwrap_or(0);
    let text = |value: &Value, member: &str| plain(value.get(member).unwrap_or(&Value::Null));
    let mut files = Table::new(&["FILE", "ROWS", "SIZE", "SHA-256"]);
    for file in items(value, "files") {
        files.row([
            text(file, "name"),
            count(number(file, "rows")),
            bytes(number(file, "bytes")),
            text(file, "sha256"),
        ]);
    }
    let mut lines = files.lines();
    let mut columns = Table::new(&["COLUMN", "TYPE", "SUGGESTED", "NULLS", "DISTINCT", "IDENTIFIERS"]);
    for column in items(value, "columns") {
        let kinds: Vec<String> = items(column, "identifiers").iter().map(|found| text(found, "kind")).collect();
        columns.row([
            text(column, "name"),
            text(column, "type"),
            text(column, "suggested"),
            count(number(column, "nulls")),
            count(number(column, "distinct_estimate")),
            kinds.join(", "),
        ]);
    }
    lines.push(String::new());
    lines.extend(columns.lines());
    lines.push(String::new());
    let mut found = Table::new(&["COLUMN", "IDENTIFIER", "ROWS", "VALUES", "SURE", "EXAMPLES"]);
    for (column, identifier) in
        items(value, "columns").iter().flat_map(|column| items(column, "identifiers").iter().map(move |i| (column, i)))
    {
        found.row([
            text(column, "name"),
            text(identifier, "kind"),
            count(number(identifier, "rows")),
            count(number(identifier, "values")),
            text(identifier, "confidence"),
            text(identifier, "examples"),
        ]);
    }
    if items(value, "columns").iter().any(|column| !items(column, "identifiers").is_empty()) {
        lines.extend(found.lines());
        lines.push(String::new());
    }
    if let Some(told) = catalog::quality::headline(value) {
        let share = |name: &str, ppm: Option<u64>| ppm.map(|ppm| format!("{name} {}", card::percent(ppm)));
        let languages = told.languages_ppm.iter().map(|(tag, share)| format!("{tag} {}", card::percent(*share)));
        let languages: Vec<String> = languages.collect();
        let parts = [
            share("complete", told.complete_ppm),
            share("duplicates", told.duplicate_ppm),
            share("near duplicates", told.near_ppm),
            Some(languages.join(" ")).filter(|text| !text.is_empty()),
        ];
        lines.push(parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
    }
    lines.push(format!("{} rows, {}", count(number(value, "rows")), bytes(number(value, "bytes"))));
    if let Some(persons) = value.get("persons_estimate").and_then(Value::as_u64) {
        lines.push(format!("about {} persons, by their identifiers", count(persons)));
    }
    lines.push("classes are suggestions from names and values; the manifest declares them".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::exit::Exit;
    use crate::testing::captured;

    #[tokio::test]
    async fn a_csv_file_is_inspected_offline() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("words.csv");
        std::fs::write(&file, "word,count\n資料庫,3\n口岸,5\n").unwrap();
        let (mut io, out) = captured([]);
        let cli = crate::parse(["kouan", "dataset", "inspect", file.to_str().unwrap(), "--json"], &mut io).unwrap();
        assert_eq!(crate::execute(&cli, &mut io).await, Exit::Success);
        let value: Value = serde_json::from_str(&out.out()).unwrap();
        assert_eq!(value["rows"], 2);
        assert_eq!(value["files"][0]["name"], "words.parquet");
        assert_eq!(value["columns"][0]["name"], "word");
    }

    #[tokio::test]
    async fn identifiers_are_shown_masked() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("people.csv");
        std::fs::write(&file, "who,note\nx,電話13912345678\ny,身份證440305190102030017\n").unwrap();
        for json in [true, false] {
            let (mut io, out) = captured([]);
            let flags = json.then_some("--json");
            let args = ["kouan", "dataset", "inspect", file.to_str().unwrap()].into_iter().chain(flags);
            let cli = crate::parse(args, &mut io).unwrap();
            assert_eq!(crate::execute(&cli, &mut io).await, Exit::Success);
            let said = out.out();
            assert!(said.contains("cn_mobile") && said.contains("440*************17"), "{said}");
            if json {
                let value: Value = serde_json::from_str(&said).unwrap();
                let found = &value["columns"][1]["identifiers"][0];
                assert_eq!((&found["kind"], &found["rows"]), (&"cn_resident_id".into(), &1.into()));
                assert_eq!(
                    (&value["columns"][1]["suggested"], &value["persons_estimate"]),
                    (&"sensitive".into(), &1.into())
                );
            } else {
                assert!(!said.contains("440305190102030017") && !said.contains("13912345678"), "{said}");
            }
        }
    }

    #[tokio::test]
    async fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.parquet");
        std::fs::write(&file, "PAR1 this is not Parquet PAR1").unwrap();
        let (mut io, out) = captured([]);
        let cli = crate::parse(["kouan", "dataset", "inspect", file.to_str().unwrap(), "--json"], &mut io).unwrap();
        assert_eq!(crate::execute(&cli, &mut io).await, Exit::Usage);
        assert!(out.out().contains("x.parquet"), "{}", out.out());
    }
}
