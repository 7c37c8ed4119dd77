//! `GET /v1/datasets/{id}/versions/{v}/card`: a version on one page, to be passed on.
//!
//! A card is the same for everybody who may see it, and holds nothing that a consumer must not see.

use std::collections::BTreeMap;

use catalog::inspect::{inspection_for_consumer, inspection_undeclared};
use catalog::manifest::Localised;
use catalog::quality::{Headline, headline};
use catalog::{ColumnClass, DatasetId, Digest, Manifest, Offer, ParticipantId, VersionName, VersionState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::{AnonymisationView, InputView, VersionView};

/// A dataset card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// `dataset@version`, or the name of what was inspected offline.
    pub name: String,
    /// The catalog's entry; absent offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<CardEntry>,
    /// Rows.
    pub rows: u64,
    /// Stored bytes.
    pub bytes: u64,
    /// Stored files.
    pub files: Vec<CardFile>,
    /// Leaf columns.
    pub columns: Vec<CardColumn>,
    /// Identifiers of persons that inspection found, by kind.
    pub findings: Vec<Finding>,
    /// Persons that it is about, as counted or declared.
    pub persons_estimate: Option<u64>,
    /// The quality report in short.
    pub headline: Headline,
    /// The quality report.
    pub quality: Value,
}

/// What the catalog says of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardEntry {
    /// Dataset id.
    pub dataset: DatasetId,
    /// Version.
    pub version: VersionName,
    /// Where it stands.
    pub state: VersionState,
    /// Whose data these are.
    pub provider: ParticipantId,
    /// Who registered it.
    pub registrant: ParticipantId,
    /// Digest over manifest and files.
    pub manifest: Digest,
    /// The `[dataset]` section of the manifest: title, licence, source statement, classes.
    pub declared: Value,
    /// On what terms.
    pub offer: Offer,
    /// What it was made from, with the limits that it inherits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<InputView>,
    /// The report that it identifies nobody any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymisation: Option<AnonymisationView>,
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardFile {
    /// Its name.
    pub name: String,
    /// SHA-256, hex.
    pub sha256: String,
    /// Rows.
    pub rows: u64,
    /// Length.
    pub bytes: u64,
}

/// A leaf column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardColumn {
    /// Dotted path.
    pub name: String,
    /// Arrow type as text.
    pub r#type: String,
    /// Declared class; absent offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ColumnClass>,
    /// The class that its name and values suggest.
    pub suggested: ColumnClass,
    /// Title by language.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub title: Localised,
    /// Cells that are null.
    pub nulls: u64,
    /// Different values, about.
    pub distinct_estimate: u64,
    /// Cells that are not null, in parts per million.
    pub complete_ppm: u64,
    /// Different values among them, in parts per million.
    pub unique_ppm: u64,
    /// Identifiers of persons that were found in it.
    pub findings: Vec<Finding>,
}

/// Identifiers of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Their kind, as inspection names it.
    pub kind: String,
    /// Rows with at least one. Over several columns a row may count more than once.
    pub rows: u64,
}

impl Card {
    /// The card of a version, whatever of it `view` shows.
    pub fn of(view: &VersionView, manifest: &Manifest) -> Self {
        let inspection = inspection_for_consumer(&view.inspection, manifest);
        let entry = CardEntry {
            dataset: view.dataset.clone(),
            version: view.version.clone(),
            state: view.state,
            provider: view.provider.clone(),
            registrant: view.registrant.clone(),
            manifest: view.manifest,
            declared: view.entry.clone(),
            offer: view.offer.clone(),
            // A card is passed on: agreements and leases stay with their parties.
            lineage: view
                .lineage
                .iter()
                .map(|input| InputView { agreement: None, lease: None, ..input.clone() })
                .collect(),
            anonymisation: view.anonymisation.clone(),
        };
        let mut card = Self::of_visible(format!("{}@{}", view.dataset, view.version), &inspection);
        for column in &mut card.columns {
            column.class = manifest.class_of(&column.name);
            column.title = manifest.columns.get(&column.name).map(|column| column.title.clone()).unwrap_or_default();
        }
        card.entry = Some(entry);
        card
    }

    /// The card of files that no manifest describes yet.
    pub fn of_inspection(name: &str, inspection: &Value) -> Self {
        Self::of_visible(name.to_owned(), &inspection_undeclared(inspection))
    }

