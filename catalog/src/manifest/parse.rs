//! Manifest text to [`Manifest`]: every rule of INTERFACE.md, "Dataset manifest", each error with its line and fix.

use std::cell::RefCell;
use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::derived::derived_from;
use super::fault::{Faults, ManifestError};
use super::offer::offer;
use super::section::{Section, clipped};
use super::{
    AnonymisationReport, ColumnSection, Compliance, DataClass, DatasetSection, Dpp3, Exemption, ExemptionKind,
    ImportantStatus, Manifest, ReceivedDirection, ReceivedKind, ReceivedUnder, Subjects,
};
use crate::{ColumnClass, DatasetId, Digest, ParticipantId, Place, VersionName};

/// Largest manifest, in bytes.
pub const MANIFEST_BYTES_MAX: usize = 256 * 1024;
/// Most `[columns.…]` tables, as many as a file may have columns.
const COLUMNS_MAX: usize = 4096;
/// Deepest group under `[columns]`.
const COLUMN_DEPTH_MAX: usize = 32;

impl Manifest {
    /// Parses and checks a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] names the line, the key, what is wrong and what would be right; it lists up to 50 problems.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MANIFEST_BYTES_MAX {
            let message = format!("the manifest has {} bytes", text.len());
            return Err(ManifestError::whole(message, format!("write at most {MANIFEST_BYTES_MAX}")));
        }
        let faults = RefCell::new(Faults::new(text));
        let (root, broken) = DeTable::parse_recoverable(text);
        for error in &broken {
            let span = error.span().unwrap_or_default();
            faults.borrow_mut().add(&span, "", error.message(), "write one `key = value` a line, each key once");
        }
        if !broken.is_empty() {
            return Err(failed(faults));
        }
        let manifest = read(&root, &faults);
        match (manifest, faults.into_inner().finish()) {
            (Some(manifest), None) => Ok(manifest),
            (_, Some(error)) => Err(error),
            (None, None) => {
                Err(ManifestError::whole("the manifest is not complete", "start from the documented example"))
            }
        }
    }
}

fn failed(faults: RefCell<Faults<'_>>) -> ManifestError {
    let unreadable = || ManifestError::whole("the manifest is not TOML", "start from the documented example");
    faults.into_inner().finish().unwrap_or_else(unreadable)
}

fn read<'a>(root: &'a toml::Spanned<DeTable<'a>>, faults: &RefCell<Faults<'a>>) -> Option<Manifest> {
    let mut top = Section::new(String::new(), root.span(), root.get_ref(), faults);
    // Every section is read before the first failure returns, so that one upload shows all problems.
    let dataset = top.section("dataset", true, "write a [dataset] table").and_then(dataset);
    let columns = top.section("columns", false, "write [columns.<name>] tables").map_or_else(
        || Some(BTreeMap::new()),
        |section| {
            let mut columns = BTreeMap::new();
            columns_of(&section, "", 0, &mut columns);
            Some(columns)
        },
    );
    let offer = top.section("offer", true, "write an [offer] table").and_then(offer);
    let compliance = top
        .section("compliance", false, "write a [compliance] table")
        .map_or_else(|| Some(Compliance::default()), compliance);
    let derived_from = derived_from(&mut top);
    if top.value("rows").is_some() {
        top.fault(
            "rows",
            "row filters are not enforced yet",
            "remove [rows]: publishing it would promise what is not done",
        );
    }
    top.finish();
    Some(Manifest {
        dataset: dataset?,
        columns: columns?,
        offer: offer?,
        compliance: compliance?,
        derived_from: derived_from?,
    })
}

/// A string of a fixed vocabulary, by serde's spelling of it, so that it has one home.
pub(super) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|_| format!("is `{}`", clipped(text)))
}

pub(super) fn not_empty(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("is empty") } else { Ok(text.to_owned()) }
}

/// A BCP 47 tag by its shape: subtags of 1 to 8 letters and digits, the first of letters.
fn language_tag(text: &str) -> Result<String, String> {
    let shaped = text.split('-').enumerate().all(|(number, subtag)| {
        (1..=8).contains(&subtag.len())
            && subtag.bytes().all(|b| if number == 0 { b.is_ascii_alphabetic() } else { b.is_ascii_alphanumeric() })
    });
    let primary = text.split('-').next().unwrap_or_default().len();
    if shaped && text.len() <= 35 && (primary != 1 || text.starts_with("x-") || text.starts_with("i-")) {
        Ok(text.to_owned())
    } else {
        Err(format!("names the language `{}`", clipped(text)))
    }
}

