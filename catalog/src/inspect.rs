//! Inspection of a version (INTERFACE.md, "Inspection result"): streams every row of its stored files once, in bounded
//! memory, and says what is in them.

mod consumer;
mod declared;
mod dictionary;
mod distinct;
mod findings;
mod identify;
mod leaves;
mod measure;
mod persons;
mod script;
mod suggest;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use bytes::Bytes;
use jiff::civil::Date;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use serde_json::{Value, json};

use self::dictionary::Dictionaries;
use self::distinct::Distinct;
use self::identify::Identifiers;
use self::measure::Measure;
use self::script::Scripts;
use crate::admit::Admitted;
use crate::guard::guarded;
use crate::layout::Gap;
use crate::quality::{Counts, Quality};
use crate::scan::Scanner;
use crate::{FileIndex, Manifest};

pub use consumer::{headline_for_consumer, inspection_for_consumer, inspection_undeclared};
pub use declared::{DeclaredError, check_columns};
pub(crate) use distinct::hash;
pub use findings::{AcceptedFinding, Finding, findings};
pub(crate) use leaves::LeafArray;

/// Rows of which duplicates are counted exactly.
const EXACT_ROWS: usize = 1 << 20;

/// Why a file was not inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The files of one version must have the same columns.
    #[error("file `{file}`: column `{column}` {what}")]
    Columns {
        /// The file at fault.
        file: String,
        /// Its column, or the missing one.
        column: String,
        /// How it differs.
        what: String,
    },
    /// The file's values cannot be read although its layout is right.
    #[error("file `{file}` cannot be read: {what}")]
    Unreadable {
        /// The file at fault.
        file: String,
        /// What the reader says.
        what: String,
    },
}

/// Parts per million, rounded down; a part of nothing is whole.
pub(crate) fn ppm(part: u64, whole: u64) -> u64 {
    let ppm = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    if whole == 0 { 1_000_000 } else { u64::try_from(ppm).unwrap_or(1_000_000) }
}

/// Collects what the files of one version hold.
#[derive(Debug)]
pub struct Inspector<'a> {
    manifest: Option<&'a Manifest>,
    /// Path and type of each leaf column, from the first file.
    leaves: Vec<(String, String)>,
    measures: Vec<Measure>,
    /// Of each leaf column: the identifiers in its values.
    identifiers: Vec<Identifiers>,
    scanner: Scanner,
    /// Distinct rows; `None` when the columns have a type whose rows cannot be compared.
    distinct_rows: Option<Distinct>,
    /// The quality report, once the columns are known.
    quality: Option<Quality>,
    registered: Option<Date>,
    reports: bool,
    files: Vec<Value>,
    packed: BTreeMap<String, Vec<Gap>>,
    key_values: BTreeMap<String, u64>,
    rows: u64,
    bytes: u64,
}

impl<'a> Inspector<'a> {
    /// With the manifest, declared classes stand beside suggested ones, and its subject key is counted.
    pub fn new(manifest: Option<&'a Manifest>) -> Self {
        Self {
            manifest,
            leaves: Vec::new(),
            measures: Vec::new(),
            identifiers: Vec::new(),
            scanner: Scanner::new(Date::MAX),
            distinct_rows: Some(Distinct::new(EXACT_ROWS)),
            quality: None,
            registered: None,
            reports: true,
            files: Vec::new(),
            packed: BTreeMap::new(),
            key_values: BTreeMap::new(),
            rows: 0,
            bytes: 0,
        }
    }

    /// As of the day of registration: ages count from it, and nobody was born later, so a number that says so is no
    /// person's. Without it the report says nothing about freshness.
    #[must_use]
    pub fn registered_on(mut self, day: Date) -> Self {
        self.registered = Some(day);
        self.scanner = Scanner::new(day);
        self
    }

    /// Leaves the quality report out: what it costs can be measured.
    #[must_use]
    pub const fn without_report(mut self) -> Self {
        self.reports = false;
        self
    }