    fn of_visible(name: String, inspection: &Value) -> Self {
        let quality = inspection.get("quality").cloned().unwrap_or_default();
        let columns: Vec<CardColumn> = list(inspection, "columns").map(|column| column_of(column, &quality)).collect();
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        for finding in columns.iter().flat_map(|column| &column.findings) {
            let rows = kinds.entry(&finding.kind).or_default();
            *rows = rows.saturating_add(finding.rows);
        }
        let findings = kinds.into_iter().map(|(kind, rows)| Finding { kind: kind.to_owned(), rows }).collect();
        let files = list(inspection, "files").map(|file| CardFile {
            name: text(file, "name"),
            sha256: text(file, "sha256"),
            rows: number(file, "rows"),
            bytes: number(file, "bytes"),
        });
        Self {
            name,
            entry: None,
            rows: number(inspection, "rows"),
            bytes: number(inspection, "bytes"),
            files: files.collect(),
            columns,
            findings,
            persons_estimate: inspection.get("persons_estimate").and_then(Value::as_u64),
            headline: headline(inspection).unwrap_or_default(),
            quality,
        }
    }
}

fn column_of(column: &Value, quality: &Value) -> CardColumn {
    let name = text(column, "name");
    let share = |of: &str| quality.get(of).map(|shares| number(shares, &name)).unwrap_or_default();
    CardColumn {
        r#type: text(column, "type"),
        class: None,
        suggested: column
            .get("suggested")
            .and_then(|class| serde_json::from_value(class.clone()).ok())
            .unwrap_or(ColumnClass::Sensitive),
        title: Localised::new(),
        nulls: number(column, "nulls"),
        distinct_estimate: number(column, "distinct_estimate"),
        complete_ppm: share("completeness_ppm"),
        unique_ppm: share("uniqueness_ppm"),
        findings: list(column, "identifiers")
            .map(|found| Finding { kind: text(found, "kind"), rows: number(found, "rows") })
            .collect(),
        name,
    }
}

fn list<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    value.get(member).and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, member: &str) -> String {
    value.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(value: &Value, member: &str) -> u64 {
    value.get(member).and_then(Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_only() {
        let inspection = json!({
            "rows": 4, "bytes": 900, "files": [{"name": "x.parquet", "sha256": "ab", "rows": 4, "bytes": 900}],
            "columns": [
                {"name": "mobile", "type": "Utf8", "suggested": "personal", "nulls": 1, "distinct_estimate": 3,
                 "identifiers": [{"kind": "hk_mobile", "rows": 3, "values": 3, "examples": ["5123****"]}],
                 "values": {"min": "51230000", "max": "51239999", "examples": ["51230000"]}},
                {"name": "note", "type": "Utf8", "suggested": "none", "nulls": 0, "distinct_estimate": 2,
                 "identifiers": [{"kind": "hk_mobile", "rows": 1, "values": 1, "examples": ["6123****"]}],
                 "values": {"min": "a", "max": "call 61230000", "examples": []}},
            ],
            "quality": {
                "completeness_ppm": {"mobile": 750_000, "note": 1_000_000}, "uniqueness_ppm": {"mobile": 1_000_000},
                "labels": {"column": "note", "classes": 2, "values": [{"label": "call 61230000", "rows": 1}]},
                "text": {"note": {"max": 13}}, "complete_ppm": 875_000,
            },
        });
        let card = Card::of_inspection("x.csv", &inspection);
        let shown = serde_json::to_string(&card).unwrap();
        assert!(!shown.contains("5123") && !shown.contains("6123"), "{shown}");
        assert_eq!(card.findings, [Finding { kind: "hk_mobile".to_owned(), rows: 4 }]);
        assert_eq!((card.columns[0].complete_ppm, card.headline.complete_ppm), (750_000, Some(875_000)));
        assert!(card.quality["text"].get("note").is_none(), "what inspection found in it hides it");
        assert_eq!(serde_json::from_str::<Card>(&shown).unwrap(), card);
    }

    #[test]
    fn nothing_inspected_is_an_empty_card() {
        let card = Card::of_inspection("empty", &Value::Null);
        assert_eq!((card.rows, card.columns.len(), card.headline), (0, 0, Headline::default()));
    }
}