fn dataset(mut at: Section<'_, '_>) -> Option<DatasetSection> {
    let places = "write places such as \"HK\", \"CN\" or \"CN-440300\"";
    let id = at.parsed("id", "write 3 to 64 of a-z, 0-9 and -", DatasetId::parse);
    let version = at.parsed("version", "write a name such as \"1\"", VersionName::parse);
    let title = at.localised("title", true);
    let description = at.localised("description", false);
    let language = at.list("language", false, "write BCP 47 tags such as [\"yue\", \"zh-Hant\"]", language_tag);
    let theme = at.list("theme", false, "write a list of strings", not_empty);
    let keyword = at.list("keyword", false, "write a list of strings", not_empty);
    let licence = at.parsed("licence", "write an SPDX id such as \"CC-BY-4.0\" or a URL", not_empty);
    let source = "say where the data come from and by what right (DSL Art. 33)";
    let source_statement = at.parsed("source_statement", source, |text| Ok::<_, String>(text.to_owned()));
    let collected_in = at.list("collected_in", true, places, Place::parse);
    let collected_from = at.date("collected_from");
    let collected_to = at.date("collected_to");
    if let (Some(from), Some(to)) = (collected_from, collected_to)
        && from > to
    {
        at.fault("collected_to", format!("is {to}, before collected_from {from}"), "write the later day last");
    }
    let place = at.parsed("place", "write where the bytes are stored, \"CN-440300\" or \"HK\"", Place::parse);
    let classes = "write \"none\", \"personal\" or \"sensitive\"";
    let columns_default = at.optional("columns_default", classes, word::<ColumnClass>);
    let provider = at.optional("provider", "write a participant's id", ParticipantId::parse);
    let class = at.parsed("class", "write \"general\", \"important\", \"core\" or \"unknown\"", word::<DataClass>);
    let statuses = "write \"no\", \"notified\", \"published\", \"self_suspected\" or \"unknown\"";
    let important_status = at.parsed("important_status", statuses, word::<ImportantStatus>);
    let controlled_item = at.flag("controlled_item", true);
    let genetic_resource = at.flag("genetic_resource", true);
    let geospatial = at.flag("geospatial", true);
    let state_secret = at.flag("state_secret", true);
    let subjects = match at.section("subjects", false, "write { persons = 0, sensitive = 0, under_14 = 0 }") {
        Some(section) => subjects(section).map(Some),
        None => Some(None),
    };
    let subject_key = at.optional("subject_key", "write the dotted name of a column", not_empty);
    let label_column = at.optional("label_column", "write the dotted name of a column", not_empty);
    at.finish();
    Some(DatasetSection {
        id: id?,
        version: version?,
        title: title?,
        description: description?,
        language: language?,
        theme: theme?,
        keyword: keyword?,
        licence: licence?,
        source_statement: source_statement?,
        collected_in: collected_in?,
        collected_from,
        collected_to,
        place: place?,
        columns_default,
        provider,
        class: class?,
        important_status: important_status?,
        controlled_item: controlled_item?,
        genetic_resource: genetic_resource?,
        geospatial: geospatial?,
        state_secret: state_secret?,
        subjects: subjects?,
        subject_key,
        label_column,
    })
}

fn subjects(mut at: Section<'_, '_>) -> Option<Subjects> {
    let persons = at.count("persons", true, u64::MAX);
    let sensitive = at.count("sensitive", true, u64::MAX);
    let under_14 = at.count("under_14", true, u64::MAX);
    for (key, part) in [("sensitive", sensitive), ("under_14", under_14)] {
        if let (Some(part), Some(persons)) = (part, persons)
            && part > persons
        {
            at.fault(key, format!("is {part}, more than the {persons} persons"), "count them among `persons` too");
        }
    }
    at.finish();
    Some(Subjects { persons: persons?, sensitive: sensitive?, under_14: under_14? })
}

/// Reads `[columns.…]`: a table with a `class` string is a column or group, and the tables in it are its leaves.
fn columns_of(at: &Section<'_, '_>, above: &str, depth: usize, columns: &mut BTreeMap<String, ColumnSection>) {
    let fix = "write [columns.<name>] with class = \"none\", \"personal\" or \"sensitive\"";
    for (key, value) in at.table() {
        let name = key.get_ref().as_ref();
        let is_class = name == "class" && value.get_ref().as_table().is_none();
        let is_title = name == "title" && value.get_ref().as_table().is_some_and(|table| !table.contains_key("class"));
        if depth > 0 && (is_class || is_title) {
            continue;
        }
        let path = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
        let shown = at.path(name);
        let Some(table) = value.get_ref().as_table().filter(|_| depth < COLUMN_DEPTH_MAX) else {
            let fix = if depth > 0 { "the keys here are class and title" } else { fix };
            at.faults().borrow_mut().add(&key.span(), &shown, "is not a known key", fix);
            continue;
        };
        let mut section = Section::new(shown.clone(), value.span(), table, at.faults());
        let group = table.values().any(|inner| matches!(inner.get_ref(), DeValue::Table(_)));
        if table.contains_key("class") && !table.get("class").is_some_and(|class| class.get_ref().is_table()) {
            let class = section.parsed("class", "write \"none\", \"personal\" or \"sensitive\"", word::<ColumnClass>);
            let titled = table
                .get("title")
                .is_some_and(|title| !title.get_ref().as_table().is_some_and(|t| t.contains_key("class")));
            let title = if titled { section.localised("title", false) } else { None };
            if let Some(class) = class
                && columns.insert(path.clone(), ColumnSection { class, title: title.unwrap_or_default() }).is_some()
            {
                at.faults().borrow_mut().add(&key.span(), &shown, "is declared twice", "keep one of the two spellings");
            }
        } else if !group || is_title_only(table) {
            section.fault("class", "is missing", fix);
        }
        if columns.len() > COLUMNS_MAX {
            section.fault(
                "class",
                format!("is one of more than {COLUMNS_MAX} columns"),
                "declare groups or columns_default",
            );
            return;
        }
        columns_of(&section, &path, depth + 1, columns);
    }
}

