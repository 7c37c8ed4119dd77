//! The phrase tables of OpenCC as rows: what the crate `opencc-fmmseg` carries, in a fixed order.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use opencc_fmmseg::dictionary_lib::{DictMaxLen, DictionaryMaxlength};

use super::corpora::CorpusError;

/// One table of OpenCC: its name there, what its entries are, and its scripts (BCP 47).
struct Table<'a> {
    name: &'static str,
    kind: &'static str,
    from: &'static str,
    to: &'static str,
    entries: &'a DictMaxLen,
}

/// Every table, in the order of OpenCC's own documentation.
fn tables(all: &DictionaryMaxlength) -> [Table<'_>; 16] {
    let table = |name, kind, from, to, entries| Table { name, kind, from, to, entries };
    [
        table("STCharacters", "character", "zh-Hans", "zh-Hant", &all.st_characters),
        table("STPhrases", "phrase", "zh-Hans", "zh-Hant", &all.st_phrases),
        table("TSCharacters", "character", "zh-Hant", "zh-Hans", &all.ts_characters),
        table("TSPhrases", "phrase", "zh-Hant", "zh-Hans", &all.ts_phrases),
        table("TWPhrases", "phrase", "zh-Hant", "zh-Hant-TW", &all.tw_phrases),
        table("TWPhrasesRev", "phrase", "zh-Hant-TW", "zh-Hant", &all.tw_phrases_rev),
        table("TWVariants", "variant", "zh-Hant", "zh-Hant-TW", &all.tw_variants),
        table("TWVariantsRev", "variant", "zh-Hant-TW", "zh-Hant", &all.tw_variants_rev),
        table("TWVariantsRevPhrases", "phrase", "zh-Hant-TW", "zh-Hant", &all.tw_variants_rev_phrases),
        table("HKVariants", "variant", "zh-Hant", "zh-Hant-HK", &all.hk_variants),
        table("HKVariantsRev", "variant", "zh-Hant-HK", "zh-Hant", &all.hk_variants_rev),
        table("HKVariantsRevPhrases", "phrase", "zh-Hant-HK", "zh-Hant", &all.hk_variants_rev_phrases),
        table("JPShinjitaiCharacters", "character", "ja", "zh-Hant", &all.jps_characters),
        table("JPShinjitaiPhrases", "phrase", "ja", "zh-Hant", &all.jps_phrases),
        table("JPVariants", "variant", "zh-Hant", "ja", &all.jp_variants),
        table("JPVariantsRev", "variant", "ja", "zh-Hant", &all.jp_variants_rev),
    ]
}

/// The columns while they grow.
#[derive(Default)]
struct Columns {
    table: Vec<&'static str>,
    kind: Vec<&'static str>,
    from: Vec<&'static str>,
    to: Vec<&'static str>,
    source: Vec<String>,
    target: Vec<String>,
    source_length: Vec<i32>,
    target_length: Vec<i32>,
    changed: Vec<bool>,
}

impl Columns {
    fn add(&mut self, table: &Table<'_>) {
        let mut entries: Vec<(String, &str)> =
            table.entries.map.iter().map(|(key, value)| (key.iter().collect(), value.as_ref())).collect();
        // The crate keeps them in hash maps: sorted, the corpus is the same bytes on every run.
        entries.sort_unstable();
        for (source, target) in entries {
            self.table.push(table.name);
            self.kind.push(table.kind);
            self.from.push(table.from);
            self.to.push(table.to);
            self.source_length.push(characters(&source));
            self.target_length.push(characters(target));
            self.changed.push(source != target);
            self.source.push(source);
            self.target.push(target.to_owned());
        }
    }
}

fn characters(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX)
}

/// All rows: `id, table, kind, source_script, target_script, source, target, source_length, target_length, changed`.
///
/// # Errors
///
/// [`CorpusError::OpenCc`] if the tables in this program do not load.
pub fn batch() -> Result<RecordBatch, CorpusError> {
    let all = DictionaryMaxlength::from_zstd().map_err(|error| CorpusError::OpenCc(error.to_string()))?;
    let mut columns = Columns::default();
    for table in tables(&all) {
        columns.add(&table);
    }
    let rows = i32::try_from(columns.table.len()).unwrap_or(i32::MAX);
    let field = |name: &str, kind| Field::new(name, kind, false);
    let schema = Schema::new(vec![
        field("id", DataType::Int32),
        field("table", DataType::Utf8),
        field("kind", DataType::Utf8),
        field("source_script", DataType::Utf8),
        field("target_script", DataType::Utf8),
        field("source", DataType::Utf8),
        field("target", DataType::Utf8),
        field("source_length", DataType::Int32),
        field("target_length", DataType::Int32),
        field("changed", DataType::Boolean),
    ]);
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values(1..=rows)),
        Arc::new(StringArray::from(columns.table)),
        Arc::new(StringArray::from(columns.kind)),
        Arc::new(StringArray::from(columns.from)),
        Arc::new(StringArray::from(columns.to)),
        Arc::new(StringArray::from(columns.source)),
        Arc::new(StringArray::from(columns.target)),
        Arc::new(Int32Array::from(columns.source_length)),
        Arc::new(Int32Array::from(columns.target_length)),
        Arc::new(BooleanArray::from(columns.changed)),
    ];
    Ok(RecordBatch::try_new(Arc::new(schema), arrays)?)
}
