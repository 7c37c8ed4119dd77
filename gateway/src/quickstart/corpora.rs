//! The two sample corpora: what they are called, their manifests, and their Parquet files.
//!
//! Both are the same bytes on every run of one build: rows come in a fixed order, the people from a fixed seed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use certs::files::{self, FileError};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::{people, phrases};

/// The version that quickstart registers.
pub const VERSION: &str = "1";
/// What both are offered for.
pub const PURPOSE: &str = "academic-research";

/// The real corpus: it may go to Hong Kong as it is.
pub const PHRASES: Corpus = Corpus {
    id: "opencc-phrases",
    file: "phrases.parquet",
    manifest: include_str!("corpora/opencc-phrases.toml"),
    batch: phrases::batch,
    rows_per_group: 8_192,
};

/// The synthetic people: only without their sensitive columns.
pub const PEOPLE: Corpus = Corpus {
    id: "synthetic-people",
    file: "people.parquet",
    manifest: include_str!("corpora/synthetic-people.toml"),
    batch: people::batch,
    rows_per_group: 4_096,
};

/// A sample corpus.
#[derive(Debug, Clone, Copy)]
pub struct Corpus {
    /// Dataset id.
    pub id: &'static str,
    /// Its one file.
    pub file: &'static str,
    /// Its manifest, TOML.
    pub manifest: &'static str,
    /// Makes its rows.
    batch: fn() -> Result<RecordBatch, CorpusError>,
    rows_per_group: usize,
}

/// Why a sample corpus cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The tables inside the OpenCC package do not load.
    #[error("the OpenCC tables in this program do not load: {0}")]
    OpenCc(String),
    /// The rows do not fit together.
    #[error("the rows do not make a table: {0}")]
    Rows(#[from] arrow::error::ArrowError),
    /// Parquet cannot be written.
    #[error("the Parquet file cannot be written: {0}")]
    Parquet(#[from] ParquetError),
    /// A file on disk.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A sample corpus on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Dataset id.
    pub id: &'static str,
    /// The manifest.
    pub manifest: PathBuf,
    /// The Parquet file.
    pub data: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Whether this run has written it.
    pub made: bool,
}

impl Corpus {
    /// Writes manifest and data under `folder`/`id`, unless they are there: what is there is taken as it is.
    ///
    /// # Errors
    ///
    /// [`CorpusError`]; a half-written file never stands under its final name.
    pub fn prepare(&self, folder: &Path) -> Result<Prepared, CorpusError> {
        let folder = folder.join(self.id);
        files::create_folder(&folder)?;
        let (manifest, data) = (folder.join("manifest.toml"), folder.join(self.file));
        if !manifest.exists() {
            files::write_public_file(&manifest, self.manifest)?;
        }
        let made = !data.exists();
        if made {
            files::write_new(&data, &self.parquet()?, 0o644)?;
        }
        let bytes =
            std::fs::metadata(&data).map_err(|source| FileError::Io { doing: "look at", path: data.clone(), source });
        Ok(Prepared { id: self.id, manifest, bytes: bytes?.len(), data, made })
    }

    /// The corpus as a Parquet file: zstd, several row groups, page indexes.
    fn parquet(&self) -> Result<Vec<u8>, CorpusError> {
        let batch = (self.batch)()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(self.rows_per_group))
            .set_created_by(concat!("kouan ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema: Arc<Schema> = batch.schema();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties))?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
