//! Leaves of the log with their proofs under the published checkpoint, verified before they are handed out.

use std::path::Path;

use gateway_api::{Code, Problem};
use gateway_audit::checkpoint::SignedCheckpoint;
use gateway_audit::proof::LogProof;
use gateway_audit::tiles::{TilePath, TileReader};
use gateway_audit::{NodeHash, tree};

/// Leaves by index.
pub type Leaves = Vec<(u64, Vec<u8>)>;

fn fault(what: &dyn std::fmt::Display) -> Problem {
    crate::admission::unavailable(what.to_string())
}

/// The checkpoint that is published in `folder`.
pub fn published(folder: &Path) -> Result<SignedCheckpoint, Problem> {
    let note = std::fs::read(folder.join("checkpoint")).map_err(|error| fault(&error))?;
    SignedCheckpoint::parse(&note).map_err(|error| fault(&error))
}

fn tiles(
    folder: &Path,
    size: u64,
) -> TileReader<impl FnMut(&TilePath) -> Result<Option<Vec<u8>>, std::io::Error> + use<'_>> {
    TileReader::new(size, move |path: &TilePath| match std::fs::read(folder.join(path.to_string())) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    })
}

/// Proves `leaves` under `checkpoint`, which is published in `folder`.
///
/// # Errors
/// 503 with `retry_after` while one of them is recorded and not yet published.
pub fn prove(folder: &Path, checkpoint: &SignedCheckpoint, leaves: &Leaves) -> Result<Vec<LogProof>, Problem> {
    let size = checkpoint.checkpoint().size;
    if leaves.iter().any(|(index, _)| *index >= size) {
        let detail = "the leaf is recorded but not yet published: try again in a second";
        return Err(Problem::new(Code::Unavailable, detail).with("retry_after", 1));
    }
    let mut reader = tiles(folder, size);
    let mut proofs = Vec::with_capacity(leaves.len());
    for (index, leaf) in leaves {
        let hashes = reader.inclusion(*index).map_err(|error| fault(&error))?;
        let proof = LogProof { extra: None, index: *index, hashes, checkpoint: checkpoint.clone() };
        proof.verify(leaf, None).map_err(|error| fault(&error))?;
        proofs.push(proof);
    }
    Ok(proofs)
}

/// That the log of `newer` begins with that of `older`.
pub fn consistent(folder: &Path, older: &SignedCheckpoint, newer: &SignedCheckpoint) -> Result<Vec<NodeHash>, Problem> {
    let (old, new) = (older.checkpoint(), newer.checkpoint());
    let hashes = tiles(folder, new.size).consistency(old.size).map_err(|error| fault(&error))?;
    tree::verify_consistency(old.size, new.size, &hashes, &old.root, &new.root).map_err(|error| fault(&error))?;
    Ok(hashes)
}
