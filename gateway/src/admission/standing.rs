//! Cuts that stand: what an officer has cut stays cut until two officers of an authority lift it (DESIGN.md, authorisation
//! matrix). Otherwise a consumer that resumes by itself would simply go on under a new lease.

use catalog::{AgreementId, DatasetId, Digest, LeaseId, VersionName};
use gateway_api::{Code, Problem};
use gateway_store::{DocKind, Expect, Lease};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::gateway::{absent, expect};
use crate::snapshot::Snapshot;
use crate::vault::Vault;

/// A cut on record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StandingCut {
    /// The lease that was cut.
    pub lease: LeaseId,
    /// Why.
    pub reason: String,
    /// Whether it still stands.
    pub open: bool,
}

/// Where the cut of a principal's access to a version stands: not of one selection, or leaving out a column would walk
/// around it.
pub fn key(principal: &str, agreement: &AgreementId, dataset: &DatasetId, version: &VersionName) -> String {
    let about = json!({"principal": principal, "agreement": agreement, "dataset": dataset, "version": version});
    format!("cut:{}", Digest::of(about.to_string().as_bytes()).hex())
}

/// The same for the access that `lease` gave.
pub fn key_of(lease: &Lease) -> String {
    key(&lease.principal, &lease.agreement, &lease.dataset, &lease.version)
}

/// The stored cut under `key`, and its revision.
pub fn find(snapshot: &Snapshot, key: &str) -> Option<(u64, StandingCut)> {
    let doc = snapshot.settings.get(key)?;
    Some((doc.revision, serde_json::from_value(doc.body.clone()).ok()?))
}

/// Refuses if a cut stands under `key`; else gives what a commit expects, so that none comes in between.
pub fn none(snapshot: &Snapshot, vault: &Vault, key: String) -> Result<Expect, Problem> {
    match find(snapshot, &key) {
        None => Ok(absent(DocKind::Setting, key)),
        Some((revision, cut)) if !cut.open => Ok(expect(DocKind::Setting, key, revision)),
        Some((_, cut)) => {
            let reason = vault.prose(&cut.reason);
            let detail =
                format!("lease `{}` was cut: {reason}; two officers of an authority can lift the cut", cut.lease);
            Err(Problem::new(Code::Cut, detail).with("lease", json!(cut.lease)))
        }
    }
}
