//! The keys that sign the log: one, or two while it is being changed.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use gateway_audit::{Checkpoint, Ed25519Signer, NoteError, SignedCheckpoint, Signer, VerifierKey};

use super::{PublishError, PublisherOptions};
use crate::durable;

/// Longest key file that is read.
const KEY_BYTES_MAX: u64 = 4096;

/// What signs, and what signed before.
pub(super) struct Keys {
    signer: Ed25519Signer,
    next: Option<Ed25519Signer>,
    /// Keys of earlier signatures; see [`super::rotation`].
    pub(super) known: Vec<VerifierKey>,
}

impl Keys {
    pub(super) fn load(options: &PublisherOptions, known: Vec<VerifierKey>) -> Result<Self, PublishError> {
        let signer = load(&options.key_file)?;
        let next = options.next_key_file.as_deref().map(|path| load(path).map(|key| (path, key))).transpose()?;
        if let Some((path, next)) = &next
            && (next.verifier().name() != signer.verifier().name() || next.verifier() == signer.verifier())
        {
            let why = format!("it must be another key of `{}`", signer.verifier().name());
            return Err(PublishError::Key { path: (*path).to_owned(), why });
        }
        Ok(Self { signer, next: next.map(|(_, next)| next), known })
    }

    /// The key that verifies what is signed.
    pub(super) fn verifier(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    pub(super) const fn signer(&self) -> &Ed25519Signer {
        &self.signer
    }

    pub(super) const fn next(&self) -> Option<&Ed25519Signer> {
        self.next.as_ref()
    }

    /// Signs with every key.
    pub(super) fn sign(&self, checkpoint: &Checkpoint) -> Result<SignedCheckpoint, NoteError> {
        let signers: Vec<&dyn Signer> = [Some(&self.signer), self.next.as_ref()]
            .into_iter()
            .flatten()
            .map(|signer| signer as &dyn Signer)
            .collect();
        checkpoint.sign(&signers)
    }

    /// What a checkpoint says that one of our keys signed, now or before.
    pub(super) fn open<'a>(&self, signed: &'a SignedCheckpoint) -> Result<&'a Checkpoint, NoteError> {
        let now =
            [Some(&self.signer), self.next.as_ref()].into_iter().flatten().map(|signer| signer.verifier().clone());
        let keys: Vec<VerifierKey> = now.chain(self.known.iter().cloned()).collect();
        signed.verify_any(&keys).map(|(checkpoint, _)| checkpoint)
    }
}

fn load(path: &Path) -> Result<Ed25519Signer, PublishError> {
    let fault = |why: String| PublishError::Key { path: path.to_owned(), why };
    let unread = |source: io::Error| {
        let failing = durable::is_failing(&source);
        if failing { PublishError::File { path: path.to_owned(), source } } else { fault(source.to_string()) }
    };
    let file = fs::File::open(path).map_err(unread)?;
    let mode = file.metadata().map_err(unread)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(fault(format!("others may use it (mode {mode:04o}): `chmod 600` it, or replace it")));
    }
    let mut text = String::new();
    file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(unread)?;
    Ed25519Signer::parse(&text).map_err(|error| fault(error.to_string()))
}