    /// Adds a stored file: its bytes, what [`crate::admit::admit`] found, and the gaps that packing left out of it.
    ///
    /// # Errors
    /// [`InspectError`] names the column that the other files do not have, or what cannot be read. After an error the
    /// inspector is of no more use.
    pub fn add(&mut self, name: &str, bytes: Bytes, admitted: &Admitted, packed: &[Gap]) -> Result<(), InspectError> {
        self.same_columns(name, &admitted.index)?;
        let unreadable = |what: String| InspectError::Unreadable { file: name.to_owned(), what };
        let opened = guarded(|| File::open(bytes, admitted.batch_rows, self.registered.unwrap_or(Date::MAX)));
        let mut file = opened.map_err(|error| unreadable(error.to_string()))?.map_err(unreadable)?;
        let mut converter = self.distinct_rows.as_ref().and_then(|_| row_converter(file.metadata.schema()));
        if converter.is_none() {
            self.distinct_rows = None;
        }
        let mut rows = 0u64;
        for row_group in 0..file.dictionaries.row_groups() {
            // The reader, and whatever looks at what it gives, meets bytes from outside.
            let step = guarded(|| self.row_group(&mut file, row_group, rows, converter.as_mut()));
            rows += step.map_err(|error| unreadable(error.to_string()))?.map_err(unreadable)?;
        }
        if rows != admitted.index.rows() {
            return Err(unreadable(format!("it has {rows} rows, but its footer says {}", admitted.index.rows())));
        }
        self.rows += rows;
        self.bytes += admitted.index.bytes;
        self.files.push(json!({
            "name": name, "sha256": admitted.index.sha256.hex(), "rows": rows, "bytes": admitted.index.bytes,
        }));
        if !packed.is_empty() {
            self.packed.insert(name.to_owned(), packed.to_vec());
        }
        for (key, length) in &admitted.key_values {
            let longest = self.key_values.entry(key.clone()).or_default();
            *longest = (*longest).max(*length);
        }
        Ok(())
    }

