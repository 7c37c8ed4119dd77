//! Reading facts: a walk that knows the path of every member.

use std::collections::HashSet;
use std::fmt;

use jiff::civil::Date;

use super::json::Value;
use super::{
    Ciio, ColumnClass, Count, Dataset, DatasetClass, Dpp3, Exemption, ExemptionKind, Exporter, ExporterCounters,
    FactsError, Gathered, HongKong, ImportantStatus, Mechanism, MechanismKind, Moment, PolicyColumn, Preconditions,
    ReceivedDirection, ReceivedKind, ReceivedUnder, Recipient, Selection, Subjects, time,
};
use crate::place::{AccessedFrom, Place, WANT as WANT_PLACE};

/// The longest facts text that is read.
pub const FACTS_BYTES_MAX: usize = 16 << 20;

const WANT_COUNT: &str = "a whole number from 0 to 9007199254740991";
const WANT_TIME: &str = "an RFC 3339 time such as `2026-11-22T10:00:00+08:00`";
const WANT_DATE: &str = "a date such as `2026-10-01`";

type Read<T> = Result<T, FactsError>;

/// Reads the JSON text of facts.
pub(super) fn gathered(json: &str) -> Read<Gathered> {
    if json.len() > FACTS_BYTES_MAX {
        return Err(FactsError::TooLong { bytes: json.len() });
    }
    let value: Value = serde_json::from_str(json)
        .map_err(|error| FactsError::NotJson { detail: super::shorten(&error.to_string()) })?;
    let root = Path { parent: None, step: Step::Root };
    let facts = Object::of(
        &value,
        &root,
        &[
            "now",
            "purpose",
            "exporter",
            "recipient",
            "dataset",
            "columns",
            "licence",
            "mechanism",
            "preconditions",
            "exemption",
            "hk",
        ],
    )?;
    Ok(Gathered {
        now: facts.read("now", WANT_TIME, moment)?,
        purpose: facts.text("purpose")?,
        exporter: facts.object("exporter", exporter)?,
        recipient: facts.object("recipient", recipient)?,
        dataset: facts.object("dataset", dataset)?,
        columns: selection(&facts)?,
        licence: facts.optional_text("licence")?,
        mechanism: facts.optional("mechanism", mechanism)?,
        preconditions: facts.object("preconditions", preconditions)?,
        exemption: facts.optional("exemption", exemption)?,
        hk: facts.optional("hk", hong_kong)?,
    })
}

fn exporter(value: &Value, path: &Path<'_>) -> Read<Exporter> {
    let exporter = Object::of(value, path, &["id", "place", "ciio", "counters"])?;
    Ok(Exporter {
        id: exporter.text("id")?,
        place: exporter.read("place", WANT_PLACE, place)?,
        ciio: exporter.word("ciio", Ciio::ALL, Ciio::as_str)?,
        counters: exporter.object("counters", |value, path| {
            let counters = Object::of(value, path, &["persons", "sensitive", "baseline"])?;
            Ok(ExporterCounters {
                persons: counters.read("persons", WANT_COUNT, count)?,
                sensitive: counters.read("sensitive", WANT_COUNT, count)?,
                baseline: counters.flag("baseline")?,
            })
        })?,
    })
}

fn recipient(value: &Value, path: &Path<'_>) -> Read<Recipient> {
    let known = ["id", "place", "accessed_from", "restricted", "foreign_authority_request"];
    let recipient = Object::of(value, path, &known)?;
    let want = format!("{WANT_PLACE}; or `unknown`");
    Ok(Recipient {
        id: recipient.text("id")?,
        place: recipient.read("place", WANT_PLACE, place)?,
        accessed_from: recipient
            .read("accessed_from", &want, |value| text(value).and_then(|text| AccessedFrom::parse(text).ok()))?,
        restricted: recipient.flag("restricted")?,
        foreign_authority_request: recipient.flag("foreign_authority_request")?,
    })
}