/// Whether the only table in a column's table is its title, so that it is a column without a class, not a mere group.
fn is_title_only(table: &DeTable<'_>) -> bool {
    table.iter().all(|(key, value)| {
        key.get_ref().as_ref() == "title"
            && !value.get_ref().as_table().is_some_and(|title| title.contains_key("class"))
    })
}

fn compliance(mut at: Section<'_, '_>) -> Option<Compliance> {
    let reference = |text: &str| Ok::<_, String>(Some(text.to_owned()).filter(|text| !text.trim().is_empty()));
    let notice = at.flag("notice", false);
    let separate_consent = at.flag("separate_consent", false);
    // An empty reference counts as none (POLICY.md, "Input").
    let pipia = at.optional("pipia", "write the reference as a string", reference).flatten();
    let export_licence = at.optional("export_licence", "write the reference as a string", reference).flatten();
    let answers = "write \"same-purpose\", \"consented\", \"research-exempt\", \"new-purpose\" or \"unknown\"";
    let dpp3 = at.optional("dpp3", answers, word::<Dpp3>);
    let said = at.table().contains_key("domestic_pi_introduced");
    let domestic_pi_introduced = at.flag("domestic_pi_introduced", false).map(|flag| said.then_some(flag));
    let exemption = match at.section("exemption", false, "write { kind = \"transit\", evidence = \"sha256:…\" }") {
        Some(section) => exemption(section).map(Some),
        None => Some(None),
    };
    let received = "write { kind = \"gba_sc\", direction = \"CN->HK\" }";
    let received_under = match at.section("received_under", false, received) {
        Some(section) => received_section(section).map(Some),
        None => Some(None),
    };
    let report = "write { reference = \"…\", evidence = \"sha256:…\" }";
    let anonymisation_report = match at.section("anonymisation_report", false, report) {
        Some(section) => anonymisation(section).map(Some),
        None => Some(None),
    };
    at.finish();
    Some(Compliance {
        notice: notice?,
        separate_consent: separate_consent?,
        pipia,
        export_licence,
        dpp3,
        domestic_pi_introduced: domestic_pi_introduced?,
        exemption: exemption?,
        received_under: received_under?,
        anonymisation_report: anonymisation_report?,
    })
}

fn exemption(mut at: Section<'_, '_>) -> Option<Exemption> {
    let kinds = "write \"transit\", \"individual-contract\", \"hr\" or \"emergency\"";
    let kind = at.parsed("kind", kinds, word::<ExemptionKind>);
    let evidence = at.optional("evidence", "write `sha256:` and the 64 hex digits of the evidence", |text| {
        if text.is_empty() {
            return Ok(None);
        }
        let digest = text.starts_with("sha256:").then(|| Digest::parse(text).ok()).flatten();
        digest.map(|digest| Some(digest.to_string())).ok_or_else(|| format!("is `{}`", clipped(text)))
    });
    at.finish();
    Some(Exemption { kind: kind?, evidence: evidence.flatten() })
}

fn anonymisation(mut at: Section<'_, '_>) -> Option<AnonymisationReport> {
    let reference = at.parsed("reference", "write the report's reference", not_empty);
    let evidence = at.parsed("evidence", "write `sha256:` and the 64 hex digits of the signed report", |text| {
        let digest = text.starts_with("sha256:").then(|| Digest::parse(text).ok()).flatten();
        digest.ok_or_else(|| format!("is `{}`", clipped(text)))
    });
    at.finish();
    Some(AnonymisationReport { reference: reference?, evidence: evidence? })
}

fn received_section(mut at: Section<'_, '_>) -> Option<ReceivedUnder> {
    let kind = at.parsed("kind", "write \"gba_sc\"", word::<ReceivedKind>);
    let direction = at.parsed("direction", "write \"CN->HK\" or \"HK->CN\"", word::<ReceivedDirection>);
    at.finish();
    Some(ReceivedUnder { kind: kind?, direction: direction? })
}