    fn same_columns(&mut self, file: &str, index: &FileIndex) -> Result<(), InspectError> {
        let leaves = index.leaves.iter().map(|leaf| (leaf.path.clone(), leaf.r#type.clone()));
        if self.files.is_empty() {
            self.leaves = leaves.collect();
            let key = self.manifest.and_then(|manifest| manifest.dataset.subject_key.as_deref());
            self.measures = self.leaves.iter().map(|(path, _)| Measure::new(key == Some(path))).collect();
            if self.reports {
                let paths = self.leaves.iter().map(|(path, _)| path.clone()).collect();
                let entry = self.manifest.map(|manifest| &manifest.dataset);
                self.quality = Some(Quality::new(paths, entry, self.registered));
            }
            self.identifiers = self.leaves.iter().map(|(path, _)| Identifiers::new(path)).collect();
            return Ok(());
        }
        let wrong = |column: &str, what: String| {
            Err(InspectError::Columns { file: file.to_owned(), column: column.to_owned(), what })
        };
        let mut expected = self.leaves.iter();
        for (path, kind) in leaves {
            match expected.next() {
                None => return wrong(&path, "is not in the other files of the version".to_owned()),
                Some((other, _)) if *other != path => {
                    return wrong(&path, format!("stands where the other files have `{other}`"));
                }
                Some((_, other)) if *other != kind => {
                    return wrong(&path, format!("is {kind}, but {other} in the other files of the version"));
                }
                Some(_) => {}
            }
        }
        match expected.next() {
            Some((missing, _)) => wrong(missing, "is missing, but in the other files of the version".to_owned()),
            None => Ok(()),
        }
    }

    /// Inspects a row group, before which the file has `before` rows; answers how many it has itself.
    fn row_group(
        &mut self,
        file: &mut File,
        row_group: usize,
        before: u64,
        mut converter: Option<&mut RowConverter>,
    ) -> Result<u64, String> {
        let failed = |error: parquet::errors::ParquetError| error.to_string();
        let mut unused = file.dictionaries.suspicious(row_group, &self.identifiers).map_err(failed)?;
        let mut rows = 0u64;
        for batch in file.reader(row_group).map_err(failed)? {
            let batch = batch.map_err(|error| error.to_string())?;
            self.batch(&batch, before + rows, &mut unused, converter.as_deref_mut())?;
            rows += batch.num_rows() as u64;
        }
        for (number, (column, unused)) in self.identifiers.iter_mut().zip(&mut unused).enumerate() {
            file.dictionaries.add_unused(row_group, number, column, unused).map_err(failed)?;
        }
        Ok(rows)
    }

    fn batch(
        &mut self,
        batch: &RecordBatch,
        before: u64,
        unused: &mut [HashSet<u64>],
        converter: Option<&mut RowConverter>,
    ) -> Result<(), String> {
        let mut arrays = Vec::with_capacity(self.measures.len());
        for column in batch.columns() {
            leaves::collect(column, &mut arrays);
        }
        if arrays.len() != self.measures.len() {
            return Err(format!("it has {} leaf columns, but its schema {}", arrays.len(), self.measures.len()));
        }
        for ((measure, array), (path, _)) in self.measures.iter_mut().zip(&arrays).zip(&self.leaves) {
            measure.add(array).map_err(|error| format!("column `{path}`: {error}"))?;
        }
        if let Some(quality) = &mut self.quality {
            quality.batch(batch, &arrays).map_err(|error| error.to_string())?;
        }
        let place = (self.files.len(), before);
        for ((identifiers, array), unused) in self.identifiers.iter_mut().zip(&arrays).zip(unused) {
            identifiers.add(&mut self.scanner, array, place, unused).map_err(|error| error.to_string())?;
        }
        if let (Some(distinct), Some(converter)) = (&mut self.distinct_rows, converter) {
            let rows = converter.convert_columns(batch.columns()).map_err(|error| error.to_string())?;
            for row in &rows {
                distinct.add(hash(row.as_ref()));
            }
        }
        Ok(())
    }

    /// The inspection result. It holds cell values in `values` of a column: what a consumer gets is
    /// [`inspection_for_consumer`].
    pub fn finish(self) -> Value {
        let mut scripts = Scripts::default();
        let mut columns = Vec::with_capacity(self.leaves.len());
        let mut completeness = serde_json::Map::new();
        let names: Vec<String> =
            self.files.iter().filter_map(|file| file.get("name")?.as_str().map(str::to_owned)).collect();
        let mut persons = persons::found(&self.identifiers);
        for (((path, kind), measure), identifiers) in self.leaves.iter().zip(&self.measures).zip(&self.identifiers) {
            let findings = identifiers.findings();
            let suggestion = suggest::of(path, kind);
            let mut column = json!({
                "name": path,
                "type": kind,
                "suggested": suggestion.class.max(Identifiers::class(&findings)),
                "nulls": measure.nulls,
                "distinct_estimate": measure.distinct.estimate(),
                "identifiers": findings.iter().map(|finding| finding.to_json(self.rows, &names)).collect::<Vec<_>>(),
                "values": measure.cells(),
            });
            if let (Some(column), Some(declared)) =
                (column.as_object_mut(), self.manifest.and_then(|manifest| manifest.class_of(path)))
            {
                column.insert("declared".to_owned(), json!(declared));
            }
            if let (Some(column), false) = (column.as_object_mut(), suggestion.suspected.is_empty()) {
                column.insert("suspected".to_owned(), json!(suggestion.suspected));
            }
            if let (Some(column), true) = (column.as_object_mut(), measure.is_text) {
                column.insert("scripts".to_owned(), measure.scripts.shares());
                column.insert("empty".to_owned(), measure.empty.into());
                scripts.merge(&measure.scripts);
            }
            completeness.insert(path.clone(), ppm(measure.values, measure.values + measure.nulls).into());
            if self.manifest.and_then(|manifest| manifest.dataset.subject_key.as_ref()) == Some(path) {
                persons = persons.max(Some(measure.distinct.estimate()));
            }
            columns.push(column);
        }
        let declared = self.manifest.and_then(|manifest| manifest.dataset.subjects).map(|subjects| subjects.persons);
        let duplicates = self.distinct_rows.as_ref().map(|distinct| {
            let missing = self.rows.saturating_sub(distinct.estimate());
            // Three standard errors of the estimate prove nothing.
            if distinct.is_exact() || missing > self.rows / 40 { missing } else { 0 }
        });
        let mut quality = serde_json::Map::new();
        quality.insert("completeness_ppm".to_owned(), completeness.into());
        quality.insert("duplicate_rows_estimate".to_owned(), json!(duplicates));
        quality.insert("scripts_ppm".to_owned(), scripts.shares());
        if let Some(report) = self.quality {
            let counts: Vec<Counts> = self.measures.iter().map(Measure::counts).collect();
            report.finish(&counts, &mut quality);
        }
        json!({
            "rows": self.rows,
            "bytes": self.bytes,
            "files": self.files,
            "columns": columns,
            "persons_estimate": persons.or(declared),
            "quality": quality,
            "packed": self.packed,
            "key_value_metadata": self.key_values,
        })
    }
}

/// A stored file, open for reading row group by row group.
struct File {
    bytes: Bytes,
    batch_rows: usize,
    metadata: ArrowReaderMetadata,
    dictionaries: Dictionaries,
}

impl File {
    fn open(bytes: Bytes, batch_rows: usize, today: Date) -> Result<Self, String> {
        let failed = |error: parquet::errors::ParquetError| error.to_string();
        let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new()).map_err(failed)?;
        let dictionaries = Dictionaries::open(bytes.clone(), Scanner::new(today)).map_err(failed)?;
        Ok(Self { bytes, batch_rows, metadata, dictionaries })
    }

    fn reader(&self, row_group: usize) -> Result<ParquetRecordBatchReader, parquet::errors::ParquetError> {
        ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.metadata.clone())
            .with_row_groups(vec![row_group])
            .with_batch_size(self.batch_rows)
            .build()
    }
}

fn row_converter(schema: &SchemaRef) -> Option<RowConverter> {
    let fields: Vec<SortField> =
        schema.fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    if !RowConverter::supports_fields(&fields) {
        return None;
    }
    RowConverter::new(fields).ok()
}
