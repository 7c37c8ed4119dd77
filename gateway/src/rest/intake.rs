//! Registering a version, and taking its files in: hashed, laid out, packed or converted where needed, inspected, and
//! only then part of the version (INV-11). By HTTPS, or by reference to the participant's own allow-listed root.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use catalog::admit::{Kept, PrepareError};
use catalog::digest::Hasher;
use catalog::inspect::{InspectError, Inspector};
use catalog::layout::Limits;
use catalog::{
    Dataset, DatasetId, Digest, FileEntry, FileIndex, Manifest, SourceFile, Version, VersionName, VersionState,
};
use gateway_api::catalog::{FileView, RegisterDataset, VersionView};
use gateway_api::{Code, Problem, names};
use gateway_store::{DocKind, Objects};
use gateway_stream::batches::Projection;
use gateway_stream::footer::Footer;
use serde_json::{Value, json};

use super::caller::PostedBytes;
use super::change::{Change, Repeatable, execute_value};
use super::datasets::view;
use super::{Caller, Refused, json_response};
use crate::authz::{Action, authorise};
use crate::gateway::{Shared, version_key};

/// Files of one version.
const FILES_MAX: usize = 1024;

/// `POST /v1/datasets`: a manifest makes a draft.
pub async fn register(State(gateway): State<Shared>, caller: Caller, posted: PostedBytes) -> Result<Response, Refused> {
    caller.may(Action::Register)?;
    let body = parse(&posted)?;
    let manifest = Manifest::parse(&body.manifest).map_err(|error| {
        Problem::new(Code::BadInput, format!("the manifest: {error}")).with("line", json!(error.line))
    })?;
    check(&gateway, &caller, &manifest)?;
    let request = posted.request;
    let text = body.manifest;
    for path in &body.from {
        super::reference::name(&gateway, &caller, path)?;
    }
    let (status, answer) =
        execute_value(&gateway, &caller, request, |caller| describe(&gateway, caller, &manifest, &text)).await?;
    for path in &body.from {
        let (dataset, version) = (&manifest.dataset.id, &manifest.dataset.version);
        // The version was made a moment ago: the caller has to see it.
        let caller = Caller { snapshot: gateway.snapshot(), ..caller.clone() };
        let name = super::reference::fetch(&gateway, &caller, dataset, version, path).await?;
        take(&gateway, &caller, dataset, version, &name).await?;
    }
    if body.from.is_empty() {
        return Ok(json_response(status, &answer));
    }
    let snapshot = gateway.snapshot();
    let doc = snapshot
        .version(&manifest.dataset.id, &manifest.dataset.version)
        .ok_or_else(|| Problem::new(Code::Internal, "the version that was just made is gone"))?;
    Ok(json_response(status, &view(&gateway, &caller, doc)))
}

fn parse(posted: &PostedBytes) -> Result<RegisterDataset, Problem> {
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Problem::new(Code::BadInput, format!("the manifest is not UTF-8 at byte {at}"))
        })
    };
    match posted.media_type.as_str() {
        names::TOML | "text/toml" | "text/plain" | "application/octet-stream" | "" => {
            Ok(RegisterDataset { manifest: text(&posted.bytes)?, from: Vec::new() })
        }
        "application/json" => serde_json::from_slice(&posted.bytes)
            .map_err(|error| Problem::new(Code::BadInput, format!("the JSON body: {error}"))),
        other => Err(Problem::new(
            Code::UnsupportedMediaType,
            format!(
                "`{other}` is not taken here: send the manifest as {}, or JSON with `manifest` and `from`",
                names::TOML
            ),
        )),
    }
}

/// What a manifest says that only this node can judge.
fn check(gateway: &Shared, caller: &Caller, manifest: &Manifest) -> Result<(), Problem> {
    let entry = &manifest.dataset;
    let node = &gateway.config.place;
    if entry.place.side() != node.side() {
        return Err(Problem::new(
            Code::BadInput,
            format!(
                "`place` is `{}`, this node stands at `{node}`: looking into it from here would be an export already; \
                 register it on its own side",
                entry.place
            ),
        ));
    }
    if let Some(provider) = &entry.provider
        && !caller.snapshot.participants.contains_key(provider)
    {
        return Err(Problem::new(Code::BadInput, format!("`provider` is `{provider}`, which is no participant here")));
    }
    Ok(())
}

