//! One file: described, found, taken up or begun, and begun again when the gateway has another one by now.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use catalog::Digest;

use super::fetch::Shared;
use super::part::{self, Found, Part};
use super::receipt::Receipts;
use super::sidecar::Identity;
use super::source::{Representation, Source};
use super::transfer::{Ended, Transfer, blocking};
use super::{FileReport, Tuning};
use crate::client::Client;
use crate::error::CommandError;
use crate::output;
use crate::session::Session;

/// How often a representation may change under one pull.
const RESTARTS_MAX: u32 = 3;

/// Pulls files into a folder.
#[derive(Debug)]
pub struct FilePull<'a> {
    /// The gateway.
    pub client: &'a Client,
    /// Connections at the same time.
    pub parallel: usize,
    /// The folder.
    pub out: &'a Path,
    /// Limits.
    pub tuning: Tuning,
}

impl FilePull<'_> {
    /// Pulls one file.
    ///
    /// # Errors
    ///
    /// [`super::pull`] says what is left behind.
    pub async fn run(
        &self,
        session: &mut Session<'_>,
        source: &Source,
        receipts: &mut Receipts,
    ) -> Result<FileReport, CommandError> {
        let interrupt = session.io.interrupt.clone();
        for _ in 0..RESTARTS_MAX {
            let representation = interrupt.guard(source.describe(self.client)).await?;
            let target = self.out.join(&source.name);
            if let Some(report) = already_there(&target, source, &representation).await? {
                session.note(&format!("{}  already there and verified", target.display()));
                return Ok(report);
            }
            let part = Arc::new(Part::open(&target)?);
            let mut transfer = self.take_up(session, source, &representation, part).await?;
            match transfer.run(session, self.parallel, receipts).await {
                Ok(()) => {
                    transfer.sign_at_last(session, receipts).await;
                    let mut report = transfer.finish(session, &target, &representation).await?;
                    report.receipt = receipts.take_report();
                    return Ok(report);
                }
                Err(Ended::Failed(error)) => return Err(error),
                Err(Ended::Changed) => {
                    transfer.part().empty()?;
                    session.note(&format!("{} has changed at the gateway; starting again", source.name));
                }
            }
        }
        Err(CommandError::Unavailable(format!("`{}` changes at the gateway again and again", source.name)))
    }

    async fn take_up(
        &self,
        session: &mut Session<'_>,
        source: &Source,
        representation: &Representation,
        part: Arc<Part>,
    ) -> Result<Transfer, CommandError> {
        let identity = Identity::of(source, representation);
        let found = part.take_up(&identity)?;
        let chunks = Arc::new(representation.chunks.clone());
        let shared = Shared {
            client: self.client.clone(),
            source: source.clone(),
            etag: representation.etag.clone(),
            bytes: representation.bytes,
            part,
            tuning: self.tuning,
        };
        let mut transfer = Transfer::new(Arc::new(shared), identity, chunks);
        match found {
            Found::Fresh => {}
            Found::Other => session.note(&format!(
                "`{}` was of another version or selection; starting again",
                transfer.part().path().display()
            )),
            Found::Resumed(done) => {
                transfer.resume(done).await?;
                session.note(&format!("{}: going on after {}", source.name, output::bytes(transfer.resumed_bytes())));
            }
        }
        transfer.queue_missing(self.parallel);
        Ok(transfer)
    }
}

/// A report of the file under its final name, if it is exactly this representation.
async fn already_there(
    target: &Path,
    source: &Source,
    representation: &Representation,
) -> Result<Option<FileReport>, CommandError> {
    let (path, wanted) = (target.to_owned(), representation.clone());
    let check = move || -> Result<Option<Digest>, CommandError> {
        let Ok(file) = File::open(&path) else {
            return Ok(None);
        };
        let metadata = file.metadata().map_err(CommandError::io(&path, "look at"))?;
        if !metadata.is_file() {
            return Err(CommandError::Usage(format!("`{}` is there and is no file", path.display())));
        }
        if metadata.len() != wanted.bytes {
            return Ok(None);
        }
        for chunk in &wanted.chunks {
            if !part::verify(&file, &path, chunk)? {
                return Ok(None);
            }
        }
        let sha256 = part::sha256(&file, &path, wanted.bytes)?;
        Ok(wanted.sha256.is_none_or(|promised| promised == sha256).then_some(sha256))
    };
    let found = blocking(check).await?;
    Ok(found.map(|sha256| FileReport {
        name: source.name.clone(),
        path: target.to_owned(),
        bytes: representation.bytes,
        sha256: sha256.hex(),
        fetched_bytes: 0,
        resumed_bytes: representation.bytes,
        verified: representation.vouchers(),
        lease: None,
        leaf: None,
        receipt: None,
    }))
}
