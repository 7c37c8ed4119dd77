//! The quality report of a version: what the Qianhai measures call evaluation of data (RULES.md, QH-04).
//!
//! Measured in the pass that inspection makes anyway, in memory that does not grow with the corpus: lengths are
//! histograms, languages are counters, labels a table of limited size, near duplicates a sample of limited size.
//! Every figure is a count, an age in days or a share in parts per million, so that it can be compared and signed.

mod fresh;
mod headline;
mod labels;
mod language;
mod lengths;
mod near;
mod row_text;
mod tokens;
mod variants;
mod visible;

#[cfg(test)]
mod tests;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use self::fresh::Newest;
use self::labels::Labels;
use self::language::{Languages, Table};
use self::lengths::Lengths;
use self::near::Near;
use self::tokens::RowTokens;
use crate::inspect::{LeafArray, ppm};
use crate::manifest::DatasetSection;

pub(crate) use headline::headline_of;
pub use headline::{Headline, headline};
pub(crate) use visible::for_consumer;

/// Text columns whose lengths and languages are told one by one; the rest count in the totals.
const TEXT_COLUMNS_MAX: usize = 256;

/// Different values of a column of codes.
const CODES_MAX: u64 = 256;
/// How often each of them comes at least.
const CODE_REPEATS: u64 = 10;

/// Texts of a column whose language is looked at, every one.
const LOOKED_AT: u64 = 8192;
/// Of those that follow, one in so many is.
const ONE_IN: u64 = 16;

/// What one leaf column's values show beside what inspection measures of every column.
#[derive(Debug, Default)]
struct Text {
    lengths: Lengths,
    languages: Sample,
}

/// Languages of the texts of a column: of the first ones all, then of one in sixteen.
#[derive(Debug, Default)]
struct Sample {
    seen: u64,
    languages: Languages,
}

impl Sample {
    fn add(&mut self, table: &Table, text: &str) {
        let number = self.seen;
        self.seen += 1;
        // By a hash of the number: texts in a regular order must not fall through.
        let weight = match number {
            0..LOOKED_AT => 1,
            number if tokens::mix(number).is_multiple_of(ONE_IN) => ONE_IN,
            _ => return,
        };
        self.languages.add(table.look_at(text), weight);
    }
}

/// What the other measures of a column say, for the figures that follow from them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    /// Cells that are not null.
    pub(crate) values: u64,
    /// Cells that are.
    pub(crate) nulls: u64,
    /// Different values.
    pub(crate) distinct: u64,
}

/// Collects the report of one version, batch by batch.
#[derive(Debug)]
pub(crate) struct Quality {
    paths: Vec<String>,
    label: Option<(usize, Labels)>,
    texts: Vec<Option<Box<Text>>>,
    newest: Vec<Option<Newest>>,
    table: Table,
    /// Of the text columns that are not told one by one.
    languages: Sample,
    near: Near,
    tokens: RowTokens,
    registered: Option<Date>,
    collected_to: Option<Date>,
}

impl Quality {
    /// For the leaf columns `paths`. The entry names the label column and the last day of collection; `registered` is the
    /// day from which ages count.
    pub(crate) fn new(paths: Vec<String>, entry: Option<&DatasetSection>, registered: Option<Date>) -> Self {
        let named = entry.and_then(|entry| entry.label_column.as_deref());
        let label = paths.iter().position(|path| Some(path.as_str()) == named).map(|at| (at, Labels::default()));
        Self {
            label,
            texts: paths.iter().map(|_| None).collect(),
            newest: paths.iter().map(|_| None).collect(),
            paths,
            table: Table::new(),
            languages: Sample::default(),
            near: Near::default(),
            tokens: RowTokens::default(),
            registered,
            collected_to: entry.and_then(|entry| entry.collected_to),
        }
    }

