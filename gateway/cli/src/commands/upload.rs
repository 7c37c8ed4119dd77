//! `kouan dataset register`: manifest first, then every file in slices; the same command goes on where it was
//! interrupted.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use catalog::{Manifest, VersionState};
use gateway_api::catalog::{FileView, RegisterDataset, VersionView};
use gateway_api::{Code, names};
use hyper::body::Bytes;
use serde_json::Value;

use super::dataset::version_lines;
use super::rest;
use crate::args::dataset::RegisterArgs;
use crate::client::{Call, Client, path};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::files;
use crate::output;
use crate::pull::part;
use crate::pull::progress::Progress;
use crate::session::Session;

/// Bytes of one PUT.
const SLICE_BYTES: u64 = 8 << 20;
/// The last slice of a file is answered only when the gateway has inspected the file.
const INSPECTION_TIMEOUT: Duration = Duration::from_hours(1);
/// Most files of one version that are uploaded.
const FILES_MAX: usize = 10_000;
/// How often a slice may be refused for its offset before the upload gives up.
const OFFSET_CORRECTIONS_MAX: u32 = 8;
/// What can be registered, by file name ending.
const ENDINGS: [&str; 8] = ["parquet", "arrow", "arrows", "feather", "csv", "tsv", "jsonl", "ndjson"];

/// A local file and its name in the version.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    path: PathBuf,
    name: String,
    bytes: u64,
}

pub async fn run(session: &mut Session<'_>, args: &RegisterArgs) -> Result<(), CommandError> {
    let text = files::read_text(&args.manifest, catalog::manifest::MANIFEST_BYTES_MAX as u64)?;
    let manifest = Manifest::parse(&text)
        .map_err(|error| CommandError::Input(format!("manifest `{}`:\n{error}", args.manifest.display())))?;
    // Every file is looked at before anything is registered.
    let items = items(&args.data)?;
    let client = rest::client(session, &args.connect)?;
    let (dataset, version) = (manifest.dataset.id.as_str(), manifest.dataset.version.as_str());
    let taken = register(session, &client, &manifest, text, &args.from).await?;
    for item in &items {
        if is_taken(item, &taken)? {
            session.note(&format!("{}  already taken in", item.name));
            continue;
        }
        upload(session, &client, (dataset, version), item).await?;
    }
    let value = client.json(&Call::get(path(["v1", "datasets", dataset, "versions", version]))).await?;
    session.answer(&value, || {
        let mut lines = version_lines(&value);
        let state = value.get("state").and_then(Value::as_str).unwrap_or_default();
        lines.push(match state {
            "draft" if items.is_empty() && args.from.is_empty() => {
                format!("next: upload its files: kouan dataset register {} --data PATH…", args.manifest.display())
            }
            _ => format!("next: kouan dataset submit {dataset}@{version}"),
        });
        lines
    })
}

/// Registers the version; if it is there already as the same draft, its upload goes on. Gives the files it has.
async fn register(
    session: &mut Session<'_>,
    client: &Client,
    manifest: &Manifest,
    text: String,
    from: &[String],
) -> Result<Vec<FileView>, CommandError> {
    let call = if from.is_empty() {
        Call::post("/v1/datasets", names::TOML, text.into())?
    } else {
        Call::post_json("/v1/datasets", &RegisterDataset { manifest: text, from: from.to_vec() })?
    };
    let error = match client.json(&call.patient(INSPECTION_TIMEOUT)).await {
        Ok(_) => return Ok(Vec::new()),
        Err(error) if error.is(Code::Conflict) => error,
        Err(error) => return Err(error),
    };
    let (dataset, version) = (manifest.dataset.id.as_str(), manifest.dataset.version.as_str());
    let view: VersionView = match client.typed(&Call::get(path(["v1", "datasets", dataset, "versions", version]))).await
    {
        Ok(view) => view,
        Err(_) => return Err(error),
    };
    let same = serde_json::to_value(&manifest.dataset).is_ok_and(|entry| entry == view.entry);
    let open = matches!(view.state, VersionState::Draft | VersionState::Inspected);
    if same && open && manifest.offer.digest() == view.offer_digest {
        session.note(&format!("{dataset}@{version} is registered already; going on with its files"));
        return Ok(view.files);
    }
    Err(error)
}

/// Whether the version has exactly these bytes already: an upload that was taken in leaves no offset behind.
fn is_taken(item: &Item, files: &[FileView]) -> Result<bool, CommandError> {
    let same = |file: &&FileView| match &file.source {
        Some(source) => source.name == item.name,
        None => file.name == item.name && file.bytes == item.bytes,
    };
    let Some(file) = files.iter().find(same) else {
        return Ok(false);
    };
    let digest = file.source.as_ref().map_or(&file.sha256, |source| &source.sha256);
    let local = File::open(&item.path).map_err(CommandError::io(&item.path, "open"))?;
    Ok(part::sha256(&local, &item.path, item.bytes)?.hex() == *digest)
}

