//! The facts and the texts of rule sets that entries name: each under its digest, which it must have.

use std::collections::HashSet;
use std::path::Path;

use gateway_audit::Leaf;
use gateway_audit::leaf::{digest_text, facts_path};

use super::super::log_client::{FILE_BYTES_MAX, LogClient};
use crate::error::CommandError;
use crate::files;

/// Digests remembered as there, so that the disk is not asked for each entry.
const REMEMBERED_MAX: usize = 65_536;

pub struct Blobs<'a> {
    log: LogClient<'a>,
    dir: &'a Path,
    there: HashSet<String>,
}

impl<'a> Blobs<'a> {
    pub fn new(log: LogClient<'a>, dir: &'a Path) -> Self {
        Self { log, dir, there: HashSet::new() }
    }

    /// Fetches what the entry at `index` names and the copy does not have; gives how many came.
    ///
    /// # Errors
    ///
    /// [`CommandError::Integrity`] if the gateway does not serve one, or serves another under its name.
    pub async fn of(&mut self, leaf: &Leaf, index: u64) -> Result<u64, CommandError> {
        let mut came = 0;
        for digest in [leaf.text("facts"), leaf.text("policy")].into_iter().flatten() {
            came += u64::from(self.one(digest, index).await?);
        }
        // A list of rule sets names the texts that it is made of.
        let Some((digest, path)) = leaf.text("policy").and_then(|digest| Some((digest, facts_path(digest)?))) else {
            return Ok(came);
        };
        if self.there.contains(&parts_of(digest)) {
            return Ok(came);
        }
        let mut library = policy::Library::default();
        if library.add(&files::read_text(&self.dir.join(&path), FILE_BYTES_MAX as u64)?).is_ok() {
            for part in library.missing(digest) {
                came += u64::from(self.one(&part, index).await?);
            }
        }
        self.there.insert(parts_of(digest));
        Ok(came)
    }

    async fn one(&mut self, digest: &str, index: u64) -> Result<bool, CommandError> {
        let Some(path) = facts_path(digest).filter(|_| !self.there.contains(digest)) else { return Ok(false) };
        if self.there.len() >= REMEMBERED_MAX {
            self.there.clear();
        }
        let place = self.dir.join(&path);
        let missing = !place.is_file();
        if missing {
            let broken =
                |what: &str| CommandError::Integrity(format!("entry {index} names {digest}, {what} as `/log/{path}`"));
            let bytes = self.log.fetch(&path).await?.ok_or_else(|| broken("which the gateway does not serve"))?;
            if digest_text(&bytes) != digest {
                return Err(broken("and the gateway serves something else"));
            }
            files::write_all(&[(place, bytes)])?;
        }
        self.there.insert(digest.to_owned());
        Ok(missing)
    }
}

/// What is remembered when the parts of a list are there too.
fn parts_of(digest: &str) -> String {
    format!("{digest} parts")
}