    /// Adds a batch and its leaf arrays, which stand in the order of the paths.
    ///
    /// # Errors
    /// A type that cannot be looked into; the report is then of no more use.
    pub(crate) fn batch(&mut self, batch: &RecordBatch, leaves: &[LeafArray]) -> Result<(), ArrowError> {
        let mut told = self.texts.iter().filter(|text| text.is_some()).count();
        let days = self.registered.map(fresh::day_number);
        for ((leaf, text), newest) in leaves.iter().zip(&mut self.texts).zip(&mut self.newest) {
            if let Some(array) = texts_of(&leaf.array)? {
                if text.is_none() && told < TEXT_COLUMNS_MAX {
                    told += 1;
                    *text = Some(Box::default());
                }
                let (table, languages) = (&self.table, &mut self.languages);
                each_text(&array, leaf, |value| {
                    if let Some(text) = text {
                        text.lengths.add(value.chars().count());
                        text.languages.add(table, value);
                    } else {
                        languages.add(table, value);
                    }
                });
            } else if let Some(days) = days {
                fresh::add(newest, leaf, days)?;
            }
        }
        if let Some((at, labels)) = &mut self.label
            && let Some(leaf) = leaves.get(*at)
        {
            labels.add(leaf)?;
        }
        self.rows(batch)
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let columns = row_text::columns(batch)?;
        if columns.is_empty() {
            return Ok(());
        }
        for row in 0..batch.num_rows() {
            self.tokens.start();
            for column in &columns {
                row_text::visit(column, row, &mut |text| self.tokens.push(text));
            }
            self.near.add(self.tokens.finish());
        }
        Ok(())
    }

    /// Adds the report to `quality`; `counts` stand in the order of the paths.
    pub(crate) fn finish(self, counts: &[Counts], quality: &mut Map<String, Value>) {
        let total = |of: fn(&Counts) -> u64| counts.iter().map(of).fold(0, u64::saturating_add);
        let (values, nulls) = (total(|column| column.values), total(|column| column.nulls));
        quality.insert("complete_ppm".to_owned(), ppm(values, values.saturating_add(nulls)).into());
        let unique: Map<String, Value> = self
            .paths
            .iter()
            .zip(counts)
            .map(|(path, column)| (path.clone(), ppm(column.distinct.min(column.values), column.values).into()))
            .collect();
        quality.insert("uniqueness_ppm".to_owned(), unique.into());
        quality.insert("near_duplicates".to_owned(), self.near.report());
        quality.insert("languages_ppm".to_owned(), self.mix(counts).shares());
        let texts: Map<String, Value> = self
            .paths
            .iter()
            .zip(&self.texts)
            .filter_map(|(path, text)| {
                let text = text.as_ref()?;
                let mut report = text.lengths.report();
                report.insert("languages_ppm".to_owned(), text.languages.languages.shares());
                Some((path.clone(), report.into()))
            })
            .collect();
        quality.insert("text".to_owned(), texts.into());
        if let Some((at, labels)) = &self.label {
            let mut report = labels.report();
            report.insert("column".to_owned(), json!(self.paths.get(*at)));
            quality.insert("labels".to_owned(), report.into());
        }
        if let Some(registered) = self.registered {
            let newest = self.paths.iter().map(String::as_str).zip(&self.newest);
            quality.insert("freshness".to_owned(), fresh::report(registered, self.collected_to, newest));
        }
    }

    /// The languages of all text but codes: a few values that come again and again are no language. When there is nothing
    /// else, they count.
    fn mix(&self, counts: &[Counts]) -> Languages {
        let is_code = |counts: &Counts| {
            counts.distinct <= CODES_MAX && counts.distinct.saturating_mul(CODE_REPEATS) <= counts.values
        };
        let told = |codes: bool| {
            let texts = self.texts.iter().zip(counts).filter(move |(_, counts)| codes || !is_code(counts));
            texts.filter_map(|(text, _)| text.as_ref())
        };
        let mut mix = self.languages.languages.clone();
        told(false).for_each(|text| mix.merge(&text.languages.languages));
        if mix.is_empty() {
            told(true).for_each(|text| mix.merge(&text.languages.languages));
        }
        mix
    }
}

/// The array as one of the string types; `None` for values that are not text.
fn texts_of(array: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
    let is_text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match array.data_type() {
        kind if is_text(kind) => Ok(Some(ArrayRef::clone(array))),
        DataType::Dictionary(_, values) if is_text(values) => cast(array, values).map(Some),
        DataType::RunEndEncoded(_, values) if is_text(values.data_type()) => cast(array, values.data_type()).map(Some),
        _ => Ok(None),
    }
}

/// Calls `each` with every value of `array` that is not null by the leaf's own account.
fn each_text(array: &ArrayRef, leaf: &LeafArray, mut each: impl FnMut(&str)) {
    let nulls = leaf.nulls.as_ref();
    let rows = (0..array.len()).filter(|row| nulls.is_none_or(|nulls| nulls.is_valid(*row)));
    match array.data_type() {
        DataType::Utf8 => rows.for_each(|row| each(array.as_string::<i32>().value(row))),
        DataType::LargeUtf8 => rows.for_each(|row| each(array.as_string::<i64>().value(row))),
        DataType::Utf8View => rows.for_each(|row| each(array.as_string_view().value(row))),
        _ => {}
    }
}