/// The files of `--data`: folders give what is in them, in order of their names.
fn items(data: &[PathBuf]) -> Result<Vec<Item>, CommandError> {
    let mut found = Vec::new();
    for path in data {
        let metadata = std::fs::metadata(path).map_err(CommandError::io(path, "look at"))?;
        if metadata.is_dir() {
            let mut inside = Vec::new();
            for entry in std::fs::read_dir(path).map_err(CommandError::io(path, "list"))? {
                let inner = entry.map_err(CommandError::io(path, "list"))?.path();
                let known = inner.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
                if known && inner.is_file() {
                    inside.push(inner);
                }
            }
            if inside.is_empty() {
                return Err(CommandError::Input(format!(
                    "`{}` holds no file that ends with {}",
                    path.display(),
                    ENDINGS.join(", ")
                )));
            }
            inside.sort();
            for inner in inside {
                found.push(item(&inner)?);
            }
        } else {
            found.push(item(path)?);
        }
    }
    if found.len() > FILES_MAX {
        return Err(CommandError::Input(format!("{} files; at most {FILES_MAX} make a version", found.len())));
    }
    let mut names: Vec<&str> = found.iter().map(|item| item.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    }) {
        return Err(CommandError::Input(format!("two files are called `{twice}`; names must differ within a version")));
    }
    Ok(found)
}

fn item(path: &Path) -> Result<Item, CommandError> {
    let name = path.file_name().and_then(|name| name.to_str()).filter(|name| catalog::id::is_file_name(name));
    let name = name.ok_or_else(|| {
        CommandError::Input(format!(
            "`{}`: a file name is 1 to 200 of A-Z, a-z, 0-9, `.`, `_`, `-`, without a leading dot",
            path.display()
        ))
    })?;
    let metadata = std::fs::metadata(path).map_err(CommandError::io(path, "look at"))?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Err(CommandError::Input(format!("`{}` is empty, or no file", path.display())));
    }
    Ok(Item { path: path.to_owned(), name: name.to_owned(), bytes: metadata.len() })
}

async fn upload(
    session: &mut Session<'_>,
    client: &Client,
    (dataset, version): (&str, &str),
    item: &Item,
) -> Result<(), CommandError> {
    let target = path(["v1", "datasets", dataset, "versions", version, "files", &item.name]);
    let file = File::open(&item.path).map_err(CommandError::io(&item.path, "open"))?;
    let mut at = offset(client, &target).await?.min(item.bytes);
    if at == item.bytes {
        session.note(&format!("{}  already uploaded", item.name));
        return Ok(());
    }
    let mut progress = Progress::start(session, &item.name, at, Some(item.bytes));
    let mut corrections = 0;
    while at < item.bytes {
        let end = item.bytes.min(at + SLICE_BYTES);
        let slice = slice(&file, item, at, end)?;
        let range = format!("bytes {at}-{}/{}", end - 1, item.bytes);
        let call = Call::put(target.clone(), "application/octet-stream", slice).header("content-range", &range)?;
        match client.json(&call.patient(INSPECTION_TIMEOUT)).await {
            Ok(_) => at = end,
            Err(error) if error.is(Code::WrongOffset) => {
                corrections += 1;
                let right = right_offset(&error).filter(|right| *right <= item.bytes);
                match right {
                    Some(right) if corrections <= OFFSET_CORRECTIONS_MAX => at = right,
                    _ => return Err(error),
                }
            }
            Err(error) if error.exit() == Exit::Unavailable => {
                progress.end();
                return Err(CommandError::Incomplete(format!(
                    "{error}; {} of {} of `{}` are at the gateway; the same command goes on from there",
                    output::bytes(at),
                    output::bytes(item.bytes),
                    item.name
                )));
            }
            Err(error) => {
                progress.end();
                return Err(error);
            }
        }
        progress.set(session, at);
    }
    progress.end();
    session.note(&format!("{}  {} uploaded", item.name, output::bytes(item.bytes)));
    Ok(())
}

/// The first byte that the gateway still needs.
async fn offset(client: &Client, target: &str) -> Result<u64, CommandError> {
    let answer = client.send(&Call::head(target)).await?;
    if answer.status == http::StatusCode::NOT_FOUND {
        return Ok(0);
    }
    if !answer.status.is_success() {
        return Err(answer.into_error().await);
    }
    Ok(answer.header(names::UPLOAD_OFFSET).and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn right_offset(error: &CommandError) -> Option<u64> {
    error.refusal()?.document.get("offset")?.as_u64()
}

fn slice(file: &File, item: &Item, at: u64, end: u64) -> Result<Bytes, CommandError> {
    let length = usize::try_from(end - at).unwrap_or(0);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at).map_err(CommandError::io(&item.path, "read"))?;
    Ok(bytes.into())
}

/// For `dataset inspect`: the files that `--data` would take.
pub(super) fn local_files(path: &Path) -> Result<Vec<(String, PathBuf)>, CommandError> {
    let found = items(std::slice::from_ref(&path.to_owned()))?;
    Ok(found.into_iter().map(|item| (item.name, item.path)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_gives_its_corpus_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.parquet", "notes.txt", "c.jsonl"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let found = items(&[dir.path().to_owned()]).unwrap();
        let names: Vec<_> = found.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["a.parquet", "b.csv", "c.jsonl"]);
        let twice = [dir.path().to_owned(), dir.path().join("b.csv")];
        assert!(matches!(items(&twice), Err(CommandError::Input(text)) if text.contains("b.csv")));
    }

    #[test]
    fn what_is_no_corpus_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(items(&[dir.path().to_owned()]), Err(CommandError::Input(_))));
        let empty = dir.path().join("e.csv");
        std::fs::write(&empty, "").unwrap();
        assert!(matches!(items(&[empty]), Err(CommandError::Input(_))));
        let spaced = dir.path().join("a b.csv");
        std::fs::write(&spaced, "x").unwrap();
        assert!(matches!(items(&[spaced]), Err(CommandError::Input(_))));
        assert!(matches!(items(&[dir.path().join("none.csv")]), Err(CommandError::LocalIo { .. })));
    }
}