fn dataset(value: &Value, path: &Path<'_>) -> Read<Dataset> {
    let dataset = Object::of(
        value,
        path,
        &[
            "id",
            "version",
            "class",
            "important_status",
            "state_secret",
            "controlled_item",
            "genetic_resource",
            "geospatial",
            "source_statement",
            "collected_in",
            "domestic_pi_introduced",
            "columns",
            "subjects",
            "received_under",
        ],
    )?;
    Ok(Dataset {
        id: dataset.text("id")?,
        version: dataset.text("version")?,
        class: dataset.word("class", DatasetClass::ALL, DatasetClass::as_str)?,
        important_status: dataset.word("important_status", ImportantStatus::ALL, ImportantStatus::as_str)?,
        state_secret: dataset.flag("state_secret")?,
        controlled_item: dataset.flag("controlled_item")?,
        genetic_resource: dataset.flag("genetic_resource")?,
        geospatial: dataset.flag("geospatial")?,
        source_statement: dataset.flag("source_statement")?,
        collected_in: dataset.list("collected_in", "a list of places", |value, path| {
            place(value).ok_or_else(|| wrong(value, path, WANT_PLACE))
        })?,
        domestic_pi_introduced: dataset.flag("domestic_pi_introduced")?,
        columns: dataset.list("columns", "a list of columns", |value, path| {
            let column = Object::of(value, path, &["name", "class"])?;
            Ok(PolicyColumn {
                name: column.text("name")?,
                class: column.word("class", ColumnClass::ALL, ColumnClass::as_str)?,
            })
        })?,
        subjects: dataset.optional("subjects", |value, path| {
            let subjects = Object::of(value, path, &["persons", "sensitive", "under_14"])?;
            Ok(Subjects {
                persons: subjects.read("persons", WANT_COUNT, count)?,
                sensitive: subjects.read("sensitive", WANT_COUNT, count)?,
                under_14: subjects.read("under_14", WANT_COUNT, count)?,
            })
        })?,
        received_under: dataset.optional("received_under", |value, path| {
            let received = Object::of(value, path, &["kind", "direction"])?;
            Ok(ReceivedUnder {
                kind: received.word("kind", ReceivedKind::ALL, ReceivedKind::as_str)?,
                direction: received.word("direction", ReceivedDirection::ALL, ReceivedDirection::as_str)?,
            })
        })?,
    })
}

fn mechanism(value: &Value, path: &Path<'_>) -> Read<Mechanism> {
    let mechanism = Object::of(
        value,
        path,
        &["kind", "reference", "effective", "filed", "expires", "datasets", "purposes", "persons_max"],
    )?;
    let texts = |name, want| {
        mechanism
            .list(name, want, |value, path| text(value).map(str::to_owned).ok_or_else(|| wrong(value, path, "a text")))
    };
    let optional_date =
        |name| mechanism.optional(name, |value, path| date(value).ok_or_else(|| wrong(value, path, WANT_DATE)));
    Ok(Mechanism {
        kind: mechanism.word("kind", MechanismKind::ALL, MechanismKind::as_str)?,
        reference: mechanism.text("reference")?,
        effective: mechanism.read("effective", WANT_DATE, date)?,
        filed: optional_date("filed")?,
        expires: optional_date("expires")?,
        datasets: texts("datasets", "a list of dataset ids, or of `*`")?,
        purposes: texts("purposes", "a list of purposes, or of `*`")?,
        persons_max: mechanism
            .optional("persons_max", |value, path| count(value).ok_or_else(|| wrong(value, path, WANT_COUNT)))?,
    })
}

fn preconditions(value: &Value, path: &Path<'_>) -> Read<Preconditions> {
    let preconditions = Object::of(value, path, &["notice", "separate_consent", "pipia"])?;
    Ok(Preconditions {
        notice: preconditions.flag("notice")?,
        separate_consent: preconditions.flag("separate_consent")?,
        pipia: preconditions.optional_text("pipia")?,
    })
}

fn exemption(value: &Value, path: &Path<'_>) -> Read<Exemption> {
    let exemption = Object::of(value, path, &["kind", "evidence"])?;
    Ok(Exemption {
        kind: exemption.word("kind", ExemptionKind::ALL, ExemptionKind::as_str)?,
        evidence: exemption.optional_text("evidence")?,
    })
}

fn hong_kong(value: &Value, path: &Path<'_>) -> Read<HongKong> {
    let hk = Object::of(value, path, &["dpp3"])?;
    Ok(HongKong { dpp3: hk.word("dpp3", Dpp3::ALL, Dpp3::as_str)? })
}

fn moment(value: &Value) -> Option<Moment> {
    text(value).and_then(|text| Moment::parse(text).ok())
}

fn date(value: &Value) -> Option<Date> {
    text(value).and_then(time::date)
}

fn place(value: &Value) -> Option<Place> {
    text(value).and_then(|text| Place::parse(text).ok())
}

fn count(value: &Value) -> Option<Count> {
    match value {
        Value::Integer(value) => Count::try_from(*value).ok(),
        _ => None,
    }
}

