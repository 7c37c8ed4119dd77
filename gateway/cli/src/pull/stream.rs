//! `--format arrow`, `csv`, `jsonl`: one stream from `/data`. It cannot be resumed, and says so.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::path::Path;

use catalog::digest::Hasher;
use gateway_api::names;

use super::admission::Admitted;
use super::part::Part;
use super::progress::Progress;
use super::receipt::Receipts;
use super::source::Source;
use super::{FileReport, fetch, receipt};
use crate::args::pull::{Format, PullArgs};
use crate::client::{Call, Client, path, with_query};
use crate::error::CommandError;
use crate::output;
use crate::session::Session;

/// The end of an Arrow IPC stream: continuation marker and length 0. A reader takes a stream that was cut at a message's
/// end as complete; only this tells the difference.
const ARROW_END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Pulls the selection as one stream.
///
/// # Errors
///
/// [`CommandError::Incomplete`] if the stream breaks off: nothing is kept.
pub async fn pull(
    session: &mut Session<'_>,
    client: &Client,
    admitted: &Admitted,
    args: &PullArgs,
) -> Result<FileReport, CommandError> {
    let (accept, ending) = match args.format {
        Format::Parquet => (names::PARQUET, "parquet"),
        Format::Arrow => (names::ARROW_STREAM, "arrows"),
        Format::Csv => (names::CSV, "csv"),
        Format::Jsonl => (names::JSON_LINES, "jsonl"),
    };
    let name = format!("{}-{}.{ending}", admitted.dataset, admitted.version);
    let target = args.out.join(&name);
    let part = Part::open(&target)?;
    part.empty()?;
    session.note(&format!("{name}: a stream cannot be resumed; `--format parquet` can"));
    let interrupt = session.io.interrupt.clone();
    let streamed = tokio::select! {
        biased;
        () = interrupt.wait() => Err(CommandError::Interrupted(
            "interrupted: a stream cannot be resumed, nothing was kept".to_owned(),
        )),
        streamed = receive(session, client, admitted, accept, (&name, part.path())) => streamed,
    };
    let mut report = match streamed {
        Ok(report) => report,
        Err(error) => {
            crate::files::remove_if_there(part.path())?;
            return Err(error);
        }
    };
    if args.format == Format::Arrow && !ends_with(part.path(), &ARROW_END)? {
        crate::files::remove_if_there(part.path())?;
        return Err(CommandError::Incomplete(format!("{name}: the stream has no end marker; nothing was kept")));
    }
    part.finish()?;
    report.path = target;
    if let Some(lease) = report.lease.clone() {
        report.receipt = sign(session, client, admitted, &lease).await;
    }
    Ok(report)
}

/// A stream that came to its end brought every unit of the selection.
async fn sign(
    session: &mut Session<'_>,
    client: &Client,
    admitted: &Admitted,
    lease: &str,
) -> Option<receipt::ReceiptReport> {
    let version = match admitted.version(client).await {
        Ok(version) => version,
        Err(error) => {
            session.note(&format!("no receipt was given: {error}"));
            return None;
        }
    };
    let mut receipts = Receipts::new(client, version.manifest);
    for file in &version.files {
        let described = match Source::new(admitted, file) {
            Ok(source) => source.describe(client).await.map(|described| (source.stored, described)),
            Err(error) => Err(error),
        };
        match described {
            Ok((stored, described)) => {
                receipts.give_at_last(session, lease, &receipt::units(stored, &described.chunks)).await;
            }
            Err(error) => session.note(&format!("no receipt was given for `{}`: {error}", file.name)),
        }
    }
    receipts.take_report()
}

async fn receive(
    session: &mut Session<'_>,
    client: &Client,
    admitted: &Admitted,
    accept: &str,
    (name, part): (&str, &Path),
) -> Result<FileReport, CommandError> {
    let base = path(["v1", "datasets", admitted.dataset.as_str(), "versions", admitted.version.as_str(), "data"]);
    let mut selection: Vec<(&str, Option<&str>)> =
        admitted.selected.iter().map(|column| ("columns", Some(column.as_str()))).collect();
    selection.push(("redact", admitted.redact.then_some("true")));
    let mut call = Call::get(with_query(&base, selection)).header("accept", accept)?;
    if let Some(purpose) = &admitted.purpose {
        call = call.header(names::PURPOSE, purpose.as_str())?;
    }
    let mut answer = client.accepted(&call).await?;
    let lease = answer.header(names::LEASE).map(output::clean);
    let leaf = answer.header(names::LEAF).and_then(|text| text.parse().ok());
    let mut file = OpenOptions::new().write(true).open(part).map_err(CommandError::io(part, "open"))?;
    let mut progress = Progress::start(session, name, 0, None);
    let mut hasher = Hasher::default();
    let mut bytes = 0;
    loop {
        match answer.piece().await {
            Ok(Some(piece)) => {
                file.write_all(&piece).map_err(CommandError::io(part, "write"))?;
                hasher.update(&piece);
                bytes += piece.len() as u64;
                progress.set(session, bytes);
            }
            Ok(None) => break,
            Err(error) => {
                progress.end();
                if let Some(lease) = &lease
                    && let Some(reason) = fetch::cut_reason(client, lease).await
                {
                    return Err(fetch::cut(lease, &reason));
                }
                return Err(CommandError::Incomplete(format!("{error}; a stream cannot be resumed, nothing was kept")));
            }
        }
    }
    progress.end();
    Ok(FileReport {
        name: name.to_owned(),
        path: part.to_owned(),
        bytes,
        sha256: hasher.finish().hex(),
        fetched_bytes: bytes,
        resumed_bytes: 0,
        verified: vec!["transport"],
        lease,
        leaf,
        receipt: None,
    })
}

fn ends_with(path: &Path, end: &[u8]) -> Result<bool, CommandError> {
    use std::io::{Read as _, SeekFrom};
    let read = || -> std::io::Result<bool> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() < end.len() as u64 {
            return Ok(false);
        }
        file.seek(SeekFrom::End(-i64::try_from(end.len()).unwrap_or(0)))?;
        let mut found = vec![0; end.len()];
        file.read_exact(&mut found)?;
        Ok(found == end)
    };
    read().map_err(CommandError::io(path, "read"))
}
