//! Which keys have signed the log and when, and how one takes over from another.
//!
//! What the configuration names is compared with what the records know, in one commit: a new key comes with the entry in
//! which the old one vouches for it, a key that is no longer named goes with one in which the other says so. A kill leaves
//! the one or the other. A key that nobody vouched for signs nothing.

use gateway_audit::{Signer as _, VerifierKey, rotation};
use serde::{Deserialize, Serialize};

use super::key::Keys;
use super::{PublishError, PublisherOptions};
use crate::crashpoint;
use crate::records::{ReadError, Records};
use crate::transaction::{CommitError, DocKind, Expect, Transaction, Write};

/// The document that holds the log's keys.
const DOC: &str = "log-keys";

/// A key of the log, and which checkpoints it signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPeriod {
    /// The verifier key.
    pub vkey: String,
    /// Checkpoints of at least this many entries.
    pub from: u64,
    /// And of at most so many, if it signs no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// The keys on record, the earliest first, and the revision of the document that holds them.
fn read(records: &Records) -> Result<(Option<u64>, Vec<KeyPeriod>), ReadError> {
    let Some(doc) = records.read(|reader| reader.doc(DocKind::Setting, DOC))? else { return Ok((None, Vec::new())) };
    Ok((Some(doc.revision), serde_json::from_slice(&doc.body)?))
}

/// The keys of earlier signatures.
pub(super) fn known(records: &Records) -> Result<Vec<VerifierKey>, PublishError> {
    let (_, periods) = read(records)?;
    let parsed = periods.iter().map(|period| period.vkey.parse()).collect::<Result<_, _>>();
    parsed.map_err(|error| PublishError::Read(ReadError::Damaged { what: format!("keys of the log ({error})") }))
}

/// Brings the keys on record in line with those that are configured, before anything is signed.
///
/// # Errors
///
/// [`PublishError::Key`] if the configured key is not one that signs now.
pub(super) fn reconcile(
    records: &Records,
    keys: &Keys,
    options: &PublisherOptions,
) -> Result<Vec<KeyPeriod>, PublishError> {
    let (revision, mut periods) = read(records)?;
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general over lifetimes")]
    let size = records.read(|reader| reader.log_size())?;
    let before = periods.clone();
    let mut transaction = Transaction::new(options.now);
    let signer = keys.signer();
    if periods.is_empty() {
        periods.push(KeyPeriod { vkey: signer.verifier().to_string(), from: 0, until: None });
    }
    let signs = |periods: &[KeyPeriod], key: &VerifierKey| {
        periods.iter().any(|period| period.vkey == key.to_string() && period.until.is_none())
    };
    if !signs(&periods, signer.verifier()) {
        let now: Vec<&str> = periods.iter().filter(|p| p.until.is_none()).map(|p| p.vkey.as_str()).collect();
        let why = format!(
            "the log is signed by {}, and nobody has vouched for this one: start once with that key as `log_key` and this \
             one as `next_log_key`",
            now.join(" and ")
        );
        return Err(PublishError::Key { path: options.key_file.clone(), why });
    }
    if let Some(next) = keys.next().filter(|next| !signs(&periods, next.verifier())) {
        transaction.leaf(rotation::rotate(signer, next)?);
        periods.push(KeyPeriod { vkey: next.verifier().to_string(), from: size, until: None });
    }
    let named = |vkey: &str| {
        let configured = [Some(signer), keys.next()].into_iter().flatten();
        configured.map(|signer| signer.verifier().to_string()).any(|key| key == vkey)
    };
    for period in periods.iter_mut().filter(|period| period.until.is_none() && !named(&period.vkey)) {
        let retired = period.vkey.parse()?;
        transaction.leaf(rotation::retire(&retired, signer)?);
        period.until = Some(size);
    }
    if periods != before {
        let body = serde_json::to_vec(&periods).map_err(|error| PublishError::Stopped(error.to_string()))?;
        transaction.expect.push(Expect::Doc { kind: DocKind::Setting, id: DOC.to_owned(), revision });
        transaction.writes.push(Write::PutDoc { kind: DocKind::Setting, id: DOC.to_owned(), body });
        crashpoint!("rotate.before_commit");
        records.commit_blocking(transaction).map_err(|error: CommitError| PublishError::Record(error))?;
        crashpoint!("rotate.after_fsync");
    }
    Ok(periods)
}