fn describe(gateway: &Shared, caller: &Caller, manifest: &Manifest, text: &str) -> Result<Change, Problem> {
    authorise(&caller.principal, Action::Register)?;
    let own = &caller.principal.participant;
    let entry = &manifest.dataset;
    let provider = entry.provider.clone().unwrap_or_else(|| own.clone());
    let existing = caller.snapshot.datasets.get(&entry.id);
    if let Some(dataset) = existing {
        if dataset.registrant != *own || dataset.provider != provider {
            // Not 404: ids are one name space, and somebody has to learn that this one is taken.
            let detail =
                format!("dataset id `{}` is taken by another registrant or provider: choose another", entry.id);
            return Err(Problem::new(Code::Conflict, detail));
        }
        if dataset.versions.contains(&entry.version) {
            let detail =
                format!("version `{}` of `{}` is here already: versions never change", entry.version, entry.id);
            return Err(Problem::new(Code::Conflict, detail));
        }
    }
    let lineage = super::lineage::inputs(gateway, caller, manifest)?;
    let inputs: Vec<String> = lineage.iter().map(catalog::lineage::Input::name).collect();
    let version = Version {
        dataset: entry.id.clone(),
        version: entry.version.clone(),
        provider: provider.clone(),
        registrant: own.clone(),
        state: VersionState::Draft,
        reason: None,
        withdrawn_at: None,
        manifest: super::lineage::raised(manifest, &lineage, false)?,
        manifest_text: text.to_owned(),
        files: Vec::new(),
        inspection: Value::Null,
        exemption_confirmed: false,
        lineage,
        anonymisation_confirmed: false,
        accepted: Vec::new(),
        submitted_by: None,
        approved_by: None,
        at: caller.now,
    };
    let members = [
        ("dataset", json!(version.dataset)),
        ("version", json!(version.version)),
        ("provider", json!(provider)),
        ("manifest", json!(version.manifest_digest())),
    ];
    let inputs = (!inputs.is_empty()).then(|| ("inputs", crate::leaf::list(&inputs)));
    let mut change = Change::recorded(caller, &gateway.secrets, "catalog_register", members.into_iter().chain(inputs))?;
    let id = entry.id.to_string();
    if let Some(doc) = existing {
        let mut dataset = doc.body.clone();
        dataset.versions.push(entry.version.clone());
        change.replace(DocKind::Dataset, id, doc.revision, &dataset);
    } else {
        let versions = vec![entry.version.clone()];
        let dataset = Dataset { id: entry.id.clone(), provider, registrant: own.clone(), versions };
        change.create(DocKind::Dataset, id, &dataset);
    }
    change.create(DocKind::Version, version_key(&entry.id, &entry.version), &version);
    let view: VersionView = view(gateway, caller, &version);
    Ok(change.answer(StatusCode::CREATED, &view))
}

/// A file that was taken in, and what the version with it looks like.
struct Taken {
    entry: FileEntry,
    files: Vec<FileEntry>,
    inspection: Value,
}

/// Takes the uploaded file `name` into the version.
///
/// # Errors
/// 400 with what is wrong with the file, at which offset or line; then nothing of it is kept.
pub async fn take(
    gateway: &Shared,
    caller: &Caller,
    dataset: &DatasetId,
    version: &VersionName,
    name: &str,
) -> Result<FileView, Problem> {
    // One at a time: an inspection may use much memory, and it looks at all files of its version together.
    let _turn = gateway.intake.lock().await;
    let doc = gateway
        .snapshot()
        .version(dataset, version)
        .cloned()
        .ok_or_else(|| Problem::new(Code::NotFound, "there is no such version for you"))?;
    let taken = {
        let (gateway, name, doc) = (gateway.clone(), name.to_owned(), Arc::clone(&doc));
        tokio::task::spawn_blocking(move || {
            let upload =
                gateway.uploads.path(&doc.dataset, &doc.version, &name).map_err(crate::admission::unavailable)?;
            let taken = inspect(&gateway, &doc, &name, &upload);
            // Good or bad, the upload has had its turn: a bad file is sent again from its start.
            let _ = gateway.uploads.remove(&doc.dataset, &doc.version, &name);
            taken
        })
        .await
        .map_err(crate::admission::unavailable)??
    };
    // Were this to fail, they would be read when they are first needed.
    if let Err(error) = crate::counting::take(gateway, &doc, &taken.entry, caller.now).await {
        tracing::warn!(%dataset, %version, %error, "the persons of a file were not read when it came in");
    }
    let request = Repeatable { digest: Digest::of(taken.entry.sha256.as_bytes()), key: None };
    let caller = Caller { snapshot: gateway.snapshot(), ..caller.clone() };
    execute_value(gateway, &caller, request, |caller| added(gateway, caller, dataset, version, &taken)).await?;
    trim_memory();
    let entry = taken.entry;
    Ok(FileView { name: entry.name, sha256: entry.sha256, bytes: entry.bytes, rows: entry.rows, source: entry.source })
}