fn selection(facts: &Object<'_>) -> Read<Selection> {
    const WANT: &str = "`*` or a list of column names";
    match facts.required("columns", WANT)? {
        Value::Text(text) if text == "*" => Ok(Selection::All),
        Value::List(_) => facts
            .list("columns", WANT, |value, path| {
                text(value).map(str::to_owned).ok_or_else(|| wrong(value, path, "a text"))
            })
            .map(Selection::Named),
        other => Err(wrong(other, &facts.path.member("columns"), WANT)),
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn wrong(value: &Value, path: &Path<'_>, want: &str) -> FactsError {
    FactsError::Wrong { path: path.to_string(), found: value.describe(), want: want.to_owned() }
}

/// Where the walk is; written out only when something is wrong.
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Root,
    Member(&'a str),
    Item(usize),
}

impl<'a> Path<'a> {
    fn member(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Member(name) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match &self.step {
            Step::Root => f.write_str("facts"),
            Step::Member(name) => write!(f, ".{}", super::shorten(name)),
            Step::Item(index) => write!(f, "[{index}]"),
        }
    }
}

/// An object whose members are all known and occur once.
struct Object<'a> {
    members: &'a [(String, Value)],
    path: &'a Path<'a>,
}

impl<'a> Object<'a> {
    fn of(value: &'a Value, path: &'a Path<'a>, known: &[&str]) -> Read<Self> {
        let Value::Object(members) = value else {
            return Err(wrong(value, path, "an object"));
        };
        let mut seen = HashSet::with_capacity(members.len());
        for (name, _) in members {
            if !seen.insert(name.as_str()) {
                return Err(FactsError::Duplicate { path: path.member(name).to_string() });
            }
            if !known.contains(&name.as_str()) {
                let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
                return Err(FactsError::Unknown { path: path.member(name).to_string(), known: known.join(", ") });
            }
        }
        Ok(Self { members, path })
    }

    fn find(&self, name: &str) -> Option<&'a Value> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    fn required(&self, name: &str, want: &str) -> Read<&'a Value> {
        self.find(name)
            .ok_or_else(|| FactsError::Missing { path: self.path.member(name).to_string(), want: want.to_owned() })
    }

    /// A scalar: `parse` says whether the value is one.
    fn read<T>(&self, name: &str, want: &str, parse: impl Fn(&'a Value) -> Option<T>) -> Read<T> {
        let value = self.required(name, want)?;
        parse(value).ok_or_else(|| wrong(value, &self.path.member(name), want))
    }

    fn text(&self, name: &str) -> Read<String> {
        self.read(name, "a text", |value| text(value).map(str::to_owned))
    }

    fn flag(&self, name: &str) -> Read<bool> {
        self.read(name, "`true` or `false`", |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })
    }

    fn word<T: Copy>(&self, name: &str, all: &[T], as_str: impl Fn(T) -> &'static str) -> Read<T> {
        let words: Vec<_> = all.iter().map(|word| format!("`{}`", as_str(*word))).collect();
        let want = match words.as_slice() {
            [only] => only.clone(),
            _ => format!("one of {}", words.join(", ")),
        };
        self.read(name, &want, |value| {
            let text = text(value)?;
            all.iter().copied().find(|word| as_str(*word) == text)
        })
    }

    fn object<T>(&self, name: &str, read: impl Fn(&'a Value, &Path<'_>) -> Read<T>) -> Read<T> {
        let value = self.required(name, "an object")?;
        read(value, &self.path.member(name))
    }

    /// A member that may be absent or null.
    fn optional<T>(&self, name: &str, read: impl Fn(&'a Value, &Path<'_>) -> Read<T>) -> Read<Option<T>> {
        match self.find(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value, &self.path.member(name)).map(Some),
        }
    }

    fn optional_text(&self, name: &str) -> Read<Option<String>> {
        self.optional(name, |value, path| {
            text(value).map(str::to_owned).ok_or_else(|| wrong(value, path, "a text or null"))
        })
    }

    fn list<T>(&self, name: &str, want: &str, read: impl Fn(&'a Value, &Path<'_>) -> Read<T>) -> Read<Vec<T>> {
        let value = self.required(name, want)?;
        let path = self.path.member(name);
        let Value::List(items) = value else {
            return Err(wrong(value, &path, want));
        };
        items
            .iter()
            .enumerate()
            .map(|(index, item)| read(item, &Path { parent: Some(&path), step: Step::Item(index) }))
            .collect()
    }
}
