//! What inspection found against what was declared: a column whose class is lower than its identifiers ask for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ColumnClass, Manifest, ParticipantId};

/// A column in which more was found than was declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Dotted path of the column.
    pub column: String,
    /// Its class in the manifest.
    pub declared: ColumnClass,
    /// The least class that fits what was found.
    pub found: ColumnClass,
    /// The kinds of identifiers that ask for more than was declared, sorted.
    pub kinds: Vec<String>,
    /// Rows with at least one of the most frequent kind.
    pub rows: u64,
    /// Places of the first rows: `{"file", "row"}`, rows from 1.
    pub positions: Vec<Value>,
}

/// An officer's word that what was found in a column does not ask for another class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedFinding {
    /// The column.
    pub column: String,
    /// The kinds that had been found: any other kind is not covered.
    pub kinds: Vec<String>,
    /// Why.
    pub reason: String,
    /// The authority whose officer accepted.
    pub by: ParticipantId,
    /// When.
    pub at: Timestamp,
}

impl AcceptedFinding {
    /// Whether this speaks of all that was found.
    pub fn covers(&self, finding: &Finding) -> bool {
        self.column == finding.column && finding.kinds.iter().all(|kind| self.kinds.contains(kind))
    }
}

/// The class that identifiers of `kind` ask for; of a kind that this release does not know, the highest.
fn class_of(kind: &str) -> ColumnClass {
    let known = crate::scan::Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    known.map_or(ColumnClass::Sensitive, crate::scan::Kind::class)
}

/// The columns of an inspection result that hold more than `manifest` declares, in source order.
pub fn findings(inspection: &Value, manifest: &Manifest) -> Vec<Finding> {
    let columns = inspection.get("columns").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    columns.iter().filter_map(|column| finding(column, manifest)).collect()
}

fn finding(column: &Value, manifest: &Manifest) -> Option<Finding> {
    let name = column.get("name")?.as_str()?;
    let declared = manifest.class_of(name).unwrap_or(ColumnClass::None);
    let mut finding = Finding {
        column: name.to_owned(),
        declared,
        found: declared,
        kinds: Vec::new(),
        rows: 0,
        positions: Vec::new(),
    };
    for identifier in column.get("identifiers").and_then(Value::as_array).into_iter().flatten() {
        let kind = identifier.get("kind").and_then(Value::as_str).unwrap_or_default();
        let class = class_of(kind);
        if class <= declared {
            continue;
        }
        finding.found = finding.found.max(class);
        finding.kinds.push(kind.to_owned());
        finding.rows = finding.rows.max(identifier.get("rows").and_then(Value::as_u64).unwrap_or(0));
        for position in identifier.get("positions").and_then(Value::as_array).into_iter().flatten() {
            if finding.positions.len() < super::identify::POSITIONS && !finding.positions.contains(position) {
                finding.positions.push(position.clone());
            }
        }
    }
    finding.kinds.sort();
    (!finding.kinds.is_empty()).then_some(finding)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use serde_json::json;

    use super::*;

    fn manifest(class: &str) -> Manifest {
        let text = include_str!("tests/people.toml").replace("class = \"none\"", &format!("class = \"{class}\""));
        Manifest::parse(&text).unwrap()
    }

    fn inspection(kind: &str) -> Value {
        json!({"columns": [
            {"name": "id_no", "identifiers": [{"kind": "cn_resident_id", "rows": 9, "positions": []}]},
            {"name": "note", "identifiers": [
                {"kind": kind, "rows": 2, "positions": [{"file": "a.parquet", "row": 7}, {"file": "a.parquet", "row": 9}]},
                {"kind": "uscc", "rows": 5, "positions": [{"file": "a.parquet", "row": 1}]},
            ]},
        ]})
    }

    #[test]
    fn only_what_asks_for_more_than_was_declared() {
        let found = findings(&inspection("cn_mobile"), &manifest("none"));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].column.as_str(), found[0].declared, found[0].found),
            ("note", ColumnClass::None, ColumnClass::Personal)
        );
        assert_eq!((found[0].kinds.as_slice(), found[0].rows), (&["cn_mobile".to_owned()][..], 2));
        assert_eq!(found[0].positions[1], json!({"file": "a.parquet", "row": 9}));
        assert!(findings(&inspection("cn_mobile"), &manifest("personal")).is_empty());
        assert_eq!(findings(&inspection("hkid"), &manifest("personal"))[0].found, ColumnClass::Sensitive);
        assert!(findings(&inspection("hkid"), &manifest("sensitive")).is_empty());
        let accepted = AcceptedFinding {
            column: "note".to_owned(),
            kinds: vec!["cn_mobile".to_owned()],
            reason: "numbers of hotlines".to_owned(),
            by: ParticipantId::parse("regulator").unwrap(),
            at: Timestamp::UNIX_EPOCH,
        };
        assert!(accepted.covers(&found[0]));
        assert!(!accepted.covers(&findings(&inspection("hkid"), &manifest("none"))[0]));
        assert!(!AcceptedFinding { column: "other".to_owned(), ..accepted }.covers(&found[0]));
        // What we do not know we do not wave through; what is not there is not found.
        assert_eq!(findings(&inspection("new_kind"), &manifest("personal"))[0].found, ColumnClass::Sensitive);
        assert!(findings(&Value::Null, &manifest("none")).is_empty());
    }
}
