//! One representation of a stored file: where it is, what it is, and how it is verified.

use catalog::Digest;
use catalog::digest::Hasher;
use gateway_api::catalog::FileView;
use gateway_api::names;
use gateway_stream::chunks::{self, ChunkEntry};

use super::admission::Admitted;
use crate::client::{Answer, Call, Client, path, with_query};
use crate::error::CommandError;

/// Largest chunk list that is read, in bytes: about a million chunks.
const CHUNK_LIST_BYTES_MAX: usize = 256 << 20;
/// ETag of what a chunk list describes.
const REPRESENTATION: &str = "kouan-representation";
/// Longest ETag that is kept.
const ETAG_BYTES_MAX: usize = 256;

/// A file under a selection.
#[derive(Debug, Clone)]
pub struct Source {
    /// Dataset.
    pub dataset: String,
    /// Version.
    pub version: String,
    /// File name, known to be safe.
    pub name: String,
    /// The columns of the request; empty means all.
    pub columns: Vec<String>,
    /// Whether columns that may not leave are left out.
    pub redact: bool,
    /// SHA-256 of the stored file, whatever the selection: receipts name it.
    pub stored: Digest,
    /// SHA-256 that the catalog promises: of the stored file, so only without a selection.
    pub sha256: Option<Digest>,
    purpose: Option<String>,
    file_target: String,
    chunks_target: String,
}

/// What the gateway says the representation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Representation {
    /// Strong ETag.
    pub etag: String,
    /// Length.
    pub bytes: u64,
    /// Chunks, which tile it.
    pub chunks: Vec<ChunkEntry>,
    /// Digest of the chunk list.
    pub chunks_digest: Digest,
    /// SHA-256 of the whole, if anybody promises it.
    pub sha256: Option<Digest>,
}

impl Representation {
    /// What vouches for a file that was verified as this.
    pub fn vouchers(&self) -> Vec<&'static str> {
        if self.sha256.is_some() { vec!["chunks", "sha256"] } else { vec!["chunks"] }
    }
}

impl Source {
    /// `file` as `admitted` selects it.
    pub fn new(admitted: &Admitted, file: &FileView) -> Result<Self, CommandError> {
        let (dataset, version) = (admitted.dataset.as_str(), admitted.version.as_str());
        let base = path(["v1", "datasets", dataset, "versions", version, "files", &file.name]);
        let mut selection: Vec<(&str, Option<&str>)> =
            admitted.selected.iter().map(|column| ("columns", Some(column.as_str()))).collect();
        selection.push(("redact", admitted.redact.then_some("true")));
        let whole = admitted.selected.is_empty() && !admitted.redact;
        let stored = Digest::parse(&file.sha256)
            .map_err(|error| CommandError::Unavailable(format!("the catalog's digest of `{}`: {error}", file.name)))?;
        Ok(Self {
            dataset: dataset.to_owned(),
            version: version.to_owned(),
            name: file.name.clone(),
            columns: admitted.selected.clone(),
            redact: admitted.redact,
            stored,
            sha256: whole.then_some(stored),
            purpose: admitted.purpose.as_ref().map(ToString::to_string),
            file_target: with_query(&base, selection.clone()),
            chunks_target: with_query(&format!("{base}/chunks"), selection),
        })
    }

    /// A request for the file, with the purpose that chooses the agreement.
    pub fn get(&self) -> Result<Call, CommandError> {
        self.with_purpose(Call::get(self.file_target.clone()))
    }

    fn with_purpose(&self, call: Call) -> Result<Call, CommandError> {
        match &self.purpose {
            Some(purpose) => call.header(names::PURPOSE, purpose),
            None => Ok(call),
        }
    }

    /// Asks what the representation is.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unavailable`] if the gateway does not give what a verified pull needs.
    pub async fn describe(&self, client: &Client) -> Result<Representation, CommandError> {
        let head = client.send(&self.with_purpose(Call::head(self.file_target.clone()))?).await?;
        if !head.status.is_success() {
            // A HEAD has no body that says why: the same GET of one byte does, and it is refused too.
            let call = self.get()?.header("range", "bytes=0-0")?;
            client.accepted(&call).await?;
            return Err(head.into_error().await);
        }
        let missing = |what: &str| {
            CommandError::Unavailable(format!(
                "the gateway gives no {what} of `{}`: it cannot be pulled verified",
                self.name
            ))
        };
        let etag = head.header("etag").filter(|etag| is_strong(etag)).ok_or_else(|| missing("strong ETag"))?.to_owned();
        let bytes =
            head.header("content-length").and_then(|text| text.parse().ok()).ok_or_else(|| missing("length"))?;
        let repr_digest = repr_digest(&head);
        let list = client.accepted(&self.with_purpose(Call::get(self.chunks_target.clone()))?).await?;
        if list.header(REPRESENTATION).is_some_and(|of| of != etag) {
            return Err(CommandError::Unavailable(format!(
                "`{}` has just changed at the gateway; run the same command again",
                self.name
            )));
        }
        let list = list.bytes(CHUNK_LIST_BYTES_MAX).await?;
        let chunks: Vec<ChunkEntry> = serde_json::from_slice(&list)
            .map_err(|error| CommandError::Unavailable(format!("the chunk list of `{}`: {error}", self.name)))?;
        chunks::check(&chunks, bytes)
            .map_err(|error| CommandError::Integrity(format!("the chunk list of `{}`: {error}", self.name)))?;
        let chunks_digest = digest_of(&chunks);
        Ok(Representation { etag, bytes, chunks, chunks_digest, sha256: self.sha256.or(repr_digest) })
    }
}

/// RFC 9110 §8.8.3: quoted, and not weak.
fn is_strong(etag: &str) -> bool {
    etag.len() <= ETAG_BYTES_MAX && etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"')
}

/// `Repr-Digest: sha-256=:…:` (RFC 9530 §3).
fn repr_digest(answer: &Answer) -> Option<Digest> {
    use base64::Engine as _;
    let header = answer.header("repr-digest")?;
    let value = header.split(',').find_map(|item| item.trim().strip_prefix("sha-256=:")?.strip_suffix(':'))?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
    Some(Digest::from_bytes(bytes.try_into().ok()?))
}

/// One digest for a whole list: two lists are the same if their entries are.
fn digest_of(chunks: &[ChunkEntry]) -> Digest {
    let mut hasher = Hasher::default();
    for chunk in chunks {
        let column = chunk.column.as_deref().unwrap_or_default();
        hasher.update(
            format!("{:?} {} {} {} {}\n", chunk.row_group, chunk.offset, chunk.bytes, chunk.digest, column).as_bytes(),
        );
    }
    hasher.finish()
}