/// The change that adds a taken file to its version.
fn added(
    gateway: &Shared,
    caller: &Caller,
    dataset: &DatasetId,
    version: &VersionName,
    taken: &Taken,
) -> Result<Change, Problem> {
    authorise(&caller.principal, Action::Register)?;
    let doc = caller
        .snapshot
        .version(dataset, version)
        .ok_or_else(|| Problem::new(Code::NotFound, "there is no such version for you"))?;
    let mut body = doc.body.clone();
    if !matches!(body.state, VersionState::Draft | VersionState::Inspected) {
        return Err(Problem::new(Code::Conflict, format!("version `{version}` is {}", body.state.as_str())));
    }
    if taken.files.len() > FILES_MAX {
        return Err(Problem::new(Code::TooLarge, format!("a version has at most {FILES_MAX} files")));
    }
    super::lineage::not_a_silent_copy(caller, &body, &taken.entry)?;
    body.inspection = taken.inspection.clone();
    body.files.clone_from(&taken.files);
    body.state = VersionState::Inspected;
    // An officer accepted what was found in the files as they were.
    body.accepted.clear();
    let members = [
        ("dataset", json!(dataset)),
        ("version", json!(version)),
        ("provider", json!(body.provider)),
        ("manifest", json!(body.manifest_digest())),
        ("file", json!(taken.entry.sha256)),
    ];
    let mut change = Change::recorded(caller, &gateway.secrets, "catalog_file", members)?;
    change.replace(DocKind::Version, version_key(dataset, version), doc.revision, &body);
    Ok(change)
}

/// Takes the upload in, and leaves nothing of it behind that the version does not need: what was refused, and the bytes
/// that packing or converting left out, are gone afterwards.
fn inspect(gateway: &Shared, version: &Version, name: &str, upload: &Path) -> Result<Taken, Problem> {
    let objects = gateway.files.objects();
    let sha256 = hash(upload).map_err(fault)?;
    // Adopted under its own digest first: what is mapped from here on is a read-only file of ours.
    objects.adopt(upload, &sha256).map_err(fault)?;
    let mut stored = Vec::new();
    let taken = look_into(gateway, version, name, sha256, &mut stored);
    let snapshot = gateway.snapshot();
    for object in [vec![sha256], stored].concat() {
        let hex = object.hex();
        let needed = taken.as_ref().is_ok_and(|taken| taken.entry.sha256 == hex)
            // Content addressing shares objects between versions; the intake's turn keeps others from joining now.
            || snapshot.versions.values().any(|version| version.files.iter().any(|file| file.sha256 == hex));
        if !needed && let Err(error) = objects.discard(&object) {
            tracing::warn!(%error, "an upload that is not needed was not removed");
        }
    }
    taken
}

/// Lays out, packs or converts, and inspects the object `sha256` together with the version's other files. What it stores is
/// named in `kept`.
fn look_into(
    gateway: &Shared,
    version: &Version,
    name: &str,
    sha256: Digest,
    kept: &mut Vec<Digest>,
) -> Result<Taken, Problem> {
    let objects = gateway.files.objects();
    let manifest = &version.manifest;
    let mapped = objects.map(&sha256).map_err(fault)?;
    let limits = Limits { uncompressed_bytes: gateway.config.limits.expanded_bytes_max, ..Limits::default() };
    let mut spool = objects.spool().map_err(fault)?;
    let prepared = catalog::admit::prepare(name, &mapped, &limits, &mut spool).map_err(|error| wrong(name, &error))?;
    let (stored, source, gaps) = match &prepared.kept {
        Kept::AsIs => (sha256, None, Vec::new()),
        Kept::Packed(_) | Kept::Converted(_) => {
            spool.flush().map_err(fault)?;
            let (stored, _) = objects.adopt_spool(spool).map_err(fault)?;
            kept.push(stored);
            let gaps = if let Kept::Packed(gaps) = &prepared.kept { gaps.clone() } else { Vec::new() };
            (stored, Some(SourceFile { name: name.to_owned(), sha256: sha256.hex() }), gaps)
        }
    };
    let bytes = objects.map(&stored).map_err(fault)?;
    let admitted = catalog::admit::admit(&bytes, &limits)
        .map_err(|error| Problem::new(Code::BadInput, format!("`{name}`: {error}")))?;
    catalog::inspect::check_columns(manifest, &admitted.index)
        .map_err(|error| Problem::new(Code::BadInput, error.to_string()))?;
    let first = version.files.iter().find(|file| file.name != prepared.name);
    let key = manifest.dataset.subject_key.as_deref();
    servable(objects, name, &bytes, &admitted.index, first, key)?;
    let index = objects.put_index(&admitted.index).map_err(fault)?;
    let entry = FileEntry {
        name: prepared.name.clone(),
        sha256: stored.hex(),
        bytes: admitted.index.bytes,
        rows: admitted.index.rows(),
        index,
        source,
    };

    let mut files: Vec<FileEntry> = version.files.iter().filter(|file| file.name != entry.name).cloned().collect();
    files.push(entry.clone());
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let mut inspector = Inspector::new(Some(manifest)).registered_on(crate::clock::today(version.at));
    for file in &files {
        let refused = |error: InspectError| Problem::new(Code::BadInput, error.to_string());
        if file.name == entry.name {
            inspector.add(&file.name, bytes.clone(), &admitted, &gaps).map_err(refused)?;
            continue;
        }
        let stored = Digest::parse(&file.sha256).map_err(fault)?;
        let other = objects.map(&stored).map_err(fault)?;
        let again = catalog::admit::admit(&other, &limits).map_err(fault)?;
        inspector.add(&file.name, other, &again, &[]).map_err(refused)?;
    }
    let mut inspection = inspector.finish();
    // What was packed away from the other files is known from their own turn.
    let earlier = version.inspection.get("packed").and_then(Value::as_object);
    if let (Some(packed), Some(earlier)) = (inspection.get_mut("packed").and_then(Value::as_object_mut), earlier) {
        for (name, gaps) in earlier.iter().filter(|(name, _)| **name != entry.name) {
            packed.insert(name.clone(), gaps.clone());
        }
    }
    Ok(Taken { entry, files, inspection })
}

