//! `kouan pull`: plan, agreement, price; then every file in parallel ranges into `NAME.part`, each chunk verified as it
//! completes, the file renamed only when all of it is.
//!
//! | module | does |
//! |---|---|
//! | [`admission`] | plan, refusal in words, price cap, agreement |
//! | [`source`] | one representation: its ETag, length and chunk list |
//! | [`part`], [`sidecar`] | the partial file and what is durably known of it |
//! | [`mod@file`] | what there is of a file, and whether to go on or begin |
//! | [`transfer`], [`segments`], [`fetch`] | parallel ranged requests, verification, checkpoints |
//! | [`receipt`] | signs for what is verified |
//! | [`stream`] | `--format arrow`, `csv`, `jsonl` |
//! | [`progress`] | bar, lines or silence |

pub mod admission;
pub mod fetch;
pub mod file;
pub mod part;
pub mod progress;
pub mod receipt;
pub mod segments;
pub mod sidecar;
pub mod source;
pub mod stream;
pub mod transfer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use catalog::{DatasetId, VersionName};
use gateway_api::catalog::FileView;
use gateway_api::exchange::Money;
use serde::Serialize;

use crate::args::pull::{Format, PullArgs};
use crate::client::Client;
use crate::error::CommandError;
use crate::output;
use crate::profile::Profile;
use crate::session::{Lines, Session};

/// How a pull behaves under failure. Tests shorten it.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// Longest range of one request.
    pub segment_bytes_max: u64,
    /// Shortest range worth a request of its own.
    pub segment_bytes_min: u64,
    /// How often progress is made durable.
    pub checkpoint_interval: Duration,
    /// Failures in a row, without a byte between them, before giving up.
    pub failures_max: u32,
    /// Wait after the first of them; doubled for each further one.
    pub retry_base: Duration,
    /// Longest wait.
    pub retry_max: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            segment_bytes_max: 32 << 20,
            segment_bytes_min: 1 << 20,
            checkpoint_interval: Duration::from_secs(1),
            failures_max: 6,
            retry_base: Duration::from_millis(250),
            retry_max: Duration::from_secs(8),
        }
    }
}

/// What a pull did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullReport {
    /// Dataset.
    pub dataset: DatasetId,
    /// Version.
    pub version: VersionName,
    /// Columns that came.
    pub columns: Vec<String>,
    /// What all of it costs; what was delivered before is not billed again.
    pub price: Money,
    /// The agreement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<String>,
    /// One for each file.
    pub files: Vec<FileReport>,
}

/// One pulled file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its name in the version.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Length.
    pub bytes: u64,
    /// SHA-256 of what was written, hex.
    pub sha256: String,
    /// Bytes that this run received.
    pub fetched_bytes: u64,
    /// Verified bytes that an earlier run had left.
    pub resumed_bytes: u64,
    /// What vouches for it: `sha256` of the catalog, `chunks`, or `transport` for a stream.
    pub verified: Vec<&'static str>,
    /// Lease under which bytes came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// Log index of its decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// What was signed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<receipt::ReceiptReport>,
}

/// Runs `kouan pull`.
pub async fn run(session: &mut Session<'_>, args: &PullArgs) -> Result<(), CommandError> {
    let report = pull(session, args, Tuning::default()).await?;
    let value = serde_json::to_value(&report).unwrap_or_default();
    session.answer(&value, || told(&report))
}

/// Pulls, and gives what was done instead of printing it.
///
/// # Errors
///
/// [`CommandError::Interrupted`] and [`CommandError::Incomplete`] leave `NAME.part` and its sidecar: the same call goes
/// on from there. On every error no unverified byte stands under a final name.
pub async fn pull(session: &mut Session<'_>, args: &PullArgs, tuning: Tuning) -> Result<PullReport, CommandError> {
    if args.filter.is_some() {
        return Err(crate::commands::not_yet("`--where` (a row filter)"));
    }
    let interrupt = session.io.interrupt.clone();
    let client = Client::open(&Profile::resolve(&args.connect, session.io.env.as_ref())?)?;
    let admitted = interrupt.guard(admission::admit(session, &client, args)).await?;
    std::fs::create_dir_all(&args.out).map_err(CommandError::io(&args.out, "make the folder"))?;
    let mut report = PullReport {
        dataset: admitted.dataset.clone(),
        version: admitted.version.clone(),
        columns: admitted.columns.clone(),
        price: admitted.price.clone(),
        agreement: admitted.agreement.clone(),
        files: Vec::new(),
    };
    if args.format != Format::Parquet {
        if !args.file.is_empty() {
            return Err(CommandError::Usage(
                "`--file` chooses stored files: use it with `--format parquet`".to_owned(),
            ));
        }
        report.files.push(stream::pull(session, &client, &admitted, args).await?);
        return Ok(report);
    }
    let version = interrupt.guard(admitted.version(&client)).await?;
    let mut receipts = receipt::Receipts::new(&client, version.manifest);
    for view in chosen(&version.files, &args.file)? {
        let source = source::Source::new(&admitted, view)?;
        let puller = file::FilePull { client: &client, parallel: usize::from(args.parallel), out: &args.out, tuning };
        report.files.push(puller.run(session, &source, &mut receipts).await?);
    }
    Ok(report)
}

/// The files that `--file` names, or all of them. Names come from the gateway: none may leave the folder.
fn chosen<'a>(files: &'a [FileView], wanted: &[String]) -> Result<Vec<&'a FileView>, CommandError> {
    if let Some(bad) = files.iter().find(|file| !catalog::id::is_file_name(&file.name)) {
        let name = output::clean(&bad.name);
        return Err(CommandError::Integrity(format!("the gateway lists a file `{name}`, which is no safe file name")));
    }
    let known = || files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
    if files.is_empty() {
        return Err(CommandError::NotFound("this version has no files".to_owned()));
    }
    if wanted.is_empty() {
        return Ok(files.iter().collect());
    }
    wanted
        .iter()
        .map(|name| {
            let found = files.iter().find(|file| file.name == *name);
            found
                .ok_or_else(|| CommandError::NotFound(format!("no file `{name}` in this version; it has: {}", known())))
        })
        .collect()
}

fn told(report: &PullReport) -> Lines {
    let mut lines = Vec::new();
    for file in &report.files {
        let how = match (file.fetched_bytes, file.resumed_bytes) {
            (0, _) => "already there".to_owned(),
            (_, 0) => "pulled".to_owned(),
            (_, resumed) => format!("pulled, {} of it by an earlier run", output::bytes(resumed)),
        };
        lines.push(format!(
            "{}  {}  {how}, verified by {}",
            file.path.display(),
            output::bytes(file.bytes),
            file.verified.join(" and ")
        ));
        lines.push(format!("  sha256 {}", file.sha256));
        if let Some(receipt) = &file.receipt {
            lines.push(format!("  signed for {}, entry {}", output::bytes(receipt.unit_bytes), receipt.leaf));
        }
    }
    let price = output::money(&report.price.amount, report.price.currency.as_str());
    lines.push(format!("{} columns; price of all of it {price}", report.columns.len()));
    if let Some(leaf) = report.files.iter().find_map(|file| file.leaf) {
        lines.push(format!("recorded as entry {leaf}; prove it with: kouan audit proof {leaf}"));
    }
    lines
}