/// Opens the file as it will be served: what could not be pulled must not be registered. The schema is that of the version's
/// other files, down to what may be null; no two leaf columns have one path, or nobody could choose between them.
fn servable(
    objects: &Objects,
    name: &str,
    bytes: &Bytes,
    index: &FileIndex,
    other: Option<&FileEntry>,
    subject_key: Option<&str>,
) -> Result<(), Problem> {
    let refused = |detail: String| Problem::new(Code::BadInput, format!("`{name}`: {detail}"));
    let mut paths = BTreeSet::new();
    if let Some(twice) = index.leaves.iter().find(|leaf| !paths.insert(leaf.path.as_str())) {
        return Err(refused(format!("two columns have the path `{}`: rename one", twice.path)));
    }
    let schema = |index: Arc<FileIndex>, bytes: &Bytes| {
        let leaves: Vec<usize> = (0..index.leaves.len()).collect();
        let footer = Footer::read(index, bytes).map_err(|error| error.to_string())?;
        let projection = Projection::new(Arc::new(footer), &leaves).map_err(|error| error.to_string())?;
        Ok::<_, String>(Arc::clone(projection.schema()))
    };
    let own = schema(Arc::new(index.clone()), bytes).map_err(refused)?;
    if let Some(key) = subject_key.filter(|key| !catalog::subject::is_countable(&own, key)) {
        return Err(refused(format!(
            "the subject key `{key}` lies in a list or map: name a column with one value a row, or none, and declare the \
             number of persons"
        )));
    }
    let Some(other) = other else { return Ok(()) };
    let theirs = objects.map(&Digest::parse(&other.sha256).map_err(fault)?).map_err(fault)?;
    let theirs = schema(objects.index(&other.index).map_err(fault)?, &theirs).map_err(fault)?;
    match own.fields().iter().zip(theirs.fields()).find(|(own, theirs)| own != theirs) {
        Some((own, theirs)) => Err(refused(format!(
            "column `{}` is {} ({}), but {} ({}) in `{}`: the files of a version have one schema",
            own.name(),
            own.data_type(),
            if own.is_nullable() { "may be null" } else { "never null" },
            theirs.data_type(),
            if theirs.is_nullable() { "may be null" } else { "never null" },
            other.name
        ))),
        None => Ok(()),
    }
}

/// Our store's fault, not the file's.
fn fault(error: impl std::fmt::Display) -> Problem {
    crate::admission::unavailable(error.to_string())
}

/// An inspection decodes a whole corpus; what it took goes back to the system, where the allocator would keep it.
fn trim_memory() {
    // SAFETY: takes no pointer and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn wrong(name: &str, error: &PrepareError) -> Problem {
    Problem::new(Code::BadInput, format!("`{name}`: {error}"))
}

fn hash(path: &Path) -> std::io::Result<Digest> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(hasher.finish()) };
        hasher.update(bytes);
    }
}
